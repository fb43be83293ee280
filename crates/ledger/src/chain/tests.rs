//! The chain: what follows, what does not, and what is proven from it.

use federation_proto::entry::EpochOpened;
use federation_proto::keys::{LogCheckpoint, SecretKey};
use federation_proto::{BatchItem, Generation, LedgerEntry};
use proptest::prelude::*;

use super::*;
use crate::block::BlockError;
use crate::checkpoint::VerifiedCheckpoint;
use crate::merkle::LogHash;
use crate::merkle::block_tree::BlockTreeError;
use crate::merkle::history::HistoryError;
use crate::merkle::verify::ProofError;
use crate::note::NoteSigner;

const ORIGIN: &str = "example.org/ledger";

pub(crate) fn federation(name: &str) -> FederationId {
    FederationId::new(Digest::of_blob(name.as_bytes()))
}

fn item(epoch: u64) -> BatchItem {
    BatchItem::Derived(LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: FederatedEpoch::new(epoch),
        generation: Generation::ZERO,
        base_state_hash: Digest::of_blob(b"base"),
        config_digest: Digest::of_blob(b"config"),
        policy_hash: Digest::of_blob(b"policy"),
    }))
}

/// A batch of `count` distinct items at `time`.
pub(crate) fn batch(time: u64, count: u64) -> Batch {
    let items = (0..count).map(|i| item(time * 1000 + i)).collect();
    Batch { batch_time: LogicalTime::new(time), items }
}

pub(crate) fn execution(sequence: u64) -> Execution {
    Execution {
        sequence: SequenceNumber::new(sequence),
        config_digest: Digest::of_blob(b"config"),
        epoch: FederatedEpoch::new(1),
        state_root_after: Digest::of_blob(&sequence.to_le_bytes()),
    }
}

/// A ledger of `blocks` blocks; block h has h entries, sequence 2h and time 10h.
fn ledger(blocks: u64) -> Ledger {
    let mut ledger = Ledger::new(federation("test"));
    for h in 1..=blocks {
        let batch = batch(10 * h, h);
        let header = ledger.next_header(&batch, &execution(2 * h)).unwrap();
        ledger.append(header, batch, vec![7; 3]).unwrap();
    }
    ledger
}

fn signed(checkpoint: &Checkpoint) -> (Note, Vec<crate::NoteKey<LogCheckpoint>>) {
    let signer = |owner| NoteSigner::new(ORIGIN, SecretKey::synthetic("chain", owner)).unwrap();
    let signers = ["a", "b", "c"].map(signer);
    let text = checkpoint.to_text();
    let lines = signers.iter().map(|signer| signer.sign(&text).unwrap()).collect();
    let keys = signers.iter().map(|signer| signer.verifier().unwrap()).collect();
    (Note::new(text, lines).unwrap(), keys)
}

#[test]
fn block_ids_are_pinned() {
    // A golden value over header layout, codec and hash domain: changing it changes every ledger.
    let header = BlockHeader {
        version: BLOCK_VERSION,
        ledger_id: federation("golden"),
        height: Height::new(1),
        sequence: SequenceNumber::new(2),
        parent: LedgerBlockId::new(Digest::from_bytes([3; 32])),
        config_digest: Digest::from_bytes([4; 32]),
        epoch: FederatedEpoch::new(5),
        entries_count: 6,
        entries_root: Digest::from_bytes([7; 32]),
        batch_digest: Digest::from_bytes([8; 32]),
        batch_time: LogicalTime::new(9),
        state_root_after: Digest::from_bytes([10; 32]),
    };
    assert_eq!(header.to_canonical().len(), 6 + 6 * 32);
    let id = "55f64c4ef44515df9d471d204f911550623d023ede5e7a9e7a4378f63a97ba88";
    assert_eq!(header.id().to_string(), id);
}

#[test]
fn blocks_are_chained_and_found() {
    let ledger = ledger(5);
    let mut parent = LedgerBlockId::new(federation("test").digest());
    for (block, h) in ledger.blocks().zip(1..) {
        let id = block.header.id();
        assert_eq!((block.header.height, block.header.parent), (Height::new(h), parent));
        assert_eq!(ledger.height_of(&id), Some(Height::new(h)));
        assert_eq!(ledger.block(Height::new(h)), Some(block));
        parent = id;
    }
    assert_eq!(ledger.head().id, parent);
    assert_eq!(ledger.history().size(), 5);
    assert_eq!(ledger.block(Height::ZERO), None);
    assert_eq!(ledger.block(Height::new(6)), None);
    assert_eq!(ledger.height_of(&LedgerBlockId::new(Digest::ZERO)), None);
}

