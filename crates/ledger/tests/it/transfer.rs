//! The canonical export is the ledger, and the ledger the export.

use std::collections::BTreeMap;

use federation_proto::{FederatedEpoch, Height};
use ledger::BlockFile;
use ledger::chain::AppendError;
use ledger::durable::{DurableError, DurableLedger, Holder, Imported};
use ledger::export::{ExportError, encode_block};
use ledger::store::memory::MemoryStore;

use crate::fixture::{chain, forked_chain, ledger_id, stored};

/// Why a file of an import was refused.
fn why(refused: Result<Imported, DurableError>) -> DurableError {
    match refused {
        Err(DurableError::File { cause, .. }) => *cause,
        other => panic!("no file was refused: {other:?}"),
    }
}

const HOLDER: Holder = Holder::Epoch(FederatedEpoch::new(1));

type Files = BTreeMap<String, Vec<u8>>;

fn exported(ledger: &DurableLedger<MemoryStore>) -> Files {
    let mut files = Files::new();
    ledger
        .export(|path, bytes| {
            files.insert(path.to_owned(), bytes.to_vec());
            Ok::<_, DurableError>(())
        })
        .unwrap();
    files
}

fn source(blocks: u64) -> DurableLedger<MemoryStore> {
    let mut ledger = stored(&chain(blocks), blocks);
    ledger.put_blob(b"one", HOLDER).unwrap();
    ledger.put_blob(b"two", HOLDER).unwrap();
    ledger.commit().unwrap();
    ledger
}

fn empty() -> DurableLedger<MemoryStore> {
    DurableLedger::create(MemoryStore::new(), ledger_id()).unwrap()
}

#[test]
fn an_export_reads_back_as_the_same_ledger() {
    let ledger = source(600);
    let files = exported(&ledger);
    assert_eq!(files.len(), 602);
    let block = chain(600).block(Height::new(42)).unwrap().clone();
    assert_eq!(files["ledger/blocks/00000042.blk"], encode_block(&block).unwrap());
    let mut copy = empty();
    // In any order.
    let reversed = files.clone().into_iter().rev();
    assert_eq!(copy.import(reversed, HOLDER), Ok(Imported { blocks: 600, blobs: 2 }));
    assert_eq!(copy.verify().unwrap().blobs, 2);
    assert_eq!(exported(&copy), files);
    assert_eq!(copy.close(), ledger.close());
}

#[test]
fn an_import_goes_on_where_the_ledger_is_and_refuses_another_history() {
    let files = exported(&source(20));
    let mut ledger = stored(&chain(20), 12);
    assert_eq!(ledger.import(files.clone(), HOLDER).unwrap().blocks, 8);
    assert_eq!(ledger.import(files.clone(), HOLDER).unwrap().blocks, 0);
    let mut fork = stored(&forked_chain(20, 5), 12);
    let other = DurableError::OtherBlock { height: Height::new(6) };
    let refused = fork.import(files, HOLDER);
    let named = "ledger/blocks/00000006.blk: block 6 is another one here";
    assert_eq!(refused.clone().unwrap_err().to_string(), named);
    assert_eq!(why(refused), other);
}

#[test]
fn what_is_no_export_is_refused_by_name() {
    let files = exported(&source(9));
    let with = |name: &str, bytes: &[u8]| {
        let mut files = files.clone();
        files.insert(name.to_owned(), bytes.to_vec());
        empty().import(files, HOLDER)
    };
    for name in ["ledger/blocks/00000010", "ledger/blobs/x", "README.md", "../x", ""] {
        let refused = ExportError::Name { found: name.to_owned() };
        assert_eq!(why(with(name, b"")), refused.into());
    }
    let named = "ledger/blocks/00000005.blk";
    let bytes = &files["ledger/blocks/00000006.blk"];
    assert!(matches!(
        why(with(named, bytes)),
        DurableError::Export(ExportError::HeightMismatch { .. })
    ));
    assert!(matches!(why(with(named, b"x")), DurableError::Export(ExportError::Codec(_))));
    let blob = files.keys().find(|path| path.contains("blobs")).unwrap();
    assert!(matches!(
        why(with(blob, b"x")),
        DurableError::Export(ExportError::BlobMismatch { .. })
    ));
    let mut gap = files.clone();
    gap.remove(named);
    let mut ledger = empty();
    let refused = ledger.import(gap, HOLDER);
    let cause = why(refused);
    assert!(matches!(cause, DurableError::Append(AppendError::Height { .. })), "{cause:?}");
    // What came before it is not left staged.
    assert_eq!((ledger.size(), ledger.durable_head().height), (0, Height::ZERO));
}

#[test]
fn an_import_brings_the_certificates_that_held_blocks_lack() {
    let files = exported(&source(20));
    let mut ledger = empty();
    for block in chain(20).blocks() {
        let checkpoint_certificate = None;
        ledger.append(&BlockFile { checkpoint_certificate, ..block.clone() }).unwrap();
    }
    ledger.commit().unwrap();
    assert_eq!(ledger.verify().unwrap().certificates, 0);
    assert_eq!(ledger.import(files.clone(), HOLDER), Ok(Imported { blocks: 0, blobs: 2 }));
    assert_eq!(exported(&ledger), files);
}

#[test]
fn a_ledger_that_began_at_an_anchor_takes_what_comes_after_it() {
    let files = exported(&source(20));
    let chain = chain(20);
    let header = chain.block(Height::new(7)).unwrap().header;
    let frontier = chain.history().frontier_at(7).unwrap();
    let mut ledger = DurableLedger::create_at(MemoryStore::new(), &header, frontier).unwrap();
    assert_eq!(ledger.import(files, HOLDER), Ok(Imported { blocks: 13, blobs: 2 }));
    assert_eq!(ledger.root(), Ok(chain.history().root()));
}

#[test]
fn a_writer_that_fails_stops_the_export() {
    let mut left = 3;
    let done = source(9).export(|_, _| {
        left -= 1;
        if left == 0 { Err(DurableError::NotEmpty) } else { Ok(()) }
    });
    assert_eq!((done, left), (Err(DurableError::NotEmpty), 0));
}
