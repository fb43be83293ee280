//! Who signs the log: what it takes to check a checkpoint, without an audit of the whole run.

use federation_proto::keys::{LogCheckpoint, PublicKey};
use federation_proto::{FederationId, Name};
use ledger::NoteKey;
use thiserror::Error;

use super::ground::{self, Documents};
use super::report::{Finding, Results};
use super::{AuditOptions, LoadedArtifacts};
use crate::artifact::{ArtifactSet, GENESIS};
use crate::trust::RootOfTrust;

/// The log keys of a federation, as a genesis names them that the root of trust vouches for.
#[derive(Clone, Debug)]
pub struct LogKeys {
    ledger_id: FederationId,
    origin: Name,
    /// Parallel to the keys.
    validators: Vec<Name>,
    keys: Vec<NoteKey<LogCheckpoint>>,
    quorum: usize,
}

/// A genesis that says nothing about who must have signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct GenesisRefused(pub Finding);

impl LogKeys {
    /// Reads the bytes of a `genesis.json` as an audit does: form, endorsements, roster and committee.
    ///
    /// # Errors
    /// [`GenesisRefused`] with the first thing that an audit would find.
    pub fn of_genesis(genesis: &[u8], trust: &RootOfTrust) -> Result<Self, GenesisRefused> {
        let mut found = Results::default();
        let set = ArtifactSet::from([(GENESIS.to_owned(), genesis.to_vec())]);
        let genesis = ground::read(&LoadedArtifacts::from(set), GENESIS, &mut found);
        let documents = Documents { genesis, ..Documents::default() };
        let options = AuditOptions::default();
        let ground = ground::establish(&documents, trust, &options, &mut found);
        if let Some(first) = found.into_findings().into_iter().next() {
            return Err(GenesisRefused(first));
        }
        let parts = ground.and_then(|ground| Some((ground.genesis, ground.committee?)));
        let Some((genesis, committee)) = parts else {
            let (expected, found) = ("a committee".to_owned(), "none".to_owned());
            let (check, file, at) = (super::Check::RosterEpoch, GENESIS.to_owned(), String::new());
            return Err(GenesisRefused(Finding { check, file, at, expected, found }));
        };
        let body = genesis.claimed();
        let validators = &body.configuration.validators;
        Ok(Self {
            ledger_id: body.federation_id(),
            origin: committee.origin().clone(),
            validators: validators.iter().map(|validator| validator.name.clone()).collect(),
            keys: committee.members().iter().map(|member| member.note_key().clone()).collect(),
            quorum: committee.quorum(),
        })
    }

    /// The federation whose ledger it is.
    pub fn ledger_id(&self) -> FederationId {
        self.ledger_id
    }

    /// The C2SP origin of the log, which names all its keys.
    pub fn origin(&self) -> &str {
        self.origin.as_str()
    }

    /// The keys, in the order of the roster.
    pub fn keys(&self) -> &[NoteKey<LogCheckpoint>] {
        &self.keys
    }

    /// How many of them must have signed.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// The validator whose key it is.
    pub fn validator(&self, key: &PublicKey<LogCheckpoint>) -> Option<&Name> {
        let held = self.keys.iter().zip(&self.validators);
        held.into_iter().find(|(held, _)| held.public() == *key).map(|(_, name)| name)
    }
}
