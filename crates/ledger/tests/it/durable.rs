//! What was committed is what is read, at any size, and equal to the ledger in memory.

use federation_proto::codec::Canonical as _;
use federation_proto::{Digest, FederationId, Height};
use ledger::chain::AppendError;
use ledger::durable::{DurableError, DurableLedger, MAX_BOOKMARK_BYTES};
use ledger::merkle::history::HistoryError;
use ledger::store::memory::MemoryStore;
use ledger::store::{Changes, Store, StoreError, Table};

use crate::fixture::{
    ORIGIN, anchor, append, certificate_of, chain, forked_chain, keys, ledger_id, note, stored,
};

#[test]
fn a_durable_ledger_is_the_ledger_in_memory() {
    let chain = chain(700);
    let mut durable = DurableLedger::create(MemoryStore::new(), ledger_id()).unwrap();
    let mut size = 0;
    // Groups of many sizes, reopened after each, over the border of two tiles.
    for group in [1, 2, 3, 250, 1, 255, 100, 88] {
        append(&mut durable, &chain, size, size + group, group as usize);
        size += group;
        durable = DurableLedger::open(durable.close(), ledger_id(), None).unwrap();
        assert_eq!(durable.size(), size);
        assert_eq!(durable.root(), Ok(chain.history().root_at(size).unwrap()));
        let head = durable.head();
        assert_eq!(head, durable.durable_head());
        assert_eq!(head.id, chain.block(Height::new(size)).unwrap().header.id());
    }
    assert_eq!(size, 700);
    for block in chain.blocks() {
        assert_eq!(durable.block(block.header.height).as_ref(), Ok(block));
    }
    for size in [1, 2, 255, 256, 257, 511, 512, 513, 699, 700] {
        assert_eq!(durable.root_at(size), Ok(chain.history().root_at(size).unwrap()));
        let consistency = durable.consistency_proof(size, 700).unwrap();
        assert_eq!(consistency, chain.history().consistency_proof(size, 700).unwrap());
        for index in [0, size / 2, size - 1] {
            let path = durable.inclusion_proof(index, size).unwrap();
            assert_eq!(path, chain.history().inclusion_proof(index, size).unwrap());
        }
    }
    let checkpoint = durable.checkpoint_at(ORIGIN, 600).unwrap();
    let item = &chain.block(Height::new(42)).unwrap().batch.items[0];
    let proof = durable.prove_entry(Height::new(42), 0, 600).unwrap();
    assert_eq!(proof, chain.prove_entry(Height::new(42), 0, 600).unwrap());
    proof.verify(item, ledger_id(), &checkpoint).unwrap();
    let found = durable.verify().unwrap();
    assert_eq!((found.blocks, found.certificates), (700, 175));
    assert_eq!(found.entries, chain.blocks().map(|b| b.batch.items.len() as u64).sum::<u64>());
}

#[test]
fn what_is_staged_is_seen_and_lost_without_a_commit() {
    let chain = chain(300);
    let mut durable = stored(&chain, 250);
    for block in chain.blocks().skip(250) {
        durable.append(block).unwrap();
    }
    assert_eq!((durable.size(), durable.durable_head().height), (300, Height::new(250)));
    assert_eq!(durable.block(Height::new(300)).unwrap(), *chain.block(Height::new(300)).unwrap());
    assert_eq!(durable.root(), Ok(chain.history().root()));
    durable.abandon().unwrap();
    assert_eq!((durable.size(), durable.head()), (250, durable.durable_head()));
    assert_eq!(durable.root(), Ok(chain.history().root_at(250).unwrap()));
    append(&mut durable, &chain, 250, 300, 7);
    assert_eq!(durable.root(), Ok(chain.history().root()));
    let mut durable = DurableLedger::open(durable.close(), ledger_id(), None).unwrap();
    assert_eq!(durable.verify().unwrap().blocks, 300);
}

