//! Old formats are refused, and brought up to date without a loss.
//!
//! `tests/fixtures/format1.redb` is a file of format 1, `format2.redb` one of the present format; both hold the first
//! 40 blocks of the chain and a blob. `PRISM_APPROVE_STORE=1` writes them anew, which changes the format of
//! files that exist: it needs a new number.
#![expect(clippy::disallowed_methods, reason = "fixtures are files")]

use std::fs;
use std::path::PathBuf;

use federation_proto::codec::Canonical as _;
use federation_proto::{Digest, FederatedEpoch, FederationId, Height};
use ledger::chain::Head;
use ledger::durable::{
    Damage, DurableError, DurableLedger, FORMAT, Holder, Migrated, Place, migrate,
};
use ledger::store::memory::MemoryStore;
use ledger::store::redb::RedbStore;
use ledger::store::{Changes, Store, StoreError, Table};
use serde::{Deserialize, Serialize};

use crate::fixture::{append, chain, ledger_id, stored};

const BLOCKS: u64 = 40;

/// The head of format 1, as its page describes it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head1 {
    ledger_id: FederationId,
    head: Head,
}

impl federation_proto::codec::Canonical for Head1 {
    const NAME: &'static str = "Head1";
    const MAX_BYTES: usize = 512;
}

/// A row as every format seals it.
fn sealed(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("prism1 2026-11-24 store-row");
    hasher.update(&[table as u8, key.len() as u8]).update(key).update(value);
    [&hasher.finalize().as_bytes()[..16], value].concat()
}

/// What a store of format 1 with the content of `now` held.
fn as_format_1(now: &MemoryStore) -> Changes {
    let ledger = DurableLedger::open(now.clone(), ledger_id(), None).unwrap();
    let mut changes = Changes::default();
    for (table, key, value) in now.rows().filter(|(table, ..)| *table != Table::Tiles) {
        changes.put(table, key, value.to_vec());
    }
    let head = Head1 { ledger_id: ledger_id(), head: ledger.head() }.to_canonical();
    changes.put(Table::Meta, b"head", sealed(Table::Meta, b"head", &head));
    changes.put(Table::Meta, b"format", sealed(Table::Meta, b"format", &1_u32.to_le_bytes()));
    changes
}

fn with_blob(blocks: u64) -> MemoryStore {
    let mut ledger = stored(&chain(blocks), blocks);
    ledger.put_blob(b"an update", Holder::Epoch(FederatedEpoch::new(7))).unwrap();
    ledger.commit().unwrap();
    ledger.close()
}

fn format_1(blocks: u64) -> MemoryStore {
    let mut store = MemoryStore::new();
    store.commit(&as_format_1(&with_blob(blocks))).unwrap();
    store
}

#[test]
fn format_1_is_refused_and_migrates_to_what_a_new_ledger_would_be() {
    for blocks in [0, 1, 255, 256, 257, 600] {
        let old = format_1(blocks);
        let refused = DurableLedger::open(old.clone(), ledger_id(), None).map(drop);
        assert_eq!(refused, Err(DurableError::OldFormat { found: 1, current: FORMAT }));
        let (mut ledger, migrated) = migrate(old).unwrap();
        assert_eq!(migrated, Migrated { from: 1, to: FORMAT, blocks });
        assert_eq!(ledger.verify().unwrap().blocks, blocks);
        assert_eq!(ledger.close(), with_blob(blocks), "{blocks}");
    }
}

#[test]
fn migrating_again_changes_nothing() {
    let store = with_blob(20);
    let (ledger, migrated) = migrate(store.clone()).unwrap();
    assert_eq!(migrated, Migrated { from: FORMAT, to: FORMAT, blocks: 0 });
    assert_eq!(ledger.close(), store);
}

