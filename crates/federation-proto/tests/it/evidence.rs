//! Evidence: two signed statements that exclude each other convict their author, and nothing else does.

mod borders;
mod honesty;
mod nesting;

use federation_proto::bounded::Bytes;
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::{DiscardReason, LedgerEntry};
use federation_proto::evidence::{
    Conviction, Evidence, EvidenceError, InForce, Offence, RequestBytes,
};
use federation_proto::genesis::Roster;
use federation_proto::heartbeat::{Heartbeat, LedgerSummary};
use federation_proto::keys::Identity;
use federation_proto::signing::SignatureError;
use federation_proto::update::UpdateCommitment;
use federation_proto::{
    Cycle, Digest, Generation, LaneSequence, LogicalTime, Request, SessionId, Signature, Signed,
    SigningContext,
};

use crate::fixture::{self, changed};
use crate::signing::bound_to_everything;

fn roster() -> Roster {
    fixture::configuration().validate().expect("a good roster")
}

/// The certified ledger: sizes up to nine are known.
fn certified(size: u64) -> Option<Digest> {
    (size < 10).then(|| fixture::digest(&format!("root {size}")))
}

fn verdict(evidence: &Evidence) -> Result<Conviction, EvidenceError> {
    let (roster, context) = (roster(), fixture::context());
    evidence.verify(&[InForce { roster: &roster, context }], certified)
}

/// Two commitments in the fixture's generation and cycle.
fn equivocates(owner: &str) -> Result<Conviction, EvidenceError> {
    let (generation, cycle) = (Generation::ZERO, Cycle::new(11));
    let offence = Offence::Equivocation { generation, cycle };
    Ok(Conviction { node_fingerprint: fixture::public(owner), offence })
}

/// A ledger of seven blocks that is not the others'.
fn diverges(owner: &str) -> Result<Conviction, EvidenceError> {
    let offence = Offence::Divergence { size: 7 };
    Ok(Conviction { node_fingerprint: fixture::public(owner), offence })
}

/// The commitment of a node to the update of this name.
fn commitment(owner: &str, update: &str) -> UpdateCommitment {
    UpdateCommitment {
        node_fingerprint: fixture::public(owner),
        update_hash: fixture::digest(update),
        ..fixture::commitment()
    }
}

fn request(owner: &str, entry: LedgerEntry) -> Request {
    Request { node_fingerprint: fixture::public(owner), entry, ..fixture::request() }
}

fn bytes_of(request: &Signed<Request>) -> RequestBytes {
    Bytes::new(request.to_canonical()).expect("a short request")
}

fn signed(request: Request, owner: &str, context: &SigningContext) -> RequestBytes {
    bytes_of(&Signed::sign(request, &fixture::secret::<Identity>(owner), context))
}

/// A commitment in a request that its author signed.
fn committed(commitment: UpdateCommitment, owner: &str) -> RequestBytes {
    let entry = LedgerEntry::UpdateCommitment(Box::new(commitment));
    signed(request(owner, entry), owner, &fixture::context())
}

fn commitments(first: &RequestBytes, second: &RequestBytes) -> Evidence {
    Evidence::ConflictingCommitments { first: first.clone(), second: second.clone() }
}

/// What is said of the two in either order, which must be the same.
fn between_commitments(
    first: &RequestBytes,
    second: &RequestBytes,
) -> Result<Conviction, EvidenceError> {
    let (one, other) = (verdict(&commitments(first, second)), verdict(&commitments(second, first)));
    assert_eq!(one, other);
    one
}

fn heartbeat(owner: &str) -> Heartbeat {
    Heartbeat {
        node_fingerprint: fixture::public(owner),
        federated_epoch: fixture::epoch(4),
        number: 12,
        timestamp: LogicalTime::new(1_000),
        ledger: LedgerSummary { size: 7, root: fixture::digest("root 7") },
        state_hash: fixture::digest("state 3"),
    }
}

fn forked(heartbeat: Heartbeat) -> Heartbeat {
    let ledger = LedgerSummary { root: fixture::digest("a fork"), ..heartbeat.ledger };
    Heartbeat { ledger, ..heartbeat }
}

fn beat(heartbeat: Heartbeat, owner: &str) -> Signed<Heartbeat> {
    Signed::sign(heartbeat, &fixture::secret(owner), &fixture::context())
}

fn between_heartbeats(
    first: &Signed<Heartbeat>,
    second: &Signed<Heartbeat>,
) -> Result<Conviction, EvidenceError> {
    let pair = |first: &Signed<Heartbeat>, second: &Signed<Heartbeat>| {
        Evidence::ConflictingHeartbeats { first: first.clone(), second: second.clone() }
    };
    let (one, other) = (verdict(&pair(first, second)), verdict(&pair(second, first)));
    assert_eq!(one, other);
    one
}

