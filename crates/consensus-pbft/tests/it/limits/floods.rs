//! Ten thousand messages of one liar: what is held afterwards, and that the others still decide.

use consensus_pbft::{
    Checkpoint, CheckpointStatement, Commit, CommitCertificate, ConsensusMessage, Decided, Effect,
    Holdings, Input, NewView, Prepare, Rejection, SafetyRecord, Settings, Status, ViewChange, Vote,
    WantedBatch,
};
use federation_proto::keys::Signature;
use federation_proto::{
    Batch, Digest, Height, LedgerBlockId, LogicalTime, SequenceNumber, Signed, View,
};
use ledger::merkle::history::HistoryTree;

use super::{heavy, proposal};
use crate::federation::{batch, consensus_key, id, log_key, request, request_of};
use crate::world::{Event, World, small_window};

const FLOOD: u64 = 10_000;
/// The liar, and who is flooded.
const LIAR: usize = 3;
const VICTIM: usize = 1;

fn held(world: &World) -> Holdings {
    world.nodes[VICTIM].replica.holdings()
}

/// Everything that the liar sends arrives; what is refused is counted by its reason.
fn flood(world: &mut World, message: impl Fn(&World, u64) -> ConsensusMessage) {
    for number in 1..=FLOOD {
        let message = message(world, number);
        world.input(VICTIM, Input::Message(message));
    }
}

/// How many messages were refused so.
fn refused(world: &World, reason: impl Fn(&Rejection) -> bool) -> u64 {
    world.nodes[VICTIM].rejections.iter().filter(|rejection| reason(rejection)).count() as u64
}

fn too_often(limit: usize) -> impl Fn(&Rejection) -> bool {
    move |rejection| match rejection {
        Rejection::TooOften { replica, count, limit: at, .. } => {
            *replica == id(LIAR) && (*count, *at) == (limit, limit)
        }
        _ => false,
    }
}

fn others_still_decide(world: &mut World) {
    world.request(FLOOD + 1);
    world.run();
    assert_eq!(world.executed(), [1; 4]);
    world.check_safety();
}

#[test]
fn votes_of_one_peer_fill_its_places_in_two_windows_and_no_more() {
    let mut world = World::new(4);
    let of_sequence = |number: u64| (SequenceNumber::new(number), Digest::of_blob(b"lie"));
    flood(&mut world, |world, number| {
        let (sequence, digest) = of_sequence(number);
        let body = Prepare { view: View::ZERO, sequence, digest, replica: id(LIAR) };
        let context = world.committee.context();
        ConsensusMessage::Prepare(Signed::sign(body, &consensus_key(LIAR), context))
    });
    flood(&mut world, |world, number| {
        let (sequence, digest) = of_sequence(number);
        let body = Commit { view: View::ZERO, sequence, digest, replica: id(LIAR) };
        let context = world.committee.context();
        ConsensusMessage::Commit(Signed::sign(body, &consensus_key(LIAR), context))
    });
    assert_eq!(held(&world), Holdings { slots: 8, votes: 16, ..Holdings::default() });
    let limit = SequenceNumber::new(8);
    let above =
        |r: &Rejection| matches!(r, Rejection::AboveWatermark { limit: at, .. } if *at == limit);
    assert_eq!(refused(&world, above), 2 * (FLOOD - 8));
    others_still_decide(&mut world);
}

#[test]
fn checkpoints_of_one_peer_fill_its_places_and_no_more() {
    let mut world = World::new(4);
    let mut tree = HistoryTree::new();
    tree.append(b"lie");
    flood(&mut world, |world, number| {
        let statement = CheckpointStatement {
            next: None,
            sequence: SequenceNumber::new(number),
            height: Height::new(1),
            header_hash: LedgerBlockId::new(Digest::ZERO),
            log_size: tree.size(),
            log_root: tree.root(),
            state_root: Digest::ZERO,
        };
        let text = statement.note_text(&world.committee).expect("a good origin");
        let note_signature = log_key(LIAR).sign_raw(text.as_bytes());
        let body = Checkpoint { statement, replica: id(LIAR), note_signature };
        let context = world.committee.context();
        ConsensusMessage::Checkpoint(Signed::sign(body, &consensus_key(LIAR), context))
    });
    assert_eq!(held(&world), Holdings { checkpoints: 8, ..Holdings::default() });
    others_still_decide(&mut world);
}