#[test]
fn what_does_not_follow_is_refused_and_changes_nothing() {
    let mut ledger = ledger(2);
    let batch = batch(30, 2);
    let good = ledger.next_header(&batch, &execution(6)).unwrap();
    let head = ledger.head();
    let mut refused = |change: fn(&mut BlockHeader)| {
        let mut header = good;
        change(&mut header);
        let error = ledger.append(header, batch.clone(), vec![1]).unwrap_err();
        assert_eq!(ledger.head(), head);
        error
    };
    let (expected, found) = (federation("test"), federation("other"));
    assert_eq!(
        refused(|h| h.ledger_id = federation("other")),
        AppendError::LedgerId { expected, found }
    );
    let height = |found| AppendError::Height { head: Height::new(2), found: Height::new(found) };
    assert_eq!(refused(|h| h.height = Height::new(2)), height(2));
    assert_eq!(refused(|h| h.height = Height::new(4)), height(4));
    let parent = AppendError::Parent { head: head.id, found: LedgerBlockId::new(Digest::ZERO) };
    assert_eq!(refused(|h| h.parent = LedgerBlockId::new(Digest::ZERO)), parent);
    let sequence = SequenceNumber::new(4);
    let same = AppendError::Sequence { head: sequence, found: sequence };
    assert_eq!(refused(|h| h.sequence = SequenceNumber::new(4)), same);
    let time = LogicalTime::new(20);
    let same = AppendError::BatchTime { head: time, found: time };
    assert_eq!(refused(|h| h.batch_time = LogicalTime::new(20)), same);
    let (before, now) = (FederatedEpoch::ZERO, FederatedEpoch::new(1));
    let fell = AppendError::Epoch { head: now, found: before };
    assert_eq!(refused(|h| h.epoch = FederatedEpoch::ZERO), fell);
    assert_eq!(refused(|h| h.version = 2), BlockError::Version { found: 2 }.into());
    let count = BlockError::EntriesCount { header: 3, batch: 2 };
    assert_eq!(refused(|h| h.entries_count = 3), count.into());
    let root = BlockError::EntriesRoot { header: Digest::ZERO, batch: good.entries_root };
    assert_eq!(refused(|h| h.entries_root = Digest::ZERO), root.into());
    let digest = BlockError::BatchDigest { header: Digest::ZERO, batch: good.batch_digest };
    assert_eq!(refused(|h| h.batch_digest = Digest::ZERO), digest.into());
    let (header, time) = (LogicalTime::new(31), LogicalTime::new(30));
    let other = BlockError::BatchTime { header, batch: time };
    assert_eq!(refused(|h| h.batch_time = LogicalTime::new(31)), other.into());
    // The voted digest covers sequence and configuration.
    let moved = refused(|h| h.sequence = SequenceNumber::new(7));
    assert!(matches!(moved, AppendError::Block(BlockError::BatchDigest { .. })));
    let moved = refused(|h| h.config_digest = Digest::ZERO);
    assert!(matches!(moved, AppendError::Block(BlockError::BatchDigest { .. })));
}

#[test]
fn empty_batches_and_missing_certificates_are_refused() {
    let mut ledger = ledger(1);
    let refused = ledger.next_header(&batch(30, 0), &execution(6));
    assert_eq!(refused, Err(BlockError::EmptyBatch.into()));
    let batch = batch(30, 1);
    let header = ledger.next_header(&batch, &execution(6)).unwrap();
    let limit = crate::block::MAX_CERTIFICATE_BYTES;
    for length in [0, limit + 1] {
        let refused = BlockError::CertificateLength { length, limit };
        let result = ledger.append(header, batch.clone(), vec![0; length]);
        assert_eq!(result, Err(refused.clone().into()));
        let result = ledger.attach_checkpoint(Height::new(1), vec![0; length]);
        assert_eq!(result, Err(refused.into()));
    }
    assert!(ledger.append(header, batch, vec![0; limit]).is_ok());
}

#[test]
fn a_checkpoint_certificate_is_attached_once() {
    let mut ledger = ledger(2);
    let (one, three) = (Height::new(1), Height::new(3));
    assert_eq!(ledger.attach_checkpoint(one, vec![1]), Ok(()));
    let present = LedgerError::CheckpointPresent { height: one };
    assert_eq!(ledger.attach_checkpoint(one, vec![2]), Err(present));
    assert_eq!(ledger.block(one).unwrap().checkpoint_certificate, Some(vec![1]));
    let missing = |height| Err(LedgerError::NoBlock { height, head: Height::new(2) });
    assert_eq!(ledger.attach_checkpoint(three, vec![1]), missing(three));
    assert_eq!(ledger.attach_checkpoint(Height::ZERO, vec![1]), missing(Height::ZERO));
}