#[test]
fn blocks_that_do_not_follow_are_refused_and_change_nothing() {
    let main = chain(20);
    let fork = forked_chain(20, 9);
    let mut durable = stored(&main, 10);
    let root = durable.root();
    let block = |chain: &ledger::Ledger, height| chain.block(Height::new(height)).unwrap().clone();
    assert!(matches!(
        durable.append(&block(&main, 12)),
        Err(DurableError::Append(AppendError::Height { .. }))
    ));
    assert!(matches!(
        durable.append(&block(&fork, 11)),
        Err(DurableError::Append(AppendError::Parent { .. }))
    ));
    let mut bent = block(&main, 11);
    bent.batch = block(&fork, 11).batch;
    assert!(matches!(durable.append(&bent), Err(DurableError::Append(AppendError::Block(_)))));
    let mut bare = block(&main, 11);
    bare.commit_certificate.clear();
    assert!(matches!(durable.append(&bare), Err(DurableError::Append(AppendError::Block(_)))));
    assert_eq!((durable.size(), durable.root()), (10, root));
    durable.append(&block(&main, 11)).unwrap();
    assert_eq!(durable.commit().unwrap().height, Height::new(11));
}

#[test]
fn certificates_come_later_and_never_change() {
    let chain = chain(9);
    let mut durable = stored(&chain, 9);
    let eight = Height::new(8);
    assert_eq!(durable.block(eight).unwrap().checkpoint_certificate, Some(certificate_of(8)));
    durable.attach_checkpoint(eight, &certificate_of(8)).unwrap();
    let present = DurableError::CertificatePresent { height: eight };
    assert_eq!(durable.attach_checkpoint(eight, b"other"), Err(present));
    assert!(matches!(durable.attach_checkpoint(eight, b""), Err(DurableError::Block(_))));
    durable.attach_checkpoint(Height::new(9), b"later").unwrap();
    durable.commit().unwrap();
    let durable = DurableLedger::open(durable.close(), ledger_id(), None).unwrap();
    let block = durable.block(Height::new(9)).unwrap();
    assert_eq!(block.checkpoint_certificate, Some(b"later".to_vec()));
}

#[test]
fn what_is_not_there_is_named() {
    let chain = chain(9);
    let mut durable = stored(&chain, 9);
    for height in [0, 10, u64::MAX] {
        let (height, head) = (Height::new(height), Height::new(9));
        assert_eq!(durable.block(height), Err(DurableError::NoBlock { height, head }));
        let attached = durable.attach_checkpoint(height, b"x");
        assert_eq!(attached, Err(DurableError::NoBlock { height, head }));
    }
    let beyond = HistoryError::SizeBeyondTree { requested: 10, size: 9 };
    assert_eq!(durable.root_at(10), Err(beyond.clone().into()));
    assert_eq!(durable.inclusion_proof(0, 10), Err(beyond.clone().into()));
    assert_eq!(durable.consistency_proof(1, 10), Err(beyond.into()));
    let beyond = HistoryError::IndexBeyondSize { index: 5, size: 5 };
    assert_eq!(durable.inclusion_proof(5, 5), Err(beyond.into()));
    for (old, new) in [(0, 3), (4, 3)] {
        let refused = HistoryError::SizesNotOrdered { old, new };
        assert_eq!(durable.consistency_proof(old, new), Err(refused.into()));
    }
    assert!(matches!(durable.prove_entry(Height::new(9), 9, 9), Err(DurableError::Entry(_))));
}

#[test]
fn a_store_is_created_once_and_opened_as_what_it_is() {
    let store = MemoryStore::new();
    let missing = DurableLedger::open(store.clone(), ledger_id(), None).map(drop);
    assert_eq!(missing, Err(DurableError::NoLedger));
    let ledger = DurableLedger::create(store, ledger_id()).unwrap();
    let store = ledger.close();
    let again = DurableLedger::create(store.clone(), ledger_id()).map(drop);
    assert_eq!(again, Err(DurableError::NotEmpty));
    let other = FederationId::new(Digest::of_blob(b"another"));
    let refused = DurableError::OtherLedger { expected: other, found: ledger_id() };
    assert_eq!(DurableLedger::open(store, other, None).map(drop), Err(refused));
}

#[test]
fn anchors_prove_and_are_kept() {
    let chain = chain(300);
    let mut durable = stored(&chain, 300);
    let anchor_of = |size| anchor(&chain, size);
    durable.keep_anchor(&anchor_of(100)).unwrap();
    durable.keep_anchor(&anchor_of(260)).unwrap();
    durable.commit().unwrap();
    let durable = DurableLedger::open(durable.close(), ledger_id(), None).unwrap();
    assert_eq!(durable.anchors(), Ok(vec![anchor_of(100), anchor_of(260)]));
    let made = durable
        .anchor(Height::new(30), note(&chain.checkpoint_at(ORIGIN, 280).unwrap()), None)
        .unwrap();
    let header = chain.block(Height::new(30)).unwrap().header;
    made.verify(&header.to_canonical(), ORIGIN, &keys(), 3).unwrap();
    let mut durable = durable;
    let foreign = anchor(&forked_chain(300, 50), 60);
    let refused = durable.keep_anchor(&foreign);
    assert!(matches!(refused, Err(DurableError::Contradicted { size: 60, .. })), "{refused:?}");
    let early = stored(&chain, 200).keep_anchor(&anchor_of(260));
    assert_eq!(early, Err(DurableError::RolledBack { known: 260, found: 200 }));
}

