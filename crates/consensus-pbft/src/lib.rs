//! Sans-IO PBFT with persist-before-send and certificates that verify alone.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod application;
pub mod certificate;
pub mod committee;
pub mod effect;
pub mod evidence;
pub mod forensics;
pub mod message;
pub mod rejection;
pub mod replica;
pub mod safety;
pub mod settings;

pub use application::{Application, Execution, ExecutionFailed, Verdict};
pub use certificate::{
    CertificateError, CheckpointCertificate, CheckpointVote, CommitCertificate,
    PreparedCertificate, Vote,
};
pub use committee::{Committee, CommitteeError, Handover, HandoverError, Member, ReplicaId};
pub use effect::{Effect, Effects, Input};
pub use evidence::{Equivocation, EvidenceError};
pub use forensics::{AuditError, audit};
pub use message::{
    Checkpoint, CheckpointStatement, Commit, ConsensusMessage, Decided, NewView, PrePrepare,
    Prepare, Proposal, Status, ViewChange, WantedBatch,
};
pub use rejection::{Fault, NewViewFault, OversizedBatch, Rejection, ViewChangeFault};
pub use replica::{Holdings, Replica, ReplicaError, Restart, RestartError};
pub use safety::{PersistToken, SafetyRecord};
pub use settings::{MAX_WINDOW, Settings, SettingsError, ValidSettings};
