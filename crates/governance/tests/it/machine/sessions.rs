//! `SessionOpened`: one change to a good handshake at a time.

use federation_proto::handshake::certificate_hash;
use federation_proto::handshake::{
    AnswerError, HandshakeError, Incompatibility, ResumptionError, SessionClosed, SessionEnd,
    SessionOpened, SessionResumption, TransportKind, TransportRecord,
};
use federation_proto::keys::Transport;
use federation_proto::signing::SignatureError;
use federation_proto::{
    BatchItem, Digest, FederatedEpoch, Lane, LaneSequence, LedgerEntry, Request, SessionId, Signed,
    SigningContext,
};
use governance::machine::{Refusal, WindowRefusal};

use crate::fixture::session::{Handshake, signed_by};
use crate::fixture::{Charter, World, key, name, node, site};

fn signature_refusal(cause: SignatureError) -> Refusal {
    HandshakeError::Signature(cause).into()
}

fn incompatible(reason: Incompatibility) -> Refusal {
    HandshakeError::Incompatible(reason.into()).into()
}

fn refused(world: &World, bend: impl Fn(&mut Handshake)) -> Refusal {
    let mut handshake = Handshake::of(world, 1, 1);
    world.preview(vec![handshake.item(&world.context())]).expect("the unbent handshake");
    bend(&mut handshake);
    world.refusal(handshake.item(&world.context()))
}

#[test]
fn an_opened_session_is_the_nodes_and_names_its_block() {
    let mut world = World::new();
    let handshake = Handshake::of(&world, 1, 1);
    let header = world.commit(vec![handshake.item(&world.context())]);
    assert_eq!(world.session(1), (handshake.session_id(), header.id()));
    let (_, session) = world.state().session_of(&node(1)).expect("open");
    assert_eq!((session.node, session.height), (node(1), header.height));
    assert_eq!(world.state().session_of(&node(2)), None);
}

#[test]
fn a_replayed_session_is_refused() {
    let mut world = World::new();
    let handshake = Handshake::of(&world, 1, 1);
    let item = handshake.item(&world.context());
    world.commit(vec![item.clone()]);
    assert_eq!(world.refusal(item), Refusal::SessionReplayed(handshake.session_id()));
}

#[test]
fn a_session_follows_the_last_one_and_takes_its_place() {
    let mut world = World::joined();
    let first = world.session(1).0;
    let mut forgetful = Handshake::of(&world, 1, 2);
    forgetful.hello.previous_session = SessionId::new(Digest::ZERO);
    let forgetful = forgetful.renegotiated(|_| ()).item(&world.context());
    let (what, expected, got) = ("previous session", first.to_string(), Digest::ZERO.to_string());
    assert_eq!(world.refusal(forgetful), Refusal::Mismatch { what, expected, got });
    let second = Handshake::of(&world, 1, 2);
    world.commit(vec![second.item(&world.context())]);
    assert_eq!(world.session(1).0, second.session_id());
    assert!(world.state().sessions()[&first].closed);
    assert_eq!(world.state().last_session_of(&node(1)), second.session_id());
    // What is signed in the replaced session counts no more.
    let closed = SessionClosed {
        session_id: first,
        node_fingerprint: node(1),
        federated_epoch: world.state().epoch(),
        reason: SessionEnd::Left,
    };
    let mut late = Handshake::of(&world, 1, 3).request(&world.context());
    (late.session_id, late.entry) = (first, LedgerEntry::SessionClosed(closed));
    late.sequence = LaneSequence::new(1);
    let refusal = world.refusal(signed_by(&site(1), late, &world.context()));
    assert_eq!(refusal, Refusal::NoSession(first));
}

