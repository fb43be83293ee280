//! What a decided block costs all replicas together, beside the signatures that nobody can do without.
//!
//! The replicas run in one process on a network that delivers everything in order; records are durable at once. A
//! block is a batch with one small entry; every 32 blocks there is a checkpoint, whose cost is spread over them. No
//! bytes are decoded.
//!
//! The floor is computed, from the cost of one signature and one strict verification in the same round. To decide a
//! block, a backup needs the PRE-PREPARE, PREPAREs of q−2 others and COMMITs of q−1 others; the primary q−1 of each;
//! and each replica signs twice. Replicas in a simulation share a memo of verified signatures: their floor is each
//! signature made once and verified once.

mod world;

use std::time::Instant;

use federation_proto::keys::{Consensus, SecretKey};
use federation_proto::quorum;

use self::world::World;
use super::cpu::Mark;
use super::memory::resident;
use super::rounds::Comparison;
use super::{BarOf, BenchError, Row};

/// Most that a block may cost by its floor.
const BY_FLOOR: f64 = 1.8;

/// Rounds of which the median is told.
const ROUNDS: usize = 5;

/// Bytes that an envelope's signature covers: the preimage.
const PREIMAGE: usize = 105;

/// One size of committee.
struct Subject {
    replicas: usize,
    memoised: bool,
    /// Blocks in one round.
    blocks: u64,
    /// Milliseconds of CPU time that a block may take.
    bar: Option<f64>,
    /// What it may take by its floor.
    by_floor: Option<f64>,
}

const SUBJECTS: [Subject; 7] = [
    Subject { replicas: 4, memoised: false, blocks: 128, bar: Some(1.5), by_floor: Some(BY_FLOOR) },
    Subject { replicas: 7, memoised: false, blocks: 64, bar: Some(4.0), by_floor: Some(BY_FLOOR) },
    Subject { replicas: 31, memoised: false, blocks: 4, bar: None, by_floor: Some(BY_FLOOR) },
    Subject { replicas: 100, memoised: false, blocks: 1, bar: None, by_floor: Some(BY_FLOOR) },
    Subject { replicas: 4, memoised: true, blocks: 128, bar: None, by_floor: None },
    Subject { replicas: 31, memoised: true, blocks: 32, bar: Some(6.0), by_floor: None },
    Subject { replicas: 100, memoised: true, blocks: 8, bar: Some(25.0), by_floor: None },
];

/// Mebibytes that the process may hold with a hundred replicas in it.
const MEMORY_BAR: f64 = 1_000.0;

/// Blocks over which memory may not grow: some forty windows.
const LONG_RUN: u64 = 2_048;

/// Bytes a block by which resident memory may seem to grow: a few pages of the allocator's over the whole run.
const GROWTH_BAR: f64 = 32.0;

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    let mut rows = growth()?.into_iter().collect::<Vec<_>>();
    for subject in &SUBJECTS {
        rows.extend(subject.rows()?);
    }
    Ok(rows)
}

impl Subject {
    fn rows(&self) -> Result<Vec<Row>, BenchError> {
        let n = self.replicas;
        let mut world = World::new(n, self.memoised)?;
        world.decide(2)?;
        let (mut costs, mut floors) = (Vec::new(), Vec::new());
        let verified = world.verified();
        for _ in 0..ROUNDS {
            let (sign, verify) = primitives()?;
            let mark = Mark::now();
            world.decide(self.blocks)?;
            costs.push(mark.elapsed_ms() / self.blocks as f64);
            floors.push(self.signatures() * sign + self.verifications() * verify);
        }
        let per_block = (world.verified() - verified) as f64 / (self.blocks * ROUNDS as u64) as f64;
        let kind = if self.memoised { "memoised" } else { "strict" };
        let block = |what: &str, bar, bar_of| {
            Comparison {
                area: "consensus",
                name: format!("{what} n={n}, {kind}"),
                unit: "ms CPU",
                values: &costs,
                reference: "signature floor".to_owned(),
                references: &floors,
                bar,
                bar_of,
            }
            .row()
        };
        let mut rows = vec![block("block,", self.bar, BarOf::Value)];
        if self.by_floor.is_some() {
            rows.push(block("block by its floor,", self.by_floor, BarOf::Ratio));
        }
        if !self.memoised {
            let name = format!("accepted messages a block, n={n}");
            rows.push(single(name, "messages", per_block, ("floor", self.verifications()), None));
        } else if let (100, Some(held)) = (n, resident()) {
            let mebibytes = held as f64 / f64::from(1 << 20);
            let name = format!("memory, n={n}");
            let limit = ("limit", MEMORY_BAR);
            rows.push(single(name, "MiB", mebibytes, limit, Some(MEMORY_BAR)));
        }
        Ok(rows)
    }

