//! `cargo xtask ledger` with stores and tiles: imported, continued, exported, rolled back, restarted, served.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cli::{Desk, Ended, contents};
use crate::ledger::{
    ANCHOR, ANCHOR_2, BLOCKS, EPOCH_2, LedgerDesk, desk, earlier, flip, shown, value,
};
use crate::tree;

/// With the committed run in `store`.
fn desk_with_store() -> Desk {
    let desk = desk();
    shown(desk.ledger(&["import", "--store", "store"]));
    desk
}

#[test]
fn a_store_gives_back_what_it_took_byte_by_byte() {
    let desk = desk_with_store();
    let again = shown(desk.ledger(&["import", "--store", "store"]));
    assert_eq!(value(&again, "new blocks"), "0");
    shown(desk.ledger(&["export", "--store", "store", "--out", "flat"]));
    let source = contents(&desk.path("artifacts/mec/M5/ledger"));
    assert_eq!(contents(&desk.path("flat/ledger")), source);
    assert!(!desk.path("flat.staging").exists());
    let text = shown(desk.ledger(&["verify", "--store", "store"]));
    assert_eq!(value(&text, "blocks"), BLOCKS.to_string());
    assert_eq!(value(&text, "signed size"), BLOCKS.to_string());
    let of_run = shown(desk.ledger(&["show"]));
    let of_store = shown(desk.ledger(&["show", "--store", "store"]));
    for name in ["id", "root", "entries", "blobs", "signed root", "signed by"] {
        assert_eq!(value(&of_store, name), value(&of_run, name), "{name}");
    }
    let proofs = ["artifacts", "store"].map(|place| {
        let place = [if place == "store" { "--store" } else { "--artifacts" }, place];
        desk.ledger(&[&["prove", "--block", "30"], &place[..]].concat()).expect_code(0).stdout()
    });
    assert_eq!(proofs[0], proofs[1]);
}

#[test]
fn reading_changes_no_byte_of_a_store() {
    let desk = desk_with_store();
    let before = fs::read(desk.path("store")).expect("readable");
    for command in [&["show"][..], &["verify"], &["prove", "--block", "1"]] {
        desk.ledger(&[command, &["--store", "store"]].concat()).expect_code(0);
    }
    desk.ledger(&["export", "--store", "store", "--out", "flat"]).expect_code(0);
    assert_eq!(fs::read(desk.path("store")).expect("readable"), before);
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let desk = desk_with_store();
    fs::create_dir(desk.path("flat")).expect("made");
    fs::write(desk.path("flat/mine"), "mine").expect("writable");
    desk.ledger(&["export", "--store", "store", "--out", "flat"])
        .expect_error(2, &["flat", "it is there already"]);
    assert_eq!(contents(&desk.path("flat")).len(), 1);
    let before = fs::read(desk.path("store")).expect("readable");
    desk.ledger(&["anchor", "--restart", "store"])
        .expect_error(2, &["store: ", "never overwritten"]);
    assert_eq!(fs::read(desk.path("store")).expect("readable"), before);
    desk.ledger(&["export", "--store", "store", "--out", "/proc/flat"])
        .expect_error(1, &["/proc/flat", "nothing was changed"]);
    desk.ledger(&["import", "--store", "none/store"])
        .expect_error(1, &["none/store: there is no such directory"]);
    desk.ledger(&["anchor", "--restart", "none/store"])
        .expect_error(1, &["none/store: there is no such directory"]);
}

