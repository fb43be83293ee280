//! Damaged, exchanged and invented files.

use super::*;

const SIZE: u64 = 66_000;

/// Every hash and every leaf through `files`; the first error, if there is one.
fn read(files: &Files, size: u64, root: LogHash) -> Result<(), TileError<&'static str>> {
    let reader = open(files, size, root)?;
    for index in (0..size).step_by(64).chain([size - 1]) {
        let leaf = reader.entry(index)?;
        let path = subtrees::inclusion(&reader, index, size)?;
        verify_inclusion(&LogHash::of_leaf(&leaf), index, size, &path, &root).unwrap();
    }
    Ok(())
}

fn path(text: &str) -> TilePath {
    text.parse().unwrap()
}

/// The refusal after one file has been changed.
fn refused(files: &Files, name: &str, change: impl Fn(&mut Vec<u8>)) -> TileError<&'static str> {
    let mut changed = files.clone();
    change(changed.get_mut(name).unwrap());
    read(&changed, SIZE, tree_root()).expect_err(name)
}

fn tree_root() -> LogHash {
    tree(SIZE).root()
}

#[test]
fn a_flipped_byte_in_any_tile_is_found_and_named() {
    // Sizes with one, two and three levels of tiles; every byte of the small one.
    for (size, step) in [(3, 1), (300, 97), (700, 211)] {
        let (full, root) = (tree(size), tree(size).root());
        let files = export(&full, 0, size);
        read(&files, size, root).unwrap();
        for (name, bytes) in files.iter().filter(|(name, _)| *name != CHECKPOINT) {
            for position in (0..bytes.len()).step_by(step) {
                let mut changed = files.clone();
                changed.get_mut(name).unwrap()[position] ^= 0x10;
                let error = read(&changed, size, root).expect_err(name);
                let named = path(name);
                match error {
                    TileError::Root { .. } => assert!(named.width() < TILE_WIDTH),
                    TileError::Tile { path, .. }
                    | TileError::Bundle { path, .. }
                    | TileError::Entry { path, .. } => assert_eq!(path, named),
                    other => panic!("{name}: {other}"),
                }
            }
        }
    }
}

#[test]
fn no_hash_of_a_wrong_tile_is_given() {
    // What a flipped hash would change is asked for itself: the reader knows no other answer.
    let (full, size) = (tree(600), 600);
    let root = full.root();
    for position in [0, 31, 32, 4000, 8191] {
        let mut files = export(&full, 0, size);
        files.get_mut("tile/0/001").unwrap()[position] ^= 1;
        let reader = open(&files, size, root).unwrap();
        for index in 0..size {
            match reader.subtree(0, index) {
                Ok(hash) => assert_eq!(hash, LogHash::of_leaf(&leaf(index))),
                Err(error) => {
                    assert!((256..512).contains(&index));
                    assert!(matches!(error, TileError::Tile { .. }));
                }
            }
        }
        // The whole tile is known from the tile above it.
        assert_eq!(reader.subtree(8, 1), full.subtree(8, 1).map_err(|_| unreachable!()));
    }
}

#[test]
fn short_and_long_tiles_are_refused() {
    let files = export(&tree(SIZE), 0, SIZE);
    for (name, expected) in [
        ("tile/0/000", 8192),
        ("tile/0/257.p/208", 6656),
        ("tile/1/000", 8192),
        ("tile/2/000.p/1", 32),
    ] {
        for found in [0, 1, expected - 32, expected - 1, expected + 1, expected + 32] {
            let error = refused(&files, name, |bytes| bytes.resize(found, 0));
            assert_eq!(error, TileError::Length { path: path(name), expected, found });
        }
    }
    let name = "tile/entries/000";
    for (change, leaf) in [(-1_isize, 255), (1, 256)] {
        let error = refused(&files, name, |bytes| {
            bytes.resize(bytes.len().checked_add_signed(change).unwrap(), 0);
        });
        assert_eq!(error, TileError::Bundle { path: path(name), leaf });
    }
    let error = refused(&files, name, Vec::clear);
    assert_eq!(error, TileError::Bundle { path: path(name), leaf: 0 });
    // A length that points beyond the file.
    let error = refused(&files, name, |bytes| bytes[..2].copy_from_slice(&[0xff, 0xff]));
    assert_eq!(error, TileError::Bundle { path: path(name), leaf: 0 });
}

