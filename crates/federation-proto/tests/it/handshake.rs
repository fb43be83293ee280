//! Joining: the whole handshake, every field of it spoiled, replays, downgrades and version rules.

use federation_proto::genesis::{Configuration, Genesis, Roster};
use federation_proto::handshake::{
    FederationAccept, FederationHello, HandshakeError, Requirements, SessionOpened,
    SessionStatement, SoftwareVersion,
};
use federation_proto::keys::Identity;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, Endorsed, Name, SessionId, Signed, SigningContext};

use crate::fixture;

/// Why [`admit`] refuses.
#[derive(Debug, PartialEq)]
enum Refusal {
    UnknownNode,
    Signature(SignatureError),
    Handshake(HandshakeError),
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        Self::Signature(error)
    }
}
impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

fn roster() -> Roster {
    fixture::configuration().validate().expect("a good roster")
}

fn required() -> Vec<Name> {
    vec![fixture::name("coloring"), fixture::name("zstd")]
}

fn negotiate(hello: &FederationHello) -> Result<Vec<Name>, HandshakeError> {
    let requirements = Requirements {
        federation_id: fixture::genesis().federation_id(),
        validator_set_hash: fixture::configuration().validator_set_hash(),
        capabilities: &required(),
    };
    requirements.negotiate(hello)
}

/// What a validator does with a session before it is ordered.
fn admit(session: &SessionOpened, context: &SigningContext) -> Result<SessionId, Refusal> {
    let roster = roster();
    let node = session.hello.claimed().node_fingerprint;
    let identity = roster.participant(&node).ok_or(Refusal::UnknownNode)?.identity.clone();
    let needed = usize::from(roster.configuration().thresholds.admission);
    let hello = session.hello.clone().verify(&identity, context)?;
    let accept = session.accept.verify(&roster.admission_keys(), needed, context)?;
    session.statement.clone().verify(&identity, context)?;
    session.check_binding()?;
    negotiate(&hello)?;
    Ok(accept.session_id)
}

fn good() -> SessionOpened {
    fixture::session(fixture::hello(), fixture::accept(), fixture::statement())
}

fn forged(what: &'static str, key: impl ToString) -> Result<SessionId, Refusal> {
    let key = key.to_string();
    Err(Refusal::Signature(SignatureError::Invalid { what, key }))
}

#[test]
fn a_handshake_opens_the_session_that_both_sides_named() {
    assert_eq!(admit(&good(), &fixture::context()), Ok(fixture::session_id()));
    assert_eq!(negotiate(&fixture::hello()), Ok(required()));
}

#[test]
fn a_hello_changed_in_transit_is_refused() {
    for (field, hello) in fixture::changed_hellos() {
        if hello == fixture::hello() {
            assert_eq!(field, "attestation");
            continue;
        }
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
        if hello == fixture::hello() {
            continue;
        }
        let expected = hello.hash();
        let session = fixture::session(hello, fixture::accept(), fixture::statement());
        let got = fixture::hello().hash();
        let refusal = HandshakeError::OtherHello { expected, got };
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
            Err(HandshakeError::OtherHello { got, .. }) => {
                assert_eq!((field, got), ("hello_hash", fixture::digest("another")));
            }
            Err(HandshakeError::SessionId { expected, got }) => {
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
            "certificate_hash" => Err(HandshakeError::Statement("certificate hash")),
            "not_after_epoch" => Err(HandshakeError::Statement("expiry")),
            // The channel is the node's own word: governance makes no promise about it.
            _ => Ok(()),
        };
        assert_eq!(session.check_binding(), expected, "{field}");
    }
}

