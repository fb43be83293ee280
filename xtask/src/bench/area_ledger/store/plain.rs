//! redb as it comes: its own page layout, no seals, no checked pages, one phase to a commit, no quick repair.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::refused;
use crate::bench::BenchError;

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// A table of numbered rows.
pub(super) struct Plain(Database);

impl Plain {
    pub(super) fn create(path: &Path) -> Result<Self, BenchError> {
        Database::create(path).map(Self).map_err(refused)
    }

    /// Opens a file; one that was not closed is repaired on the way.
    pub(super) fn open(path: &Path) -> Result<Self, BenchError> {
        Database::open(path).map(Self).map_err(refused)
    }

    /// Makes rows durable in one commit, the first of them under `number`.
    pub(super) fn commit<R: AsRef<[u8]>>(
        &self,
        number: u64,
        rows: &[R],
        quick_repair: bool,
    ) -> Result<(), BenchError> {
        let mut transaction = self.0.begin_write().map_err(refused)?;
        transaction.set_quick_repair(quick_repair);
        {
            let mut table = transaction.open_table(TABLE).map_err(refused)?;
            for (number, row) in (number..).zip(rows) {
                table.insert(number, row.as_ref()).map_err(refused)?;
            }
        }
        transaction.commit().map_err(refused)
    }

    /// Hands out one row.
    pub(super) fn row(&self, number: u64) -> Result<Vec<u8>, BenchError> {
        let table = self.0.begin_read().map_err(refused)?.open_table(TABLE).map_err(refused)?;
        let row = table.get(number).map_err(refused)?;
        row.map(|row| row.value().to_vec()).ok_or_else(|| refused(format!("no row {number}")))
    }

    /// Hands out all rows, and says how many there were.
    pub(super) fn each_row(&self, mut take: impl FnMut(&[u8])) -> Result<u64, BenchError> {
        let table = self.0.begin_read().map_err(refused)?.open_table(TABLE).map_err(refused)?;
        let mut count = 0;
        for row in table.iter().map_err(refused)? {
            take(row.map_err(refused)?.1.value());
            count += 1;
        }
        Ok(count)
    }
}
