//! A log of records of any kind.

use ledger::durable::{DurableError, DurableLedger, MAX_RECORD_BYTES, RecordLog};
use ledger::merkle::history::{HistoryError, HistoryTree};
use ledger::store::memory::MemoryStore;
use ledger::store::{Changes, Store as _, StoreError, Table};

use crate::fixture::{ORIGIN, chain, keys, note, stored};

fn record(index: u64) -> Vec<u8> {
    format!("record {index}").repeat(1 + index as usize % 5).into()
}

fn log(size: u64) -> RecordLog<MemoryStore> {
    let mut log = RecordLog::create(MemoryStore::new()).unwrap();
    for index in 0..size {
        assert_eq!(log.append(&record(index)), Ok(index));
        if index % 7 == 0 {
            log.commit().unwrap();
        }
    }
    assert_eq!(log.commit(), Ok(size));
    log
}

#[test]
fn records_are_read_proven_and_there_again() {
    let mut tree = HistoryTree::new();
    for size in [1, 2, 255, 256, 257, 700] {
        for index in tree.size()..size {
            tree.append(&record(index));
        }
        let log = RecordLog::open(log(size).close(), None).unwrap();
        let checkpoint = log.checkpoint_at(ORIGIN, size).unwrap();
        assert_eq!(checkpoint.root(), tree.root());
        for index in [0, size / 2, size - 1] {
            assert_eq!(log.record(index), Ok(record(index)));
            let proof = log.prove(index, note(&checkpoint)).unwrap();
            proof.verify(&record(index), ORIGIN, &keys(), 3).unwrap();
            assert!(proof.verify(b"another", ORIGIN, &keys(), 3).is_err());
        }
        let beyond = HistoryError::SizeBeyondTree { requested: size + 1, size };
        assert_eq!(log.record(size), Err(beyond.into()));
        assert!(matches!(log.prove(size, note(&checkpoint)), Err(DurableError::Anchor(_))));
    }
}

#[test]
fn an_older_copy_and_another_log_are_refused() {
    let known = log(300).checkpoint_at(ORIGIN, 300).unwrap();
    let open = |store| RecordLog::open(store, Some(&known)).map(drop);
    assert_eq!(open(log(300).close()), Ok(()));
    assert_eq!(open(log(301).close()), Ok(()));
    assert_eq!(open(log(299).close()), Err(DurableError::RolledBack { known: 300, found: 299 }));
    let mut other = RecordLog::create(MemoryStore::new()).unwrap();
    for _ in 0..300 {
        other.append(b"other").unwrap();
    }
    other.commit().unwrap();
    assert!(matches!(open(other.close()), Err(DurableError::Contradicted { size: 300, .. })));
}

#[test]
fn a_log_of_records_is_no_ledger_of_blocks_and_the_other_way_round() {
    let blocks = stored(&chain(3), 3).close();
    assert_eq!(RecordLog::open(blocks.clone(), None).map(drop), Err(DurableError::NoLedger));
    assert_eq!(RecordLog::create(blocks).map(drop), Err(DurableError::NotEmpty));
    let opened = DurableLedger::open_any(log(3).close()).map(drop);
    assert_eq!(opened, Err(DurableError::NoLedger));
    assert_eq!(RecordLog::open(MemoryStore::new(), None).map(drop), Err(DurableError::NoLedger));
}

#[test]
fn a_changed_record_is_named_and_a_long_one_refused() {
    let mut store = log(20).close();
    let key = 7_u64.to_be_bytes();
    let mut bent = store.get(Table::Blocks, &key).unwrap().unwrap();
    *bent.last_mut().unwrap() ^= 1;
    let mut changes = Changes::default();
    changes.put(Table::Blocks, &key, bent);
    store.commit(&changes).unwrap();
    let mut log = RecordLog::open(store, None).unwrap();
    let found = log.record(6).unwrap_err().to_string();
    assert_eq!(found, "corrupt: block 7: its bytes are not those that were written");
    assert_eq!(log.record(7), Ok(record(7)));
    let (length, limit) = (MAX_RECORD_BYTES + 1, MAX_RECORD_BYTES);
    let refused = StoreError::TooLarge { length, limit };
    assert_eq!(log.append(&vec![0; length]), Err(refused.into()));
    assert_eq!(log.append(&vec![0; limit]), Ok(20));
    assert_eq!(log.commit(), Ok(21));
}
