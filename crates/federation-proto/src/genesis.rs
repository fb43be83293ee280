//! The founding document: who takes part, under which policy, and who may say so.

mod agreement;
mod census;
mod roster;

use serde::{Deserialize, Serialize};

use crate::bounded::{self, Text};
use crate::codec::{Canonical, canonical};
use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::ids::FederationId;
use crate::keys::{
    Admission, Artifact, Consensus, Cosigner, Document, EncryptionKey, GovernanceNote,
    LogCheckpoint, NodeFingerprint, PublicKey,
};
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, SignedBody, SigningContext};

pub use agreement::Agreement;
pub use census::RosterError;
pub use roster::{Governor, Participant, Reader, Roster, Validator, Witness};

/// Whether a federation's keys mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FederationKind {
    /// Keys held by real organisations.
    Live,
    /// Published keys: artifacts prove consistency, not authorship.
    Synthetic,
}

/// Where a participant runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteRole {
    /// A core data centre.
    Core,
    /// An edge site.
    Edge,
    /// An organisation's own premises.
    OnPremises,
    /// A public cloud region.
    Cloud,
}

/// A member of the PBFT committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorRecord {
    /// Readable name, unique in the roster.
    pub name: Name,
    /// Identity key.
    pub fingerprint: NodeFingerprint,
    /// Key of its votes.
    pub consensus_key: PublicKey<Consensus>,
    /// Key of its log checkpoints.
    pub log_key: PublicKey<LogCheckpoint>,
    /// Key that payloads are encrypted to, where the policy asks for it.
    pub encryption_key: EncryptionKey,
    /// Organisation that runs it.
    pub organisation: Name,
    /// Region it runs in.
    pub region: Name,
}

/// A site that may join and contribute updates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantRecord {
    /// Readable name, unique in the roster.
    pub name: Name,
    /// Identity key.
    pub fingerprint: NodeFingerprint,
    /// Organisation it belongs to. Robust rules count organisations.
    pub organisation: Name,
    /// Region it runs in.
    pub region: Name,
    /// Kind of place it runs in.
    pub role: SiteRole,
}

/// A governor and the online keys delegated to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GovernorRecord {
    /// Readable name; also the C2SP key name of its notes.
    pub name: Name,
    /// Organisation; it has no other governor, so counting keys counts organisations.
    pub organisation: Name,
    /// Offline document key.
    pub document_key: PublicKey<Document>,
    /// Delegated online key that signs accepts.
    pub admission_key: PublicKey<Admission>,
    /// Delegated online key that signs governance notes such as `FEDERATED_APPLY`.
    pub note_key: PublicKey<GovernanceNote>,
}

/// An independent witness that cosigns the ledger's checkpoints, so that validators cannot show two ledgers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessRecord {
    /// Readable name; also the C2SP key name of its cosignatures.
    pub name: Name,
    /// Organisation that runs it.
    pub organisation: Name,
    /// Key of its cosignatures [C2SP tlog-cosignature].
    pub cosigner_key: PublicKey<Cosigner>,
}

/// Somebody beside the validators who may read encrypted payloads: an auditor, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderRecord {
    /// Readable name, unique in the roster.
    pub name: Name,
    /// Organisation it belongs to.
    pub organisation: Name,
    /// Key that payloads are encrypted to.
    pub encryption_key: EncryptionKey,
}

/// How many governors must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Documents: genesis, roster, policy.
    pub document: u16,
    /// Accepts.
    pub admission: u16,
    /// `FEDERATED_APPLY`.
    pub apply: u16,
}

/// The standing mandate under which the online keys act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mandate {
    /// First epoch it covers.
    pub first_epoch: FederatedEpoch,
    /// Last epoch it covers; the delegated keys expire with it.
    pub last_epoch: FederatedEpoch,
}

/// Roster, thresholds, mandate and policy in force. Its digest is bound into every signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Successive configurations count up by exactly one.
    pub number: u32,
    /// The committee, in replica order.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::VALIDATORS }>")]
    pub validators: Vec<ValidatorRecord>,
    /// Sites that may join.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::PARTICIPANTS }>")]
    pub participants: Vec<ParticipantRecord>,
    /// The governors.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::ENDORSEMENTS }>")]
    pub governors: Vec<GovernorRecord>,
    /// Witnesses of the ledger.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::ENDORSEMENTS }>")]
    pub witnesses: Vec<WitnessRecord>,
    /// Readers of encrypted payloads beside the validators.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::RECIPIENTS }>")]
    pub readers: Vec<ReaderRecord>,
    /// How many governors must agree.
    pub thresholds: Thresholds,
    /// The mandate of the online keys.
    pub mandate: Mandate,
    /// Digest of the policy's exact bytes.
    pub policy_hash: Digest,
    /// Key that signs the manifests of runs.
    pub artifact_key: PublicKey<Artifact>,
}

/// The genesis body. Its digest is the federation id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// Live or synthetic.
    pub kind: FederationKind,
    /// What distinguishes this federation from another with the same roster (for a synthetic one: scenario and seed).
    pub instance: Text<{ limits::INSTANCE }>,
    /// C2SP origin of the ledger's checkpoints.
    pub log_origin: Name,
    /// Digest of the genome schema.
    pub schema_digest: Digest,
    /// Digest of the initial meta state.
    pub initial_state_hash: Digest,
    /// The first configuration.
    pub configuration: Configuration,
}

canonical! {
    Configuration => limits::GENESIS,
    Genesis => limits::GENESIS,
}

impl SignedBody for Genesis {
    const DOMAIN: Domain = Domain::Genesis;
    type Role = Document;
}

impl Genesis {
    /// The federation's id.
    pub fn federation_id(&self) -> FederationId {
        FederationId::new(Digest::of(HashDomain::Genesis, &self.to_canonical()))
    }

    /// What signatures under the first configuration are bound to.
    pub fn signing_context(&self) -> SigningContext {
        SigningContext {
            federation_id: self.federation_id(),
            config_digest: self.configuration.digest(),
        }
    }
}

impl Configuration {
    /// The digest that every signature is bound to, where PBFT agrees.
    pub fn digest(&self) -> Digest {
        self.digest_as(Agreement::Byzantine)
    }

    /// The digest of the committee alone, which a joining node names in its hello.
    pub fn validator_set_hash(&self) -> Digest {
        let keys: Vec<&[u8]> = self
            .validators
            .iter()
            .map(|validator| validator.consensus_key.as_bytes().as_slice())
            .collect();
        Digest::of_parts(HashDomain::ValidatorSet, &keys)
    }
}
