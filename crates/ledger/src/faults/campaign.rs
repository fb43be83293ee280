//! All faults of one seed.

use std::collections::BTreeMap;

use super::disk::{Disk, Fault, Step, after_power_loss, apply};
use super::oracle::{Kind, Outcome, Violation, judge};
use super::random::Random;
use super::workload::{Progress, Workload};
use crate::durable::DurableLedger;
use crate::store::StoreError;
use crate::store::redb::RedbStore;

/// Power losses at each step.
const POWER_LOSSES: usize = 3;

/// Bits that are flipped, of one seed.
const FLIPS: u64 = 300;

/// Truncations of one seed.
const TRUNCATIONS: u64 = 20;

/// What became of the faults, by kind: how many there were, and how many were answered by a typed error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<Kind, (u64, u64)>);

impl Tally {
    /// All faults.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.0.values().map(|(faults, _)| faults).sum()
    }

    /// Takes in another tally.
    pub fn add(&mut self, other: &Self) {
        for (kind, (faults, refused)) in &other.0 {
            let sum = self.0.entry(*kind).or_default();
            *sum = (sum.0 + faults, sum.1 + refused);
        }
    }
}

/// A recorded run: the steps of the disk, and how far the workload was at each.
struct Recording {
    seed: u64,
    workload: Workload,
    steps: Vec<Step>,
    /// Number of steps when a commit returned.
    commits: Vec<(usize, Progress)>,
    random: Random,
    tally: Tally,
}

/// Injects every fault that a seed decides.
///
/// # Errors
/// The first [`Violation`].
pub fn run_seed(seed: u64) -> Result<Tally, Violation> {
    let workload = Workload::new(seed);
    let disk = Disk::default();
    let mut commits = Vec::new();
    let (progress, done) = workload.run(RedbStore::with_backend(disk.clone()), |progress| {
        commits.push((disk.step_count(), progress));
    });
    if done.is_err() || progress.acknowledged != workload.models.len() {
        let found = format!("the workload itself failed: {done:?}");
        return Err(Violation { seed, kind: Kind::PowerLoss, at: 0, found });
    }
    let random = Random::new(seed, "faults");
    let steps = disk.steps();
    let mut recording =
        Recording { seed, workload, steps, commits, random, tally: Tally::default() };
    recording.power_losses()?;
    recording.failures()?;
    recording.silent_writes()?;
    recording.silent_changes()?;
    Ok(recording.tally)
}

impl Recording {
    /// What was acknowledged when the disk had done `steps` steps.
    fn progress(&self, steps: usize) -> Progress {
        let returned = self.commits.iter().take_while(|(at, _)| *at <= steps).last();
        let acknowledged = returned.map_or(0, |(_, progress)| progress.acknowledged);
        // The commit after it may be under way.
        let attempted = (acknowledged + 1).min(self.workload.models.len());
        Progress { acknowledged, attempted }
    }

    fn judge(
        &mut self,
        kind: Kind,
        at: u64,
        image: Vec<u8>,
        progress: Progress,
    ) -> Result<(), Violation> {
        let count = self.tally.0.entry(kind).or_default();
        count.0 += 1;
        match judge(&self.workload, kind, image, progress) {
            Ok(Outcome::Whole) => Ok(()),
            Ok(Outcome::Refused) => {
                count.1 += 1;
                Ok(())
            }
            Err(found) => Err(Violation { seed: self.seed, kind, at, found }),
        }
    }

    fn power_losses(&mut self) -> Result<(), Violation> {
        let mut synced = Vec::new();
        let mut unsynced = Vec::new();
        for number in 0..=self.steps.len() {
            for loss in 0..POWER_LOSSES {
                let image = after_power_loss(&synced, &unsynced, &mut self.random);
                let progress = self.progress(number);
                if loss == 0 {
                    self.second_loss(number, &image, progress)?;
                }
                self.judge(Kind::PowerLoss, number as u64, image, progress)?;
            }
            if let Some(step) = self.steps.get(number) {
                settle(&mut synced, &mut unsynced, step);
            }
        }
        Ok(())
    }

    /// The power goes again while the ledger is opened or closed after a first loss.
    fn second_loss(
        &mut self,
        number: usize,
        first: &[u8],
        progress: Progress,
    ) -> Result<(), Violation> {
        let disk = Disk::of(first.to_vec());
        // What opening says is judged elsewhere.
        drop(RedbStore::with_backend(disk.clone()).map(DurableLedger::open_any));
        let steps = disk.steps();
        let (mut synced, mut unsynced) = (first.to_vec(), Vec::new());
        let done = self.random.below(steps.len() as u64 + 1);
        for (_, step) in (0..done).zip(&steps) {
            settle(&mut synced, &mut unsynced, step);
        }
        let image = after_power_loss(&synced, &unsynced, &mut self.random);
        self.judge(Kind::SecondLoss, number as u64, image, progress)
    }

