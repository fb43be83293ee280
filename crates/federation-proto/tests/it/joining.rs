//! The two halves of the handshake as state machines: node and admission desks, in order and out of order.

use federation_proto::genesis::Roster;
use federation_proto::handshake::{
    AcceptRefusal, AdmissionDesk, AttestationLevel, Authority, Demands, DeskView, FederationAccept,
    FederationHello, FederationRefusal, HelloRefusal, Incompatibility, NodeHandshake, NodeOutput,
    PhaseError, ResumptionError, SessionOpened, SessionResumption, TransportKind, TransportRecord,
};
use federation_proto::keys::{Admission, Identity};
use federation_proto::signing::{Endorsement, SignatureError};
use federation_proto::{
    Digest, Endorsed, FederatedEpoch, LedgerBlockId, SecretKey, SessionId, Signed, SigningContext,
    VerifyingKey,
};

use proptest::prelude::*;

use crate::{fixture, operations};

/// One federation, three desks, and the site that joins.
struct World {
    roster: Roster,
    context: SigningContext,
    required: Vec<federation_proto::handshake::Capability>,
    desks: Vec<(SecretKey<Admission>, AdmissionDesk)>,
    admission_keys: Vec<VerifyingKey<Admission>>,
    epoch: FederatedEpoch,
}

fn site() -> SecretKey<Identity> {
    fixture::secret("site-1")
}

fn demands() -> Demands {
    Demands {
        capabilities: fixture::required(),
        policy_hash: fixture::digest("policy"),
        federation_certificate: fixture::terms().certificate_hashes[1],
        kind: TransportKind::Quic,
        tls: [0x0304, 0x1301],
    }
}

impl World {
    fn new() -> Self {
        let roster = fixture::configuration().validate().expect("a good roster");
        Self {
            admission_keys: roster.admission_keys(),
            roster,
            context: fixture::context(),
            required: fixture::required(),
            desks: fixture::GOVERNORS
                .map(|governor| (fixture::secret(governor), AdmissionDesk::default()))
                .into(),
            epoch: fixture::epoch(3),
        }
    }

    fn authority(&self) -> Authority<'_> {
        Authority { context: &self.context, admission_keys: &self.admission_keys, needed: 2 }
    }

    fn greet(&self, hello: FederationHello) -> NodeHandshake {
        NodeHandshake::greet(hello, demands(), &site(), &self.context)
    }

    /// Desk `number`'s answer.
    fn answer(
        &mut self,
        number: usize,
        hello: Signed<FederationHello>,
    ) -> Result<Endorsed<FederationAccept>, HelloRefusal> {
        let view = DeskView {
            rules: fixture::admission(&self.roster, &self.context, &self.required),
            epoch: self.epoch,
            federation_certificate: fixture::terms().certificate_hashes[1],
            proven: AttestationLevel::None,
        };
        let (key, desk) = &mut self.desks[number];
        desk.handle_hello(hello, &view, key)
    }

    fn accept_of(
        &mut self,
        number: usize,
        node: &NodeHandshake,
    ) -> (FederationAccept, Endorsement<Admission>) {
        let hello = node.hello().expect("greeting").clone();
        let answer = self.answer(number, hello).expect("accepted");
        (answer.claimed().clone(), answer.endorsements()[0].clone())
    }

    /// A node whose session two desks accepted.
    fn publishing(&mut self) -> (NodeHandshake, SessionOpened) {
        let mut node = self.greet(fixture::hello());
        let mut last = NodeOutput::Nothing;
        for number in [2, 0] {
            let (accept, endorsement) = self.accept_of(number, &node);
            last = node
                .handle_accept(accept, endorsement, &self.authority(), &site())
                .expect("a good accept");
        }
        let NodeOutput::Publish(opened) = last else { unreachable!("{last:?}") };
        (node, *opened)
    }

    fn established(&mut self) -> NodeHandshake {
        let (mut node, opened) = self.publishing();
        let id = opened.accept.claimed().session_id;
        assert_eq!(node.handle_opened(id, block()), Ok(NodeOutput::Established));
        node
    }
}

fn block() -> LedgerBlockId {
    fixture::ledger_block_id()
}

