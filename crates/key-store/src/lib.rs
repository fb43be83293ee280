//! Key files on disk: created once, never overwritten, readable by their owner only.
//!
//! The *form* of a key file is [`federation_proto::keys::KeyFile`], a strict text of four lines. Here is the
//! disk: where the random bytes come from, how a file appears whole or not at all, and who may read it. Every
//! error is one line that names the file and says what to do; none shows a byte of a secret.
//!
//! ```no_run
//! use federation_proto::keys::{Identity, KeyKind};
//!
//! let path = std::path::Path::new("identity.key");
//! let created = key_store::create(path, KeyKind::Identity)?;
//! let key = key_store::load_signing::<Identity>(path)?;
//! assert_eq!(key.public().as_bytes(), created.public());
//! # Ok::<(), key_store::KeyStoreError>(())
//! ```
//!
//! Unix only. Elsewhere nothing is known about who may read a file, so every call answers
//! [`KeyStoreError::Unsupported`] instead of hoping.
#![forbid(unsafe_code)]

mod create;
mod error;
mod load;

pub use create::{create, store};
pub use error::KeyStoreError;
pub use load::{load, load_decryption, load_signing};
