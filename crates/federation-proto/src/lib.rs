//! The wire vocabulary of a PRISM federation.
//!
//! Everything that crosses a trust boundary is defined here: identities and keys, the canonical codec, the
//! signing preimage, the handshake, MIPP envelopes, updates, ledger entries, batches and quorum arithmetic.
//! The crate does no I/O, reads no clock and draws no randomness.
//!
//! Bytes from outside go one way: [`codec::Canonical::from_canonical`] (size, form) →
//! [`signing::Signed::verify`] (key, domain, federation) → [`signing::Verified`], the only handle through
//! which content is used.
//!
//! ```
//! use federation_proto::codec::Canonical;
//! use federation_proto::keys::{Identity, SecretKey};
//! use federation_proto::signing::{Signed, SigningContext};
//! use federation_proto::update::BlobReceipt;
//! use federation_proto::{Digest, FederatedEpoch, FederationId};
//!
//! let key = SecretKey::<Identity>::synthetic("doc", "validator-1");
//! let context = SigningContext {
//!     federation_id: FederationId::new(Digest::of_blob(b"federation")),
//!     config_digest: Digest::of_blob(b"configuration"),
//! };
//! let receipt = BlobReceipt {
//!     validator: key.public(),
//!     node_fingerprint: SecretKey::<Identity>::synthetic("doc", "site-1").public(),
//!     federated_epoch: FederatedEpoch::new(1),
//!     blob: Digest::of_blob(b"blob"),
//!     blob_len: 4,
//!     commitment: Digest::of_blob(b"commitment"),
//! };
//! let bytes = Signed::sign(receipt, &key, &context).to_canonical();
//!
//! let received = Signed::<BlobReceipt>::from_canonical(&bytes)?;
//! let verifier = received.claimed().validator.check()?;
//! let verified = received.verify(&verifier, &context)?;
//! assert_eq!(verified.blob_len, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod batch;
pub mod bounded;
pub mod codec;
pub mod counters;
pub mod digest;
pub mod entry;
pub mod envelope;
pub mod evidence;
pub mod genesis;
pub mod governed;
pub mod handshake;
pub mod heartbeat;
pub mod ids;
pub mod keys;
pub mod lane;
pub mod limits;
pub mod link;
pub mod name;
pub mod quorum;
pub mod replay;
pub mod signing;
pub mod update;

pub use batch::{Batch, BatchItem, Request};
pub use counters::{
    Cycle, FederatedEpoch, Generation, Height, LaneSequence, LogicalTime, SequenceNumber, View,
};
pub use digest::{Digest, HashDomain};
pub use entry::LedgerEntry;
pub use ids::{FederationId, LedgerBlockId, SessionId};
pub use keys::{NodeFingerprint, PublicKey, SecretKey, Signature, VerifyingKey};
pub use lane::Lane;
pub use name::Name;
pub use signing::{Endorsed, Signed, SignedBody, SigningContext, Verified};
