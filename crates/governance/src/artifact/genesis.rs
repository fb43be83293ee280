//! `genesis.json`: the founding document, readable, with its canonical bytes and endorsements.
//!
//! People read the fields, programs the canonical bytes. A reader decodes the bytes, renders the document
//! from them again and compares, so the two cannot say different things.

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord,
    ReaderRecord, SiteRole, Thresholds, ValidatorRecord, WitnessRecord,
};
use federation_proto::keys::{
    Admission, Artifact, Consensus, Cosigner, Document as DocumentKey, EncryptionKey,
    GovernanceNote, LogCheckpoint, NodeFingerprint, PublicKey, Signature,
};
use federation_proto::limits;
use federation_proto::signing::{Endorsed, Endorsement};
use federation_proto::{Digest, FederationId, Name};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::json::{self, Document, text};

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisDocument {
    /// [`Document::SCHEMA`].
    pub schema: String,
    /// [`Document::VERSION`].
    pub schema_version: u32,
    /// Hash of the genesis body.
    #[serde(with = "text")]
    pub federation_id: FederationId,
    /// Hash of the configuration.
    #[serde(with = "text")]
    pub config_digest: Digest,
    /// `live` or `synthetic`.
    pub kind: String,
    /// What distinguishes this federation from another with the same roster.
    pub instance: String,
    /// C2SP origin of the ledger's checkpoints.
    pub log_origin: Name,
    /// Digest of the genome schema.
    #[serde(with = "text")]
    pub schema_digest: Digest,
    /// Digest of the initial meta state.
    #[serde(with = "text")]
    pub initial_state_hash: Digest,
    /// The first configuration.
    pub configuration: ConfigurationView,
    /// Canonical bytes of the body, hexadecimal: what is hashed and signed.
    pub canonical: String,
    /// The governors' signatures on the body.
    pub endorsements: Vec<EndorsementView>,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationView {
    /// Its number.
    pub number: u32,
    /// Digest of the policy.
    #[serde(with = "text")]
    pub policy_hash: Digest,
    /// Key that signs manifests.
    #[serde(with = "text")]
    pub artifact_key: PublicKey<Artifact>,
    /// Thresholds.
    pub thresholds: ThresholdsView,
    /// First epoch of the mandate.
    #[serde(with = "text")]
    pub mandate_first_epoch: u64,
    /// Last epoch of the mandate.
    #[serde(with = "text")]
    pub mandate_last_epoch: u64,
    /// The governors.
    pub governors: Vec<GovernorView>,
    /// The committee.
    pub validators: Vec<ValidatorView>,
    /// The sites that may join.
    pub participants: Vec<ParticipantView>,
    /// Witnesses of the ledger.
    pub witnesses: Vec<WitnessView>,
    /// Readers of encrypted payloads beside the validators.
    pub readers: Vec<ReaderView>,
}

/// How many governors must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdsView {
    /// Documents.
    pub document: u16,
    /// Accepts.
    pub admission: u16,
    /// `FEDERATED_APPLY`.
    pub apply: u16,
}

/// A governor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernorView {
    /// Name.
    pub name: Name,
    /// Organisation.
    pub organisation: Name,
    /// Document key.
    #[serde(with = "text")]
    pub document_key: PublicKey<DocumentKey>,
    /// Admission key.
    #[serde(with = "text")]
    pub admission_key: PublicKey<Admission>,
    /// Note key.
    #[serde(with = "text")]
    pub note_key: PublicKey<GovernanceNote>,
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorView {
    /// Name.
    pub name: Name,
    /// Organisation.
    pub organisation: Name,
    /// Region.
    pub region: Name,
    /// Identity key.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
    /// Vote key.
    #[serde(with = "text")]
    pub consensus_key: PublicKey<Consensus>,
    /// Log key.
    #[serde(with = "text")]
    pub log_key: PublicKey<LogCheckpoint>,
    /// Key that payloads are encrypted to.
    #[serde(with = "text")]
    pub encryption_key: EncryptionKey,
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantView {
    /// Name.
    pub name: Name,
    /// Organisation.
    pub organisation: Name,
    /// Region.
    pub region: Name,
    /// Kind of place.
    pub role: SiteRole,
    /// Identity key.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
}

/// A witness.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessView {
    /// Name.
    pub name: Name,
    /// Organisation.
    pub organisation: Name,
    /// Key of its cosignatures.
    #[serde(with = "text")]
    pub cosigner_key: PublicKey<Cosigner>,
}

/// A reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderView {
    /// Name.
    pub name: Name,
    /// Organisation.
    pub organisation: Name,
    /// Key that payloads are encrypted to.
    #[serde(with = "text")]
    pub encryption_key: EncryptionKey,
}

