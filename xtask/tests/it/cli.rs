//! The command line as its users meet it: the real binary, real files, exit status, both outputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Four sites and four validators with next to no learning: a run takes well under a second.
pub(crate) fn scenario(epochs: u64) -> String {
    let mut text = format!(
        "schema_version = 1\nname = \"tiny\"\nsummary = \"the smallest run\"\npolicy = \"baseline\"\n\
         epochs = {epochs}\nheld_out = [\"queen\"]\n\
         [learning]\nevaluations = 12\npopulation = 4\ntrials = 1\nfinal_trials = 1\n\
         sigma_permille = 120\nwork_limit = 200000000\nmin_gain_permille = 20\nheld_out_trials = 1\n\
         [network]\nsame_region_ms = [1, 4]\ncross_region_ms = [18, 70]\ndisk_ms = [4, 6]\n"
    );
    for i in 1..=4 {
        let who = |kind| {
            format!("name = \"{kind}-{i}\"\norganisation = \"org-{i}\"\nregion = \"r{i}\"\n")
        };
        text.push_str(&format!("[[validators]]\n{}", who("validator")));
        text.push_str(&format!(
            "[[sites]]\n{}role = \"core\"\nwork_per_ms = 100000\n\
             instances = [{{ kind = \"queen\", rows = 5, cols = 5 }}]\n",
            who("site")
        ));
    }
    text
}

/// A directory of its own for each test, outside the workspace.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(tempfile::tempdir().expect("a temporary directory"));
        fs::write(desk.path("tiny.toml"), scenario(1)).expect("writable");
        desk
    }

    /// With a finished run in `run/`.
    pub(crate) fn with_run() -> Self {
        let desk = Self::new();
        copy(&RUN.path("run"), &desk.path("run"));
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended(self.command(arguments).output().expect("the binary starts"))
    }

    pub(crate) fn audit(&self, more: &[&str]) -> Ended {
        let arguments = ["compliance", "--phase", "M5", "--artifacts", "run"];
        self.run(&[arguments.as_slice(), more].concat())
    }
}

/// One run that all tests copy.
pub(crate) static RUN: LazyLock<Desk> = LazyLock::new(|| {
    let desk = Desk::new();
    desk.run(&["simulate", "--scenario", "tiny.toml", "--out", "run"]).expect_code(0);
    desk
});

pub(crate) struct Ended(pub(crate) Output);

