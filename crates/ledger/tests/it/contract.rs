//! The stores keep the laws, and the suite sees every broken one.

use ledger::store::contract::{Law, Medium, check_all};
use ledger::store::memory::MemoryStore;
use ledger::store::redb::RedbStore;
use ledger::store::{Changes, Store, StoreError, Table};

struct Folder(tempfile::TempDir);

impl Medium for Folder {
    type Store = RedbStore;

    fn open(&mut self) -> Result<RedbStore, StoreError> {
        let path = self.0.path().join("store");
        if path.exists() { RedbStore::open(&path) } else { RedbStore::create(&path) }
    }
}

#[test]
fn redb_keeps_the_laws() {
    check_all(|| Folder(tempfile::tempdir().unwrap())).unwrap();
}

/// A memory store with one defect.
#[derive(Clone, Default)]
struct Defective {
    rows: MemoryStore,
    defect: Defect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Defect {
    #[default]
    None,
    IgnoresRemovals,
    KeepsTheFirstValue,
    MixesTables,
    LosesEmptyValues,
    LosesTheLastCommit,
    ReversesKeys,
    SkipsTheFirstKey,
    IgnoresTheLimit,
    CommitsUpToTheRefusal,
    TakesAnything,
    FailsEmptyCommits,
}

impl Store for Defective {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.rows.get(self.table(table), key)?;
        Ok(value.filter(|value| self.defect != Defect::LosesEmptyValues || !value.is_empty()))
    }

    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let table = self.table(table);
        match self.defect {
            Defect::ReversesKeys => {
                let mut keys = self.rows.keys(table, from, limit)?;
                keys.reverse();
                Ok(keys)
            }
            Defect::SkipsTheFirstKey => {
                let keys = self.rows.keys(table, from, limit.saturating_add(1))?;
                Ok(keys.into_iter().filter(|key| key != from).take(limit).collect())
            }
            Defect::IgnoresTheLimit => self.rows.keys(table, from, usize::MAX),
            _ => self.rows.keys(table, from, limit),
        }
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.defect == Defect::FailsEmptyCommits && changes.is_empty() {
            return Err(StoreError::Poisoned);
        }
        let checked = changes.check();
        if self.defect != Defect::TakesAnything && self.defect != Defect::CommitsUpToTheRefusal {
            checked.clone()?;
        }
        let mut made = Changes::default();
        for (table, key, value) in changes.iter() {
            let table = self.table(table);
            let kept = self.rows.get(table, key)?.is_some();
            match (self.defect, value) {
                (Defect::IgnoresRemovals, None) => {}
                (Defect::KeepsTheFirstValue, Some(_)) if kept => {}
                (Defect::CommitsUpToTheRefusal, Some(value)) if value.len() > 1 << 24 => {}
                (_, Some(value)) if key.len() <= 64 => made.put(table, key, value.to_vec()),
                (_, None) => made.remove(table, key),
                _ => {}
            }
        }
        if self.defect == Defect::TakesAnything && checked.is_err() {
            return Ok(());
        }
        self.rows.commit(&made)?;
        checked
    }

    fn check(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Defective {
    fn table(&self, table: Table) -> Table {
        if self.defect == Defect::MixesTables { Table::Meta } else { table }
    }
}

/// Keeps the last store; the defect of losing a commit is the medium's.
#[derive(Default)]
struct Shelf(Defective, Option<Defective>);

impl Medium for Shelf {
    type Store = Defective;

    fn open(&mut self) -> Result<Defective, StoreError> {
        Ok(self.0.clone())
    }

    fn close(&mut self, store: Defective) {
        let lost = store.defect == Defect::LosesTheLastCommit;
        let last = self.1.replace(store.clone());
        self.0 = if lost {
            last.unwrap_or(Defective { rows: MemoryStore::new(), ..store })
        } else {
            store
        };
    }
}

#[test]
fn the_suite_sees_every_defect() {
    let defects = [
        (Defect::IgnoresRemovals, Law::Exact),
        (Defect::KeepsTheFirstValue, Law::Exact),
        (Defect::MixesTables, Law::TablesApart),
        (Defect::LosesEmptyValues, Law::Exact),
        (Defect::LosesTheLastCommit, Law::Durable),
        (Defect::ReversesKeys, Law::Ordered),
        (Defect::SkipsTheFirstKey, Law::Ordered),
        (Defect::IgnoresTheLimit, Law::Ordered),
        (Defect::CommitsUpToTheRefusal, Law::Atomic),
        (Defect::TakesAnything, Law::Atomic),
        (Defect::FailsEmptyCommits, Law::Able),
    ];
    let run = |defect| check_all(|| Shelf(Defective { rows: MemoryStore::new(), defect }, None));
    run(Defect::None).unwrap();
    for (defect, law) in defects {
        let breach = run(defect).expect_err(&format!("{defect:?}"));
        assert_eq!(breach.law, law, "{defect:?}: {breach}");
    }
}
