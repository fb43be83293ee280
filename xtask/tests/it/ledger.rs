//! `cargo xtask ledger` on the committed run: what is shown, proved and verified, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cli::{Desk, Ended, contents, copy};
use crate::tree;

/// The committed run has this many blocks; the anchor of epoch 2 proves block 22.
pub(crate) const BLOCKS: u64 = 49;
pub(crate) const EPOCH_2: u64 = 22;
pub(crate) const ANCHOR: &str = "artifacts/merkle/meta_M5.merk";
pub(crate) const ANCHOR_2: &str = "artifacts/merkle/history/meta_M5.000002.merk";
pub(crate) const SYNTHETIC: &str =
    "Root of trust: SYNTHETIC (published keys): proves consistency, not authorship\n";

/// A desk with a copy of the committed run in `artifacts/`, where commands look without being told.
pub(crate) fn desk() -> Desk {
    let desk = Desk::new();
    copy(&tree::root().join("artifacts"), &desk.path("artifacts"));
    desk
}

/// The same run as it was after its second epoch.
pub(crate) fn earlier(desk: &Desk, name: &str) {
    copy(&desk.path("artifacts"), &desk.path(name));
    for height in EPOCH_2 + 1..=BLOCKS {
        let block = format!("{name}/mec/M5/ledger/blocks/{height:08}.blk");
        fs::remove_file(desk.path(&block)).expect("a block");
    }
    for epoch in 3..=5 {
        let anchor = format!("{name}/merkle/history/meta_M5.{epoch:06}.merk");
        fs::remove_file(desk.path(&anchor)).expect("an anchor");
    }
    let last = format!("{name}/merkle/meta_M5.merk");
    fs::copy(desk.path(ANCHOR_2), desk.path(&last)).expect("copied");
}

pub(crate) trait LedgerDesk {
    fn ledger(&self, arguments: &[&str]) -> Ended;
}

impl LedgerDesk for Desk {
    fn ledger(&self, arguments: &[&str]) -> Ended {
        self.run(&[&["ledger"], arguments].concat())
    }
}

/// Standard output of a command that succeeds and says nothing else.
#[track_caller]
pub(crate) fn shown(ended: Ended) -> String {
    let ended = ended.expect_code(0);
    assert_eq!(ended.stderr(), "");
    ended.stdout()
}

/// Value of a line of the human output.
#[track_caller]
pub(crate) fn value(text: &str, name: &str) -> String {
    let split = text.lines().filter_map(|line| line.split_at_checked(14));
    let mut named = split.filter(|(found, _)| found.trim_end() == name);
    named.next().expect("a line of this name").1.to_owned()
}

pub(crate) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("writable");
}

