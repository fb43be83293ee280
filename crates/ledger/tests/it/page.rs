//! docs/protocol/ledger.md: its commands work, and its numbers are those of the code.

use std::os::unix::fs::symlink;
use std::path::Path;

use ledger::note::{MAX_NOTE_BYTES, MAX_SIGNATURES, MAX_TIMESTAMP, SignatureType};
use ledger::tiles::{CHECKPOINT, TILE_WIDTH, TilePath};
use ledger::witness::SIDECAR;

use crate::world::World;

const PAGE: &str = include_str!("../../../../docs/protocol/ledger.md");

#[test]
fn every_command_of_the_page_succeeds_on_the_files_it_names() {
    let world = World::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    symlink(root.join("crates"), world.path().join("crates")).expect("a link");
    let commands: Vec<&str> = PAGE
        .split("```sh\n")
        .skip(1)
        .map(|after| after.split_once("```").expect("an end").0)
        .collect();
    assert_eq!(commands.len(), 4);
    for command in commands {
        let (accepted, printed) = world.run("sh", &["-c", command]);
        assert!(accepted, "{command}: {printed}");
    }
}

#[test]
fn the_page_says_what_the_code_does() {
    for said in [
        format!("at most {MAX_SIGNATURES} lines"),
        format!("at\nmost {} MiB", MAX_NOTE_BYTES >> 20),
        format!("`{SIDECAR}`"),
        format!("| `{CHECKPOINT}` |"),
        format!("{TILE_WIDTH} hashes, {} bytes", 32 * TILE_WIDTH),
        format!("| `{:02}` | validators", SignatureType::Ed25519 as u8),
        format!("| `{:02}` | witnesses", SignatureType::Cosignature as u8),
    ] {
        assert!(PAGE.contains(&said), "{said:?}");
    }
    let bits = 64 - MAX_TIMESTAMP.leading_zeros();
    assert!(PAGE.contains(&format!("at most 2^{bits} − 1")), "the latest time of a cosignature");
    assert!("tile/0/x001/x234/067".parse::<TilePath>().is_ok());
}
