//! Known checkpoints, restorations, and the attic.

use federation_proto::Height;
use ledger::durable::{DurableError, DurableLedger, Restored};
use ledger::store::Table;
use ledger::store::memory::MemoryStore;

use crate::fixture::{anchor, append, certified, chain, forked_chain, ledger_id, stored};

#[test]
fn a_ledger_shorter_than_its_anchor_is_rolled_back() {
    let chain = chain(40);
    let known = anchor(&chain, 30);
    let open = |size| {
        let store = stored(&chain, size).close();
        DurableLedger::open(store, ledger_id(), Some(known.claimed_checkpoint())).map(drop)
    };
    assert_eq!(open(29), Err(DurableError::RolledBack { known: 30, found: 29 }));
    assert_eq!(open(30), Ok(()));
    assert_eq!(open(40), Ok(()));
}

#[test]
fn a_ledger_of_another_history_is_contradicted() {
    let (main, fork) = (chain(40), forked_chain(40, 20));
    let known = anchor(&main, 30);
    let store = stored(&fork, 40).close();
    let refused =
        DurableLedger::open(store, ledger_id(), Some(known.claimed_checkpoint())).map(drop);
    let own = fork.history().root_at(30).unwrap();
    let known = main.history().root_at(30).unwrap();
    assert_eq!(refused, Err(DurableError::Contradicted { size: 30, own, known }));
}

#[test]
fn restoring_goes_back_keeps_everything_and_goes_on() {
    let (main, fork) = (chain(900), forked_chain(900, 300));
    let mut ledger = stored(&fork, 600);
    ledger.keep_anchor(&anchor(&fork, 200)).unwrap();
    ledger.keep_anchor(&anchor(&fork, 400)).unwrap();
    ledger.commit().unwrap();
    // Staged blocks are no obstacle.
    ledger.append(fork.block(Height::new(601)).unwrap()).unwrap();
    let contradicted = ledger.restore(&certified(&main, 512));
    assert!(matches!(contradicted, Err(DurableError::Contradicted { size: 512, .. })));
    let beyond = ledger.restore(&certified(&main, 800));
    assert_eq!(beyond, Err(DurableError::RolledBack { known: 800, found: 600 }));
    let restored = ledger.restore(&certified(&main, 300)).unwrap();
    let head = ledger.head();
    assert_eq!(restored, Restored { head, removed: 300, number: 1 });
    assert_eq!(head.height, Height::new(300));
    let mut ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
    assert_eq!(ledger.root(), Ok(main.history().root_at(300).unwrap()));
    assert_eq!(ledger.anchors(), Ok(vec![anchor(&fork, 200)]));
    append(&mut ledger, &main, 300, 900, 100);
    assert_eq!(ledger.root(), Ok(main.history().root()));
    assert_eq!(ledger.verify().unwrap().blocks, 900);
    // What was taken out is all there.
    let attic = ledger.attic(1).unwrap();
    let count = |wanted| attic.iter().filter(|(table, ..)| *table == wanted).count();
    assert_eq!((count(Table::Blocks), count(Table::Anchors)), (300, 1));
    assert_eq!(count(Table::Certificates), 75);
    let (_, height, bytes) = &attic[0];
    let block = ledger::export::decode_block(*height, bytes).unwrap();
    assert_eq!(block.header, fork.block(Height::new(301)).unwrap().header);
    // A second one does not overwrite the first.
    assert_eq!(ledger.restore(&certified(&main, 850)).unwrap().number, 2);
    assert_eq!(ledger.attic(1).unwrap().len(), 376);
    assert_eq!(ledger.attic(2).unwrap().iter().filter(|(t, ..)| *t == Table::Blocks).count(), 50);
}

#[test]
fn restoring_to_the_head_or_the_base_takes_what_is_after() {
    let main = chain(64);
    let mut ledger = stored(&main, 64);
    assert_eq!(ledger.restore(&certified(&main, 64)).unwrap().removed, 0);
    assert_eq!(ledger.restore(&certified(&main, 1)).unwrap().removed, 63);
    append(&mut ledger, &main, 1, 64, 9);
    assert_eq!(ledger.root(), Ok(main.history().root()));
    assert_eq!(ledger.verify().unwrap().blocks, 64);
}

#[test]
fn a_ledger_that_began_at_an_anchor_goes_back_to_it_and_not_before() {
    let main = chain(300);
    let header = main.block(Height::new(100)).unwrap().header;
    let frontier = main.history().frontier_at(100).unwrap();
    let mut ledger = DurableLedger::create_at(MemoryStore::new(), &header, frontier).unwrap();
    append(&mut ledger, &main, 100, 300, 50);
    let before = ledger.restore(&certified(&main, 99));
    assert!(matches!(before, Err(DurableError::NotHeld { base: 100, .. })), "{before:?}");
    assert_eq!(ledger.restore(&certified(&main, 260)).unwrap().removed, 40);
    assert_eq!(ledger.restore(&certified(&main, 100)).unwrap().removed, 160);
    let mut ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
    assert_eq!(ledger.size(), 100);
    append(&mut ledger, &main, 100, 300, 7);
    assert_eq!(ledger.root(), Ok(main.history().root()));
    assert_eq!(ledger.verify().unwrap().blocks, 200);
}