impl Ended {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        let (out, err) = (self.stdout(), self.stderr());
        assert_eq!(self.0.status.code(), Some(code), "\n{out}\n{err}");
        assert!(!err.contains("panicked"), "{err}");
        self
    }

    /// The exit status, and one line on standard error that has all of these.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32, parts: &[&str]) {
        let ended = self.expect_code(code);
        let err = ended.stderr();
        assert_eq!(err.lines().count(), 1, "{err}");
        ended.expect_plain();
        assert!(parts.iter().all(|part| err.contains(part)), "{parts:?} in {err}");
    }

    /// Nothing in either output that a terminal would obey.
    #[track_caller]
    fn expect_plain(&self) {
        let both = self.stdout() + &self.stderr();
        assert!(!both.contains(|c: char| c.is_control() && c != '\n'), "{both:?}");
    }

    /// Exit 1, with the check failed and the file named.
    #[track_caller]
    pub(crate) fn expect_failed(self, check: &str, file: &str) {
        let ended = self.expect_code(1);
        let out = ended.stdout();
        let failed = |line: &str| line.starts_with("FAIL ") && line.contains(check);
        assert!(out.lines().any(failed), "{check} in\n{out}");
        assert!(out.contains(file), "{file} in\n{out}");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Every file below a directory with its bytes.
pub(crate) fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_path_buf()]);
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(&current).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("below").to_path_buf();
                found.push((name, fs::read(&path).expect("readable")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_is_written_and_passes_the_audit_it_names() {
    let desk = Desk::new();
    let ran = desk.run(&["simulate", "--scenario", "tiny.toml", "--out", "a run"]).expect_code(0);
    let out = ran.stdout();
    for part in
        ["start genome", "federated", "published", "epoch 1: 4 updates aligned, 0 discarded"]
    {
        assert!(out.contains(part), "{part} in\n{out}");
    }
    let command = "cargo xtask compliance --phase M5 --artifacts 'a run'";
    assert!(out.ends_with(&format!("{command}\n")), "{out}");
    assert!(ran.stderr().is_empty(), "progress in a pipe: {}", ran.stderr());
    assert!(!desk.path("a run.staging").exists());

    let audited = desk.run(&["compliance", "--phase", "M5", "--artifacts", "a run"]).expect_code(0);
    let report = audited.stdout();
    let synthetic =
        "Root of trust: SYNTHETIC (published keys): proves consistency, not authorship\n";
    assert!(report.starts_with(synthetic), "{report}");
    let last = report.lines().last().unwrap_or_default();
    let (_, gaps) = last.split_once("NOT COVERED: ").unwrap_or_default();
    assert!(gaps.split(", ").any(|gap| gap == "zk:proof_valid (D3)"), "{last}");
}

#[test]
fn threads_change_no_byte_and_the_same_run_is_not_rewritten() {
    let desk = Desk::new();
    for threads in ["1", "2", "4"] {
        let arguments =
            ["simulate", "--scenario", "tiny.toml", "--threads", threads, "--out", threads];
        desk.run(&arguments).expect_code(0);
        assert_eq!(contents(&desk.path(threads)), contents(&RUN.path("run")), "{threads} threads");
    }
    let again = desk.run(&["simulate", "--scenario", "tiny.toml", "--out", "1"]).expect_code(0);
    assert!(again.stdout().contains("nothing was written"), "{}", again.stdout());
    let other = ["simulate", "--scenario", "tiny.toml", "--seed", "6", "--out", "1"];
    desk.run(&other).expect_code(0);
    assert_ne!(contents(&desk.path("1")), contents(&RUN.path("run")));
    desk.run(&["compliance", "--phase", "M5", "--artifacts", "1"]).expect_code(0);
}

#[test]
fn a_run_without_a_place_goes_below_target() {
    let desk = Desk::new();
    let ran = desk
        .run(&["simulate", "--scenario", "tiny.toml", "--epochs", "2", "--quiet"])
        .expect_code(0);
    let place = "target/simulations/tiny-seed5-epochs2";
    let expected = format!("cargo xtask compliance --phase M5 --artifacts {place}\n");
    assert_eq!((ran.stdout(), ran.stderr()), (expected, String::new()));
    assert!(desk.path(place).join("mec/M5/manifest.json").is_file());
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let desk = Desk::with_run();
    let arguments = ["simulate", "--scenario", "tiny.toml", "--out", "run", "--format", "json"];
    let ran = desk.run(&arguments).expect_code(0);
    let document: serde_json::Value = serde_json::from_slice(&ran.0.stdout).expect("one document");
    assert_eq!(document["seed"], "5");
    assert_eq!(document["epochs"][0]["aligned"], 4);
    assert_eq!(document["artifacts"]["files_written"], 0);
    assert!(ran.stderr().is_empty(), "{}", ran.stderr());

    let audited = desk.audit(&["--format", "json"]).expect_code(0);
    let report: serde_json::Value =
        serde_json::from_slice(&audited.0.stdout).expect("one document");
    assert_eq!((&report["passed"], &report["exit_code"]), (&true.into(), &0.into()));
    let gaps = report["not_covered"].as_array().expect("a list");
    assert!(gaps.contains(&"zk:proof_valid".into()), "{gaps:?}");
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.iter().any(|check| check["id"] == "artifact:federated_plan"));

    fs::remove_file(desk.path("run/mec/M5/policy.toml")).expect("removed");
    let audited = desk.audit(&["--format", "json"]).expect_code(1);
    let report: serde_json::Value =
        serde_json::from_slice(&audited.0.stdout).expect("one document");
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["file"] == "mec/M5/policy.toml"));
}

