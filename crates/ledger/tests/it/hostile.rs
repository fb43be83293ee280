//! Stores that somebody wrote who can make seals: giant numbers, forged heads, rows that lost their company.

use federation_proto::codec::Canonical;
use federation_proto::{FederatedEpoch, FederationId, Height};
use ledger::chain::Head;
use ledger::durable::{DurableError, DurableLedger, Place, RecordLog};
use ledger::merkle::LogHash;
use ledger::merkle::subtrees::{self, Subtrees};
use ledger::store::memory::MemoryStore;
use ledger::store::{Changes, Store as _, Table};
use serde::{Deserialize, Serialize};

use crate::fixture::{anchor, append, certified, chain, ledger_id, stored};

fn sealed(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("prism1 2026-11-24 store-row");
    hasher.update(&[table as u8, key.len() as u8]).update(key).update(value);
    [&hasher.finalize().as_bytes()[..16], value].concat()
}

type Row<'a> = (Table, &'a [u8], Option<&'a [u8]>);

fn with(store: &MemoryStore, rows: &[Row<'_>]) -> MemoryStore {
    let mut changes = Changes::default();
    for (table, key, value) in rows {
        match value {
            Some(value) => changes.put(*table, key, sealed(*table, key, value)),
            None => changes.remove(*table, key),
        }
    }
    let mut store = store.clone();
    store.commit(&changes).unwrap();
    store
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HeadRow {
    ledger_id: FederationId,
    head: Head,
    root: LogHash,
    base: Head,
    base_nodes: Vec<LogHash>,
    restorations: u64,
}

impl Canonical for HeadRow {
    const NAME: &'static str = "HeadRow";
    const MAX_BYTES: usize = 4 << 10;
}

fn with_head(store: &MemoryStore, change: impl FnOnce(&mut HeadRow)) -> MemoryStore {
    let row = store.get(Table::Meta, b"head").unwrap().unwrap();
    let mut head = HeadRow::from_canonical(&row[16..]).unwrap();
    change(&mut head);
    with(store, &[(Table::Meta, b"head", Some(&head.to_canonical()))])
}

/// The largest tree there can be, all of whose tiles have zeros.
struct Zeros;

impl Subtrees for Zeros {
    type Error = std::convert::Infallible;
    fn subtree(&self, level: u32, _: u64) -> Result<LogHash, Self::Error> {
        let zero = LogHash::from_bytes([0; 32]);
        Ok((0..level % 8).fold(zero, |hash, _| LogHash::of_node(&hash, &hash)))
    }
}

fn tiles_of_zeros(store: &MemoryStore) -> MemoryStore {
    let keys: Vec<[u8; 9]> = (0..8).map(|level| [level, 0, 0, 0, 0, 0, 0, 0, 0]).collect();
    let mut store = store.clone();
    for (level, mut key) in (0_u32..).zip(keys) {
        let number = (u64::MAX >> (8 * level)) / 256;
        key[1..].copy_from_slice(&number.to_be_bytes());
        store = with(&store, &[(Table::Tiles, &key, Some(&[0; 32 * 255]))]);
    }
    store
}

#[test]
fn a_log_as_long_as_there_can_be_takes_no_more() {
    #[derive(Serialize, Deserialize)]
    struct Row {
        size: u64,
        root: LogHash,
    }
    impl Canonical for Row {
        const NAME: &'static str = "Row";
        const MAX_BYTES: usize = 64;
    }
    let store = RecordLog::create(MemoryStore::new()).unwrap().close();
    let root = subtrees::root(&Zeros, u64::MAX).unwrap();
    let row = Row { size: u64::MAX, root }.to_canonical();
    let store = with(&tiles_of_zeros(&store), &[(Table::Meta, b"records", Some(&row))]);
    let mut log = RecordLog::open(store, None).unwrap();
    assert_eq!(log.size(), u64::MAX);
    assert!(log.append(b"one too many").is_err());
    assert_eq!(log.size(), u64::MAX);
    assert!(log.record(0).is_err());
    assert!(log.record(u64::MAX).is_err());
}

#[test]
fn a_head_of_giant_numbers_is_no_reason_to_panic() {
    let main = chain(3);
    let store = tiles_of_zeros(&stored(&main, 3).close());
    let giant = with_head(&store, |row| {
        row.head.height = Height::new(u64::MAX);
        row.base = row.head;
        row.base_nodes = vec![LogHash::from_bytes([0; 32]); 64];
    });
    let refused = DurableLedger::open(giant, ledger_id(), None).map(drop);
    assert!(matches!(refused, Err(DurableError::Corrupt { .. })), "{refused:?}");

    let main = chain(9);
    let store = with_head(&stored(&main, 9).close(), |row| row.restorations = u64::MAX);
    let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
    let refused = ledger.restore(&certified(&main, 5));
    assert!(matches!(refused, Err(DurableError::Corrupt { .. })), "{refused:?}");
    assert_eq!(ledger.size(), 9);
}

#[test]
fn a_store_that_lost_its_format_is_not_taken_for_an_empty_one() {
    let store = with(&stored(&chain(20), 20).close(), &[(Table::Meta, b"format", None)]);
    let refused = DurableLedger::create(store.clone(), ledger_id()).map(drop);
    assert_eq!(refused, Err(DurableError::NotEmpty));
    assert_eq!(RecordLog::create(store).map(drop), Err(DurableError::NotEmpty));
}

/// Whoever can make seals cannot give the ledger another head than its last block.
#[test]
fn a_head_that_is_not_the_last_block_is_found_when_it_is_opened() {
    let main = chain(9);
    let store = stored(&main, 9).close();
    let other = Head::after(&main.block(Height::new(8)).unwrap().header);
    let forged = [
        with_head(&store, |row| row.head.id = other.id),
        with_head(&store, |row| row.head.sequence = other.sequence),
        with_head(&store, |row| row.head.epoch = FederatedEpoch::new(77)),
    ];
    for store in forged {
        let opened = DurableLedger::open(store, ledger_id(), None).map(drop);
        assert!(matches!(opened, Err(DurableError::Corrupt { .. })), "{opened:?}");
    }
    let empty = DurableLedger::create(MemoryStore::new(), ledger_id()).unwrap().close();
    let store = with_head(&empty, |row| (row.head.id, row.base.id) = (other.id, other.id));
    let opened = DurableLedger::open(store, ledger_id(), None).map(drop);
    assert!(matches!(opened, Err(DurableError::Corrupt { .. })), "{opened:?}");
}

/// Recovery is for stores in which something is wrong.
#[test]
fn an_anchor_that_cannot_be_read_holds_up_no_restoration() {
    let main = chain(40);
    let mut ledger = stored(&main, 40);
    ledger.keep_anchor(&anchor(&main, 30)).unwrap();
    ledger.commit().unwrap();
    let key = 30_u64.to_be_bytes();
    let store = with(&ledger.close(), &[(Table::Anchors, &key, Some(b"not an anchor"))]);
    let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
    assert_eq!(ledger.restore(&certified(&main, 20)).unwrap().removed, 20);
    assert_eq!(ledger.anchors(), Ok(vec![]));
    append(&mut ledger, &main, 20, 40, 4);
    assert_eq!(ledger.verify().unwrap().blocks, 40);
}

/// Every row that a ledger can have, one bit flipped.
#[test]
fn verifying_reads_the_attic_and_the_bookmark_too() {
    let main = chain(12);
    let mut ledger = stored(&main, 12);
    ledger.set_bookmark(b"a mark").unwrap();
    ledger.restore(&certified(&main, 8)).unwrap();
    ledger.set_bookmark(b"a mark").unwrap();
    ledger.commit().unwrap();
    let store = ledger.close();
    let rows: Vec<_> = store.rows().map(|(t, k, v)| (t, k.to_vec(), v.to_vec())).collect();
    assert!(rows.iter().any(|(table, ..)| *table == Table::Attic));
    for (table, key, mut value) in rows {
        *value.last_mut().unwrap() ^= 1;
        let mut changes = Changes::default();
        changes.put(table, &key, value);
        let mut bent = store.clone();
        bent.commit(&changes).unwrap();
        let found = DurableLedger::open(bent, ledger_id(), None).and_then(|mut l| l.verify());
        assert!(matches!(found, Err(DurableError::Corrupt { .. })), "{table:?} {key:?} {found:?}");
    }
    let stray = (Table::Certificates, &9_u64.to_be_bytes()[..], Some(&b"of no block"[..]));
    let store = with(&store, &[stray]);
    let found = DurableLedger::open(store, ledger_id(), None).unwrap().verify();
    let named = Place::Certificate(Height::new(9));
    assert!(
        matches!(&found, Err(DurableError::Corrupt { place, .. }) if *place == named),
        "{found:?}"
    );
}