fn is_invalid(verdict: &Result<Conviction, EvidenceError>, of: &str) -> bool {
    matches!(
        verdict,
        Err(EvidenceError::Signature(SignatureError::Invalid { what, .. })) if *what == of
    )
}

#[test]
fn two_updates_of_one_cycle_convict() {
    let first = committed(commitment("site-1", "one"), "site-1");
    let second = committed(commitment("site-1", "two"), "site-1");
    assert_eq!(between_commitments(&first, &second), equivocates("site-1"));
    // A validator that commits is held to its word like a participant.
    let first = committed(commitment("validator-1", "one"), "validator-1");
    let second = committed(commitment("validator-1", "two"), "validator-1");
    assert_eq!(between_commitments(&first, &second), equivocates("validator-1"));
}

#[test]
fn whatever_surrounds_the_two_updates_does_not_excuse_them() {
    let first = committed(commitment("site-1", "one"), "site-1");
    let later =
        UpdateCommitment { federated_epoch: fixture::epoch(9), ..commitment("site-1", "two") };
    let entry = LedgerEntry::UpdateCommitment(Box::new(later));
    let elsewhere = Request {
        session_id: SessionId::new(Digest::ZERO),
        sequence: LaneSequence::new(77),
        ..request("site-1", entry)
    };
    let second = signed(elsewhere, "site-1", &fixture::context());
    assert_eq!(between_commitments(&first, &second), equivocates("site-1"));
}

#[test]
fn commitments_that_can_both_be_true_convict_nobody() {
    let base = commitment("site-1", "one");
    let first = committed(base.clone(), "site-1");
    let conflict_less = [
        base.clone(),
        // Receipts are what others say of it: gathered again, they may come from others.
        UpdateCommitment { receipts: Vec::new(), ..base },
        UpdateCommitment { cycle: Cycle::new(12), ..commitment("site-1", "two") },
        UpdateCommitment { generation: Generation::new(1), ..commitment("site-1", "two") },
    ];
    for other in conflict_less {
        let second = committed(other, "site-1");
        assert_eq!(between_commitments(&first, &second), Err(EvidenceError::NoConflict));
    }
    let neighbour = committed(commitment("site-2", "two"), "site-2");
    assert_eq!(between_commitments(&first, &neighbour), Err(EvidenceError::NoConflict));
}

/// A cycle has one update, one base and one predecessor. The same update signed again, for a later epoch or in
/// another session, is a retry: an honest site may need one.
#[test]
fn two_stories_about_one_update_convict() {
    let base = commitment("site-1", "one");
    let stories = changed!(base.clone() => UpdateCommitment {
        federated_epoch: fixture::epoch(9),
        generation: base.generation,
        node_fingerprint: base.node_fingerprint,
        cycle: base.cycle,
        previous_update: fixture::digest("another"),
        base_state_hash: fixture::digest("another"),
        update_hash: fixture::digest("another"),
        blob: fixture::digest("another"),
        blob_len: 14,
        parameter_set: federation_proto::update::ParameterSet(1),
        commitment: fixture::proof().statement().1,
        proof_hash: fixture::proof().hash(),
        receipts: Vec::new(),
    });
    let first = committed(base, "site-1");
    for (field, story) in stories {
        let second = committed(story, "site-1");
        let told_twice = ["previous_update", "base_state_hash", "update_hash"].contains(&field);
        let expected =
            if told_twice { equivocates("site-1") } else { Err(EvidenceError::NoConflict) };
        assert_eq!(between_commitments(&first, &second), expected, "{field}");
    }
}

/// Whoever is tried for one misdeed is not tried again for other words about the same cycle.
#[test]
fn one_misdeed_has_one_conviction() {
    let [one, two, three] =
        ["one", "two", "three"].map(|update| committed(commitment("site-1", update), "site-1"));
    let verdicts = [(&one, &two), (&two, &three), (&one, &three)]
        .map(|(first, second)| between_commitments(first, second));
    assert_eq!(verdicts, [(); 3].map(|()| equivocates("site-1")));
    let next = |update: &str| {
        let next = UpdateCommitment { cycle: Cycle::new(12), ..commitment("site-1", update) };
        committed(next, "site-1")
    };
    let another = between_commitments(&next("one"), &next("two"));
    assert!(another.is_ok() && another != equivocates("site-1"), "{another:?}");
    // However a divergence is shown, it is the one of this size.
    let (good, bad) = (heartbeat("site-1"), forked(heartbeat("site-1")));
    let (good, bad) = (beat(good, "site-1"), beat(bad, "site-1"));
    assert_eq!(between_heartbeats(&good, &bad), diverges("site-1"));
    assert_eq!(verdict(&Evidence::DivergentHeartbeat(bad)), diverges("site-1"));
}

