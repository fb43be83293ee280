//! One fixed synthetic federation and the values that its members exchange.
//!
//! Every key derives from a published label, so each value is the same in every run.

mod statement;

use federation_proto::bounded::{Bytes, Text};
use federation_proto::entry::{
    AggregatedUpdate, AggregationRule, AlignedUpdate, AlignmentRecord, DiscardReason,
    DiscardedUpdate, UpdateRef,
};
use federation_proto::envelope::{Envelope, PayloadKind};
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord,
    ReaderRecord, Roster, SiteRole, Thresholds, ValidatorRecord, WitnessRecord,
};
use federation_proto::handshake::{
    AcceptTerms, AdmissionRules, Attestation, AttestationDemand, AttestationLevel, Capability,
    ChannelBinding, FederationAccept, FederationHello, Negotiated, Requirements, SessionOpened,
    SessionStatement, SoftwareVersion, TransportKind, TransportRecord, WireVersions,
    certificate_hash,
};
use federation_proto::keys::{Admission, DecryptionKey, Identity, KeyRole, Transport};
use federation_proto::seal::{SealBinding, Sealed};
use federation_proto::update::{
    BlobReceipt, MetaUpdate, ParameterSet, ProofSlot, SealedPayload, UpdateCommitment,
};
use federation_proto::{
    Cycle, Digest, Endorsed, FederatedEpoch, Generation, Lane, LaneSequence, LedgerBlockId,
    LedgerEntry, LogicalTime, Name, PublicKey, Request, SecretKey, SessionId, Signed,
    SigningContext,
};

pub(crate) use statement::{
    changed_revocations, endorsed_revocation, revocation, rotated_keys, rotation, rotation_verifies,
};

/// Names of the admission keys' holders, in the roster's order.
pub(crate) const GOVERNORS: [&str; 3] = ["governor-a", "governor-b", "governor-c"];

pub(crate) fn secret<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("federation-proto tests", owner)
}

pub(crate) fn public<R: KeyRole>(owner: &str) -> PublicKey<R> {
    secret(owner).public()
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}

pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("a short text")
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of_blob(text.as_bytes())
}

pub(crate) fn epoch(number: u64) -> FederatedEpoch {
    FederatedEpoch::new(number)
}

pub(crate) fn configuration() -> Configuration {
    let validator = |number: usize| {
        let owner = format!("validator-{number}");
        ValidatorRecord {
            name: name(&owner),
            fingerprint: public(&owner),
            consensus_key: public(&owner),
            log_key: public(&owner),
            encryption_key: reader(&owner).public(),
            organisation: name("org-v"),
            region: name("eu-north"),
        }
    };
    let participant = |(number, role): (usize, SiteRole)| {
        let owner = format!("site-{number}");
        ParticipantRecord {
            name: name(&owner),
            fingerprint: public(&owner),
            organisation: name("org-s"),
            region: name("eu-west"),
            role,
        }
    };
    let governor = |owner: &str| GovernorRecord {
        name: name(owner),
        organisation: name(&format!("org-{owner}")),
        document_key: public(owner),
        admission_key: public(owner),
        note_key: public(owner),
    };
    let roles = [SiteRole::Core, SiteRole::Edge, SiteRole::OnPremises, SiteRole::Cloud];
    Configuration {
        number: 0,
        validators: (1..=4).map(validator).collect(),
        participants: (1..).zip(roles).map(participant).collect(),
        governors: GOVERNORS.map(governor).into(),
        witnesses: vec![WitnessRecord {
            name: name("witness-1"),
            organisation: name("org-w"),
            cosigner_key: public("witness-1"),
        }],
        readers: vec![ReaderRecord {
            name: name("auditor-1"),
            organisation: name("org-r"),
            encryption_key: reader("auditor-1").public(),
        }],
        thresholds: Thresholds { document: 3, admission: 2, apply: 2 },
        mandate: Mandate { first_epoch: epoch(1), last_epoch: epoch(100) },
        policy_hash: digest("policy"),
        artifact_key: public("artifacts"),
    }
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        kind: FederationKind::Synthetic,
        instance: text("baseline seed 1"),
        log_origin: name("prism.example"),
        schema_digest: digest("schema"),
        initial_state_hash: digest("state 0"),
        configuration: configuration(),
    }
}

pub(crate) fn context() -> SigningContext {
    genesis().signing_context()
}

/// The same roster in another federation.
pub(crate) fn other_federation() -> SigningContext {
    let instance = text("baseline seed 2");
    Genesis { instance, ..genesis() }.signing_context()
}

/// The same federation one configuration later.
pub(crate) fn other_configuration() -> SigningContext {
    let next = Configuration { number: 1, ..configuration() };
    SigningContext { config_digest: next.digest(), ..context() }
}

pub(crate) fn capabilities(texts: &[&str]) -> Vec<Capability> {
    texts.iter().map(|text| text.parse().expect("a capability")).collect()
}

/// What the federation requires of a node.
pub(crate) fn required() -> Vec<Capability> {
    capabilities(&["coloring@1.2", "zstd@1.0"])
}

