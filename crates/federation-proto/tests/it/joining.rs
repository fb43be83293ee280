//! The two halves of the handshake as state machines: node and admission desks, in order and out of order.

mod desks;
mod resumption;

use federation_proto::genesis::Roster;
use federation_proto::handshake::{
    AcceptRefusal, AdmissionDesk, AnswerError, Attestation, AttestationLevel, Authority, Demands,
    DeskView, FederationAccept, FederationHello, FederationRefusal, HelloChannel, HelloRefusal,
    Incompatibility, NodeHandshake, NodeOutput, PhaseError, SessionOpened, TransportKind,
};
use federation_proto::keys::{Admission, Identity};
use federation_proto::signing::{Endorsement, SignatureError};
use federation_proto::{
    Digest, Endorsed, FederatedEpoch, LedgerBlockId, SecretKey, SessionId, Signed, SigningContext,
    VerifyingKey,
};

use proptest::prelude::*;

use crate::operations::STRAIGHT;
use crate::{fixture, operations};

/// One federation, three desks, and the site that joins.
struct World {
    roster: Roster,
    context: SigningContext,
    required: Vec<federation_proto::handshake::Capability>,
    desks: Vec<(SecretKey<Admission>, AdmissionDesk)>,
    admission_keys: Vec<VerifyingKey<Admission>>,
    epoch: FederatedEpoch,
    /// The channel that hellos come in.
    channel: HelloChannel,
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
            channel: HelloChannel::Direct {
                tls_public_key: fixture::public("site-1"),
                exporter: Some([7; 32]),
            },
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
        let last_session = hello.claimed().previous_session;
        self.answer_after(number, hello, last_session)
    }

    /// As [`World::answer`], where the ledger has this last session of the node.
    fn answer_after(
        &mut self,
        number: usize,
        hello: Signed<FederationHello>,
        last_session: SessionId,
    ) -> Result<Endorsed<FederationAccept>, HelloRefusal> {
        let view = DeskView {
            last_session,
            rules: fixture::admission(&self.roster, &self.context, &self.required),
            epoch: self.epoch,
            federation_certificate: fixture::terms().certificate_hashes[1],
            channel: self.channel.clone(),
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
    let node_channel = AnswerError::NodeCertificate { expected: node_certificate, got: other };
    let federation_channel =
        AcceptRefusal::FederationCertificate { expected: federation_certificate, got: other };
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
            Some(node_channel.into()),
        ),
        (
            |terms| terms.certificate_hashes[1] = fixture::digest("another"),
            Some(federation_channel),
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
    assert_eq!(output, Err(AnswerError::OtherHello { expected, got }.into()));
    // Renamed to the new hello it no longer has its session id, and repaired it has no signature.
    let mut renamed = FederationAccept { hello_hash: expected, ..accept };
    let output =
        second.handle_accept(renamed.clone(), endorsement.clone(), &world.authority(), &site());
    let Err(AcceptRefusal::Answer(AnswerError::SessionId { expected: derived, .. })) = output
    else {
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
    let expected = accept.session_id;
    let key = fixture::public("site-1");
    let output = node.resume(key, fixture::channel(), world.epoch, &site(), &world.context);
    assert_eq!(output, Err(out_of_phase("resumption", "publishing")));
    let output = node.handle_resumed(&resumption::first_move(), world.epoch);
    assert_eq!(output, Err(out_of_phase("ordered resumption", "publishing")));
    assert_eq!(node.handle_opened(expected, block()), Ok(NodeOutput::Established));
    assert_eq!(node.handle_opened(expected, block()), Ok(NodeOutput::Nothing), "it stands");
}

/// Whatever a node waits for, or stands in: another session of its own ends it.
#[test]
fn a_node_notices_that_it_was_replaced() {
    let mut world = World::new();
    let other = SessionId::new(fixture::digest("another"));
    let mut greeting = world.greet(fixture::hello());
    let previous = fixture::hello().previous_session;
    assert_eq!(greeting.handle_opened(previous, block()), Ok(NodeOutput::Nothing));
    assert_eq!(greeting.handle_opened(other, block()), Ok(NodeOutput::Expired));
    let mut established = world.established();
    assert_eq!(established.handle_opened(other, block()), Ok(NodeOutput::Expired));
    assert!(established.established().is_none());
}

#[test]
fn a_desk_answers_nobody_who_follows_another_session() {
    let mut world = World::new();
    let hello = Signed::sign(fixture::hello(), &site(), &world.context);
    let expected = SessionId::new(fixture::digest("another"));
    let Err(HelloRefusal::Incompatible(refusal)) = world.answer_after(0, hello, expected) else {
        panic!("a hello that follows nothing was accepted")
    };
    let got = fixture::hello().previous_session;
    let reason = Incompatibility::PreviousSession { expected, got };
    assert_eq!(refusal.claimed().report.reasons(), std::slice::from_ref(&reason));
    // With whatever else is wrong, in one report.
    let mut weak = FederationHello { nonce: [1; 32], ..fixture::hello() };
    let missing = fixture::required()[1].clone();
    weak.supported_capabilities.truncate(2);
    let weak = Signed::sign(weak, &site(), &world.context);
    let Err(HelloRefusal::Incompatible(refusal)) = world.answer_after(0, weak, expected) else {
        panic!("a weak hello that follows nothing was accepted")
    };
    let expected = [Incompatibility::MissingCapability(missing), reason];
    assert_eq!(refusal.claimed().report.reasons(), expected);
}

/// The published session names the one before it: once another was opened, it follows nothing any more.
#[test]
fn another_session_of_the_node_ends_its_handshake() {
    let mut world = World::new();
    let (mut node, _) = world.publishing();
    let other = SessionId::new(fixture::digest("another"));
    assert_eq!(node.handle_opened(other, block()), Ok(NodeOutput::Expired));
    assert_eq!((node.phase(), node.pending()), ("expired", None));
    let output = node.handle_opened(fixture::session_id(), block());
    let expected = PhaseError::Unexpected { input: "session block", phase: "expired" };
    assert_eq!(output, Err(expected));
}

/// Nobody answers a hello two epochs later, nor orders an accept: a node that waits for it waits for ever.
#[test]
fn a_handshake_is_over_two_epochs_after_its_word() {
    let mut world = World::new();
    let mut greeting = world.greet(fixture::hello());
    let (mut publishing, _) = world.publishing();
    for node in [&mut greeting, &mut publishing] {
        let phase = node.phase();
        for epoch in [0, 3, 4] {
            assert_eq!(node.handle_epoch(fixture::epoch(epoch)), NodeOutput::Nothing, "{phase}");
        }
        assert_eq!(node.phase(), phase);
        assert_eq!(node.handle_epoch(fixture::epoch(5)), NodeOutput::Expired, "{phase}");
        assert_eq!((node.phase(), node.hello(), node.pending()), ("expired", None, None));
        assert_eq!(node.handle_epoch(fixture::epoch(6)), NodeOutput::Nothing);
    }
    // An accept of the next epoch has its own time.
    world.epoch = fixture::epoch(4);
    let (mut node, _) = world.publishing();
    assert_eq!(node.handle_epoch(fixture::epoch(5)), NodeOutput::Nothing);
    assert_eq!(node.handle_epoch(fixture::epoch(6)), NodeOutput::Expired);
}

#[test]
fn a_session_ends_with_its_last_epoch() {
    let mut node = World::new().established();
    assert_eq!(node.handle_epoch(fixture::epoch(50)), NodeOutput::Nothing);
    assert!(node.established().is_some());
    assert_eq!(node.handle_epoch(fixture::epoch(51)), NodeOutput::Expired);
    assert!(node.established().is_none());
    assert_eq!(node.handle_epoch(fixture::epoch(52)), NodeOutput::Nothing);
}

/// A governor that accepted again in the next epoch is not taken at its old word, whoever repeats it.
#[test]
fn a_recorded_older_accept_does_not_undo_a_newer_one() {
    let mut world = World::new();
    let mut node = world.greet(fixture::hello());
    let older = [0, 2].map(|desk| world.accept_of(desk, &node));
    world.epoch = fixture::epoch(4);
    let newer = [0, 2].map(|desk| world.accept_of(desk, &node));
    let mut take = |(accept, endorsement): &(FederationAccept, Endorsement<Admission>)| {
        node.handle_accept(accept.clone(), endorsement.clone(), &world.authority(), &site())
    };
    assert_eq!(take(&newer[0]), Ok(NodeOutput::Nothing));
    assert_eq!(take(&older[0]), Ok(NodeOutput::Nothing));
    // The older word of the first governor does not count for the older of the second,
    assert_eq!(take(&older[1]), Ok(NodeOutput::Nothing));
    // and its newer one still counts for the newer.
    let Ok(NodeOutput::Publish(opened)) = take(&newer[1]) else { panic!("two accepts agree") };
    assert_eq!(opened.accept.claimed(), &newer[0].0);
}

/// Quotes of two makers are different things: neither stands for the other, and nobody proved more than was
/// offered.
#[test]
fn governance_attests_what_was_offered_or_nothing() {
    let quote = || federation_proto::bounded::Bytes::new(vec![1]).expect("fits");
    let offers = [
        (Attestation::None, AttestationLevel::None),
        (Attestation::SoftwareMeasurement(Digest::ZERO), AttestationLevel::Software),
        (Attestation::TdxQuote(quote()), AttestationLevel::Tdx),
        (Attestation::SevSnpReport(quote()), AttestationLevel::SevSnp),
    ];
    let world = World::new();
    for (attestation, offered) in &offers {
        for (_, attested) in &offers {
            let hello = FederationHello { attestation: attestation.clone(), ..fixture::hello() };
            let mut terms = fixture::terms();
            terms.negotiated.attested = *attested;
            let accept = FederationAccept::answer(&hello, terms);
            let endorsement = fixture::endorsed(accept.clone()).endorsements()[0].clone();
            let mut node = world.greet(hello);
            let output = node.handle_accept(accept, endorsement, &world.authority(), &site());
            let good = attested == offered || *attested == AttestationLevel::None;
            let refusal = AcceptRefusal::Downgrade { what: "attestation" };
            let expected = if good { Ok(NodeOutput::Nothing) } else { Err(refusal) };
            assert_eq!(output, expected, "offered {offered}, attested {attested}");
        }
    }
}

#[test]
fn a_refusal_tells_the_operator_and_ends_nothing() {
    let mut world = World::new();
    let mut hello = fixture::hello();
    hello.supported_capabilities.truncate(2);
    let node = world.greet(hello.clone());
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
    assert_eq!(output, Err(AnswerError::OtherHello { expected, got }.into()));
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

#[test]
fn a_straight_program_opens_and_moves_a_session() {
    let phase = |operations: usize| operations::run(&STRAIGHT[..operations].concat());
    let phases: Vec<_> = (1..=STRAIGHT.len()).filter_map(phase).collect();
    let expected = [["greeting"; 4].as_slice(), &["publishing"], &["established"; 6], &["expired"]];
    assert_eq!(phases, expected.concat());
}
