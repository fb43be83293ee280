//! `cargo xtask key` as an operator meets it.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use federation_proto::codec::Canonical as _;
use federation_proto::keys::Consensus;
use federation_proto::statement::RotatedKey;
use federation_proto::{Digest, FederationId, PublicKey, SigningContext};
use tempfile::TempDir;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.current_dir(self.0.path()).arg("key").args(arguments);
        command.output().expect("the binary starts")
    }

    /// Standard output of a command that succeeds.
    #[track_caller]
    fn shown(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert_eq!((status.code(), stderr.as_slice()), (Some(0), &[][..]), "{arguments:?}");
        String::from_utf8(stdout).expect("text")
    }

    /// One line of error with all of these parts, and this exit status.
    #[track_caller]
    fn refused(&self, code: i32, arguments: &[&str], parts: &[&str]) {
        let Output { status, stdout, stderr } = self.run(arguments);
        let error = String::from_utf8(stderr).expect("text");
        assert_eq!(status.code(), Some(code), "{error}");
        assert!(stdout.is_empty());
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("error: "), "{error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in {error}");
    }
}

const FEDERATION: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const CONFIG: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn rotation<'a>(old: &'a str, new: &'a str, out: &'a str) -> Vec<&'a str> {
    let keys = ["rotate", "--role", "consensus", "--holder", "validator-1", "--old", old];
    let place = ["--new", new, "--federation", FEDERATION, "--config", CONFIG];
    let terms = ["--from-epoch", "9", "--number", "1", "--out", out];
    keys.into_iter().chain(place).chain(terms).collect()
}

#[test]
fn a_key_is_created_once_and_shown_without_its_secret() {
    let desk = Desk::new();
    for role in ["identity", "cosigner", "encryption"] {
        let created = desk.shown(&["create", "--role", role, "--out", role]);
        assert!(created.starts_with(&format!("role {role}\npublic ")), "{created}");
        assert_eq!(created.lines().count(), 2);
        assert_eq!(desk.shown(&["show", role]), created);
        let file = fs::read_to_string(desk.path(role)).expect("readable");
        assert!(file.starts_with(&format!("prism key 1\n{created}secret ")), "another file");
        let mode = fs::metadata(desk.path(role)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        desk.refused(2, &["create", "--role", role, "--out", role], &[role, "never overwritten"]);
        assert_eq!(fs::read_to_string(desk.path(role)).expect("readable"), file);
    }
}

#[test]
fn what_is_no_key_or_not_ones_own_is_refused() {
    let desk = Desk::new();
    desk.refused(
        2,
        &["create", "--role", "captain", "--out", "a"],
        &["captain", "cosigner, artifact"],
    );
    desk.refused(2, &["create", "--role", "identity"], &["--out <FILE>", "cargo xtask key --help"]);
    desk.refused(
        1,
        &["create", "--role", "identity", "--out", "no/a"],
        &["no/a", "no key was created"],
    );
    desk.refused(2, &["show", "a"], &["there is no key file a"]);
    desk.refused(2, &["show", "."], &["not a regular file"]);
    desk.shown(&["create", "--role", "identity", "--out", "a"]);
    fs::set_permissions(desk.path("a"), fs::Permissions::from_mode(0o640)).expect("permissions");
    desk.refused(2, &["show", "a"], &["a: permissions 0640", "chmod 600"]);
    fs::set_permissions(desk.path("a"), fs::Permissions::from_mode(0o600)).expect("permissions");
    fs::write(desk.path("a"), "prism key 1\n").expect("writable");
    desk.refused(2, &["show", "a"], &["a: a key file is 4 lines"]);
}

#[test]
fn a_rotation_is_signed_by_both_keys() {
    let desk = Desk::new();
    let public = |shown: String| shown.trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let create = |name| public(desk.shown(&["create", "--role", "consensus", "--out", name]));
    let (old, new) = (create("old"), create("new"));
    let shown = desk.shown(&rotation("old", "new", "statement"));
    let expected = format!(
        "role consensus\nholder validator-1\nold {old}\nnew {new}\nfrom-epoch 9\nnumber 1\n"
    );
    assert_eq!(shown, expected);
    let bytes = fs::read(desk.path("statement")).expect("readable");
    let rotated = RotatedKey::from_canonical(&bytes).expect("canonical");
    let RotatedKey::Consensus(signed) = rotated else { panic!("{rotated:?}") };
    let current: PublicKey<Consensus> = old.parse().expect("a key");
    let current = current.check().expect("a good key");
    let context = SigningContext {
        federation_id: FederationId::new(Digest::from_bytes([0x11; 32])),
        config_digest: Digest::from_bytes([0x22; 32]),
    };
    let verified = signed.verify(&current, &context).expect("both signed");
    assert_eq!(verified.new_key().public().to_string(), new);

    desk.refused(2, &rotation("old", "new", "statement"), &["statement", "never overwritten"]);
    desk.refused(2, &rotation("old", "old", "other"), &["to itself"]);
    desk.shown(&["create", "--role", "identity", "--out", "identity"]);
    let wrong = "identity: a key of role identity where one of role consensus is wanted";
    desk.refused(2, &rotation("old", "identity", "other"), &[wrong]);
    assert!(!desk.path("other").exists());
    for (argument, value) in [("--number", "0"), ("--from-epoch", "-1"), ("--config", "22")] {
        let mut arguments = rotation("old", "new", "other");
        let at = arguments.iter().position(|word| *word == argument).expect("there");
        arguments[at + 1] = value;
        desk.refused(2, &arguments, &[argument, value, "cargo xtask key --help"]);
    }
}
