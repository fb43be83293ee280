//! A liar as primary begins its view in two ways, both of which follow from VIEW-CHANGEs.

use consensus_pbft::{
    Commit, ConsensusMessage, Input, NewView, PrePrepare, PreparedCertificate, Proposal,
    SafetyRecord, ViewChange, Vote,
};
use federation_proto::{SequenceNumber, Signed, View};

use crate::federation::{batch, consensus_key, id};
use crate::world::{Event, World};

const LIAR: usize = 1;
const VIEW: View = View::new(1);

/// View 0 ended with a batch prepared at the liar alone; the proof of that.
fn prepared_at_the_liar(world: &mut World) -> PreparedCertificate {
    world.request(1);
    // PRE-PREPARE and the PREPARE of 2 reach it, and 2 hears the primary.
    while !world.queue.is_empty() {
        world.filter(|event| match event {
            Event::Deliver(to, ConsensusMessage::Proposal(_)) => [LIAR, 2].contains(to),
            Event::Deliver(to, ConsensusMessage::Prepare(_)) => *to == LIAR,
            event => matches!(event, Event::Acknowledge(..)),
        });
        if !world.queue.is_empty() {
            world.step(0);
        }
    }
    let prepares = world.nodes[LIAR].disk.iter().find_map(|record| match record {
        SafetyRecord::Commit { prepares, .. } => Some(prepares.clone()),
        _ => None,
    });
    let votes = prepares.expect("the liar is prepared").into_iter().map(|prepare| Vote {
        replica: prepare.claimed().replica,
        signature: *prepare.signature(),
    });
    let pre_prepare = world.nodes[0].sent.iter().find_map(|message| match message {
        ConsensusMessage::Proposal(proposal) => Some(proposal.pre_prepare.clone()),
        _ => None,
    });
    let pre_prepare = pre_prepare.expect("the primary proposed");
    PreparedCertificate { pre_prepare, votes: votes.collect() }
}

fn change(world: &World, index: usize, prepared: Vec<PreparedCertificate>) -> Signed<ViewChange> {
    let body = ViewChange { view: VIEW, stable: None, prepared, replica: id(index) };
    Signed::sign(body, &consensus_key(index), world.committee.context())
}

fn begin(
    world: &World,
    view_changes: Vec<Signed<ViewChange>>,
    pre_prepares: Vec<Signed<PrePrepare>>,
) -> Input {
    let body = NewView { view: VIEW, view_changes, pre_prepares, replica: id(LIAR) };
    let signed = Signed::sign(body, &consensus_key(LIAR), world.committee.context());
    Input::Message(ConsensusMessage::NewView(Box::new(signed)))
}

/// For 0 and 2 nothing was prepared, for 3 a batch was. What 0 and 2 decide then contradicts what 3 was told to repeat.
/// One liar did it, so it is no reason to stop.
#[test]
fn a_primary_that_begins_its_view_in_two_ways_halts_nobody() {
    let mut world = World::new(4);
    let prepared = prepared_at_the_liar(&mut world);
    let (context, key, replica) = (*world.committee.context(), consensus_key(LIAR), id(LIAR));
    let first = *prepared.claimed();
    let [zero, two, three] = [0, 2, 3].map(|index| change(&world, index, Vec::new()));
    let free = begin(&world, vec![zero, two.clone(), three.clone()], Vec::new());
    let again = Signed::sign(PrePrepare { view: VIEW, replica, ..first }, &key, &context);
    let own = change(&world, LIAR, vec![prepared]);
    let settled = begin(&world, vec![own, two, three], vec![again]);
    world.crash(LIAR);
    world.input(0, free.clone());
    world.input(2, free);
    world.input(3, settled);
    assert_eq!([0, 2, 3].map(|index| world.views()[index]), [(1, true); 3]);
    // The liar has 0 and 2 decide another batch.
    let (sequence, digest) = (SequenceNumber::new(1), world.digest_of(&[2], 1));
    let body = PrePrepare { view: VIEW, sequence, digest, replica };
    let pre_prepare = Signed::sign(body, &key, &context);
    let proposal = Proposal { pre_prepare, batch: batch(&context, &[2]) };
    let commit = Signed::sign(Commit { view: VIEW, sequence, digest, replica }, &key, &context);
    for index in [0, 2] {
        world.input(index, Input::Message(ConsensusMessage::Proposal(proposal.clone())));
        world.input(index, Input::Message(ConsensusMessage::Commit(commit.clone())));
    }
    world.run();
    assert_eq!(world.executed(), [1, 0, 1, 0]);
    world.resend();
    assert_eq!(world.executed(), [1, 0, 1, 1]);
    assert!(world.nodes.iter().all(|node| node.fault.is_none()), "{:?}", world.nodes[3].fault);
    world.request(2);
    world.request(1);
    world.time_out();
    world.resend();
    assert!([0, 2, 3].iter().all(|index| world.nodes[*index].app.has_all(2)));
    world.check_safety();
}
