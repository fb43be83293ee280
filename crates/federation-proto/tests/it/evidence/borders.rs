//! Evidence across a border between configurations: two halves of one lie may stand on either side of it.

use federation_proto::entry::LedgerEntry;
use federation_proto::evidence::{Conviction, Evidence, EvidenceError, InForce};
use federation_proto::genesis::{Configuration, Roster};
use federation_proto::governed::QuarantineOpened;
use federation_proto::keys::Identity;
use federation_proto::{Signed, SigningContext};

use super::{
    between_commitments, certified, commitment, commitments, committed, diverges, equivocates,
    forked, heartbeat, is_invalid, request, roster, signed,
};
use crate::fixture;

/// The next configuration: site-4 left.
fn next() -> Roster {
    let mut next = Configuration { number: 1, ..fixture::configuration() };
    next.participants.truncate(3);
    next.validate().expect("a good roster")
}

fn context_of(roster: &Roster) -> SigningContext {
    SigningContext { config_digest: roster.digest(), ..fixture::context() }
}

/// The verdict of whoever knows these configurations.
fn judged(evidence: &Evidence, rosters: &[&Roster]) -> Result<Conviction, EvidenceError> {
    let in_force: Vec<_> =
        rosters.iter().map(|roster| InForce { roster, context: context_of(roster) }).collect();
    evidence.verify(&in_force, certified)
}

#[test]
fn a_lie_on_both_sides_of_a_border_convicts() {
    let (old, new) = (roster(), next());
    let before = committed(commitment("site-1", "one"), "site-1");
    let entry = LedgerEntry::UpdateCommitment(Box::new(commitment("site-1", "two")));
    let after = signed(request("site-1", entry), "site-1", &context_of(&new));
    for (first, second) in [(&before, &after), (&after, &before)] {
        let evidence = commitments(first, second);
        for rosters in [[&old, &new], [&new, &old]] {
            assert_eq!(judged(&evidence, &rosters), equivocates("site-1"));
        }
        // Who knows one side only cannot say who signed the other half.
        for roster in [&old, &new] {
            assert!(is_invalid(&judged(&evidence, &[roster]), "Request"));
        }
    }

    let key = fixture::secret::<Identity>("site-1");
    let first = Signed::sign(heartbeat("site-1"), &key, &context_of(&old));
    let second = Signed::sign(forked(heartbeat("site-1")), &key, &context_of(&new));
    let evidence = Evidence::ConflictingHeartbeats { first, second: second.clone() };
    assert_eq!(judged(&evidence, &[&old, &new]), diverges("site-1"));
    let evidence = Evidence::DivergentHeartbeat(second);
    assert_eq!(judged(&evidence, &[&old, &new]), diverges("site-1"));
}

/// What a site said while it was a member counts after it left, and nothing that it says later.
#[test]
fn who_left_answers_for_the_time_before() {
    let (old, new) = (roster(), next());
    let [one, two] = ["one", "two"].map(|update| committed(commitment("site-4", update), "site-4"));
    let evidence = commitments(&one, &two);
    assert_eq!(judged(&evidence, &[&old, &new]), equivocates("site-4"));
    let stranger = fixture::public::<Identity>("site-4");
    assert_eq!(judged(&evidence, &[&new]), Err(EvidenceError::UnknownNode(stranger)));
    assert_eq!(judged(&evidence, &[]), Err(EvidenceError::UnknownNode(stranger)));
    let entry = LedgerEntry::UpdateCommitment(Box::new(commitment("site-4", "two")));
    let late = signed(request("site-4", entry), "site-4", &context_of(&new));
    assert!(is_invalid(&judged(&commitments(&one, &late), &[&old, &new]), "Request"));
}

/// A quarantine stops the node that the evidence convicts and no other.
#[test]
fn a_quarantine_names_whom_its_evidence_convicts() {
    let [one, two] = ["one", "two"].map(|update| committed(commitment("site-1", update), "site-1"));
    assert_eq!(between_commitments(&one, &two), equivocates("site-1"));
    let (roster, context) = (roster(), fixture::context());
    let in_force = [InForce { roster: &roster, context }];
    let opened = |owner: &str, evidence| QuarantineOpened {
        federated_epoch: fixture::epoch(4),
        node_fingerprint: fixture::public(owner),
        evidence,
    };
    let good = opened("site-1", commitments(&one, &two));
    assert_eq!(good.verify(&in_force, certified), equivocates("site-1"));
    let (named, convicted) = (fixture::public("site-2"), fixture::public("site-1"));
    let other = opened("site-2", commitments(&one, &two));
    let refusal = EvidenceError::OtherNode { named, convicted };
    assert_eq!(other.verify(&in_force, certified), Err(refusal));
    // Nor is anybody stopped by evidence that convicts nobody.
    let nothing = opened("site-1", commitments(&one, &one));
    assert_eq!(nothing.verify(&in_force, certified), Err(EvidenceError::NoConflict));
}
