//! The sidecar of an anchor: the cosignatures of its checkpoint, in a file of their own.
//!
//! Every replica writes the same bytes of an anchor; who cosigned it, and when, differs and comes
//! later. So the file is a signed note with the text of the anchor's checkpoint whose lines are
//! witness lines only, sorted by key name and id: one set of cosignatures has one form.

use std::collections::BTreeMap;

use federation_proto::keys::{Cosigner, PublicKey};
use thiserror::Error;

use crate::checkpoint::{
    Checkpoint, CheckpointError, QuorumError, VerifiedCheckpoint, check_quorum,
};
use crate::note::{Cosignature, Note, NoteError, NoteKey, NoteSignature};

/// The sidecar of the anchor `merkle/meta_M5.merk`, relative to the root of the artifacts.
pub const SIDECAR: &str = "witness/meta_M5.cosigned";

/// The cosignatures of one checkpoint. They prove nothing until [`Sidecar::verify`] accepts.
///
/// Invariant: the text is a checkpoint; the lines are [`Cosignature`]s in strictly increasing
/// order of key name and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sidecar {
    note: Note,
    claimed: Checkpoint,
}

/// Why bytes are no sidecar, or a sidecar is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SidecarError {
    /// The note is malformed, or a line does not verify.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A line cannot be a witness's.
    #[error("line {line}, of key {name}, is no cosignature of type 0x04")]
    NoCosignature {
        /// Number of the line, from 1.
        line: usize,
        /// Key name of the line.
        name: String,
    },
    /// The lines are not sorted.
    #[error("line {line}, of key {name}, does not follow the line before in order of name and id")]
    Order {
        /// Number of the line, from 1.
        line: usize,
        /// Key name of the line.
        name: String,
    },
    /// The sidecar belongs to another checkpoint.
    #[error("the cosigned text is {found:?}, the anchor's checkpoint is {expected:?}")]
    OtherCheckpoint {
        /// Text of the checkpoint that was verified.
        expected: String,
        /// Text in the sidecar.
        found: String,
    },
    /// Too few witnesses cosigned.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

impl Sidecar {
    /// The sidecar of a checkpoint with at least one line, in any order.
    ///
    /// # Errors
    /// What [`Self::parse`] would refuse in the rendered file.
    pub fn new(
        checkpoint: &Checkpoint,
        mut lines: Vec<NoteSignature>,
    ) -> Result<Self, SidecarError> {
        lines.sort_by(|a, b| order(a).cmp(&order(b)));
        Self::of_note(Note::new(checkpoint.to_text(), lines)?)
    }

    /// Reads a file of unknown origin. [`Self::to_text`] gives the same bytes back.
    ///
    /// # Errors
    /// Every variant of [`SidecarError`] that concerns form.
    pub fn parse(bytes: &[u8]) -> Result<Self, SidecarError> {
        Self::of_note(Note::parse(bytes)?)
    }

    fn of_note(note: Note) -> Result<Self, SidecarError> {
        let claimed = Checkpoint::parse(note.text())?;
        let lines = note.signatures();
        for (signature, line) in lines.iter().zip(1..) {
            if Cosignature::of_line(signature).is_none() {
                let name = signature.name().to_owned();
                return Err(SidecarError::NoCosignature { line, name });
            }
        }
        for ((before, signature), line) in lines.iter().zip(lines.iter().skip(1)).zip(2..) {
            if order(before) >= order(signature) {
                return Err(SidecarError::Order { line, name: signature.name().to_owned() });
            }
        }
        Ok(Self { note, claimed })
    }

    /// The file as it is stored.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.note.to_text()
    }

    /// Adds the cosignature of one of the witnesses `keys` after verifying it. Of two good lines of
    /// one key the later one stays, of two of one time the one with the larger bytes, so the order
    /// in which cosignatures arrive leaves no trace. A line of the key that does not verify gives
    /// way: a file from outside cannot keep a cosignature out.
    ///
    /// # Errors
    /// [`SidecarError::Note`] when the line does not verify, is of no trusted key, or is one too
    /// many.
    pub fn add(
        &mut self,
        line: NoteSignature,
        keys: &[NoteKey<Cosigner>],
    ) -> Result<(), SidecarError> {
        let verify = |line: &NoteSignature| {
            Note::new(self.claimed.to_text(), vec![line.clone()])?.cosigned_by(keys).map(drop)
        };
        verify(&line)?;
        let mut lines = self.note.signatures().to_vec();
        match lines.iter_mut().find(|known| order(known) == order(&line)) {
            // The bytes begin with the time, big-endian.
            Some(known) if known.bytes() >= line.bytes() && verify(known).is_ok() => return Ok(()),
            Some(known) => *known = line,
            None => lines.push(line),
        }
        *self = Self::new(&self.claimed, lines)?;
        Ok(())
    }

    /// Checks that at least `quorum` distinct witnesses among `keys` cosigned `checkpoint`, and
    /// gives the latest time of each, in POSIX seconds of its own clock.
    ///
    /// # Errors
    /// [`SidecarError::OtherCheckpoint`], [`SidecarError::Note`] (a line of a trusted witness that
    /// does not verify condemns the file) or [`SidecarError::Quorum`].
    pub fn verify(
        &self,
        checkpoint: &VerifiedCheckpoint,
        keys: &[NoteKey<Cosigner>],
        quorum: usize,
    ) -> Result<BTreeMap<PublicKey<Cosigner>, u64>, SidecarError> {
        let (expected, found) = (checkpoint.checkpoint().to_text(), self.claimed.to_text());
        if expected != found {
            return Err(SidecarError::OtherCheckpoint { expected, found });
        }
        let times = self.note.cosigned_by(keys)?;
        check_quorum(times.len(), quorum)?;
        Ok(times)
    }

    /// The checkpoint as the file claims it.
    #[must_use]
    pub fn claimed_checkpoint(&self) -> &Checkpoint {
        &self.claimed
    }

    /// The cosignatures, sorted by key name and id.
    #[must_use]
    pub fn lines(&self) -> &[NoteSignature] {
        self.note.signatures()
    }
}

fn order(line: &NoteSignature) -> (&str, [u8; 4]) {
    (line.name(), line.id())
}
