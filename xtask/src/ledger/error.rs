//! Why a ledger command ends badly.

use std::io;

use federation_proto::codec::CodecError;
use federation_proto::{FederationId, Height};
use ledger::durable::DurableError;
use ledger::store::StoreError;
use ledger::tiles::PublishError;
use ledger::{
    AnchorError, CheckpointError, EntryProofError, NoteError, NoteKeyError, SidecarError,
    WitnessError,
};
use thiserror::Error;

use crate::failure::{FAILED, USAGE};

/// Why a ledger command ends badly.
#[derive(Debug, Error)]
pub(crate) enum LedgerError {
    /// The genesis says nothing about who must have signed.
    #[error("{path} {at}: expected {expected}, found {found}")]
    Genesis {
        /// The file.
        path: String,
        /// Where in it.
        at: String,
        /// What had to be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Something stands in the artifacts where the ledger is.
    #[error("{path}: {reason}")]
    Foreign {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A store or a file of the artifacts does not hold what it should.
    #[error("{path}: {cause}{}", remedy(cause))]
    Durable {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: DurableError,
    },
    /// An anchor or proof is none, or is not accepted.
    #[error("{path}: {cause}")]
    Anchor {
        /// The file.
        path: String,
        /// Why.
        cause: AnchorError,
    },
    /// A file is no checkpoint, or one that no quorum signed.
    #[error("{path}: {cause}")]
    Checkpoint {
        /// The file.
        path: String,
        /// Why.
        cause: CheckpointError,
    },
    /// A file is no signed note.
    #[error("{path}: {cause}")]
    Note {
        /// The file.
        path: String,
        /// Why.
        cause: NoteError,
    },
    /// Nothing says which header a proof proves.
    #[error("{path} does not carry the header that it proves; name its block with --block-file")]
    NoHeader {
        /// The proof.
        path: String,
    },
    /// A proof is about another ledger.
    #[error("{path}: it is of ledger {found}, expected {expected}")]
    OtherLedger {
        /// The proof.
        path: String,
        /// The ledger that the genesis founded.
        expected: FederationId,
        /// The ledger of the header.
        found: FederationId,
    },
    /// Parts of one proof, or a proof and the ledger, contradict each other.
    #[error("{path}: {what} is {found}, expected {expected}")]
    Differs {
        /// The proof.
        path: String,
        /// What differs.
        what: &'static str,
        /// What it had to be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Nothing that a quorum signed is there.
    #[error("{place} has no anchor, so nothing that a quorum signed")]
    NoAnchor {
        /// Where one was looked for.
        place: String,
    },
    /// A block is not signed yet.
    #[error("block {height} is beyond the newest signed checkpoint, of {size} blocks")]
    NotSigned {
        /// The block.
        height: Height,
        /// Blocks of the checkpoint.
        size: u64,
    },
    /// A file holds no canonical value.
    #[error("{path}: {cause}")]
    Codec {
        /// The file.
        path: String,
        /// Why.
        cause: CodecError,
    },
    /// An entry is not proved.
    #[error("{path}: {cause}")]
    Entry {
        /// The proof.
        path: String,
        /// Why.
        cause: EntryProofError,
    },
    /// The name of a witness cannot name a key.
    #[error("--name: {0}")]
    WitnessName(NoteKeyError),
    /// The witness does not cosign.
    #[error("{path} is not cosigned: {cause}")]
    Witness {
        /// The anchor.
        path: String,
        /// Why.
        cause: WitnessError,
    },
    /// What the witness kept is unusable.
    #[error("{path}: {cause}; without its last checkpoint a witness must not go on")]
    WitnessState {
        /// The state file.
        path: String,
        /// Why.
        cause: CheckpointError,
    },
    /// A sidecar is none, or is not accepted.
    #[error("{path}: {cause}")]
    Sidecar {
        /// The file.
        path: String,
        /// Why.
        cause: SidecarError,
    },
    /// A sidecar that is there already belongs to another checkpoint.
    #[error(
        "{path} cosigns the checkpoint of {found} blocks, not that of {expected}; move it away or name another \
         --out"
    )]
    OtherSidecar {
        /// The file.
        path: String,
        /// Blocks of the checkpoint to cosign.
        expected: u64,
        /// Blocks of the one in the sidecar.
        found: u64,
    },
    /// Another process cosigns with this key.
    #[error("{path} is in use by another process")]
    KeyInUse {
        /// The key file.
        path: String,
    },
    /// Something is in the way of a directory that is to be made.
    #[error("{path} cannot be written: {reason}; name another directory with --out")]
    Unsuitable {
        /// What is in the way.
        path: String,
        /// Why it is.
        reason: String,
    },
    /// Tiles cannot be made.
    #[error("{place}: {cause}")]
    Tiles {
        /// The ledger.
        place: String,
        /// Why.
        cause: PublishError<DurableError>,
    },
    /// The file system refused.
    #[error("cannot write {path}: {cause}; an existing file is never overwritten")]
    Create {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// The file system refused.
    #[error("cannot write {path}: {cause}; it is as it was")]
    Replace {
        /// The file.
        path: String,
        /// Why.
        cause: io::Error,
    },
}

impl LedgerError {
    /// Usage where the command line names what is not there or in the way; otherwise something does not hold, or
    /// this machine failed.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoHeader { .. }
            | Self::NotSigned { .. }
            | Self::WitnessName(_)
            | Self::WitnessState { .. }
            | Self::OtherSidecar { .. }
            | Self::Unsuitable { .. } => USAGE,
            Self::Durable { cause, .. } => exit_code_of_durable(cause),
            Self::Create { cause, .. } if cause.kind() == io::ErrorKind::AlreadyExists => USAGE,
            _ => FAILED,
        }
    }
}

fn exit_code_of_durable(cause: &DurableError) -> u8 {
    match cause {
        DurableError::Store(StoreError::Missing | StoreError::Exists)
        | DurableError::NotEmpty
        | DurableError::NoLedger
        | DurableError::OldFormat { .. }
        | DurableError::NewerFormat { .. }
        | DurableError::NoBlock { .. }
        | DurableError::NotHeld { .. }
        | DurableError::Entry(_) => USAGE,
        _ => FAILED,
    }
}

/// What to do, where there is one thing to do.
fn remedy(cause: &DurableError) -> &'static str {
    match cause {
        DurableError::OldFormat { .. } => "; `cargo xtask ledger migrate --store FILE` does",
        DurableError::Store(StoreError::Exists) => "; an existing file is never overwritten",
        DurableError::Store(StoreError::InUse) => "; another process has it open",
        _ => "",
    }
}
