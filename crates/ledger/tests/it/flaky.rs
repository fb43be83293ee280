//! A read that fails in the middle of an operation.

use std::cell::Cell;
use std::io;

use federation_proto::{FederatedEpoch, Height};
use ledger::Ledger;
use ledger::durable::{DurableError, DurableLedger, Holder, Retention};
use ledger::store::memory::MemoryStore;
use ledger::store::{Changes, Store, StoreError, Table};

use crate::fixture::{anchor, certified, chain, ledger_id, stored};

/// A store whose reads fail once, after so many.
struct Flaky {
    rows: MemoryStore,
    reads_left: Cell<u64>,
}

impl Flaky {
    fn read(&self) -> Result<(), StoreError> {
        let left = self.reads_left.get();
        self.reads_left.set(left.wrapping_sub(1));
        let (kind, detail) = (io::ErrorKind::Other, "injected".to_owned());
        if left == 0 { Err(StoreError::Io { kind, detail }) } else { Ok(()) }
    }
}

impl Store for Flaky {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read()?;
        self.rows.get(table, key)
    }
    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read()?;
        self.rows.keys(table, from, limit)
    }
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.rows.commit(changes)
    }
    fn check(&mut self) -> Result<(), StoreError> {
        self.rows.check()
    }
}

type Operation = fn(&mut DurableLedger<Flaky>, &Ledger) -> Result<(), DurableError>;

/// Whatever an operation was doing when a read failed: the next commit does not make half of it durable.
#[test]
fn a_read_that_fails_leaves_no_half_of_an_operation() {
    let operations: [(&str, Operation); 4] = [
        ("restore", |ledger, main| ledger.restore(&certified(main, 260)).map(drop)),
        ("abandon", |ledger, main| {
            ledger.append(main.block(Height::new(301)).unwrap())?;
            ledger.abandon()
        }),
        ("retain", |ledger, _| {
            let keep = Retention { epochs: 1, anchors: 1 };
            ledger.retain(FederatedEpoch::new(9), keep).map(drop)
        }),
        ("append", |ledger, main| {
            ledger.append(main.block(Height::new(301)).unwrap())?;
            ledger.attach_checkpoint(Height::new(301), b"later")?;
            ledger.put_blob(b"third", Holder::Epoch(FederatedEpoch::new(9))).map(drop)
        }),
    ];
    let main = chain(310);
    let mut ledger = stored(&main, 300);
    ledger.keep_anchor(&anchor(&main, 200)).unwrap();
    ledger.keep_anchor(&anchor(&main, 300)).unwrap();
    for (blob, holder) in [(b"first", 3), (b"other", 4)] {
        ledger.put_blob(blob, Holder::Epoch(FederatedEpoch::new(holder))).unwrap();
    }
    ledger.put_blob(b"state", Holder::Anchor(Height::new(200))).unwrap();
    ledger.commit().unwrap();
    let rows = ledger.close();
    for (name, operation) in operations {
        for read in 0.. {
            let store = Flaky { rows: rows.clone(), reads_left: Cell::new(u64::MAX) };
            let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
            let store = ledger.close();
            // The same again, with the failure in the operation: opening costs as many reads each time.
            let opening = u64::MAX - store.reads_left.get();
            let store = Flaky { rows: store.rows, reads_left: Cell::new(opening + read) };
            ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
            let done = operation(&mut ledger, &main);
            let _ = ledger.commit();
            let left = ledger.close().rows;
            let mut ledger = DurableLedger::open(left, ledger_id(), None).unwrap();
            let found = ledger.verify();
            assert!(found.is_ok(), "{name}, read {read}, {done:?}: {found:?}");
            if done.is_ok() {
                assert!(read > 0, "{name} reads nothing");
                break;
            }
            assert!((300..=301).contains(&ledger.size()), "{name}, read {read}: {done:?}");
        }
    }
}
