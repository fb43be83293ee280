//! Anchors: C2SP transparency-log proofs (<https://c2sp.org/tlog-proof>) of one block.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                     optional
//! index <decimal>
//! <base64 hash>                      the inclusion path, leaf to root
//!                                    one empty line
//! <checkpoint note>                  signed by the validators' log keys
//! ```
//!
//! An anchor is verified offline against an origin and a set of keys, and when its leaf is the
//! last one of the checkpointed tree it also gives the log frontier back ([`Anchor::frontier`]).

use federation_proto::keys::LogCheckpoint;
use thiserror::Error;

use crate::base64;
use crate::checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint, parse_decimal};
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::merkle::verify::{ProofError, inclusion_path_length, verify_inclusion};
use crate::note::{MAX_NOTE_BYTES, Note, NoteError, NoteKey};

#[cfg(test)]
mod tests;

/// First line of the file.
const FORMAT_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Largest extra data in bytes.
pub const MAX_EXTRA_BYTES: usize = 64 * 1024;

/// Largest anchor file in bytes: the note, the extra data in base64 and 64 path lines.
pub const MAX_ANCHOR_BYTES: usize = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES + 8 * 1024;

/// A well-formed proof. It proves nothing until [`Anchor::verify`] accepts it.
///
/// Invariant: the path has the length that index and checkpoint size demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<LogHash>,
    note: Note,
    claimed: Checkpoint,
}

/// Why bytes are no anchor, or an anchor is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// Longer than [`MAX_ANCHOR_BYTES`].
    #[error("the anchor has {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The part before the checkpoint is not UTF-8, or no empty line ends it.
    #[error("no empty line separates proof and checkpoint")]
    NoSeparator,
    /// Another first line.
    #[error("the first line is {found:?}, expected {FORMAT_LINE:?}")]
    Format {
        /// The line found, shortened.
        found: String,
    },
    /// The extra data is empty, too long or not canonical base64.
    #[error("the extra data has {length} bytes or characters and is empty, too long or not base64")]
    Extra {
        /// Length of what was refused.
        length: usize,
    },
    /// The index line is missing or not `index <canonical decimal>`.
    #[error("the index line is missing or malformed")]
    Index,
    /// A path line is not the base64 of 32 bytes.
    #[error("path line {line} is not the canonical base64 of 32 bytes")]
    PathLine {
        /// Number of the line within the path, from 1.
        line: usize,
    },
    /// The checkpoint note is malformed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is malformed, of another log, or not signed by a quorum.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The path does not prove the leaf, or has another length than index and size demand.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Anchor {
    /// Puts a proof together.
    ///
    /// # Errors
    /// [`AnchorError::Extra`], [`AnchorError::Checkpoint`] when the note is no checkpoint, or
    /// [`AnchorError::Proof`] when the path length does not fit index and size.
    pub fn new(
        extra: Option<Vec<u8>>,
        index: u64,
        path: Vec<LogHash>,
        note: Note,
    ) -> Result<Self, AnchorError> {
        if let Some(length) = extra.as_ref().map(Vec::len)
            && (length == 0 || length > MAX_EXTRA_BYTES)
        {
            return Err(AnchorError::Extra { length });
        }
        let claimed = Checkpoint::parse(note.text())?;
        let expected = inclusion_path_length(index, claimed.size())?;
        if path.len() != expected {
            return Err(ProofError::PathLength { expected, found: path.len() }.into());
        }
        Ok(Self { extra, index, path, note, claimed })
    }

    /// Reads an anchor file of unknown origin. [`Anchor::to_text`] gives the same bytes back.
    ///
    /// # Errors
    /// Any variant of [`AnchorError`] that concerns form.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnchorError> {
        if bytes.len() > MAX_ANCHOR_BYTES {
            return Err(AnchorError::TooLarge { length: bytes.len(), limit: MAX_ANCHOR_BYTES });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| AnchorError::NoSeparator)?;
        // No line of the proof is empty, so the first empty line ends it.
        let (proof, note) = text.split_once("\n\n").ok_or(AnchorError::NoSeparator)?;
        let mut lines = proof.split('\n').peekable();
        let format = lines.next().unwrap_or_default();
        if format != FORMAT_LINE {
            return Err(AnchorError::Format { found: format.chars().take(40).collect() });
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .and_then(|line| line.strip_prefix("extra "))
            .map(parse_extra)
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(AnchorError::Index)?;
        let path = lines
            .zip(1..)
            .map(|(text, line)| LogHash::from_base64(text).ok_or(AnchorError::PathLine { line }))
            .collect::<Result<_, _>>()?;
        Self::new(extra, index, path, Note::parse(note.as_bytes())?)
    }

    /// The file as it is stored.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut file = format!("{FORMAT_LINE}\n");
        if let Some(extra) = &self.extra {
            file.push_str(&format!("extra {}\n", base64::encode(extra)));
        }
        file.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            file.push_str(&hash.to_base64());
            file.push('\n');
        }
        file.push('\n');
        file.push_str(&self.note.to_text());
        file
    }

    /// Checks that a quorum signed the checkpoint of log `origin` and that `leaf` stands at
    /// [`Self::index`] in it. For the ledger, `leaf` is the canonical bytes of a block header.
    ///
    /// The extra data is not authenticated by anything: check it against the leaf.
    ///
    /// # Errors
    /// [`AnchorError::Checkpoint`] or [`AnchorError::Proof`].
    pub fn verify(
        &self,
        leaf: &[u8],
        origin: &str,
        keys: &[NoteKey<LogCheckpoint>],
        quorum: usize,
    ) -> Result<VerifiedCheckpoint, AnchorError> {
        let verified = VerifiedCheckpoint::verify(&self.note, origin, keys, quorum)?;
        let (size, root) = (verified.checkpoint().size(), verified.checkpoint().root());
        verify_inclusion(&LogHash::of_leaf(leaf), self.index, size, &self.path, &root)?;
        Ok(verified)
    }

    /// The log frontier at the checkpoint, when the anchored leaf is the last one of its tree:
    /// the node can append again without any earlier block. The checkpoint is verified as in
    /// [`Self::verify`].
    ///
    /// # Errors
    /// As [`Self::verify`]; [`ProofError::NotLastLeaf`] when the leaf is not the last one.
    pub fn frontier(
        &self,
        leaf: &[u8],
        origin: &str,
        keys: &[NoteKey<LogCheckpoint>],
        quorum: usize,
    ) -> Result<Frontier, AnchorError> {
        let verified = self.verify(leaf, origin, keys, quorum)?;
        let size = verified.checkpoint().size();
        if self.index.checked_add(1) != Some(size) {
            return Err(ProofError::NotLastLeaf { index: self.index, size }.into());
        }
        Ok(Frontier::from_last_leaf(LogHash::of_leaf(leaf), size, &self.path)?)
    }

    /// Opaque data beside the proof, unauthenticated.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Zero-based index of the leaf: block height − 1.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion path, from the leaf's sibling up.
    #[must_use]
    pub fn path(&self) -> &[LogHash] {
        &self.path
    }

    /// The checkpoint as the file claims it; [`Self::verify`] says whether a quorum agrees.
    #[must_use]
    pub fn claimed_checkpoint(&self) -> &Checkpoint {
        &self.claimed
    }

    /// The checkpoint note with its signature lines.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }
}

fn parse_extra(encoded: &str) -> Result<Vec<u8>, AnchorError> {
    base64::decode(encoded).ok_or(AnchorError::Extra { length: encoded.len() })
}
