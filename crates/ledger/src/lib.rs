//! A tamper-evident ledger.
//!
//! Blocks are chained by their hashes; an RFC 6962 history tree stands over the headers and a
//! BLAKE3 tree over the entries of each block; validators sign C2SP checkpoints of the history
//! tree; an anchor proves one block offline, and nodes that compare checkpoints find out who lies.
//!
//! ```text
//! entry ──BLAKE3 tree──▶ block header ──SHA-256 history tree──▶ checkpoint ◀── q log keys
//!        block_tree        block, chain      history, frontier      checkpoint, note ◀── witness
//!        └───────────────── chain::EntryProof ─────────────────┘         │
//!                           └────────────────── anchor ──────────────────┘
//!
//! kept:      durable ──▶ store (memory, redb)        safety_log
//! published: export (canonical files)                tiles (static files for any C2SP client)
//! compared:  divergence
//! ```
//!
//! Bytes from outside have exactly one accepted form and are refused by typed errors that carry the
//! values that disagreed. A proof is worth nothing until its `verify` accepts it; results of
//! verification ([`VerifiedCheckpoint`]) can be made in no other way.
//!
//! Everything is a pure function of its inputs, without file, clock, network or randomness, but for two
//! places that meet the disk, each behind a feature: the redb store (`redb`) and the safety log (`disk`).
//!
//! # Example
//! Three validators sign the head of a log; an auditor, offline, checks one leaf against it.
//!
//! ```
//! use federation_proto::keys::{LogCheckpoint, SecretKey};
//! use ledger::merkle::history::HistoryTree;
//! use ledger::{Anchor, Checkpoint, Note, NoteSigner};
//!
//! let origin = "example.org/federation";
//! let signers = ["a", "b", "c"]
//!     .map(|owner| NoteSigner::new(origin, SecretKey::<LogCheckpoint>::synthetic("doc", owner)));
//! let signers = signers.into_iter().collect::<Result<Vec<_>, _>>()?;
//! let keys = signers.iter().map(NoteSigner::verifier).collect::<Result<Vec<_>, _>>()?;
//!
//! let mut log = HistoryTree::new();
//! for leaf in ["one", "two", "three"] {
//!     log.append(leaf.as_bytes());
//! }
//! let text = Checkpoint::new(origin, log.size(), log.root())?.to_text();
//! let lines = signers.iter().map(|signer| signer.sign(&text)).collect::<Result<Vec<_>, _>>()?;
//! let note = Note::new(text, lines)?;
//! let file = Anchor::new(None, 1, log.inclusion_proof(1, 3)?, note)?.to_text();
//!
//! let anchor = Anchor::parse(file.as_bytes())?;
//! let verified = anchor.verify(b"two", origin, &keys, 3)?;
//! assert_eq!(verified.checkpoint().size(), 3);
//! assert!(anchor.verify(b"2", origin, &keys, 3).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod anchor;
mod base64;
pub mod block;
pub mod chain;
pub mod checkpoint;
pub mod divergence;
pub mod durable;
pub mod export;
#[cfg(feature = "faults")]
pub mod faults;
pub mod merkle;
pub mod note;
#[cfg(feature = "disk")]
pub mod safety_log;
pub mod store;
pub mod tiles;
pub mod witness;

pub use anchor::{Anchor, AnchorError};
pub use block::{BlockError, BlockFile, BlockHeader};
pub use chain::{AppendError, EntryProof, EntryProofError, Execution, Head, Ledger, LedgerError};
pub use checkpoint::{Checkpoint, CheckpointError, QuorumError, VerifiedCheckpoint, verify_quorum};
pub use merkle::LogHash;
pub use merkle::verify::ProofError;
pub use note::{Note, NoteError, NoteKey, NoteKeyError, NoteSignature, NoteSigner};
pub use tiles::{TileError, TilePath, TileTree};
pub use witness::{Sidecar, SidecarError, Witness, WitnessError};
