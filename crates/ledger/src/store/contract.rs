//! The [laws of a store](super) as a test suite for whoever implements one.
//!
//! An implementer gives a way to open the same store again and again, as after a crash. [`check_all`] runs every
//! law on a fresh medium and returns the first [`Breach`]; it never panics.
//!
//! ```
//! use ledger::store::contract::{Medium, check_all};
//! use ledger::store::memory::MemoryStore;
//! use ledger::store::{Store, StoreError};
//!
//! /// Keeps what the last store held, as a disk would.
//! #[derive(Default)]
//! struct Shelf(MemoryStore);
//!
//! impl Medium for Shelf {
//!     type Store = MemoryStore;
//!     fn open(&mut self) -> Result<MemoryStore, StoreError> {
//!         Ok(self.0.clone())
//!     }
//!     fn close(&mut self, store: MemoryStore) {
//!         self.0 = store;
//!     }
//! }
//! check_all(Shelf::default)?;
//! # Ok::<(), ledger::store::contract::Breach>(())
//! ```
//!
//! What it cannot check: that a commit survives the loss of power, and what a full or failing medium does. Those
//! need a medium that fails on purpose, as the tests of the redb store have one.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Changes, MAX_KEY_BYTES, MAX_VALUE_BYTES, Store, StoreError, Table};

/// What holds the rows while no store is open.
pub trait Medium {
    /// The store under test.
    type Store: Store;

    /// Opens the store, empty the first time.
    ///
    /// # Errors
    /// It cannot be opened, which is a breach.
    fn open(&mut self) -> Result<Self::Store, StoreError>;

    /// Takes the store back, without another word to it.
    fn close(&mut self, store: Self::Store) {
        drop(store);
    }
}

/// A broken law, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{law}: {detail}")]
pub struct Breach {
    /// Which law.
    pub law: Law,
    /// What was found.
    pub detail: String,
}

/// The laws that are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Law {
    /// A key has the value that was written last.
    #[error("exact")]
    Exact,
    /// Tables do not see each other's rows.
    #[error("tables apart")]
    TablesApart,
    /// Keys come in the order of their bytes, from where and as many as asked for.
    #[error("ordered")]
    Ordered,
    /// What was acknowledged is there when the store is opened again.
    #[error("durable")]
    Durable,
    /// A refused commit changes nothing.
    #[error("atomic")]
    Atomic,
    /// Nothing that was asked for may fail.
    #[error("able")]
    Able,
}

/// Checks every law, each on a medium of its own.
///
/// # Errors
/// The first [`Breach`].
pub fn check_all<M: Medium>(mut fresh: impl FnMut() -> M) -> Result<(), Breach> {
    let laws = [exact, tables_apart, ordered, refused_changes_nothing, as_the_model];
    laws.iter().try_for_each(|law| law(&mut fresh()))
}

fn exact<M: Medium>(medium: &mut M) -> Result<(), Breach> {
    let mut store = able(medium.open())?;
    let mut changes = Changes::default();
    let long = vec![7; 1 << 20];
    changes.put(Table::Blocks, b"", b"empty key".to_vec());
    changes.put(Table::Blocks, b"a", Vec::new());
    changes.put(Table::Blocks, &[255; MAX_KEY_BYTES], long.clone());
    able(store.commit(&changes))?;
    expect(Law::Exact, &store, Table::Blocks, b"", Some(b"empty key"))?;
    expect(Law::Exact, &store, Table::Blocks, b"a", Some(b""))?;
    expect(Law::Exact, &store, Table::Blocks, &[255; MAX_KEY_BYTES], Some(&long))?;
    expect(Law::Exact, &store, Table::Blocks, b"b", None)?;
    let mut changes = Changes::default();
    changes.put(Table::Blocks, b"a", b"second".to_vec());
    changes.remove(Table::Blocks, b"");
    changes.remove(Table::Blocks, b"never there");
    able(store.commit(&changes))?;
    expect(Law::Exact, &store, Table::Blocks, b"a", Some(b"second"))?;
    expect(Law::Exact, &store, Table::Blocks, b"", None)?;
    medium.close(store);
    let mut store = able(medium.open())?;
    expect(Law::Durable, &store, Table::Blocks, b"a", Some(b"second"))?;
    expect(Law::Durable, &store, Table::Blocks, b"", None)?;
    able(store.check())
}

fn tables_apart<M: Medium>(medium: &mut M) -> Result<(), Breach> {
    let mut store = able(medium.open())?;
    let mut changes = Changes::default();
    for table in Table::ALL {
        changes.put(table, b"key", table.name().into());
    }
    able(store.commit(&changes))?;
    for table in Table::ALL {
        expect(Law::TablesApart, &store, table, b"key", Some(table.name().as_bytes()))?;
        let keys = able(store.keys(table, b"", 9))?;
        same(Law::TablesApart, &keys, &vec![b"key".to_vec()])?;
    }
    Ok(())
}