#[test]
fn scenarios_that_cannot_run_are_refused_in_one_line() {
    let desk = Desk::new();
    let simulate = |scenario: &str| desk.run(&["simulate", "--scenario", scenario, "--out", "run"]);
    simulate("basline").expect_error(2, &["no scenario \"basline\"", "there are: baseline"]);
    simulate("missing.toml").expect_error(2, &["missing.toml", "No such file"]);
    simulate(".").expect_error(2, &["not a regular file"]);
    let good = scenario(1);
    for (name, text, parts) in [
        ("syntax", good.replace("epochs = 1", "epochs = ="), ["syntax.toml", "line 5"]),
        ("field", good.replace("epochs = 1", "epocs = 1"), ["field.toml", "`epocs`"]),
        ("type", good.replace("epochs = 1", "epochs = \"1\""), ["type.toml", "line 5"]),
        ("few", good.replace("epochs = 1", "epochs = 0"), ["epochs is 0", "1 to 1000"]),
        ("name", good.replace("site-2", "site-1"), ["site-1", "twice"]),
        ("family", good.replace("[\"queen\"]", "[\"quen\"]"), ["quen", "queen"]),
    ] {
        fs::write(desk.path(&format!("{name}.toml")), text).expect("writable");
        simulate(&format!("{name}.toml")).expect_error(2, &parts);
    }
    let dimacs = "kind = \"dimacs\", path = \"graph.col\"";
    fs::write(
        desk.path("dimacs.toml"),
        good.replacen("kind = \"queen\", rows = 5, cols = 5", dimacs, 1),
    )
    .expect("writable");
    simulate("dimacs.toml").expect_error(2, &["graph.col", "No such file"]);
    fs::write(desk.path("graph.col"), "p edge 3 2\ne 1 2\ne 1 9\n").expect("writable");
    simulate("dimacs.toml").expect_error(2, &["graph.col", "line 3"]);
    fs::write(desk.path("graph.col"), "p edge 3 3\ne 1 2\ne 1 3\ne 2 3\n").expect("writable");
    simulate("dimacs.toml").expect_code(0);
    assert!(desk.path("run/mec/M5/manifest.json").is_file());
}

#[test]
fn arguments_out_of_range_say_what_is_allowed() {
    let desk = Desk::with_run();
    for (arguments, part) in [
        (&["simulate", "--epochs", "0"][..], "1..=1000"),
        (&["simulate", "--epochs", "1001"], "1..=1000"),
        (&["simulate", "--seed", "18446744073709551616"], "0..=18446744073709551615"),
        (&["simulate", "--seed", "-1"], "0..=18446744073709551615"),
        (&["simulate", "--seed", "five"], "0..=18446744073709551615"),
        (&["simulate", "--threads", "0"], "1..=1024"),
        (&["simulate", "--frobnicate", "x"], "try `cargo xtask simulate --help`"),
        (&["simulate", "--fro\u{1b}[2J\nx"], "--fro"),
        (&["compliance", "--phase", "M9"], "[possible values: M5]"),
        (&["compliance", "--strict", "--require-live"], "--phase <PHASE>"),
        (&["compliance", "--phase"], "a value is required"),
        (&["polish"], "unrecognized subcommand 'polish'"),
        (&["ledger", "polish"], "unrecognized subcommand 'polish'"),
        (&["ledger", "show", "--block", "0"], "1..=18446744073709551615"),
        (&["ledger", "show", "--store", "a", "--artifacts", "b"], "cannot be used with"),
        (&["ledger", "prove", "--block", "1", "--entry", "0"], "--out <FILE>"),
        (&["ledger", "verify", "--item", "x"], "--entry <FILE>"),
        (&["ledger", "verify", "--witness", "w"], "malformed verifier key"),
        (&["ledger", "cosign", "--time", "0"], "1..=9223372036854775807"),
        (&["soak", "polish"], "[possible values: ledger]"),
        (&["soak", "ledger", "--faults", "0"], "1..=18446744073709551615"),
        (&["soak", "ledger", "--threads", "0"], "1..=1024"),
        (&["ci", "--only", "polish"], "there are: fmt"),
        (&["bench", "everything", "--format=json"], "there are: simulate"),
    ] {
        desk.run(arguments).expect_error(2, &["error: ", part]);
    }
    desk.audit(&["--expect-head", "seven"]).expect_error(2, &["SIZE:ROOT", "--help"]);
    assert!(desk.run(&["bench"]).expect_code(0).stdout().contains("simulate"));
    assert!(desk.run(&["ci", "--list"]).expect_code(0).stdout().contains("tamper"));
}