#[test]
fn two_of_three_desks_admit_a_node() {
    let mut world = World::new();
    let (mut node, opened) = world.publishing();
    assert_eq!((node.phase(), node.pending()), ("publishing", Some(&opened)));
    let rules = fixture::admission(&world.roster, &world.context, &world.required);
    assert_eq!(opened.verify(&rules, world.epoch), Ok(()));
    let session_id = opened.accept.claimed().session_id;
    assert_eq!(session_id, fixture::session_id());
    assert_eq!(node.handle_opened(session_id, block()), Ok(NodeOutput::Established));
    let established = node.established().expect("a session");
    assert_eq!(established.ledger_block_id, block());
    assert_eq!(established.capabilities, fixture::required());
    assert_eq!(established.terms.not_after_epoch, fixture::epoch(50));
}

#[test]
fn one_desk_counts_once_however_often_it_speaks() {
    let mut world = World::new();
    let mut node = world.greet(fixture::hello());
    for _ in 0..5 {
        let (accept, endorsement) = world.accept_of(0, &node);
        let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
        assert_eq!(output, Ok(NodeOutput::Nothing));
    }
    assert_eq!(node.phase(), "greeting");
}

#[test]
fn desks_that_disagree_admit_nobody_until_enough_agree() {
    let mut world = World::new();
    let mut node = world.greet(fixture::hello());
    let (accept, endorsement) = world.accept_of(0, &node);
    let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
    assert_eq!(output, Ok(NodeOutput::Nothing));
    // The border passes: the second desk is an epoch further, so its accept is another one.
    world.epoch = fixture::epoch(4);
    let (accept, endorsement) = world.accept_of(1, &node);
    let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
    assert_eq!(output, Ok(NodeOutput::Nothing));
    let (accept, endorsement) = world.accept_of(0, &node);
    let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
    let Ok(NodeOutput::Publish(opened)) = output else { panic!("{output:?}") };
    assert_eq!(opened.accept.claimed().epoch, fixture::epoch(4));
}

/// Every field of a genuine accept changed by governors themselves: signed, and refused by the node.
#[test]
fn a_node_takes_no_terms_it_did_not_ask_for() {
    type Change = fn(&mut federation_proto::handshake::AcceptTerms);
    let downgrade = |what| Some(AcceptRefusal::Downgrade { what });
    let other = fixture::digest("another");
    let [node_certificate, federation_certificate] = fixture::terms().certificate_hashes;
    let policy = fixture::digest("policy");
    let channel = |end, expected| AcceptRefusal::OtherChannel { end, expected, got: other };
    let (said, until) = (fixture::epoch(3), fixture::epoch(50));
    let cases: [(Change, Option<AcceptRefusal>); 9] = [
        (|terms| terms.negotiated.wire_version = 2, downgrade("wire version")),
        (|terms| terms.negotiated.capabilities.truncate(1), downgrade("capabilities")),
        (|terms| terms.negotiated.capabilities.swap(0, 1), downgrade("capabilities")),
        (
            |terms| {
                terms.negotiated.capabilities = fixture::capabilities(&["coloring@1.5", "zstd@1.0"])
            },
            downgrade("capabilities"),
        ),
        (|terms| terms.negotiated.attested = AttestationLevel::Tdx, downgrade("attestation")),
        (
            |terms| terms.certificate_hashes[0] = fixture::digest("another"),
            Some(channel("the node", node_certificate)),
        ),
        (
            |terms| terms.certificate_hashes[1] = fixture::digest("another"),
            Some(channel("the federation", federation_certificate)),
        ),
        (
            |terms| terms.policy_hash = fixture::digest("another"),
            Some(AcceptRefusal::Policy { expected: policy, got: other }),
        ),
        (
            |terms| terms.epoch = fixture::epoch(9),
            Some(AcceptRefusal::Epoch { said, got: fixture::epoch(9), not_after: until }),
        ),
    ];
    let world = World::new();
    for (change, expected) in cases {
        let mut terms = fixture::terms();
        change(&mut terms);
        let mut node = world.greet(fixture::hello());
        let accept = FederationAccept::answer(&fixture::hello(), terms);
        let endorsement = fixture::endorsed(accept.clone()).endorsements()[0].clone();
        let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
        assert_eq!(output.err(), expected);
    }
}

