//! Admission desks: what they remember, in which channel they listen, and until when they may answer.

use federation_proto::Signed;
use federation_proto::genesis::{Configuration, Mandate};
use federation_proto::handshake::{
    ChannelBinding, FederationHello, HandshakeError, HelloChannel, HelloRefusal, Incompatibility,
};

use super::{World, site};
use crate::fixture;

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

/// Whoever sits between a site and a desk speaks with each in another channel.
#[test]
fn a_hello_counts_in_the_channel_in_which_it_was_said() {
    let direct = |key: &str, exporter| HelloChannel::Direct {
        tls_public_key: fixture::public(key),
        exporter,
    };
    let (bound, unbound) = (ChannelBinding::TlsExporter([7; 32]), ChannelBinding::None);
    let (key, exporter) = (Some("certificate key"), Some("exporter"));
    let cases = [
        (&bound, direct("site-1", Some([7; 32])), None),
        (&bound, direct("site-2", Some([7; 32])), key),
        (&bound, direct("site-1", Some([8; 32])), exporter),
        (&bound, direct("site-1", None), exporter),
        (&bound, HelloChannel::Relayed, exporter),
        (&unbound, HelloChannel::Relayed, None),
        (&unbound, direct("site-1", None), None),
        (&unbound, direct("site-2", None), key),
        // The channel could have bound it: a site that left it out may have been talked out of it.
        (&unbound, direct("site-1", Some([7; 32])), exporter),
    ];
    for (channel_binding, channel, refused) in cases {
        let mut world = World { channel: channel.clone(), ..World::new() };
        let hello =
            FederationHello { channel_binding: channel_binding.clone(), ..fixture::hello() };
        let answer = world.answer(0, Signed::sign(hello, &site(), &world.context));
        let node = site().public();
        let refusal = refused.map(|what| HelloRefusal::OtherChannel { node, what });
        assert_eq!(answer.err(), refusal, "{channel_binding:?} in {channel:?}");
        // What was not said here leaves no trace.
        assert_eq!(world.desks[0].1.remembered(), usize::from(refused.is_none()));
    }
}

/// A desk in epoch 3: who joins in one epoch contributes to the next, so the epoch before the first counts.
#[test]
fn a_desk_answers_within_the_mandate() {
    for (first, last, good) in
        [(1, 100, true), (3, 3, true), (4, 100, true), (5, 100, false), (1, 3, true), (1, 2, false)]
    {
        let mandate =
            Mandate { first_epoch: fixture::epoch(first), last_epoch: fixture::epoch(last) };
        let configuration = Configuration { mandate, ..fixture::configuration() };
        let roster = configuration.validate().expect("a good roster");
        let mut world = World { roster, ..World::new() };
        let hello = Signed::sign(fixture::hello(), &site(), &world.context);
        let answer = world.answer(0, hello);
        if good {
            // And no session outlasts it.
            let not_after = answer.expect("a good hello").claimed().not_after_epoch;
            assert_eq!(not_after, fixture::epoch(last.min(50)), "{first} to {last}");
        } else {
            let (first, last) = (mandate.first_epoch, mandate.last_epoch);
            let refusal = HandshakeError::Mandate { first, last, got: fixture::epoch(3) };
            assert_eq!(answer, Err(HelloRefusal::Mandate(refusal)));
            assert_eq!(world.desks[0].1.remembered(), 0);
        }
    }
}
