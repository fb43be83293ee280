//! Followers believe certificates and their own execution, in whatever order things arrive.

use consensus_pbft::{CertificateError, CheckpointStatement, ReplicaId};
use federation_proto::{Batch, BatchItem, Digest, Height, LedgerBlockId, LedgerEntry, LogicalTime};
use federation_proto::{SequenceNumber, codec::Canonical};
use governance::executor::ExecutionError;
use governance::follower::{Follower, FollowerRefusal};
use governance::wire::OrderedBatch;
use ledger::LogHash;

use crate::fixture::votes::{checkpoint_certificate, commit_certificate, statement};
use crate::fixture::{SITES, World};

fn follow(world: &World) -> Follower {
    let mut follower = world.follower();
    for ordered in &world.history {
        follower.handle_ordered(ordered.clone()).expect("it holds");
    }
    follower
}

fn assert_caught_up(follower: &Follower, world: &World) {
    assert_eq!(follower.executor().ledger().head(), world.executor.ledger().head());
    assert_eq!(follower.executor().state(), world.state());
}

#[test]
fn it_builds_the_same_blocks_and_keeps_the_certificates() {
    let world = World::decided();
    let follower = follow(&world);
    assert_caught_up(&follower, &world);
    for (block, ordered) in follower.executor().ledger().blocks().zip(&world.history) {
        assert_eq!(block.commit_certificate, ordered.certificate.to_canonical());
    }
}

#[test]
fn out_of_order_batches_wait_for_their_predecessor() {
    let mut world = World::open();
    world.commit_null();
    world.commit_updates(1..=SITES, 1);
    let mut follower = world.follower();
    let (first, rest) = world.history.split_first().expect("history");
    for ordered in rest.iter().rev() {
        follower.handle_ordered(ordered.clone()).expect("held");
        assert_eq!(follower.executor().ledger().head().height, Height::ZERO);
    }
    follower.handle_ordered(first.clone()).expect("executes all");
    assert_caught_up(&follower, &world);
}

#[test]
fn what_is_old_or_held_is_ignored() {
    let world = World::open();
    let mut follower = world.follower();
    let mut second = world.history[1].clone();
    follower.handle_ordered(second.clone()).expect("held");
    // Not even looked at: another server was faster.
    second.certificate.votes.clear();
    follower.handle_ordered(second.clone()).expect("ignored");
    for ordered in &world.history {
        follower.handle_ordered(ordered.clone()).expect("it holds");
    }
    follower.handle_ordered(second).expect("ignored");
    assert_caught_up(&follower, &world);
}

fn refused(world: &World, bend: impl Fn(&mut OrderedBatch)) -> FollowerRefusal {
    let mut follower = world.follower();
    let mut ordered = world.history[0].clone();
    bend(&mut ordered);
    let refusal = follower.handle_ordered(ordered).expect_err("refused");
    assert_eq!(follower.executor().ledger().head().height, Height::ZERO);
    // Nothing of it stays: the good one is taken.
    follower.handle_ordered(world.history[0].clone()).expect("it holds");
    refusal
}

#[test]
fn a_certificate_for_another_batch_is_refused() {
    let world = World::joined();
    let other = world.history[1].batch.clone();
    let refusal = refused(&world, |ordered| ordered.batch = other.clone());
    let sequence = SequenceNumber::new(1);
    let certified = world.history[0].certificate.digest;
    let batch = other.digest(&world.context(), sequence);
    assert_eq!(refusal, FollowerRefusal::OtherBatch { sequence, certified, batch });
    let refusal = refused(&world, |ordered| {
        ordered.certificate.sequence = SequenceNumber::new(2);
    });
    assert!(matches!(refusal, FollowerRefusal::OtherBatch { .. }), "{refusal}");
}

#[test]
fn votes_below_the_quorum_are_no_certificate() {
    let world = World::joined();
    let refusal = refused(&world, |ordered| {
        ordered.certificate.votes.pop();
    });
    let below = CertificateError::BelowQuorum { found: 2, needed: 3 };
    assert_eq!(refusal, below.into());
    let refusal = refused(&world, |ordered| {
        ordered.certificate.votes[2] = ordered.certificate.votes[1];
    });
    let replica = ReplicaId::new(1);
    assert_eq!(refusal, CertificateError::DuplicateVoter { replica }.into());
    let refusal = refused(&world, |ordered| {
        ordered.certificate.votes[0].signature = ordered.certificate.votes[1].signature;
    });
    let replica = ReplicaId::new(0);
    let FollowerRefusal::Certificate(CertificateError::BadSignature { replica: liar, .. }) =
        refusal
    else {
        panic!("{refusal}")
    };
    assert_eq!(liar, replica);
}

#[test]
fn a_certified_batch_that_cannot_be_executed_is_said_so() {
    let world = World::joined();
    // A quorum ordered a second opening in one batch: something that must agree does not.
    let entry = BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()));
    let ordered = world.ordered(world.batch(vec![entry.clone(), entry]));
    let mut follower = follow(&world);
    let refusal = follower.handle_ordered(ordered.clone()).expect_err("not executable");
    let FollowerRefusal::Execution { sequence, cause } = refusal else { panic!("{refusal}") };
    assert_eq!(sequence, ordered.sequence);
    assert!(matches!(*cause, ExecutionError::Refused(_)), "{cause}");
}

