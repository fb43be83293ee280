//! The founding document: who takes part, under which policy, and who may say so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{Canonical, canonical};
use crate::counters::FederatedEpoch;
use crate::digest::{Digest, HashDomain};
use crate::ids::FederationId;
use crate::keys::{
    Admission, Artifact, Consensus, Document, GovernanceNote, Identity, KeyError, LogCheckpoint,
    NodeFingerprint, PublicKey, SignatureMemo, VerifyingKey,
};
use crate::limits;
use crate::name::Name;
use crate::quorum;
use crate::signing::{Domain, SignedBody, SigningContext};

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
    pub validators: Vec<ValidatorRecord>,
    /// Sites that may join.
    pub participants: Vec<ParticipantRecord>,
    /// The governors.
    pub governors: Vec<GovernorRecord>,
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
    pub instance: String,
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

/// A validator with checked keys.
#[derive(Clone, Debug)]
pub struct Validator {
    /// Its record.
    pub record: ValidatorRecord,
    /// Checked identity key.
    pub identity: VerifyingKey<Identity>,
    /// Checked vote key.
    pub consensus: VerifyingKey<Consensus>,
    /// Checked log key.
    pub log: VerifyingKey<LogCheckpoint>,
}

/// A participant with a checked key.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Its record.
    pub record: ParticipantRecord,
    /// Checked identity key.
    pub identity: VerifyingKey<Identity>,
}

/// A governor with checked keys.
#[derive(Clone, Debug)]
pub struct Governor {
    /// Its record.
    pub record: GovernorRecord,
    /// Checked document key.
    pub document: VerifyingKey<Document>,
    /// Checked admission key.
    pub admission: VerifyingKey<Admission>,
    /// Checked note key.
    pub note: VerifyingKey<GovernanceNote>,
}

/// A configuration whose every key and threshold was checked: the only form that verifies anything.
#[derive(Clone, Debug)]
pub struct Roster {
    configuration: Configuration,
    digest: Digest,
    validators: Vec<Validator>,
    participants: Vec<Participant>,
    governors: Vec<Governor>,
    artifact: VerifyingKey<Artifact>,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RosterError {
    /// A key is unusable.
    #[error("{owner}: {role} key {key}: {cause}")]
    WeakKey {
        /// Whose key.
        owner: String,
        /// Role of the key.
        role: &'static str,
        /// Hexadecimal key.
        key: String,
        /// What is wrong with it.
        cause: KeyError,
    },
    /// One key stands twice, in one role or two.
    #[error("{owner}: its key {key} does a second job; every key has one")]
    SharedKey {
        /// Second owner.
        owner: String,
        /// Hexadecimal key.
        key: String,
    },
    /// One name stands twice.
    #[error("name {0} is used twice")]
    SharedName(Name),
    /// An organisation has two governors, so that it would count twice.
    #[error("organisation {0} has two governors; every governing organisation has one")]
    SharedOrganisation(Name),
    /// More governors are demanded than there are.
    #[error(
        "{what} threshold {needed} must be between 1 and the {organisations} governing organisations"
    )]
    Threshold {
        /// Which threshold.
        what: &'static str,
        /// Its value.
        needed: u16,
        /// Distinct governing organisations.
        organisations: usize,
    },
    /// Too few validators for Byzantine agreement.
    #[error(
        "{0} validators: PBFT needs at least 4 (proof of authority comes with the consensus work)"
    )]
    Validators(usize),
    /// The mandate ends before it begins.
    #[error("mandate: first epoch {first} must be <= last epoch {last}")]
    Mandate {
        /// First epoch.
        first: FederatedEpoch,
        /// Last epoch.
        last: FederatedEpoch,
    },
}

/// Collects every key and name seen, so that none is used twice.
#[derive(Default)]
struct Census {
    keys: BTreeSet<[u8; 32]>,
    names: BTreeSet<Name>,
}

impl Census {
    fn name(&mut self, name: &Name) -> Result<(), RosterError> {
        if self.names.insert(name.clone()) {
            Ok(())
        } else {
            Err(RosterError::SharedName(name.clone()))
        }
    }

    fn key<R: crate::keys::KeyRole>(
        &mut self,
        owner: &str,
        key: &PublicKey<R>,
    ) -> Result<VerifyingKey<R>, RosterError> {
        if !self.keys.insert(*key.as_bytes()) {
            return Err(RosterError::SharedKey { owner: owner.into(), key: key.to_string() });
        }
        key.check().map_err(|cause| RosterError::WeakKey {
            owner: owner.into(),
            role: R::NAME,
            key: key.to_string(),
            cause,
        })
    }
}