#[test]
fn an_accept_is_signed_by_an_admission_key_of_this_federation() {
    let mut world = World::new();
    let mut node = world.greet(fixture::hello());
    let (accept, _) = world.accept_of(0, &node);
    let foreign = fixture::secret::<Admission>("stranger");
    let stranger = Endorsed::sign(accept.clone(), [&foreign], &world.context);
    let output = node.handle_accept(
        accept.clone(),
        stranger.endorsements()[0].clone(),
        &world.authority(),
        &site(),
    );
    let unknown =
        SignatureError::UnknownKey { what: "FederationAccept", key: foreign.public().to_string() };
    assert_eq!(output, Err(AcceptRefusal::Signature(unknown)));
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let key = fixture::secret::<Admission>(fixture::GOVERNORS[0]);
        let signed = Endorsed::sign(accept.clone(), [&key], &elsewhere);
        let endorsement = signed.endorsements()[0].clone();
        let output = node.handle_accept(accept.clone(), endorsement, &world.authority(), &site());
        assert!(matches!(output, Err(AcceptRefusal::Signature(SignatureError::Invalid { .. }))));
    }
    assert_eq!(node.phase(), "greeting");
}

#[test]
fn a_recorded_accept_opens_no_later_session() {
    let mut world = World::new();
    let first = world.greet(fixture::hello());
    let (accept, endorsement) = world.accept_of(0, &first);
    let hello = FederationHello { nonce: [1; 32], ..fixture::hello() };
    let expected = hello.hash();
    let mut second = world.greet(hello);
    let output =
        second.handle_accept(accept.clone(), endorsement.clone(), &world.authority(), &site());
    let got = fixture::hello().hash();
    assert_eq!(output, Err(AcceptRefusal::OtherHello { expected, got }));
    // Renamed to the new hello it no longer has its session id, and repaired it has no signature.
    let mut renamed = FederationAccept { hello_hash: expected, ..accept };
    let output =
        second.handle_accept(renamed.clone(), endorsement.clone(), &world.authority(), &site());
    let Err(AcceptRefusal::SessionId { expected: derived, .. }) = output else {
        panic!("{output:?}")
    };
    renamed.session_id = derived;
    let output = second.handle_accept(renamed, endorsement, &world.authority(), &site());
    assert!(matches!(output, Err(AcceptRefusal::Signature(SignatureError::Invalid { .. }))));
}

#[test]
fn nothing_comes_out_of_its_phase() {
    let mut world = World::new();
    let (mut node, opened) = world.publishing();
    let accept = opened.accept.claimed().clone();
    let endorsement = opened.accept.endorsements()[0].clone();
    let out_of_phase = |input, phase| PhaseError::Unexpected { input, phase };
    let output =
        node.handle_accept(accept.clone(), endorsement.clone(), &world.authority(), &site());
    assert_eq!(output, Err(AcceptRefusal::Phase(out_of_phase("accept", "publishing"))));
    let got = SessionId::new(Digest::ZERO);
    let expected = accept.session_id;
    let output = node.handle_opened(got, block());
    assert_eq!(output, Err(PhaseError::OtherSession { expected, got }));
    let output = node.resume(fixture::channel(), world.epoch, &site(), &world.context);
    assert_eq!(output, Err(out_of_phase("resumption", "publishing")));
    assert_eq!(node.handle_opened(expected, block()), Ok(NodeOutput::Established));
    let output = node.handle_opened(expected, block());
    assert_eq!(output, Err(out_of_phase("session block", "established")));
}

#[test]
fn a_session_ends_with_its_last_epoch() {
    let mut world = World::new();
    let (mut node, _) = world.publishing();
    assert_eq!(node.handle_epoch(fixture::epoch(50)), NodeOutput::Nothing);
    assert_eq!(node.handle_epoch(fixture::epoch(51)), NodeOutput::Expired);
    assert_eq!((node.phase(), node.pending()), ("expired", None));
    let mut node = world.established();
    assert_eq!(node.handle_epoch(fixture::epoch(50)), NodeOutput::Nothing);
    assert!(node.established().is_some());
    assert_eq!(node.handle_epoch(fixture::epoch(51)), NodeOutput::Expired);
    assert!(node.established().is_none());
    assert_eq!(node.handle_epoch(fixture::epoch(52)), NodeOutput::Nothing);
}