/// What the federation makes of a hello.
pub(crate) fn requirements(required: &[Capability]) -> Requirements<'_> {
    Requirements {
        federation_id: genesis().federation_id(),
        validator_set_hash: configuration().validator_set_hash(),
        software_version: SoftwareVersion::CURRENT,
        wire_versions: WireVersions::CURRENT,
        required,
        optional: &[],
        attestation: AttestationDemand::None,
    }
}

/// Under which rules a node joins. The session term is the fixture's: accepted in epoch 3, good until 50.
pub(crate) fn admission<'a>(
    roster: &'a Roster,
    context: &'a SigningContext,
    required: &'a [Capability],
) -> AdmissionRules<'a> {
    AdmissionRules {
        roster,
        context,
        requirements: requirements(required),
        policy_hash: digest("policy"),
        transports: &[TransportKind::Zenoh, TransportKind::Quic],
        session_epochs: 47,
    }
}

pub(crate) fn hello() -> FederationHello {
    FederationHello {
        federation_id: genesis().federation_id(),
        node_fingerprint: public("site-1"),
        software_version: SoftwareVersion::CURRENT,
        wire_versions: WireVersions::CURRENT,
        supported_capabilities: capabilities(&["aggregate@1.0", "coloring@1.4", "zstd@1.0"]),
        federated_epoch: epoch(3),
        previous_session: SessionId::new(Digest::ZERO),
        tls_public_key: public("site-1"),
        channel_binding: ChannelBinding::TlsExporter([7; 32]),
        validator_set_hash: configuration().validator_set_hash(),
        ledger_size: 7,
        nonce: [9; 32],
        attestation: Attestation::None,
    }
}

pub(crate) fn terms() -> AcceptTerms {
    AcceptTerms {
        epoch: epoch(3),
        policy_hash: digest("policy"),
        negotiated: Negotiated {
            wire_version: 1,
            capabilities: required(),
            attested: AttestationLevel::None,
        },
        not_after_epoch: epoch(50),
        certificate_hashes: [
            certificate_hash(&public::<Transport>("site-1")),
            certificate_hash(&public::<Transport>("federation")),
        ],
    }
}

pub(crate) fn accept() -> FederationAccept {
    FederationAccept::answer(&hello(), terms())
}

pub(crate) fn statement() -> SessionStatement {
    SessionStatement {
        session_id: accept().session_id,
        node_fingerprint: public("site-1"),
        transport: channel(),
    }
}

/// The channel of the fixture's session.
pub(crate) fn channel() -> TransportRecord {
    TransportRecord {
        kind: TransportKind::Quic,
        tls_version: 0x0304,
        cipher_suite: 0x1301,
        certificate_hashes: terms().certificate_hashes,
        not_after_epoch: epoch(50),
    }
}

pub(crate) fn endorsed(accept: FederationAccept) -> Endorsed<FederationAccept> {
    let keys = [GOVERNORS[0], GOVERNORS[2]].map(secret::<Admission>);
    Endorsed::sign(accept, &keys, &context())
}

/// A whole handshake, signed by those who should.
pub(crate) fn session(
    hello: FederationHello,
    accept: FederationAccept,
    statement: SessionStatement,
) -> SessionOpened {
    let site = secret::<Identity>("site-1");
    SessionOpened {
        hello: Signed::sign(hello, &site, &context()),
        accept: endorsed(accept),
        statement: Signed::sign(statement, &site, &context()),
    }
}

pub(crate) fn session_id() -> SessionId {
    accept().session_id
}

pub(crate) fn ledger_block_id() -> LedgerBlockId {
    LedgerBlockId::new(digest("session block"))
}

pub(crate) fn meta_update() -> MetaUpdate {
    MetaUpdate {
        federated_epoch: epoch(4),
        generation: Generation::ZERO,
        node_fingerprint: public("site-1"),
        session_id: session_id(),
        ledger_block_id: ledger_block_id(),
        cycle: Cycle::new(11),
        previous_update: Digest::ZERO,
        base_state_hash: digest("state 3"),
        update_hash: digest("salted delta"),
        payload: SealedPayload::Clear(vec![0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3]),
        proof: ProofSlot::None,
    }
}

/// A proof slot that is not empty. Its bytes mean nothing here.
pub(crate) fn proof() -> ProofSlot {
    let bytes = |byte| Bytes::new(vec![byte; 40]).expect("short");
    ProofSlot::Proof {
        parameter_set: ParameterSet(1),
        commitment: Bytes::new(vec![2; 32]).expect("short"),
        proof: bytes(3),
    }
}

pub(crate) fn reader(owner: &str) -> DecryptionKey {
    DecryptionKey::synthetic("federation-proto tests", owner)
}

/// The same update, encrypted to two validators.
pub(crate) fn sealed_update() -> MetaUpdate {
    let update = meta_update();
    let readers = ["validator-1", "validator-2"].map(|owner| reader(owner).recipient());
    let binding = SealBinding::of_update(&update, genesis().federation_id());
    let sealed = Sealed::seal(b"a compressed delta", &readers, &binding, [7; 32].into());
    MetaUpdate { payload: SealedPayload::Sealed(sealed.expect("sealable")), ..update }
}