#[test]
fn an_anchor_whose_path_proves_nothing_is_not_kept() {
    let main = chain(9);
    let mut ledger = stored(&main, 9);
    let good = anchor(&main, 9);
    let mut path = good.path().to_vec();
    path[0] = ledger::LogHash::from_bytes([7; 32]);
    let bad = ledger::Anchor::new(None, good.index(), path, good.note().clone()).unwrap();
    let refused = ledger.keep_anchor(&bad);
    assert!(matches!(refused, Err(DurableError::Anchor(_))), "{refused:?}");
    ledger.keep_anchor(&good).unwrap();
}

#[test]
fn the_callers_bookmark_is_durable_with_the_blocks() {
    let chain = chain(4);
    let mut durable = stored(&chain, 3);
    assert_eq!(durable.bookmark(), Ok(None));
    durable.set_bookmark(b"safety log at 17").unwrap();
    append(&mut durable, &chain, 3, 4, 1);
    durable.set_bookmark(b"never committed").unwrap();
    let durable = DurableLedger::open(durable.close(), ledger_id(), None).unwrap();
    assert_eq!(durable.bookmark(), Ok(Some(b"safety log at 17".to_vec())));
}

#[test]
fn a_long_bookmark_is_refused_and_spoils_nothing() {
    let chain = chain(2);
    let mut durable = stored(&chain, 1);
    durable.append(chain.block(Height::new(2)).unwrap()).unwrap();
    let (length, limit) = (MAX_BOOKMARK_BYTES + 1, MAX_BOOKMARK_BYTES);
    let refused = durable.set_bookmark(&vec![0; length]);
    assert_eq!(refused, Err(StoreError::TooLarge { length, limit }.into()));
    durable.set_bookmark(&vec![0; limit]).unwrap();
    assert_eq!(durable.commit().unwrap().height, Height::new(2));
}

/// A driver may own its ledger on a thread of its own.
#[test]
fn a_ledger_can_be_sent_to_a_thread() {
    fn sent<T: Send>(_: &T) {}
    sent(&stored(&chain(1), 1));
    sent(&ledger::durable::RecordLog::create(MemoryStore::new()).unwrap());
}

#[test]
fn a_failed_commit_poisons_until_the_store_is_opened_anew() {
    let chain = chain(20);
    let mut durable = DurableLedger::create(Failing::default(), ledger_id()).unwrap();
    append(&mut durable, &chain, 0, 10, 5);
    for block in chain.blocks().skip(10) {
        durable.append(block).unwrap();
    }
    let mut store = durable.close();
    store.fail = true;
    let mut durable = DurableLedger::open(store, ledger_id(), None).unwrap();
    durable.append(chain.block(Height::new(11)).unwrap()).unwrap();
    assert_eq!(durable.commit(), Err(StoreError::Full.into()));
    let poisoned: DurableError = StoreError::Poisoned.into();
    assert_eq!(durable.commit(), Err(poisoned.clone()));
    assert_eq!(durable.append(chain.block(Height::new(12)).unwrap()), Err(poisoned.clone()));
    assert_eq!(durable.block(Height::new(1)), Err(poisoned.clone()));
    assert_eq!(durable.set_bookmark(b""), Err(poisoned.clone()));
    assert_eq!(durable.verify(), Err(poisoned.clone()));
    assert_eq!(durable.bookmark(), Err(poisoned));
    let mut store = durable.close();
    store.fail = false;
    let mut durable = DurableLedger::open(store, ledger_id(), None).unwrap();
    assert_eq!(durable.size(), 10);
    append(&mut durable, &chain, 10, 20, 3);
    assert_eq!(durable.root(), Ok(chain.history().root()));
}

/// A store that can be told to fail its commits.
#[derive(Default)]
struct Failing {
    rows: MemoryStore,
    fail: bool,
}

impl Store for Failing {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }
    fn keys(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.rows.keys(table, from, limit)
    }
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if self.fail { Err(StoreError::Full) } else { self.rows.commit(changes) }
    }
    fn check(&mut self) -> Result<(), StoreError> {
        self.rows.check()
    }
}

