//! Exports of many sizes, read back, read by an independent implementation, and damaged.

mod hostile;
mod huge;
mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::keys::{LogCheckpoint, SecretKey};
use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::merkle::LogHash;
use crate::merkle::history::{HistoryError, HistoryTree};
use crate::merkle::subtrees::{self, Subtrees};
use crate::merkle::verify::{verify_consistency, verify_inclusion};
use crate::note::{Note, NoteSigner};

/// Around every border of tiles that is cheap to reach.
const SIZES: [u64; 14] =
    [0, 1, 2, 255, 256, 257, 511, 512, 700, 65_279, 65_280, 65_535, 65_536, 65_537];

type Files = BTreeMap<String, Vec<u8>>;

fn leaf(index: u64) -> Vec<u8> {
    // Of different lengths, some empty.
    index.to_le_bytes()[..(index % 8) as usize].to_vec()
}

fn entry(index: u64) -> Result<Vec<u8>, HistoryError> {
    Ok(leaf(index))
}

fn tree(size: u64) -> HistoryTree {
    let mut tree = HistoryTree::new();
    for index in 0..size {
        tree.append(&leaf(index));
    }
    tree
}

fn note(tree: &HistoryTree, size: u64) -> Note {
    let checkpoint = Checkpoint::new("example.org/log", size, tree.root_at(size).unwrap());
    let text = checkpoint.unwrap().to_text();
    let secret = SecretKey::<LogCheckpoint>::synthetic("tiles", "a");
    let line = NoteSigner::new("example.org/log", secret).unwrap().sign(&text).unwrap();
    Note::new(text, vec![line]).unwrap()
}

fn export(tree: &HistoryTree, since: u64, size: u64) -> Files {
    let files = publish(tree, entry, since, &note(tree, size)).unwrap();
    files.map(|file| file.unwrap()).collect()
}

type Reader<'a> = TileTree<Box<dyn Fn(&TilePath) -> Result<Vec<u8>, &'static str> + 'a>>;

fn open<'a>(
    files: &'a Files,
    size: u64,
    root: LogHash,
) -> Result<Reader<'a>, TileError<&'static str>> {
    let fetch = |path: &TilePath| files.get(&path.to_string()).cloned().ok_or("absent");
    TileTree::open(size, root, Box::new(fetch))
}

/// Indices and sizes worth asking for in a tree of `size` leaves.
fn probes(size: u64) -> BTreeSet<u64> {
    let near = |at: u64| [at.saturating_sub(1), at, at + 1];
    let probes = [0, 255, 256, 511, 65_280, 65_535, size / 3, size].into_iter().flat_map(near);
    probes.filter(|at| *at < size).collect()
}

