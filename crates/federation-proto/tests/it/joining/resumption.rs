//! A session's move to another channel: in place once it is ordered, each number once, over known certificates.

use federation_proto::handshake::{
    NodeHandshake, NodeOutput, PhaseError, ResumptionError, SessionResumption, SessionTerms,
    TransportKind, TransportRecord, certificate_hash,
};
use federation_proto::keys::Transport;
use federation_proto::{Digest, SessionId, Signed};

use super::{World, site};
use crate::fixture;

/// A channel with the site's rotated certificate.
fn rotated(cipher_suite: u16) -> TransportRecord {
    let [_, federation] = fixture::channel().certificate_hashes;
    let node = certificate_hash(&fixture::public::<Transport>("rotated"));
    TransportRecord { certificate_hashes: [node, federation], cipher_suite, ..fixture::channel() }
}

/// The fixture's session moves in epoch 5.
pub(super) fn first_move() -> SessionResumption {
    SessionResumption {
        session_id: fixture::session_id(),
        node_fingerprint: site().public(),
        federated_epoch: fixture::epoch(5),
        number: 1,
        tls_public_key: fixture::public("rotated"),
        transport: rotated(0x1301),
    }
}

fn terms(node: &NodeHandshake) -> SessionTerms {
    node.established().expect("a session").terms
}

/// The node asks in epoch 5.
fn ask(world: &World, node: &mut NodeHandshake, cipher_suite: u16) -> Signed<SessionResumption> {
    let key = fixture::public("rotated");
    let (now, channel) = (fixture::epoch(5), rotated(cipher_suite));
    node.resume(key, channel, now, &site(), &world.context).expect("possible")
}

fn number(expected: u32, got: u32) -> ResumptionError {
    ResumptionError::Number { expected, got }
}

#[test]
fn a_session_moves_when_the_ledger_says_so() {
    let mut world = World::new();
    let mut node = world.established();
    let before = terms(&node);
    let asked = ask(&world, &mut node, 0x1301);
    assert_eq!(asked.claimed(), &first_move());
    assert_eq!(terms(&node), before, "it is asked, not ordered");
    let pending = node.established().and_then(|established| established.resuming.as_ref());
    assert_eq!(pending, Some(&asked));
    let key = site().public().check().expect("a good key");
    let verified = asked.clone().verify(&key, &world.context).expect("signed by the node");
    let moved = before.resume(&verified, fixture::epoch(5)).expect("follows");
    assert_eq!(moved.resumptions, 1);
    // Ordered an epoch later still: the border may pass before it is.
    assert_eq!(node.handle_resumed(&verified, fixture::epoch(6)), Ok(NodeOutput::Established));
    let established = node.established().expect("a session");
    assert_eq!((established.terms, &established.resuming), (moved, &None));
    // The recording of it is worth nothing: not again, not after the next one, not an epoch later.
    let again = node.handle_resumed(&verified, fixture::epoch(6));
    assert_eq!(again, Err(PhaseError::Resumption(number(2, 1))));
    let late = before.resume(&verified, fixture::epoch(9));
    let (current, got) = (fixture::epoch(9), fixture::epoch(5));
    assert_eq!(late, Err(ResumptionError::Epoch { current, got }));
}

/// The first is lost on its way, the node asks again and moves; then somebody finds the first one.
#[test]
fn a_lost_resumption_does_not_come_back() {
    let mut world = World::new();
    let mut node = world.established();
    let ledger = terms(&node);
    let lost = ask(&world, &mut node, 0x1301);
    let again = ask(&world, &mut node, 0x1302);
    assert_ne!(lost, again);
    assert_eq!((lost.claimed().number, again.claimed().number), (1, 1));
    let now = fixture::epoch(5);
    // Either may be ordered, by whichever comes first; here it is the second.
    assert!(ledger.resume(lost.claimed(), now).is_ok());
    let ledger = ledger.resume(again.claimed(), now).expect("follows");
    assert_eq!(node.handle_resumed(again.claimed(), now), Ok(NodeOutput::Established));
    assert_eq!(terms(&node), ledger);
    assert_eq!(ledger.resume(lost.claimed(), now), Err(number(2, 1)));
    let output = node.handle_resumed(lost.claimed(), now);
    assert_eq!(output, Err(PhaseError::Resumption(number(2, 1))));
    // A node that never saw its first move ordered takes what the ledger says of it all the same.
    let next = ask(&world, &mut node, 0x1303);
    assert_eq!(next.claimed().number, 2);
}

