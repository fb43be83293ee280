//! Two ledgers, honest and hostile peers, and what may and may not follow from what they say.

mod catch_up;
mod evidence;
mod fork;
mod messages;
mod recovery;
mod relation;

use federation_proto::Height;
use federation_proto::keys::{LogCheckpoint, SecretKey};

use super::*;
use crate::VerifiedCheckpoint;
use crate::chain::Ledger;
use crate::chain::tests::{batch, execution, federation};
use crate::merkle::history::{HistoryError, HistoryTree};
use crate::note::{Note, NoteSigner};

const ORIGIN: &str = "example.org/divergence";

/// A tree of numbered leaves; those for which `other` says so are not what they are elsewhere.
fn tree(size: u64, other: impl Fn(u64) -> bool) -> HistoryTree {
    let mut tree = HistoryTree::new();
    for height in 1..=size {
        let leaf = if other(height) { [height, u64::MAX] } else { [height, 0] };
        tree.append(&leaf.map(u64::to_le_bytes).concat());
    }
    tree
}

fn log(tree: &HistoryTree) -> OwnLog<'_, HistoryTree> {
    OwnLog::new(tree, tree.size())
}

/// A ledger of small blocks; those from height `fork` on have another entry more.
fn ledger(blocks: u64, fork: u64) -> Ledger {
    let mut ledger = Ledger::new(federation("divergence"));
    for h in 1..=blocks {
        let batch = batch(10 * h, if h < fork { 1 } else { 2 });
        let header = ledger.next_header(&batch, &execution(h)).unwrap();
        ledger.append(header, batch, vec![7; 3]).unwrap();
    }
    ledger
}

/// What the holder of a ledger answers.
fn ask(ledger: &Ledger, question: &Question) -> Answer {
    let block = |height| Ok::<_, HistoryError>(ledger.block(height).cloned());
    answer(&log(ledger.history()), block, question).unwrap()
}

/// What the holder of a tree without blocks answers.
fn ask_tree(tree: &HistoryTree, question: &Question) -> Answer {
    answer(&log(tree), |_| Ok::<_, HistoryError>(None), question).unwrap()
}

/// A checkpoint of a log, signed by these.
fn signed(origin: &str, size: u64, root: LogHash, owners: &[&str]) -> VerifiedCheckpoint {
    let signer = |owner: &&str| {
        NoteSigner::new(origin, SecretKey::<LogCheckpoint>::synthetic("divergence", owner)).unwrap()
    };
    let signers: Vec<_> = owners.iter().map(signer).collect();
    let keys: Vec<_> = signers.iter().map(|signer| signer.verifier().unwrap()).collect();
    let text = Checkpoint::new(origin, size, root).unwrap().to_text();
    let lines = signers.iter().map(|signer| signer.sign(&text).unwrap()).collect();
    let note = Note::new(text, lines).unwrap();
    VerifiedCheckpoint::verify(&note, origin, &keys, owners.len()).unwrap()
}

/// A checkpoint of the first blocks of a tree.
fn certify(tree: &HistoryTree, size: u64) -> VerifiedCheckpoint {
    signed(ORIGIN, size, tree.root_at(size).unwrap(), &["a", "b", "c"])
}
