//! Liars with names: what they do, and what it leads to.

use consensus_pbft::{
    Commit, ConsensusMessage, Equivocation, EvidenceError, Input, PrePrepare, Prepare, Proposal,
    Rejection, SafetyRecord,
};
use federation_proto::codec::Canonical;
use federation_proto::{Digest, SequenceNumber, Signed, View};
use proptest::prelude::*;

use crate::federation::{batch, committee, committee_of, consensus_key, genesis, id};
use crate::world::{Event, World};

fn propose(world: &World, numbers: &[u64], sequence: u64) -> ConsensusMessage {
    let context = *world.committee.context();
    let body = PrePrepare {
        view: View::ZERO,
        sequence: SequenceNumber::new(sequence),
        digest: world.digest_of(numbers, sequence),
        replica: id(0),
    };
    ConsensusMessage::Proposal(Proposal {
        pre_prepare: Signed::sign(body, &consensus_key(0), &context),
        batch: batch(&context, numbers),
    })
}

fn prepare(world: &World, replica: usize, digest: Digest) -> ConsensusMessage {
    let body = Prepare {
        view: View::ZERO,
        sequence: SequenceNumber::new(1),
        digest,
        replica: id(replica),
    };
    let context = world.committee.context();
    ConsensusMessage::Prepare(Signed::sign(body, &consensus_key(replica), context))
}

fn commit(world: &World, replica: usize, digest: Digest) -> ConsensusMessage {
    let body =
        Commit { view: View::ZERO, sequence: SequenceNumber::new(1), digest, replica: id(replica) };
    let context = world.committee.context();
    ConsensusMessage::Commit(Signed::sign(body, &consensus_key(replica), context))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The equivocator is primary, signs two batches and votes for both; everything arrives in any order.
    #[test]
    fn an_equivocating_primary_never_gets_two_batches_committed(
        first_gets in prop::collection::vec(0_u8..4, 3),
        picks in prop::collection::vec(any::<u16>(), 0..200),
    ) {
        let mut world = World::new(4);
        world.crash(0);
        let both = [propose(&world, &[1], 1), propose(&world, &[2], 1)];
        let digests = [world.digest_of(&[1], 1), world.digest_of(&[2], 1)];
        for (index, gets) in (1..4).zip(first_gets) {
            // Bit 0: which one first. Bit 1: whether the other follows.
            let order = usize::from(gets & 1);
            world.queue.push(Event::Deliver(index, both[order].clone()));
            if gets & 2 != 0 {
                world.queue.push(Event::Deliver(index, both[1 - order].clone()));
            }
            for digest in digests {
                world.queue.push(Event::Deliver(index, commit(&world, 0, digest)));
            }
        }
        for pick in picks {
            if world.queue.is_empty() {
                break;
            }
            let position = usize::from(pick) % world.queue.len();
            world.step(position);
        }
        world.run();
        world.check_safety();
        for node in &world.nodes[1..] {
            // Each got both COMMITs of the liar, so each can prove the lie, whatever happened else.
            prop_assert!(!node.evidence.is_empty());
            for evidence in &node.evidence {
                prop_assert_eq!(evidence.verify(&world.committee), Ok(id(0)));
            }
        }
    }
}

#[test]
fn the_first_of_two_proposals_counts_and_the_pair_is_evidence() {
    let mut world = World::new(4);
    let (a, b) = (propose(&world, &[1], 1), propose(&world, &[2], 1));
    world.input(1, Input::Message(a));
    world.input(1, Input::Message(b.clone()));
    world.run();
    let node = &world.nodes[1];
    let [Equivocation::PrePrepare { first, second }] = &node.evidence[..] else {
        panic!("one piece of evidence: {:?}", node.evidence);
    };
    assert_eq!(first.claimed().digest, world.digest_of(&[1], 1));
    assert_eq!(second.claimed().digest, world.digest_of(&[2], 1));
    let [ConsensusMessage::Prepare(vote)] = &node.sent[..] else {
        panic!("one vote");
    };
    assert_eq!(vote.claimed().digest, world.digest_of(&[1], 1));
    // The same lie again is refused without growing anything.
    let before = format!("{:?}", node.replica);
    world.input(1, Input::Message(b));
    assert_eq!(format!("{:?}", world.nodes[1].replica), before);
    assert_eq!(world.nodes[1].evidence.len(), 1);
}

#[test]
fn a_double_voter_counts_once_and_leaves_evidence_of_either_kind() {
    let mut world = World::new(4);
    let (a, b) = (world.digest_of(&[1], 1), world.digest_of(&[2], 1));
    for vote in [prepare, commit] {
        world.input(1, Input::Message(vote(&world, 2, a)));
        world.input(1, Input::Message(vote(&world, 2, b)));
    }
    world.run();
    let node = &world.nodes[1];
    let kinds: Vec<_> = node.evidence.iter().map(|e| e.verify(&world.committee)).collect();
    assert_eq!(kinds, [Ok(id(2)), Ok(id(2))]);
    let sequence = SequenceNumber::new(1);
    let conflict = Rejection::Conflict { replica: id(2), sequence };
    assert_eq!(node.rejections, [conflict.clone(), conflict]);
}

