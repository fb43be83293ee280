//! The one federation that every program of handshake operations runs in.

use std::sync::OnceLock;

use federation_proto::bounded::Text;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, Roster,
    SiteRole, Thresholds, ValidatorRecord,
};
use federation_proto::handshake::{
    AdmissionRules, AttestationDemand, Authority, Capability, Requirements, SoftwareVersion,
    TransportKind, WireVersions, certificate_hash,
};
use federation_proto::keys::{Admission, DecryptionKey, KeyRole, Transport};
use federation_proto::{
    Digest, FederatedEpoch, Name, PublicKey, SecretKey, SessionId, SigningContext, VerifyingKey,
};

pub(super) const SITES: [&str; 2] = ["site-0", "site-1"];
pub(super) const DESKS: [&str; 3] = ["desk-0", "desk-1", "desk-2"];
pub(super) const NEEDED: usize = 2;
const SESSION_EPOCHS: u64 = 3;
/// What a direct channel's two ends derive from TLS.
pub(super) const EXPORTED: [u8; 32] = [7; 32];
pub(super) fn secret<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("operations", owner)
}

pub(super) fn public<R: KeyRole>(owner: &str) -> PublicKey<R> {
    secret(owner).public()
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a good name")
}

/// What a hello names that follows none.
pub(super) const NO_SESSION: SessionId = SessionId::new(Digest::ZERO);

/// The federation that every program runs in.
pub(super) struct Federation {
    pub(super) roster: Roster,
    pub(super) context: SigningContext,
    pub(super) required: Vec<Capability>,
    pub(super) policy_hash: Digest,
    admission_keys: Vec<VerifyingKey<Admission>>,
}

pub(super) fn federation() -> &'static Federation {
    static FEDERATION: OnceLock<Federation> = OnceLock::new();
    FEDERATION.get_or_init(|| {
        let policy_hash = Digest::of_blob(b"policy");
        let validator = |number: u8| {
            let owner = format!("validator-{number}");
            ValidatorRecord {
                name: name(&owner),
                fingerprint: public(&owner),
                consensus_key: public(&owner),
                log_key: public(&owner),
                encryption_key: DecryptionKey::synthetic("operations", &owner).public(),
                organisation: name("grid"),
                region: name("north"),
            }
        };
        let participant = |owner: &str| ParticipantRecord {
            name: name(owner),
            fingerprint: public(owner),
            organisation: name("plants"),
            region: name("west"),
            role: SiteRole::Edge,
        };
        let governor = |owner: &str| GovernorRecord {
            name: name(owner),
            organisation: name(&format!("org-{owner}")),
            document_key: public(owner),
            admission_key: public(owner),
            note_key: public(owner),
        };
        let configuration = Configuration {
            number: 0,
            validators: (0..4).map(validator).collect(),
            participants: SITES.map(participant).into(),
            governors: DESKS.map(governor).into(),
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::ZERO,
                last_epoch: FederatedEpoch::new(1_000),
            },
            policy_hash,
            artifact_key: public("artifacts"),
        };
        let genesis = Genesis {
            kind: FederationKind::Synthetic,
            instance: Text::new("operations").expect("a short text"),
            log_origin: name("operations.example"),
            schema_digest: Digest::ZERO,
            initial_state_hash: Digest::ZERO,
            configuration,
        };
        let roster = genesis.configuration.clone().validate().expect("a good roster");
        Federation {
            admission_keys: roster.admission_keys(),
            context: genesis.signing_context(),
            roster,
            required: vec!["coloring@1.0".parse().expect("a capability")],
            policy_hash,
        }
    })
}

impl Federation {
    pub(super) fn rules(&self) -> AdmissionRules<'_> {
        AdmissionRules {
            roster: &self.roster,
            context: &self.context,
            requirements: Requirements {
                federation_id: self.context.federation_id,
                validator_set_hash: self.roster.configuration().validator_set_hash(),
                software_version: SoftwareVersion::CURRENT,
                wire_versions: WireVersions::CURRENT,
                required: &self.required,
                optional: &[],
                attestation: AttestationDemand::None,
            },
            policy_hash: self.policy_hash,
            transports: &[TransportKind::Zenoh, TransportKind::Quic],
            session_epochs: SESSION_EPOCHS,
        }
    }

    pub(super) fn authority(&self) -> Authority<'_> {
        Authority { context: &self.context, admission_keys: &self.admission_keys, needed: NEEDED }
    }

    pub(super) fn certificate(&self) -> Digest {
        certificate_hash(&public::<Transport>("federation"))
    }
}
