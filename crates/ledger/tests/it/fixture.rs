//! Chains of small blocks.

use federation_proto::entry::EpochOpened;
use federation_proto::keys::{LogCheckpoint, SecretKey};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, FederationId, Generation, LedgerEntry, LogicalTime,
    SequenceNumber,
};
use ledger::durable::DurableLedger;
use ledger::store::Store;
use ledger::store::memory::MemoryStore;
use ledger::{
    Anchor, BlockFile, Checkpoint, Execution, Ledger, Note, NoteKey, NoteSigner, VerifiedCheckpoint,
};

pub(crate) const ORIGIN: &str = "example.org/federation";

pub(crate) fn ledger_id() -> FederationId {
    FederationId::new(Digest::of_blob(b"genesis of the tests"))
}

/// A ledger of `blocks` blocks in memory. `fork` makes another history from a block on.
pub(crate) fn chain(blocks: u64) -> Ledger {
    forked_chain(blocks, u64::MAX)
}

/// As [`chain`], but other entries in every block above `common`.
pub(crate) fn forked_chain(blocks: u64, common: u64) -> Ledger {
    let mut ledger = Ledger::new(ledger_id());
    for number in 1..=blocks {
        let fork = if number > common { "fork" } else { "main" };
        let entries = 1 + number % 3;
        let items = (0..entries).map(|entry| item(fork, number, entry)).collect();
        let batch = Batch { batch_time: LogicalTime::new(10 * number), items };
        let execution = Execution {
            sequence: SequenceNumber::new(2 * number),
            config_digest: Digest::of_blob(b"configuration"),
            epoch: FederatedEpoch::new(number / 8),
            state_root_after: Digest::of_blob(&number.to_le_bytes()),
        };
        let header = ledger.next_header(&batch, &execution).unwrap();
        let certificate = format!("commit certificate {number}");
        let checkpoint = (number % 4 == 0).then(|| certificate_of(number));
        ledger
            .import(BlockFile {
                header,
                batch,
                commit_certificate: certificate.into(),
                checkpoint_certificate: checkpoint,
            })
            .unwrap();
    }
    ledger
}

pub(crate) fn certificate_of(height: u64) -> Vec<u8> {
    format!("checkpoint certificate {height}").into()
}

fn item(fork: &str, number: u64, entry: u64) -> BatchItem {
    BatchItem::Derived(LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: FederatedEpoch::new(number),
        generation: Generation::ZERO,
        base_state_hash: Digest::of_blob(format!("{fork} {number} {entry}").as_bytes()),
        config_digest: Digest::of_blob(b"configuration"),
        policy_hash: Digest::of_blob(b"policy"),
    }))
}

/// `chain`'s blocks from `from` (exclusive) to `to` (inclusive), appended and committed in groups.
pub(crate) fn append<S: Store>(
    ledger: &mut DurableLedger<S>,
    chain: &Ledger,
    from: u64,
    to: u64,
    group: usize,
) {
    let blocks: Vec<_> = chain.blocks().skip(from as usize).take((to - from) as usize).collect();
    for blocks in blocks.chunks(group) {
        for block in blocks {
            ledger.append(block).unwrap();
        }
        ledger.commit().unwrap();
    }
}

/// A committed ledger in memory with the first `blocks` of `chain`.
pub(crate) fn stored(chain: &Ledger, blocks: u64) -> DurableLedger<MemoryStore> {
    let mut ledger = DurableLedger::create(MemoryStore::new(), ledger_id()).unwrap();
    append(&mut ledger, chain, 0, blocks, 64);
    ledger
}

pub(crate) fn signers() -> Vec<NoteSigner<LogCheckpoint>> {
    let signer = |owner| {
        NoteSigner::new(ORIGIN, SecretKey::<LogCheckpoint>::synthetic("it", owner)).unwrap()
    };
    ["a", "b", "c"].map(signer).into()
}

pub(crate) fn keys() -> Vec<NoteKey<LogCheckpoint>> {
    signers().iter().map(|signer| signer.verifier().unwrap()).collect()
}

pub(crate) fn note(checkpoint: &Checkpoint) -> Note {
    let text = checkpoint.to_text();
    let lines = signers().iter().map(|signer| signer.sign(&text).unwrap()).collect();
    Note::new(text, lines).unwrap()
}

pub(crate) fn certified(chain: &Ledger, size: u64) -> VerifiedCheckpoint {
    let note = note(&chain.checkpoint_at(ORIGIN, size).unwrap());
    VerifiedCheckpoint::verify(&note, ORIGIN, &keys(), 3).unwrap()
}

/// The anchor of block `size` at that size.
pub(crate) fn anchor(chain: &Ledger, size: u64) -> Anchor {
    let note = note(&chain.checkpoint_at(ORIGIN, size).unwrap());
    chain.anchor(federation_proto::Height::new(size), note, None).unwrap()
}
