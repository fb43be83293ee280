//! Names and bytes of the export: one form each.

use federation_proto::entry::EpochOpened;
use federation_proto::{
    Batch, BatchItem, FederatedEpoch, FederationId, Generation, LedgerEntry, LogicalTime,
    SequenceNumber,
};

use super::*;
use crate::chain::{Execution, Ledger};

fn block() -> BlockFile {
    let digest = Digest::of_blob(b"x");
    let entry = EpochOpened {
        federated_epoch: FederatedEpoch::new(1),
        generation: Generation::ZERO,
        base_state_hash: digest,
        config_digest: digest,
        policy_hash: digest,
    };
    let items = vec![BatchItem::Derived(LedgerEntry::EpochOpened(entry))];
    let batch = Batch { batch_time: LogicalTime::new(5), items };
    let execution = Execution {
        sequence: SequenceNumber::new(1),
        config_digest: digest,
        epoch: FederatedEpoch::new(1),
        state_root_after: digest,
    };
    let header = Ledger::new(FederationId::new(digest)).next_header(&batch, &execution).unwrap();
    let (commit_certificate, checkpoint_certificate) = (vec![1, 2, 3], Some(vec![4]));
    BlockFile { header, batch, commit_certificate, checkpoint_certificate }
}

#[test]
fn names_have_one_form() {
    assert_eq!(block_path(Height::new(1)).unwrap(), "ledger/blocks/00000001.blk");
    assert_eq!(parse_block_path("ledger/blocks/00000042.blk"), Some(Height::new(42)));
    assert_eq!(parse_block_path("ledger/blocks/99999999.blk"), Some(MAX_EXPORT_HEIGHT));
    for wrong in ["00000000", "1", "000000001", "100000000", "+0000001", "0000001a"] {
        assert_eq!(parse_block_path(&format!("ledger/blocks/{wrong}.blk")), None, "{wrong}");
    }
    assert_eq!(parse_block_path("ledger/blocks/00000001"), None);
    assert_eq!(parse_block_path("/ledger/blocks/00000001.blk"), None);
    for found in [Height::ZERO, MAX_EXPORT_HEIGHT.next()] {
        assert_eq!(block_path(found), Err(ExportError::Height { found }));
    }
    let digest = Digest::of_blob(b"");
    let path = "ledger/blobs/af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(blob_path(&digest), path);
    assert_eq!(parse_blob_path(path), Some(digest));
    assert_eq!(parse_blob_path(&path.replace("af13", "AF13")), None);
    assert_eq!(parse_blob_path(&path.replace("af13", "../a")), None);
}

#[test]
fn blocks_read_back_and_second_forms_are_refused() {
    let block = block();
    let height = block.header.height;
    let bytes = encode_block(&block).unwrap();
    assert_eq!(decode_block(height, &bytes), Ok(block));
    let named = height.next();
    let mismatch = ExportError::HeightMismatch { named, found: height };
    assert_eq!(decode_block(named, &bytes), Err(mismatch));
    let trailing = [&bytes[..], &[0]].concat();
    let refused = CodecError::TrailingBytes { what: "BlockFile", count: 1 };
    assert_eq!(decode_block(height, &trailing), Err(refused.into()));
    assert!(bytes.starts_with(&[1]), "the version is the first byte");
    let overlong = [&[0x81, 0x00], &bytes[1..]].concat();
    let refused = CodecError::NotCanonical { what: "BlockFile" };
    assert_eq!(decode_block(height, &overlong), Err(refused.into()));
    let length = BlockFile::MAX_BYTES + 1;
    let refused = CodecError::TooLarge { what: "BlockFile", length, limit: BlockFile::MAX_BYTES };
    assert_eq!(decode_block(height, &vec![1; length]), Err(refused.into()));
}

#[test]
fn every_changed_byte_is_refused_or_changes_a_certificate_or_the_id() {
    let block = block();
    let bytes = encode_block(&block).unwrap();
    for position in 0..bytes.len() {
        for flip in [0x01, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            let Ok(read) = decode_block(block.header.height, &changed) else {
                continue;
            };
            assert_eq!(read.to_canonical(), changed);
            let other_certificate = read.commit_certificate != block.commit_certificate
                || read.checkpoint_certificate != block.checkpoint_certificate;
            assert!(other_certificate || read.header.id() != block.header.id(), "byte {position}");
        }
    }
}

#[test]
fn a_block_that_contradicts_itself_is_neither_written_nor_read() {
    let mut block = block();
    block.batch.batch_time = block.batch.batch_time.plus_millis(1);
    let (header, batch) = (block.header.batch_time, block.batch.batch_time);
    let refused = ExportError::Block(BlockError::BatchTime { header, batch });
    assert_eq!(encode_block(&block), Err(refused.clone()));
    assert_eq!(decode_block(block.header.height, &block.to_canonical()), Err(refused));
}

#[test]
fn a_blob_is_what_its_name_says() {
    let named = Digest::of_blob(b"blob");
    assert_eq!(check_blob(&named, b"blob"), Ok(()));
    let found = Digest::of_blob(b"blub");
    assert_eq!(check_blob(&named, b"blub"), Err(ExportError::BlobMismatch { named, found }));
}