fn ordered<M: Medium>(medium: &mut M) -> Result<(), Breach> {
    let mut store = able(medium.open())?;
    same(Law::Ordered, &able(store.keys(Table::Tiles, b"", 9))?, &Vec::new())?;
    let mut changes = Changes::default();
    for key in [&[2, 0][..], &[1, 255], &[1], &[2], &[255, 255], &[0]] {
        changes.put(Table::Tiles, key, Vec::new());
    }
    able(store.commit(&changes))?;
    let all = able(store.keys(Table::Tiles, b"", 9))?;
    let sorted: Vec<Vec<u8>> =
        [&[0][..], &[1], &[1, 255], &[2], &[2, 0], &[255, 255]].map(<[u8]>::to_vec).into();
    same(Law::Ordered, &all, &sorted)?;
    for from in [&[1, 0][..], &[1, 255]] {
        let some = able(store.keys(Table::Tiles, from, 2))?;
        same(Law::Ordered, &some, &vec![vec![1, 255], vec![2]])?;
    }
    same(Law::Ordered, &able(store.keys(Table::Tiles, &[255, 255, 0], 9))?, &Vec::new())?;
    same(Law::Ordered, &able(store.keys(Table::Tiles, b"", 0))?, &Vec::new())
}

fn refused_changes_nothing<M: Medium>(medium: &mut M) -> Result<(), Breach> {
    let mut store = able(medium.open())?;
    for (key, length) in [(vec![0; MAX_KEY_BYTES + 1], 0), (vec![0], MAX_VALUE_BYTES + 1)] {
        let mut changes = Changes::default();
        changes.put(Table::Blobs, b"first", Vec::new());
        changes.put(Table::Blobs, &key, vec![0; length]);
        let done = store.commit(&changes);
        if !matches!(done, Err(StoreError::TooLarge { .. })) {
            return Err(breach(Law::Atomic, format!("too large a row: {done:?}")));
        }
        expect(Law::Atomic, &store, Table::Blobs, b"first", None)?;
    }
    // It is not poisoned by it.
    able(store.commit(&Changes::default()))
}

/// Many small commits, reopened in between, beside a model. The choices come from a fixed sequence.
fn as_the_model<M: Medium>(medium: &mut M) -> Result<(), Breach> {
    let mut model: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    let mut draw = 1_u64;
    let mut next = move |bound: u64| {
        // A linear congruential generator [Knuth, TAOCP 2, §3.3.4].
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) % bound
    };
    for _ in 0..20 {
        let mut store = able(medium.open())?;
        for _ in 0..5 {
            let mut changes = Changes::default();
            for _ in 0..next(12) {
                let table = if next(2) == 0 { Table::Blocks } else { Table::Meta };
                let key = vec![next(8) as u8; next(3) as usize];
                if next(3) == 0 {
                    changes.remove(table, &key);
                    model.remove(&(table, key));
                } else {
                    let value = vec![next(256) as u8; next(5000) as usize];
                    changes.put(table, &key, value.clone());
                    model.insert((table, key), value);
                }
            }
            able(store.commit(&changes))?;
        }
        for table in [Table::Blocks, Table::Meta] {
            let rows = model.iter().filter(|((other, _), _)| *other == table);
            let keys: Vec<Vec<u8>> = rows.clone().map(|((_, key), _)| key.clone()).collect();
            same(Law::Durable, &able(store.keys(table, b"", 1000))?, &keys)?;
            for ((_, key), value) in rows {
                expect(Law::Durable, &store, table, key, Some(value))?;
            }
        }
        medium.close(store);
    }
    Ok(())
}

fn expect<S: Store>(
    law: Law,
    store: &S,
    table: Table,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), Breach> {
    let found = able(store.get(table, key))?;
    if found.as_deref() == value {
        return Ok(());
    }
    let length = |value: Option<&[u8]>| value.map(<[u8]>::len);
    let (wanted, found) = (length(value), length(found.as_deref()));
    let detail =
        format!("{} {key:?}: length {found:?}, or other bytes, for {wanted:?}", table.name());
    Err(breach(law, detail))
}

fn same<T: PartialEq + std::fmt::Debug>(law: Law, found: &T, wanted: &T) -> Result<(), Breach> {
    if found == wanted { Ok(()) } else { Err(breach(law, format!("{found:?} for {wanted:?}"))) }
}

fn able<T>(done: Result<T, StoreError>) -> Result<T, Breach> {
    done.map_err(|cause| breach(Law::Able, cause.to_string()))
}

const fn breach(law: Law, detail: String) -> Breach {
    Breach { law, detail }
}
