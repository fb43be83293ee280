//! An auditor checks one ledger entry with nothing but an export, an anchor and the validators' keys.
//!
//! Run with `cargo run -p ledger --example audit_offline`.

use std::collections::BTreeMap;
use std::error::Error;

use federation_proto::codec::Canonical;
use federation_proto::entry::EpochOpened;
use federation_proto::keys::{LogCheckpoint, SecretKey};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, FederationId, Generation, Height, LedgerEntry,
    LogicalTime, SequenceNumber,
};
use ledger::{Anchor, Execution, Ledger, Note, NoteKey, NoteSigner, export};

const ORIGIN: &str = "example.org/federation";
const QUORUM: usize = 3;

/// What the validators publish: files by name, and the anchor.
struct Published {
    files: BTreeMap<String, Vec<u8>>,
    anchor: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let signers = ["v1", "v2", "v3", "v4"]
        .map(|owner| NoteSigner::new(ORIGIN, SecretKey::<LogCheckpoint>::synthetic("demo", owner)))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let keys = signers.iter().map(NoteSigner::verifier).collect::<Result<Vec<_>, _>>()?;
    let federation = FederationId::new(Digest::of_blob(b"genesis of the example"));

    let published = publish(federation, &signers)?;
    audit(federation, &keys, &published)
}

fn publish(
    federation: FederationId,
    signers: &[NoteSigner<LogCheckpoint>],
) -> Result<Published, Box<dyn Error>> {
    let mut ledger = Ledger::new(federation);
    for step in 1..=5 {
        let batch = Batch { batch_time: LogicalTime::new(1000 * step), items: vec![entry(step)] };
        let execution = Execution {
            sequence: SequenceNumber::new(step),
            config_digest: Digest::of_blob(b"configuration"),
            epoch: FederatedEpoch::new(step),
            state_root_after: Digest::of_blob(&step.to_le_bytes()),
        };
        let header = ledger.next_header(&batch, &execution)?;
        // In a federation, consensus supplies this certificate; to the ledger it is opaque.
        ledger.append(header, batch, b"commit certificate".to_vec())?;
    }
    let text = ledger.checkpoint_at(ORIGIN, 5)?.to_text();
    let lines = signers.iter().take(QUORUM).map(|signer| signer.sign(&text));
    let note = Note::new(text.clone(), lines.collect::<Result<_, _>>()?)?;
    let anchor = ledger.anchor(Height::new(5), note, None)?.to_text();
    let mut files = BTreeMap::new();
    for block in ledger.blocks() {
        files.insert(export::block_path(block.header.height)?, export::encode_block(block)?);
    }
    Ok(Published { files, anchor })
}

fn audit(
    federation: FederationId,
    keys: &[NoteKey<LogCheckpoint>],
    published: &Published,
) -> Result<(), Box<dyn Error>> {
    let mut ledger = Ledger::new(federation);
    for (path, bytes) in &published.files {
        let height = export::parse_block_path(path).ok_or("an unexpected file name")?;
        ledger.import(export::decode_block(height, bytes)?)?;
        println!("{path}  {} bytes, chained and consistent", bytes.len());
    }
    print!("\n{}\n", published.anchor);
    let anchor = Anchor::parse(published.anchor.as_bytes())?;
    let last = ledger.block(ledger.head().height).ok_or("an empty export")?;
    let verified = anchor.verify(&last.header.to_canonical(), ORIGIN, keys, QUORUM)?;
    let checkpoint = verified.checkpoint();
    if ledger.history().root_at(checkpoint.size())? != checkpoint.root() {
        return Err("the export is not the anchored history".into());
    }
    println!("anchored: {} blocks, {} signers", checkpoint.size(), verified.signers().len());

    let proof = ledger.prove_entry(Height::new(2), 0, checkpoint.size())?;
    proof.verify(&entry(2), federation, checkpoint)?;
    println!("entry 0 of block 2: proven, {} bytes", proof.to_canonical().len());
    let refused = proof.verify(&entry(3), federation, checkpoint);
    println!("another entry in its place: {}", refused.err().ok_or("a forgery was accepted")?);
    Ok(())
}

fn entry(epoch: u64) -> BatchItem {
    BatchItem::Derived(LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: FederatedEpoch::new(epoch),
        generation: Generation::ZERO,
        base_state_hash: Digest::of_blob(b"base"),
        config_digest: Digest::of_blob(b"configuration"),
        policy_hash: Digest::of_blob(b"policy"),
    }))
}