#[test]
fn entry_proofs_hold_for_their_entry_and_checkpoint_only() {
    let ledger = ledger(6);
    let id = ledger.ledger_id();
    let checkpoint = ledger.checkpoint_at(ORIGIN, 5).unwrap();
    let item = |h: u64, k: usize| &ledger.block(Height::new(h)).unwrap().batch.items[k];
    let proof = ledger.prove_entry(Height::new(4), 2, 5).unwrap();
    assert_eq!(EntryProof::from_canonical(&proof.to_canonical()), Ok(proof.clone()));
    assert_eq!(proof.verify(item(4, 2), id, &checkpoint), Ok(()));
    for other in [item(4, 1), item(5, 2)] {
        let refused = proof.verify(other, id, &checkpoint);
        assert!(matches!(refused, Err(EntryProofError::Entry(ProofError::RootMismatch { .. }))));
    }
    let later = ledger.checkpoint_at(ORIGIN, 6).unwrap();
    let refused = Err(EntryProofError::LogSize { expected: 6, found: 5 });
    assert_eq!(proof.verify(item(4, 2), id, &later), refused);
    let (expected, found) = (federation("other"), id);
    let refused = Err(EntryProofError::LedgerId { expected, found });
    assert_eq!(proof.verify(item(4, 2), federation("other"), &checkpoint), refused);
    let with = |change: fn(&mut EntryProof)| {
        let mut forged = proof.clone();
        change(&mut forged);
        forged.verify(item(4, 2), id, &checkpoint)
    };
    let refused = Err(EntryProofError::Height { found: Height::ZERO });
    assert_eq!(with(|p| p.header.height = Height::ZERO), refused);
    let refused = Err(EntryProofError::EntriesCount { header: 4, proof: 5 });
    assert_eq!(with(|p| p.entry.count = 5), refused);
    let refused = with(|p| p.header.state_root_after = Digest::ZERO);
    assert!(matches!(refused, Err(EntryProofError::Log(ProofError::RootMismatch { .. }))));
}

#[test]
fn proofs_of_what_does_not_exist_are_refused() {
    let ledger = ledger(3);
    let missing = LedgerError::NoBlock { height: Height::new(4), head: Height::new(3) };
    assert_eq!(ledger.prove_entry(Height::new(4), 0, 3), Err(missing.clone()));
    let entry = BlockTreeError::IndexOutOfRange { index: 2, count: 2 };
    assert_eq!(ledger.prove_entry(Height::new(2), 2, 3), Err(entry.into()));
    let early = HistoryError::IndexBeyondSize { index: 2, size: 2 };
    assert_eq!(ledger.prove_entry(Height::new(3), 0, 2), Err(early.into()));
    let (note, _) = signed(&ledger.checkpoint_at(ORIGIN, 3).unwrap());
    assert_eq!(ledger.anchor(Height::new(4), note, None), Err(missing));
}

#[test]
fn an_anchor_proves_a_block_and_another_history_gets_none() {
    let ledger = ledger(3);
    let (note, keys) = signed(&ledger.checkpoint_at(ORIGIN, 3).unwrap());
    let anchor = ledger.anchor(Height::new(2), note, Some(b"state".to_vec())).unwrap();
    let header = ledger.block(Height::new(2)).unwrap().header;
    let verified = anchor.verify(&header.to_canonical(), ORIGIN, &keys, 3).unwrap();
    assert_eq!(verified.checkpoint().size(), 3);
    let found = LogHash::of_leaf(b"fork");
    let (note, keys) = signed(&Checkpoint::new(ORIGIN, 3, found).unwrap());
    assert!(VerifiedCheckpoint::verify(&note, ORIGIN, &keys, 3).is_ok());
    let differs = LedgerError::RootDiffers { size: 3, own: ledger.history().root(), found };
    assert_eq!(ledger.anchor(Height::new(2), note, None), Err(differs));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_entry_of_every_block_is_proven_at_every_size(blocks in 1_u64..8) {
        let ledger = ledger(blocks);
        for size in 1..=blocks {
            let checkpoint = ledger.checkpoint_at(ORIGIN, size).unwrap();
            for h in 1..=size {
                let height = Height::new(h);
                for (item, k) in ledger.block(height).unwrap().batch.items.iter().zip(0..) {
                    let proof = ledger.prove_entry(height, k, size).unwrap();
                    prop_assert_eq!(proof.verify(item, ledger.ledger_id(), &checkpoint), Ok(()));
                }
            }
        }
    }

    #[test]
    fn an_imported_export_is_the_same_ledger(blocks in 1_u64..6, attached in 1_u64..6) {
        let mut original = ledger(blocks);
        let _ = original.attach_checkpoint(Height::new(attached), vec![9; 4]);
        let mut copy = Ledger::new(original.ledger_id());
        for (block, h) in original.blocks().zip(1..) {
            let bytes = crate::export::encode_block(block).unwrap();
            copy.import(crate::export::decode_block(Height::new(h), &bytes).unwrap()).unwrap();
        }
        prop_assert_eq!(copy.head(), original.head());
        prop_assert_eq!(copy.history().root(), original.history().root());
        prop_assert!(copy.blocks().eq(original.blocks()));
    }
}
