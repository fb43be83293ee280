//! Sizes far beyond what a test can build: a tree of equal leaves, whose subtrees of one level are all the same.

use std::cell::Cell;

use super::*;

const LEAF: &[u8] = b"the same leaf";

/// Around the borders of 32 bits, of every upper level of tiles, and of what 64 bits can say.
const HUGE: [u64; 10] = [
    (1 << 32) - 1,
    1 << 32,
    (1 << 32) + 1,
    (1 << 40) + 70_000,
    (1 << 56) - 1,
    1 << 56,
    (1 << 56) + 257,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// The tree of so many equal leaves.
struct Uniform {
    size: u64,
    levels: Vec<LogHash>,
}

impl Uniform {
    fn new(size: u64) -> Self {
        let above = |hash: &LogHash| Some(LogHash::of_node(hash, hash));
        let levels = std::iter::successors(Some(LogHash::of_leaf(LEAF)), above).take(64).collect();
        Self { size, levels }
    }

    /// What a file server holds.
    fn file(&self, path: &TilePath) -> Option<Vec<u8>> {
        let level = match path.kind() {
            TileKind::Hashes { level } => TILE_HEIGHT * u32::from(level),
            TileKind::Entries => 0,
        };
        let items = self.size >> level;
        let rest = items - items.min(path.index() * u64::from(TILE_WIDTH));
        if rest.min(TILE_WIDTH.into()) != u64::from(path.width()) {
            return None;
        }
        let item = match path.kind() {
            TileKind::Hashes { .. } => self.levels[level as usize].as_bytes().to_vec(),
            TileKind::Entries => [&[0, LEAF.len() as u8], LEAF].concat(),
        };
        Some(item.repeat(path.width().into()))
    }
}

impl Subtrees for Uniform {
    type Error = &'static str;

    fn subtree(&self, level: u32, index: u64) -> Result<LogHash, Self::Error> {
        let complete = self.size.checked_shr(level).is_some_and(|complete| index < complete);
        complete.then(|| self.levels[level as usize]).ok_or("not complete")
    }
}

/// Indices, or sizes less one, around every power of two below `size`.
fn borders(size: u64) -> BTreeSet<u64> {
    let powers = (0..64).map(|exponent| 1_u64 << exponent);
    let near = powers.flat_map(|at| [at - 1, at, at.saturating_add(1)]);
    near.chain([size / 3, size - 1, size - 2]).filter(|at| *at < size).collect()
}

#[test]
fn every_size_of_64_bits_is_read_and_proven_in_a_few_files() {
    for size in HUGE {
        let uniform = Uniform::new(size);
        let root = subtrees::root(&uniform, size).unwrap();
        let fetched = Cell::new(0);
        let fetch = |path: &TilePath| {
            fetched.set(fetched.get() + 1);
            uniform.file(path).ok_or("absent")
        };
        let reader = TileTree::open(size, root, fetch).unwrap();
        for index in borders(size) {
            fetched.set(0);
            let path = subtrees::inclusion(&reader, index, size).unwrap();
            assert_eq!(Ok(&path), subtrees::inclusion(&uniform, index, size).as_ref());
            verify_inclusion(&LogHash::of_leaf(LEAF), index, size, &path, &root).unwrap();
            assert_eq!(reader.entry(index).unwrap(), LEAF);
            let old = index + 1;
            let old_root = subtrees::root(&reader, old).unwrap();
            let proof = subtrees::consistency(&reader, old, size).unwrap();
            verify_consistency(old, &old_root, size, &root, &proof).unwrap();
            assert!(fetched.get() <= 40, "{} files", fetched.get());
        }
    }
}

#[test]
fn a_lying_server_of_a_huge_log_is_caught_at_the_file() {
    for size in HUGE {
        let uniform = Uniform::new(size);
        let root = subtrees::root(&uniform, size).unwrap();
        for level in 0..LEVELS as u8 {
            let fetch = |path: &TilePath| {
                let mut bytes = uniform.file(path).ok_or("absent")?;
                if path.kind() == (TileKind::Hashes { level }) {
                    bytes[17] ^= 1;
                }
                Ok::<_, &str>(bytes)
            };
            // Leaf 0 needs the first tile of every level.
            let lied = TileTree::open(size, root, fetch).and_then(|reader| reader.entry(0));
            let levels = (u64::BITS - size.leading_zeros()).div_ceil(TILE_HEIGHT);
            assert_eq!(lied.is_err(), u32::from(level) < levels, "size {size}, level {level}");
        }
    }
}
