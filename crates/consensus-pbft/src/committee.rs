//! Who votes: the committee of one configuration, with every key checked.

use core::fmt;

use federation_proto::genesis::{Agreement, Roster};
use federation_proto::keys::{Consensus, LogCheckpoint, NodeFingerprint, Signature, VerifyingKey};
use federation_proto::{Digest, Name, SequenceNumber, SigningContext, View, quorum};
use ledger::{NoteKey, NoteKeyError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

mod handover;

pub use handover::{Handover, HandoverError};

/// Most replicas in a committee: a checkpoint note has room for this many signature lines.
pub const MAX_REPLICAS: usize = ledger::note::MAX_SIGNATURES;

// A roster has no more validators than a checkpoint note has room for.
const _: () = assert!(federation_proto::limits::VALIDATORS <= MAX_REPLICAS);

/// Position of a replica in the committee, from 0, in roster order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId(u16);

impl ReplicaId {
    /// Wraps a position.
    pub const fn new(index: u16) -> Self {
        Self(index)
    }

    /// The position.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One replica of the committee.
#[derive(Clone, Debug)]
pub struct Member {
    id: ReplicaId,
    fingerprint: NodeFingerprint,
    consensus: VerifyingKey<Consensus>,
    log: VerifyingKey<LogCheckpoint>,
    note: NoteKey<LogCheckpoint>,
}

impl Member {
    /// Its position.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Its identity.
    pub fn fingerprint(&self) -> NodeFingerprint {
        self.fingerprint
    }

    /// The key of its votes.
    pub fn consensus_key(&self) -> &VerifyingKey<Consensus> {
        &self.consensus
    }

    /// The key of its log checkpoints, named as the origin.
    pub fn note_key(&self) -> &NoteKey<LogCheckpoint> {
        &self.note
    }

    /// Whether `signature` is this member's on a note text, strictly.
    pub(crate) fn signed_note(&self, text: &str, signature: &Signature) -> bool {
        signature.has_reduced_s() && self.log.verify_raw(text.as_bytes(), signature)
    }
}

/// The committee of one configuration of one federation, and what its signatures are bound to.
#[derive(Clone, Debug)]
pub struct Committee {
    members: Vec<Member>,
    number: u32,
    agreement: Agreement,
    context: SigningContext,
    origin: Name,
    base: SequenceNumber,
}

/// Why a roster makes no committee.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitteeError {
    /// The signing context is that of another configuration.
    #[error("the signing context names configuration {context}, the roster has {roster}")]
    Configuration {
        /// Digest in the context.
        context: Digest,
        /// Digest of the roster.
        roster: Digest,
    },
    /// A log key cannot be named as the origin.
    #[error(transparent)]
    NoteKey(#[from] NoteKeyError),
    /// Two log keys share the 32-bit id by which a note line is attributed. Ids can be ground.
    #[error("the log keys of replicas {first} and {second} have one note id")]
    NoteIdCollision {
        /// The earlier one.
        first: ReplicaId,
        /// The later one.
        second: ReplicaId,
    },
}

impl Committee {
    /// The first committee of a federation; later ones follow from it by [`Self::succeed`]. `log_origin` is the C2SP
    /// origin of the ledger's checkpoints.
    ///
    /// # Errors
    /// Any variant of [`CommitteeError`].
    pub fn new(
        roster: &Roster,
        context: SigningContext,
        log_origin: &Name,
    ) -> Result<Self, CommitteeError> {
        if context.config_digest != roster.digest() {
            return Err(CommitteeError::Configuration {
                context: context.config_digest,
                roster: roster.digest(),
            });
        }
        let mut members: Vec<Member> = Vec::with_capacity(roster.validators().len());
        for (index, validator) in (0..).zip(roster.validators()) {
            let id = ReplicaId(index);
            let note = NoteKey::new(log_origin.as_str(), validator.record.log_key)?;
            if let Some(other) = members.iter().find(|other| other.note.id() == note.id()) {
                let (first, second) = (other.id, id);
                return Err(CommitteeError::NoteIdCollision { first, second });
            }
            members.push(Member {
                id,
                fingerprint: validator.record.fingerprint,
                consensus: validator.consensus.clone(),
                log: validator.log.clone(),
                note,
            });
        }
        let (origin, agreement) = (log_origin.clone(), roster.agreement());
        let (number, base) = (roster.configuration().number, SequenceNumber::ZERO);
        Ok(Self { members, number, agreement, context, origin, base })
    }

    /// Number of replicas, n.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// What it tolerates: below 4 replicas crashes only, and then only because governance said so.
    pub fn agreement(&self) -> Agreement {
        self.agreement
    }

    /// Replicas that may lie, f = ⌊(n−1)/3⌋: none below 4.
    pub fn max_faulty(&self) -> usize {
        quorum::max_faulty(self.size())
    }

    /// Votes that decide, q = ⌈(n+f+1)/2⌉: a majority below 4.
    pub fn quorum(&self) -> usize {
        quorum::quorum(self.size())
    }

    /// The primary of a view: view mod n [OSDI '99 §4.1].
    pub fn primary(&self, view: View) -> ReplicaId {
        // n is between 1 and MAX_REPLICAS, so the remainder fits; `max` keeps the division total.
        let index = view.get() % (self.size().max(1) as u64);
        ReplicaId(u16::try_from(index).unwrap_or(0))
    }

    /// The members in replica order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// One member.
    pub fn member(&self, id: ReplicaId) -> Option<&Member> {
        self.members.get(usize::from(id.0))
    }

    /// What every vote is bound to: federation and configuration.
    pub fn context(&self) -> &SigningContext {
        &self.context
    }

    /// The border at which it took over; zero for the first. It votes for later sequence numbers only.
    pub fn base(&self) -> SequenceNumber {
        self.base
    }

    /// The C2SP origin of the ledger's checkpoints.
    pub fn origin(&self) -> &Name {
        &self.origin
    }
}
