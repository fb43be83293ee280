//! `tlog_tiles`, an independent implementation, reads our files; its proofs and ours are the same.

use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog::{self, Hash, check_record, check_tree, prove_record, prove_tree};

use super::*;

/// Our files under the names of the Go checksum database, which carry the height of tiles.
struct Server<'a>(&'a Files);

fn renamed(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1).replacen("tile/data/", "tile/entries/", 1)
}

impl TileReader for Server<'_> {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile| self.0.get(&renamed(tile)).cloned().ok_or(tlog::Error::InvalidTile);
        tiles.iter().map(read).collect()
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn theirs(hash: LogHash) -> Hash {
    Hash(*hash.as_bytes())
}

fn ours(hashes: &[Hash]) -> Vec<LogHash> {
    hashes.iter().map(|hash| LogHash::from_bytes(hash.0)).collect()
}

fn compare(full: &HistoryTree, size: u64) {
    let files = export(full, 0, size);
    let root = full.root_at(size).unwrap();
    let server = Server(&files);
    let oracle = TileHashReader::new(size, theirs(root), &server);
    let reader = open(&files, size, root).unwrap();
    for index in probes(size) {
        let leaf = LogHash::of_leaf(&leaf(index));
        let proof = prove_record(size, index, &oracle).unwrap();
        verify_inclusion(&leaf, index, size, &ours(&proof), &root).unwrap();
        let path = subtrees::inclusion(&reader, index, size).unwrap();
        let path: Vec<Hash> = path.into_iter().map(theirs).collect();
        check_record(&path, size, theirs(root), index, theirs(leaf)).unwrap();
    }
    for old in probes(size).into_iter().filter(|old| *old > 0) {
        let old_root = full.root_at(old).unwrap();
        let proof = prove_tree(size, old, &oracle).unwrap();
        verify_consistency(old, &old_root, size, &root, &ours(&proof)).unwrap();
        let proof = subtrees::consistency(&reader, old, size).unwrap();
        let proof: Vec<Hash> = proof.into_iter().map(theirs).collect();
        check_tree(&proof, size, theirs(root), old, theirs(old_root)).unwrap();
    }
}

#[test]
fn tlog_tiles_reads_what_we_publish_at_every_border() {
    let full = tree(65_537);
    for size in SIZES {
        compare(&full, size);
    }
}

#[test]
fn tlog_tiles_names_the_same_tiles() {
    for (since, size) in SIZES.iter().flat_map(|since| SIZES.map(|size| (*since, size))) {
        if since > size {
            continue;
        }
        let hashes = Tile::new_tiles(8, since, size);
        let mut entries: Vec<Tile> =
            hashes.iter().filter(|tile| tile.level() == 0).copied().collect();
        entries.iter_mut().for_each(Tile::set_is_data);
        let expected: Vec<String> = entries.iter().chain(&hashes).map(renamed).collect();
        let found: Vec<String> = new_tiles(since, size).map(|path| path.to_string()).collect();
        assert_eq!(found, expected, "from {since} to {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tlog_tiles_reads_what_we_publish(size in 0_u64..3000) {
        compare(&tree(size), size);
    }

    #[test]
    fn tlog_tiles_reads_the_same_paths(
        // Levels and indices that exist in 64 bits; a width of 0 would make the oracle panic.
        text in "tile/[0-3]/(x[0-9]{3}/){0,2}[0-9]{3}(\\.p/(0[1-9]|[1-9][0-9]{0,2}))?",
    ) {
        let theirs = Tile::from_path(&text.replacen("tile/", "tile/8/", 1)).ok();
        let ours = text.parse::<TilePath>().ok();
        prop_assert_eq!(theirs.map(|tile| renamed(&tile)), ours.map(|path| path.to_string()));
    }
}
