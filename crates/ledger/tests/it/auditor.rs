//! `auditor/audit_tiles.py` on a good export and on damaged ones.

use std::cell::RefCell;
use std::collections::BTreeMap;

use data_encoding::BASE64;
use federation_proto::keys::LogCheckpoint;
use ledger::merkle::subtrees::{self, Subtrees};
use ledger::tiles::{TileKind, TilePath};
use ledger::{LogHash, Note, NoteKey, TileTree};

use crate::world::{OLD_SIZE, ORIGIN, SIZE, World, script};

/// Points whose order divides 8, the last one in a second encoding: anybody can sign for them.
const SMALL_ORDER: [&str; 5] = [
    "example.org/federation+a5fadfce+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "example.org/federation+0112f4d7+AccXanA9TdhPujwLdg0QZw8qIFP6LDnMxk7H/XeSrAN6",
    "example.org/federation+2f308f01+ASbolY/CsiewRcP0ifLvmPDV36wF08YzObE4AohtU/wF",
    "example.org/federation+b773a945+Aez///////////////////////////////////////9/",
    "example.org/federation+55c179a4+Ae7///////////////////////////////////////9/",
];

/// The key with seed 7…7, and its line of a checkpoint of the empty log, made with the nonce 0: R is
/// the identity, which `openssl` accepts and a strict verifier does not.
const STRICT_KEY: &str =
    "example.org/federation+0616fa47+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
const SMALL_R: &str = "example.org/federation\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\
    \u{2014} example.org/federation Bhb6RwEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAfHwruTE2y4AWY0pP23D4V\
    NfdsbxhQkqycesX3xxhJAc=\n";

fn audit(world: &World, index: u64, more: &[&str]) -> (bool, String) {
    let (script, index) = (script("audit_tiles.py"), index.to_string());
    let arguments = [&script, "--keys", "keys.txt", "--quorum", "3", "--index", &index];
    world.run("python3", &[&arguments[..], more, &["export"]].concat())
}

/// The audit fails and its message names `file` and holds `reason`.
fn refuses(world: &World, index: u64, more: &[&str], file: &str, reason: &str) {
    let (accepted, printed) = audit(world, index, more);
    let named = printed.contains(file) && printed.contains(reason);
    assert!(!accepted && named, "expected {file:?} and {reason:?}: {printed}");
}

#[test]
fn a_good_export_passes() {
    let world = World::new();
    for index in [0, 1, 200, 255, 256, 257, SIZE - 1] {
        let (accepted, printed) = audit(&world, index, &[]);
        assert!(accepted, "{printed}");
        let expected = format!("{ORIGIN}: entry {index} of {SIZE} is proven, ");
        assert!(printed.starts_with(&expected), "{printed}");
    }
    let (accepted, printed) = audit(&world, 7, &["--consistency", "old-checkpoint"]);
    assert!(accepted, "{printed}");
    assert!(printed.ends_with(&format!("; size {OLD_SIZE} is a prefix")), "{printed}");
}

#[test]
fn a_damaged_file_is_named() {
    let world = World::new();
    for (index, file, reason) in [
        (7, "tile/0/000", "not what the tile above it says"),
        (270, "tile/0/001.p/44", "do not lead to the root"),
        (7, "tile/1/000.p/1", "do not lead to the root"),
        // A flipped byte of a leaf or of its length: two reasons, one file.
        (7, "tile/entries/000", ""),
        (270, "tile/entries/001.p/44", ""),
    ] {
        let name = format!("export/{file}");
        let good = world.read(&name);
        let named = if reason.contains("root") { file.split(".p/").next() } else { Some(file) };
        let named = named.expect("a name");
        for position in [2, good.len() / 2, good.len() - 1] {
            let mut changed = good.clone();
            changed[position] ^= 0x10;
            world.write(&name, &changed);
            refuses(&world, index, &[], named, reason);
        }
        world.write(&name, &good[..good.len() - 1]);
        refuses(&world, index, &[], file, "");
        world.write(&name, &[&good[..], &[0]].concat());
        refuses(&world, index, &[], file, "");
        world.write(&name, &good);
        assert!(audit(&world, index, &[]).0);
    }
}