#[test]
fn view_changes_of_one_peer_hold_one_place_and_few_are_looked_at() {
    let mut world = World::new(4);
    let change = |world: &World, number: u64| {
        let (view, stable, prepared) = (View::new(number), None, Vec::new());
        let body = ViewChange { view, stable, prepared, replica: id(LIAR) };
        let context = world.committee.context();
        let change = Signed::sign(body, &consensus_key(LIAR), context);
        ConsensusMessage::ViewChange(Box::new(change))
    };
    flood(&mut world, change);
    assert_eq!(held(&world), Holdings { view_changes: 1, ..Holdings::default() });
    let far = |r: &Rejection| matches!(r, Rejection::ViewTooFar { .. });
    assert_eq!(refused(&world, too_often(16)), 1024 - 16);
    assert_eq!(refused(&world, far), FLOOD - 1024);
    // With our next STATUS it is heard again.
    world.input(VICTIM, Input::Resend);
    let message = change(&world, 17);
    world.input(VICTIM, Input::Message(message));
    assert_eq!(refused(&world, |_| true), FLOOD - 16);
    others_still_decide(&mut world);
    // Nor is the view change of the others in its way.
    world.crash(LIAR);
    world.request(FLOOD + 2);
    world.run_without(|event| matches!(event, Event::Deliver(_, ConsensusMessage::Proposal(_))));
    world.time_out();
    assert_eq!(world.executed()[..3], [2; 3]);
    assert_eq!(world.views()[VICTIM], (1, true));
}

#[test]
fn few_new_views_of_one_peer_are_looked_at() {
    let mut world = World::new(4);
    flood(&mut world, |world, number| {
        // A view of which it is the primary.
        let view = View::new(4 * number - 1);
        let body =
            NewView { view, view_changes: Vec::new(), pre_prepares: Vec::new(), replica: id(LIAR) };
        let context = world.committee.context();
        ConsensusMessage::NewView(Box::new(Signed::sign(body, &consensus_key(LIAR), context)))
    });
    assert_eq!(held(&world), Holdings::default());
    assert_eq!(refused(&world, |r| matches!(r, Rejection::NewView { .. })), 4);
    assert_eq!(refused(&world, too_often(4)), FLOOD - 4);
    others_still_decide(&mut world);
}

/// Whoever speaks in the name of another uses up nothing of that one's share.
#[test]
fn a_forger_does_not_use_up_the_share_of_another() {
    let mut world = World::new(4);
    flood(&mut world, |world, number| {
        let (view, stable, prepared) = (View::new(number % 1000 + 1), None, Vec::new());
        let body = ViewChange { view, stable, prepared, replica: id(2) };
        let context = world.committee.context();
        let forged = Signed::sign(body, &consensus_key(LIAR), context);
        ConsensusMessage::ViewChange(Box::new(forged))
    });
    assert_eq!(held(&world), Holdings::default());
    assert_eq!(refused(&world, |r| matches!(r, Rejection::BadSignature { .. })), FLOOD);
    // Replicas 2 and 3 leave the view, and take replica 1 along.
    world.request(1);
    world.crash(0);
    world.time_out();
    assert_eq!(world.executed()[1..], [1; 3]);
}

fn status(world: &World, wanted: Vec<(SequenceNumber, Digest)>) -> ConsensusMessage {
    let body = Status {
        view: View::ZERO,
        active: true,
        stable: SequenceNumber::ZERO,
        executed: SequenceNumber::ZERO,
        wanted,
        replica: id(LIAR),
    };
    let context = world.committee.context();
    ConsensusMessage::Status(Signed::sign(body, &consensus_key(LIAR), context))
}

#[test]
fn a_status_is_answered_once_between_two_of_ours() {
    let mut world = World::new(4);
    world.request(1);
    world.run();
    world.nodes[VICTIM].rejections.clear();
    let before = held(&world);
    flood(&mut world, |world, _| status(world, Vec::new()));
    assert_eq!(world.queue.len(), 1, "one decided batch");
    assert_eq!(refused(&world, too_often(1)), FLOOD - 1);
    assert_eq!(held(&world), before);
}

/// One batch of megabytes, asked for sixteen times in one STATUS.
#[test]
fn the_answer_to_a_status_is_bounded_in_bytes() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let (large, sequence) = (heavy(1), SequenceNumber::new(1));
    let digest = large.digest(&context, sequence);
    world.input(VICTIM, Input::Message(proposal(&context, 1, large)));
    let asked = status(&world, vec![(sequence, digest); 16]);
    let node = &mut world.nodes[VICTIM];
    let effects = node.replica.handle(LogicalTime::ZERO, Input::Message(asked), &mut node.app);
    let answers = effects.into_iter().filter(|effect| matches!(effect, Effect::Send { .. }));
    assert_eq!(answers.count(), 1);
}

