//! A backup that the others left behind takes a peer's ledger, and believes nothing of it.

use consensus_pbft::{CheckpointCertificate, ConsensusMessage};
use federation_proto::codec::Canonical;
use federation_proto::{Height, SequenceNumber};
use governance::validator::{
    DurableRecord, HaltCause, ValidatorEffect, ValidatorInput, ValidatorRefusal,
};
use governance::wire::{Frame, Outgoing, Recipient};
use ledger::BlockFile;
use ledger::divergence::{Answer, BlockBytes, Refusal, Unproven};

use crate::fixture::bench::{Bench, frames, refusals};
use crate::fixture::{World, validator, votes};

/// The certified head of a world, as another replica tells it.
fn stable(world: &World) -> CheckpointCertificate {
    let statement = votes::statement(&world.executor, world.size());
    votes::checkpoint_certificate(&world.committee, statement, &[0, 2, 3])
}

fn told(bench: &mut Bench, stable: CheckpointCertificate) -> Vec<ValidatorEffect> {
    bench.message(ConsensusMessage::Stable(Box::new(stable)))
}

/// The question that an effect list asks, and of whom.
fn question(effects: &[ValidatorEffect]) -> Option<(String, Frame)> {
    effects.iter().find_map(|effect| match effect {
        ValidatorEffect::Send(Outgoing {
            to: Recipient::Node(to),
            frame: frame @ Frame::LedgerQuestion { .. },
        }) => Some((to.to_string(), frame.clone())),
        _ => None,
    })
}

/// What a peer answers.
fn answer(peer: &mut Bench, question: Frame) -> Answer {
    let effects = peer.frame(question);
    let [Frame::LedgerAnswer(answer)] = frames(&effects).as_slice() else { panic!("{effects:?}") };
    (**answer).clone()
}

fn give(bench: &mut Bench, answer: Answer) -> Vec<ValidatorEffect> {
    bench.frame(Frame::LedgerAnswer(Box::new(answer)))
}

/// Answers every question as a peer does, up to the end.
fn serve(
    bench: &mut Bench,
    peer: &mut Bench,
    mut effects: Vec<ValidatorEffect>,
) -> Vec<ValidatorEffect> {
    let mut all = Vec::new();
    while let Some((_, asked)) = question(&effects) {
        all.extend(effects);
        effects = give(bench, answer(peer, asked));
    }
    all.extend(effects);
    all
}

#[test]
fn whoever_is_left_behind_takes_the_blocks_and_goes_on_from_them() {
    let mut world = World::decided();
    let (mut bench, mut peer) = (Bench::after(&World::new()), Bench::of(&world, 2));
    let effects = told(&mut bench, stable(&world));
    let effects = serve(&mut bench, &mut peer, effects);
    let (own, theirs) = (bench.validator.executor(), &world.executor);
    assert_eq!(own.ledger().head(), theirs.ledger().head());
    assert_eq!(own.state(), theirs.state());
    let stored = effects.iter().filter_map(|effect| match effect {
        ValidatorEffect::Persist { record: DurableRecord::Block(block), .. } => Some(block),
        _ => None,
    });
    let stored: Vec<u64> = stored.map(|block| block.header.height.get()).collect();
    assert_eq!(stored, (1..=world.size()).collect::<Vec<_>>());
    // The next decision finds it where the others are.
    world.sign_off();
    let next = world.history.last().expect("the sign-off").clone();
    bench.now = next.batch.batch_time;
    bench.message(votes::proposal(&world.context(), next.sequence, &next.batch));
    bench.committed(&next);
    assert_eq!(bench.validator.executor().state(), world.state());
}

#[test]
fn the_next_voter_is_asked_when_the_first_says_nothing() {
    let world = World::joined();
    let mut bench = Bench::after(&World::new());
    let mut effects = told(&mut bench, stable(&world));
    for voter in [0, 2, 3, 0] {
        let (asked, _) = question(&effects).expect("a question");
        assert_eq!(asked, validator(voter));
        effects = bench.input(ValidatorInput::Resend);
    }
}