#[test]
fn files_that_are_no_stores_are_refused() {
    let desk = desk();
    desk.ledger(&["show", "--store", "store"]).expect_error(2, &["store: there is no store"]);
    desk.ledger(&["migrate", "--store", "store"]).expect_error(2, &["store: there is no store"]);
    fs::write(desk.path("empty"), "").expect("writable");
    desk.ledger(&["show", "--store", "empty"]).expect_error(1, &["empty: ", "the file is empty"]);
    desk.ledger(&["import", "--store", "empty"]).expect_error(1, &["empty: "]);
    assert_eq!(fs::metadata(desk.path("empty")).expect("there").len(), 0);
    for command in ["show", "import", "verify", "migrate"] {
        let before = fs::read(desk.path("tiny.toml")).expect("readable");
        desk.ledger(&[command, "--store", "tiny.toml"]).expect_error(1, &["tiny.toml: "]);
        assert_eq!(fs::read(desk.path("tiny.toml")).expect("still there"), before);
    }
}

#[test]
fn every_damaged_byte_of_a_store_is_found_and_its_block_named() {
    let desk = desk_with_store();
    let store = desk.path("store");
    let good = fs::read(&store).expect("readable");
    let block = fs::read(desk.path("artifacts/mec/M5/ledger/blocks/00000012.blk")).expect("there");
    // A part of the batch that no other block has.
    let part = &block[300..340];
    let at = good.windows(part.len()).position(|window| window == part).expect("in the store");
    flip(&store, at);
    for command in [&["verify"][..], &["show", "--block", "12"], &["prove", "--block", "12"]] {
        desk.ledger(&[command, &["--store", "store"]].concat())
            .expect_error(1, &["store: corrupt: block ", "damaged"]);
    }
    let failed = desk.ledger(&["export", "--store", "store", "--out", "flat"]).expect_code(1);
    assert!(failed.stderr().contains("damaged"), "{}", failed.stderr());
    assert!(!desk.path("flat").exists() && !desk.path("flat.staging").exists());
    fs::write(&store, &good[..good.len() / 2]).expect("writable");
    desk.ledger(&["verify", "--store", "store"]).expect_code(1);
}

#[test]
fn a_store_in_use_is_left_alone() {
    let desk = desk_with_store();
    let store = fs::File::open(desk.path("store")).expect("there");
    store.lock().expect("nobody else has it");
    for command in [
        &["show", "--store", "store"][..],
        &["verify", "--store", "store"],
        &["import", "--store", "store"],
        &["migrate", "--store", "store"],
        &["export", "--store", "store", "--out", "flat"],
    ] {
        desk.ledger(command).expect_error(1, &["store: the store is in use", "another process"]);
    }
    store.unlock().expect("unlocked");
    store.lock_shared().expect("nobody writes");
    shown(desk.ledger(&["show", "--store", "store"]));
    desk.ledger(&["import", "--store", "store"]).expect_error(1, &["the store is in use"]);
}

#[test]
fn an_older_store_is_caught_by_an_anchor_kept_elsewhere() {
    let desk = desk();
    earlier(&desk, "old");
    shown(desk.ledger(&["import", "--store", "store", "--artifacts", "old"]));
    let text = shown(desk.ledger(&["verify", "--store", "store", "--anchor", ANCHOR_2]));
    assert_eq!(value(&text, "size"), EPOCH_2.to_string());
    let parts = ["store: rolled back", "49 blocks is known", "the ledger has 22"];
    desk.ledger(&["verify", "--store", "store", "--anchor", ANCHOR]).expect_error(1, &parts);
    desk.ledger(&["verify", "--artifacts", "old", "--anchor", ANCHOR])
        .expect_error(1, &["old: rolled back"]);
    let continued = shown(desk.ledger(&["import", "--store", "store"]));
    assert_eq!(value(&continued, "new blocks"), (BLOCKS - EPOCH_2).to_string());
    shown(desk.ledger(&["verify", "--store", "store", "--anchor", ANCHOR]));
    desk.ledger(&["verify", "--store", "store", "--anchor", "none"])
        .expect_error(2, &["cannot read none"]);
}

#[test]
fn a_bad_run_leaves_no_store() {
    let desk = desk();
    flip(&desk.path("artifacts/mec/M5/ledger/blocks/00000040.blk"), 200);
    desk.ledger(&["import", "--store", "store"]).expect_error(1, &["00000040.blk"]);
    assert!(!desk.path("store").exists());
}