#[test]
fn tiles_of_another_place_or_not_there_are_named() {
    let world = World::new();
    let entries = world.read("export/tile/entries/001.p/44");
    world.write("export/tile/entries/000", &entries);
    refuses(&world, 7, &[], "tile/entries/000", "256 entries");
    let world = World::new();
    let (border, full) = (world.read("export/tile/1/000.p/1"), world.read("export/tile/0/000"));
    world.write("export/tile/0/000", &border.repeat(256));
    refuses(&world, 7, &[], "tile/0/000", "the tile above");
    world.write("export/tile/0/000", &full);
    let checkpoint = world.text("export/checkpoint");
    // A size that the export has not: its border tiles are absent.
    world.write("export/checkpoint", world.text("old-checkpoint").as_bytes());
    refuses(&world, 7, &[], "tile/0/001.p/1", "No such file");
    world.write("export/checkpoint", checkpoint.as_bytes());
    refuses(&world, SIZE, &[], "export/checkpoint", "no entry 300");
}

#[test]
fn a_checkpoint_needs_its_quorum() {
    let world = World::new();
    let checkpoint = world.text("export/checkpoint");
    let lines: Vec<&str> = checkpoint.lines().collect();
    let file = "export/checkpoint";
    let two = format!("{}\n", lines[..6].join("\n"));
    world.write(file, two.as_bytes());
    refuses(&world, 7, &[], file, "2 distinct keys signed, the quorum is 3");
    world.write(file, format!("{two}{}\n", lines[5]).as_bytes());
    refuses(&world, 7, &[], file, "two signatures of key");
    world.write(file, checkpoint.replace("\n300\n", "\n299\n").as_bytes());
    refuses(&world, 7, &[], file, "does not verify");
    world.write(file, lines[..3].join("\n").as_bytes());
    refuses(&world, 7, &[], file, "no signed note");
    world.write(file, checkpoint.as_bytes());
    // One key three times in the list is one key.
    let key = &world.keys[0];
    world.write("keys.txt", format!("{key}\n{key}\n{key}\n").as_bytes());
    refuses(&world, 7, &[], file, "1 distinct keys signed");
    world.write("keys.txt", key.replacen(ORIGIN, "example.org/other", 1).as_bytes());
    refuses(&world, 7, &[], "keys.txt", "has id");
    world.write("keys.txt", world.text("witnesses.txt").as_bytes());
    refuses(&world, 7, &[], "keys.txt", "no Ed25519 verifier key");
}

#[test]
fn a_history_that_was_rewritten_is_no_prefix() {
    let world = World::new();
    let consistency = ["--consistency", "old-checkpoint"];
    let old = world.text("old-checkpoint");
    world.write("old-checkpoint", old.replace("\n257\n", "\n258\n").as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "does not verify");
    let fork = world.signed_root(OLD_SIZE, [7; 32]);
    world.write("old-checkpoint", fork.as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "no prefix");
    let later = world.signed_root(SIZE + 1, [7; 32]);
    world.write("old-checkpoint", later.as_bytes());
    refuses(&world, 7, &consistency, "old-checkpoint", "beyond 300");
    let (accepted, printed) = audit(&world, 7, &["--quorum", "0"]);
    assert!(!accepted && printed.contains("proves nothing"), "{printed}");
}

/// What the crate refuses in a note, the auditor refuses too, though enough keys signed the text.
#[test]
fn notes_have_the_one_form_that_the_crate_accepts() {
    let world = World::new();
    let (file, good) = ("export/checkpoint", world.text("export/checkpoint"));
    let line = |name: &str, blob: &[u8]| format!("\u{2014} {name} {}\n", BASE64.encode(blob));
    let ignored = format!("{good}{}", line("stranger", &[1; 5]));
    world.write(file, ignored.as_bytes());
    assert!(Note::parse(ignored.as_bytes()).is_ok() && audit(&world, 7, &[]).0);
    let many: String = (0..126_u8).map(|number| line("stranger", &[number, 0, 0, 0, 1])).collect();
    for (more, reason) in [
        (line("stranger", &[1; 4]), "no signature line"),
        (line("", &[1; 5]), "no signature line"),
        (line("a+b", &[1; 5]), "no signature line"),
        (line("a\u{2003}b", &[1; 5]), "no signature line"),
        (line(&"n".repeat(256), &[1; 5]), "no signature line"),
        (line("a\x1b[2J", &[1; 5]), "control character"),
        (line("a\u{9b}", &[1; 5]), "control character"),
        (line("long", &[1; 800_000]), "more than 1048576 bytes"),
        (many, "129 signature lines"),
    ] {
        let note = format!("{good}{more}");
        assert!(Note::parse(note.as_bytes()).is_err(), "{reason}");
        world.write(file, note.as_bytes());
        refuses(&world, 7, &[], file, reason);
    }
    let bytes = [good.as_bytes(), b"\xe2\x80\x94 \xff AAAAAAA=\n"].concat();
    assert!(Note::parse(&bytes).is_err());
    world.write(file, &bytes);
    refuses(&world, 7, &[], file, "not UTF-8");
    world.write(file, good.as_bytes());
    world.write("keys.txt", world.text("keys.txt").replace('\n', "\r\n").as_bytes());
    refuses(&world, 7, &[], "keys.txt", "control character");
}

