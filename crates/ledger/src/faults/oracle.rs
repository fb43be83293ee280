//! What a ledger that is opened after a fault must show.

use std::fmt;

use thiserror::Error;

use super::disk::Disk;
use super::workload::{Model, Progress, Workload};
use crate::durable::{DurableError, DurableLedger};
use crate::store::redb::RedbStore;

/// Blocks that are appended after a recovery.
const NEXT_BLOCKS: usize = 3;

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The power went.
    PowerLoss,
    /// The power went, and again while the ledger was opened.
    SecondLoss,
    /// A write failed.
    WriteError,
    /// A sync failed.
    SyncError,
    /// The disk was full.
    Full,
    /// A write was acknowledged and not done.
    LostWrite,
    /// A write went to another place.
    MisdirectedWrite,
    /// A bit changed afterwards.
    FlippedBit,
    /// The end was cut off afterwards.
    Truncation,
}

/// An answer that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("seed {seed}, {kind} at {at}: {found}")]
pub struct Violation {
    /// The seed, which repeats it.
    pub seed: u64,
    /// The fault.
    pub kind: Kind,
    /// The step, byte or length at which it was injected.
    pub at: u64,
    /// What was found.
    pub found: String,
}

/// How a fault ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything is there.
    Whole,
    /// A typed error says that it is not.
    Refused,
}

impl Kind {
    /// Whether the disk did what it acknowledged: then nothing may be refused.
    const fn is_honest(self) -> bool {
        matches!(
            self,
            Self::PowerLoss | Self::SecondLoss | Self::WriteError | Self::SyncError | Self::Full
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerLoss => "power loss",
            Self::SecondLoss => "second power loss",
            Self::WriteError => "write error",
            Self::SyncError => "sync error",
            Self::Full => "full disk",
            Self::LostWrite => "lost write",
            Self::MisdirectedWrite => "misdirected write",
            Self::FlippedBit => "flipped bit",
            Self::Truncation => "truncation",
        })
    }
}

/// Opens the ledger on what is left, and judges what it says.
pub(super) fn judge(
    workload: &Workload,
    kind: Kind,
    image: Vec<u8>,
    progress: Progress,
) -> Result<Outcome, String> {
    match recovered(workload, kind, image, progress) {
        Ok(model) => {
            let candidates = workload.models.get(..progress.attempted).unwrap_or_default();
            let known = candidates.iter().rposition(|candidate| *candidate == model);
            match known {
                Some(number) if number + 1 >= progress.acknowledged => Ok(Outcome::Whole),
                Some(number) => Err(format!("state {number} of {}", progress.acknowledged)),
                None => Err(format!("a state that never was: {} blocks", model.size)),
            }
        }
        Err(Failure::Answer(answer)) => Err(answer),
        // Before the creation was acknowledged there may be no ledger yet, or a file without one.
        Err(Failure::Refusal(_)) if !kind.is_honest() || progress.acknowledged == 0 => {
            Ok(Outcome::Refused)
        }
        Err(Failure::Refusal(cause)) => Err(format!("refused: {cause}")),
    }
}

enum Failure {
    /// A typed error.
    Refusal(DurableError),
    /// A wrong answer.
    Answer(String),
}

impl From<DurableError> for Failure {
    fn from(cause: DurableError) -> Self {
        Self::Refusal(cause)
    }
}

fn recovered(
    workload: &Workload,
    kind: Kind,
    image: Vec<u8>,
    progress: Progress,
) -> Result<Model, Failure> {
    let disk = Disk::of(image);
    let store = RedbStore::with_backend(disk.clone()).map_err(DurableError::from)?;
    // Who distrusts the disk keeps the last checkpoint elsewhere.
    let acknowledged = progress.acknowledged.checked_sub(1);
    let last =
        acknowledged.and_then(|last| workload.models.get(last)).map_or(0, |model| model.size);
    // An attempted restoration may have gone through: then only its size is sure.
    let attempted = progress.attempted.checked_sub(1).and_then(|last| workload.models.get(last));
    let sure = last.min(attempted.map_or(last, |model| model.size));
    let known = workload.known(sure).filter(|_| !kind.is_honest());
    let id = workload.chain.ledger_id();
    let mut ledger = DurableLedger::open(store, id, known.as_ref())?;
    // What is read without the long verification is right or refused already.
    for expected in workload.chain.blocks().take(usize::try_from(ledger.size()).unwrap_or(0)) {
        if ledger.block(expected.header.height)? != *expected {
            return Err(Failure::Answer(format!("another block {}", expected.header.height)));
        }
    }
    ledger.verify()?;
    let model = read_model(workload, &ledger)?;
    if kind.is_honest() {
        go_on(workload, ledger, disk)?;
    }
    Ok(model)
}

/// Who recovered can write again, and what is written then hurts nothing that was there.
fn go_on(
    workload: &Workload,
    mut ledger: DurableLedger<RedbStore>,
    disk: Disk,
) -> Result<(), Failure> {
    let size = usize::try_from(ledger.size()).unwrap_or(0);
    for block in workload.chain.blocks().skip(size).take(NEXT_BLOCKS) {
        ledger.append(block)?;
    }
    let before = read_model(workload, &ledger)?;
    ledger.commit()?;
    drop(ledger);
    let store = RedbStore::with_backend(disk).map_err(DurableError::from)?;
    let mut ledger = DurableLedger::open(store, workload.chain.ledger_id(), None)?;
    ledger.verify()?;
    for expected in workload.chain.blocks().take(usize::try_from(before.size).unwrap_or(0)) {
        if ledger.block(expected.header.height)? != *expected {
            let found = format!("another block {} after going on", expected.header.height);
            return Err(Failure::Answer(found));
        }
    }
    if read_model(workload, &ledger)? != before {
        return Err(Failure::Answer("another state after going on".to_owned()));
    }
    Ok(())
}

fn read_model(workload: &Workload, ledger: &DurableLedger<RedbStore>) -> Result<Model, Failure> {
    let mut model = Model {
        size: ledger.size(),
        note: ledger.bookmark()?,
        blobs: std::collections::BTreeMap::new(),
        anchors: ledger.anchors()?,
    };
    for number in 1..=workload.models.len() as u64 {
        let holder = crate::durable::Holder::Epoch(federation_proto::FederatedEpoch::new(number));
        for digest in ledger.blobs_of(holder)? {
            let bytes = ledger.blob(&digest)?;
            model
                .blobs
                .entry(digest)
                .or_insert_with(|| (bytes, Default::default()))
                .1
                .insert(number);
        }
    }
    Ok(model)
}
