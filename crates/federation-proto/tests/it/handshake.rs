//! Joining as the ledger sees it: the whole handshake, every field of it spoiled, replays, downgrades.

use federation_proto::genesis::{Configuration, Genesis, Mandate, Roster};
use federation_proto::handshake::{
    AdmissionRules, AnswerError, Attestation, AttestationLevel, FederationAccept, FederationHello,
    HandshakeError, Incompatibility, SessionOpened, SessionStatement, TransportError,
    TransportKind, TransportRecord,
};
use federation_proto::keys::Identity;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, Endorsed, SessionId, Signed, SigningContext};

use crate::fixture;

fn roster() -> Roster {
    fixture::configuration().validate().expect("a good roster")
}

/// What a validator does with a session before it is ordered, in epoch 3.
fn admit(session: &SessionOpened, context: &SigningContext) -> Result<SessionId, HandshakeError> {
    let (roster, required) = (roster(), fixture::required());
    let rules = fixture::admission(&roster, context, &required);
    session.verify(&rules, fixture::epoch(3))?;
    Ok(session.accept.claimed().session_id)
}

/// A handshake that everybody signed, with these terms in the accept.
fn agreed(change: impl FnOnce(&mut federation_proto::handshake::AcceptTerms)) -> SessionOpened {
    let mut terms = fixture::terms();
    change(&mut terms);
    let accept = FederationAccept::answer(&fixture::hello(), terms);
    let transport = TransportRecord {
        certificate_hashes: accept.certificate_hashes,
        not_after_epoch: accept.not_after_epoch,
        ..fixture::channel()
    };
    let statement =
        SessionStatement { session_id: accept.session_id, transport, ..fixture::statement() };
    fixture::session(fixture::hello(), accept, statement)
}

fn good() -> SessionOpened {
    fixture::session(fixture::hello(), fixture::accept(), fixture::statement())
}

fn forged(what: &'static str, key: impl ToString) -> Result<SessionId, HandshakeError> {
    let key = key.to_string();
    Err(HandshakeError::Signature(SignatureError::Invalid { what, key }))
}

#[test]
fn a_handshake_opens_the_session_that_both_sides_named() {
    assert_eq!(admit(&good(), &fixture::context()), Ok(fixture::session_id()));
}

#[test]
fn a_hello_changed_in_transit_is_refused() {
    for (field, hello) in fixture::changed_hellos() {
        let signer = hello.node_fingerprint;
        let mut session = good();
        session.hello = Signed::from_parts(hello, *session.hello.signature());
        let verdict = admit(&session, &fixture::context());
        assert_eq!(verdict, forged("FederationHello", signer), "{field}");
    }
}

#[test]
fn an_accept_changed_in_transit_is_refused() {
    for (field, accept) in fixture::changed_accepts() {
        let mut session = good();
        session.accept = Endorsed::from_parts(accept, session.accept.endorsements().to_vec());
        let first = session.accept.endorsements()[0].key;
        let verdict = admit(&session, &fixture::context());
        assert_eq!(verdict, forged("FederationAccept", first), "{field}");
    }
}

#[test]
fn a_statement_changed_in_transit_is_refused() {
    for (field, statement) in fixture::changed_statements() {
        let mut session = good();
        session.statement = Signed::from_parts(statement, *session.statement.signature());
        let verdict = admit(&session, &fixture::context());
        let signer = fixture::public::<Identity>("site-1");
        assert_eq!(verdict, forged("SessionStatement", signer), "{field}");
    }
}

#[test]
fn an_accept_answers_one_hello_only() {
    for (field, hello) in fixture::changed_hellos() {
        let expected = hello.hash();
        let session = fixture::session(hello, fixture::accept(), fixture::statement());
        let got = fixture::hello().hash();
        let refusal = HandshakeError::Answer(AnswerError::OtherHello { expected, got });
        assert_eq!(session.check_binding(), Err(refusal), "{field}");
    }
}

