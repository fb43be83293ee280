//! Local recovery: back to a checkpoint that a quorum certified, with nothing thrown away.
//!
//! A node that finds its own store contradicted by a certified checkpoint halts, restores the last anchor that its
//! store still agrees with, and catches up from its peers. The blocks after it are taken out of the ledger; since
//! they are evidence of whatever went wrong, they stay in the attic.

use federation_proto::Height;

use super::error::{Damage, DurableError};
use super::{DurableLedger, HEAD, height_key};
use crate::chain::Head;
use crate::checkpoint::VerifiedCheckpoint;
use crate::store::{Store, Table};

/// What a restoration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The head now.
    pub head: Head,
    /// How many blocks were taken out.
    pub removed: u64,
    /// Which restoration it was, from 1: the blocks are in the attic under this number.
    pub number: u64,
}

impl<S: Store> DurableLedger<S> {
    /// Goes back to a certified checkpoint that the ledger agrees with, durably and at once. Anchors of later
    /// blocks go to the attic too, certificates with their blocks; blobs stay. After an error nothing of it is
    /// staged, nor what was staged before.
    ///
    /// # Errors
    /// [`DurableError::RolledBack`] or [`DurableError::Contradicted`] when the ledger does not agree with it,
    /// [`DurableError::NotHeld`] when it lies before the first block held, or that the store fails.
    pub fn restore(&mut self, to: &VerifiedCheckpoint) -> Result<Restored, DurableError> {
        self.abandon()?;
        self.tiles().check_known(to.checkpoint())?;
        let size = to.checkpoint().size();
        let (head, tree) = (self.head_at(size)?, self.tiles().cut(size)?);
        let uncounted = || Damage::Form("there is no number for another restoration".to_owned());
        let number = self.restorations.checked_add(1);
        let number = number.ok_or_else(|| DurableError::of_row(Table::Meta, HEAD, uncounted()))?;
        let removed = self.size() - size;
        // A part of it must never be committed: the head would name blocks that are gone.
        self.take_out_after(size, number).inspect_err(|_| self.rows.abandon())?;
        self.tree = tree;
        (self.head, self.restorations) = (head, number);
        self.commit()?;
        Ok(Restored { head, removed, number })
    }

    /// The rows that restoration `number` took out: the bytes of a block, certificate or anchor as they lay in
    /// their table.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn attic(&self, number: u64) -> Result<Vec<(Table, Height, Vec<u8>)>, DurableError> {
        let prefix = number.to_be_bytes();
        let keys = self.rows.keys(Table::Attic, &prefix, &prefix, usize::MAX)?;
        let rows = keys.iter().map(|key| {
            let damaged = |damage| DurableError::of_row(Table::Attic, key, damage);
            let (table, height) = attic_place(key).ok_or_else(|| damaged(Damage::References))?;
            let bytes =
                self.rows.get(Table::Attic, key)?.ok_or_else(|| damaged(Damage::Missing))?;
            Ok((table, height, bytes))
        });
        rows.collect()
    }

    /// Stages the way to the attic for everything that comes after the first `size` blocks.
    fn take_out_after(&mut self, size: u64, number: u64) -> Result<(), DurableError> {
        for index in size..self.size() {
            let key = height_key(Height::new(index + 1));
            self.take_out(Table::Blocks, number, &key)?;
            self.take_out(Table::Certificates, number, &key)?;
        }
        for key in self.rows.keys(Table::Anchors, &[], &[], usize::MAX)? {
            match self.read_anchor(&key) {
                Ok(anchor) if anchor.claimed_checkpoint().size() <= size => {}
                Ok(_) | Err(DurableError::Corrupt { .. }) => {
                    self.take_out(Table::Anchors, number, &key)?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn take_out(&mut self, table: Table, number: u64, key: &[u8]) -> Result<(), DurableError> {
        // A row that cannot be read any more is part of what went wrong; it must not hold up recovery.
        let row = match self.rows.get(table, key) {
            Ok(row) => row,
            Err(DurableError::Corrupt { .. }) => None,
            Err(other) => return Err(other),
        };
        if let Some(row) = row {
            self.rows.put(Table::Attic, &attic_key(number, table, key), &row);
        }
        self.rows.remove(table, key);
        Ok(())
    }

    fn head_at(&self, size: u64) -> Result<Head, DurableError> {
        let known = [self.head, self.base].into_iter().find(|head| head.height.get() == size);
        let read = || self.block(Height::new(size)).map(|block| Head::after(&block.header));
        known.map_or_else(read, Ok)
    }
}

/// Number of the restoration, number of the table, key in it: a height.
fn attic_key(number: u64, table: Table, key: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[table as u8], key].concat()
}

fn attic_place(key: &[u8]) -> Option<(Table, Height)> {
    let (_, place) = key.split_first_chunk::<8>()?;
    let (number, height) = place.split_first()?;
    let table = Table::ALL.into_iter().find(|table| *table as u8 == *number)?;
    Some((table, Height::new(u64::from_be_bytes(height.try_into().ok()?))))
}
