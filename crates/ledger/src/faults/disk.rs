//! A disk in memory that records what is done to it and can fail.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::random::Random;

/// Bytes that a power loss keeps or loses together.
const SECTOR: usize = 512;

/// What was done to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bytes were written.
    Write {
        /// Where.
        offset: u64,
        /// Which.
        data: Vec<u8>,
    },
    /// The length was set.
    SetLen(u64),
    /// Everything before was synced.
    Sync,
}

/// What a step does instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write or a length fails.
    Error,
    /// A sync fails. What it should have synced survives in parts, and the next sync does not know of it.
    SyncError,
    /// From this step on, nothing grows: writes and lengths fail.
    Full,
}

/// A disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    image: Vec<u8>,
    steps: Vec<Step>,
    /// What fails, and at which step.
    plan: Option<(usize, Fault)>,
}

impl Disk {
    /// A disk with these bytes on it.
    #[must_use]
    pub fn of(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { image, ..State::default() })))
    }

    /// An empty disk that fails at a step.
    #[must_use]
    pub fn failing(step: usize, fault: Fault) -> Self {
        Self(Arc::new(Mutex::new(State { plan: Some((step, fault)), ..State::default() })))
    }

    /// The steps so far.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.state().steps.clone()
    }

    /// The number of steps so far.
    #[must_use]
    pub fn step_count(&self) -> usize {
        self.state().steps.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic above this disk is what a campaign looks for; the bytes are whole all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, step: Step) -> io::Result<()> {
        let mut state = self.state();
        let number = state.steps.len();
        if let Some((planned, fault)) = state.plan
            && fails(fault, planned, number, &step)
        {
            // The step is counted, so that the steps after it keep their numbers.
            let unchanged = Step::SetLen(state.image.len() as u64);
            state.steps.push(unchanged);
            let kind = if fault == Fault::Full {
                io::ErrorKind::StorageFull
            } else {
                io::ErrorKind::Other
            };
            return Err(io::Error::new(kind, "injected"));
        }
        apply(&mut state.image, &step);
        state.steps.push(step);
        Ok(())
    }
}

fn fails(fault: Fault, planned: usize, number: usize, step: &Step) -> bool {
    match (fault, step) {
        (Fault::Full, Step::Sync) | (Fault::SyncError, Step::Write { .. } | Step::SetLen(_)) => {
            false
        }
        (Fault::Full, _) => number >= planned,
        (Fault::SyncError, Step::Sync) => number == planned,
        (Fault::Error, _) => number == planned,
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let source = range(&state.image, offset, out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(source);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.take(Step::SetLen(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.take(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take(Step::Write { offset, data: data.to_vec() })
    }
}

/// Does a step to an image.
pub(super) fn apply(image: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { offset, data } => {
            let start = usize::try_from(*offset).unwrap_or(usize::MAX);
            if let Some(target) = image.get_mut(start..start.saturating_add(data.len())) {
                target.copy_from_slice(data);
            }
        }
        Step::SetLen(length) => image.resize(usize::try_from(*length).unwrap_or(0), 0),
        Step::Sync => {}
    }
}

/// What is on the disk after the power went: everything synced, and of the steps since then any sectors.
pub(super) fn after_power_loss(synced: &[u8], unsynced: &[Step], random: &mut Random) -> Vec<u8> {
    let mut image = synced.to_vec();
    // All, none, a prefix or any part of them: the ends are where bugs are.
    let (mode, prefix) = (random.below(4), random.below(unsynced.len() as u64 + 1));
    for (number, step) in (0..).zip(unsynced) {
        let survives = |random: &mut Random| match mode {
            0 => false,
            1 => true,
            2 => number < prefix,
            _ => random.chance(2),
        };
        match step {
            Step::Write { offset, data } => {
                let mut at = *offset;
                for part in sectors(*offset, data) {
                    if survives(random) {
                        apply(&mut image, &Step::Write { offset: at, data: part.to_vec() });
                    }
                    at += part.len() as u64;
                }
            }
            // A file system may have made the new length durable or not, but never without its zeros.
            Step::SetLen(_) if survives(random) || mode == 3 => apply(&mut image, step),
            Step::SetLen(_) | Step::Sync => {}
        }
    }
    image
}

/// Bytes in the parts that lie in one sector each.
fn sectors(offset: u64, data: &[u8]) -> Vec<&[u8]> {
    let inside = usize::try_from(offset % SECTOR as u64).unwrap_or(0);
    let (first, rest) = data.split_at(data.len().min(SECTOR - inside));
    std::iter::once(first).chain(rest.chunks(SECTOR)).filter(|part| !part.is_empty()).collect()
}

fn range(image: &[u8], offset: u64, length: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    image.get(start..start.checked_add(length)?)
}
