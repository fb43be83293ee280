//! A whole handshake between a site and the admission desk of a four-validator federation.
//!
//! ```text
//! cargo run -p federation-proto --example handshake
//! ```
//!
//! Nothing here touches a network: each message is turned into bytes by one side and read back by the other,
//! which is all that this crate knows of transport.

use std::error::Error;

use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, Roster,
    SiteRole, Thresholds, ValidatorRecord,
};
use federation_proto::handshake::{
    AcceptTerms, Attestation, FederationAccept, FederationHello, Requirements, SessionOpened,
    SessionStatement, SoftwareVersion, TransportRecord, certificate_hash,
};
use federation_proto::keys::{Admission, Identity, KeyRole, Transport};
use federation_proto::{
    Digest, Endorsed, FederatedEpoch, LedgerEntry, Name, PublicKey, SecretKey, Signed,
    SigningContext,
};

/// Keys derived from a published label: good for an example, never for a live federation.
fn secret<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("federation-proto example", owner)
}

fn public<R: KeyRole>(owner: &str) -> PublicKey<R> {
    secret(owner).public()
}

fn main() -> Result<(), Box<dyn Error>> {
    let genesis = genesis()?;
    let context = genesis.signing_context();
    let roster = genesis.configuration.clone().validate()?;
    println!("federation  {}", context.federation_id);

    let hello_bytes = site_says_hello(&genesis, &context)?;
    println!("hello       {} bytes", hello_bytes.len());
    let accept_bytes = desk_answers(&hello_bytes, &genesis, &roster, &context)?;
    println!("accept      {} bytes", accept_bytes.len());
    let entry_bytes = site_takes_up(&hello_bytes, &accept_bytes, &roster, &context)?;
    println!("entry       {} bytes", entry_bytes.len());
    validator_checks(&entry_bytes, &roster, &context)
}

/// The founding document: four validators, one site, two governors of two organisations.
fn genesis() -> Result<Genesis, Box<dyn Error>> {
    let validator = |owner: &str| -> Result<_, Box<dyn Error>> {
        Ok(ValidatorRecord {
            name: owner.parse()?,
            fingerprint: public(owner),
            consensus_key: public(owner),
            log_key: public(owner),
            organisation: "grid".parse()?,
            region: "eu-north".parse()?,
        })
    };
    let governor = |owner: &str| -> Result<_, Box<dyn Error>> {
        Ok(GovernorRecord {
            name: owner.parse()?,
            organisation: format!("org-{owner}").parse()?,
            document_key: public(owner),
            admission_key: public(owner),
            note_key: public(owner),
        })
    };
    let configuration = Configuration {
        number: 0,
        validators: ["v1", "v2", "v3", "v4"]
            .into_iter()
            .map(validator)
            .collect::<Result<_, _>>()?,
        participants: vec![ParticipantRecord {
            name: "plant-7".parse()?,
            fingerprint: public("plant-7"),
            organisation: "plants".parse()?,
            region: "eu-west".parse()?,
            role: SiteRole::Edge,
        }],
        governors: vec![governor("ada")?, governor("grace")?],
        thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
        mandate: Mandate {
            first_epoch: FederatedEpoch::new(1),
            last_epoch: FederatedEpoch::new(100),
        },
        policy_hash: Digest::of_blob(b"policy text"),
        artifact_key: public("artifacts"),
    };
    Ok(Genesis {
        kind: FederationKind::Synthetic,
        instance: "example".into(),
        log_origin: "prism.example".parse()?,
        schema_digest: Digest::of_blob(b"schema"),
        initial_state_hash: Digest::of_blob(b"state"),
        configuration,
    })
}

fn site_says_hello(genesis: &Genesis, context: &SigningContext) -> Result<Vec<u8>, Box<dyn Error>> {
    let identity = secret::<Identity>("plant-7");
    let hello = FederationHello {
        federation_id: context.federation_id,
        node_fingerprint: identity.public(),
        software_version: SoftwareVersion::CURRENT,
        supported_capabilities: vec!["coloring".parse()?, "zstd".parse()?],
        tls_public_key: public("plant-7"),
        validator_set_hash: genesis.configuration.validator_set_hash(),
        ledger_size: 0,
        // A live node draws these from its operating system.
        nonce: [7; 32],
        attestation: Attestation::None,
    };
    Ok(Signed::sign(hello, &identity, context).to_canonical())
}

fn desk_answers(
    hello: &[u8],
    genesis: &Genesis,
    roster: &Roster,
    context: &SigningContext,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let hello = Signed::<FederationHello>::from_canonical(hello)?;
    let site = roster
        .participant(&hello.claimed().node_fingerprint)
        .ok_or("the roster has no such site")?;
    let hello = hello.verify(&site.identity, context)?;
    let required: Vec<Name> = vec!["coloring".parse()?];
    let requirements = Requirements {
        federation_id: context.federation_id,
        validator_set_hash: genesis.configuration.validator_set_hash(),
        capabilities: &required,
    };
    let terms = AcceptTerms {
        epoch: FederatedEpoch::new(1),
        policy_hash: genesis.configuration.policy_hash,
        capabilities: requirements.negotiate(&hello)?,
        not_after_epoch: FederatedEpoch::new(50),
        certificate_hashes: [
            certificate_hash(&hello.tls_public_key),
            certificate_hash(&public::<Transport>("desk")),
        ],
    };
    let accept = FederationAccept::answer(&hello, terms);
    let governors = ["ada", "grace"].map(secret::<Admission>);
    Ok(Endorsed::sign(accept, &governors, context).to_canonical())
}

fn site_takes_up(
    hello: &[u8],
    accept: &[u8],
    roster: &Roster,
    context: &SigningContext,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let identity = secret::<Identity>("plant-7");
    let accept = Endorsed::<FederationAccept>::from_canonical(accept)?;
    let needed = usize::from(roster.configuration().thresholds.admission);
    let terms = accept.verify(&roster.admission_keys(), needed, context)?;
    let statement = SessionStatement {
        session_id: terms.session_id,
        node_fingerprint: identity.public(),
        certificate_hash: terms.certificate_hashes[0],
        not_after_epoch: terms.not_after_epoch,
        transport: TransportRecord::InProcess,
    };
    let opened = SessionOpened {
        hello: Signed::from_canonical(hello)?,
        accept,
        statement: Signed::sign(statement, &identity, context),
    };
    opened.check_binding()?;
    Ok(LedgerEntry::SessionOpened(Box::new(opened)).to_canonical())
}

fn validator_checks(
    entry: &[u8],
    roster: &Roster,
    context: &SigningContext,
) -> Result<(), Box<dyn Error>> {
    let LedgerEntry::SessionOpened(session) = LedgerEntry::from_canonical(entry)? else {
        return Err("not a session".into());
    };
    let site = roster
        .participant(&session.hello.claimed().node_fingerprint)
        .ok_or("the roster has no such site")?;
    let needed = usize::from(roster.configuration().thresholds.admission);
    session.check_binding()?;
    session.hello.verify(&site.identity, context)?;
    session.accept.verify(&roster.admission_keys(), needed, context)?;
    let statement = session.statement.verify(&site.identity, context)?;
    println!("admitted    {} in session {}", site.record.name, statement.session_id);
    Ok(())
}
