//! Cosignatures of witnesses (<https://c2sp.org/tlog-cosignature>), signature type 0x04.
//!
//! ```text
//! line      — <name> base64(key id ‖ timestamp, 8 bytes big-endian ‖ R ‖ S)
//! message   cosignature/v1
//!           time <POSIX seconds, decimal>
//!           <the note text>
//! ```
//!
//! The first line of the message separates it from everything else an Ed25519 key signs. A
//! cosignature says that, at that time, the checkpoint was the largest consistent one the witness
//! had seen of this log; whether that is so is for [`crate::witness`] to decide before it signs.

use std::collections::BTreeMap;

use federation_proto::keys::{Cosigner, PublicKey, Signature};

use super::{Note, NoteError, NoteKey, NoteSignature, NoteSigner};
use crate::checkpoint::Checkpoint;

/// Latest time of a cosignature, in POSIX seconds [C2SP tlog-cosignature].
pub const MAX_TIMESTAMP: u64 = (1 << 63) - 1;

/// What a witness's signature line holds. It proves nothing until a key has verified the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    timestamp: u64,
    signature: Signature,
}

impl Cosignature {
    /// Reads a line: 72 bytes, the time at most [`MAX_TIMESTAMP`].
    #[must_use]
    pub fn of_line(line: &NoteSignature) -> Option<Self> {
        let (timestamp, signature) = line.bytes().split_first_chunk::<8>()?;
        let timestamp = u64::from_be_bytes(*timestamp);
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        (timestamp <= MAX_TIMESTAMP).then_some(Self { timestamp, signature })
    }

    /// When the witness signed, in POSIX seconds of its clock.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(super) fn message(&self, text: &str) -> Vec<u8> {
        message(self.timestamp, text)
    }
}

impl NoteSigner<Cosigner> {
    /// Cosigns a checkpoint as of `timestamp`, in POSIX seconds. Nothing is checked but the time.
    ///
    /// # Errors
    /// [`NoteError::Timestamp`].
    pub fn cosign(
        &self,
        checkpoint: &Checkpoint,
        timestamp: u64,
    ) -> Result<NoteSignature, NoteError> {
        if timestamp > MAX_TIMESTAMP {
            return Err(NoteError::Timestamp { found: timestamp, limit: MAX_TIMESTAMP });
        }
        let signature = self.secret.sign_raw(&message(timestamp, &checkpoint.to_text()));
        Ok(self.line([&timestamp.to_be_bytes()[..], &signature.to_bytes()].concat()))
    }
}

impl Note {
    /// The distinct witness keys among `keys` that cosigned the text, with the latest time each
    /// gave; never empty.
    ///
    /// # Errors
    /// As [`Note::verified_by`].
    pub fn cosigned_by(
        &self,
        keys: &[NoteKey<Cosigner>],
    ) -> Result<BTreeMap<PublicKey<Cosigner>, u64>, NoteError> {
        let mut times = BTreeMap::new();
        for (line, key) in self.verified_lines(keys)? {
            let time = Cosignature::of_line(line).map_or(0, |it| it.timestamp());
            times.entry(key).and_modify(|latest| *latest = time.max(*latest)).or_insert(time);
        }
        Ok(times)
    }
}

fn message(timestamp: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {timestamp}\n{text}").into_bytes()
}

#[cfg(test)]
mod tests;
