//! A store in memory: for tests and simulations, and what the others are compared with.

use std::collections::BTreeMap;

use super::{Changes, Store, StoreError, Table};

/// Rows that live as long as the value. A clone is a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStore(BTreeMap<(Table, Vec<u8>), Vec<u8>>);

impl MemoryStore {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All rows in the order of tables and keys.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], &[u8])> {
        self.0.iter().map(|((table, key), value)| (*table, key.as_slice(), value.as_slice()))
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&(table, key.to_vec())).cloned())
    }

    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let rest = self.0.range((table, from.to_vec())..);
        let keys = rest.take_while(|((other, _), _)| *other == table).map(|((_, key), _)| key);
        Ok(keys.take(limit).cloned().collect())
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        changes.check()?;
        for (table, key, value) in changes.iter() {
            let row = (table, key.to_vec());
            match value {
                Some(value) => self.0.insert(row, value.to_vec()),
                None => self.0.remove(&row),
            };
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