/// Two handshakes of one node, both genuine. Whoever withholds one holds nothing once the other is ordered.
#[test]
fn a_withheld_handshake_opens_nothing_later() {
    let mut world = World::joined();
    let withheld = Handshake::of(&world, 1, 2).item(&world.context());
    let taken = Handshake::of(&world, 1, 3);
    let before = world.session(1).0;
    world.commit(vec![taken.item(&world.context())]);
    let refused = |world: &World| {
        let refusal = world.refusal(withheld.clone());
        let (what, got) = ("previous session", before.to_string());
        let expected = taken.session_id().to_string();
        assert_eq!(refusal, Refusal::Mismatch { what, expected, got });
    };
    refused(&world);
    let closed = SessionClosed {
        session_id: taken.session_id(),
        node_fingerprint: node(1),
        federated_epoch: world.state().epoch(),
        reason: SessionEnd::Left,
    };
    let close = request(&world, 1, 1, LedgerEntry::SessionClosed(closed));
    world.commit(vec![close]);
    refused(&world);
    assert_eq!(world.state().session_of(&node(1)), None);
}

#[test]
fn two_sessions_of_one_node_in_one_block_follow_each_other() {
    let mut world = World::new();
    let first = Handshake::of(&world, 1, 1);
    let mut second = Handshake::of(&world, 1, 2);
    second.hello.previous_session = first.session_id();
    let second = second.renegotiated(|_| ());
    let context = world.context();
    world.commit(vec![first.item(&context), second.item(&context)]);
    assert_eq!(world.session(1).0, second.session_id());
    assert_eq!(world.state().last_session_of(&node(1)), second.session_id());
}

#[test]
fn a_channel_is_of_the_kind_that_the_federation_uses() {
    let refusal = refused(&World::new(), |handshake| {
        let transport = &mut handshake.statement.transport;
        transport.kind = TransportKind::Quic;
        (transport.tls_version, transport.cipher_suite) = (0x0304, 0x1301);
    });
    let got = TransportKind::Quic;
    assert_eq!(refusal, HandshakeError::TransportKind { got }.into());
}

#[test]
fn a_session_requested_by_another_node_is_refused() {
    let world = World::new();
    let mut request = Handshake::of(&world, 1, 1).request(&world.context());
    request.node_fingerprint = node(2);
    let item = signed_by(&site(2), request, &world.context());
    let (what, expected, got) = ("request node", node(1).to_string(), node(2).to_string());
    assert_eq!(world.refusal(item), Refusal::Mismatch { what, expected, got });
}

#[test]
fn a_request_under_another_session_id_is_refused() {
    let world = World::new();
    let handshake = Handshake::of(&world, 1, 1);
    let mut request = handshake.request(&world.context());
    request.session_id = SessionId::new(Digest::ZERO);
    let item = signed_by(&site(1), request, &world.context());
    let (expected, got) = (handshake.session_id().to_string(), Digest::ZERO.to_string());
    let what = "request session";
    assert_eq!(world.refusal(item), Refusal::Mismatch { what, expected, got });
}

#[test]
fn a_request_signed_by_somebody_else_is_refused() {
    let world = World::new();
    let request = Handshake::of(&world, 1, 1).request(&world.context());
    let item = signed_by(&site(2), request, &world.context());
    let (what, key) = ("Request", node(1).to_string());
    assert_eq!(world.refusal(item), SignatureError::Invalid { what, key }.into());
}

#[test]
fn a_request_signed_for_another_federation_is_refused() {
    let world = World::new();
    let request = Handshake::of(&world, 1, 1).request(&world.context());
    let context = SigningContext { config_digest: Digest::ZERO, ..world.context() };
    let item = signed_by(&site(1), request, &context);
    assert!(matches!(world.refusal(item), Refusal::Signature(SignatureError::Invalid { .. })));
}

#[test]
fn hello_and_statement_are_signed_by_the_node_itself() {
    let world = World::new();
    let context = world.context();
    let handshake = Handshake::of(&world, 1, 1);
    let refused = |bend: &dyn Fn(&mut SessionOpened)| {
        let mut opened = handshake.opened(&context);
        bend(&mut opened);
        let mut request = handshake.request(&context);
        request.entry = LedgerEntry::SessionOpened(Box::new(opened));
        world.refusal(signed_by(&site(1), request, &context))
    };
    let invalid =
        |what| signature_refusal(SignatureError::Invalid { what, key: node(1).to_string() });
    let refusal = refused(&|opened| {
        opened.hello = Signed::sign(handshake.hello.clone(), &key(&site(2)), &context);
    });
    assert_eq!(refusal, invalid("FederationHello"));
    let refusal = refused(&|opened| {
        opened.statement = Signed::sign(handshake.statement.clone(), &key(&site(2)), &context);
    });
    assert_eq!(refusal, invalid("SessionStatement"));
}

