//! What an external witness does before it cosigns (<https://c2sp.org/tlog-witness>).
//!
//! A witness runs outside the federation and knows three things of its log: the origin, the
//! validators' log keys with their quorum, and the last checkpoint it cosigned. It cosigns one
//! more only if the quorum signed it and it extends, without a changed leaf, the last one. So a
//! federation that shows two histories needs to split its witnesses as well, and one that falls
//! back is caught by whoever asks them. The cosignatures live in a [`Sidecar`].

use federation_proto::keys::{Cosigner, LogCheckpoint};
use thiserror::Error;

use crate::checkpoint::{Checkpoint, CheckpointError, VerifiedCheckpoint};
use crate::merkle::LogHash;
use crate::merkle::verify::{ProofError, verify_consistency};
use crate::note::{Note, NoteError, NoteKey, NoteSignature, NoteSigner};

mod sidecar;

#[cfg(test)]
mod tests;

pub use sidecar::{SIDECAR, Sidecar, SidecarError};

/// What a witness knows of one log.
#[derive(Debug, Clone)]
pub struct Witness {
    origin: String,
    keys: Vec<NoteKey<LogCheckpoint>>,
    quorum: usize,
    last: Option<Checkpoint>,
}

/// Why a witness does not cosign. Its state is then as before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WitnessError {
    /// The note is no checkpoint of this log, or no quorum signed it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log has become smaller.
    #[error("the checkpoint has size {found}, size {last} was cosigned already")]
    Smaller {
        /// Size of the last cosigned checkpoint.
        last: u64,
        /// Size of the refused one.
        found: u64,
    },
    /// A quorum signed two histories: at this size, both roots.
    #[error("the log has forked: at size {size}, root {last} was cosigned and {found} is shown")]
    Fork {
        /// The size both have.
        size: u64,
        /// Root of the last cosigned checkpoint.
        last: LogHash,
        /// Root of the refused one.
        found: LogHash,
    },
    /// The proof does not show that the log only grew. The log may have forked, or the proof may
    /// just be wrong: it is the shown checkpoint together with a true proof that would tell.
    #[error("no extension of size {last_size}, root {last}, to size {size}, root {found}: {cause}")]
    NotExtended {
        /// Size of the last cosigned checkpoint, 0 if there is none.
        last_size: u64,
        /// Root of the last cosigned checkpoint.
        last: LogHash,
        /// Size of the refused one.
        size: u64,
        /// Root of the refused one.
        found: LogHash,
        /// What is wrong with the proof.
        cause: ProofError,
    },
    /// The time is no time of a cosignature.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Witness {
    /// A witness of log `origin`, whose checkpoints `quorum` of `keys` must sign. `last` is what
    /// it cosigned last, as it kept it; without, the first checkpoint that the quorum signed is
    /// taken as it comes.
    ///
    /// # Errors
    /// [`CheckpointError::OtherOrigin`] when `last` belongs to another log.
    pub fn new(
        origin: &str,
        keys: Vec<NoteKey<LogCheckpoint>>,
        quorum: usize,
        last: Option<Checkpoint>,
    ) -> Result<Self, CheckpointError> {
        if let Some(other) = last.as_ref().filter(|last| last.origin() != origin) {
            let (expected, found) = (origin.to_owned(), other.origin().to_owned());
            return Err(CheckpointError::OtherOrigin { expected, found });
        }
        Ok(Self { origin: origin.to_owned(), keys, quorum, last })
    }

    /// Cosigns the checkpoint in `note` as of `timestamp`, in POSIX seconds. `proof` shows that it
    /// extends the last one; it is empty for the first, and for an unchanged size.
    ///
    /// [`Self::last`] must be on disk before the line leaves the witness: one that forgets what it
    /// cosigned may cosign a fork.
    ///
    /// # Errors
    /// Any variant of [`WitnessError`].
    pub fn cosign(
        &mut self,
        signer: &NoteSigner<Cosigner>,
        note: &Note,
        proof: &[LogHash],
        timestamp: u64,
    ) -> Result<NoteSignature, WitnessError> {
        let verified = VerifiedCheckpoint::verify(note, &self.origin, &self.keys, self.quorum)?;
        let checkpoint = verified.checkpoint();
        self.check_extension(checkpoint, proof)?;
        let line = signer.cosign(checkpoint, timestamp)?;
        self.last = Some(checkpoint.clone());
        Ok(line)
    }

    /// The last checkpoint it cosigned.
    #[must_use]
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref()
    }

    fn check_extension(&self, next: &Checkpoint, proof: &[LogHash]) -> Result<(), WitnessError> {
        let last = self.last.as_ref();
        let (last_size, last) =
            last.map_or((0, LogHash::EMPTY_ROOT), |last| (last.size(), last.root()));
        let (size, found) = (next.size(), next.root());
        if size < last_size {
            return Err(WitnessError::Smaller { last: last_size, found: size });
        }
        if size == last_size && found != last {
            return Err(WitnessError::Fork { size, last, found });
        }
        // Everything extends the empty log, and nothing is left to prove [C2SP tlog-witness].
        let extended = if last_size == 0 && proof.is_empty() {
            Ok(())
        } else if last_size == 0 {
            Err(ProofError::PathLength { expected: 0, found: proof.len() })
        } else {
            verify_consistency(last_size, &last, size, &found, proof)
        };
        extended.map_err(|cause| WitnessError::NotExtended { last_size, last, size, found, cause })
    }
}