impl Configuration {
    /// The digest that every signature is bound to.
    pub fn digest(&self) -> Digest {
        Digest::of(HashDomain::Configuration, &self.to_canonical())
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

    /// Checks every key, name and threshold.
    pub fn validate(self) -> Result<Roster, RosterError> {
        let mut census = Census::default();
        if self.validators.len() < 4 {
            return Err(RosterError::Validators(self.validators.len()));
        }
        let Mandate { first_epoch: first, last_epoch: last } = self.mandate;
        if first > last {
            return Err(RosterError::Mandate { first, last });
        }
        let mut validators = Vec::with_capacity(self.validators.len());
        for record in &self.validators {
            let owner = record.name.as_str();
            census.name(&record.name)?;
            validators.push(Validator {
                identity: census.key(owner, &record.fingerprint)?,
                consensus: census.key(owner, &record.consensus_key)?,
                log: census.key(owner, &record.log_key)?,
                record: record.clone(),
            });
        }
        let mut participants = Vec::with_capacity(self.participants.len());
        for record in &self.participants {
            census.name(&record.name)?;
            let identity = census.key(record.name.as_str(), &record.fingerprint)?;
            participants.push(Participant { identity, record: record.clone() });
        }
        let mut governors = Vec::with_capacity(self.governors.len());
        for record in &self.governors {
            let owner = record.name.as_str();
            census.name(&record.name)?;
            governors.push(Governor {
                document: census.key(owner, &record.document_key)?,
                admission: census.key(owner, &record.admission_key)?,
                note: census.key(owner, &record.note_key)?,
                record: record.clone(),
            });
        }
        self.check_thresholds()?;
        let artifact = census.key("artifacts", &self.artifact_key)?;
        let digest = self.digest();
        Ok(Roster { digest, validators, participants, governors, artifact, configuration: self })
    }

    fn check_thresholds(&self) -> Result<(), RosterError> {
        let mut organisations = BTreeSet::new();
        for governor in &self.governors {
            if !organisations.insert(&governor.organisation) {
                return Err(RosterError::SharedOrganisation(governor.organisation.clone()));
            }
        }
        let organisations = organisations.len();
        let Thresholds { document, admission, apply } = self.thresholds;
        for (what, needed) in [("document", document), ("admission", admission), ("apply", apply)] {
            if needed == 0 || usize::from(needed) > organisations {
                return Err(RosterError::Threshold { what, needed, organisations });
            }
        }
        Ok(())
    }
}

impl Roster {
    /// The same roster, whose keys remember together what they verified. For simulations.
    #[must_use]
    pub fn memoised(self, memo: &Arc<SignatureMemo>) -> Self {
        let validator = |validator: Validator| Validator {
            identity: validator.identity.memoised(memo),
            consensus: validator.consensus.memoised(memo),
            log: validator.log.memoised(memo),
            ..validator
        };
        let participant = |participant: Participant| Participant {
            identity: participant.identity.memoised(memo),
            ..participant
        };
        let governor = |governor: Governor| Governor {
            document: governor.document.memoised(memo),
            admission: governor.admission.memoised(memo),
            note: governor.note.memoised(memo),
            ..governor
        };
        Self {
            validators: self.validators.into_iter().map(validator).collect(),
            participants: self.participants.into_iter().map(participant).collect(),
            governors: self.governors.into_iter().map(governor).collect(),
            artifact: self.artifact.memoised(memo),
            ..self
        }
    }

    /// The configuration it was checked from.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The configuration's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The committee, in replica order.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// The sites that may join.
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// The governors.
    pub fn governors(&self) -> &[Governor] {
        &self.governors
    }

    /// The key that signs manifests.
    pub fn artifact_key(&self) -> &VerifyingKey<Artifact> {
        &self.artifact
    }

    /// The validator with this identity.
    pub fn validator(&self, fingerprint: &NodeFingerprint) -> Option<&Validator> {
        self.validators.iter().find(|validator| validator.record.fingerprint == *fingerprint)
    }

    /// The participant with this identity.
    pub fn participant(&self, fingerprint: &NodeFingerprint) -> Option<&Participant> {
        self.participants.iter().find(|participant| participant.record.fingerprint == *fingerprint)
    }

    /// The PBFT quorum of the committee.
    pub fn quorum(&self) -> usize {
        quorum::quorum(self.validators.len())
    }

    /// The checked admission keys.
    pub fn admission_keys(&self) -> Vec<VerifyingKey<Admission>> {
        self.governors.iter().map(|governor| governor.admission.clone()).collect()
    }

    /// The checked document keys.
    pub fn document_keys(&self) -> Vec<VerifyingKey<Document>> {
        self.governors.iter().map(|governor| governor.document.clone()).collect()
    }
}