#[test]
fn a_node_outside_the_roster_is_refused() {
    let world = World::new();
    let stranger = node(99);
    let mut request = Handshake::of(&world, 1, 1).request(&world.context());
    request.node_fingerprint = stranger;
    let item = signed_by(&site(99), request, &world.context());
    assert_eq!(world.refusal(item), Refusal::UnknownNode(stranger));
    // A member cannot bring a stranger in either.
    let refused = refused(&world, |handshake| handshake.hello.node_fingerprint = stranger);
    assert_eq!(refused, Refusal::UnknownNode(stranger));
}

#[test]
fn an_accept_below_the_threshold_is_refused() {
    let refused = refused(&World::new(), |handshake| handshake.desks = vec!["governor-a"]);
    let below = SignatureError::BelowThreshold { what: "FederationAccept", valid: 1, needed: 2 };
    assert_eq!(refused, signature_refusal(below));
}

#[test]
fn an_accept_by_a_foreign_desk_is_refused() {
    let desks = vec!["governor-a", "governor-x"];
    let refused = refused(&World::new(), |handshake| handshake.desks.clone_from(&desks));
    assert!(
        matches!(
            refused,
            Refusal::Handshake(HandshakeError::Signature(SignatureError::UnknownKey { .. }))
        ),
        "{refused}"
    );
}

#[test]
fn a_handshake_whose_parts_do_not_belong_together_is_refused() {
    let world = World::new();
    let other = Handshake::of(&world, 1, 9).hello.hash();
    let refusal = refused(&world, |handshake| handshake.accept.hello_hash = other);
    let expected = Handshake::of(&world, 1, 1).hello.hash();
    assert_eq!(
        refusal,
        HandshakeError::from(AnswerError::OtherHello { expected, got: other }).into()
    );
    let refusal = refused(&world, |handshake| {
        handshake.statement.transport.certificate_hashes[0] = other;
    });
    assert_eq!(refusal, HandshakeError::Statement("certificate hashes").into());
    let refusal = refused(&world, |handshake| {
        handshake.accept.session_id = SessionId::new(other);
    });
    assert!(
        matches!(
            refusal,
            Refusal::Handshake(HandshakeError::Answer(AnswerError::SessionId { .. }))
        ),
        "{refusal}"
    );
}

/// Answers a bent hello, so that only its content can be wrong.
fn answering(world: &World, bend: impl Fn(&mut Handshake)) -> Refusal {
    let mut handshake = Handshake::of(world, 1, 1);
    bend(&mut handshake);
    world.refusal(handshake.renegotiated(|_| ()).item(&world.context()))
}

#[test]
fn a_hello_to_another_federation_or_committee_is_refused() {
    let world = World::new();
    let refusal = answering(&world, |handshake| handshake.hello.validator_set_hash = Digest::ZERO);
    let expected = world.rules().roster.configuration().validator_set_hash();
    let reason = Incompatibility::ValidatorSet { expected, got: Digest::ZERO };
    assert_eq!(refusal, incompatible(reason));
    let got = federation_proto::FederationId::new(Digest::ZERO);
    let refusal = answering(&world, |handshake| handshake.hello.federation_id = got);
    let expected = world.rules().federation_id();
    assert_eq!(refusal, incompatible(Incompatibility::Federation { expected, got }));
}

#[test]
fn an_accept_that_gives_up_a_required_capability_is_refused() {
    let world = World::new();
    let bent = Handshake::of(&world, 1, 1).renegotiated(|terms| {
        terms.negotiated.capabilities.retain(|capability| capability.name != name("zstd-1"));
    });
    let refusal = world.refusal(bent.item(&world.context()));
    assert_eq!(refusal, HandshakeError::Accept("capabilities").into());
}

#[test]
fn an_accept_under_another_policy_is_refused() {
    let world = World::new();
    let bent = Handshake::of(&world, 1, 1).renegotiated(|terms| terms.policy_hash = Digest::ZERO);
    let refusal = world.refusal(bent.item(&world.context()));
    assert_eq!(refusal, HandshakeError::Accept("policy hash").into());
}

