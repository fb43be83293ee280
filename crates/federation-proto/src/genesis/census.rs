//! The census of a configuration: every key and name seen, so that none is unusable or used twice.

use std::collections::BTreeSet;

use thiserror::Error;

use super::roster::{Governor, Participant, Reader, Validator, Witness};
use super::{GovernorRecord, ParticipantRecord, ReaderRecord, ValidatorRecord, WitnessRecord};
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::envelope::VALIDATORS;
use crate::keys::{
    CheckedEncryptionKey, EncryptionKey, EncryptionKeyError, KeyError, KeyRole, PublicKey,
    VerifyingKey,
};
use crate::name::Name;

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
    /// An encryption key is unusable.
    #[error("{owner}: encryption key {key}: {cause}")]
    WeakEncryptionKey {
        /// Whose key.
        owner: String,
        /// The key.
        key: EncryptionKey,
        /// What is wrong with it.
        cause: EncryptionKeyError,
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
    /// More keys than a payload can be sealed for.
    #[error("{got} validators and readers, a payload is sealed for at most {limit}")]
    TooManyReaders {
        /// Validators and readers.
        got: usize,
        /// Keys allowed.
        limit: usize,
    },
    /// More members of a kind than the wire has room for: nobody could read the configuration back.
    #[error("{got} {what}, a configuration has at most {limit}")]
    TooMany {
        /// Which members.
        what: &'static str,
        /// How many.
        got: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Longer names and more members together than the wire has room for.
    #[error("a configuration of {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Its canonical bytes.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A member has the name of a group that envelopes are sent to.
    #[error("name {0} is that of a group")]
    GroupName(Name),
    /// Too few validators for Byzantine agreement.
    #[error("{0} validators: PBFT needs at least 4, fewer need proof of authority")]
    Validators(usize),
    /// Proof of authority with nobody, or with so many that they need not trust each other.
    #[error("{0} validators: proof of authority has 1 to 3")]
    Authorities(usize),
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
pub(super) struct Census {
    keys: BTreeSet<[u8; 32]>,
    names: BTreeSet<Name>,
}

impl Census {
    fn name<'n>(&mut self, name: &'n Name) -> Result<&'n str, RosterError> {
        if name.as_str() == VALIDATORS {
            return Err(RosterError::GroupName(name.clone()));
        }
        if self.names.insert(name.clone()) {
            Ok(name.as_str())
        } else {
            Err(RosterError::SharedName(name.clone()))
        }
    }

    fn once(&mut self, owner: &str, key: &[u8; 32]) -> Result<(), RosterError> {
        if self.keys.insert(*key) {
            return Ok(());
        }
        let key = Digest::from_bytes(*key).to_string();
        Err(RosterError::SharedKey { owner: owner.into(), key })
    }

    pub(super) fn key<R: KeyRole>(
        &mut self,
        owner: &str,
        key: &PublicKey<R>,
    ) -> Result<VerifyingKey<R>, RosterError> {
        self.once(owner, key.as_bytes())?;
        key.check().map_err(|cause| RosterError::WeakKey {
            owner: owner.into(),
            role: R::NAME,
            key: key.to_string(),
            cause,
        })
    }

    fn encryption(
        &mut self,
        owner: &str,
        key: &EncryptionKey,
    ) -> Result<CheckedEncryptionKey, RosterError> {
        self.once(owner, key.as_bytes())?;
        key.check().map_err(|cause| RosterError::WeakEncryptionKey {
            owner: owner.into(),
            key: *key,
            cause,
        })
    }
}

impl Census {
    pub(super) fn each<'r, T, U>(
        &mut self,
        records: &'r [T],
        check: impl Fn(&mut Self, &'r T) -> Result<U, RosterError>,
    ) -> Result<Vec<U>, RosterError> {
        records.iter().map(|record| check(self, record)).collect()
    }

    pub(super) fn validator(&mut self, record: &ValidatorRecord) -> Result<Validator, RosterError> {
        let owner = self.name(&record.name)?;
        Ok(Validator {
            identity: self.key(owner, &record.fingerprint)?,
            consensus: self.key(owner, &record.consensus_key)?,
            log: self.key(owner, &record.log_key)?,
            encryption: self.encryption(owner, &record.encryption_key)?,
            record: record.clone(),
        })
    }

    pub(super) fn participant(
        &mut self,
        record: &ParticipantRecord,
    ) -> Result<Participant, RosterError> {
        let owner = self.name(&record.name)?;
        Ok(Participant { identity: self.key(owner, &record.fingerprint)?, record: record.clone() })
    }

    pub(super) fn governor(&mut self, record: &GovernorRecord) -> Result<Governor, RosterError> {
        let owner = self.name(&record.name)?;
        Ok(Governor {
            document: self.key(owner, &record.document_key)?,
            admission: self.key(owner, &record.admission_key)?,
            note: self.key(owner, &record.note_key)?,
            record: record.clone(),
        })
    }

    pub(super) fn witness(&mut self, record: &WitnessRecord) -> Result<Witness, RosterError> {
        let owner = self.name(&record.name)?;
        Ok(Witness { cosigner: self.key(owner, &record.cosigner_key)?, record: record.clone() })
    }

    pub(super) fn reader(&mut self, record: &ReaderRecord) -> Result<Reader, RosterError> {
        let owner = self.name(&record.name)?;
        let encryption = self.encryption(owner, &record.encryption_key)?;
        Ok(Reader { encryption, record: record.clone() })
    }
}
