//! A site's agent: joins with m equal accepts, repeats itself to the byte, and knows when it was heard.

mod submitting;

use federation_proto::envelope::PayloadKind;
use federation_proto::handshake::FederationAccept;
use federation_proto::keys::Transport;
use federation_proto::{
    BatchItem, Endorsed, FederatedEpoch, LedgerEntry, LogicalTime, Request, SecretKey, Signed,
    codec::Canonical,
};
use governance::follower::FollowerRefusal;
use governance::governor::Governor;
use governance::participant::{Participant, ParticipantInput, RETRY_MS};
use governance::wire::{Frame, Outgoing, Recipient};

use crate::fixture::session::Handshake;
use crate::fixture::{GOVERNORS, World, key, name, site};

/// The site under test.
const SITE: usize = 2;
const NONCE: [u8; 32] = [1; 32];

fn agent(world: &World) -> Participant {
    let owner = site(SITE);
    let transport = key::<Transport>(&owner).public();
    Participant::new(name(&owner), key(&owner), transport, world.follower())
}

fn now() -> LogicalTime {
    LogicalTime::new(10_000)
}

fn tell(agent: &mut Participant, input: ParticipantInput) -> Vec<Outgoing> {
    agent.handle(now(), input).expect("the site follows")
}

fn frame(agent: &mut Participant, frame: Frame) -> Vec<Outgoing> {
    tell(agent, ParticipantInput::Frame(frame))
}

/// Lets an agent follow everything that the world ordered.
fn follow(agent: &mut Participant, world: &World) {
    for ordered in &world.history {
        assert_eq!(frame(agent, Frame::Ordered(Box::new(ordered.clone()))), []);
    }
}

/// What a desk of the world answers to the one frame that an agent sent.
fn answer(world: &World, governor: &str, sent: &[Outgoing]) -> Frame {
    let [Outgoing { to: Recipient::Governors, frame }] = sent else {
        panic!("one hello was expected: {sent:?}")
    };
    let mut desk = Governor::new(key(governor), key(governor), world.follower());
    for ordered in &world.history {
        let _ = desk.handle(Frame::Ordered(Box::new(ordered.clone())));
    }
    let mut answers = desk.handle(frame.clone()).expect("an answer");
    answers.pop().expect("an accept").frame
}

/// The answer of a desk that says something else, signed as it should be.
fn bent(
    world: &World,
    frame: Frame,
    governor: &str,
    bend: impl Fn(&mut FederationAccept),
) -> Frame {
    let Frame::Accept { mut accept, .. } = frame else { panic!("an accept") };
    bend(&mut accept);
    let desk: SecretKey<_> = key(governor);
    let endorsed = Endorsed::sign((*accept).clone(), [&desk], &world.context());
    Frame::Accept { accept, endorsement: endorsed.endorsements()[0].clone() }
}

/// The payload of the one envelope that was sent to the validators.
fn payload(sent: &[Outgoing], kind: PayloadKind) -> Vec<u8> {
    let [Outgoing { to: Recipient::Validators, frame: Frame::Envelope(envelope) }] = sent else {
        panic!("one envelope was expected: {sent:?}")
    };
    assert_eq!(envelope.claimed().kind, kind);
    envelope.claimed().payload.clone()
}

/// The request in the one envelope that was sent.
fn requested(sent: &[Outgoing]) -> BatchItem {
    let bytes = payload(sent, PayloadKind::Request);
    BatchItem::Request(Signed::<Request>::from_canonical(&bytes).expect("a request"))
}

#[test]
fn it_joins_with_two_of_three_accepts() {
    let mut world = World::new();
    let mut agent = agent(&world);
    assert_eq!(tell(&mut agent, ParticipantInput::Tick), [], "it is not asked to join");
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let [first, second, third] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    assert_eq!(frame(&mut agent, first.clone()), []);
    assert_eq!(frame(&mut agent, first), [], "one governor counts once");
    let request = requested(&frame(&mut agent, second));
    let LedgerEntry::SessionOpened(opened) = request.entry() else { panic!("a session") };
    assert_eq!(opened.accept.endorsements().len(), 2);
    assert_eq!(frame(&mut agent, third), [], "it has what it needs");
    assert_eq!(agent.membership(), None);

    world.commit(vec![request]);
    follow(&mut agent, &world);
    let membership = agent.membership().expect("the ledger has it");
    assert_eq!((membership.session_id, membership.ledger_block_id), world.session(SITE));
}