/// What the ledger ordered counts, though the node had asked for something else since.
#[test]
fn the_ledgers_choice_among_two_attempts_counts() {
    let mut world = World::new();
    let mut node = world.established();
    let first = ask(&world, &mut node, 0x1301);
    let second = ask(&world, &mut node, 0x1302);
    let now = fixture::epoch(5);
    assert_eq!(node.handle_resumed(first.claimed(), now), Ok(NodeOutput::Established));
    let established = node.established().expect("a session");
    assert_eq!((established.terms.resumptions, &established.resuming), (1, &None));
    let output = node.handle_resumed(second.claimed(), now);
    assert_eq!(output, Err(PhaseError::Resumption(number(2, 1))));
}

#[test]
fn a_resumption_is_of_this_session_and_no_weaker() {
    let terms = terms(&World::new().established());
    let (good, now) = (first_move(), fixture::epoch(5));
    assert!(terms.resume(&good, now).is_ok());
    let changed = |change: &dyn Fn(&mut SessionResumption)| {
        let mut resumption = good.clone();
        change(&mut resumption);
        terms.resume(&resumption, now).expect_err("spoiled")
    };
    let (expected, got) = (terms.session_id, SessionId::new(Digest::ZERO));
    assert_eq!(changed(&|r| r.session_id = got), ResumptionError::OtherSession { expected, got });
    let (expected, got) = (terms.node_fingerprint, fixture::public("stranger"));
    let refusal = ResumptionError::OtherNode { expected, got };
    assert_eq!(changed(&|r| r.node_fingerprint = got), refusal);
    for got in [0, 2, u32::MAX] {
        assert_eq!(changed(&|r| r.number = got), number(1, got));
    }
    assert_eq!(
        changed(&|r| r.transport.kind = TransportKind::Zenoh),
        ResumptionError::Downgrade { present: TransportKind::Quic, got: TransportKind::Zenoh }
    );
    assert!(matches!(
        changed(&|r| r.transport.tls_version = 0x0303),
        ResumptionError::Transport(_)
    ));
    let (not_after, current) = (fixture::epoch(50), fixture::epoch(51));
    let late = SessionResumption { federated_epoch: current, ..good };
    assert_eq!(terms.resume(&late, current), Err(ResumptionError::Expired { not_after, current }));
}

/// The new channel's certificates are good now, and not beyond the session.
#[test]
fn a_channel_is_good_from_now_until_the_session_ends() {
    let terms = terms(&World::new().established());
    let until = |epoch| {
        let mut resumption = first_move();
        resumption.transport.not_after_epoch = fixture::epoch(epoch);
        terms.resume(&resumption, fixture::epoch(5)).map(|moved| moved.not_after_epoch)
    };
    let (current, not_after) = (fixture::epoch(5), fixture::epoch(50));
    for got in [0, 4] {
        let refusal = ResumptionError::ChannelExpired { current, got: fixture::epoch(got) };
        assert_eq!(until(got), Err(refusal));
    }
    for good in [5, 6, 50] {
        assert_eq!(until(good), Ok(not_after), "the session's end stays");
    }
    for got in [51, u64::MAX] {
        let got = fixture::epoch(got);
        assert_eq!(
            until(got.get()),
            Err(ResumptionError::ChannelOutlivesSession { not_after, got })
        );
    }
}

/// The record is of the key that the resumption shows and of the certificate the session began with.
#[test]
fn a_channel_has_the_certificates_it_says() {
    let mut world = World::new();
    let mut node = world.established();
    let terms = terms(&node);
    let [own, federation] = rotated(0x1301).certificate_hashes;
    let other = fixture::digest("another certificate");
    let with = |certificate_hashes| TransportRecord { certificate_hashes, ..rotated(0x1301) };
    let refused = |end, expected, got| ResumptionError::OtherCertificate { end, expected, got };
    let cases = [
        ([other, federation], refused("the node", own, other)),
        ([own, other], refused("the federation", federation, other)),
        ([federation, own], refused("the node", own, federation)),
    ];
    let (key, now) = (fixture::public("rotated"), fixture::epoch(5));
    for (certificate_hashes, refusal) in cases {
        let transport = with(certificate_hashes);
        let resumption = SessionResumption { transport: transport.clone(), ..first_move() };
        assert_eq!(terms.resume(&resumption, now), Err(refusal));
        let output = node.resume(key, transport, now, &site(), &world.context);
        assert_eq!(output, Err(PhaseError::Resumption(refusal)));
        assert_eq!(node.established().and_then(|session| session.resuming.as_ref()), None);
    }
    let another_key =
        SessionResumption { tls_public_key: fixture::public("site-1"), ..first_move() };
    let shown = certificate_hash(&fixture::public::<Transport>("site-1"));
    assert_eq!(terms.resume(&another_key, now), Err(refused("the node", shown, own)));
}
