//! The redb store on a real disk: one writer, readers that change nothing, what is wrong with a path.

#![expect(clippy::disallowed_methods, reason = "this is about files and processes")]

use std::fs;
use std::process::Command;

use ledger::durable::{DurableError, DurableLedger};
use ledger::store::redb::RedbStore;
use ledger::store::{Changes, Store as _, StoreError, Table};

use crate::fixture::{append, chain, ledger_id};

#[test]
fn a_ledger_on_disk_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let chain = chain(600);
    let mut ledger = DurableLedger::create(RedbStore::create(&path).unwrap(), ledger_id()).unwrap();
    append(&mut ledger, &chain, 0, 300, 50);
    drop(ledger);
    let mut ledger =
        DurableLedger::open(RedbStore::open(&path).unwrap(), ledger_id(), None).unwrap();
    append(&mut ledger, &chain, 300, 600, 50);
    assert_eq!(ledger.root(), Ok(chain.history().root()));
    assert_eq!(ledger.verify().unwrap().blocks, 600);
}

#[test]
fn one_writer_or_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let writer = RedbStore::create(&path).unwrap();
    let (second, reader) = (RedbStore::open(&path), RedbStore::open_read_only(&path));
    assert_eq!(
        (second.map(drop), reader.map(drop)),
        (Err(StoreError::InUse), Err(StoreError::InUse))
    );
    drop(writer);
    let readers = (RedbStore::open_read_only(&path), RedbStore::open_read_only(&path));
    assert!(matches!(readers, (Ok(_), Ok(_))));
    assert_eq!(RedbStore::open(&path).map(drop), Err(StoreError::InUse));
    drop(readers);
    RedbStore::open(&path).unwrap();
}

/// The lock holds between processes: this test starts itself again as the second one.
#[test]
fn a_second_process_is_refused() {
    const PATH: &str = "PRISM_TEST_SECOND_PROCESS";
    if let Ok(path) = std::env::var(PATH) {
        assert_eq!(RedbStore::open(path.as_ref()).map(drop), Err(StoreError::InUse));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let writer = RedbStore::create(&path).unwrap();
    let second = |refused: bool| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stores::a_second_process_is_refused"])
            .env(PATH, &path)
            .output()
            .unwrap();
        assert_eq!(status.status.success(), refused, "{}", String::from_utf8_lossy(&status.stdout));
    };
    second(true);
    drop(writer);
    // Without the writer nothing refuses it: the test above can fail.
    second(false);
}

#[test]
fn reading_changes_no_byte_even_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let chain = chain(40);
    let mut ledger = DurableLedger::create(RedbStore::create(&path).unwrap(), ledger_id()).unwrap();
    append(&mut ledger, &chain, 0, 40, 10);
    // A copy of a store that is open is what a crash leaves.
    let crashed = folder.path().join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    drop(ledger);
    for path in [path, crashed] {
        let before = fs::read(&path).unwrap();
        let store = RedbStore::open_read_only(&path).unwrap();
        let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
        assert_eq!(ledger.verify().unwrap().blocks, 40);
        ledger.set_bookmark(b"x").unwrap();
        assert_eq!(ledger.commit(), Err(DurableError::Store(StoreError::ReadOnly)));
        drop(ledger);
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_wrong_path_is_refused_by_name_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    assert_eq!(RedbStore::open(&path).map(drop), Err(StoreError::Missing));
    assert_eq!(RedbStore::open_read_only(&path).map(drop), Err(StoreError::Missing));
    assert!(!path.exists());
    let inside = path.join("deeper");
    assert_eq!(RedbStore::create(&inside).map(drop), Err(StoreError::Missing));
    fs::write(&path, b"").unwrap();
    assert_eq!(RedbStore::create(&path).map(drop), Err(StoreError::Exists));
    let empty = RedbStore::open(&path).map(drop);
    assert!(matches!(empty, Err(StoreError::Damaged { .. })), "{empty:?}");
    // redb would take a file shorter than its header for a new one, and write it.
    for length in [1, 511, 4095, 4607] {
        fs::write(&path, vec![b'x'; length]).unwrap();
        let opened = [RedbStore::open(&path), RedbStore::open_read_only(&path)];
        for opened in opened.map(|opened| opened.map(drop)) {
            assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{length}: {opened:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), vec![b'x'; length]);
    }
    fs::write(&path, vec![b'x'; 100_000]).unwrap();
    for opened in [RedbStore::open(&path), RedbStore::open_read_only(&path)] {
        assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{opened:?}");
    }
    let opened = RedbStore::open(folder.path()).map(drop);
    assert!(matches!(opened, Err(StoreError::Io { .. })), "{opened:?}");
}

