//! Stores: where a durable ledger keeps its rows.
//!
//! A [`Store`] is a small thing on purpose: tables of rows, read one at a time and changed by whole commits.
//! What makes rows a ledger, checks every read and survives a crash stands above it, in
//! [`DurableLedger`](crate::durable::DurableLedger), once for all stores.
//!
//! # The laws of a store
//!
//! - **Atomic**: of a commit that was not acknowledged, a reopened store has all or nothing.
//! - **Durable**: what was acknowledged survives a crash.
//! - **Exact**: a key has the value that was written last, and keys come in the order of their bytes.
//! - **Poisoned**: after a failed commit nothing is known about the medium. Every later call fails with
//!   [`StoreError::Poisoned`] until the store is opened anew; no retry may pretend that a failed sync succeeded.
//! - **Alone**: one writer at a time, or readers.
//!
//! The module `store::contract` (feature `conformance`) checks them on any implementation.

#[cfg(any(test, feature = "conformance"))]
pub mod contract;
pub mod memory;
#[cfg(feature = "redb")]
mod overlay;
#[cfg(feature = "redb")]
mod pages;
#[cfg(feature = "redb")]
pub mod redb;

use std::collections::BTreeMap;
use std::io;

use thiserror::Error;

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 64;

/// Longest value in bytes: the largest block, and room for its seal.
pub const MAX_VALUE_BYTES: usize = (32 << 20) + 64;

/// The tables of a ledger. Numbers and names are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// The head, the format, and small values with a name.
    Meta = 0,
    /// Blocks by height.
    Blocks = 1,
    /// Checkpoint certificates by height.
    Certificates = 2,
    /// Hashes of the history tree, by level and number of the tile.
    Tiles = 3,
    /// Blobs by digest.
    Blobs = 4,
    /// Who holds a blob, by digest and holder.
    References = 5,
    /// The same, by holder and digest.
    Holdings = 6,
    /// Anchor files by the height they prove.
    Anchors = 7,
    /// Blocks that a restoration took out, by the number of the restoration and height.
    Attic = 8,
}

impl Table {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Meta,
        Self::Blocks,
        Self::Certificates,
        Self::Tiles,
        Self::Blobs,
        Self::References,
        Self::Holdings,
        Self::Anchors,
        Self::Attic,
    ];

    /// Its name in a database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Blocks => "blocks",
            Self::Certificates => "certificates",
            Self::Tiles => "tiles",
            Self::Blobs => "blobs",
            Self::References => "references",
            Self::Holdings => "holdings",
            Self::Anchors => "anchors",
            Self::Attic => "attic",
        }
    }
}

/// What one commit changes: a row has a new value, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>);

impl Changes {
    /// Gives a row a value.
    pub fn put(&mut self, table: Table, key: &[u8], value: Vec<u8>) {
        self.0.insert((table, key.to_vec()), Some(value));
    }

    /// Takes a row away, if it is there.
    pub fn remove(&mut self, table: Table, key: &[u8]) {
        self.0.insert((table, key.to_vec()), None);
    }

    /// What becomes of a row: `None` where nothing changes, `Some(None)` where it goes.
    #[must_use]
    pub fn of(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.get(&(table, key.to_vec())).map(Option::as_deref)
    }

    /// The changes in the order of tables and keys.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        self.0.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_deref()))
    }

    /// The changes of one table from a key on.
    pub fn range(&self, table: Table, from: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let rest = self.0.range((table, from.to_vec())..);
        rest.take_while(move |((other, _), _)| *other == table)
            .map(|((_, key), value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every key and value is within the limits of a store.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub fn check(&self) -> Result<(), StoreError> {
        let too_large = |length, limit| Err(StoreError::TooLarge { length, limit });
        for (_, key, value) in self.iter() {
            let length = value.map_or(0, <[u8]>::len);
            if key.len() > MAX_KEY_BYTES {
                return too_large(key.len(), MAX_KEY_BYTES);
            }
            if length > MAX_VALUE_BYTES {
                return too_large(length, MAX_VALUE_BYTES);
            }
        }
        Ok(())
    }
}

/// Tables of rows; see the [laws](self).
pub trait Store {
    /// The value of a row, if it is there.
    ///
    /// # Errors
    /// Any variant of [`StoreError`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` keys of a table, from `from` on, in the order of their bytes.
    ///
    /// # Errors
    /// Any variant of [`StoreError`].
    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Makes all changes, or none. They are durable when this returns `Ok`.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] and [`StoreError::ReadOnly`] change nothing; after any other one the store is
    /// poisoned.
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError>;

    /// Checks everything about itself that the store can check, however long it takes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or that it could not be read.
    fn check(&mut self) -> Result<(), StoreError>;
}

/// Why a store cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Another writer, or a reader in the way of a writer, has it open.
    #[error("the store is in use")]
    InUse,
    /// There is no store.
    #[error("there is no store")]
    Missing,
    /// A store is made once; there is something already.
    #[error("there is a file already")]
    Exists,
    /// It was opened for reading.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// The medium is full. Nothing was changed that a reopened store would show.
    #[error("the medium is full")]
    Full,
    /// An earlier commit failed; only opening the store anew tells what it holds.
    #[error("an earlier commit failed, the store must be opened anew")]
    Poisoned,
    /// What was read is not what was written.
    #[error("the store is damaged: {detail}")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// A key or value beyond the limits.
    #[error("a key or value has {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The system says no.
    #[error("{detail}")]
    Io {
        /// What kind of refusal.
        kind: io::ErrorKind,
        /// In its words.
        detail: String,
    },
}

impl From<io::Error> for StoreError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Damaged { detail: cause.to_string() }
            }
            kind => Self::Io { kind, detail: cause.to_string() },
        }
    }
}