#[test]
fn a_forged_or_foreign_request_convicts_nobody() {
    let first = committed(commitment("site-1", "one"), "site-1");
    let entry = LedgerEntry::UpdateCommitment(Box::new(commitment("site-1", "two")));
    let forged = signed(request("site-1", entry.clone()), "site-2", &fixture::context());
    assert!(is_invalid(&between_commitments(&first, &forged), "Request"));
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let foreign = signed(request("site-1", entry.clone()), "site-1", &elsewhere);
        assert!(is_invalid(&between_commitments(&first, &foreign), "Request"));
    }
    // The signature of one request under the other one's content.
    let genuine = Signed::<Request>::from_canonical(first.as_slice()).expect("a request");
    let moved = Signed::from_parts(request("site-1", entry), *genuine.signature());
    assert!(is_invalid(&between_commitments(&first, &bytes_of(&moved)), "Request"));
}

#[test]
fn a_stranger_is_convicted_of_nothing() {
    let stranger = fixture::public::<Identity>("stranger");
    let first = committed(commitment("stranger", "one"), "stranger");
    let second = committed(commitment("stranger", "two"), "stranger");
    let unknown = Err(EvidenceError::UnknownNode(stranger));
    assert_eq!(between_commitments(&first, &second), unknown);
    let good = beat(heartbeat("stranger"), "stranger");
    let bad = beat(forked(heartbeat("stranger")), "stranger");
    assert_eq!(between_heartbeats(&good, &bad), unknown);
    assert_eq!(verdict(&Evidence::DivergentHeartbeat(bad)), unknown);
}

#[test]
fn a_request_that_commits_to_nothing_is_named() {
    let good = committed(commitment("site-1", "one"), "site-1");
    let closed = LedgerEntry::EpochCut(federation_proto::entry::EpochCut {
        federated_epoch: fixture::epoch(4),
        generation: Generation::ZERO,
        included: Vec::new(),
        absent: Vec::new(),
    });
    let other = signed(request("site-1", closed), "site-1", &fixture::context());
    let one = verdict(&commitments(&other, &good));
    assert_eq!(one, Err(EvidenceError::NoCommitment("one")));
    let two = verdict(&commitments(&good, &other));
    assert_eq!(two, Err(EvidenceError::NoCommitment("two")));
}

/// Whoever sends another node's commitments in its own requests must not convict that node, nor itself.
#[test]
fn commitments_of_another_node_convict_neither() {
    let first = committed(commitment("site-1", "one"), "site-2");
    let second = committed(commitment("site-1", "two"), "site-2");
    let refused = verdict(&commitments(&first, &second));
    assert_eq!(refused, Err(EvidenceError::NoCommitment("one")));
    let genuine = committed(commitment("site-1", "one"), "site-1");
    let refused = verdict(&commitments(&genuine, &second));
    assert_eq!(refused, Err(EvidenceError::NoCommitment("two")));
}

#[test]
fn request_bytes_have_one_form() {
    let what = "Signed<Request>";
    let first = committed(commitment("site-1", "one"), "site-1");
    let good = committed(commitment("site-1", "two"), "site-1").as_slice().to_vec();
    let refused = |bytes: Vec<u8>| {
        let second = Bytes::new(bytes).expect("a short request");
        match between_commitments(&first, &second) {
            Err(EvidenceError::Codec(cause)) => cause,
            other => panic!("{other:?}"),
        }
    };
    let trailing = [good.as_slice(), &[0]].concat();
    assert_eq!(refused(trailing), CodecError::TrailingBytes { what, count: 1 });
    // The lane stands behind node and session; its number in two bytes is the same number.
    assert_eq!(good[64], 1);
    let overlong = [&good[..64], &[0x81, 0x00], &good[65..]].concat();
    assert_eq!(refused(overlong), CodecError::NotCanonical { what });
    let short = good[..good.len() - 1].to_vec();
    assert!(matches!(refused(short), CodecError::Malformed { .. }));
    assert!(matches!(refused(Vec::new()), CodecError::Malformed { .. }));
}

#[test]
fn two_roots_of_one_size_convict() {
    let first = beat(heartbeat("site-1"), "site-1");
    let later = Heartbeat {
        federated_epoch: fixture::epoch(9),
        number: 99,
        timestamp: LogicalTime::new(9_000),
        state_hash: fixture::digest("state 9"),
        ..forked(heartbeat("site-1"))
    };
    let second = beat(later, "site-1");
    assert_eq!(between_heartbeats(&first, &second), diverges("site-1"));
}

