//! A governor's desk: answers members alike, and signs what a quorum certified, once.

use federation_proto::Signed;
use federation_proto::entry::ApplySignoff;
use federation_proto::handshake::{FederationHello, HelloRefusal, Incompatibility};
use federation_proto::keys::GovernanceNote;
use federation_proto::signing::{Endorsement, SignatureError};
use federation_proto::{Digest, LedgerEntry};
use governance::follower::FollowerRefusal;
use governance::governor::{Governor, GovernorRefusal};
use governance::wire::{Frame, Outgoing, Recipient};

use crate::fixture::session::hello;
use crate::fixture::votes::{checkpoint_certificate, statement};
use crate::fixture::{GOVERNORS, World, key, name, node, site};

fn desk(world: &World, owner: &str) -> Governor {
    Governor::new(key(owner), key(owner), world.follower())
}

/// A desk that has followed the world's batches, but no checkpoint.
fn informed(world: &World, owner: &str) -> Governor {
    let mut desk = desk(world, owner);
    follow(&mut desk, world);
    desk
}

fn follow(desk: &mut Governor, world: &World) {
    for ordered in &world.history {
        let sent = desk.handle(Frame::Ordered(Box::new(ordered.clone()))).expect("it holds");
        assert_eq!(sent, [], "nothing is certified");
    }
}

fn checkpoint(world: &World, size: u64) -> Frame {
    let statement = statement(&world.executor, size);
    Frame::Checkpoint(Box::new(checkpoint_certificate(&world.committee, statement, &[0, 1, 3])))
}

fn greet(world: &World, owner: &str, hello: FederationHello) -> Frame {
    Frame::Hello(Box::new(Signed::sign(hello, &key(owner), &world.context())))
}

fn approval(sent: Vec<Outgoing>) -> (ApplySignoff, Endorsement<GovernanceNote>) {
    let [Outgoing { to: Recipient::Validators, frame: Frame::Approval { signoff, endorsement } }] =
        sent.as_slice()
    else {
        panic!("one approval was expected: {sent:?}")
    };
    ((**signoff).clone(), endorsement.clone())
}

#[test]
fn every_desk_gives_a_member_the_same_answer() {
    let world = World::new();
    let mut accepts = Vec::new();
    for owner in GOVERNORS {
        let hello = hello(world.rules(), 2, 5);
        let sent = desk(&world, owner).handle(greet(&world, &site(2), hello)).expect("an answer");
        let [Outgoing { to, frame: Frame::Accept { accept, endorsement } }] = sent.as_slice()
        else {
            panic!("one accept was expected: {sent:?}")
        };
        assert_eq!(*to, Recipient::Node(name(&site(2))));
        assert_eq!(endorsement.key, key(owner).public());
        accepts.push(accept.clone());
    }
    assert!(accepts.iter().all(|accept| *accept == accepts[0]));
    assert_eq!(accepts[0].hello_hash, hello(world.rules(), 2, 5).hash());
}

#[test]
fn strangers_and_forgeries_are_refused() {
    let world = World::new();
    let mut desk = desk(&world, "governor-a");
    let refusal = desk.handle(greet(&world, &site(9), hello(world.rules(), 9, 1)));
    assert_eq!(refusal, Err(HelloRefusal::UnknownNode(node(9)).into()));
    let refusal = desk.handle(greet(&world, &site(2), hello(world.rules(), 1, 1)));
    let (what, key) = ("FederationHello", node(1).to_string());
    let cause = HelloRefusal::Signature(SignatureError::Invalid { what, key });
    assert_eq!(refusal, Err(cause.into()));
}

/// The reasons that the desk sends to the first site.
fn told(answer: Result<Vec<Outgoing>, GovernorRefusal>) -> Vec<Incompatibility> {
    let sent = answer.expect("an answer");
    let [Outgoing { to, frame: Frame::Refusal(refusal) }] = sent.as_slice() else {
        panic!("one refusal was expected: {sent:?}")
    };
    assert_eq!(*to, Recipient::Node(name(&site(1))));
    refusal.claimed().report.reasons().to_vec()
}

