//! A file-backed audit log: append, reopen, sign, prove.
//!
//! Run with `cargo run -p ledger --features redb --example audit_log -- FILE`.
#![expect(clippy::disallowed_methods, reason = "a program takes its file from the command line")]

use std::path::PathBuf;

use federation_proto::keys::{LogCheckpoint, SecretKey};
use ledger::durable::RecordLog;
use ledger::store::redb::RedbStore;
use ledger::{Note, NoteSigner};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = PathBuf::from(std::env::args_os().nth(1).ok_or("which file?")?);
    let mut log = if file.exists() {
        RecordLog::open(RedbStore::open(&file)?, None)?
    } else {
        RecordLog::create(RedbStore::create(&file)?)?
    };
    for record in ["door opened", "alarm armed", "door closed"] {
        log.append(record.as_bytes())?;
    }
    let size = log.commit()?; // One sync for all three. From here on they survive a crash.

    // A published key: yours is drawn once and kept in a key file.
    let signer =
        NoteSigner::new("example.org/door", SecretKey::<LogCheckpoint>::synthetic("demo", "door"))?;
    let text = log.checkpoint_at("example.org/door", size)?.to_text();
    let note = Note::new(text.clone(), vec![signer.sign(&text)?])?;
    let proof = log.prove(size - 2, note)?;
    proof.verify(&log.record(size - 2)?, "example.org/door", &[signer.verifier()?], 1)?;
    print!("{}", proof.to_text());
    Ok(())
}