#[test]
fn places_that_cannot_be_written_leave_everything_as_it_was() {
    let desk = Desk::with_run();
    fs::write(desk.path("file"), "mine").expect("writable");
    let simulate =
        |out: &str| desk.run(&["simulate", "--scenario", "tiny.toml", "--seed", "6", "--out", out]);
    simulate("file").expect_error(2, &["file", "not a directory"]);
    simulate("file/below").expect_error(2, &["file/below"]);
    simulate("file/far/below").expect_error(2, &["file/far/below"]);
    simulate("/proc/run").expect_error(1, &["/proc/run.staging", "nothing was changed"]);
    fs::create_dir(desk.path("run.staging")).expect("a directory");
    fs::write(desk.path("run.staging/mine"), "mine").expect("writable");
    simulate("run").expect_error(2, &["run.staging"]);
    assert_eq!(fs::read(desk.path("file")).expect("there"), b"mine");
    assert_eq!(contents(&desk.path("run")), contents(&RUN.path("run")));
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_the_old_run() {
    let desk = Desk::with_run();
    // No file may grow beyond 8 KiB: the plan does not fit, after smaller files did.
    let limited = format!(
        "ulimit -f 8; trap '' XFSZ; exec '{}' simulate --scenario tiny.toml --seed 6 --out run",
        env!("CARGO_BIN_EXE_xtask")
    );
    let mut shell = Command::new("bash");
    let ended = shell.current_dir(desk.path("")).args(["-c", &limited]).output().expect("bash");
    Ended(ended).expect_error(1, &["run.staging", "nothing was changed"]);
    assert!(!desk.path("run.staging").exists());
    assert_eq!(contents(&desk.path("run")), contents(&RUN.path("run")));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_the_old_run_and_no_staging() {
    let desk = Desk::with_run();
    fs::write(desk.path("long.toml"), scenario(64)).expect("writable");
    let mut long = desk.command(&["simulate", "--scenario", "long.toml", "--out", "run"]);
    let child = long.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let begin = Instant::now();
    while !desk.path("run.staging/run").exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "no staging directory appears");
        std::thread::sleep(Duration::from_millis(10));
    }
    let busy = desk.run(&["simulate", "--scenario", "tiny.toml", "--out", "run"]);
    busy.expect_error(1, &["another run is writing"]);
    let signal =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(signal.success());
    let ended = Ended(child.wait_with_output().expect("ends")).expect_code(130);
    assert!(
        ended.stdout().is_empty() && ended.stderr().contains("interrupted"),
        "{}",
        ended.stderr()
    );
    assert!(!desk.path("run.staging").exists());
    assert_eq!(contents(&desk.path("run")), contents(&RUN.path("run")));
}

#[test]
fn an_interrupted_swap_is_named_and_the_next_run_repairs_it() {
    let desk = Desk::with_run();
    fs::write(desk.path("run/mec/M5/INCOMPLETE"), "mec/M5/manifest.json\n").expect("writable");
    desk.audit(&[]).expect_failed("artifact:incomplete_run", "mec/M5/INCOMPLETE");
    desk.run(&["simulate", "--scenario", "tiny.toml", "--out", "run"]).expect_code(0);
    assert_eq!(contents(&desk.path("run")), contents(&RUN.path("run")));
    desk.audit(&[]).expect_code(0);
}

#[test]
fn artifacts_that_are_missing_or_damaged_fail() {
    let desk = Desk::new();
    let missing = desk.run(&["compliance", "--phase", "M5", "--artifacts", "r\u{1b}un"]);
    missing.expect_code(1).expect_plain();
    let missing = desk.audit(&[]).expect_code(1);
    assert!(missing.stderr().contains("cargo xtask simulate"), "{}", missing.stderr());
    let plan = "mec/M5/federated_plan.json";
    let desk = Desk::with_run();
    let bytes = fs::read(desk.path("run").join(plan)).expect("there");
    fs::write(desk.path("run").join(plan), &bytes[..bytes.len() / 2]).expect("writable");
    desk.audit(&[]).expect_failed("artifact:manifest", plan);
    fs::write(desk.path("run").join(plan), bytes).expect("writable");
    fs::write(desk.path("run/mec/M5/extra.json"), "{}").expect("writable");
    desk.audit(&[]).expect_failed("artifact:unlisted", "mec/M5/extra.json");
    fs::remove_file(desk.path("run/mec/M5/extra.json")).expect("removed");
    desk.audit(&[]).expect_code(0);
    for stray in ["stray.txt", "mec/x", "merkle/history/x", "a\u{1b}]0;b"] {
        fs::write(desk.path("run").join(stray), "{}").expect("writable");
        let named = stray.replace('\u{1b}', "\\u{1b}");
        desk.audit(&[]).expect_failed("artifact:unlisted", &named);
        fs::remove_file(desk.path("run").join(stray)).expect("removed");
    }
    fs::create_dir(desk.path("run/mec/M4")).expect("a directory");
    desk.audit(&[]).expect_failed("artifact:unlisted", "mec/M4/");
}