#[test]
fn neither_keys_nor_signatures_of_small_order_count() {
    let world = World::new();
    for key in SMALL_ORDER {
        assert!(key.parse::<NoteKey<LogCheckpoint>>().is_err());
        world.write("keys.txt", format!("{key}\n").as_bytes());
        refuses(&world, 7, &[], "keys.txt", "small order");
    }
    let key: NoteKey<LogCheckpoint> = STRICT_KEY.parse().expect("a key");
    assert!(Note::parse(SMALL_R.as_bytes()).expect("a note").verified_by(&[key]).is_err());
    world.write("keys.txt", format!("{STRICT_KEY}\n").as_bytes());
    world.write("export/checkpoint", SMALL_R.as_bytes());
    refuses(&world, 7, &["--quorum", "1"], "export/checkpoint", "does not verify");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let world = World::new();
    let bundle = world.path().join("export/tile/entries/001.p/44");
    #[expect(clippy::disallowed_methods, reason = "a hostile folder")]
    std::fs::remove_file(&bundle).expect("a file");
    std::os::unix::fs::symlink("/dev/zero", bundle).expect("a link");
    refuses(&world, 270, &[], "tile/entries/001.p/44", "more than 2883628 bytes");
}

/// A log of equal leaves, of any size: all subtrees of one level are the same.
struct Uniform(Vec<LogHash>);

const LEAF: &[u8] = b"leaf";

impl Uniform {
    fn new() -> Self {
        let above = |hash: &LogHash| Some(LogHash::of_node(hash, hash));
        Self(std::iter::successors(Some(LogHash::of_leaf(LEAF)), above).take(64).collect())
    }

    fn file(&self, path: &TilePath) -> Result<Vec<u8>, String> {
        let item = match path.kind() {
            TileKind::Hashes { level } => {
                self.subtree(8 * u32::from(level), 0)?.as_bytes().to_vec()
            }
            TileKind::Entries => [&[0, LEAF.len() as u8], LEAF].concat(),
        };
        Ok(item.repeat(path.width().into()))
    }
}

impl Subtrees for Uniform {
    type Error = String;

    fn subtree(&self, level: u32, _: u64) -> Result<LogHash, String> {
        self.0.get(level as usize).copied().ok_or_else(|| format!("level {level}"))
    }
}

/// Only the files that the crate fetches for the same proofs are there.
#[test]
fn sizes_beyond_32_bits_are_audited() {
    let uniform = Uniform::new();
    for size in [(1 << 32) + 1, (1 << 40) + 70_000, 1 << 56, 1 << 63, u64::MAX] {
        let world = World::new();
        let files = RefCell::new(BTreeMap::new());
        let fetch = |path: &TilePath| {
            let file = uniform.file(path)?;
            files.borrow_mut().insert(path.to_string(), file.clone());
            Ok::<_, String>(file)
        };
        let root = subtrees::root(&uniform, size).expect("a root");
        let reader = TileTree::open(size, root, fetch).expect("a tree");
        let indices = [0, size / 3, size - 1];
        for index in indices {
            reader.entry(index).expect("a leaf");
            subtrees::inclusion(&reader, index, size).expect("a path");
        }
        for (path, file) in files.borrow().iter() {
            world.write(&format!("export/{path}"), file);
        }
        let checkpoint = world.signed_root(size, *root.as_bytes());
        world.write("export/checkpoint", checkpoint.as_bytes());
        for index in indices {
            let (accepted, printed) = audit(&world, index, &[]);
            assert!(accepted, "{index} of {size}: {printed}");
        }
        refuses(&world, size, &[], "export/checkpoint", "no entry");
    }
}