/// Every byte of every row, one bit flipped: what is read is what was written, or a typed error. The rows that
/// opening and verifying do not need are none.
#[test]
fn every_flipped_bit_of_every_row_is_found() {
    let chain = chain(18);
    let mut durable = stored(&chain, 18);
    durable.keep_anchor(&anchor(&chain, 16)).unwrap();
    durable.set_bookmark(b"a note").unwrap();
    let holder = ledger::durable::Holder::Anchor(Height::new(16));
    durable.put_blob(b"a state", holder).unwrap();
    durable.commit().unwrap();
    let store = durable.close();
    let rows: Vec<_> = store.rows().map(|(t, k, v)| (t, k.to_vec(), v.to_vec())).collect();
    let mut flips = 0;
    for (table, key, value) in &rows {
        for position in 0..value.len() {
            let mut bent = value.clone();
            bent[position] ^= 1 << (position % 8);
            let mut changes = Changes::default();
            changes.put(*table, key, bent);
            let mut store = store.clone();
            store.commit(&changes).unwrap();
            let found = DurableLedger::open(store, ledger_id(), None).and_then(|mut ledger| {
                ledger.bookmark()?;
                ledger.verify()
            });
            assert!(
                matches!(found, Err(DurableError::Corrupt { .. })),
                "{table:?} {key:?} {found:?}"
            );
            flips += 1;
        }
    }
    assert!(flips > 5000, "{flips}");
}

/// Rows that are missing, or another row of the same table in their place.
#[test]
fn every_missing_or_swapped_row_is_found() {
    let chain = chain(600);
    let mut durable = stored(&chain, 600);
    durable.keep_anchor(&anchor(&chain, 300)).unwrap();
    let holder = ledger::durable::Holder::Anchor(Height::new(300));
    durable.put_blob(b"a state", holder).unwrap();
    durable.commit().unwrap();
    let store = durable.close();
    let rows: Vec<_> = store.rows().map(|(t, k, v)| (t, k.to_vec(), v.to_vec())).collect();
    let mut last = None::<(Table, Vec<u8>)>;
    for (table, key, value) in &rows {
        let other = last.replace((*table, value.clone()));
        let swapped = other.filter(|(other, _)| other == table).map(|(_, value)| value);
        // A certificate that is gone cannot be told from one that never came, and an anchor likewise.
        let optional = [Table::Certificates, Table::Anchors].contains(table);
        let replacements = [(!optional).then_some(None), swapped.map(Some)];
        for replacement in replacements.into_iter().flatten() {
            let mut changes = Changes::default();
            match replacement {
                None => changes.remove(*table, key),
                Some(value) => changes.put(*table, key, value),
            }
            let mut store = store.clone();
            store.commit(&changes).unwrap();
            let found = DurableLedger::open(store, ledger_id(), None)
                .and_then(|mut ledger| ledger.verify());
            let named = matches!(found, Err(DurableError::Corrupt { .. } | DurableError::NoLedger));
            assert!(named, "{table:?} {key:?} {found:?}");
        }
    }
}

/// A tile forged with a right seal is believed only if its root is in the tile above.
#[test]
fn a_forged_tile_or_block_is_found_by_the_tree() {
    let main = chain(600);
    let fork = forked_chain(600, 3);
    let mut store = stored(&main, 600).close();
    let other = stored(&fork, 600).close();
    let row = |table, key: &[u8]| other.get(table, key).unwrap().unwrap();
    let block = 100_u64.to_be_bytes();
    let mut changes = Changes::default();
    changes.put(Table::Blocks, &block, row(Table::Blocks, &block));
    store.commit(&changes).unwrap();
    let ledger = DurableLedger::open(store.clone(), ledger_id(), None).unwrap();
    let found = ledger.block(Height::new(100)).unwrap_err().to_string();
    assert!(found.starts_with("corrupt: block 100: the hash tree has "), "{found}");
    assert!(ledger.block(Height::new(99)).is_ok());
    // The tile of that block from the same forger does not help.
    let tile = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut changes = Changes::default();
    changes.put(Table::Tiles, &tile, row(Table::Tiles, &tile));
    store.commit(&changes).unwrap();
    let ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
    let found = ledger.block(Height::new(100)).unwrap_err().to_string();
    assert!(found.starts_with("corrupt: the hashes of blocks 1 to 256: the hash tree"), "{found}");
}