    /// Signatures that must be made.
    fn signatures(&self) -> f64 {
        2.0 * self.replicas as f64
    }

    /// Signatures that must be verified.
    fn verifications(&self) -> f64 {
        if self.memoised {
            return self.signatures();
        }
        let (n, q) = (self.replicas as f64, quorum::quorum(self.replicas) as f64);
        (n - 1.0) * (1.0 + (q - 2.0) + (q - 1.0)) + 2.0 * (q - 1.0)
    }
}

/// What a replica keeps is bounded by its window, not by how long it runs.
fn growth() -> Result<Option<Row>, BenchError> {
    // No memo, for that one does grow.
    let mut world = World::new(4, false)?;
    world.decide(LONG_RUN / 8)?;
    let before = resident();
    world.decide(LONG_RUN)?;
    let grown = before.zip(resident()).map(|(before, after)| after.saturating_sub(before));
    Ok(grown.map(|grown| {
        let each = grown as f64 / LONG_RUN as f64;
        let name = format!("memory grown in {LONG_RUN} blocks, n=4");
        single(name, "B a block", each, ("limit", GROWTH_BAR), Some(GROWTH_BAR))
    }))
}

/// Milliseconds of one signature and of one strict verification.
fn primitives() -> Result<(f64, f64), BenchError> {
    // Long enough for CPU time that is counted in ticks of milliseconds.
    const REPETITIONS: u32 = 2_000;
    let key = SecretKey::<Consensus>::synthetic("bench", "primitive");
    let verifier = key.public().check().map_err(|cause| BenchError::Subject(cause.to_string()))?;
    let message = [7; PREIMAGE];
    let timed = |act: &mut dyn FnMut()| {
        let (mark, wall) = (Mark::now(), Instant::now());
        (0..REPETITIONS).for_each(|_| act());
        let elapsed = mark.elapsed_ms();
        let elapsed = if elapsed > 0.0 { elapsed } else { wall.elapsed().as_secs_f64() * 1e3 };
        elapsed / f64::from(REPETITIONS)
    };
    let signature = key.sign_raw(&message);
    let sign = timed(&mut || {
        std::hint::black_box(key.sign_raw(std::hint::black_box(&message)));
    });
    let verify = timed(&mut || {
        std::hint::black_box(verifier.verify_raw(std::hint::black_box(&message), &signature));
    });
    Ok((sign, verify))
}

fn single(
    name: String,
    unit: &'static str,
    value: f64,
    (reference, of): (&str, f64),
    bar: Option<f64>,
) -> Row {
    let reference = reference.to_owned();
    let (values, references) = (&[value][..], &[of][..]);
    let (area, bar_of) = ("consensus", BarOf::Value);
    Comparison { area, name, unit, values, reference, references, bar, bar_of }.row()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_counts_what_a_quorum_needs() {
        let subject = |replicas, memoised| Subject {
            replicas,
            memoised,
            blocks: 1,
            bar: None,
            by_floor: None,
        };
        // n=4, q=3: each of three backups checks 1 PRE-PREPARE, 1 PREPARE, 2 COMMITs; the primary 2 and 2.
        assert_eq!(subject(4, false).verifications(), 16.0);
        assert_eq!(subject(4, true).verifications(), 8.0);
        assert_eq!(subject(4, false).signatures(), 8.0);
    }

    #[test]
    fn every_replica_decides_every_block() {
        let mut world = World::new(4, false).expect("a world");
        world.decide(70).expect("decided");
        // Nobody can decide with fewer checks than the floor; nobody needs more than every vote of every other.
        let each = world.verified() as f64 / 70.0;
        assert!((16.0..=28.0).contains(&each), "{each}");
    }
}
