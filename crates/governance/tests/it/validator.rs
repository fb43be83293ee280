//! One validator on the bench: what leaves it, when, and what it refuses.

mod awaiting;
mod blobs;
mod envelopes;
mod lying_sites;
mod new_view;
mod proposals;
mod recovery;
mod transfer;

use consensus_pbft::{ConsensusMessage, SafetyRecord};
use federation_proto::codec::Canonical;
use federation_proto::{BatchItem, Digest, LedgerEntry, SequenceNumber};
use governance::executor::ExecutionError;
use governance::validator::{
    ApprovalRefusal, DurableRecord, DurableToken, HaltCause, ValidatorEffect, ValidatorInput,
    ValidatorRefusal,
};
use governance::wire::{Frame, OrderedBatch, Outgoing, Recipient};

use crate::fixture::bench::{Bench, frames, refusals, tokens, voted};
use crate::fixture::{SITES, VALIDATORS, World, key, votes};

/// The blocks that an effect list asks to store and publishes, by sequence number.
fn published(effects: &[ValidatorEffect]) -> (Vec<u64>, Vec<u64>) {
    let stored = effects.iter().filter_map(|effect| match effect {
        ValidatorEffect::Persist {
            token: DurableToken::Block(sequence),
            record: DurableRecord::Block(block),
        } => {
            assert_eq!(block.header.sequence, *sequence);
            Some(sequence.get())
        }
        _ => None,
    });
    let mut ordered: Vec<u64> = frames(effects)
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Ordered(ordered) => Some(ordered.sequence.get()),
            _ => None,
        })
        .collect();
    ordered.dedup();
    (stored.collect(), ordered)
}

#[test]
fn a_prepare_and_a_commit_leave_only_when_they_are_durable() {
    let world = World::joined();
    let mut bench = Bench::after(&world);
    let batch = world.batch(vec![BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()))]);
    let (context, sequence) = (world.context(), world.next_sequence());
    let proposal = votes::proposal(&context, sequence, &batch);
    bench.now = batch.batch_time;
    let effects = bench.raw(frame(proposal));
    let (token, record) = safety(&effects);
    let SafetyRecord::Prepare { prepare, .. } = record else { panic!("{}", record.kind()) };
    assert_eq!(frames(&effects), Vec::<&Frame>::new());
    // Another's PREPARE makes no quorum while our own is not durable.
    let other = votes::prepare_message(&context, sequence, &batch, 2);
    assert_eq!(tokens(&bench.raw(frame(other))), []);

    let effects = bench.raw(ValidatorInput::Persisted(token));
    let sent = ConsensusMessage::Prepare(prepare);
    assert_eq!(broadcast(&effects), [sent]);
    let (token, record) = safety(&effects);
    let SafetyRecord::Commit { commit, prepares } = record else { panic!("{}", record.kind()) };
    assert_eq!(prepares.len(), 2);
    let effects = bench.raw(ValidatorInput::Persisted(token));
    assert_eq!(broadcast(&effects), [ConsensusMessage::Commit(commit)]);
}

fn frame(message: ConsensusMessage) -> ValidatorInput {
    ValidatorInput::Frame(Frame::Consensus(Box::new(message)))
}

/// The one safety record that waits.
fn safety(effects: &[ValidatorEffect]) -> (DurableToken, SafetyRecord) {
    let records: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            ValidatorEffect::Persist { token, record: DurableRecord::Safety(record) } => {
                Some((*token, (**record).clone()))
            }
            _ => None,
        })
        .collect();
    let [(token, record)] = records.as_slice() else { panic!("one record: {effects:?}") };
    (*token, record.clone())
}

/// What was said to the other validators, nothing else having been said.
fn broadcast(effects: &[ValidatorEffect]) -> Vec<ConsensusMessage> {
    let sent = effects.iter().filter_map(|effect| match effect {
        ValidatorEffect::Send(Outgoing {
            to: Recipient::Validators,
            frame: Frame::Consensus(message),
        }) => Some((**message).clone()),
        ValidatorEffect::Send(other) => panic!("{other:?}"),
        _ => None,
    });
    sent.collect()
}

#[test]
fn what_is_decided_is_stored_and_published_with_its_certificate() {
    let mut world = World::new();
    let mut bench = Bench::after(&world);
    world.join(1);
    let ordered = &world.history[0];
    bench.now = ordered.batch.batch_time;
    let effects = bench.decide(ordered);
    assert_eq!(published(&effects), (vec![1], vec![1]));
    for frame in frames(&effects) {
        let Frame::Ordered(sent) = frame else { continue };
        assert_eq!(sent.batch, ordered.batch);
        sent.certificate.verify(&world.committee).expect("a certificate");
    }
}

#[test]
fn batches_executed_in_one_step_are_all_published() {
    let mut world = World::new();
    let mut bench = Bench::after(&world);
    (1..=3).for_each(|index| world.join(index));
    bench.now = world.history[2].batch.batch_time;
    // Everything about the second and third arrives before the first is complete.
    for ordered in &world.history[1..] {
        let OrderedBatch { sequence, batch, .. } = ordered;
        bench.message(votes::proposal(&world.context(), *sequence, batch));
        bench.committed(ordered);
    }
    assert_eq!(bench.validator.executor().ledger().head().height.get(), 0);
    let first = &world.history[0];
    bench.message(votes::proposal(&world.context(), first.sequence, &first.batch));
    let effects = bench.committed(first);
    assert_eq!(bench.validator.executor().ledger().head(), world.executor.ledger().head());
    assert_eq!(published(&effects), (vec![1, 2, 3], vec![1, 2, 3]));
}