#[test]
fn a_session_id_belongs_to_one_accept_only() {
    let named = fixture::session_id();
    for (field, accept) in fixture::changed_accepts() {
        let stated = accept.session_id;
        let session = fixture::session(fixture::hello(), accept, fixture::statement());
        match session.check_binding() {
            Err(HandshakeError::Answer(AnswerError::OtherHello { got, .. })) => {
                assert_eq!((field, got), ("hello_hash", fixture::digest("another")));
            }
            Err(HandshakeError::Answer(AnswerError::SessionId { expected, got })) => {
                assert_eq!(got, stated, "{field}");
                assert_eq!(expected == named, field == "session_id", "{field}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn a_node_cannot_state_other_terms_than_it_was_given() {
    for (field, statement) in fixture::changed_statements() {
        let session = fixture::session(fixture::hello(), fixture::accept(), statement);
        let expected = match field {
            "session_id" => Err(HandshakeError::Statement("session id")),
            "node_fingerprint" => Err(HandshakeError::Statement("node fingerprint")),
            // The cipher suite is the node's own word: governance makes no promise about it.
            _ => Ok(()),
        };
        assert_eq!(session.check_binding(), expected, "{field}");
    }
}

#[test]
fn the_session_signature_is_bound_to_both_certificates_and_the_expiry() {
    let channel = fixture::channel();
    let [node, federation] = channel.certificate_hashes;
    let other = fixture::digest("another certificate");
    let spoiled = [
        (TransportRecord { certificate_hashes: [other, federation], ..channel.clone() }, true),
        (TransportRecord { certificate_hashes: [node, other], ..channel.clone() }, true),
        (TransportRecord { not_after_epoch: fixture::epoch(51), ..channel }, false),
    ];
    for (transport, certificates) in spoiled {
        let statement = SessionStatement { transport, ..fixture::statement() };
        let session = fixture::session(fixture::hello(), fixture::accept(), statement);
        let what = if certificates { "certificate hashes" } else { "expiry" };
        assert_eq!(session.check_binding(), Err(HandshakeError::Statement(what)));
    }
}

#[test]
fn the_certificate_is_of_the_key_in_the_hello() {
    let session =
        agreed(|terms| terms.certificate_hashes[0] = fixture::digest("another certificate"));
    let expected = fixture::terms().certificate_hashes[0];
    let got = fixture::digest("another certificate");
    let refusal = HandshakeError::Answer(AnswerError::NodeCertificate { expected, got });
    assert_eq!(session.check_binding(), Err(refusal));
}

#[test]
fn a_channel_has_tls_1_3_or_no_network() {
    let with = |kind, tls_version, cipher_suite| {
        let transport = TransportRecord { kind, tls_version, cipher_suite, ..fixture::channel() };
        let statement = SessionStatement { transport, ..fixture::statement() };
        fixture::session(fixture::hello(), fixture::accept(), statement).check_binding()
    };
    for kind in [TransportKind::Quic, TransportKind::Zenoh] {
        for suite in 0x1301..=0x1303 {
            assert_eq!(with(kind, 0x0304, suite), Ok(()));
        }
        for got in [0, 0x0303] {
            let refusal = TransportError::TlsVersion { got };
            assert_eq!(with(kind, got, 0x1301), Err(HandshakeError::Transport(refusal)));
        }
        for got in [0, 0x1300, 0x1304, 0xffff] {
            let refusal = TransportError::CipherSuite { got };
            assert_eq!(with(kind, 0x0304, got), Err(HandshakeError::Transport(refusal)));
        }
    }
    assert_eq!(with(TransportKind::InProcess, 0, 0), Ok(()));
    let refusal = TransportError::TlsInProcess { tls_version: 0x0304, cipher_suite: 0 };
    let verdict = with(TransportKind::InProcess, 0x0304, 0);
    assert_eq!(verdict, Err(HandshakeError::Transport(refusal)));
}

/// Governors who sign something else than what follows from hello and rules.
#[test]
fn an_accept_says_what_follows_from_the_hello() {
    type Change = fn(&mut federation_proto::handshake::AcceptTerms);
    let lies: [(&str, Change); 6] = [
        ("wire version", |terms| terms.negotiated.wire_version = 2),
        ("capabilities", |terms| {
            terms.negotiated.capabilities.pop();
        }),
        ("capabilities", |terms| {
            terms.negotiated.capabilities.push("unoffered@1.0".parse().expect("a capability"));
        }),
        ("attestation", |terms| terms.negotiated.attested = AttestationLevel::Tdx),
        ("policy hash", |terms| terms.policy_hash = fixture::digest("another")),
        ("expiry", |terms| terms.not_after_epoch = fixture::epoch(49)),
    ];
    for (what, lie) in lies {
        let verdict = admit(&agreed(lie), &fixture::context());
        assert_eq!(verdict, Err(HandshakeError::Accept(what)));
    }
}

#[test]
fn a_handshake_is_worthless_in_another_epoch() {
    let (roster, required, context) = (roster(), fixture::required(), fixture::context());
    let rules = fixture::admission(&roster, &context, &required);
    let (current, got) = (fixture::epoch(2), fixture::epoch(3));
    let refusal = HandshakeError::FutureEpoch { current, got };
    assert_eq!(good().verify(&rules, current), Err(refusal));
    for current in [3, 4] {
        assert_eq!(good().verify(&rules, fixture::epoch(current)), Ok(()), "{current}");
    }
    // An old hello under a fresh accept: governors who answer a recording are not believed either.
    let session = agreed(|terms| {
        terms.epoch = fixture::epoch(9);
        terms.not_after_epoch = fixture::epoch(56);
    });
    let (current, got) = (fixture::epoch(9), fixture::epoch(3));
    let stale = Incompatibility::Epoch { current, got };
    assert_eq!(session.verify(&rules, current), Err(HandshakeError::Incompatible(stale.into())));
}

/// Whoever holds a finished handshake back chooses when it opens: for one epoch, not for a session's length.
#[test]
fn a_withheld_accept_opens_nothing_later() {
    let (roster, required, context) = (roster(), fixture::required(), fixture::context());
    let rules = fixture::admission(&roster, &context, &required);
    for current in [5, 50, 51, u64::MAX].map(fixture::epoch) {
        let refusal = HandshakeError::StaleAccept { current, got: fixture::epoch(3) };
        assert_eq!(good().verify(&rules, current), Err(refusal));
    }
}

#[test]
fn a_session_that_is_over_does_not_open() {
    let (roster, required, context) = (roster(), fixture::required(), fixture::context());
    let short = fixture::admission(&roster, &context, &required);
    let short = AdmissionRules { session_epochs: 0, ..short };
    let session = agreed(|terms| terms.not_after_epoch = fixture::epoch(3));
    assert_eq!(session.verify(&short, fixture::epoch(3)), Ok(()));
    let refusal = HandshakeError::Expired {
        session_id: session.accept.claimed().session_id,
        not_after: fixture::epoch(3),
        current: fixture::epoch(4),
    };
    assert_eq!(session.verify(&short, fixture::epoch(4)), Err(refusal));
}

/// Accepted in epoch 3. Who joins in one epoch contributes to the next, so the epoch before the first counts.
#[test]
fn an_accept_stands_within_the_mandate() {
    let (required, context) = (fixture::required(), fixture::context());
    for (first, last, is_good) in
        [(1, 100, true), (3, 3, true), (4, 100, true), (5, 100, false), (1, 3, true), (1, 2, false)]
    {
        let mandate =
            Mandate { first_epoch: fixture::epoch(first), last_epoch: fixture::epoch(last) };
        let configuration = Configuration { mandate, ..fixture::configuration() };
        let roster = configuration.validate().expect("a good roster");
        let rules = fixture::admission(&roster, &context, &required);
        let session = agreed(|terms| terms.not_after_epoch = fixture::epoch(last.min(50)));
        let (first, last, got) = (mandate.first_epoch, mandate.last_epoch, fixture::epoch(3));
        let refusal = HandshakeError::Mandate { first, last, got };
        let expected = if is_good { Ok(()) } else { Err(refusal) };
        assert_eq!(session.verify(&rules, fixture::epoch(3)), expected, "{first} to {last}");
    }
}

/// A live federation has networks. A record of a session without one would say nothing to its auditors.
#[test]
fn a_session_has_a_channel_of_a_permitted_kind() {
    let (roster, required, context) = (roster(), fixture::required(), fixture::context());
    let kinds = [TransportKind::InProcess, TransportKind::Zenoh, TransportKind::Quic];
    for kind in kinds {
        let (tls_version, cipher_suite) =
            if kind == TransportKind::InProcess { (0, 0) } else { (0x0304, 0x1301) };
        let transport = TransportRecord { kind, tls_version, cipher_suite, ..fixture::channel() };
        let statement = SessionStatement { transport, ..fixture::statement() };
        let session = fixture::session(fixture::hello(), fixture::accept(), statement);
        for permitted in kinds {
            let rules = AdmissionRules {
                transports: &[permitted],
                ..fixture::admission(&roster, &context, &required)
            };
            let refusal = HandshakeError::TransportKind { got: kind };
            let expected = if kind == permitted { Ok(()) } else { Err(refusal) };
            assert_eq!(session.verify(&rules, fixture::epoch(3)), expected);
        }
    }
}

/// A quote is good for one hello: its keys, its session, its epoch, its nonce.
#[test]
fn a_quote_is_bound_to_every_other_field_of_its_hello() {
    let binding = fixture::hello().attestation_binding();
    for (field, hello) in fixture::changed_hellos() {
        let same = hello.attestation_binding() == binding;
        assert_eq!(same, field == "attestation", "{field}");
    }
}

/// The quote of one maker under the other's name: governors who attest it are not believed.
#[test]
fn a_quote_of_another_maker_was_not_offered() {
    let (roster, required, context) = (roster(), fixture::required(), fixture::context());
    let rules = fixture::admission(&roster, &context, &required);
    let report = federation_proto::bounded::Bytes::new(vec![1]).expect("short");
    let hello =
        FederationHello { attestation: Attestation::SevSnpReport(report), ..fixture::hello() };
    let attesting = |attested| {
        let mut terms = fixture::terms();
        terms.negotiated.attested = attested;
        let accept = FederationAccept::answer(&hello, terms);
        let statement = SessionStatement { session_id: accept.session_id, ..fixture::statement() };
        fixture::session(hello.clone(), accept, statement).verify(&rules, fixture::epoch(3))
    };
    for good in [AttestationLevel::None, AttestationLevel::SevSnp] {
        assert_eq!(attesting(good), Ok(()));
    }
    for bad in [AttestationLevel::Software, AttestationLevel::Tdx] {
        assert_eq!(attesting(bad), Err(HandshakeError::Accept("attestation")));
    }
}

#[test]
fn a_recorded_handshake_is_worthless_elsewhere() {
    let signer = fixture::public::<Identity>("site-1");
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let verdict = admit(&good(), &elsewhere);
        assert_eq!(verdict, forged("FederationHello", signer));
    }
}

#[test]
fn an_old_statement_takes_up_no_new_session() {
    let hello = FederationHello { nonce: [1; 32], ..fixture::hello() };
    let accept = FederationAccept::answer(&hello, fixture::terms());
    assert_ne!(accept.session_id, fixture::session_id());
    let session = fixture::session(hello, accept, fixture::statement());
    let refusal = HandshakeError::Statement("session id");
    assert_eq!(admit(&session, &fixture::context()), Err(refusal));
}

#[test]
fn a_handshake_said_twice_names_the_same_session() {
    // The ledger refuses the second: its session id stands there already.
    let again = FederationAccept::answer(&fixture::hello(), fixture::terms());
    assert_eq!(again.session_id, fixture::session_id());
}

#[test]
fn a_stranger_is_not_admitted() {
    let hello =
        FederationHello { node_fingerprint: fixture::public("stranger"), ..fixture::hello() };
    let session = fixture::session(hello, fixture::accept(), fixture::statement());
    assert_eq!(
        admit(&session, &fixture::context()),
        Err(HandshakeError::UnknownNode(fixture::public("stranger")))
    );
}

#[test]
fn one_governor_admits_nobody() {
    let mut session = good();
    let one = session.accept.endorsements()[..1].to_vec();
    session.accept = Endorsed::from_parts(fixture::accept(), one);
    let refusal = SignatureError::BelowThreshold { what: "FederationAccept", valid: 1, needed: 2 };
    assert_eq!(admit(&session, &fixture::context()), Err(HandshakeError::Signature(refusal)));
}

#[test]
fn the_federation_id_covers_the_whole_genesis() {
    let base = fixture::genesis();
    let configuration = Configuration { number: 1, ..base.configuration.clone() };
    let changed = crate::fixture::changed!(base.clone() => Genesis {
        kind: federation_proto::genesis::FederationKind::Live,
        instance: fixture::text("another"),
        log_origin: fixture::name("another"),
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: configuration,
    });
    for (field, genesis) in changed {
        assert_ne!(genesis.federation_id(), base.federation_id(), "{field}");
    }
}
