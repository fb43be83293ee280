//! Sealed rows with what is staged over them.
//!
//! Every value is stored behind 16 bytes of BLAKE3 over table, key and value, so a row that was changed, or moved
//! to another place, is found when it is read, whatever the store below notices.

use std::sync::LazyLock;

use super::error::{Damage, DurableError};
use crate::store::{Changes, Store, StoreError, Table};

/// BLAKE3 `derive_key` context of a seal.
const CONTEXT: &str = "prism1 2026-11-24 store-row";

/// Where every seal begins: with the context hashed.
static BEGUN: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));

/// Bytes of a seal.
const SEAL: usize = 16;

/// A store and the changes that the next commit will make to it.
#[derive(Debug)]
pub(super) struct Rows<S> {
    store: S,
    staged: Changes,
    /// Set when memory and store may no longer agree.
    poisoned: bool,
}

impl<S: Store> Rows<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, staged: Changes::default(), poisoned: false }
    }

    /// The value of a row as the next commit will leave it.
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DurableError> {
        let sealed = match self.staged.of(table, key) {
            Some(staged) => staged.map(<[u8]>::to_vec),
            None => self.of_store(|store| store.get(table, key)).map_err(named(table, key))?,
        };
        sealed.map(|sealed| open(table, key, sealed)).transpose()
    }

    /// At most `limit` keys of a table that begin with `prefix`, from `from` on, as the next commit will leave them.
    pub(super) fn keys(
        &self,
        table: Table,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, DurableError> {
        let staged =
            || self.staged.range(table, from).take_while(|(key, _)| key.starts_with(prefix));
        // What is staged can take away that many of the stored ones.
        let removed = staged().filter(|(_, value)| value.is_none()).count();
        let stored = self
            .of_store(|store| store.keys(table, from, limit.saturating_add(removed)))
            .map_err(named(table, from))?;
        let kept = stored
            .into_iter()
            .filter(|key| key.starts_with(prefix) && self.staged.of(table, key).is_none());
        let added = staged().filter(|(_, value)| value.is_some());
        let mut keys: Vec<Vec<u8>> = kept.chain(added.map(|(key, _)| key.to_vec())).collect();
        keys.sort_unstable();
        keys.truncate(limit);
        Ok(keys)
    }

    pub(super) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        let mut sealed = Vec::with_capacity(SEAL + value.len());
        sealed.extend_from_slice(&seal(table, key, value));
        sealed.extend_from_slice(value);
        self.staged.put(table, key, sealed);
    }

    pub(super) fn remove(&mut self, table: Table, key: &[u8]) {
        self.staged.remove(table, key);
    }

    /// Makes durable what is staged.
    pub(super) fn commit(&mut self) -> Result<(), DurableError> {
        self.check_alive()?;
        let done = self.store.commit(&self.staged);
        self.poisoned = done.is_err();
        self.staged = Changes::default();
        Ok(done?)
    }

    /// Forgets what is staged.
    pub(super) fn abandon(&mut self) {
        self.staged = Changes::default();
    }

    /// Nothing goes on before the store is opened anew: what is in memory is not what the store has.
    pub(super) fn poison(&mut self) {
        self.poisoned = true;
    }

    pub(super) fn check_store(&mut self) -> Result<(), DurableError> {
        self.check_alive()?;
        let sound = self.store.check();
        self.poisoned = sound.is_err();
        Ok(sound?)
    }

    pub(super) fn check_alive(&self) -> Result<(), DurableError> {
        if self.poisoned { Err(StoreError::Poisoned.into()) } else { Ok(()) }
    }

    pub(super) fn into_store(self) -> S {
        self.store
    }

    fn of_store<T>(
        &self,
        ask: impl FnOnce(&S) -> Result<T, StoreError>,
    ) -> Result<T, DurableError> {
        self.check_alive()?;
        Ok(ask(&self.store)?)
    }
}

/// A store that met damage knows its own pages only; here it is known which row was to be read.
fn named(table: Table, key: &[u8]) -> impl FnOnce(DurableError) -> DurableError {
    move |cause| match cause {
        DurableError::Store(StoreError::Damaged { detail }) => {
            DurableError::of_row(table, key, Damage::Medium(detail))
        }
        other => other,
    }
}

fn open(table: Table, key: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, DurableError> {
    let damaged = || DurableError::of_row(table, key, Damage::Seal);
    let Some((found, value)) = sealed.split_first_chunk::<SEAL>() else { return Err(damaged()) };
    if *found != seal(table, key, value) {
        return Err(damaged());
    }
    sealed.drain(..SEAL);
    Ok(sealed)
}

fn seal(table: Table, key: &[u8], value: &[u8]) -> [u8; SEAL] {
    let mut hasher = BEGUN.clone();
    // Keys are at most 64 bytes long, so one byte of length separates key and value.
    let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
    hasher.update(&[table as u8, length]).update(key).update(value);
    let mut seal = [0; SEAL];
    hasher.finalize_xof().fill(&mut seal);
    seal
}
