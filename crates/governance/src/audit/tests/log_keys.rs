//! The keys of a log, from a genesis that somebody vouches for.

use ledger::{Anchor, VerifiedCheckpoint};

use super::fixture::run_set;
use crate::artifact::{ANCHOR, GENESIS};
use crate::audit::{Check, LogKeys};
use crate::trust::RootOfTrust;

fn synthetic() -> RootOfTrust {
    RootOfTrust::synthetic().expect("the shipped root")
}

#[test]
fn a_vouched_genesis_gives_the_keys_that_signed_the_anchor() {
    let set = run_set();
    let keys = LogKeys::of_genesis(&set[GENESIS], &synthetic()).expect("a genesis");
    let anchor = Anchor::parse(&set[ANCHOR]).expect("an anchor");
    let verified =
        VerifiedCheckpoint::verify(anchor.note(), keys.origin(), keys.keys(), keys.quorum())
            .expect("signed by a quorum");
    assert_eq!((keys.keys().len(), keys.quorum()), (4, 3));
    let names = verified.signers().iter().map(|key| keys.validator(key).expect("a validator"));
    assert!(names.into_iter().all(|name| name.as_str().starts_with("validator-")));
    let ids = String::from_utf8(set[GENESIS].clone()).expect("text");
    assert!(ids.contains(&keys.ledger_id().to_string()));
}

#[test]
fn a_genesis_that_nobody_vouches_for_gives_no_keys() {
    let genesis = String::from_utf8(run_set()[GENESIS].clone()).expect("text");
    let refused = |text: &str, trust: &RootOfTrust| {
        LogKeys::of_genesis(text.as_bytes(), trust).map(|_| ()).expect_err("refused").0.check
    };
    let text = include_str!("../../../trust/synthetic-m5.toml");
    let live = text.replace("kind = \"synthetic\"", "kind = \"live\"");
    let live = RootOfTrust::parse(live.as_bytes()).expect("a root");
    assert_eq!(refused(&genesis, &live), Check::RosterEpoch);
    let without = genesis.split("\"endorsements\": [").next().expect("a part");
    let without = format!("{without}\"endorsements\": []\n}}\n");
    assert_eq!(refused(&without, &synthetic()), Check::GovQuorum);
    let readable = genesis.replacen("\"document\": 2", "\"document\": 1", 1);
    assert_eq!(refused(&readable, &synthetic()), Check::Schema);
    assert_eq!(refused("{}", &synthetic()), Check::Schema);
}