#[test]
fn a_governor_that_answers_something_else_does_not_count() {
    let world = World::new();
    let mut agent = agent(&world);
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let [first, second, third] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    assert_eq!(frame(&mut agent, first), []);
    let other = bent(&world, second, "governor-b", |accept| {
        accept.not_after_epoch = FederatedEpoch::new(1);
    });
    assert_eq!(frame(&mut agent, other), []);
    let request = requested(&frame(&mut agent, third));
    world.preview(vec![request.clone()]).expect("two equal accepts");
    let LedgerEntry::SessionOpened(opened) = request.entry() else { panic!("a session") };
    let signers = opened.accept.endorsements().iter().map(|endorsement| endorsement.key);
    let liar = key("governor-b").public();
    assert!(signers.into_iter().all(|signer| signer != liar));
}

#[test]
fn a_governors_last_word_counts() {
    let world = World::new();
    let mut agent = agent(&world);
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let [first, second, _] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    let other = bent(&world, second.clone(), "governor-b", |accept| {
        accept.epoch = FederatedEpoch::new(7);
    });
    assert_eq!(frame(&mut agent, other), []);
    assert_eq!(frame(&mut agent, first), []);
    let request = requested(&frame(&mut agent, second));
    world.preview(vec![request]).expect("it corrected itself");
}

#[test]
fn a_forged_or_foreign_accept_does_not_count() {
    let world = World::new();
    let mut agent = agent(&world);
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let [first, second, _] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    assert_eq!(frame(&mut agent, first), []);
    let foreign = bent(&world, second.clone(), "governor-x", |_| ());
    assert_eq!(frame(&mut agent, foreign), []);
    let Frame::Accept { mut accept, endorsement } = second.clone() else { panic!("an accept") };
    accept.not_after_epoch = FederatedEpoch::new(1);
    assert_eq!(frame(&mut agent, Frame::Accept { accept, endorsement }), []);
    requested(&frame(&mut agent, second));
}

#[test]
fn accepts_of_an_earlier_hello_do_not_count() {
    let world = World::new();
    let mut agent = agent(&world);
    let stale = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let stale = GOVERNORS.map(|owner| answer(&world, owner, &stale));
    // It starts over; then the answers to its first hello arrive.
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: [2; 32] });
    for late in stale {
        assert_eq!(frame(&mut agent, late), [], "a session that the ledger must refuse");
    }
    let [first, second, _] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    assert_eq!(frame(&mut agent, first), []);
    let request = requested(&frame(&mut agent, second));
    world.preview(vec![request]).expect("the handshake fits together");
}

#[test]
fn what_is_not_acknowledged_is_said_again_to_the_byte() {
    let mut world = World::new();
    let mut agent = agent(&world);
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let later = |times: u64| now().plus_millis(times * RETRY_MS);
    let early = LogicalTime::new(later(1).get() - 1);
    assert_eq!(agent.handle(early, ParticipantInput::Tick), Ok(Vec::new()));
    assert_eq!(agent.handle(later(1), ParticipantInput::Tick), Ok(hello.clone()));

    let [first, second, _] = GOVERNORS.map(|owner| answer(&world, owner, &hello));
    frame(&mut agent, first);
    let request = requested(&frame(&mut agent, second));
    let again = agent.handle(later(2), ParticipantInput::Tick).expect("a retry");
    assert_eq!(requested(&again), request);
    world.commit(vec![request]);
    follow(&mut agent, &world);
    assert_eq!(agent.handle(later(9), ParticipantInput::Tick), Ok(Vec::new()));
}

#[test]
fn what_it_follows_must_hold() {
    let world = World::joined();
    let mut agent = agent(&world);
    let mut ordered = world.history[0].clone();
    ordered.certificate.votes.pop();
    let input = ParticipantInput::Frame(Frame::Ordered(Box::new(ordered)));
    let refusal = agent.handle(now(), input).expect_err("two votes");
    assert!(matches!(refusal, FollowerRefusal::Certificate(_)), "{refusal}");
}

#[test]
fn a_session_that_others_opened_is_not_its_own() {
    let mut world = World::new();
    let mut agent = agent(&world);
    tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    let other = Handshake::of(&world, SITE + 1, 1).item(&world.context());
    world.commit(vec![other]);
    follow(&mut agent, &world);
    assert_eq!(agent.membership(), None);
}

/// An agent that has joined a world in which everybody has, and the first epoch is open.
fn member() -> (World, Participant) {
    let mut world = World::new();
    let mut agent = agent(&world);
    let hello = tell(&mut agent, ParticipantInput::Join { nonce: NONCE });
    for owner in &GOVERNORS[..2] {
        let accept = answer(&world, owner, &hello);
        for sent in frame(&mut agent, accept) {
            world.commit(vec![requested(&[sent])]);
        }
    }
    (1..=crate::fixture::SITES).filter(|index| *index != SITE).for_each(|index| world.join(index));
    world.open_epoch();
    follow(&mut agent, &world);
    assert_eq!(agent.membership().expect("a member").session_id, world.session(SITE).0);
    (world, agent)
}