#[test]
fn a_session_moves_to_another_channel_and_never_back() {
    let mut world = World::new();
    let mut node = world.established();
    let ledger = node.established().expect("a session").terms;
    let channel = TransportRecord {
        certificate_hashes: [fixture::digest("rotated"), fixture::digest("federation")],
        ..fixture::channel()
    };
    let first = node.resume(channel, fixture::epoch(5), &site(), &world.context);
    let first = first.expect("possible");
    let key = site().public().check().expect("a good key");
    let verified = first.clone().verify(&key, &world.context).expect("signed by the node");
    let moved = ledger.resume(&verified, fixture::epoch(5)).expect("follows");
    assert_eq!(moved, node.established().expect("a session").terms);
    // The recording of it is worth nothing: not again, not after the next one, not an epoch later.
    let again = moved.resume(&verified, fixture::epoch(5));
    assert_eq!(again, Err(ResumptionError::Number { expected: 2, got: 1 }));
    let late = ledger.resume(&verified, fixture::epoch(9));
    let (current, got) = (fixture::epoch(9), fixture::epoch(5));
    assert_eq!(late, Err(ResumptionError::Epoch { current, got }));
}

#[test]
fn a_resumption_is_of_this_session_and_no_weaker() {
    let mut world = World::new();
    let terms = world.established().established().expect("a session").terms;
    let good = SessionResumption {
        session_id: terms.session_id,
        node_fingerprint: terms.node_fingerprint,
        federated_epoch: fixture::epoch(5),
        number: 1,
        transport: fixture::channel(),
    };
    assert!(terms.resume(&good, fixture::epoch(5)).is_ok());
    let other = SessionId::new(Digest::ZERO);
    let stranger = fixture::public("stranger");
    let changed = |change: &dyn Fn(&mut SessionResumption)| {
        let mut resumption = good.clone();
        change(&mut resumption);
        terms.resume(&resumption, fixture::epoch(5)).expect_err("spoiled")
    };
    let (expected, got) = (terms.session_id, other);
    assert_eq!(changed(&|r| r.session_id = other), ResumptionError::OtherSession { expected, got });
    let (expected, got) = (terms.node_fingerprint, stranger);
    assert_eq!(
        changed(&|r| r.node_fingerprint = stranger),
        ResumptionError::OtherNode { expected, got }
    );
    assert_eq!(changed(&|r| r.number = 2), ResumptionError::Number { expected: 1, got: 2 });
    let (not_after, got) = (fixture::epoch(50), fixture::epoch(51));
    assert_eq!(
        changed(&|r| r.transport.not_after_epoch = got),
        ResumptionError::ChannelOutlivesSession { not_after, got }
    );
    assert_eq!(
        changed(&|r| r.transport.kind = TransportKind::Zenoh),
        ResumptionError::Downgrade { present: TransportKind::Quic, got: TransportKind::Zenoh }
    );
    assert!(matches!(
        changed(&|r| r.transport.tls_version = 0x0303),
        ResumptionError::Transport(_)
    ));
    let current = fixture::epoch(51);
    let late = SessionResumption { federated_epoch: current, ..good };
    assert_eq!(terms.resume(&late, current), Err(ResumptionError::Expired { not_after, current }));
}

#[test]
fn a_desk_answers_a_repetition_with_the_same_words() {
    let mut world = World::new();
    let node = world.greet(fixture::hello());
    let first = world.accept_of(0, &node);
    assert_eq!(world.accept_of(0, &node), first);
    assert_eq!(world.accept_of(1, &node).0, first.0, "all desks say the same");
    assert_eq!(world.desks[0].1.remembered(), 1);
}

#[test]
fn a_nonce_is_good_for_one_hello() {
    let mut world = World::new();
    let node = world.greet(fixture::hello());
    world.accept_of(0, &node);
    let other = FederationHello { ledger_size: 8, ..fixture::hello() };
    let refusal = HelloRefusal::NonceReused {
        node: site().public(),
        first: fixture::hello().hash(),
        again: other.hash(),
    };
    let hello = Signed::sign(other, &site(), &world.context);
    assert_eq!(world.answer(0, hello), Err(refusal));
}

#[test]
fn a_recorded_hello_is_refused_in_a_later_epoch() {
    let mut world = World::new();
    let node = world.greet(fixture::hello());
    let hello = node.hello().expect("greeting").clone();
    for epoch in [3, 4] {
        world.epoch = fixture::epoch(epoch);
        assert!(world.answer(0, hello.clone()).is_ok(), "{epoch}");
    }
    world.epoch = fixture::epoch(5);
    let Err(HelloRefusal::Incompatible(refusal)) = world.answer(0, hello) else {
        panic!("a stale hello was answered")
    };
    let (current, got) = (fixture::epoch(5), fixture::epoch(3));
    assert_eq!(refusal.claimed().report.reasons(), [Incompatibility::Epoch { current, got }]);
    assert_eq!(world.desks[0].1.remembered(), 0, "it is forgotten with its epoch");
}