/// The medium's own bytes: no flip anywhere in the file gives another answer than before.
#[test]
fn no_flipped_bit_of_the_file_changes_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let chain = chain(6);
    let mut ledger = DurableLedger::create(RedbStore::create(&path).unwrap(), ledger_id()).unwrap();
    append(&mut ledger, &chain, 0, 6, 2);
    drop(ledger);
    let good = fs::read(&path).unwrap();
    let bent_path = folder.path().join("bent.redb");
    let used = good.len() - good.iter().rev().take_while(|byte| **byte == 0).count();
    let (mut refused, mut unharmed) = (0, 0);
    for position in (0..used).step_by(211).chain(0..320) {
        let mut bent = good.clone();
        bent[position] ^= 1 << (position % 8);
        fs::write(&bent_path, &bent).unwrap();
        let read = RedbStore::open(&bent_path).map_err(DurableError::from).and_then(|store| {
            let mut ledger = DurableLedger::open(store, ledger_id(), None)?;
            let found = ledger.verify()?;
            let blocks = (1..=found.blocks).map(|h| ledger.block(federation_proto::Height::new(h)));
            blocks.collect::<Result<Vec<_>, _>>()
        });
        match read {
            Ok(blocks) => {
                assert!(blocks.iter().eq(chain.blocks()), "byte {position}: other blocks");
                unharmed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100 && unharmed > 10, "{refused} refused, {unharmed} unharmed");
}

#[test]
fn the_store_is_poisoned_by_nothing_that_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut store = RedbStore::create(&path).unwrap();
    let mut changes = Changes::default();
    changes.put(Table::Meta, &[0; 65], Vec::new());
    assert_eq!(store.commit(&changes), Err(StoreError::TooLarge { length: 65, limit: 64 }));
    store.commit(&Changes::default()).unwrap();
    store.check().unwrap();
}

/// A file that was cut to less than a page has lost its content: it is no new store.
#[test]
fn a_file_of_less_than_a_page_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut ledger = DurableLedger::create(RedbStore::create(&path).unwrap(), ledger_id()).unwrap();
    append(&mut ledger, &chain(3), 0, 3, 1);
    drop(ledger);
    let whole = fs::read(&path).unwrap();
    for length in [1, 100, 512, 4096, 4607] {
        fs::write(&path, &whole[..length]).unwrap();
        for opened in [RedbStore::open_read_only(&path), RedbStore::open(&path)] {
            assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{length}: {opened:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), whole[..length]);
    }
}

/// A page that the medium changed is named by the block that lies on it.
#[test]
fn a_bad_page_names_what_was_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let chain = chain(200);
    let mut ledger = DurableLedger::create(RedbStore::create(&path).unwrap(), ledger_id()).unwrap();
    append(&mut ledger, &chain, 0, 200, 50);
    drop(ledger);
    let good = fs::read(&path).unwrap();
    let bent_path = folder.path().join("bent.redb");
    let mut named = 0;
    for page in 1..good.len() / 4608 {
        let mut bent = good.clone();
        bent[4608 * page + 1000] ^= 1;
        fs::write(&bent_path, &bent).unwrap();
        let Ok(store) = RedbStore::open(&bent_path) else { continue };
        let Ok(ledger) = DurableLedger::open(store, ledger_id(), None) else { continue };
        let heights = (1..=200).map(federation_proto::Height::new);
        let first = heights.map(|height| ledger.block(height)).find_map(Result::err);
        if let Some(found) = first {
            assert!(matches!(found, DurableError::Corrupt { .. }), "page {page}: {found:?}");
            named += 1;
        }
    }
    assert!(named > 3, "{named}");
}