#[test]
fn a_hello_that_does_not_fit_is_refused() {
    let world = World::new();
    let mut desk = desk(&world, "governor-a");
    let mut other = hello(world.rules(), 1, 1);
    other.validator_set_hash = Digest::ZERO;
    let refusal = told(desk.handle(greet(&world, &site(1), other)));
    let expected = world.rules().roster.configuration().validator_set_hash();
    let got = Digest::ZERO;
    assert_eq!(refusal, [Incompatibility::ValidatorSet { expected, got }]);
    let mut weak = hello(world.rules(), 1, 2);
    let missing = weak.supported_capabilities.pop().expect("capabilities");
    let refusal = told(desk.handle(greet(&world, &site(1), weak)));
    assert_eq!(refusal, [Incompatibility::MissingCapability(missing)]);
}

#[test]
fn it_signs_only_what_a_certified_checkpoint_covers() {
    let world = World::decided();
    let mut desk = informed(&world, "governor-a");
    // Certified, but before the aggregate.
    let earlier = desk.handle(checkpoint(&world, world.size() - 1)).expect("it holds");
    assert_eq!(earlier, []);
    let (signoff, endorsement) =
        approval(desk.handle(checkpoint(&world, world.size())).expect("it holds"));
    assert_eq!(signoff, world.signoff());
    assert_eq!(endorsement, world.approval(&signoff, "governor-a"));
    // With a second governor's it takes effect.
    let signed = world.signed_off(signoff, &["governor-a", "governor-c"]);
    assert!(signed.signatures.contains(&endorsement));
    world.clone().commit_derived(LedgerEntry::ApplySignoff(signed));
}

#[test]
fn a_certificate_may_come_before_its_batches() {
    let world = World::decided();
    let mut desk = desk(&world, "governor-b");
    assert_eq!(desk.handle(checkpoint(&world, world.size())).expect("held"), []);
    let (last, before) = world.history.split_last().expect("history");
    for ordered in before {
        assert_eq!(desk.handle(Frame::Ordered(Box::new(ordered.clone()))), Ok(Vec::new()));
    }
    let sent = desk.handle(Frame::Ordered(Box::new(last.clone()))).expect("it holds");
    assert_eq!(approval(sent).0, world.signoff());
}

#[test]
fn it_signs_an_aggregate_once() {
    let mut world = World::decided();
    let mut desk = informed(&world, "governor-a");
    approval(desk.handle(checkpoint(&world, world.size())).expect("it holds"));
    world.commit_updates([1], 2);
    let more = world.history.last().expect("history").clone();
    assert_eq!(desk.handle(Frame::Ordered(Box::new(more))), Ok(Vec::new()));
    assert_eq!(desk.handle(checkpoint(&world, world.size())), Ok(Vec::new()));
    // The next epoch's aggregate is another one.
    world.sign_off().open_epoch();
    world.commit_updates(2..=5, 2).cut_epoch().aggregate();
    let known = usize::try_from(desk.follower().executor().ledger().head().height.get());
    for ordered in &world.history[known.expect("small")..] {
        assert_eq!(desk.handle(Frame::Ordered(Box::new(ordered.clone()))), Ok(Vec::new()));
    }
    let (signoff, _) = approval(desk.handle(checkpoint(&world, world.size())).expect("it holds"));
    assert_eq!(signoff.federated_epoch.get(), 2);
}

#[test]
fn governors_that_see_different_checkpoints_sign_one_text() {
    let mut world = World::decided();
    let prompt =
        informed(&world, "governor-a").handle(checkpoint(&world, world.size())).expect("it holds");
    // A slower governor sees only a later checkpoint: commitments go on while the sign-off waits.
    world.commit_updates([1], 2);
    let late =
        informed(&world, "governor-b").handle(checkpoint(&world, world.size())).expect("it holds");
    let ((first, one), (second, other)) = (approval(prompt), approval(late));
    assert_eq!(first, second);
    let mut signatures = vec![one, other];
    signatures.sort_by_key(|endorsement| endorsement.key);
    world.commit_derived(LedgerEntry::ApplySignoff(ApplySignoff { signatures, ..first }));
}

#[test]
fn what_it_follows_must_hold() {
    let world = World::joined();
    let mut desk = desk(&world, "governor-a");
    let mut ordered = world.history[0].clone();
    ordered.certificate.votes.pop();
    let refusal = desk.handle(Frame::Ordered(Box::new(ordered))).expect_err("two votes");
    let GovernorRefusal::Follower(FollowerRefusal::Certificate(_)) = refusal else {
        panic!("{refusal}")
    };
    assert_eq!(desk.handle(Frame::Blob(vec![1])), Ok(Vec::new()));
}
