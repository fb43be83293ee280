//! The history tree at a million leaves: memory, append and root, build, prove, verify.
//!
//! The bars are times, set on two shared cores with SHA instructions; the peers show what a machine is worth.

use std::fmt::Display;
use std::hint::black_box;

use ledger::merkle::LogHash;
use ledger::merkle::history::HistoryTree;
use ledger::merkle::verify::verify_inclusion;
use rs_merkle::Hasher as _;
use sha2::{Digest as _, Sha256};

use super::peers::{self, CtTree, Numbered, Rfc6962, RsTree, leaf};
use crate::bench::rounds::{self, Comparison, Operation, repeated};
use crate::bench::{BarOf, BenchError, Row, memory};

/// Leaves.
const SIZE: u64 = 1_000_000;
/// The size near it that has the most subtrees to join, 20, and one append before it has one.
const WORST: u64 = (1 << 20) - 1;
/// Bytes of a leaf that is a hash, and about the bytes of a block header.
const SHORT: usize = 32;
const HEADER: usize = 224;

/// Bytes of memory a leaf.
const MEMORY_BAR: f64 = 70.0;
/// Microseconds to append a leaf and know the root.
const APPEND_BAR: f64 = 1.2;
/// Milliseconds to build the tree.
const BUILD_BAR: f64 = 250.0;
/// Microseconds a proof: 600,000 a second.
const PROVE_BAR: f64 = 1.667;
/// Microseconds a verification: 240,000 a second.
const VERIFY_BAR: f64 = 4.167;

/// Appends of one turn: long enough that a turn is never repeated, so all trees go through the same sizes.
const APPENDS: u32 = 2048;
/// Rounds of appending. From [`SIZE`] on they end just before 2^20, where a tree has the most subtrees to join.
const APPEND_ROUNDS: usize = 21;
/// Rounds of building, which takes long.
const BUILD_ROUNDS: usize = 7;
/// Proofs that are verified in turn.
const PROOFS: u64 = 1024;
/// Large and odd, so that its multiples visit the leaves in no order.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    // Memory first: what was freed before would be used again, and nothing would seem to be taken.
    let mut rows: Vec<Row> = memory_of_a_leaf().into_iter().collect();
    rows.extend(append_and_root::<SHORT>(SIZE)?);
    rows.extend(append_and_root::<HEADER>(SIZE)?);
    rows.extend(append_and_root::<SHORT>(WORST)?);
    rows.extend(append_and_root::<HEADER>(WORST)?);
    rows.extend(build());
    rows.extend(prove_and_verify()?);
    Ok(rows)
}