#[test]
fn a_checkpoint_waits_until_its_blocks_are_executed() {
    let world = World::open();
    let size = world.size();
    let certificate =
        checkpoint_certificate(&world.committee, statement(&world.executor, size), &[0, 2, 3]);
    let mut follower = world.follower();
    follower.handle_checkpoint(certificate.clone()).expect("held");
    assert_eq!(follower.certified(), None);
    let (last, before) = world.history.split_last().expect("history");
    for ordered in before {
        follower.handle_ordered(ordered.clone()).expect("it holds");
        assert_eq!(follower.certified(), None);
    }
    follower.handle_ordered(last.clone()).expect("it holds");
    assert_eq!(follower.certified(), Some(&certificate));
    // An older one says nothing new.
    let older = checkpoint_certificate(&world.committee, statement(&world.executor, 1), &[0, 1, 2]);
    follower.handle_checkpoint(older).expect("ignored");
    assert_eq!(follower.certified(), Some(&certificate));
}

#[test]
fn a_checkpoint_below_the_quorum_is_refused() {
    let world = World::open();
    let head = statement(&world.executor, world.size());
    let mut follower = follow(&world);
    let two = checkpoint_certificate(&world.committee, head, &[0, 1]);
    let refusal = follower.handle_checkpoint(two).expect_err("two votes");
    assert_eq!(refusal, CertificateError::BelowQuorum { found: 2, needed: 3 }.into());
    let mut forged = checkpoint_certificate(&world.committee, head, &[0, 1, 2]);
    forged.votes[1].note_signature = forged.votes[0].note_signature;
    let refusal = follower.handle_checkpoint(forged).expect_err("a forged note");
    assert!(matches!(refusal, FollowerRefusal::Certificate(_)), "{refusal}");
    assert_eq!(follower.certified(), None);
}

fn diverged(world: &World, bend: impl Fn(&mut CheckpointStatement)) -> FollowerRefusal {
    let mut follower = follow(world);
    let mut head = statement(&world.executor, world.size());
    bend(&mut head);
    let certificate = checkpoint_certificate(&world.committee, head, &[0, 1, 2]);
    let refusal = follower.handle_checkpoint(certificate).expect_err("another result");
    assert_eq!(follower.certified(), None);
    // It serves nobody from then on, whatever it is sent.
    let more = follower.handle_ordered(world.history[0].clone());
    assert_eq!(more, Err(FollowerRefusal::Halted));
    refusal
}

#[test]
fn a_certified_result_that_differs_from_its_own_is_a_divergence() {
    let world = World::open();
    let head = statement(&world.executor, world.size());
    let (height, certified) = (head.height, Digest::of_blob(b"another result"));
    let refusal = diverged(&world, |head| head.state_root = certified);
    let (what, own) = ("state root", head.state_root);
    assert_eq!(refusal, FollowerRefusal::Diverged { what, height, certified, own });
    let refusal = diverged(&world, |head| head.header_hash = LedgerBlockId::new(certified));
    let (what, own) = ("header", head.header_hash.digest());
    assert_eq!(refusal, FollowerRefusal::Diverged { what, height, certified, own });
    let other = LogHash::from_bytes(*certified.as_bytes());
    let refusal = diverged(&world, |head| head.log_root = other);
    let (what, own) = ("log root", world.root_at(world.size()));
    assert_eq!(refusal, FollowerRefusal::Diverged { what, height, certified, own });
}

/// Null requests are enough to fill a buffer; one signature a vote is what they cost.
fn null_batches(world: &World, count: u64) -> Vec<OrderedBatch> {
    let batch = |sequence| {
        let sequence = SequenceNumber::new(sequence);
        let batch = Batch { batch_time: LogicalTime::ZERO, items: Vec::new() };
        let digest = batch.digest(&world.context(), sequence);
        let certificate = commit_certificate(&world.context(), sequence, digest, &[0, 1, 2]);
        OrderedBatch { sequence, batch, certificate }
    };
    (1..=count).map(batch).collect()
}

#[test]
fn a_full_buffer_does_not_shut_out_the_batch_it_waits_for() {
    let world = World::new();
    let batches = null_batches(&world, 258);
    let mut follower = world.follower();
    for ordered in &batches[1..257] {
        follower.handle_ordered(ordered.clone()).expect("held");
    }
    let far = batches[257].clone();
    let refusal = follower.handle_ordered(far.clone()).expect_err("no room");
    assert_eq!(refusal, FollowerRefusal::TooFarAhead(far.sequence));
    follower.handle_ordered(batches[0].clone()).expect("the one that everything waits for");
    follower.handle_ordered(far).expect("room again");
    // Everything so far was executed: a block takes the next sequence number.
    let mut member = World::new();
    batches.iter().for_each(|_| member.commit_null());
    member.join(1);
    let joined = member.history.last().expect("history").clone();
    assert_eq!(joined.sequence.get(), 259);
    follower.handle_ordered(joined).expect("it holds");
    assert_eq!(follower.executor().ledger().head().height, Height::new(1));
}