/// A governor's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndorsementView {
    /// Document key.
    #[serde(with = "text")]
    pub document_key: PublicKey<DocumentKey>,
    /// Signature of the body.
    #[serde(with = "text")]
    pub signature: Signature,
}

/// Why a genesis document cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GenesisError {
    /// The canonical field is not lowercase hexadecimal.
    #[error("canonical is not lowercase hexadecimal ({length} characters)")]
    Hex {
        /// Length of the field.
        length: usize,
    },
    /// Not the canonical bytes of a genesis.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Document for GenesisDocument {
    const SCHEMA: &'static str = "prism-federation/genesis";
    const VERSION: u32 = 1;
    const MAX_BYTES: usize = 6 * limits::GENESIS;
}

impl GenesisDocument {
    /// Renders an endorsed genesis.
    pub fn of(genesis: &Endorsed<Genesis>) -> Self {
        let body = genesis.claimed();
        let endorse = |endorsement: &Endorsement<DocumentKey>| EndorsementView {
            document_key: endorsement.key,
            signature: endorsement.signature,
        };
        Self {
            schema: Self::SCHEMA.to_owned(),
            schema_version: Self::VERSION,
            federation_id: body.federation_id(),
            config_digest: body.configuration.digest(),
            kind: match body.kind {
                FederationKind::Live => "live".to_owned(),
                FederationKind::Synthetic => "synthetic".to_owned(),
            },
            instance: body.instance.to_string(),
            log_origin: body.log_origin.clone(),
            schema_digest: body.schema_digest,
            initial_state_hash: body.initial_state_hash,
            configuration: ConfigurationView::of(&body.configuration),
            canonical: data_encoding::HEXLOWER.encode(&body.to_canonical()),
            endorsements: genesis.endorsements().iter().map(endorse).collect(),
        }
    }

    /// The genesis that the canonical bytes hold, with the endorsements as they came. Whether the readable
    /// fields agree is for the caller to compare, by [`GenesisDocument::of`].
    ///
    /// # Errors
    /// Any variant of [`GenesisError`].
    pub fn decode(&self) -> Result<Endorsed<Genesis>, GenesisError> {
        let bytes = data_encoding::HEXLOWER
            .decode(self.canonical.as_bytes())
            .map_err(|_| GenesisError::Hex { length: self.canonical.len() })?;
        let body = Genesis::from_canonical(&bytes)?;
        let endorse = |view: &EndorsementView| Endorsement {
            key: view.document_key,
            signature: view.signature,
        };
        Ok(Endorsed::from_parts(body, self.endorsements.iter().map(endorse).collect()))
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        json::render(self)
    }
}

impl ConfigurationView {
    fn of(configuration: &Configuration) -> Self {
        let Thresholds { document, admission, apply } = configuration.thresholds;
        let Mandate { first_epoch, last_epoch } = configuration.mandate;
        Self {
            number: configuration.number,
            policy_hash: configuration.policy_hash,
            artifact_key: configuration.artifact_key,
            thresholds: ThresholdsView { document, admission, apply },
            mandate_first_epoch: first_epoch.get(),
            mandate_last_epoch: last_epoch.get(),
            governors: configuration.governors.iter().map(GovernorView::of).collect(),
            validators: configuration.validators.iter().map(ValidatorView::of).collect(),
            participants: configuration.participants.iter().map(ParticipantView::of).collect(),
            witnesses: configuration.witnesses.iter().map(WitnessView::of).collect(),
            readers: configuration.readers.iter().map(ReaderView::of).collect(),
        }
    }
}

impl GovernorView {
    fn of(record: &GovernorRecord) -> Self {
        Self {
            name: record.name.clone(),
            organisation: record.organisation.clone(),
            document_key: record.document_key,
            admission_key: record.admission_key,
            note_key: record.note_key,
        }
    }
}

impl ValidatorView {
    fn of(record: &ValidatorRecord) -> Self {
        Self {
            name: record.name.clone(),
            organisation: record.organisation.clone(),
            region: record.region.clone(),
            node_fingerprint: record.fingerprint,
            consensus_key: record.consensus_key,
            log_key: record.log_key,
            encryption_key: record.encryption_key,
        }
    }
}

impl ParticipantView {
    fn of(record: &ParticipantRecord) -> Self {
        Self {
            name: record.name.clone(),
            organisation: record.organisation.clone(),
            region: record.region.clone(),
            role: record.role,
            node_fingerprint: record.fingerprint,
        }
    }
}

impl WitnessView {
    fn of(record: &WitnessRecord) -> Self {
        Self {
            name: record.name.clone(),
            organisation: record.organisation.clone(),
            cosigner_key: record.cosigner_key,
        }
    }
}

impl ReaderView {
    fn of(record: &ReaderRecord) -> Self {
        Self {
            name: record.name.clone(),
            organisation: record.organisation.clone(),
            encryption_key: record.encryption_key,
        }
    }
}
