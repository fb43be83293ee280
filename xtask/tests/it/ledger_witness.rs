//! `cargo xtask ledger cosign`: a witness that never forgets, and a sidecar that trips nobody.
#![cfg(unix)]

use std::fs;

use crate::cli::{Desk, contents};
use crate::ledger::{ANCHOR, ANCHOR_2, LedgerDesk, desk, flip, shown, value};

const SIDECAR: &str = "artifacts/witness/meta_M5.cosigned";

/// With the key files of two witnesses.
fn with_keys(desk: Desk) -> Desk {
    for name in ["a.key", "b.key"] {
        desk.run(&["key", "create", "--role", "cosigner", "--out", name]).expect_code(0);
    }
    desk
}

fn cosign<'a>(key: &'a str, time: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let (name, state) =
        if key == "a.key" { ("example.org/a", "a.state") } else { ("example.org/b", "b.state") };
    let of_key = ["cosign", "--key", key, "--name", name, "--state", state, "--time", time];
    [&of_key[..], more].concat()
}

#[test]
fn two_witnesses_share_a_sidecar_that_is_counted_and_trips_no_audit() {
    let desk = with_keys(desk());
    let first = shown(desk.ledger(&cosign("a.key", "1000", &[])));
    assert!(value(&first, "last size").starts_with("none"));
    let second = shown(desk.ledger(&cosign("b.key", "1001", &[])));
    assert_eq!(value(&second, "cosignatures"), "2");
    let (a, b) = (value(&first, "witness"), value(&second, "witness"));
    let verify = ["verify", "--witness", &a, "--witness", &b, "--witness-quorum", "2"];
    let text = shown(desk.ledger(&verify));
    assert_eq!(value(&text, "cosigned by"), "2 of 2 witnesses");
    assert!(text.contains("example.org/a at 1000") && text.contains("example.org/b at 1001"));
    let once = ["verify", "--witness", &a, "--witness", &a, "--witness-quorum", "2"];
    desk.ledger(&once).expect_error(1, &[SIDECAR, "1 distinct keys signed, the quorum is 2"]);
    let named = ["verify", "--sidecar", SIDECAR, "--witness", &a, "--anchor", ANCHOR];
    shown(desk.ledger(&named));

    let audit = ["compliance", "--phase", "M5"];
    desk.run(&audit).expect_code(0);
    // The same again, later: one line a witness.
    let again = shown(desk.ledger(&cosign("a.key", "2000", &[])));
    assert_eq!(
        (value(&again, "cosignatures"), value(&again, "last size")),
        ("2".into(), "49".into())
    );
    flip(&desk.path(SIDECAR), 200);
    desk.ledger(&verify).expect_error(1, &[SIDECAR]);
    // Whoever judges cosignatures says so; the run is what it was.
    desk.run(&audit).expect_code(0);
    fs::write(desk.path("artifacts/witness/x"), "x").expect("writable");
    desk.run(&audit).expect_failed("artifact:unlisted", "witness/x");
    fs::remove_file(desk.path("artifacts/witness/x")).expect("removed");
    fs::rename(desk.path(SIDECAR), desk.path("moved")).expect("moved");
    std::os::unix::fs::symlink(desk.path("moved"), desk.path(SIDECAR)).expect("a link");
    desk.run(&audit).expect_failed("artifact:path", "witness/meta_M5.cosigned");
}

#[test]
fn a_later_run_leaves_the_sidecar_and_the_sidecar_knows_its_checkpoint() {
    let desk = with_keys(Desk::with_run());
    let in_run = ["--artifacts", "run"];
    let text = shown(desk.ledger(&cosign("a.key", "1000", &in_run)));
    let witness = value(&text, "witness");
    let sidecar = contents(&desk.path("run/witness"));
    let simulate = ["simulate", "--scenario", "tiny.toml", "--out", "run"];
    desk.run(&simulate).expect_code(0);
    desk.run(&[&simulate[..], &["--seed", "6"]].concat()).expect_code(0);
    assert_eq!(contents(&desk.path("run/witness")), sidecar);
    desk.audit(&[]).expect_code(0);
    let verify = ["verify", "--artifacts", "run", "--witness", &witness];
    desk.ledger(&verify).expect_error(1, &["meta_M5.cosigned", "the cosigned text is"]);

    // The other seed is a fork that the same validators signed, and the witness sees it.
    let before = fs::read(desk.path("a.state")).expect("a state");
    desk.ledger(&cosign("a.key", "1001", &[&in_run[..], &["--out", "elsewhere"]].concat()))
        .expect_error(1, &["merkle/meta_M5.merk is not cosigned", "cosigned"]);
    assert_eq!(fs::read(desk.path("a.state")).expect("a state"), before);
    assert!(!desk.path("elsewhere").exists());
    desk.ledger(&cosign("b.key", "1001", &in_run))
        .expect_error(2, &["meta_M5.cosigned cosigns the checkpoint of", "move it away"]);
    assert!(!desk.path("b.state").exists(), "a refused witness has cosigned nothing");
}

