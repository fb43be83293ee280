//! Null requests: nothing needs one before the view change, and a window of them would stop everything.

use consensus_pbft::{ConsensusMessage, Input, Proposal, Rejection};
use federation_proto::{Batch, LogicalTime, SequenceNumber};

use crate::federation::batch;
use crate::limits::proposal;
use crate::world::World;

fn null() -> Batch {
    Batch { batch_time: LogicalTime::new(1), items: Vec::new() }
}

#[test]
fn a_signed_null_request_is_refused_and_takes_no_place() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let before = format!("{:?}", world.nodes[1].replica);
    // A whole window of them, the one in flight and early ones.
    for number in 1..=4 {
        world.input(1, Input::Message(proposal(&context, number, null())));
        let sequence = SequenceNumber::new(number);
        let last = world.nodes[1].rejections.last();
        assert_eq!(last, Some(&Rejection::NullRequest { sequence }));
    }
    assert!(world.nodes[1].writing.is_empty(), "no vote");
    assert_eq!(format!("{:?}", world.nodes[1].replica), before);
    // What orders something has the place.
    world.input(1, Input::Message(proposal(&context, 1, batch(&context, &[1]))));
    assert_eq!(world.nodes[1].rejections.len(), 4);
    assert_eq!(world.nodes[1].writing.len(), 1);
}

/// The batch rides along unsigned: whoever empties it on the way must not make it look as if the primary had.
#[test]
fn an_emptied_batch_is_no_null_request_of_the_primary() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let ConsensusMessage::Proposal(honest) = proposal(&context, 1, batch(&context, &[1])) else {
        panic!("a proposal");
    };
    let emptied = Proposal { batch: null(), ..honest };
    world.input(1, Input::Message(ConsensusMessage::Proposal(emptied)));
    assert!(matches!(world.nodes[1].rejections[..], [Rejection::DigestMismatch { .. }]));
}

#[test]
fn an_application_that_proposes_an_empty_batch_has_nothing_to_propose() {
    let mut world = World::new(4);
    world.nodes[0].app.proposes_null = true;
    world.request(1);
    world.run();
    assert!(world.nodes.iter().all(|node| node.disk.is_empty() && node.sent.is_empty()));
    assert_eq!(world.nodes[0].fault, None);
    world.nodes[0].app.proposes_null = false;
    world.input(0, Input::Wake);
    world.run();
    assert_eq!(world.executed(), [1, 1, 1, 1]);
}