#[test]
fn an_accept_of_a_future_epoch_is_refused() {
    let world = World::new();
    let refusal = world.refusal(Handshake::in_epoch(&world, 1, 1).item(&world.context()));
    let (current, got) = (FederatedEpoch::ZERO, FederatedEpoch::new(1));
    assert_eq!(refusal, HandshakeError::FutureEpoch { current, got }.into());
}

#[test]
fn an_accept_with_another_term_is_refused() {
    let world = World::new();
    let longer = Handshake::of(&world, 1, 1)
        .renegotiated(|terms| terms.not_after_epoch = FederatedEpoch::new(65));
    let refusal = world.refusal(longer.item(&world.context()));
    assert_eq!(refusal, HandshakeError::Accept("expiry").into());
}

#[test]
fn an_expired_session_opens_nothing_and_a_new_one_may_follow() {
    let mut world =
        World::under(&Charter::with_policy("session_epochs = 64", "session_epochs = 1"));
    let late = Handshake::of(&world, 1, 7);
    world.join_all();
    world.epoch(1).open_epoch();
    // Accepted in epoch 0 for one epoch; this is epoch 2.
    let refusal = world.refusal(late.item(&world.context()));
    let (current, got) = (FederatedEpoch::new(2), FederatedEpoch::ZERO);
    assert_eq!(refusal, HandshakeError::StaleAccept { current, got }.into());
    assert_eq!(world.state().session_of(&node(1)), None);
    let renewed = Handshake::of(&world, 1, 8);
    world.commit(vec![renewed.item(&world.context())]);
    assert_eq!(world.session(1).0, renewed.session_id());
}

#[test]
fn a_session_starts_within_the_window_of_its_lane() {
    let world = World::new();
    let mut request = Handshake::of(&world, 1, 1).request(&world.context());
    let got = LaneSequence::new(64);
    request.sequence = got;
    let refusal = world.refusal(signed_by(&site(1), request.clone(), &world.context()));
    assert_eq!(refusal, WindowRefusal::TooFar { got, next: 0 }.into());
    request.sequence = LaneSequence::new(63);
    world.preview(vec![signed_by(&site(1), request, &world.context())]).expect("the last place");
}

#[test]
fn the_entry_counts_and_not_who_carried_it() {
    let world = World::new();
    let item = Handshake::of(&world, 1, 1).item(&world.context());
    let BatchItem::Request(request) = &item else { panic!("a session is requested") };
    assert!(matches!(request.claimed().entry, LedgerEntry::SessionOpened(_)));
    let first = world.preview(vec![item.clone()]).expect("a session");
    assert_eq!(world.preview(vec![item]).expect("the same session"), first);
}

/// A site's request in its open session.
fn request(world: &World, index: usize, sequence: u64, entry: LedgerEntry) -> BatchItem {
    let request = Request {
        node_fingerprint: node(index),
        session_id: world.session(index).0,
        lane: Lane::Control,
        sequence: LaneSequence::new(sequence),
        entry,
    };
    signed_by(&site(index), request, &world.context())
}

fn resumption(world: &World, number: u32) -> SessionResumption {
    let tls_public_key = key::<Transport>("another channel").public();
    let certificates = [certificate_hash(&tls_public_key), Digest::ZERO];
    SessionResumption {
        tls_public_key,
        session_id: world.session(1).0,
        node_fingerprint: node(1),
        federated_epoch: world.state().epoch(),
        number,
        transport: TransportRecord::in_process(certificates, FederatedEpoch::new(9)),
    }
}

fn resumed(world: &World, sequence: u64, resumption: SessionResumption, signer: &str) -> BatchItem {
    let resumed = Signed::sign(resumption, &key(signer), &world.context());
    request(world, 1, sequence, LedgerEntry::SessionResumed(Box::new(resumed)))
}