#[test]
fn a_damaged_old_store_is_not_migrated_but_named() {
    let mut bent = format_1(20);
    let mut changes = Changes::default();
    let key = 11_u64.to_be_bytes();
    let row = bent.get(Table::Blocks, &12_u64.to_be_bytes()).unwrap().unwrap();
    changes.put(Table::Blocks, &key, sealed(Table::Blocks, &key, &row[16..]));
    bent.commit(&changes).unwrap();
    let refused = migrate(bent.clone()).map(drop);
    let named = Place::Block(Height::new(11));
    assert!(matches!(&refused, Err(DurableError::Corrupt { place, .. }) if *place == named));
    let mut gone = format_1(20);
    let mut changes = Changes::default();
    changes.remove(Table::Blocks, &key);
    gone.commit(&changes).unwrap();
    let missing = DurableError::Corrupt { place: named, damage: Damage::Missing };
    assert_eq!(migrate(gone).map(drop), Err(missing));
}

#[test]
fn other_formats_are_refused_by_number() {
    for found in [0, FORMAT + 1, u32::MAX] {
        let mut store = with_blob(3);
        let mut changes = Changes::default();
        let value = sealed(Table::Meta, b"format", &found.to_le_bytes());
        changes.put(Table::Meta, b"format", value);
        store.commit(&changes).unwrap();
        let opened = DurableLedger::open(store.clone(), ledger_id(), None).map(drop);
        let migrated = migrate(store).map(drop);
        if found == 0 {
            assert!(matches!(migrated, Err(DurableError::Corrupt { .. })), "{migrated:?}");
        } else {
            let newer = DurableError::NewerFormat { found, current: FORMAT };
            assert_eq!((opened, migrated), (Err(newer.clone()), Err(newer)));
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn write_fixtures() {
    fs::create_dir_all(fixture("")).unwrap();
    let content: Vec<(&str, Changes)> = vec![("format1.redb", as_format_1(&with_blob(BLOCKS))), {
        let mut changes = Changes::default();
        let store = with_blob(BLOCKS);
        store.rows().for_each(|(table, key, value)| changes.put(table, key, value.to_vec()));
        ("format2.redb", changes)
    }];
    for (name, changes) in content {
        let _ = fs::remove_file(fixture(name));
        RedbStore::create(&fixture(name)).unwrap().commit(&changes).unwrap();
    }
}

#[test]
fn files_of_every_format_are_read() {
    if std::env::var_os("PRISM_APPROVE_STORE").is_some() {
        assert!(std::env::var_os("CI").is_none(), "formats are not approved in CI");
        write_fixtures();
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let path = folder.path().join(name);
        fs::copy(fixture(name), &path).unwrap();
        path
    };
    let old = copy("format1.redb");
    let opened = RedbStore::open(&old).map(|store| DurableLedger::open(store, ledger_id(), None));
    let refused = DurableError::OldFormat { found: 1, current: FORMAT };
    assert_eq!(opened.unwrap().map(drop), Err(refused));
    // Read-only, a migration is refused and nothing changes.
    let before = fs::read(&old).unwrap();
    let denied = migrate(RedbStore::open_read_only(&old).unwrap()).map(drop);
    assert_eq!(denied, Err(DurableError::Store(StoreError::ReadOnly)));
    assert_eq!(fs::read(&old).unwrap(), before);
    let (migrated, _) = migrate(RedbStore::open(&old).unwrap()).unwrap();
    drop(migrated);
    for path in [old, copy("format2.redb")] {
        let store = RedbStore::open(&path).unwrap();
        let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
        assert_eq!(ledger.verify().unwrap().blocks, BLOCKS);
        assert_eq!(ledger.blob(&Digest::of_blob(b"an update")), Ok(b"an update".to_vec()));
        let longer = chain(BLOCKS + 10);
        assert_eq!(ledger.root(), Ok(longer.history().root_at(BLOCKS).unwrap()));
        append(&mut ledger, &longer, BLOCKS, BLOCKS + 10, 3);
    }
}