#[test]
fn a_store_restarts_from_an_anchor_and_catches_up() {
    let desk = desk();
    let text = shown(desk.ledger(&["anchor", "--anchor", ANCHOR_2, "--restart", "store"]));
    assert!(value(&text, "rollback").starts_with("block 22 of "), "{text}");
    let state = value(&text, "its state");
    assert!(desk.path("artifacts").join(&state).is_file(), "{state}");
    let text = shown(desk.ledger(&["show", "--store", "store"]));
    assert_eq!((value(&text, "size"), value(&text, "blocks")), ("22".into(), "0".into()));
    assert_eq!(value(&text, "begins after"), "the anchored block 22");
    let taken = shown(desk.ledger(&["import", "--store", "store"]));
    assert_eq!(value(&taken, "new blocks"), (BLOCKS - EPOCH_2).to_string());
    let text = shown(desk.ledger(&["verify", "--store", "store", "--anchor", ANCHOR]));
    assert_eq!(value(&text, "blocks"), (BLOCKS - EPOCH_2).to_string());
    desk.ledger(&["show", "--store", "store", "--block", "22"])
        .expect_error(2, &["before the anchor at 22"]);

    shown(desk.ledger(&["prove", "--block", "12", "--out", "p"]));
    desk.ledger(&["anchor", "--anchor", "p", "--restart", "q"]).expect_error(1, &["error: p: "]);
    assert!(!desk.path("q").exists());
    flip(&desk.path(ANCHOR), 700);
    desk.ledger(&["anchor", "--restart", "q"]).expect_error(1, &["meta_M5.merk"]);
    assert!(!desk.path("q").exists());
}

#[test]
fn a_store_of_the_present_format_needs_no_migration_and_an_old_one_gets_it() {
    let desk = desk_with_store();
    let before = shown(desk.ledger(&["show", "--store", "store"]));
    let text = shown(desk.ledger(&["migrate", "--store", "store"]));
    assert_eq!(value(&text, "format before"), value(&text, "format"));
    assert_eq!(shown(desk.ledger(&["show", "--store", "store"])), before);
    let old = tree::root().join("crates/ledger/tests/fixtures/format1.redb");
    fs::copy(old, desk.path("old")).expect("copied");
    // Another federation's, as every fixture; so it is looked at by the commands that need no genesis.
    desk.ledger(&["export", "--store", "old", "--out", "flat"])
        .expect_error(2, &["old: the store has format 1", "ledger migrate"]);
    let text = shown(desk.ledger(&["migrate", "--store", "old"]));
    assert_eq!(
        (value(&text, "format before"), value(&text, "blocks read")),
        ("1".into(), "40".into())
    );
    shown(desk.ledger(&["export", "--store", "old", "--out", "flat"]));
    assert_eq!(contents(&desk.path("flat/ledger/blocks")).len(), 40);
    desk.ledger(&["show", "--store", "old"]).expect_error(1, &["old: the store holds ledger"]);
}

/// The log keys as the auditor reads them, one a line.
fn keys(desk: &Desk) -> PathBuf {
    let json = shown(desk.ledger(&["show", "--format", "json"]));
    let json: Value = serde_json::from_str(&json).expect("one document");
    let keys = json["log_keys"].as_array().expect("a list").iter();
    let keys: String = keys.map(|key| format!("{}\n", key.as_str().expect("text"))).collect();
    fs::write(desk.path("keys.txt"), keys).expect("writable");
    desk.path("keys.txt")
}

/// What the auditor in Python, which shares no code with us, says of a folder of tiles.
fn audited(desk: &Desk, index: u64, more: &[&str]) -> Ended {
    let auditor = tree::root().join("crates/ledger/auditor/audit_tiles.py");
    let mut command = Command::new("python3");
    command.current_dir(desk.path("")).arg(auditor).arg("--keys").arg(keys(desk));
    command.args(["--quorum", "3", "--index", &index.to_string()]).args(more).arg("tiles");
    Ended(command.output().expect("python3"))
}

