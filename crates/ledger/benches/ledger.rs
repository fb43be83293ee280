//! The history tree at a million leaves: append and root, build, prove, verify.
//!
//! `cargo xtask bench ledger` measures the same beside other implementations and judges it by the limits; this
//! gives criterion's statistics, and a baseline to compare a change with.
#![expect(clippy::expect_used, reason = "a subject that cannot be made is a failed bench")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ledger::merkle::LogHash;
use ledger::merkle::history::HistoryTree;
use ledger::merkle::verify::verify_inclusion;

/// A round size, and the one with the most subtrees to join.
const SIZES: [u64; 2] = [1_000_000, (1 << 20) - 1];

/// About the length of a block header.
const HEADER: usize = 224;

/// Large and odd, so that its multiples visit the leaves in no order.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

fn leaf<const N: usize>(index: u64) -> [u8; N] {
    let mut leaf = [0; N];
    leaf[..8].copy_from_slice(&index.to_le_bytes());
    leaf
}

fn tree<const N: usize>(size: u64) -> HistoryTree {
    let mut tree = HistoryTree::new();
    for index in 0..size {
        tree.append(&leaf::<N>(index));
    }
    tree
}

/// The tree goes on growing: the mean over the sizes that follow.
fn append_and_root<const N: usize>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("append and root, {N} B"));
    for size in SIZES {
        let mut tree = tree::<N>(size);
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                tree.append(&leaf::<N>(tree.size()));
                tree.root()
            });
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build, 32 B");
    group.sample_size(10);
    for size in SIZES {
        let id = BenchmarkId::from_parameter(size);
        group.bench_function(id, |b| b.iter(|| tree::<32>(black_box(size)).root()));
    }
    group.finish();
}

fn prove_and_verify(criterion: &mut Criterion) {
    for size in SIZES {
        let tree = tree::<32>(size);
        let root = tree.root();
        let mut indices = (0_u64..).map(|turn| turn.wrapping_mul(STRIDE) % size);
        let mut next = move || indices.next().expect("an endless range");
        criterion.bench_function(&format!("prove/{size}"), |b| {
            b.iter(|| tree.inclusion_proof(next(), size).expect("a leaf of the tree"));
        });
        let index = next();
        let path = tree.inclusion_proof(index, size).expect("a leaf of the tree");
        criterion.bench_function(&format!("verify/{size}"), |b| {
            b.iter(|| {
                let hash = LogHash::of_leaf(&leaf::<32>(black_box(index)));
                verify_inclusion(&hash, index, size, &path, &root).expect("a good proof");
            });
        });
    }
}

criterion_group!(
    benches,
    append_and_root::<32>,
    append_and_root::<HEADER>,
    build,
    prove_and_verify
);
criterion_main!(benches);