#[test]
fn the_certificate_is_of_the_key_in_the_hello() {
    let mut terms = fixture::terms();
    let foreign = fixture::digest("another certificate");
    terms.certificate_hashes[0] = foreign;
    let accept = FederationAccept::answer(&fixture::hello(), terms);
    let statement = SessionStatement {
        session_id: accept.session_id,
        certificate_hash: foreign,
        ..fixture::statement()
    };
    let session = fixture::session(fixture::hello(), accept, statement);
    let refusal = Err(HandshakeError::Statement("certificate key"));
    assert_eq!(session.check_binding(), refusal);
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
fn a_hello_for_another_federation_or_committee_is_refused() {
    let hello = FederationHello {
        federation_id: fixture::other_federation().federation_id,
        ..fixture::hello()
    };
    let refusal = HandshakeError::Federation {
        expected: fixture::genesis().federation_id(),
        got: hello.federation_id,
    };
    assert_eq!(negotiate(&hello), Err(refusal));

    let mut smaller = fixture::configuration();
    smaller.validators.pop();
    let hello =
        FederationHello { validator_set_hash: smaller.validator_set_hash(), ..fixture::hello() };
    let refusal = HandshakeError::ValidatorSet {
        expected: fixture::configuration().validator_set_hash(),
        got: hello.validator_set_hash,
    };
    assert_eq!(negotiate(&hello), Err(refusal));
}

#[test]
fn an_old_statement_takes_up_no_new_session() {
    let hello = FederationHello { nonce: [1; 32], ..fixture::hello() };
    let accept = FederationAccept::answer(&hello, fixture::terms());
    assert_ne!(accept.session_id, fixture::session_id());
    let session = fixture::session(hello, accept, fixture::statement());
    let refusal = HandshakeError::Statement("session id");
    assert_eq!(admit(&session, &fixture::context()), Err(Refusal::Handshake(refusal)));
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
    assert_eq!(admit(&session, &fixture::context()), Err(Refusal::UnknownNode));
}

#[test]
fn one_governor_admits_nobody() {
    let mut session = good();
    let one = session.accept.endorsements()[..1].to_vec();
    session.accept = Endorsed::from_parts(fixture::accept(), one);
    let refusal = SignatureError::BelowThreshold { what: "FederationAccept", valid: 1, needed: 2 };
    assert_eq!(admit(&session, &fixture::context()), Err(Refusal::Signature(refusal)));
}

#[test]
fn capabilities_are_never_taken_beyond_the_offer() {
    let mut terms = fixture::terms();
    terms.capabilities.push(fixture::name("zz-unoffered"));
    let accept = FederationAccept::answer(&fixture::hello(), terms);
    let statement = SessionStatement { session_id: accept.session_id, ..fixture::statement() };
    let session = fixture::session(fixture::hello(), accept, statement);
    let refusal = Err(HandshakeError::CapabilityDowngrade);
    assert_eq!(session.check_binding(), refusal);
}

#[test]
fn a_hello_without_a_required_capability_is_refused() {
    for missing in required() {
        let mut hello = fixture::hello();
        hello.supported_capabilities.retain(|name| *name != missing);
        let refusal = HandshakeError::MissingCapability(missing);
        assert_eq!(negotiate(&hello), Err(refusal));
    }
}

#[test]
fn capabilities_have_one_order() {
    let mut swapped = fixture::hello();
    swapped.supported_capabilities.swap(0, 1);
    assert_eq!(negotiate(&swapped), Err(HandshakeError::CapabilityOrder));
    let mut repeated = fixture::hello();
    let last = repeated.supported_capabilities[2].clone();
    repeated.supported_capabilities.push(last);
    assert_eq!(negotiate(&repeated), Err(HandshakeError::CapabilityOrder));
}

#[test]
fn versions_are_compatible_as_semantic_versioning_says() {
    let version = |(major, minor, patch)| SoftwareVersion { major, minor, patch };
    let table = [
        ((0, 1, 0), (0, 1, 9), true),
        ((0, 1, 0), (0, 2, 0), false),
        ((0, 1, 0), (1, 1, 0), false),
        ((1, 0, 0), (1, 9, 3), true),
        ((1, 9, 0), (2, 9, 0), false),
    ];
    for (ours, theirs, compatible) in table {
        let (a, b) = (version(ours), version(theirs));
        assert_eq!(a.is_compatible_with(&b), compatible, "{ours:?} {theirs:?}");
        assert_eq!(b.is_compatible_with(&a), compatible, "{theirs:?} {ours:?}");
    }
}

#[test]
fn a_node_of_an_incompatible_version_is_refused() {
    let expected = SoftwareVersion::CURRENT;
    let got = SoftwareVersion { major: expected.major + 1, ..expected };
    let hello = FederationHello { software_version: got, ..fixture::hello() };
    let refusal = HandshakeError::Version { expected, got };
    assert_eq!(negotiate(&hello), Err(refusal));
}

#[test]
fn the_current_version_is_the_one_of_the_package() {
    let SoftwareVersion { major, minor, patch } = SoftwareVersion::CURRENT;
    assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_federation_id_covers_the_whole_genesis() {
    let base = fixture::genesis();
    let configuration = Configuration { number: 1, ..base.configuration.clone() };
    let changed = crate::fixture::changed!(base.clone() => Genesis {
        kind: federation_proto::genesis::FederationKind::Live,
        instance: "another".into(),
        log_origin: fixture::name("another"),
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: configuration,
    });
    for (field, genesis) in changed {
        assert_ne!(genesis.federation_id(), base.federation_id(), "{field}");
    }
}