    /// Faults to which the ledger must react: each in a run of its own.
    fn failures(&mut self) -> Result<(), Violation> {
        for number in 0..self.steps.len() {
            let is_sync = matches!(self.steps.get(number), Some(Step::Sync));
            let faults: &[_] = if is_sync {
                &[(Fault::SyncError, Kind::SyncError)]
            } else {
                &[(Fault::Error, Kind::WriteError), (Fault::Full, Kind::Full)]
            };
            for (fault, kind) in faults {
                let disk = Disk::failing(number, *fault);
                let (progress, done) =
                    self.workload.run(RedbStore::with_backend(disk.clone()), |_| {});
                // Steps that only closing does may fail unseen.
                let closing = self.commits.last().is_some_and(|(at, _)| number >= *at);
                if done.is_ok() && !closing {
                    let found = "the failure was not reported".to_owned();
                    return Err(Violation {
                        seed: self.seed,
                        kind: *kind,
                        at: number as u64,
                        found,
                    });
                }
                if *fault == Fault::Full && !closing && done != Err(StoreError::Full.into()) {
                    let found = format!("a full disk was reported as {done:?}");
                    return Err(Violation {
                        seed: self.seed,
                        kind: *kind,
                        at: number as u64,
                        found,
                    });
                }
                let image = self.after_failure(&disk, *fault, number);
                self.judge(*kind, number as u64, image, progress)?;
            }
        }
        Ok(())
    }

    /// What is on a disk whose process went on after the failure, and then stopped.
    fn after_failure(&mut self, disk: &Disk, fault: Fault, failed: usize) -> Vec<u8> {
        let steps = disk.steps();
        let (mut synced, mut unsynced) = (Vec::new(), Vec::new());
        for (number, step) in steps.iter().enumerate() {
            if number == failed && fault == Fault::SyncError {
                // What was to be synced survives in parts, and no later sync brings back the rest.
                synced = after_power_loss(&synced, &unsynced, &mut self.random);
                unsynced.clear();
            }
            settle(&mut synced, &mut unsynced, step);
        }
        after_power_loss(&synced, &unsynced, &mut self.random)
    }

    /// Writes that were acknowledged and not done, or done elsewhere.
    fn silent_writes(&mut self) -> Result<(), Violation> {
        let end = self.progress(self.steps.len());
        for number in 0..self.steps.len() {
            let Some(Step::Write { offset, data }) = self.steps.get(number).cloned() else {
                continue;
            };
            for kind in [Kind::LostWrite, Kind::MisdirectedWrite] {
                let mut image = Vec::new();
                for (other, step) in self.steps.iter().enumerate() {
                    if other != number {
                        apply(&mut image, step);
                    } else if kind == Kind::MisdirectedWrite {
                        let sectors = (image.len() as u64 / 512).max(1);
                        let offset =
                            (offset + 512 * (1 + self.random.below(sectors))) % (512 * sectors);
                        apply(&mut image, &Step::Write { offset, data: data.clone() });
                    }
                }
                self.judge(kind, number as u64, image, end)?;
            }
        }
        Ok(())
    }

    /// Bytes that change when nobody writes.
    fn silent_changes(&mut self) -> Result<(), Violation> {
        let end = self.progress(self.steps.len());
        let mut image = Vec::new();
        self.steps.iter().for_each(|step| apply(&mut image, step));
        let bits = 8 * image.len() as u64;
        for number in 0..FLIPS {
            // The header is where one bit can do most.
            let bit = self.random.below(if number % 4 == 0 { 8 * 320 } else { bits });
            let mut bent = image.clone();
            if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|at| bent.get_mut(at)) {
                *byte ^= 1 << (bit % 8);
            }
            self.judge(Kind::FlippedBit, bit, bent, end)?;
        }
        for _ in 0..TRUNCATIONS {
            let length = self.random.below(image.len() as u64);
            let cut =
                image.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default().to_vec();
            self.judge(Kind::Truncation, length, cut, end)?;
        }
        Ok(())
    }
}

/// A step is in the cache until the next sync.
fn settle(synced: &mut Vec<u8>, unsynced: &mut Vec<Step>, step: &Step) {
    match step {
        Step::Sync => unsynced.drain(..).for_each(|step| apply(synced, &step)),
        step => unsynced.push(step.clone()),
    }
}
