//! The durable store: one redb file.
//!
//! Every commit is synced, in two phases, with *quick repair*: redb writes its allocator state along, so a file
//! that a crash left behind opens in milliseconds instead of being walked from end to end.

use std::cell::Cell;
use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    CommitError, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageBackend,
    StorageError, TableDefinition, TableError, TransactionError, WriteTransaction,
};

use super::overlay::Overlay;
use super::pages::CheckedPages;
use super::{Changes, Store, StoreError, Table};

/// Bytes that redb may keep of pages read and written.
const CACHE_BYTES: usize = 64 << 20;

/// A ledger's rows in a redb file.
#[derive(Debug)]
pub struct RedbStore {
    database: Closing,
    read_only: bool,
    /// Reads go through a shared reference, hence the cell.
    poisoned: Cell<bool>,
}

impl RedbStore {
    /// Makes a new file.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or that the system refuses.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let file = file(path, options().write(true).create_new(true))?;
        sync_folder(path)?;
        Self::with_backend(file)
    }

    /// Opens a file for one writer.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::InUse`], [`StoreError::Damaged`], or that the system refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = file(path, options().write(true))?;
        check_not_empty(&file)?;
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
        check_not_empty(&file)?;
        Ok(Self { read_only: true, ..Self::with_backend(Overlay::new(file)?)? })
    }

    /// Opens the database on a medium of any kind, or makes one if it is empty.
    ///
    /// # Errors
    /// As [`RedbStore::open`].
    pub fn with_backend(medium: impl StorageBackend) -> Result<Self, StoreError> {
        let medium = CheckedPages::new(medium);
        let open = || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(medium);
        let database = Closing(Some(guarded(|| open().map_err(from_database))?));
        Ok(Self { database, read_only: false, poisoned: Cell::new(false) })
    }

    fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let begin = || self.database.get()?.begin_write().map_err(from_transaction);
        let mut transaction = guarded(begin)?;
        transaction.set_quick_repair(true);
        match catch(|| fill(&transaction, changes)) {
            Ok(Ok(())) => guarded(|| transaction.commit().map_err(from_commit)),
            Ok(Err(cause)) => guarded(|| {
                drop(transaction);
                Err(cause)
            }),
            Err(panic) => {
                // Ending it would take the locks that the panic poisoned, and a second panic ends the process. The
                // file stays locked until then.
                std::mem::forget(transaction);
                Err(panic)
            }
        }
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.poisoned.get() {
            return Err(StoreError::Poisoned);
        }
        let read = catch(|| work(&self.database.get()?.begin_read().map_err(from_transaction)?));
        read.unwrap_or_else(|panic| {
            self.poisoned.set(true);
            Err(panic)
        })
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
        if self.poisoned.get() {
            return Err(StoreError::Poisoned);
        }
        if self.read_only {
            return Err(StoreError::ReadOnly);
        }
        changes.check()?;
        let done = guarded(|| self.write(changes));
        self.poisoned.set(done.is_err());
        done
    }

    fn check(&mut self) -> Result<(), StoreError> {
        if self.poisoned.get() {
            return Err(StoreError::Poisoned);
        }
        let sound = guarded(|| self.database.get_mut()?.check_integrity().map_err(from_database));
        self.poisoned.set(sound != Ok(true));
        let damaged =
            || StoreError::Damaged { detail: "its pages contradict each other".to_owned() };
        if sound? { Ok(()) } else { Err(damaged()) }
    }
}

fn fill(transaction: &WriteTransaction, changes: &Changes) -> Result<(), StoreError> {
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
    Ok(())
}

/// A database that is closed under guard as it is used: closing writes, and may meet what reading met.
#[derive(Debug)]
struct Closing(Option<Database>);

impl Closing {
    /// It is there until it is closed.
    fn get(&self) -> Result<&Database, StoreError> {
        self.0.as_ref().ok_or(StoreError::Poisoned)
    }

    fn get_mut(&mut self) -> Result<&mut Database, StoreError> {
        self.0.as_mut().ok_or(StoreError::Poisoned)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let database = self.0.take();
        // Everything acknowledged is durable; what fails here is seen when it is opened again.
        let _ = catch(|| drop(database));
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
    catch(work).unwrap_or_else(Err)
}

/// What the work gives, or what to say when it panicked.
fn catch<T>(work: impl FnOnce() -> T) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let detail = "the database met a page that it never writes".to_owned();
        StoreError::Damaged { detail }
    })
}

fn file(path: &Path, options: &mut OpenOptions) -> Result<FileBackend, StoreError> {
    let file = options.open(path)?;
    locked(file.try_lock())?;
    FileBackend::new(file).map_err(from_database)
}

/// A file that was synced is there after a loss of power only if its name is.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        options().open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// redb takes an empty file for a new one. Here a file is made by `create` only, and one that has lost its content
/// is no ledger without blocks.
fn check_not_empty(file: &FileBackend) -> Result<(), StoreError> {
    if file.len()? == 0 {
        return Err(StoreError::Damaged { detail: "the file is empty".to_owned() });
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