#[test]
fn the_specification_s_example_has_its_tiles() {
    // C2SP tlog-tiles, partial tiles: a tree of 70,000.
    let paths: Vec<String> = new_tiles(0, 70_000).map(|path| path.to_string()).collect();
    let count = |prefix: &str| paths.iter().filter(|path| path.starts_with(prefix)).count();
    assert_eq!((count("tile/0/"), count("tile/entries/")), (274, 274));
    for path in ["tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/000", "tile/1/001.p/17"] {
        assert!(paths.contains(&path.to_owned()), "{path}");
    }
    assert_eq!(paths.last().unwrap(), "tile/2/000.p/1");
    assert_eq!(paths.len(), 274 + 274 + 2 + 1);
    let tiles: Vec<String> = new_tiles(0, 256).map(|path| path.to_string()).collect();
    assert_eq!(tiles, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn paths_have_one_form() {
    let path = |kind, index, width| TilePath::new(kind, index, width).unwrap();
    let hashes = |level| TileKind::Hashes { level };
    for (canonical, expected) in [
        ("tile/0/000", path(hashes(0), 0, 256)),
        ("tile/1/x001/x234/067", path(hashes(1), 1_234_067, 256)),
        ("tile/0/x001/000.p/1", path(hashes(0), 1000, 1)),
        ("tile/entries/x009/x999/999.p/255", path(TileKind::Entries, 9_999_999, 255)),
        ("tile/7/000.p/255", path(hashes(7), 0, 255)),
        ("tile/0/x072/x057/x594/x037/x927/935.p/255", path(hashes(0), (1 << 56) - 1, 255)),
    ] {
        assert_eq!(canonical.parse(), Ok(expected));
        assert_eq!(expected.to_string(), canonical);
    }
    for wrong in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile//000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/x001/x002",
        "tile/00/000",
        "tile/+1/000",
        "tile/8/000",
        "tile/63/000",
        "tile/256/000",
        "tile/x0/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/+1",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000/",
        "/tile/0/000",
        "tile/7/000",
        "tile/7/001.p/1",
        "tile/0/-01",
        "tile/data/000",
        "tile/Entries/000",
        "tile/8/0/000",
        "tile/0/../000",
        "tile/0/000\n",
        " tile/0/000",
        "checkpoint",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x072/x057/x594/x037/x927/935",
    ] {
        assert_eq!(wrong.parse::<TilePath>(), Err(TilePathError), "{wrong:?}");
    }
    assert_eq!(TilePath::new(hashes(0), 1 << 56, 1), None);
    assert_eq!(TilePath::new(hashes(0), (1 << 56) - 1, 256), None);
    assert!(TilePath::new(hashes(0), (1 << 56) - 1, 255).is_some());
    assert_eq!(TilePath::new(TileKind::Entries, 0, 0), None);
    assert_eq!(TilePath::new(TileKind::Entries, 0, 257), None);
}

#[test]
fn every_size_reads_back_with_all_its_proofs() {
    let full = tree(65_537);
    for size in SIZES {
        let files = export(&full, 0, size);
        let root = full.root_at(size).unwrap();
        let reader = open(&files, size, root).unwrap();
        for index in probes(size) {
            let path = subtrees::inclusion(&reader, index, size).unwrap();
            assert_eq!(Ok(&path), full.inclusion_proof(index, size).as_ref());
            let leaf = reader.entry(index).unwrap();
            verify_inclusion(&LogHash::of_leaf(&leaf), index, size, &path, &root).unwrap();
        }
        for old in probes(size).into_iter().filter(|old| *old > 0) {
            let proof = subtrees::consistency(&reader, old, size).unwrap();
            let old_root = subtrees::root(&reader, old).unwrap();
            assert_eq!(Ok(old_root), full.root_at(old));
            verify_consistency(old, &old_root, size, &root, &proof).unwrap();
        }
        let beyond = |level, index| TileError::BeyondTree { level, index, size };
        assert_eq!(reader.entry(size), Err(beyond(0, size)));
        assert_eq!(reader.entry(u64::MAX), Err(beyond(0, u64::MAX)));
        assert_eq!(reader.subtree(0, size), Err(beyond(0, size)));
        assert_eq!(reader.subtree(3, size >> 3), Err(beyond(3, size >> 3)));
        assert_eq!(reader.subtree(64, 0), Err(beyond(64, 0)));
    }
}

#[test]
fn the_checkpoint_comes_last_and_must_fit() {
    let tree = tree(300);
    let note_300 = note(&tree, 300);
    let files: Vec<_> = publish(&tree, entry, 0, &note_300).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.last().unwrap(), &(CHECKPOINT.to_owned(), note_300.to_text().into_bytes()));
    let other = Checkpoint::new("example.org/log", 300, LogHash::EMPTY_ROOT).unwrap().to_text();
    let other = Note::new(other, note_300.signatures().to_vec()).unwrap();
    let (expected, found) = (tree.root(), LogHash::EMPTY_ROOT);
    let refused = publish(&tree, entry, 0, &other).map(|_| ()).unwrap_err();
    assert_eq!(refused, PublishError::Root { size: 300, expected, found });
    let larger = HistoryError::SizeBeyondTree { requested: 300, size: 299 };
    let refused = publish(&super::tests::tree(299), entry, 0, &note_300).map(|_| ()).unwrap_err();
    assert_eq!(refused, PublishError::Source(larger));
}

#[test]
fn a_wrong_leaf_is_not_published() {
    let mut tree = tree(3);
    let long = vec![0; 65_536];
    tree.append(&long);
    let entry = |index| Ok(if index == 3 { long.clone() } else { leaf(index) });
    let first = publish(&tree, entry, 0, &note(&tree, 4)).unwrap().next().unwrap();
    assert_eq!(first, Err(PublishError::EntryTooLong { index: 3, length: 65_536 }));
    let shifted = |index| Ok(leaf(index + 1));
    let first = publish(&tree, shifted, 0, &note(&tree, 4)).unwrap().next().unwrap();
    let (expected, found) = (LogHash::of_leaf(&leaf(0)), LogHash::of_leaf(&leaf(1)));
    assert_eq!(first, Err(PublishError::Entry { index: 0, expected, found }));
}

proptest! {
    #[test]
    fn increments_add_up(sizes in prop::collection::btree_set(0_u64..2000, 1..6)) {
        let full = tree(*sizes.last().unwrap());
        let (mut since, mut files) = (0, Files::new());
        for size in sizes {
            let increment = export(&full, since, size);
            // Nothing is published twice but the checkpoint.
            for (path, bytes) in increment {
                let before = files.insert(path.clone(), bytes);
                prop_assert!(before.is_none() || path == CHECKPOINT, "{}", path);
            }
            let whole = export(&full, 0, size);
            prop_assert!(whole.iter().all(|(path, bytes)| files.get(path) == Some(bytes)));
            since = size;
        }
        prop_assert_eq!(export(&full, since, since).len(), 1);
        prop_assert_eq!(new_tiles(since + 1, since).count(), 0);
    }

    #[test]
    fn paths_read_back(level in 0_u8..9, index in any::<u64>(), shift in 0_u32..64, width in 1_u16..257) {
        let kind = if level == 8 { TileKind::Entries } else { TileKind::Hashes { level } };
        if let Some(path) = TilePath::new(kind, index >> shift, width) {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn what_parses_is_canonical(text in "tile/([0-9]|entries|data)/(x?[0-9]{1,4}/){0,2}[0-9]{1,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