#[cfg(unix)]
#[test]
fn links_pipes_and_giants_are_refused_without_being_read() {
    let plan = "run/mec/M5/federated_plan.json";
    let desk = Desk::with_run();
    fs::rename(desk.path(plan), desk.path("plan.json")).expect("moved");
    std::os::unix::fs::symlink(desk.path("plan.json"), desk.path(plan)).expect("a link");
    desk.audit(&[]).expect_failed("artifact:path", "mec/M5/federated_plan.json");

    fs::remove_file(desk.path(plan)).expect("removed");
    let made = Command::new("mkfifo").arg(desk.path(plan)).status().expect("mkfifo");
    assert!(made.success());
    let begin = Instant::now();
    desk.audit(&[]).expect_failed("artifact:path", "mec/M5/federated_plan.json");
    assert!(begin.elapsed() < Duration::from_secs(20), "the audit waited for a pipe");

    fs::remove_file(desk.path(plan)).expect("removed");
    let giant = fs::File::create(desk.path(plan)).expect("created");
    giant.set_len(10 << 30).expect("a sparse file of 10 GiB");
    desk.audit(&[]).expect_failed("artifact:size", "mec/M5/federated_plan.json");
}

#[test]
fn giants_that_nobody_listed_cost_an_audit_nothing() {
    let desk = Desk::with_run();
    for index in 0..64 {
        let giant = desk.path("run/mec/M5/ledger/blobs").join(format!("{index:064x}"));
        let giant = fs::File::create(giant).expect("created");
        giant.set_len(60 << 20).expect("a sparse file of 60 MiB");
    }
    let begin = Instant::now();
    desk.audit(&[]).expect_failed("artifact:unlisted", &format!("{:064x}", 7));
    // Reading and hashing all of them is almost 4 GiB; one fits into what is read unasked.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn without_a_usable_root_of_trust_nothing_is_decided() {
    let desk = Desk::with_run();
    desk.audit(&["--root-of-trust", "none.toml"]).expect_error(3, &["cannot decide", "none.toml"]);
    desk.audit(&["--root-of-trust", "."]).expect_error(3, &["cannot decide", "not a regular file"]);
    for text in ["kind =", "schema_version = 1\n", "\u{0}"] {
        fs::write(desk.path("root.toml"), text).expect("writable");
        desk.audit(&["--root-of-trust", "root.toml"])
            .expect_error(3, &["cannot decide", "root of trust"]);
    }
    fs::write(desk.path("root.toml"), "#".repeat(65_537)).expect("writable");
    desk.audit(&["--root-of-trust", "root.toml"])
        .expect_error(3, &["cannot decide", "65537 bytes"]);
    desk.audit(&["--require-live"]).expect_code(1);
    desk.audit(&["--strict"]).expect_code(1);
}

#[test]
fn an_expected_head_catches_another_run() {
    let desk = Desk::with_run();
    let manifest = fs::read(desk.path("run/mec/M5/manifest.json")).expect("there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let text = |name: &str| manifest["ledger"][name].as_str().expect("text").to_owned();
    let head = format!("{}:{}", text("size"), text("root"));
    desk.audit(&["--expect-head", &head]).expect_code(0);
    let other = format!("{}:{}", text("size"), "0".repeat(64));
    desk.audit(&["--expect-head", &other]).expect_failed("ledger:head", "expected");
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_changes_no_verdict() {
    let desk = Desk::with_run();
    for (arguments, code) in [
        (["compliance", "--phase", "M5", "--artifacts", "run"], 0),
        (["compliance", "--phase", "M5", "--artifacts", "nowhere"], 1),
        (["simulate", "--scenario", "tiny.toml", "--out", "run"], 0),
    ] {
        let mut command = desk.command(&arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        Ended(child.wait_with_output().expect("ends")).expect_code(code);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_is_no_verdict() {
    let desk = Desk::with_run();
    for (arguments, code) in [
        (["compliance", "--phase", "M5", "--artifacts", "run"], 3),
        (["simulate", "--scenario", "tiny.toml", "--out", "run"], 1),
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
        let ended = desk.command(&arguments).stdout(full).output().expect("starts");
        Ended(ended).expect_error(code, &["cannot write"]);
    }
}
