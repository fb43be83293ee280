//! A configuration whose every key and threshold was checked: the only form that verifies anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::census::{Census, RosterError};
use super::{
    Agreement, Configuration, GovernorRecord, Mandate, ParticipantRecord, ReaderRecord, Thresholds,
    ValidatorRecord, WitnessRecord,
};
use crate::codec::Canonical;
use crate::digest::Digest;
use crate::keys::{
    Admission, Artifact, CheckedEncryptionKey, Consensus, Cosigner, Document, GovernanceNote,
    Identity, LogCheckpoint, NodeFingerprint, SignatureMemo, VerifyingKey,
};
use crate::limits;
use crate::quorum;

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
    /// Checked encryption key.
    pub encryption: CheckedEncryptionKey,
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

/// A witness with a checked key.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Its record.
    pub record: WitnessRecord,
    /// Checked cosigner key.
    pub cosigner: VerifyingKey<Cosigner>,
}

/// A reader with a checked key.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Its record.
    pub record: ReaderRecord,
    /// Checked encryption key.
    pub encryption: CheckedEncryptionKey,
}

/// A configuration whose every key and threshold was checked.
#[derive(Clone, Debug)]
pub struct Roster {
    configuration: Configuration,
    agreement: Agreement,
    digest: Digest,
    validators: Vec<Validator>,
    participants: Vec<Participant>,
    governors: Vec<Governor>,
    witnesses: Vec<Witness>,
    readers: Vec<Reader>,
    artifact: VerifyingKey<Artifact>,
}

impl Configuration {
    /// Checks every key, name and threshold, for a committee of PBFT.
    pub fn validate(self) -> Result<Roster, RosterError> {
        self.validate_as(Agreement::Byzantine)
    }

    /// Checks every key, name and threshold. [`Agreement::Authority`] is for whoever was told so by governance, and
    /// never to be guessed from the number of validators.
    pub fn validate_as(self, agreement: Agreement) -> Result<Roster, RosterError> {
        agreement.admit(self.validators.len())?;
        let Mandate { first_epoch: first, last_epoch: last } = self.mandate;
        if first > last {
            return Err(RosterError::Mandate { first, last });
        }
        let lists = [
            ("validators", self.validators.len(), limits::VALIDATORS),
            ("participants", self.participants.len(), limits::PARTICIPANTS),
            ("governors", self.governors.len(), limits::ENDORSEMENTS),
            ("witnesses", self.witnesses.len(), limits::ENDORSEMENTS),
        ];
        if let Some((what, got, limit)) = lists.into_iter().find(|(_, got, limit)| got > limit) {
            return Err(RosterError::TooMany { what, got, limit });
        }
        let (got, limit) = (self.validators.len() + self.readers.len(), limits::RECIPIENTS);
        if got > limit {
            return Err(RosterError::TooManyReaders { got, limit });
        }
        let (length, limit) = (self.to_canonical().len(), limits::GENESIS);
        if length > limit {
            return Err(RosterError::TooLarge { length, limit });
        }
        let mut census = Census::default();
        let validators = census.each(&self.validators, Census::validator)?;
        let participants = census.each(&self.participants, Census::participant)?;
        let governors = census.each(&self.governors, Census::governor)?;
        let witnesses = census.each(&self.witnesses, Census::witness)?;
        let readers = census.each(&self.readers, Census::reader)?;
        self.check_thresholds()?;
        let artifact = census.key("artifacts", &self.artifact_key)?;
        Ok(Roster {
            agreement,
            digest: self.digest_as(agreement),
            validators,
            participants,
            governors,
            witnesses,
            readers,
            artifact,
            configuration: self,
        })
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
        let witness =
            |witness: Witness| Witness { cosigner: witness.cosigner.memoised(memo), ..witness };
        Self {
            validators: self.validators.into_iter().map(validator).collect(),
            participants: self.participants.into_iter().map(participant).collect(),
            governors: self.governors.into_iter().map(governor).collect(),
            witnesses: self.witnesses.into_iter().map(witness).collect(),
            artifact: self.artifact.memoised(memo),
            ..self
        }
    }

    /// The configuration it was checked from.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// What its committee tolerates.
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// The configuration's digest, which binds how its committee agrees.
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

    /// The witnesses of the ledger.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Who may read encrypted payloads beside the validators.
    pub fn readers(&self) -> &[Reader] {
        &self.readers
    }

    /// Every key that a payload is encrypted to: the validators', then the readers'.
    pub fn payload_readers(&self) -> Vec<CheckedEncryptionKey> {
        let validators = self.validators.iter().map(|validator| validator.encryption);
        validators.chain(self.readers.iter().map(|reader| reader.encryption)).collect()
    }

    /// The identity key of a member that has one: a participant or a validator.
    pub fn identity(&self, fingerprint: &NodeFingerprint) -> Option<&VerifyingKey<Identity>> {
        let participant = self.participant(fingerprint).map(|participant| &participant.identity);
        participant.or_else(|| self.validator(fingerprint).map(|validator| &validator.identity))
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

    /// The quorum of the committee. Below 4 validators, where none may lie, it is a majority.
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