#[test]
fn the_head_is_that_of_the_manifest_and_the_last_anchor_is_signed() {
    let desk = desk();
    let text = shown(desk.ledger(&["show"]));
    assert!(text.starts_with(SYNTHETIC), "{text}");
    let manifest = fs::read(desk.path("artifacts/mec/M5/manifest.json")).expect("readable");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    assert_eq!(value(&text, "size"), manifest["ledger"]["size"].as_str().expect("text"));
    assert_eq!(value(&text, "height"), BLOCKS.to_string());
    assert_eq!(value(&text, "epoch"), "5");
    assert_eq!(value(&text, "blocks"), BLOCKS.to_string());
    assert_eq!(value(&text, "last anchor"), "merkle/meta_M5.merk");
    assert_eq!(value(&text, "signed root"), value(&text, "root"));
    assert_eq!(value(&text, "signed by"), "3 of 4 log keys, the quorum is 3");

    let json = shown(desk.ledger(&["show", "--format", "json"]));
    let json: Value = serde_json::from_str(&json).expect("one document");
    assert_eq!(json["schema"], "prism-federation/ledger-show");
    assert_eq!(json["height"], BLOCKS.to_string());
    assert_eq!(json["root"], value(&text, "root"));
    assert_eq!(json["log_keys"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["root_of_trust"], SYNTHETIC.trim_end());
}

#[test]
fn an_anchor_that_no_quorum_signed_is_shown_as_such() {
    let desk = desk();
    for path in [ANCHOR, "artifacts/merkle/history/meta_M5.000005.merk"] {
        let text = fs::read_to_string(desk.path(path)).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let without_one = format!("{}\n", lines[..lines.len() - 1].join("\n"));
        fs::write(desk.path(path), without_one).expect("writable");
    }
    let text = shown(desk.ledger(&["show"]));
    assert!(value(&text, "signed by").contains("2 distinct keys signed, the quorum is 3"));
    let parts = ["merkle/history/meta_M5.000005.merk", "the quorum is 3"];
    desk.ledger(&["verify"]).expect_error(1, &parts);
    desk.ledger(&["prove", "--block", "1"]).expect_error(1, &["the quorum is 3"]);
    desk.ledger(&["tiles", "--out", "tiles"]).expect_error(1, &["the quorum is 3"]);
    assert!(!desk.path("tiles").exists());
}

#[test]
fn a_block_is_shown_with_its_entries_by_kind() {
    let desk = desk();
    let arguments = ["show", "--block", "12", "--format", "json"];
    let json: Value = serde_json::from_str(&shown(desk.ledger(&arguments))).expect("JSON");
    let before: Value =
        serde_json::from_str(&shown(desk.ledger(&["show", "--block", "11", "--format", "json"])))
            .expect("JSON");
    assert_eq!(json["parent"], before["id"]);
    assert_eq!(json["entries"], serde_json::json!({ "ApplySignoff": "1" }));
    let text = shown(desk.ledger(&["show", "--block", "12"]));
    assert!(text.lines().any(|line| line.contains("ApplySignoff") && line.contains('1')), "{text}");
    let beyond = ["no block of height 50", "head is 49"];
    desk.ledger(&["show", "--block", "50"]).expect_error(2, &beyond);
}

#[test]
fn a_proof_verifies_without_the_ledger_and_nothing_else_does() {
    let desk = desk();
    shown(desk.ledger(&["prove", "--block", "12", "--entry", "0", "--out", "p"]));
    // Only the genesis is needed from here on.
    fs::rename(desk.path("artifacts/mec/M5/genesis.json"), desk.path("genesis.json"))
        .expect("moved");
    fs::rename(desk.path("artifacts"), desk.path("away")).expect("moved");
    let verify = ["verify", "--genesis", "genesis.json", "--proof", "p"];
    let with_entry = [&verify[..], &["--entry", "p.entry", "--item", "p.item"]].concat();
    let text = shown(desk.ledger(&with_entry));
    assert_eq!(value(&text, "block"), "12");
    assert_eq!(value(&text, "entry"), "0: ApplySignoff");
    let block = "away/mec/M5/ledger/blocks/00000012.blk";
    shown(desk.ledger(&[&verify[..], &["--block-file", block]].concat()));
    let other = "away/mec/M5/ledger/blocks/00000013.blk";
    desk.ledger(&[&verify[..], &["--block-file", other]].concat()).expect_error(1, &["p: "]);
    for file in ["p", "p.entry", "p.item"] {
        let good = fs::read(desk.path(file)).expect("readable");
        for at in (0..good.len()).step_by(37) {
            flip(&desk.path(file), at);
            desk.ledger(&with_entry).expect_error(1, &["error: p"]);
            fs::write(desk.path(file), &good).expect("writable");
        }
    }
    fs::write(desk.path("p.entry"), "").expect("writable");
    desk.ledger(&with_entry).expect_error(1, &["p.entry"]);
    desk.ledger(&["verify", "--proof", "q", "--genesis", "genesis.json"])
        .expect_error(2, &["cannot read q", "No such file"]);
}

#[test]
fn a_proof_that_carries_no_header_needs_the_block() {
    let desk = desk();
    let text = shown_proof(&desk, "3");
    let extra = text.lines().find(|line| line.starts_with("extra ")).expect("a header");
    fs::write(desk.path("bare"), text.replace(&format!("{extra}\n"), "")).expect("writable");
    let verify = ["verify", "--proof", "bare"];
    desk.ledger(&verify).expect_error(2, &["bare does not carry the header", "--block-file"]);
    let block = "artifacts/mec/M5/ledger/blocks/00000003.blk";
    let text = shown(desk.ledger(&[&verify[..], &["--block-file", block]].concat()));
    assert_eq!(value(&text, "block"), "3");
}

/// A proof on standard output, with the root of trust on the other one.
fn shown_proof(desk: &Desk, block: &str) -> String {
    let ended = desk.ledger(&["prove", "--block", block]).expect_code(0);
    assert_eq!(ended.stderr(), SYNTHETIC);
    ended.stdout()
}

#[test]
fn proofs_overwrite_nothing_and_say_what_is_missing() {
    let desk = desk();
    let prove = |more: &[&str]| desk.ledger(&[&["prove", "--block", "12"], more].concat());
    fs::write(desk.path("p.item"), "mine").expect("writable");
    prove(&["--entry", "0", "--out", "p"]).expect_error(2, &["p.item", "never overwritten"]);
    assert!(!desk.path("p").exists(), "a part was written");
    assert_eq!(fs::read(desk.path("p.item")).expect("there"), b"mine");
    prove(&["--entry", "1", "--out", "q"]).expect_error(2, &["entry 1", "a block of 1"]);
    prove(&["--out", "none/q"]).expect_error(1, &["cannot write none/q", "No such file"]);
    desk.ledger(&["prove", "--block", "77"]).expect_error(2, &["no block of height 77"]);
    earlier(&desk, "old");
    fs::copy(
        desk.path("artifacts/mec/M5/ledger/blocks/00000023.blk"),
        desk.path("old/mec/M5/ledger/blocks/00000023.blk"),
    )
    .expect("copied");
    desk.ledger(&["prove", "--block", "23", "--artifacts", "old"])
        .expect_error(2, &["block 23 is beyond", "22 blocks"]);
    let none = desk.path("old/merkle");
    fs::remove_dir_all(none).expect("removed");
    desk.ledger(&["prove", "--block", "3", "--artifacts", "old"]).expect_error(1, &["no anchor"]);
}

#[test]
fn whole_artifacts_are_verified_and_every_damage_is_named() {
    let desk = desk();
    let text = shown(desk.ledger(&["verify"]));
    assert_eq!(value(&text, "blocks"), BLOCKS.to_string());
    assert_eq!(value(&text, "anchors"), "6");
    let clean = contents(&desk.path("artifacts"));

    let block = "mec/M5/ledger/blocks/00000012.blk";
    let blob =
        "mec/M5/ledger/blobs/122ee00c5e6f8803581f214888fd3f9a157a0b34fbd4499ed331954ddf525dc9";
    for path in [block, blob, "merkle/meta_M5.merk", "merkle/history/meta_M5.000001.merk"] {
        let file = desk.path("artifacts").join(path);
        let good = fs::read(&file).expect("readable");
        // What stands in certificates, consensus says: `compliance` judges it.
        for at in [0, 40, 100, 150, 250, 300] {
            flip(&file, at);
            desk.ledger(&["verify"]).expect_error(1, &[path]);
            fs::write(&file, &good).expect("writable");
        }
        fs::write(&file, &good[..good.len() - 1]).expect("writable");
        desk.ledger(&["verify"]).expect_error(1, &[path]);
        fs::write(&file, &good).expect("writable");
    }
    fs::remove_file(desk.path("artifacts").join(block)).expect("removed");
    desk.ledger(&["verify"]).expect_error(1, &["00000013.blk", "height 13 cannot follow 11"]);
    // A block under another name, twice.
    let other = desk.path("artifacts/mec/M5/ledger/blocks/00000011.blk");
    fs::copy(other, desk.path("artifacts").join(block)).expect("copied");
    desk.ledger(&["verify"]).expect_error(1, &[block, "height 12 holds block 11"]);

    fs::remove_dir_all(desk.path("artifacts")).expect("removed");
    copy(&tree::root().join("artifacts"), &desk.path("artifacts"));
    assert_eq!(contents(&desk.path("artifacts")), clean);
    fs::remove_file(desk.path("artifacts/mec/M5/ledger/blocks/00000049.blk")).expect("removed");
    desk.ledger(&["verify"])
        .expect_error(1, &["meta_M5", "rolled back", "49 blocks", "the ledger has 48"]);
    fs::write(desk.path("artifacts/mec/M5/ledger/blocks/x.blk"), "x").expect("writable");
    desk.ledger(&["verify"]).expect_error(1, &["ledger/blocks/x.blk"]);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_places_that_are_none_are_refused() {
    let desk = desk();
    let block = desk.path("artifacts/mec/M5/ledger/blocks/00000012.blk");
    fs::rename(&block, desk.path("b")).expect("moved");
    std::os::unix::fs::symlink(desk.path("b"), &block).expect("a link");
    desk.ledger(&["verify"]).expect_error(1, &["00000012.blk", "symbolic link"]);
    fs::remove_file(&block).expect("removed");
    assert!(Command::new("mkfifo").arg(&block).status().expect("mkfifo").success());
    desk.ledger(&["verify"]).expect_error(1, &["00000012.blk", "not a regular file"]);
    for (artifacts, reason) in [("none", "does not exist"), ("b", "is not a directory")] {
        desk.ledger(&["show", "--artifacts", artifacts]).expect_error(1, &[artifacts, reason]);
    }
    fs::create_dir(desk.path("empty")).expect("made");
    desk.ledger(&["show", "--artifacts", "empty"])
        .expect_error(1, &["empty has no mec/M5/genesis.json"]);
    desk.ledger(&["show", "--root-of-trust", "none.toml"])
        .expect_error(3, &["cannot decide", "none.toml"]);
    desk.ledger(&["show", "--genesis", "none.json"]).expect_error(2, &["none.json"]);
    fs::write(desk.path("bad.json"), "{}").expect("writable");
    desk.ledger(&["show", "--genesis", "bad.json"]).expect_error(1, &["bad.json", "expected"]);
}

/// A genesis that names other log keys is another federation's, whoever endorsed it.
#[test]
fn keys_come_only_from_a_genesis_that_the_root_of_trust_vouches_for() {
    let desk = desk();
    let path = desk.path("artifacts/mec/M5/genesis.json");
    let genesis = fs::read_to_string(&path).expect("text");
    let (before, _) = genesis.split_once("\"endorsements\": [").expect("a part");
    fs::write(&path, format!("{before}\"endorsements\": []\n}}\n")).expect("writable");
    for command in [&["show"][..], &["verify"], &["anchor"], &["prove", "--block", "1"]] {
        desk.ledger(command)
            .expect_error(1, &["genesis.json /endorsements", "2 organisations of the root"]);
    }
    let with_run = Desk::with_run();
    let other = with_run.path("run/mec/M5/genesis.json");
    fs::copy(other, &path).expect("copied");
    desk.ledger(&["verify"]).expect_error(1, &["00000001.blk", "cannot follow in ledger"]);
}