#[test]
fn a_witness_follows_a_growing_log_and_never_goes_back() {
    let desk = with_keys(desk());
    let old = ["--anchor", ANCHOR_2, "--out", "old"];
    shown(desk.ledger(&cosign("a.key", "1000", &old)));
    assert_eq!(fs::read_to_string(desk.path("a.state")).expect("text").lines().nth(1), Some("22"));
    // Without the blocks between, nothing proves the growth.
    fs::rename(desk.path("artifacts/mec/M5/ledger"), desk.path("away")).expect("moved");
    desk.ledger(&cosign("a.key", "1001", &["--out", "new"])).expect_code(1);
    assert!(!desk.path("new").exists());
    fs::rename(desk.path("away"), desk.path("artifacts/mec/M5/ledger")).expect("moved");
    let text = shown(desk.ledger(&cosign("a.key", "1001", &["--out", "new"])));
    assert_eq!(
        (value(&text, "last size"), value(&text, "signed size")),
        ("22".into(), "49".into())
    );
    let parts = ["000002.merk is not cosigned", "size 22, size 49 was cosigned already"];
    desk.ledger(&cosign("a.key", "1002", &["--anchor", ANCHOR_2, "--out", "back"]))
        .expect_error(1, &parts);
    assert!(!desk.path("back").exists());
}

#[test]
fn the_state_is_on_disk_before_the_cosignature_leaves() {
    let desk = with_keys(desk());
    desk.ledger(&cosign("a.key", "1000", &["--out", "none/sidecar"]))
        .expect_error(1, &["cannot write none/sidecar"]);
    assert!(desk.path("a.state").is_file(), "the line could have left");
    let bad_state = cosign("b.key", "1000", &["--out", "sidecar"]);
    let bad_state: Vec<&str> =
        bad_state.iter().map(|word| if *word == "b.state" { "none/state" } else { word }).collect();
    desk.ledger(&bad_state).expect_error(1, &["cannot write none/state"]);
    assert!(!desk.path("sidecar").exists());
}

#[test]
fn unusable_keys_states_and_sidecars_are_refused() {
    let desk = with_keys(desk());
    let out = ["--out", "sidecar"];
    for state in
        ["", "x", "example.org/other-log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"]
    {
        fs::write(desk.path("a.state"), state).expect("writable");
        desk.ledger(&cosign("a.key", "1000", &out))
            .expect_error(2, &["a.state: ", "a witness must not go on"]);
        assert_eq!(fs::read_to_string(desk.path("a.state")).expect("text"), state);
    }
    fs::remove_file(desk.path("a.state")).expect("removed");
    fs::write(desk.path("sidecar"), "x").expect("writable");
    desk.ledger(&cosign("a.key", "1000", &out)).expect_error(1, &["sidecar: "]);
    assert_eq!(fs::read(desk.path("sidecar")).expect("there"), b"x");
    fs::remove_file(desk.path("sidecar")).expect("removed");

    let key = fs::File::open(desk.path("a.key")).expect("there");
    key.lock().expect("nobody has it");
    desk.ledger(&cosign("a.key", "1000", &out)).expect_error(1, &["a.key is in use"]);
    key.unlock().expect("unlocked");
    desk.run(&["key", "create", "--role", "identity", "--out", "c.key"]).expect_code(0);
    desk.ledger(&cosign("c.key", "1000", &out)).expect_error(2, &["c.key", "role cosigner"]);
    let named: Vec<&str> = cosign("a.key", "1000", &out)
        .into_iter()
        .map(|word| if word == "example.org/a" { "a b" } else { word })
        .collect();
    desk.ledger(&named).expect_error(2, &["--name", "a b"]);
    flip(&desk.path(ANCHOR), 700);
    desk.ledger(&cosign("a.key", "1000", &out)).expect_error(1, &["meta_M5.merk"]);
    assert!(!desk.path("a.state").exists() && !desk.path("sidecar").exists());
}