#[test]
fn batches_decided_meanwhile_are_not_executed_twice() {
    let world = World::joined();
    let (mut bench, mut peer) = (Bench::after(&World::new()), Bench::of(&world, 2));
    let (_, asked) = question(&told(&mut bench, stable(&world))).expect("a question");
    for ordered in &world.history[..2] {
        bench.now = ordered.batch.batch_time;
        bench.decide(ordered);
    }
    let effects = give(&mut bench, answer(&mut peer, asked));
    serve(&mut bench, &mut peer, effects);
    assert_eq!(bench.validator.executor().state(), world.state());
    assert!(!bench.validator.is_halted());
}

#[test]
fn an_answer_that_proves_nothing_changes_nothing() {
    let world = World::joined();
    let (mut bench, mut peer) = (Bench::after(&World::new()), Bench::of(&world, 2));
    let nobody = give(&mut bench, Answer::Refused(Refusal::NotKept));
    assert!(matches!(refusals(nobody).as_slice(), [ValidatorRefusal::NoTransfer]));
    let effects = told(&mut bench, stable(&world));
    let refused = refusals(give(&mut bench, Answer::Refused(Refusal::NotKept)));
    let [ValidatorRefusal::Ledger(Unproven::Refused(Refusal::NotKept))] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    serve(&mut bench, &mut peer, effects);
    assert_eq!(bench.validator.executor().state(), world.state());
}

/// No hash covers the certificates of a block: a peer that bends them is refused, and it costs no more than asking
/// another one.
#[test]
fn bent_certificates_are_refused_and_halt_nobody() {
    let world = World::joined();
    let (mut bench, mut peer) = (Bench::after(&World::new()), Bench::of(&world, 2));
    let (_, asked) = question(&told(&mut bench, stable(&world))).expect("a question");
    let effects = give(&mut bench, answer(&mut peer, asked));
    let (_, asked) = question(&effects).expect("a question about blocks");
    let Answer::Blocks(mut range) = answer(&mut peer, asked) else { panic!("blocks") };
    let mut block = BlockFile::from_canonical(range.blocks[1].as_slice()).expect("a block");
    block.commit_certificate =
        world.executor.ledger().block(Height::new(1)).expect("a block").commit_certificate.clone();
    range.blocks[1] = BlockBytes::new(block.to_canonical()).expect("small");
    let refused = refusals(give(&mut bench, Answer::Blocks(range)));
    let [ValidatorRefusal::Block { height, .. }] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(*height, Height::new(2));
    assert_eq!(bench.validator.executor().ledger().head().height, Height::ZERO);
    let effects = bench.input(ValidatorInput::Resend);
    serve(&mut bench, &mut peer, effects);
    assert_eq!(bench.validator.executor().state(), world.state());
}

#[test]
fn a_ledger_that_contradicts_a_quorum_halts_its_node() {
    let world = World::joined();
    let (mut bench, mut peer) = (Bench::after(&World::new()), Bench::of(&world, 2));
    let mut other = World::new();
    other.join(2);
    bench.now = other.history[0].batch.batch_time;
    bench.decide(&other.history[0]);
    let (_, asked) = question(&told(&mut bench, stable(&world))).expect("a question");
    let effects = give(&mut bench, answer(&mut peer, asked));
    let Some(ValidatorEffect::Halt(HaltCause::Contradicted(found))) = effects.last() else {
        panic!("{effects:?}")
    };
    assert_eq!(found.size, 1);
    assert!(bench.validator.is_halted());
}

#[test]
fn strangers_get_no_ledger() {
    let world = World::joined();
    let mut bench = Bench::after(&World::new());
    let (_, asked) = question(&told(&mut bench, stable(&world))).expect("a question");
    let Frame::LedgerQuestion { question, .. } = asked else { unreachable!() };
    let mut peer = Bench::of(&world, 2);
    let asker = crate::fixture::name("site-1");
    assert!(frames(&peer.frame(Frame::LedgerQuestion { question, asker })).is_empty());
    assert_eq!(world.next_sequence(), SequenceNumber::new(world.size() + 1));
}