#[test]
fn tiles_of_a_run_are_audited_in_another_language() {
    let desk = desk();
    earlier(&desk, "old");
    let text = shown(desk.ledger(&["tiles", "--artifacts", "old", "--out", "tiles"]));
    assert_eq!((value(&text, "size before"), value(&text, "size")), ("0".into(), "22".into()));
    fs::copy(desk.path("tiles/checkpoint"), desk.path("before")).expect("copied");
    let text = shown(desk.ledger(&["tiles", "--out", "tiles"]));
    assert_eq!((value(&text, "size before"), value(&text, "size")), ("22".into(), "49".into()));
    for index in [0, 21, 48] {
        let more = ["--consistency", "before"];
        let said = audited(&desk, index, &more).expect_code(0).stdout();
        assert!(said.contains("is proven") && said.contains("size 22 is a prefix"), "{said}");
    }
    audited(&desk, 49, &[]).expect_code(1);
    let served = contents(&desk.path("tiles"));
    shown(desk.ledger(&["tiles", "--out", "tiles"]));
    assert_eq!(contents(&desk.path("tiles")), served);
    flip(&desk.path("tiles/tile/entries/000.p/49"), 100);
    let refused = audited(&desk, 3, &[]).expect_code(1);
    assert!(refused.stderr().contains("an entry is not the one in the tree"));
}

#[test]
fn tiles_go_nowhere_else() {
    let desk = desk();
    shown(desk.ledger(&["tiles", "--out", "tiles"]));
    let served = contents(&desk.path("tiles"));
    earlier(&desk, "old");
    desk.ledger(&["tiles", "--artifacts", "old", "--out", "tiles"])
        .expect_error(2, &["49 leaves already", "22"]);
    assert_eq!(contents(&desk.path("tiles")), served);
    // The other run's log is shorter, and has the same origin and keys.
    let other = Desk::with_run();
    shown(other.ledger(&["tiles", "--artifacts", "run", "--out", "tiles"]));
    fs::rename(other.path("tiles"), desk.path("others")).expect("moved");
    let theirs = contents(&desk.path("others"));
    desk.ledger(&["tiles", "--out", "others"]).expect_error(1, &["others/checkpoint: "]);
    assert_eq!(contents(&desk.path("others")), theirs);
    desk.ledger(&["tiles", "--out", "artifacts"]).expect_error(2, &["artifacts", "other things"]);
    desk.ledger(&["tiles", "--out", "tiny.toml"]).expect_error(2, &["tiny.toml"]);
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_the_old_checkpoint_with_its_tiles() {
    let desk = desk();
    earlier(&desk, "old");
    shown(desk.ledger(&["tiles", "--artifacts", "old", "--out", "tiles"]));
    let before = contents(&desk.path("tiles"));
    // No file may grow beyond 8 KiB: the leaves of 49 blocks do not fit.
    let limited = format!(
        "ulimit -f 8; trap '' XFSZ; exec '{}' ledger tiles --out tiles",
        env!("CARGO_BIN_EXE_xtask")
    );
    let mut shell = Command::new("bash");
    let ended = shell.current_dir(desk.path("")).args(["-c", &limited]).output().expect("bash");
    Ended(ended).expect_error(1, &["tiles/tile/entries/000.p/49", "it is as it was"]);
    assert_eq!(contents(&desk.path("tiles")), before);
    let limited = limited.replace("ledger tiles --out tiles", "ledger import --store store");
    let mut shell = Command::new("bash");
    let ended = shell.current_dir(desk.path("")).args(["-c", &limited]).output().expect("bash");
    Ended(ended).expect_error(1, &["store: "]);
}
