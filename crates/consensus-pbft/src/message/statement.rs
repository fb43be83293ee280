//! What a CHECKPOINT certifies.

use core::fmt;

use federation_proto::codec::Canonical;
use federation_proto::{Digest, Height, LedgerBlockId, SequenceNumber};
use ledger::{Checkpoint as LogCheckpoint, CheckpointError, LogHash};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::VOTE_BYTES;
use crate::committee::Committee;

/// What execution led to at one sequence number: what a *stable checkpoint* certifies.
///
/// It holds no view and no certificate; correct replicas may have learnt the order from different ones.
///
/// Its canonical bytes are the fields in order. At a border zero and [`next`](Self::next) come before them: no
/// checkpoint has sequence number zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointStatement {
    /// Last executed sequence number.
    pub sequence: SequenceNumber,
    /// Height of the last block.
    pub height: Height,
    /// Hash of its header.
    pub header_hash: LedgerBlockId,
    /// Leaves of the history tree.
    pub log_size: u64,
    /// RFC 6962 root of the history tree.
    pub log_root: LogHash,
    /// Digest of the replicated state.
    pub state_root: Digest,
    /// At a border: the digest of the configuration that takes over here.
    pub next: Option<Digest>,
}

impl Canonical for CheckpointStatement {
    const NAME: &'static str = "CheckpointStatement";
    const MAX_BYTES: usize = VOTE_BYTES;
}

impl CheckpointStatement {
    /// The C2SP checkpoint text that the note signature covers: origin, log size, base64 of the log root.
    ///
    /// # Errors
    /// [`CheckpointError`] when size and root contradict each other.
    pub fn note_text(&self, committee: &Committee) -> Result<String, CheckpointError> {
        let origin = committee.origin().as_str();
        LogCheckpoint::new(origin, self.log_size, self.log_root)
            .map(|checkpoint| checkpoint.to_text())
    }
}

impl Serialize for CheckpointStatement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { sequence, height, header_hash, log_size, log_root, state_root, next } = self;
        let plain = (sequence, height, header_hash, log_size, log_root, state_root);
        match next {
            None => plain.serialize(serializer),
            Some(next) => (SequenceNumber::ZERO, next, plain).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CheckpointStatement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The mark of a border, its configuration, and six fields.
        const MOST_FIELDS: usize = 8;
        deserializer.deserialize_tuple(MOST_FIELDS, Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = CheckpointStatement;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a checkpoint statement")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut sequence = field(&mut fields)?;
        let mut next = None;
        if sequence == SequenceNumber::ZERO {
            next = Some(field(&mut fields)?);
            sequence = field(&mut fields)?;
        }
        Ok(CheckpointStatement {
            sequence,
            height: field(&mut fields)?,
            header_hash: field(&mut fields)?,
            log_size: field(&mut fields)?,
            log_root: field(&mut fields)?,
            state_root: field(&mut fields)?,
            next,
        })
    }
}

fn field<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| A::Error::custom("a field is missing"))
}
