//! A whole handshake between a site, two admission desks and a validator.
//!
//! ```text
//! cargo run -p federation-proto --example handshake
//! ```
//!
//! Nothing here touches a network: each message is turned into bytes by one side and read back by the other,
//! which is all that this crate knows of transport.

use std::error::Error;

use federation_proto::bounded::Text;
use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, SiteRole,
    Thresholds, ValidatorRecord,
};
use federation_proto::handshake::{
    AdmissionDesk, AdmissionRules, Attestation, AttestationDemand, AttestationLevel, Authority,
    Capability, ChannelBinding, Demands, DeskView, FederationAccept, FederationHello, HelloChannel,
    NodeHandshake, NodeOutput, Requirements, SoftwareVersion, TransportKind, WireVersions,
    certificate_hash,
};
use federation_proto::keys::{Admission, DecryptionKey, Identity, KeyRole, Transport};
use federation_proto::{
    Digest, Endorsed, FederatedEpoch, LedgerBlockId, LedgerEntry, PublicKey, SecretKey, SessionId,
    Signed,
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
    let required: Vec<Capability> = vec!["coloring@1.0".parse()?];
    let rules = AdmissionRules {
        roster: &roster,
        context: &context,
        requirements: Requirements {
            federation_id: context.federation_id,
            validator_set_hash: genesis.configuration.validator_set_hash(),
            software_version: SoftwareVersion::CURRENT,
            wire_versions: WireVersions::CURRENT,
            required: &required,
            optional: &[],
            attestation: AttestationDemand::None,
        },
        policy_hash: genesis.configuration.policy_hash,
        transports: &[TransportKind::InProcess],
        session_epochs: 50,
    };
    println!("federation  {}", context.federation_id);

    // The site says hello.
    let identity = secret::<Identity>("plant-7");
    let mut node = NodeHandshake::greet(hello(&rules)?, demands(&rules), &identity, &context);
    let hello = node.hello().ok_or("no hello")?.to_canonical();
    println!("hello       {} bytes, {}", hello.len(), node.phase());

    // Two desks answer, each alone. With the second accept the site signs its session.
    let admission_keys = roster.admission_keys();
    let authority = Authority { context: &context, admission_keys: &admission_keys, needed: 2 };
    let mut published = None;
    for governor in ["ada", "grace"] {
        let accept = desk_answers(governor, &hello, &rules)?;
        println!("accept      {} bytes, by {governor}", accept.len());
        let accept = Endorsed::<FederationAccept>::from_canonical(&accept)?;
        for endorsement in accept.endorsements() {
            let accept = accept.claimed().clone();
            let output = node.handle_accept(accept, endorsement.clone(), &authority, &identity)?;
            if let NodeOutput::Publish(opened) = output {
                published = Some(LedgerEntry::SessionOpened(opened).to_canonical());
            }
        }
    }
    let entry = published.ok_or("too few accepts")?;
    println!("entry       {} bytes, {}", entry.len(), node.phase());

    // A validator checks the entry before it is ordered; then the site sees its block.
    let session_id = validator_checks(&entry, &rules)?;
    let block = LedgerBlockId::new(Digest::of_blob(b"the header of the block that ordered it"));
    let NodeOutput::Established = node.handle_opened(session_id, block)? else {
        return Err("no session".into());
    };
    println!("admitted    in session {session_id}, {}", node.phase());
    Ok(())
}

/// The founding document: four validators, one site, two governors of two organisations.
fn genesis() -> Result<Genesis, Box<dyn Error>> {
    let validator = |owner: &str| -> Result<_, Box<dyn Error>> {
        Ok(ValidatorRecord {
            name: owner.parse()?,
            fingerprint: public(owner),
            consensus_key: public(owner),
            log_key: public(owner),
            encryption_key: DecryptionKey::synthetic("federation-proto example", owner).public(),
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
        witnesses: Vec::new(),
        readers: Vec::new(),
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
        instance: Text::new("example")?,
        log_origin: "prism.example".parse()?,
        schema_digest: Digest::of_blob(b"schema"),
        initial_state_hash: Digest::of_blob(b"state"),
        configuration,
    })
}

fn hello(rules: &AdmissionRules<'_>) -> Result<FederationHello, Box<dyn Error>> {
    Ok(FederationHello {
        federation_id: rules.requirements.federation_id,
        node_fingerprint: public("plant-7"),
        software_version: SoftwareVersion::CURRENT,
        wire_versions: WireVersions::CURRENT,
        supported_capabilities: vec!["coloring@1.2".parse()?, "zstd@1.0".parse()?],
        federated_epoch: FederatedEpoch::new(1),
        // The site was never here before.
        previous_session: SessionId::new(Digest::ZERO),
        tls_public_key: public("plant-7"),
        channel_binding: ChannelBinding::None,
        validator_set_hash: rules.requirements.validator_set_hash,
        ledger_size: 0,
        // A live node draws these from its operating system.
        nonce: [7; 32],
        attestation: Attestation::None,
    })
}

fn demands(rules: &AdmissionRules<'_>) -> Demands {
    Demands {
        capabilities: rules.requirements.required.to_vec(),
        policy_hash: rules.policy_hash,
        federation_certificate: certificate_hash(&public::<Transport>("desk")),
        kind: TransportKind::InProcess,
        tls: [0, 0],
    }
}

fn desk_answers(
    governor: &str,
    hello: &[u8],
    rules: &AdmissionRules<'_>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let view = DeskView {
        last_session: SessionId::new(Digest::ZERO),
        rules: rules.clone(),
        epoch: FederatedEpoch::new(1),
        federation_certificate: certificate_hash(&public::<Transport>("desk")),
        channel: HelloChannel::Relayed,
        proven: AttestationLevel::None,
    };
    let hello = Signed::<FederationHello>::from_canonical(hello)?;
    let key = secret::<Admission>(governor);
    Ok(AdmissionDesk::default().handle_hello(hello, &view, &key)?.to_canonical())
}

fn validator_checks(entry: &[u8], rules: &AdmissionRules<'_>) -> Result<SessionId, Box<dyn Error>> {
    let LedgerEntry::SessionOpened(session) = LedgerEntry::from_canonical(entry)? else {
        return Err("not a session".into());
    };
    session.verify(rules, FederatedEpoch::new(1))?;
    Ok(session.accept.claimed().session_id)
}