pub(crate) fn blob_receipt() -> BlobReceipt {
    BlobReceipt {
        validator: public("validator-2"),
        node_fingerprint: public("site-1"),
        federated_epoch: epoch(4),
        blob: digest("signed update"),
        blob_len: 300,
        commitment: digest("commitment"),
    }
}

pub(crate) fn commitment() -> UpdateCommitment {
    let receipt = Signed::sign(blob_receipt(), &secret("validator-2"), &context());
    UpdateCommitment::new(&meta_update(), b"signed update", vec![receipt])
}

pub(crate) fn request() -> Request {
    Request {
        node_fingerprint: public("site-1"),
        session_id: session_id(),
        lane: Lane::Update,
        sequence: LaneSequence::new(2),
        entry: LedgerEntry::UpdateCommitment(Box::new(commitment())),
    }
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        version: Envelope::VERSION,
        origin: name("site-1"),
        target: name("validators"),
        kind: PayloadKind::Request,
        lane: Lane::Update,
        sequence: LaneSequence::new(2),
        ack: LaneSequence::new(1),
        timestamp: LogicalTime::new(1_000),
        federated_epoch: epoch(4),
        node_fingerprint: public("site-1"),
        session_id: session_id(),
        ledger_block_id: ledger_block_id(),
        payload: b"payload".to_vec(),
    }
}

pub(crate) fn update_ref(number: u64) -> UpdateRef {
    UpdateRef {
        node_fingerprint: public(&format!("site-{number}")),
        cycle: Cycle::new(number),
        update_hash: digest(&format!("update {number}")),
    }
}

/// An alignment in which every reason to discard occurs.
pub(crate) fn alignment() -> AlignmentRecord {
    let reasons = [
        DiscardReason::Duplicate,
        DiscardReason::Superseded,
        DiscardReason::ConflictingHash,
        DiscardReason::Stale,
        DiscardReason::UnknownBase,
        DiscardReason::IncompatibleSchema,
        DiscardReason::InvalidPayload,
    ];
    let discard = |(number, reason)| DiscardedUpdate { update: update_ref(number), reason };
    AlignmentRecord {
        aligned: vec![AlignedUpdate { update: update_ref(1), staleness: 1 }],
        discarded: (2..).zip(reasons).map(discard).collect(),
    }
}

pub(crate) fn aggregated(rule: AggregationRule) -> AggregatedUpdate {
    AggregatedUpdate {
        federated_epoch: epoch(4),
        generation: Generation::new(1),
        base_state_hash: digest("state 3"),
        alignment: alignment(),
        rule,
        delta: vec![0, 1, -1, i32::MAX, i32::MIN],
        new_state_hash: digest("state 4"),
    }
}

/// Every way to change one field of a value, as `(field, changed value)`.
macro_rules! changed {
    ($body:expr => $type:ident { $($field:ident: $value:expr),+ $(,)? }) => {{
        let body = $body;
        // Names every field, so that a new one does not compile until it is changed here.
        let $type { $($field: _),+ } = &body;
        vec![$((stringify!($field), $type { $field: $value, ..body.clone() })),+]
    }};
}
pub(crate) use changed;

pub(crate) fn changed_hellos() -> Vec<(&'static str, FederationHello)> {
    changed!(hello() => FederationHello {
        federation_id: federation_proto::FederationId::new(digest("another")),
        node_fingerprint: public("site-2"),
        software_version: SoftwareVersion { major: 0, minor: 1, patch: 1 },
        wire_versions: WireVersions { oldest: 1, newest: 2 },
        supported_capabilities: required(),
        federated_epoch: epoch(2),
        previous_session: SessionId::new(digest("another")),
        tls_public_key: public("site-2"),
        channel_binding: ChannelBinding::None,
        validator_set_hash: digest("another"),
        ledger_size: 8,
        nonce: [10; 32],
        attestation: Attestation::SoftwareMeasurement(digest("binary")),
    })
}

pub(crate) fn changed_accepts() -> Vec<(&'static str, FederationAccept)> {
    let [node, federation] = terms().certificate_hashes;
    changed!(accept() => FederationAccept {
        session_id: SessionId::new(digest("another")),
        epoch: epoch(4),
        policy_hash: digest("another"),
        hello_hash: digest("another"),
        wire_version: 2,
        capabilities: capabilities(&["zstd@1.0"]),
        attested: AttestationLevel::Software,
        not_after_epoch: epoch(51),
        certificate_hashes: [federation, node],
    })
}

pub(crate) fn changed_statements() -> Vec<(&'static str, SessionStatement)> {
    changed!(statement() => SessionStatement {
        session_id: SessionId::new(digest("another")),
        node_fingerprint: public("site-2"),
        transport: TransportRecord { cipher_suite: 0x1302, ..channel() },
    })
}
