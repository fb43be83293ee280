//! A node that says one thing of everything is never convicted, whoever picks and pairs its statements.

use federation_proto::evidence::{Evidence, RequestBytes};
use federation_proto::heartbeat::{Heartbeat, LedgerSummary};
use federation_proto::update::UpdateCommitment;
use federation_proto::{
    Cycle, Generation, LaneSequence, LedgerEntry, LogicalTime, NodeFingerprint, Request, Signed,
};
use proptest::prelude::*;

use super::{beat, commitment, commitments, heartbeat, request, signed, verdict};
use crate::fixture;

/// What a statement is about, and which story it tells of it. An honest node knows one story: the true one.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Heartbeat { size: u64, number: u64, story: u8 },
    Commitment { generation: u64, cycle: u64, sequence: u64, story: u8 },
}

/// A statement as it is passed around.
#[derive(Clone, Debug)]
enum Passed {
    Heartbeat(Signed<Heartbeat>),
    Commitment(RequestBytes),
}

/// Small numbers, so that many statements are about the same thing; sizes beyond what is certified too.
fn said(stories: u8) -> impl Strategy<Value = Said> {
    prop_oneof![
        (7u64..12, 0u64..3, 0..stories).prop_map(|(size, number, story)| Said::Heartbeat {
            size,
            number,
            story
        }),
        (0u64..2, 0u64..2, 3u64..5, 0..stories).prop_map(|(generation, cycle, sequence, story)| {
            Said::Commitment { generation, cycle, sequence, story }
        }),
    ]
}

impl Said {
    fn by(&self, owner: &str) -> Passed {
        match *self {
            Self::Heartbeat { size, number, story } => {
                let root = match story {
                    2 => fixture::digest(&format!("root {size}, story {story}")),
                    _ => fixture::digest(&format!("root {size}")),
                };
                let state_hash = match story {
                    1 => fixture::digest(&format!("state {size}, story {story}")),
                    _ => fixture::digest(&format!("state {size}")),
                };
                let ledger = LedgerSummary { size, root };
                let timestamp = LogicalTime::new(number);
                let said = Heartbeat { number, timestamp, ledger, state_hash, ..heartbeat(owner) };
                Passed::Heartbeat(beat(said, owner))
            }
            Self::Commitment { generation, cycle, sequence, story } => {
                // Three stories: the true update, another one, and the true one on another base.
                let update = format!("{generation} {cycle} {}", story % 2);
                let base = if story == 2 { "another state" } else { "state 3" };
                let said = UpdateCommitment {
                    generation: Generation::new(generation),
                    cycle: Cycle::new(cycle),
                    base_state_hash: fixture::digest(base),
                    ..commitment(owner, &update)
                };
                // The same word may be sent in several requests.
                let entry = LedgerEntry::UpdateCommitment(Box::new(said));
                let sequence = LaneSequence::new(sequence);
                let asked = Request { sequence, ..request(owner, entry) };
                Passed::Commitment(signed(asked, owner, &fixture::context()))
            }
        }
    }

    /// Whether the two are about one thing and tell two stories of it.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Heartbeat { size: a, story: one, .. },
                Self::Heartbeat { size: b, story: two, .. },
            ) => a == b && one != two,
            (
                Self::Commitment { generation: g, cycle: a, story: one, .. },
                Self::Commitment { generation: h, cycle: b, story: two, .. },
            ) => (g, a) == (h, b) && one != two,
            _ => false,
        }
    }
}

/// All evidence that can be made of two statements.
fn evidence(first: &Passed, second: &Passed) -> Vec<Evidence> {
    match (first, second) {
        (Passed::Heartbeat(first), Passed::Heartbeat(second)) => vec![
            Evidence::ConflictingHeartbeats { first: first.clone(), second: second.clone() },
            Evidence::DivergentHeartbeat(first.clone()),
        ],
        (Passed::Commitment(first), Passed::Commitment(second)) => {
            vec![commitments(first, second)]
        }
        (Passed::Heartbeat(heartbeat), _) => vec![Evidence::DivergentHeartbeat(heartbeat.clone())],
        _ => Vec::new(),
    }
}

fn convicted(evidence: &Evidence) -> Option<NodeFingerprint> {
    verdict(evidence).ok().map(|conviction| conviction.node_fingerprint)
}

/// The same two statements the other way round.
fn turned(evidence: &Evidence) -> Evidence {
    match evidence.clone() {
        Evidence::ConflictingHeartbeats { first, second } => {
            Evidence::ConflictingHeartbeats { first: second, second: first }
        }
        Evidence::ConflictingCommitments { first, second } => {
            Evidence::ConflictingCommitments { first: second, second: first }
        }
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_honest_node_is_never_convicted(
        honest in prop::collection::vec(said(1), 1..4),
        liar in prop::collection::vec(said(3), 0..3),
    ) {
        let node = fixture::public("site-1");
        let honest = honest.iter().map(|said| said.by("site-1"));
        let passed: Vec<_> = honest.chain(liar.iter().map(|said| said.by("site-2"))).collect();
        for first in &passed {
            for second in &passed {
                for evidence in evidence(first, second) {
                    prop_assert_ne!(convicted(&evidence), Some(node), "{:?}", evidence);
                }
            }
        }
    }

    #[test]
    fn two_stories_convict_their_author_and_one_does_not(first in said(3), second in said(3)) {
        let (one, two) = (first.by("site-2"), second.by("site-2"));
        let pair = match (&one, &two) {
            (Passed::Heartbeat(one), Passed::Heartbeat(two)) => {
                Evidence::ConflictingHeartbeats { first: one.clone(), second: two.clone() }
            }
            (Passed::Commitment(one), Passed::Commitment(two)) => commitments(one, two),
            _ => return Ok(()),
        };
        let expected = first.excludes(&second).then(|| fixture::public("site-2"));
        prop_assert_eq!(convicted(&pair), expected);
        prop_assert_eq!(verdict(&turned(&pair)), verdict(&pair));
        if let (Passed::Heartbeat(one), Said::Heartbeat { size, story, .. }) = (one, first) {
            let expected = (size < 10 && story == 2).then(|| fixture::public("site-2"));
            prop_assert_eq!(convicted(&Evidence::DivergentHeartbeat(one)), expected);
        }
    }
}