#[test]
fn batches_that_nobody_asked_for_and_forged_proofs_are_not_held() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    let of_sequence = |number: u64| (SequenceNumber::new(number % 8 + 1), batch(&context, &[1]));
    flood(&mut world, |_, number| {
        let (sequence, batch) = of_sequence(number);
        ConsensusMessage::Batch(Box::new(WantedBatch { sequence, batch }))
    });
    assert_eq!(refused(&world, |r| matches!(r, Rejection::NothingLacks { .. })), FLOOD);
    flood(&mut world, |_, number| {
        let (sequence, batch) = of_sequence(number);
        let vote = |index| Vote { replica: id(index), signature: Signature::from_bytes(&[7; 64]) };
        let digest = batch.digest(&context, sequence);
        let votes = (0..3).map(vote).collect();
        let certificate = CommitCertificate { view: View::ZERO, sequence, digest, votes };
        ConsensusMessage::Decided(Box::new(Decided { certificate, batch }))
    });
    assert_eq!(refused(&world, |r| matches!(r, Rejection::Certificate(_))), FLOOD);
    assert_eq!(held(&world), Holdings::default());
    others_still_decide(&mut world);
}

#[test]
fn one_client_fills_its_share_of_the_pool_and_others_still_get_in() {
    let settings = Settings { client_requests: 50, ..small_window() };
    let mut world = World::with(4, settings, 2);
    let context = *world.committee.context();
    for number in 1..=FLOOD {
        world.input(VICTIM, Input::Request(request(&context, number)));
    }
    let flooded = held(&world);
    assert_eq!(flooded.requests, 50);
    let reason = world.nodes[VICTIM].rejections.last();
    let Some(Rejection::ClientShare { client, requests: 50, bytes }) = reason else {
        panic!("another reason: {reason:?}");
    };
    assert_eq!(client, &request(&context, 1).claimed().node_fingerprint);
    assert_eq!(*bytes, flooded.request_bytes);
    assert_eq!(world.nodes[VICTIM].rejections.len() as u64, FLOOD - 50);
    // In the name of another client it gets nowhere, and takes nothing of what is that one's.
    let foreign = request_of("another client", &context, 1);
    for number in 1..=50 {
        let forged = request_of("another client", &context, number).claimed().clone();
        let forged = Signed::from_parts(forged, *request(&context, 1).signature());
        world.input(VICTIM, Input::Request(forged));
    }
    assert_eq!(world.nodes[VICTIM].refusals.len(), 50);
    world.input(VICTIM, Input::Request(foreign));
    assert_eq!(held(&world).requests, 51);
}

/// A replica that contradicts itself everywhere: it is proved often enough, before and after a restart.
#[test]
fn the_evidence_of_one_liar_is_bounded() {
    let settings = Settings { window: 64, ..small_window() };
    let mut world = World::with(4, settings, 2);
    let context = *world.committee.context();
    let lies = |world: &mut World, sequences: core::ops::RangeInclusive<u64>| {
        for number in sequences {
            for lie in [&b"one"[..], b"other"] {
                let body = Prepare {
                    view: View::ZERO,
                    sequence: SequenceNumber::new(number),
                    digest: Digest::of_blob(lie),
                    replica: id(LIAR),
                };
                let prepare = Signed::sign(body, &consensus_key(LIAR), &context);
                world.input(VICTIM, Input::Message(ConsensusMessage::Prepare(prepare)));
            }
        }
        world.run();
    };
    lies(&mut world, 1..=128);
    assert_eq!(world.nodes[VICTIM].evidence.len(), 64);
    let conflict = |r: &Rejection| matches!(r, Rejection::Conflict { .. });
    assert_eq!(refused(&world, conflict), 128, "each is refused");
    world.crash(VICTIM);
    world.restart(VICTIM);
    lies(&mut world, 1..=128);
    let kept = world.nodes[VICTIM].disk.iter();
    let kept = kept.filter(|record| matches!(record, SafetyRecord::Evidence(_)));
    assert_eq!(kept.count(), 64);
}

#[test]
fn a_primary_that_floods_fills_the_room_for_early_batches_and_no_more() {
    let mut world = World::new(4);
    let context = *world.committee.context();
    for number in 1..=FLOOD {
        let batch: Batch = batch(&context, &[number]);
        world.input(VICTIM, Input::Message(proposal(&context, number, batch)));
    }
    let held = held(&world);
    assert_eq!((held.slots, held.batches, held.votes), (8, 8, 0));
    let above = |r: &Rejection| matches!(r, Rejection::AboveWatermark { .. });
    assert_eq!(refused(&world, above), FLOOD - 8);
}
