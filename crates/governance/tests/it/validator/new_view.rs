//! The rules that need a clock are asked once, at the first PRE-PREPARE: what a NEW-VIEW proposes again may have been
//! decided, and is accepted without them.

use consensus_pbft::{
    ConsensusMessage, NewView, PrePrepare, Prepare, PreparedCertificate, Proposal, ReplicaId,
    ViewChange, Vote, WantedBatch,
};
use federation_proto::keys::Consensus;
use federation_proto::{Batch, BatchItem, LedgerEntry, SecretKey, Signed, View};
use governance::validator::{ProposalRefusal, ValidatorRefusal};

use crate::fixture::bench::{Bench, refusals, voted};
use crate::fixture::{World, key, validator, votes};

/// The primary of the next view. The backup under test is another one.
const PRIMARY: u16 = 1;
const OTHER: u16 = 2;
const NEXT: View = View::new(1);

fn consensus_key(replica: u16) -> SecretKey<Consensus> {
    key(&validator(replica))
}

fn assignment(world: &World, view: View, batch: &Batch, primary: u16) -> Signed<PrePrepare> {
    let (context, sequence) = (world.context(), world.next_sequence());
    let digest = batch.digest(&context, sequence);
    let body = PrePrepare { view, sequence, digest, replica: ReplicaId::new(primary) };
    Signed::sign(body, &consensus_key(primary), &context)
}

/// Proof that a batch was prepared in view 0.
fn prepared(world: &World, batch: &Batch) -> PreparedCertificate {
    let pre_prepare = assignment(world, View::ZERO, batch, 0);
    let PrePrepare { view, sequence, digest, .. } = *pre_prepare.claimed();
    let vote = |replica: u16| {
        let body = Prepare { view, sequence, digest, replica: ReplicaId::new(replica) };
        let signed = Signed::sign(body, &consensus_key(replica), &world.context());
        Vote { replica: ReplicaId::new(replica), signature: *signed.signature() }
    };
    PreparedCertificate { pre_prepare, votes: [PRIMARY, 3].map(vote).into() }
}

/// A NEW-VIEW that proposes again what was prepared.
fn new_view(world: &World, again: Option<&Batch>) -> ConsensusMessage {
    let statement = votes::statement(&world.executor, world.size());
    let stable = votes::checkpoint_certificate(&world.committee, statement, &[0, 1, 3]);
    let change = |replica: u16| {
        let body = ViewChange {
            view: NEXT,
            stable: Some(stable.clone()),
            prepared: again.map(|batch| prepared(world, batch)).into_iter().collect(),
            replica: ReplicaId::new(replica),
        };
        Signed::sign(body, &consensus_key(replica), &world.context())
    };
    let proposals = again.map(|batch| assignment(world, NEXT, batch, PRIMARY));
    let body = NewView {
        view: NEXT,
        view_changes: [0, PRIMARY, 3].map(change).into(),
        pre_prepares: proposals.into_iter().collect(),
        replica: ReplicaId::new(PRIMARY),
    };
    let signed = Signed::sign(body, &consensus_key(PRIMARY), &world.context());
    ConsensusMessage::NewView(Box::new(signed))
}

/// A backup an hour later, and what was proposed before that hour.
fn late() -> (World, Bench, Batch) {
    let world = World::joined();
    let mut bench = Bench::of(&world, OTHER);
    let batch = world.batch(vec![BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()))]);
    bench.now = batch.batch_time.plus_millis(3_600_000);
    (world, bench, batch)
}

#[test]
fn what_was_prepared_is_accepted_whatever_the_clock_says() {
    let (world, mut bench, batch) = late();
    assert!(refusals(bench.message(new_view(&world, Some(&batch)))).is_empty());
    let sequence = world.next_sequence();
    let wanted = ConsensusMessage::Batch(Box::new(WantedBatch { sequence, batch }));
    assert!(voted(&bench.message(wanted)));
}

#[test]
fn a_new_proposal_of_the_next_view_is_judged_like_any() {
    let (world, mut bench, batch) = late();
    assert!(refusals(bench.message(new_view(&world, None))).is_empty());
    let pre_prepare = assignment(&world, NEXT, &batch, PRIMARY);
    let effects = bench.message(ConsensusMessage::Proposal(Proposal { pre_prepare, batch }));
    assert!(!voted(&effects));
    let refused = refusals(effects);
    let [ValidatorRefusal::Proposal { reason: ProposalRefusal::Drift { drift, .. }, .. }] =
        refused.as_slice()
    else {
        panic!("{refused:?}")
    };
    assert_eq!(*drift, 3_600_000);
}