#[test]
fn a_desk_remembers_no_more_than_it_must() {
    let mut world = World::new();
    for number in 0..16 {
        let hello = FederationHello { nonce: [number; 32], ..fixture::hello() };
        assert!(world.answer(0, Signed::sign(hello, &site(), &world.context)).is_ok());
    }
    let hello = FederationHello { nonce: [99; 32], ..fixture::hello() };
    let (node, epoch) = (site().public(), world.epoch);
    let answer = world.answer(0, Signed::sign(hello, &site(), &world.context));
    assert_eq!(answer, Err(HelloRefusal::TooManyHellos { node, epoch }));
    // Strangers and forgers leave no trace at all.
    let stranger = FederationHello { node_fingerprint: fixture::public("x"), ..fixture::hello() };
    let answer = world.answer(1, Signed::sign(stranger, &site(), &world.context));
    assert_eq!(answer, Err(HelloRefusal::UnknownNode(fixture::public("x"))));
    let forged = Signed::sign(fixture::hello(), &fixture::secret("site-2"), &world.context);
    assert!(matches!(world.answer(1, forged), Err(HelloRefusal::Signature(_))));
    assert_eq!(world.desks[1].1.remembered(), 0);
}

#[test]
fn a_refusal_tells_the_operator_and_ends_nothing() {
    let mut world = World::new();
    let mut hello = fixture::hello();
    hello.supported_capabilities.truncate(2);
    let mut node = world.greet(hello.clone());
    let said = node.hello().expect("greeting").clone();
    let Err(HelloRefusal::Incompatible(refusal)) = world.answer(1, said) else {
        panic!("a hello without zstd was accepted")
    };
    let output = node.handle_refusal(*refusal.clone(), &world.authority());
    let Ok(NodeOutput::Refused(report)) = output else { panic!("{output:?}") };
    assert_eq!(report.to_string(), "required capability zstd@1.0 is not offered");
    assert_eq!(node.phase(), "greeting");
    // Nobody but an admission key may scare an operator.
    let body: FederationRefusal = refusal.claimed().clone();
    let forged = Signed::sign(body, &fixture::secret("stranger"), &world.context);
    let output = node.handle_refusal(forged, &world.authority());
    assert!(matches!(output, Err(AcceptRefusal::Signature(_))), "{output:?}");
    let other = FederationRefusal { hello_hash: Digest::ZERO, ..refusal.claimed().clone() };
    let other = Signed::sign(other, &fixture::secret(fixture::GOVERNORS[0]), &world.context);
    let output = node.handle_refusal(other, &world.authority());
    let (expected, got) = (hello.hash(), Digest::ZERO);
    assert_eq!(output, Err(AcceptRefusal::OtherHello { expected, got }));
    let _ = node.handle_epoch(fixture::epoch(9));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_program_breaks_a_law(
        head in 0..=STRAIGHT.len(),
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        // From every phase of a handshake that began well.
        operations::run(&[STRAIGHT[..head].concat(), tail].concat());
    }
}

/// A program that gets all the way: hello, two desks, two accepts, the block, another channel, the end.
const STRAIGHT: [&[u8]; 9] = [
    &[0, 0, 1, 0, 7],
    &[1, 0, 0, 1, 0],
    &[1, 0, 0, 1, 1],
    &[2, 0, 0, 1],
    &[2, 0, 1, 1],
    &[5, 0, 0],
    &[7, 0, 2, 2, 1, 4],
    &[6, 0, 2],
    &[6, 0, 2],
];

#[test]
fn a_straight_program_opens_and_moves_a_session() {
    let phase = |operations: usize| operations::run(&STRAIGHT[..operations].concat());
    let phases: Vec<_> = (1..=STRAIGHT.len()).filter_map(phase).collect();
    let expected = [
        "greeting",
        "greeting",
        "greeting",
        "greeting",
        "publishing",
        "established",
        "established",
        "established",
        "expired",
    ];
    assert_eq!(phases, expected);
}
