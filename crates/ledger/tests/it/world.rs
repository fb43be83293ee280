//! A published ledger in a folder, and programs run in that folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use federation_proto::codec::Canonical;
use federation_proto::entry::EpochOpened;
use federation_proto::keys::{Cosigner, LogCheckpoint, SecretKey};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, FederationId, Generation, Height, LedgerEntry,
    LogicalTime, SequenceNumber,
};
use ledger::tiles::publish;
use ledger::{
    Checkpoint, Execution, Ledger, LogHash, Note, NoteSignature, NoteSigner, Sidecar, Witness,
};
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "example.org/federation";
pub(crate) const SIZE: u64 = 300;
pub(crate) const OLD_SIZE: u64 = 257;
const QUORUM: usize = 3;
const VALIDATORS: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// In its folder: `export/` with checkpoint and tiles of [`SIZE`] blocks; `keys.txt`, the
/// validators' keys; `old-checkpoint` of [`OLD_SIZE`] blocks; `meta_M5.merk`, the anchor of the
/// last block, with its sidecar `meta_M5.cosigned` and the witnesses' keys `witnesses.txt`.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) keys: Vec<String>,
    pub(crate) witnesses: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let ledger = ledger();
        let signers = VALIDATORS.map(validator);
        let keys = signers.iter().map(|it| it.verifier().expect("a key").to_string()).collect();
        let witnesses = ["w1", "w2"].map(witness);
        let names = witnesses.iter().map(|it| it.verifier().expect("a key").to_string()).collect();
        let world = Self { folder: TempDir::new().expect("a folder"), keys, witnesses: names };

        let note = signed(&ledger, SIZE, &signers);
        let leaf = |index| {
            let block = ledger.block(Height::new(index + 1)).expect("a block");
            Ok(block.header.to_canonical())
        };
        for file in publish(ledger.history(), leaf, 0, &note).expect("a checkpoint") {
            let (path, bytes) = file.expect("a file");
            world.write(&format!("export/{path}"), &bytes);
        }
        let old = signed(&ledger, OLD_SIZE, &signers).to_text();
        world.write("old-checkpoint", old.as_bytes());
        world.write("keys.txt", lines(&world.keys).as_bytes());
        world.write("witnesses.txt", lines(&world.witnesses).as_bytes());
        let anchor = ledger.anchor(Height::new(SIZE), note.clone(), None).expect("an anchor");
        world.write("meta_M5.merk", anchor.to_text().as_bytes());
        let cosignatures: Vec<NoteSignature> = witnesses
            .iter()
            .map(|signer| {
                let keys = signers.iter().map(|it| it.verifier().expect("a key")).collect();
                let mut witness = Witness::new(ORIGIN, keys, QUORUM, None).expect("a witness");
                witness.cosign(signer, &note, &[], 1_800_000_000).expect("a cosignature")
            })
            .collect();
        let sidecar = Sidecar::new(anchor.claimed_checkpoint(), cosignatures).expect("a sidecar");
        world.write("meta_M5.cosigned", sidecar.to_text().as_bytes());
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    #[expect(clippy::disallowed_methods, reason = "other programs read files")]
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }

    #[expect(clippy::disallowed_methods, reason = "the tests damage files")]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).expect("readable")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// A checkpoint that a quorum signs, whatever its root.
    pub(crate) fn signed_root(&self, size: u64, root: [u8; 32]) -> String {
        let checkpoint = Checkpoint::new(ORIGIN, size, LogHash::from_bytes(root));
        let text = checkpoint.expect("a checkpoint").to_text();
        sign(&text, &VALIDATORS.map(validator)).to_text()
    }

    /// Runs a program in the folder: whether it succeeded, and the one line it printed.
    #[expect(clippy::disallowed_methods, reason = "the point of these tests is other programs")]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program).args(arguments).current_dir(self.path()).output();
        let output = output.unwrap_or_else(|cause| panic!("{program}: {cause}"));
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).expect("text");
        assert_eq!(printed.matches('\n').count(), 1, "one line: {printed:?}");
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{printed}");
        }
        (output.status.success(), printed.trim_end().to_owned())
    }
}

/// A script of the auditor.
pub(crate) fn script(name: &str) -> String {
    format!("{}/auditor/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn validator(owner: &str) -> NoteSigner<LogCheckpoint> {
    NoteSigner::new(ORIGIN, SecretKey::synthetic("auditor", owner)).expect("a signer")
}

pub(crate) fn witness(owner: &str) -> NoteSigner<Cosigner> {
    let name = format!("witness.example/{owner}");
    NoteSigner::new(&name, SecretKey::synthetic("auditor", owner)).expect("a signer")
}

/// A checkpoint of the ledger with the lines of the first three of four validators.
fn signed(ledger: &Ledger, size: u64, signers: &[NoteSigner<LogCheckpoint>; 4]) -> Note {
    sign(&ledger.checkpoint_at(ORIGIN, size).expect("a checkpoint").to_text(), signers)
}

fn sign(text: &str, signers: &[NoteSigner<LogCheckpoint>; 4]) -> Note {
    let lines = signers.iter().take(QUORUM).map(|signer| signer.sign(text).expect("a line"));
    Note::new(text.to_owned(), lines.collect()).expect("a note")
}

fn lines(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key}\n")).collect()
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::new(FederationId::new(Digest::of_blob(b"genesis")));
    for step in 1..=SIZE {
        let entry = LedgerEntry::EpochOpened(EpochOpened {
            federated_epoch: FederatedEpoch::new(step),
            generation: Generation::ZERO,
            base_state_hash: Digest::of_blob(b"base"),
            config_digest: Digest::of_blob(b"configuration"),
            policy_hash: Digest::of_blob(b"policy"),
        });
        let items = vec![BatchItem::Derived(entry)];
        let batch = Batch { batch_time: LogicalTime::new(1000 * step), items };
        let execution = Execution {
            sequence: SequenceNumber::new(step),
            config_digest: Digest::of_blob(b"configuration"),
            epoch: FederatedEpoch::new(step),
            state_root_after: Digest::of_blob(&step.to_le_bytes()),
        };
        let header = ledger.next_header(&batch, &execution).expect("a header");
        ledger.append(header, batch, b"commit certificate".to_vec()).expect("a block");
    }
    ledger
}