/// The ledger decides the state: one ledger with two of them is no more true than two ledgers.
#[test]
fn two_states_of_one_size_convict() {
    let first = beat(heartbeat("site-1"), "site-1");
    let state_hash = fixture::digest("another");
    let second = beat(Heartbeat { number: 13, state_hash, ..heartbeat("site-1") }, "site-1");
    assert_eq!(between_heartbeats(&first, &second), diverges("site-1"));
    // With another size there may well be another state.
    let ledger = LedgerSummary { size: 8, root: fixture::digest("root 8") };
    let ahead = beat(Heartbeat { ledger, state_hash, ..heartbeat("site-1") }, "site-1");
    assert_eq!(between_heartbeats(&first, &ahead), Err(EvidenceError::NoConflict));
}

#[test]
fn heartbeats_that_can_both_be_true_convict_nobody() {
    let first = beat(heartbeat("site-1"), "site-1");
    let ahead = LedgerSummary { size: 8, root: fixture::digest("root 8") };
    let both_true = [
        heartbeat("site-1"),
        Heartbeat { number: 13, timestamp: LogicalTime::new(2_000), ..heartbeat("site-1") },
        Heartbeat { federated_epoch: fixture::epoch(5), ..heartbeat("site-1") },
        Heartbeat { ledger: ahead, ..heartbeat("site-1") },
    ];
    for other in both_true {
        let second = beat(other, "site-1");
        assert_eq!(between_heartbeats(&first, &second), Err(EvidenceError::NoConflict));
    }
    let neighbour = beat(forked(heartbeat("site-2")), "site-2");
    assert_eq!(between_heartbeats(&first, &neighbour), Err(EvidenceError::NoConflict));
}

#[test]
fn a_forged_heartbeat_convicts_nobody() {
    let first = beat(heartbeat("site-1"), "site-1");
    let elsewhere = |context: &SigningContext| {
        Signed::sign(forked(heartbeat("site-1")), &fixture::secret::<Identity>("site-1"), context)
    };
    let forgeries = [
        beat(forked(heartbeat("site-1")), "site-2"),
        elsewhere(&fixture::other_federation()),
        elsewhere(&fixture::other_configuration()),
        Signed::from_parts(forked(heartbeat("site-1")), *first.signature()),
        Signed::from_parts(forked(heartbeat("site-1")), Signature::from_bytes(&[0; 64])),
    ];
    for forged in forgeries {
        assert!(is_invalid(&between_heartbeats(&first, &forged), "Heartbeat"));
        assert!(is_invalid(&verdict(&Evidence::DivergentHeartbeat(forged)), "Heartbeat"));
    }
}

#[test]
fn a_root_that_is_not_the_certified_one_convicts() {
    let divergent = |heartbeat| verdict(&Evidence::DivergentHeartbeat(beat(heartbeat, "site-1")));
    assert_eq!(divergent(forked(heartbeat("site-1"))), diverges("site-1"));
    assert_eq!(divergent(heartbeat("site-1")), Err(EvidenceError::NoConflict));
    // Ahead of what is certified: nobody can say yet, so nobody is convicted.
    for size in [10, u64::MAX] {
        let ledger = LedgerSummary { size, root: fixture::digest("root 7") };
        let ahead = Heartbeat { ledger, ..heartbeat("site-1") };
        assert_eq!(divergent(ahead), Err(EvidenceError::UnknownSize(size)));
    }
}

#[test]
fn heartbeats_are_bound() {
    let changed = changed!(heartbeat("site-1") => Heartbeat {
        node_fingerprint: fixture::public("site-2"),
        federated_epoch: fixture::epoch(5),
        number: 13,
        timestamp: LogicalTime::new(1_001),
        ledger: LedgerSummary { size: 8, ..heartbeat("site-1").ledger },
        state_hash: fixture::digest("another"),
    });
    bound_to_everything(&heartbeat("site-1"), changed, &[]);
    let fork = vec![("ledger", forked(heartbeat("site-1")))];
    bound_to_everything(&heartbeat("site-1"), fork, &[]);
}

#[test]
fn kinds_judged_elsewhere_say_where() {
    let invalid = Evidence::InvalidUpdate {
        update: fixture::update_ref(1),
        blob: fixture::digest("blob"),
        reason: DiscardReason::InvalidPayload,
    };
    assert_eq!(verdict(&invalid), Err(EvidenceError::JudgedElsewhere("meta-core")));
    let votes = Evidence::ConflictingVotes(Bytes::new(vec![1, 2, 3]).expect("short"));
    assert_eq!(verdict(&votes), Err(EvidenceError::JudgedElsewhere("consensus-pbft")));
}