/// Our rounds and each peer's beside them.
pub(super) fn rows(
    name: &str,
    (unit, bar): (&'static str, Option<f64>),
    values: &[f64],
    peers: &[(&str, &[f64])],
) -> Vec<Row> {
    let row = |(reference, references): &(&str, &[f64])| {
        Comparison {
            area: "ledger",
            name: name.to_owned(),
            unit,
            values,
            reference: (*reference).to_owned(),
            references,
            bar,
            bar_of: BarOf::Value,
        }
        .row()
    };
    peers.iter().map(row).collect()
}

/// Nothing where the system does not tell.
fn memory_of_a_leaf() -> Vec<Row> {
    let per_leaf = |before: Option<u64>, after: Option<u64>| {
        let held = after?.checked_sub(before?)?;
        Some(held as f64 / SIZE as f64)
    };
    let start = memory::resident();
    let ours = black_box(peers::ours::<SHORT>(SIZE));
    let middle = memory::resident();
    let ct = black_box(peers::ct::<SHORT>(SIZE));
    let end = memory::resident();
    // Both live until here, so neither stands where the other was.
    drop((ours, ct));
    let (Some(ours), Some(ct)) = (per_leaf(start, middle), per_leaf(middle, end)) else {
        return Vec::new();
    };
    let peer = "ct-merkle, of it 8 B leaf";
    rows("resident memory of a leaf", ("B", Some(MEMORY_BAR)), &[ours], &[(peer, &[ct])])
}

/// The mean over the sizes that follow `size`.
fn append_and_root<const N: usize>(size: u64) -> Result<Vec<Row>, BenchError> {
    let (mut ours, mut ct) = (peers::ours::<N>(size), peers::ct::<N>(size));
    same_root(&ours.root(), &peers::ct_root(&ct))?;
    let mut operations: [Operation<'_>; 2] = [
        Box::new(repeated(|| {
            for _ in 0..APPENDS {
                ours.append(&leaf::<N>(ours.size()));
                black_box(ours.root());
            }
        })),
        Box::new(repeated(|| {
            for _ in 0..APPENDS {
                ct.push(Numbered(ct.len()));
                black_box(ct.root());
            }
        })),
    ];
    let times = rounds::measure(APPEND_ROUNDS, &mut operations);
    let times = scaled(&times, 1.0 / f64::from(APPENDS));
    let [ours, ct] = times.as_slice() else { return Ok(Vec::new()) };
    let name = format!("append {N} B and root, from {size}");
    Ok(rows(&name, ("µs", Some(APPEND_BAR)), ours, &[("ct-merkle", ct)]))
}

fn build() -> Vec<Row> {
    let node = [0x01_u8; 65];
    let mut operations: [Operation<'_>; 4] = [
        Box::new(repeated(|| peers::ours::<SHORT>(SIZE).root())),
        Box::new(repeated(|| {
            for _ in 0..2 * SIZE {
                black_box(Sha256::digest(black_box(node)));
            }
        })),
        Box::new(repeated(|| peers::rs::<SHORT>(SIZE).root())),
        Box::new(repeated(|| peers::ct_root(&peers::ct::<SHORT>(SIZE)))),
    ];
    let times = scaled(&rounds::measure(BUILD_ROUNDS, &mut operations), 1e-3);
    let [ours, raw, rs, ct] = times.as_slice() else { return Vec::new() };
    let peers: [(&str, &[f64]); 3] =
        [("2 M times SHA-256 of 65 B", raw), ("rs_merkle", rs), ("ct-merkle", ct)];
    rows(&format!("build {SIZE} of {SHORT} B"), ("ms", Some(BUILD_BAR)), ours, &peers)
}

fn prove_and_verify() -> Result<Vec<Row>, BenchError> {
    let subject = Subject::new(SIZE)?;
    let mut rows = subject.prove(Some(PROVE_BAR));
    rows.extend(subject.verify()?);
    // Nearly every proof of this size computes a sibling that is not kept; the bar is not for it.
    rows.extend(Subject::new(WORST)?.prove(None));
    Ok(rows)
}

/// One tree three times.
struct Subject {
    size: u64,
    ours: HistoryTree,
    ct: CtTree<SHORT>,
    rs: RsTree,
}

impl Subject {
    fn new(size: u64) -> Result<Self, BenchError> {
        let (ours, ct) = (peers::ours::<SHORT>(size), peers::ct::<SHORT>(size));
        let rs = peers::rs::<SHORT>(size);
        same_root(&ours.root(), &peers::ct_root(&ct))?;
        let rs_root = rs.root().map_or(LogHash::EMPTY_ROOT, LogHash::from_bytes);
        same_root(&ours.root(), &rs_root)?;
        Ok(Self { size, ours, ct, rs })
    }

    /// Leaves of the tree in no order.
    fn leaves(&self) -> impl FnMut() -> u64 + use<> {
        let (size, mut turn) = (self.size, 0_u64);
        move || {
            turn = turn.wrapping_add(STRIDE);
            turn % size
        }
    }

    fn prove(&self, bar: Option<f64>) -> Vec<Row> {
        let (mut ours, mut ct, mut rs) = (self.leaves(), self.leaves(), self.leaves());
        let mut operations: [Operation<'_>; 3] = [
            Box::new(repeated(move || self.ours.inclusion_proof(ours(), self.size))),
            Box::new(repeated(move || self.ct.prove_inclusion(ct() as usize))),
            Box::new(repeated(move || self.rs.proof(&[rs() as usize]))),
        ];
        let times = rounds::measure(rounds::ROUNDS, &mut operations);
        let [ours, ct, rs] = times.as_slice() else { return Vec::new() };
        let name = format!("prove 1 of {}", self.size);
        rows(&name, ("µs", bar), ours, &[("ct-merkle", ct), ("rs_merkle", rs)])
    }

    /// Every verification hashes the leaf, too.
    fn verify(&self) -> Result<Vec<Row>, BenchError> {
        let mut next = self.leaves();
        let indices: Vec<u64> = (0..PROOFS).map(|_| next()).collect();
        let (root, ct_root) = (self.ours.root(), self.ct.root());
        let rs_root = *root.as_bytes();
        let mut ours = Vec::new();
        for index in &indices {
            let path = self.ours.inclusion_proof(*index, self.size).map_err(refused)?;
            ours.push((*index, path));
        }
        let ct = indices.iter().map(|index| (*index, self.ct.prove_inclusion(*index as usize)));
        let ct: Vec<_> = ct.collect();
        let rs = indices.iter().map(|index| (*index as usize, self.rs.proof(&[*index as usize])));
        let rs: Vec<_> = rs.collect();

        let verify_ours = |(index, path): &(u64, Vec<LogHash>)| {
            let hash = LogHash::of_leaf(&leaf::<SHORT>(*index));
            verify_inclusion(&hash, *index, self.size, path, &root).is_ok()
        };
        let verify_ct = |(index, proof): &(u64, _)| {
            ct_root.verify_inclusion(&Numbered::<SHORT>(*index), *index, proof).is_ok()
        };
        let total = self.size as usize;
        let verify_rs = |(index, proof): &(usize, rs_merkle::MerkleProof<Rfc6962>)| {
            let hash = Rfc6962::hash(&leaf::<SHORT>(*index as u64));
            proof.verify(rs_root, &[*index], &[hash], total)
        };
        // What is measured must work, or it is fast for a wrong reason.
        if !(ours.iter().all(verify_ours) && ct.iter().all(verify_ct) && rs.iter().all(verify_rs)) {
            return Err(refused("a proof does not verify"));
        }
        let mut operations: [Operation<'_>; 3] = [
            Box::new(repeated(in_turn(&ours, verify_ours))),
            Box::new(repeated(in_turn(&ct, verify_ct))),
            Box::new(repeated(in_turn(&rs, verify_rs))),
        ];
        let times = rounds::measure(rounds::ROUNDS, &mut operations);
        let [ours, ct, rs] = times.as_slice() else { return Ok(Vec::new()) };
        let name = format!("verify 1 of {}", self.size);
        Ok(rows(&name, ("µs", Some(VERIFY_BAR)), ours, &[("ct-merkle", ct), ("rs_merkle", rs)]))
    }
}

/// An act on one item after the other, over and over.
fn in_turn<'a, I, T>(items: &'a [I], act: impl Fn(&I) -> T + 'a) -> impl FnMut() -> Option<T> + 'a {
    let mut items = items.iter().cycle();
    move || items.next().map(&act)
}

/// Every time in another unit.
fn scaled(times: &[Vec<f64>], factor: f64) -> Vec<Vec<f64>> {
    times.iter().map(|times| times.iter().map(|time| time * factor).collect()).collect()
}

fn same_root(ours: &LogHash, theirs: &LogHash) -> Result<(), BenchError> {
    if ours == theirs {
        return Ok(());
    }
    Err(refused(format!("our root is {ours}, a peer's {theirs}")))
}

pub(super) fn refused(cause: impl Display) -> BenchError {
    BenchError::Subject(cause.to_string())
}
