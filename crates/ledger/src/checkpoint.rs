//! C2SP log checkpoints (<https://c2sp.org/tlog-checkpoint>): origin, size and root, signed by q.
//!
//! A *signed checkpoint* of the log is a signed note with this text. It is another thing than
//! PBFT's *stable checkpoint*, whose certificate names the same size and root.

use std::collections::BTreeSet;

use federation_proto::keys::{LogCheckpoint, PublicKey};
use thiserror::Error;

use crate::merkle::LogHash;
use crate::note::{Note, NoteError, NoteKey, NoteRole, is_key_name};

/// The head of the history tree at one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: LogHash,
}

/// A checkpoint that a quorum has signed; only [`VerifiedCheckpoint::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    signers: BTreeSet<PublicKey<LogCheckpoint>>,
}

/// Why a text is no checkpoint, or a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The origin cannot name a key, and log keys are named as the origin.
    #[error("origin {origin:?} is not allowed")]
    Origin {
        /// The refused origin.
        origin: String,
    },
    /// Not exactly three terminated lines. Extension lines are refused: no monitor audits them.
    #[error("a checkpoint has three lines, found {found}")]
    Lines {
        /// Number of lines found.
        found: usize,
    },
    /// The size is not a decimal without leading zeros that fits 64 bits.
    #[error("tree size {text:?} is not a canonical decimal")]
    Size {
        /// The refused text.
        text: String,
    },
    /// The root is not the base64 of 32 bytes.
    #[error("root {text:?} is not the canonical base64 of 32 bytes")]
    Root {
        /// The refused text.
        text: String,
    },
    /// Size 0 with another root than that of the empty tree.
    #[error("a log of size 0 has root {}, found {found}", LogHash::EMPTY_ROOT)]
    EmptyRoot {
        /// The root found.
        found: LogHash,
    },
    /// The checkpoint belongs to another log.
    #[error("the checkpoint is of log {found:?}, expected {expected:?}")]
    OtherOrigin {
        /// Origin of the trusted log.
        expected: String,
        /// Origin in the text.
        found: String,
    },
    /// A trusted key is not named as the origin, so it is no key of this log.
    #[error("trusted key {key:?} is not named as the origin {origin:?}")]
    KeyOfOtherLog {
        /// Name of the key.
        key: String,
        /// Origin of the trusted log.
        origin: String,
    },
    /// The note around the checkpoint is not accepted.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Too few keys signed.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

/// Why a note has no quorum.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuorumError {
    /// A quorum of zero would accept anything.
    #[error("a quorum of 0 proves nothing")]
    ZeroQuorum,
    /// Fewer distinct public keys signed than needed.
    #[error("{found} distinct keys signed, the quorum is {needed}")]
    TooFew {
        /// Distinct trusted public keys that signed.
        found: usize,
        /// The quorum.
        needed: usize,
    },
    /// The note is not accepted at all.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Checkpoint {
    /// The head of log `origin` at `size` leaves.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] or [`CheckpointError::EmptyRoot`].
    pub fn new(origin: &str, size: u64, root: LogHash) -> Result<Self, CheckpointError> {
        if !is_key_name(origin) {
            return Err(CheckpointError::Origin { origin: origin.to_owned() });
        }
        if size == 0 && root != LogHash::EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot { found: root });
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Reads a note text. [`Checkpoint::to_text`] gives the same text back.
    ///
    /// # Errors
    /// The variants of [`CheckpointError`] that concern form.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            return Err(CheckpointError::Lines { found: lines.len().saturating_sub(1) });
        };
        let size = parse_decimal(size)
            .ok_or_else(|| CheckpointError::Size { text: (*size).to_owned() })?;
        let root = LogHash::from_base64(root)
            .ok_or_else(|| CheckpointError::Root { text: (*root).to_owned() })?;
        Self::new(origin, size, root)
    }

    /// The note text: three lines, each with its newline.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves, that is of blocks.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the history tree at [`Self::size`].
    #[must_use]
    pub fn root(&self) -> LogHash {
        self.root
    }
}

impl VerifiedCheckpoint {
    /// Accepts a checkpoint note of log `origin` that at least `quorum` distinct public keys among
    /// `keys` signed. All keys must be named as the origin.
    ///
    /// # Errors
    /// Any variant of [`CheckpointError`].
    pub fn verify(
        note: &Note,
        origin: &str,
        keys: &[NoteKey<LogCheckpoint>],
        quorum: usize,
    ) -> Result<Self, CheckpointError> {
        if let Some(other) = keys.iter().find(|key| key.name() != origin) {
            let (key, origin) = (other.name().to_owned(), origin.to_owned());
            return Err(CheckpointError::KeyOfOtherLog { key, origin });
        }
        // Signatures first: text that nobody trusted signed is not looked at [C2SP signed-note].
        let signers = verify_quorum(note, keys, quorum)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != origin {
            let (expected, found) = (origin.to_owned(), checkpoint.origin);
            return Err(CheckpointError::OtherOrigin { expected, found });
        }
        Ok(Self { checkpoint, signers })
    }

    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Who signed it.
    #[must_use]
    pub fn signers(&self) -> &BTreeSet<PublicKey<LogCheckpoint>> {
        &self.signers
    }
}

/// The distinct public keys among `keys` that signed `note`, if they are at least `quorum`.
///
/// A key counts once, whatever the number of lines it signed or names it is trusted under.
///
/// # Errors
/// Any variant of [`QuorumError`].
pub fn verify_quorum<R: NoteRole>(
    note: &Note,
    keys: &[NoteKey<R>],
    quorum: usize,
) -> Result<BTreeSet<PublicKey<R>>, QuorumError> {
    let signers = note.verified_by(keys)?;
    check_quorum(signers.len(), quorum)?;
    Ok(signers)
}

/// Whether `found` distinct keys are a quorum of `needed`.
pub(crate) fn check_quorum(found: usize, needed: usize) -> Result<(), QuorumError> {
    if needed == 0 {
        return Err(QuorumError::ZeroQuorum);
    }
    if found < needed {
        return Err(QuorumError::TooFew { found, needed });
    }
    Ok(())
}

/// A decimal that is its own canonical form: ASCII digits, no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests;