#[test]
fn a_committed_batch_that_cannot_be_executed_halts_it_for_good() {
    let mut world = World::joined();
    let mut bench = Bench::after(&world);
    let twice = BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()));
    let ordered = world.ordered(world.batch(vec![twice.clone(), twice]));
    bench.now = ordered.batch.batch_time;
    let mut effects = bench.decide(&ordered);
    let Some(ValidatorEffect::Halt(HaltCause::Execution(cause))) = effects.pop() else {
        panic!("it must halt: {effects:?}")
    };
    assert!(matches!(*cause, ExecutionError::Refused(_)), "{cause}");
    assert!(bench.validator.is_halted());
    assert!(!voted(&effects));
    assert_eq!(bench.validator.executor().state(), world.state());
    world.open_epoch();
    assert!(bench.input(ValidatorInput::Wake).is_empty());
    assert!(bench.decide(&world.history[SITES]).is_empty());
}

#[test]
fn a_stable_checkpoint_is_kept_and_published() {
    let mut world = World::new();
    let mut bench = Bench::after(&world);
    world.join(1);
    bench.now = world.history[0].batch.batch_time;
    bench.decide(&world.history[0]);
    let head = votes::statement(&world.executor, 1);
    let mut effects = Vec::new();
    for replica in [0, 2] {
        effects.extend(bench.message(votes::checkpoint_message(&world.committee, head, replica)));
    }
    let certificates: Vec<_> = frames(&effects)
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Checkpoint(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    let certificate = certificates.first().expect("a checkpoint certificate");
    certificate.verify(&world.committee).expect("three validators");
    assert_eq!(certificate.statement, head);
    let block = bench.validator.executor().ledger().blocks().next().expect("a block");
    assert_eq!(block.checkpoint_certificate, Some(certificate.to_canonical()));
}

fn approved(bench: &mut Bench, approval: Frame) -> Option<ApprovalRefusal> {
    match refusals(bench.frame(approval)).as_slice() {
        [] => None,
        [ValidatorRefusal::Approval(refusal)] => Some(refusal.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approval_is_a_draft_with_one_governors_signature() {
    let world = World::decided();
    let mut bench = Bench::after(&world);
    let signoff = world.signoff();
    let approval = |signoff: &federation_proto::entry::ApplySignoff, governor: &str| {
        let endorsement = world.approval(signoff, governor);
        Frame::Approval { signoff: Box::new(signoff.clone()), endorsement }
    };
    let stranger = key("governor-x").public();
    assert_eq!(
        approved(&mut bench, approval(&signoff, "governor-x")),
        Some(ApprovalRefusal::UnknownKey(stranger))
    );
    let mut forged = world.approval(&signoff, "governor-a");
    forged.signature = world.approval(&signoff, "governor-b").signature;
    let refused = ApprovalRefusal::Signature(forged.key);
    let forged = Frame::Approval { signoff: Box::new(signoff.clone()), endorsement: forged };
    assert_eq!(approved(&mut bench, forged), Some(refused));
    let signed = world.signed_off(signoff.clone(), &["governor-b"]);
    assert_eq!(
        approved(&mut bench, approval(&signed, "governor-a")),
        Some(ApprovalRefusal::NotADraft)
    );
    let mut other = signoff.clone();
    other.aggregated_hash = Digest::ZERO;
    assert_eq!(
        approved(&mut bench, approval(&other, "governor-a")),
        Some(ApprovalRefusal::NothingWaits)
    );
    assert_eq!(approved(&mut bench, approval(&signoff, "governor-a")), None);
    // Nothing waits before a cut and after the sign-off.
    let mut open = Bench::after(&World::open());
    assert_eq!(
        approved(&mut open, approval(&signoff, "governor-a")),
        Some(ApprovalRefusal::NothingWaits)
    );
}

#[test]
fn a_follower_is_served_by_f_plus_one_validators() {
    let mut world = World::new();
    world.join(1);
    let first = &world.history[0];
    let mut served = std::collections::BTreeMap::new();
    for replica in 1..VALIDATORS {
        let mut bench = Bench::of(&World::new(), replica);
        bench.now = first.batch.batch_time;
        for effect in bench.decide(first) {
            if let ValidatorEffect::Send(Outgoing { to: Recipient::Node(to), frame }) = effect
                && matches!(frame, Frame::Ordered(_))
            {
                *served.entry(to).or_insert(0) += 1;
            }
        }
    }
    // The three backups serve everybody once or twice: with the primary each has exactly two.
    assert_eq!(served.len(), SITES + 3);
    assert_eq!(served.values().sum::<usize>(), 2 * (SITES + 3) - 4);
    assert!(served.values().all(|servers| (1..=2).contains(servers)), "{served:?}");
}

#[test]
fn resending_says_every_vote_again_and_nothing_new() {
    let world = World::joined();
    let mut bench = Bench::after(&world);
    let batch = world.batch(vec![BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()))]);
    bench.now = batch.batch_time;
    let said = broadcast(&bench.propose(&batch));
    let again = broadcast(&bench.input(ValidatorInput::Resend));
    assert_eq!(said.len(), 1);
    assert!(again.contains(&said[0]));
    let sequence = |message: &ConsensusMessage| message.claimed_sequence();
    let last = Some(SequenceNumber::new(SITES as u64 + 1));
    assert!(again.iter().map(sequence).all(|at| at <= last));
}