#[test]
fn a_tile_in_another_s_place_is_refused() {
    let files = export(&tree(SIZE), 0, SIZE);
    for (name, other) in [
        ("tile/0/001", "tile/0/000"),
        ("tile/0/000", "tile/1/000"),
        ("tile/1/000", "tile/0/000"),
        ("tile/entries/001", "tile/entries/000"),
    ] {
        let error = refused(&files, name, |bytes| bytes.clone_from(&files[other]));
        let named = match error {
            TileError::Tile { path, .. } | TileError::Entry { path, .. } => path,
            other => panic!("{name}: {other}"),
        };
        assert_eq!(named, path(name));
    }
    for name in ["tile/0/000", "tile/2/000.p/1", "tile/entries/257.p/208"] {
        let mut without = files.clone();
        without.remove(name).unwrap();
        let error = read(&without, SIZE, tree_root()).unwrap_err();
        assert_eq!(error, TileError::Fetch { path: path(name), cause: "absent" });
    }
}

#[test]
fn files_of_another_tree_are_refused() {
    let mut other = tree(SIZE);
    let size = other.size();
    let mut changed = HistoryTree::new();
    changed.append(b"another first leaf");
    for index in 1..size {
        changed.append(&leaf(index));
    }
    let entry = |index| Ok(if index == 0 { b"another first leaf".to_vec() } else { leaf(index) });
    let files: Files =
        publish(&changed, entry, 0, &note(&changed, size)).unwrap().map(Result::unwrap).collect();
    let (expected, computed) = (other.root(), changed.root());
    let refused = open(&files, size, expected).unwrap_err();
    assert_eq!(refused, TileError::Root { size, expected, computed });
    // Border tiles of the true tree, everything else of the other one.
    let mut mixed = files.clone();
    let border = export(&other, 0, size);
    mixed.extend(border.into_iter().filter(|(name, _)| name.contains(".p/")));
    let error = read(&mixed, size, expected).unwrap_err();
    assert!(matches!(error, TileError::Tile { path: at, .. } if at == path("tile/1/000")));
    // The right tree, but at a size that was not signed.
    let files = export(&other, 0, size);
    other.append(b"");
    assert!(open(&files, size + 1, other.root()).is_err());
    assert!(open(&files, size - 208, other.root()).is_err());
    assert!(open(&Files::new(), 0, LogHash::EMPTY_ROOT).is_ok());
    assert!(open(&Files::new(), 0, other.root()).is_err());
}

proptest! {
    #[test]
    fn no_answer_is_wrong(
        size in 1_u64..1500,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1_u8..), 1..4),
        index in any::<prop::sample::Index>(),
    ) {
        let full = tree(size);
        let mut files = export(&full, 0, size);
        let names: Vec<String> = files.keys().filter(|name| *name != CHECKPOINT).cloned().collect();
        for (name, position, flip) in flips {
            let bytes = files.get_mut(name.get(&names)).unwrap();
            if !bytes.is_empty() {
                let position = position.index(bytes.len());
                bytes[position] ^= flip;
            }
        }
        let index = index.index(size as usize) as u64;
        if let Ok(reader) = open(&files, size, full.root()) {
            if let Ok(path) = subtrees::inclusion(&reader, index, size) {
                prop_assert_eq!(Ok(path), full.inclusion_proof(index, size));
            }
            if let Ok(found) = reader.entry(index) {
                prop_assert_eq!(found, leaf(index));
            }
        }
    }
}