#[test]
fn a_session_moves_to_another_channel_once_a_number() {
    let mut world = World::joined();
    let first = resumption(&world, 1);
    world.commit(vec![resumed(&world, 1, first.clone(), &site(1))]);
    let (_, session) = world.state().session_of(&node(1)).expect("open");
    assert_eq!((session.transport, session.resumptions), (TransportKind::InProcess, 1));
    let again = world.refusal(resumed(&world, 2, first, &site(1)));
    assert_eq!(again, ResumptionError::Number { expected: 2, got: 1 }.into());
    let mut network = resumption(&world, 2);
    network.transport.kind = TransportKind::Quic;
    (network.transport.tls_version, network.transport.cipher_suite) = (0x0304, 0x1301);
    let refusal = world.refusal(resumed(&world, 2, network, &site(1)));
    let got = TransportKind::Quic;
    assert_eq!(refusal, HandshakeError::TransportKind { got }.into());
}

#[test]
fn a_session_moves_so_often_and_no_more() {
    let mut world = World::joined();
    let limit = 256;
    for number in 1..=limit {
        let item = resumed(&world, u64::from(number), resumption(&world, number), &site(1));
        world.commit(vec![item]);
    }
    let next = resumed(&world, u64::from(limit) + 1, resumption(&world, limit + 1), &site(1));
    assert_eq!(world.refusal(next), Refusal::TooManyResumptions { limit });
}

#[test]
fn nobody_else_moves_a_session() {
    let world = World::joined();
    let forged = world.refusal(resumed(&world, 1, resumption(&world, 1), &site(2)));
    let (what, key) = ("SessionResumption", node(1).to_string());
    assert_eq!(forged, SignatureError::Invalid { what, key }.into());
}

#[test]
fn a_node_leaves_and_may_come_back() {
    let mut world = World::joined();
    let closed = SessionClosed {
        session_id: world.session(1).0,
        node_fingerprint: node(1),
        federated_epoch: world.state().epoch(),
        reason: SessionEnd::Left,
    };
    let close = |world: &World, closed: &SessionClosed| {
        request(world, 1, 1, LedgerEntry::SessionClosed(closed.clone()))
    };
    let evicted = SessionClosed { reason: SessionEnd::Quarantined, ..closed.clone() };
    let refusal = world.refusal(close(&world, &evicted));
    assert!(matches!(refusal, Refusal::NotRequestable(_)), "{refusal}");
    let another = SessionClosed { session_id: world.session(2).0, ..closed.clone() };
    let refusal = world.refusal(close(&world, &another));
    assert!(matches!(refusal, Refusal::Mismatch { what: "closed session", .. }), "{refusal}");
    let item = close(&world, &closed);
    world.commit(vec![item.clone()]);
    assert_eq!(world.state().session_of(&node(1)), None);
    assert_eq!(world.refusal(item), Refusal::NoSession(closed.session_id));
    let second = Handshake::of(&world, 1, 2);
    world.commit(vec![second.item(&world.context())]);
    assert_eq!(world.session(1).0, second.session_id());
}

/// Sessions stay in the state for ever, so nobody makes them as it pleases.
#[test]
fn a_node_opens_a_few_sessions_an_epoch_and_no_more() {
    let mut world = World::new();
    for nonce in 1..=4 {
        let item = Handshake::of(&world, 1, nonce).item(&world.context());
        world.commit(vec![item]);
    }
    let fifth = Handshake::of(&world, 1, 5).item(&world.context());
    let refusal = world.refusal(fifth);
    let (node, epoch) = (node(1), world.state().epoch());
    assert_eq!(refusal, Refusal::TooManySessions { node, epoch });
    world.join(2);
}

/// Who left is waited for by nobody.
#[test]
fn a_cut_does_not_wait_for_a_node_that_left() {
    let mut world = World::open();
    let sites = crate::fixture::SITES;
    for index in 1..sites {
        let item = world.committing(index, 1);
        world.commit(vec![item]);
    }
    let due = |world: &World| {
        let state = world.state();
        state.cut_due(world.rules(), world.executor.ledger().head().batch_time)
    };
    assert!(!due(&world), "one site may still commit");
    let closed = SessionClosed {
        session_id: world.session(sites).0,
        node_fingerprint: node(sites),
        federated_epoch: world.state().epoch(),
        reason: SessionEnd::Left,
    };
    let close = request(&world, sites, 1, LedgerEntry::SessionClosed(closed));
    world.commit(vec![close]);
    assert!(due(&world));
}
