//! The history tree at a million leaves: append and root, build, prove, verify. The durable ledger in memory:
//! append and commit, read and prove.
//!
//! `cargo xtask bench ledger` measures the same beside other implementations and judges it by the limits; this
//! gives criterion's statistics, and a baseline to compare a change with.
#![expect(clippy::expect_used, reason = "a subject that cannot be made is a failed bench")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use federation_proto::entry::EpochOpened;
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, FederationId, Generation, Height, LedgerEntry,
    LogicalTime, SequenceNumber,
};
use ledger::durable::DurableLedger;
use ledger::merkle::LogHash;
use ledger::merkle::history::HistoryTree;
use ledger::merkle::verify::verify_inclusion;
use ledger::store::memory::MemoryStore;
use ledger::{Execution, Ledger};

/// A round size, and the one with the most subtrees to join.
const SIZES: [u64; 2] = [1_000_000, (1 << 20) - 1];

/// About the length of a block header.
const HEADER: usize = 224;

/// Blocks of a durable ledger: more than one tile. Entries of a block.
const BLOCKS: u64 = 600;
const ENTRIES: u64 = 256;

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

fn ledger_id() -> FederationId {
    FederationId::new(Digest::of_blob(b"genesis"))
}

fn item(number: u64) -> BatchItem {
    let digest = Digest::of_blob(b"any");
    BatchItem::Derived(LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: FederatedEpoch::new(number),
        generation: Generation::ZERO,
        base_state_hash: digest,
        config_digest: digest,
        policy_hash: digest,
    }))
}

fn chain() -> Ledger {
    let mut ledger = Ledger::new(ledger_id());
    for number in 1..=BLOCKS {
        let items = (0..ENTRIES).map(|entry| item(number * ENTRIES + entry)).collect();
        let batch = Batch { batch_time: LogicalTime::new(number), items };
        let execution = Execution {
            sequence: SequenceNumber::new(number),
            config_digest: Digest::ZERO,
            epoch: FederatedEpoch::ZERO,
            state_root_after: Digest::ZERO,
        };
        let header = ledger.next_header(&batch, &execution).expect("the next block");
        ledger.append(header, batch, vec![1; 360]).expect("the next block");
    }
    ledger
}

fn durable(chain: &Ledger, blocks: u64) -> DurableLedger<MemoryStore> {
    let mut ledger = DurableLedger::create(MemoryStore::new(), ledger_id()).expect("a new store");
    for block in chain.blocks().take(blocks as usize) {
        ledger.append(block).expect("a block that follows");
        ledger.commit().expect("a store in memory");
    }
    ledger
}

fn append_and_commit(criterion: &mut Criterion) {
    const GROUP: u64 = 16;
    let chain = chain();
    let mut group = criterion.benchmark_group("durable in memory");
    group.throughput(Throughput::Elements(GROUP * ENTRIES));
    group.bench_function(format!("append and commit {GROUP} blocks of {ENTRIES}"), |b| {
        b.iter_with_large_drop(|| durable(&chain, GROUP));
    });
    group.finish();
}

fn read_and_prove(criterion: &mut Criterion) {
    let ledger = durable(&chain(), BLOCKS);
    let mut places = (0_u64..).map(|turn| turn.wrapping_mul(STRIDE));
    let mut next = move || places.next().expect("an endless range");
    let mut group = criterion.benchmark_group("durable in memory");
    group.bench_function(format!("read a block of {ENTRIES}"), |b| {
        b.iter(|| ledger.block(Height::new(1 + next() % BLOCKS)).expect("a block"));
    });
    group.bench_function(format!("read a block of {ENTRIES}, prove an entry"), |b| {
        b.iter(|| {
            let (height, index) = (Height::new(1 + next() % BLOCKS), (next() % ENTRIES) as u32);
            ledger.prove_entry(height, index, BLOCKS).expect("an entry")
        });
    });
    group.finish();
}

criterion_group!(
    benches,
    append_and_root::<32>,
    append_and_root::<HEADER>,
    build,
    prove_and_verify,
    append_and_commit,
    read_and_prove
);
criterion_main!(benches);
