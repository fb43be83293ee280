//! More than f liars: a replica that sees two decisions for one sequence number stops, whichever it met first.

use consensus_pbft::{
    Commit, CommitCertificate, ConsensusMessage, Decided, Fault, Input, NewView, PrePrepare,
    Prepare, PreparedCertificate, ViewChange, Vote,
};
use federation_proto::{Digest, SequenceNumber, Signed, View};

use crate::federation::{batch, consensus_key, id};
use crate::limits::proposal;
use crate::world::World;

const ONE: SequenceNumber = SequenceNumber::new(1);
const LIARS: [usize; 3] = [0, 1, 3];
const VICTIM: usize = 2;

/// Three liars prove that `digest` was prepared at 1 in view 0, and begin view 1 with it.
fn new_view(world: &World, digest: Digest) -> ConsensusMessage {
    let context = world.committee.context();
    let assignment = |view: u64, primary: usize| {
        let body =
            PrePrepare { view: View::new(view), sequence: ONE, digest, replica: id(primary) };
        Signed::sign(body, &consensus_key(primary), context)
    };
    let vote = |index: usize| {
        let body = Prepare { view: View::ZERO, sequence: ONE, digest, replica: id(index) };
        let signature = *Signed::sign(body, &consensus_key(index), context).signature();
        Vote { replica: id(index), signature }
    };
    let votes = vec![vote(1), vote(3)];
    let prepared = PreparedCertificate { pre_prepare: assignment(0, 0), votes };
    let change = |index: usize| {
        let (view, prepared) = (View::new(1), vec![prepared.clone()]);
        let body = ViewChange { view, stable: None, prepared, replica: id(index) };
        Signed::sign(body, &consensus_key(index), context)
    };
    let body = NewView {
        view: View::new(1),
        view_changes: LIARS.map(change).into(),
        pre_prepares: vec![assignment(1, 1)],
        replica: id(1),
    };
    ConsensusMessage::NewView(Box::new(Signed::sign(body, &consensus_key(1), context)))
}

/// The same liars decided a batch at 1 in view 0.
fn decided(world: &World, numbers: &[u64]) -> ConsensusMessage {
    let (context, digest) = (world.committee.context(), world.digest_of(numbers, 1));
    let vote = |index: usize| {
        let body = Commit { view: View::ZERO, sequence: ONE, digest, replica: id(index) };
        let signature = *Signed::sign(body, &consensus_key(index), context).signature();
        Vote { replica: id(index), signature }
    };
    let votes = LIARS.map(vote).into();
    let certificate = CommitCertificate { view: View::ZERO, sequence: ONE, digest, votes };
    ConsensusMessage::Decided(Box::new(Decided { certificate, batch: batch(context, numbers) }))
}

fn fault(world: &World) -> Fault {
    let (decided, proposed) = (world.digest_of(&[1], 1), world.digest_of(&[2], 1));
    Fault::TwoDecisions { sequence: ONE, decided, proposed }
}

#[test]
fn a_view_that_proposes_again_another_batch_than_was_executed_stops_the_replica() {
    let mut world = World::new(4);
    let message = decided(&world, &[1]);
    world.input(VICTIM, Input::Message(message));
    assert_eq!(world.executed()[VICTIM], 1);
    let message = new_view(&world, world.digest_of(&[2], 1));
    world.input(VICTIM, Input::Message(message));
    assert_eq!(world.nodes[VICTIM].fault, Some(fault(&world)));
}

#[test]
fn another_decision_than_the_view_proposes_again_is_not_executed() {
    let mut world = World::new(4);
    let message = new_view(&world, world.digest_of(&[2], 1));
    world.input(VICTIM, Input::Message(message));
    let message = decided(&world, &[1]);
    world.input(VICTIM, Input::Message(message));
    assert_eq!(world.nodes[VICTIM].fault, Some(fault(&world)));
    assert_eq!(world.nodes[VICTIM].app.history.len(), 0);
}

/// What a primary alone assigned proves nothing: a decision that differs is executed.
#[test]
fn a_decision_beside_an_assignment_of_the_present_view_stops_nobody() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    world.input(VICTIM, Input::Message(proposal(&context, 1, batch(&context, &[2]))));
    let message = decided(&world, &[1]);
    world.input(VICTIM, Input::Message(message));
    assert_eq!(world.nodes[VICTIM].fault, None);
    assert_eq!(world.nodes[VICTIM].app.executed_numbers(), [1]);
}
