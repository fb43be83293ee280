//! The format of a store's rows, and the way from older ones.
//!
//! | format | what changed |
//! |---|---|
//! | 1 | blocks, certificates, blobs and a head; the history tree was rebuilt from all headers at every start |
//! | 2 | the history tree is kept in tiles, and the head names its root: a start reads O(log n) rows |
//!
//! No release wrote format 1; the tests make it, so that the way from an older format is walked before it is needed.
//!
//! A store says its format in a row whose place and form never change. An older format is refused by `open` and
//! brought up to date by [`migrate`], in one commit: a crash leaves the old format or the new one.

use federation_proto::codec::Canonical;
use federation_proto::{FederationId, Height};
use serde::{Deserialize, Serialize};

use super::error::{Damage, DurableError};
use super::rows::Rows;
use super::stored_tree::StoredTree;
use super::{DurableLedger, HEAD, height_key, read_block};
use crate::chain::Head;
use crate::merkle::LogHash;
use crate::merkle::frontier::Frontier;
use crate::store::{Store, Table};

/// The format that this program writes.
pub const FORMAT: u32 = 2;

/// Key of the format in [`Table::Meta`].
const KEY: &[u8] = b"format";

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The format before.
    pub from: u32,
    /// The format now.
    pub to: u32,
    /// Blocks that were read and found in order.
    pub blocks: u64,
}

/// The head of format 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeadRecord1 {
    ledger_id: FederationId,
    head: Head,
}

impl Canonical for HeadRecord1 {
    const NAME: &'static str = "HeadRecord1";
    const MAX_BYTES: usize = 512;
}

/// The format of a store; `None` for an empty one.
pub(super) fn read<S: Store>(rows: &Rows<S>) -> Result<Option<u32>, DurableError> {
    let Some(bytes) = rows.get(Table::Meta, KEY)? else { return Ok(None) };
    let malformed = |_| {
        let damage = Damage::Form(format!("{} bytes for a number of 4", bytes.len()));
        DurableError::of_row(Table::Meta, KEY, damage)
    };
    let number = <[u8; 4]>::try_from(bytes.as_slice()).map_err(malformed)?;
    Ok(Some(u32::from_le_bytes(number)))
}

/// Stages the present format of a store that must be empty. One that only lost its format is not.
pub(super) fn begin<S: Store>(rows: &mut Rows<S>) -> Result<(), DurableError> {
    for table in Table::ALL {
        if !rows.keys(table, &[], &[], 1)?.is_empty() {
            return Err(DurableError::NotEmpty);
        }
    }
    stage(rows);
    Ok(())
}

fn stage<S: Store>(rows: &mut Rows<S>) {
    rows.put(Table::Meta, KEY, &FORMAT.to_le_bytes());
}

/// Whether a store has the present format.
pub(super) fn check<S: Store>(rows: &Rows<S>) -> Result<(), DurableError> {
    let current = FORMAT;
    match read(rows)? {
        None => Err(DurableError::NoLedger),
        Some(FORMAT) => Ok(()),
        Some(found) if found < FORMAT => Err(DurableError::OldFormat { found, current }),
        Some(found) => Err(DurableError::NewerFormat { found, current }),
    }
}

/// Brings the ledger of a store to the present format, and opens it. Every block is read and checked on the way.
///
/// # Errors
/// [`DurableError::NoLedger`], [`DurableError::NewerFormat`], [`DurableError::Corrupt`], or that the store fails.
/// The store is then as it was.
pub fn migrate<S: Store>(store: S) -> Result<(DurableLedger<S>, Migrated), DurableError> {
    let mut rows = Rows::new(store);
    let from = read(&rows)?.ok_or(DurableError::NoLedger)?;
    let mut blocks = 0;
    match from {
        0 => {
            return Err(DurableError::of_row(
                Table::Meta,
                KEY,
                Damage::Form("format 0".to_owned()),
            ));
        }
        1 => {
            let ledger = from_1(rows)?;
            blocks = ledger.size();
            rows = Rows::new(ledger.close());
        }
        _ => check(&rows)?,
    }
    let ledger = DurableLedger::open_any(rows.into_store())?;
    Ok((ledger, Migrated { from, to: FORMAT, blocks }))
}

fn from_1<S: Store>(mut rows: Rows<S>) -> Result<DurableLedger<S>, DurableError> {
    let damaged = |damage| DurableError::of_row(Table::Meta, HEAD, damage);
    let bytes = rows.get(Table::Meta, HEAD)?.ok_or_else(|| damaged(Damage::Missing))?;
    let record = HeadRecord1::from_canonical(&bytes)
        .map_err(|cause| damaged(Damage::Form(cause.to_string())))?;
    let mut tree = StoredTree::new(Frontier::default());
    let mut head = Head::genesis(record.ledger_id);
    while head.height < record.head.height {
        let height = head.height.next();
        let row = rows.get(Table::Blocks, &height_key(height))?;
        let row = row.ok_or_else(|| DurableError::at_block(height, Damage::Missing))?;
        let block = read_block(height, &row)?;
        head.check_follows(record.ledger_id, &block.header)
            .map_err(|cause| DurableError::at_block(height, Damage::Order(cause)))?;
        tree.append(LogHash::of_leaf(&block.header.to_canonical()), &mut rows)?;
        head = Head::after(&block.header);
    }
    if head != record.head {
        let (expected, found) = (record.head.id.to_string(), head.id.to_string());
        return Err(DurableError::at_block(
            Height::new(tree.size()),
            Damage::Hash { expected, found },
        ));
    }
    stage(&mut rows);
    let ledger_id = record.ledger_id;
    let base = Head::genesis(ledger_id);
    let mut ledger =
        DurableLedger { rows, ledger_id, base, durable: base, head, tree, restorations: 0 };
    ledger.commit()?;
    Ok(ledger)
}
