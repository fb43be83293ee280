//! What a large history tree holds in memory.
//!
//! The counting allocator is `allocation-counter`'s: it counts per thread, so the other tests do not disturb.

use ledger::merkle::LogHash;
use ledger::merkle::history::HistoryTree;

/// Bytes a leaf: two hashes are 64, the rest is the unfilled chunk of each level and the lists of chunks.
const MOST: u64 = 70;

/// A round size, and the two around which a list that doubles is at its best and at its worst.
const SIZES: [u64; 3] = [1_000_000, 1 << 20, (1 << 20) + 1];

#[test]
fn a_leaf_takes_two_hashes_of_memory_and_little_more() {
    for size in SIZES {
        let mut tree = HistoryTree::new();
        let measured = allocation_counter::measure(|| {
            for _ in 0..size {
                // What is hashed does not change what is held.
                tree.append_hash(LogHash::EMPTY_ROOT);
            }
        });
        assert_eq!(tree.size(), size);
        // Not even while it grows is there a second copy of it.
        let held = measured.bytes_max;
        assert!(held <= MOST * size, "{held} bytes for {size} leaves");
        assert!(measured.bytes_current >= 64 * size.cast_signed() - 64, "the tree is not counted");
    }
}
