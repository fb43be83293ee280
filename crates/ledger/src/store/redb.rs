//! The durable store: one redb file.
//!
//! Every commit is synced, in two phases, with *quick repair*: redb writes its allocator state along, so a file
//! that a crash left behind opens in milliseconds instead of being walked from end to end.

use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageBackend,
    StorageError, TableDefinition, TableError, TransactionError,
};

use super::overlay::Overlay;
use super::pages::{CheckedPages, STRIDE};
use super::{Changes, Store, StoreError, Table};

/// Bytes that redb may keep of pages read and written.
const CACHE_BYTES: usize = 64 << 20;

/// A ledger's rows in a redb file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    read_only: bool,
    poisoned: bool,
}

impl RedbStore {
    /// Makes a new file.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or that the system refuses.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Self::with_backend(file(path, options().write(true).create_new(true))?)
    }

    /// Opens a file for one writer.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::InUse`], [`StoreError::Damaged`], or that the system refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = file(path, options().write(true))?;
        check_has_page(&file)?;
        Self::with_backend(file)
    }

    /// Opens a file without changing a byte of it, even if it was not closed properly. Several readers may do so
    /// at a time.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let file = options().open(path)?;
        locked(file.try_lock_shared())?;
        let file = FileBackend::new(file).map_err(from_database)?;
        check_has_page(&file)?;
        Ok(Self { read_only: true, ..Self::with_backend(Overlay::new(file)?)? })
    }

    /// Opens the database on a medium of any kind, or makes one if it is empty.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn with_backend(medium: impl StorageBackend) -> Result<Self, StoreError> {
        let medium = CheckedPages::new(medium);
        let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(medium);
        let database = guarded(|| open().map_err(from_database))?;
        Ok(Self { database, read_only: false, poisoned: false })
    }

    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().map_err(from_transaction)?;
        transaction.set_quick_repair(true);
        for table in Table::ALL {
            let mut rows = changes.range(table, &[]).peekable();
            if rows.peek().is_none() {
                continue;
            }
            let mut open = transaction.open_table(definition(table)).map_err(from_table)?;
            for (key, value) in rows {
                match value {
                    Some(value) => open.insert(key, value).map(drop),
                    None => open.remove(key).map(drop),
                }
                .map_err(from_storage)?;
            }
        }
        transaction.commit().map_err(from_commit)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        guarded(|| work(&self.database.begin_read().map_err(from_transaction)?))
    }
}

impl Store for RedbStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|transaction| {
            let Some(rows) = opened(transaction, table)? else { return Ok(None) };
            let value = rows.get(key).map_err(from_storage)?;
            Ok(value.map(|value| value.value().to_vec()))
        })
    }

    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|transaction| {
            let Some(rows) = opened(transaction, table)? else { return Ok(Vec::new()) };
            let rest = rows.range(from..).map_err(from_storage)?;
            let keys = rest.take(limit).map(|row| row.map(|(key, _)| key.value().to_vec()));
            keys.collect::<Result<_, _>>().map_err(from_storage)
        })
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        changes.check()?;
        let done = guarded(|| self.write(changes));
        self.poisoned = done.is_err();
        done
    }

    fn check(&mut self) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let sound = guarded(|| self.database.check_integrity().map_err(from_database));
        self.poisoned = sound != Ok(true);
        let damaged =
            || StoreError::Damaged { detail: "its pages contradict each other".to_owned() };
        if sound? { Ok(()) } else { Err(damaged()) }
    }
}

type Rows = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// The table, if anything was ever written to it.
fn opened(transaction: &ReadTransaction, table: Table) -> Result<Option<Rows>, StoreError> {
    match transaction.open_table(definition(table)) {
        Ok(rows) => Ok(Some(rows)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(cause) => Err(from_table(cause)),
    }
}

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// redb asserts what no file of its own making can break. A medium can break it: then that is an error like any
/// other, and the store is not used again.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let detail = "the database met a page that it never writes".to_owned();
        Err(StoreError::Damaged { detail })
    })
}

fn file(path: &Path, options: &mut OpenOptions) -> Result<FileBackend, StoreError> {
    let file = options.open(path)?;
    locked(file.try_lock())?;
    FileBackend::new(file).map_err(from_database)
}

/// redb takes a file without a page for a new one, and writes it. Here a file is made by `create` only: one that has
/// lost its content is no ledger without blocks, and a short file of another kind is somebody's.
fn check_has_page(file: &FileBackend) -> Result<(), StoreError> {
    let length = file.len()?;
    if length < STRIDE {
        let detail = format!("{length} bytes are too few for a store");
        return Err(StoreError::Damaged { detail });
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a store is where the crate meets the disk")]
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    options
}

fn locked(attempt: Result<(), TryLockError>) -> Result<(), StoreError> {
    match attempt {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(cause)) => Err(cause.into()),
    }
}

fn from_storage(cause: StorageError) -> StoreError {
    match cause {
        StorageError::Io(cause) => cause.into(),
        StorageError::Corrupted(detail) => StoreError::Damaged { detail },
        StorageError::PreviousIo => StoreError::Poisoned,
        StorageError::ValueTooLarge(length) => {
            StoreError::TooLarge { length, limit: super::MAX_VALUE_BYTES }
        }
        other => StoreError::Io { kind: io::ErrorKind::Other, detail: other.to_string() },
    }
}

fn from_database(cause: DatabaseError) -> StoreError {
    match cause {
        DatabaseError::Storage(cause) => from_storage(cause),
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse,
        other => StoreError::Damaged { detail: other.to_string() },
    }
}

fn from_transaction(cause: TransactionError) -> StoreError {
    match cause {
        TransactionError::Storage(cause) => from_storage(cause),
        other => StoreError::Io { kind: io::ErrorKind::Other, detail: other.to_string() },
    }
}

fn from_table(cause: TableError) -> StoreError {
    match cause {
        TableError::Storage(cause) => from_storage(cause),
        // The tables have been of one type from the first format on.
        other => StoreError::Damaged { detail: other.to_string() },
    }
}

fn from_commit(cause: CommitError) -> StoreError {
    match cause {
        CommitError::Storage(cause) => from_storage(cause),
        other => StoreError::Io { kind: io::ErrorKind::Other, detail: other.to_string() },
    }
}
