//! Anchor files: one form, and nothing but the proven leaf.

use federation_proto::keys::SecretKey;

use super::*;
use crate::checkpoint::QuorumError;
use crate::merkle::history::HistoryTree;
use crate::note::NoteSigner;

const ORIGIN: &str = "example.org/log";

struct World {
    tree: HistoryTree,
    signers: Vec<NoteSigner<LogCheckpoint>>,
    keys: Vec<NoteKey<LogCheckpoint>>,
}

impl World {
    fn new(size: u64) -> Self {
        let mut tree = HistoryTree::new();
        for leaf in 0..size {
            tree.append(&leaf.to_le_bytes());
        }
        let signer =
            |owner| NoteSigner::new(ORIGIN, SecretKey::synthetic("anchor", owner)).unwrap();
        let signers: Vec<_> = ["a", "b", "c"].map(signer).into();
        let keys = signers.iter().map(|signer| signer.verifier().unwrap()).collect();
        Self { tree, signers, keys }
    }

    fn anchor(&self, index: u64, extra: Option<&[u8]>) -> Anchor {
        let size = self.tree.size();
        let text = Checkpoint::new(ORIGIN, size, self.tree.root()).unwrap().to_text();
        let lines = self.signers.iter().map(|signer| signer.sign(&text).unwrap()).collect();
        let path = self.tree.inclusion_proof(index, size).unwrap();
        let note = Note::new(text, lines).unwrap();
        Anchor::new(extra.map(<[u8]>::to_vec), index, path, note).unwrap()
    }
}

#[test]
fn a_file_reads_back_and_proves_its_leaf_only() {
    let world = World::new(7);
    for (index, extra) in [(0, None), (3, Some(&b"extra"[..])), (6, Some(&[0, 255][..]))] {
        let anchor = world.anchor(index, extra);
        let read = Anchor::parse(anchor.to_text().as_bytes()).unwrap();
        assert_eq!(read, anchor);
        assert_eq!((read.index(), read.extra()), (index, extra));
        let verified = read.verify(&index.to_le_bytes(), ORIGIN, &world.keys, 3).unwrap();
        assert_eq!(verified.checkpoint(), read.claimed_checkpoint());
        let refused = read.verify(&9_u64.to_le_bytes(), ORIGIN, &world.keys, 3);
        assert!(matches!(refused, Err(AnchorError::Proof(ProofError::RootMismatch { .. }))));
        let too_few = CheckpointError::Quorum(QuorumError::TooFew { found: 3, needed: 4 });
        let refused = read.verify(&index.to_le_bytes(), ORIGIN, &world.keys, 4);
        assert_eq!(refused, Err(AnchorError::Checkpoint(too_few)));
    }
}

#[test]
fn the_file_has_the_lines_of_the_specification() {
    let text = World::new(2).anchor(1, Some(b"hi")).to_text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["c2sp.org/tlog-proof@v1", "extra aGk=", "index 1"]);
    assert_eq!(lines[3], LogHash::of_leaf(&0_u64.to_le_bytes()).to_base64());
    assert_eq!(lines[4..7], ["", ORIGIN, "2"]);
    assert_eq!(lines.len(), 12);
}

#[test]
fn second_forms_are_refused() {
    let world = World::new(7);
    let text = world.anchor(3, Some(b"hi")).to_text();
    let parse = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from:?} occurs");
        Anchor::parse(changed.as_bytes())
    };
    let found = "c2sp.org/tlog-proof@v2".to_owned();
    assert_eq!(parse("proof@v1", "proof@v2"), Err(AnchorError::Format { found }));
    assert_eq!(parse("index 3", "index 03"), Err(AnchorError::Index));
    assert_eq!(parse("index 3", "index +3"), Err(AnchorError::Index));
    assert_eq!(parse("index 3\n", ""), Err(AnchorError::Index));
    assert_eq!(parse("extra aGk=", "extra aGk"), Err(AnchorError::Extra { length: 3 }));
    assert_eq!(parse("extra aGk=", "extra "), Err(AnchorError::Extra { length: 0 }));
    assert_eq!(parse("extra aGk=", "extra aGk=\nextra aGk="), Err(AnchorError::Index));
    assert_eq!(parse("index 3\n", "index 3\nAAAA\n"), Err(AnchorError::PathLine { line: 1 }));
    let (index, size) = (7, 7);
    let outside = AnchorError::Proof(ProofError::IndexOutOfRange { index, size });
    assert_eq!(parse("index 3", "index 7"), Err(outside));
    let shorter = AnchorError::Proof(ProofError::PathLength { expected: 2, found: 3 });
    assert_eq!(parse("index 3", "index 6"), Err(shorter));
    // With an early empty line, what remains of the path is read as the checkpoint.
    let early = parse("index 3\n", "index 3\n\n");
    assert!(matches!(early, Err(AnchorError::Checkpoint(CheckpointError::Lines { .. }))));
    assert!(parse("index 3\n", "index 3\r\n").is_err());
    assert!(Anchor::parse(format!("{text}\n").as_bytes()).is_err());
    assert!(Anchor::parse(text.trim_end().as_bytes()).is_err());
    let length = MAX_ANCHOR_BYTES + 1;
    let refused = AnchorError::TooLarge { length, limit: MAX_ANCHOR_BYTES };
    assert_eq!(Anchor::parse(&vec![b'a'; length]), Err(refused));
    let note = world.anchor(3, None).note().clone();
    let path = world.anchor(3, None).path().to_vec();
    let refused = AnchorError::Extra { length: MAX_EXTRA_BYTES + 1 };
    assert_eq!(Anchor::new(Some(vec![0; MAX_EXTRA_BYTES + 1]), 3, path, note), Err(refused));
}

#[test]
fn every_accepted_change_of_one_byte_is_rendered_and_none_verifies() {
    let world = World::new(3);
    let text = world.anchor(2, None).to_text().into_bytes();
    for position in 0..text.len() {
        for flip in [0x01, 0x10, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[position] ^= flip;
            if let Ok(anchor) = Anchor::parse(&changed) {
                assert_eq!(anchor.to_text().into_bytes(), changed);
                let verified = anchor.verify(&2_u64.to_le_bytes(), ORIGIN, &world.keys, 3);
                assert!(verified.is_err(), "byte {position} ^ {flip}");
            }
        }
    }
}

#[test]
fn the_last_leaf_restores_the_frontier() {
    for size in 1..20 {
        let mut world = World::new(size);
        let last = (size - 1).to_le_bytes();
        let mut frontier =
            world.anchor(size - 1, None).frontier(&last, ORIGIN, &world.keys, 2).unwrap();
        assert_eq!((frontier.size(), frontier.root()), (size, world.tree.root()));
        frontier.append(b"next");
        world.tree.append(b"next");
        assert_eq!(frontier.root(), world.tree.root());
    }
    let world = World::new(5);
    let refused = world.anchor(3, None).frontier(&3_u64.to_le_bytes(), ORIGIN, &world.keys, 2);
    assert_eq!(refused, Err(AnchorError::Proof(ProofError::NotLastLeaf { index: 3, size: 5 })));
}