/// Evidence is a safety record, durable before it is reported; a crash in between loses neither.
#[test]
fn trap_20_in_part_evidence_is_durable_before_it_is_reported() {
    let mut world = World::new(4);
    let (a, b) = (world.digest_of(&[1], 1), world.digest_of(&[2], 1));
    world.input(1, Input::Message(commit(&world, 2, a)));
    world.input(1, Input::Message(commit(&world, 2, b)));
    assert!(world.nodes[1].evidence.is_empty(), "nothing is durable yet");
    let records: Vec<_> = world.nodes[1].writing.values().cloned().collect();
    let [SafetyRecord::Evidence(evidence)] = &records[..] else {
        panic!("one record: {records:?}");
    };
    // What was written is enough for somebody who knows only the committee.
    let bytes = evidence.to_canonical();
    let read = Equivocation::from_canonical(&bytes).expect("canonical");
    assert_eq!(read.verify(&committee(4)), Ok(id(2)));
    world.run();
    assert_eq!(world.nodes[1].evidence, [read]);
}

/// A crash between the two votes: the first stands, signed, in the record of our own COMMIT.
#[test]
fn trap_20_in_part_the_first_of_two_conflicting_votes_survives_in_the_commit_record() {
    let mut world = World::new(4);
    world.request(1);
    world.run();
    let prepares = world.nodes[1].disk.iter().find_map(|record| match record {
        SafetyRecord::Commit { prepares, .. } => Some(prepares.clone()),
        _ => None,
    });
    let prepares = prepares.expect("replica 1 committed");
    let theirs = prepares.into_iter().find(|p| p.claimed().replica == id(2));
    let first = theirs.expect("replica 2 prepared");
    let ConsensusMessage::Prepare(second) = prepare(&world, 2, world.digest_of(&[9], 1)) else {
        panic!("a PREPARE");
    };
    let evidence = Equivocation::Prepare { first, second };
    assert_eq!(evidence.verify(&world.committee), Ok(id(2)));
}

#[test]
fn evidence_that_proves_nothing_is_refused() {
    let world = World::new(4);
    let context = *world.committee.context();
    let vote = |replica: usize, sequence, view, digest: &[u8]| {
        let body = Prepare {
            view: View::new(view),
            sequence: SequenceNumber::new(sequence),
            digest: Digest::of_blob(digest),
            replica: id(replica),
        };
        Signed::sign(body, &consensus_key(replica), &context)
    };
    let verify = |first: &Signed<Prepare>, second: Signed<Prepare>| {
        let first = first.clone();
        Equivocation::Prepare { first, second }.verify(&world.committee)
    };
    let first = vote(2, 1, 0, b"a");
    let no_conflict = Err(EvidenceError::NoConflict { replica: id(2) });
    assert_eq!(verify(&first, vote(2, 1, 0, b"b")), Ok(id(2)));
    assert_eq!(verify(&first, vote(2, 1, 0, b"a")), no_conflict);
    assert_eq!(verify(&first, vote(2, 2, 0, b"b")), no_conflict);
    assert_eq!(verify(&first, vote(2, 1, 1, b"b")), no_conflict);
    assert!(matches!(
        verify(&first, vote(3, 1, 0, b"b")),
        Err(EvidenceError::DifferentReplicas { .. })
    ));
    // Framed: the second signature is another's.
    let framed =
        Signed::from_parts(*vote(2, 1, 0, b"b").claimed(), *vote(3, 1, 0, b"b").signature());
    assert!(matches!(verify(&first, framed), Err(EvidenceError::Signature(_))));
    // In another federation the same pair proves nothing.
    let (first, second) = (first, vote(2, 1, 0, b"b"));
    let elsewhere = committee_of(genesis(4, "elsewhere", 0));
    let foreign = Equivocation::Prepare { first, second }.verify(&elsewhere);
    assert!(matches!(foreign, Err(EvidenceError::Signature(_))));
    let small = Signed::sign(
        Prepare { replica: id(9), ..*vote(2, 1, 0, b"a").claimed() },
        &consensus_key(2),
        &context,
    );
    assert!(matches!(
        verify(&small, small.clone()),
        Err(EvidenceError::UnknownReplica { size: 4, .. })
    ));
}

/// f = 1 forger votes under every name. Three signatures of one key are one vote.
#[test]
fn a_forger_cannot_vote_for_others() {
    let mut world = World::new(4);
    world.input(1, Input::Message(propose(&world, &[1], 1)));
    world.run();
    let digest = world.digest_of(&[1], 1);
    let context = *world.committee.context();
    for claimed in [0, 2, 3] {
        let body = Commit {
            view: View::ZERO,
            sequence: SequenceNumber::new(1),
            digest,
            replica: id(claimed),
        };
        let forged = Signed::sign(body, &consensus_key(3), &context);
        world.input(1, Input::Message(ConsensusMessage::Commit(forged)));
    }
    let bad = |r: &&Rejection| matches!(r, Rejection::BadSignature { .. });
    assert_eq!(world.nodes[1].rejections.iter().filter(bad).count(), 2);
    assert_eq!(world.executed()[1], 0);
}
