//! Executing ordered batches: the same blocks everywhere, and nothing else.

use federation_proto::codec::Canonical;
use federation_proto::signing::SignatureError;
use federation_proto::{Batch, BatchItem, LedgerEntry, LogicalTime, SequenceNumber, Signed};
use governance::executor::{ExecutionError, Executor};
use governance::machine::{MachineState, Refusal};
use governance::wire::OrderedBatch;
use ledger::AppendError;

use crate::fixture::{SITES, World};

fn execute(executor: &mut Executor, ordered: &OrderedBatch) -> Result<bool, ExecutionError> {
    let certificate = ordered.certificate.to_canonical();
    let header = executor.execute(ordered.sequence, &ordered.batch, certificate)?;
    Ok(header.is_some())
}

/// A refused batch leaves an executor as it was.
fn refused(executor: &mut Executor, ordered: &OrderedBatch) -> ExecutionError {
    let (head, state) = (executor.ledger().head(), executor.state().clone());
    let error = execute(executor, ordered).expect_err("the batch is refused");
    assert_eq!((executor.ledger().head(), executor.state()), (head, &state));
    error
}

#[test]
fn two_executors_fed_the_same_batches_agree_on_every_block() {
    let mut world = World::joined();
    world.epoch(1).epoch(2);
    let mut other = world.fresh();
    for ordered in &world.history {
        assert!(execute(&mut other, ordered).expect("executes"));
    }
    let headers = |executor: &Executor| -> Vec<_> {
        executor.ledger().blocks().map(|block| block.header).collect()
    };
    assert_eq!(headers(&other), headers(&world.executor));
    assert_eq!(other.state(), world.state());
    assert_eq!(other.log_root(world.size()), world.executor.log_root(world.size()));
    assert_eq!(other.log_root(world.size() + 1), None);
    // Every block names the state after it and the epoch it leads to.
    let last = headers(&other).pop().expect("blocks");
    assert_eq!(last.state_root_after, world.state().root());
    assert_eq!(last.epoch, world.state().epoch());
    assert_eq!(last.config_digest, world.rules().roster.digest());
}

#[test]
fn the_state_root_is_made_of_the_meta_state_and_the_rest() {
    let world = World::decided();
    let parts = world.state().root_parts();
    assert_eq!(parts.meta_state, world.state().meta().hash());
    assert_eq!(parts.root(), world.state().root());
    let genesis = MachineState::genesis(world.rules()).root_parts();
    // No sign-off yet: the meta state stands, everything else has moved.
    assert_eq!(parts.meta_state, genesis.meta_state);
    assert_ne!(parts.remainder, genesis.remainder);
}

#[test]
fn a_null_request_makes_no_block() {
    let mut world = World::new();
    world.join(1);
    let (head, state) = (world.executor.ledger().head(), world.state().clone());
    world.commit_null();
    assert_eq!((world.executor.ledger().head(), world.state()), (head, &state));
    world.join(2);
    let block = world.executor.ledger().blocks().last().expect("two blocks");
    assert_eq!((block.header.height.get(), block.header.sequence.get()), (2, 3));
}

#[test]
fn a_batch_with_a_tampered_item_is_refused() {
    let mut world = World::open();
    let items: Vec<_> = (1..=SITES).map(|index| world.committing(index, 1)).collect();
    let mut executor = world.executor.clone();
    let mut tampered = items.clone();
    let BatchItem::Request(request) = &items[3] else { panic!("a commitment is requested") };
    let mut body = request.claimed().clone();
    let LedgerEntry::UpdateCommitment(commitment) = &mut body.entry else { panic!("a commitment") };
    commitment.cycle = commitment.cycle.next();
    tampered[3] = BatchItem::Request(Signed::from_parts(body, *request.signature()));
    let error = refused(&mut executor, &world.ordered(world.batch(tampered)));
    let ExecutionError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!((refusal.index, refusal.kind), (3, "UpdateCommitment"));
    let Refusal::Signature(SignatureError::Invalid { .. }) = refusal.cause else {
        panic!("{refusal}")
    };
    assert!(execute(&mut executor, &world.ordered(world.batch(items))).expect("untampered"));
}

#[test]
fn a_tampered_derived_entry_is_refused() {
    let world = World::in_cut();
    let (mut aggregated, _) = world.aggregated();
    aggregated.delta[0] += 1;
    let entry = LedgerEntry::AggregatedUpdate(Box::new(aggregated));
    let batch = world.batch(vec![BatchItem::Derived(entry)]);
    let error = refused(&mut world.executor.clone(), &world.ordered(batch));
    assert!(matches!(error, ExecutionError::Refused(_)), "{error}");
}

#[test]
fn time_and_sequence_advance() {
    let mut world = World::joined();
    let head = world.executor.ledger().head();
    let items = vec![BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()))];
    let batch_time = head.batch_time;
    let ordered = world.ordered(Batch { batch_time, items: items.clone() });
    let late = AppendError::BatchTime { head: batch_time, found: batch_time };
    assert_eq!(refused(&mut world.executor, &ordered), late.into());

    let mut ordered = world.ordered(Batch { batch_time: batch_time.plus_millis(1), items });
    ordered.sequence = head.sequence;
    let replayed = AppendError::Sequence { head: head.sequence, found: head.sequence };
    assert_eq!(refused(&mut world.executor, &ordered), replayed.into());
    ordered.sequence = SequenceNumber::new(head.sequence.get() + 1);
    assert!(execute(&mut world.executor, &ordered).expect("executes"));
    assert_eq!(world.state().started_at(), Some(LogicalTime::new(1000)));
}

#[test]
fn a_session_is_found_by_the_block_that_opened_it() {
    let world = World::joined();
    for (index, block) in (1..=SITES).zip(world.executor.ledger().blocks()) {
        assert_eq!(world.session(index).1, block.header.id());
    }
    assert_eq!(world.executor.session_block(&crate::fixture::node(9)), None);
}
