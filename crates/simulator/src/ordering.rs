//! The federation's `OrderingPort` over the simulated world.
//!
//! The cycle hands in updates and asks for decisions; this port schedules events and lets the world run
//! until its ledger answers. What it returns is read from the exporting validator's ledger, with proofs
//! under a certified log, and verified by the cycle as if it came from a stranger.

use std::collections::BTreeMap;

use consensus_pbft::CheckpointCertificate;
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::{AggregatedUpdate, EpochCut, EpochOpened, UpdateRef};
use federation_proto::update::UpdateCommitment;
use federation_proto::{FederatedEpoch, Height, LedgerEntry, LogicalTime, Name, NodeFingerprint};
use governance::validator::Validator;
use ledger::LedgerError;
use meta_core::alignment::LedgerRecord;
use meta_core::meta::federated::{
    Decision, OrderedEpoch, OrderedUpdate, OrderingPort, SubmittedUpdate,
};
use thiserror::Error;

use crate::world::{World, WorldError};

/// The ledger of a simulated federation, as the cycle sees it.
#[derive(Debug)]
pub(crate) struct SimulatedOrdering<'w> {
    pub(crate) world: &'w mut World,
    /// Name and speed (work units a millisecond) of every site.
    pub(crate) sites: &'w BTreeMap<NodeFingerprint, (Name, u64)>,
    /// The epoch that the cycle runs.
    pub(crate) epoch: FederatedEpoch,
    /// Longest wait for one step, in milliseconds of logical time.
    pub(crate) patience_ms: u64,
    /// Sites that have a session; each must bring an update.
    pub(crate) expected: usize,
}

/// Why the simulated ledger does not answer.
#[derive(Debug, Error)]
pub enum PortError {
    /// The world stopped.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The ledger has no proof.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A stored certificate does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A site's local cycle failed; waiting for it would end nowhere.
    #[error("{found} of {expected} sites brought an update")]
    MissingUpdates {
        /// Sites with a session.
        expected: usize,
        /// Updates.
        found: usize,
    },
    /// Something that must be on the ledger is not.
    #[error("{0} is not on the exporter's ledger")]
    NotOnLedger(&'static str),
}

/// Blocks that a checkpoint certificate at the exporter covers.
fn certified_size(validator: &Validator) -> u64 {
    let ledger = validator.executor().ledger();
    let mut heights = (1..=ledger.head().height.get()).rev();
    let certified = |height: &u64| certificate_at(validator, Height::new(*height)).is_some();
    heights.find(certified).unwrap_or(0)
}

fn certificate_at(validator: &Validator, height: Height) -> Option<&[u8]> {
    validator.executor().ledger().block(height)?.checkpoint_certificate.as_deref()
}

/// The place of the newest entry that `is` recognises among the first `size` blocks.
///
/// The world does not stop at a step: the next may be ordered before this one is certified. So the port asks
/// the ledger what was ordered, never the state machine where it stands.
fn find(
    validator: &Validator,
    size: u64,
    is: impl Fn(&LedgerEntry) -> bool,
) -> Option<(Height, u32)> {
    let ledger = validator.executor().ledger();
    let mut heights = (1..=size).rev().map(Height::new);
    heights.find_map(|height| {
        let items = &ledger.block(height)?.batch.items;
        let index = items.iter().position(|item| is(item.entry()))?;
        Some((height, u32::try_from(index).ok()?))
    })
}

/// Whether an entry that `is` recognises is ordered and certified.
fn certified(world: &World, is: impl Fn(&LedgerEntry) -> bool) -> bool {
    let exporter = world.exporter();
    exporter.is_some_and(|validator| find(validator, certified_size(validator), is).is_some())
}

impl SimulatedOrdering<'_> {
    fn deadline(&self) -> LogicalTime {
        self.world.now().plus_millis(self.patience_ms)
    }

    fn exporter(&self) -> Result<&Validator, PortError> {
        self.world.exporter().ok_or(PortError::NotOnLedger("exporter"))
    }

    /// The newest certificate.
    fn checkpoint(&self) -> Result<CheckpointCertificate, PortError> {
        let validator = self.exporter()?;
        let bytes = certificate_at(validator, Height::new(certified_size(validator)));
        let bytes = bytes.ok_or(PortError::NotOnLedger("checkpoint"))?;
        Ok(CheckpointCertificate::from_canonical(bytes)?)
    }

    /// The newest entry that `is` recognises, with its proof under a checkpoint of `size` blocks.
    fn newest(
        &self,
        size: u64,
        what: &'static str,
        is: impl Fn(&LedgerEntry) -> bool,
    ) -> Result<LedgerRecord, PortError> {
        let (height, index) =
            find(self.exporter()?, size, is).ok_or(PortError::NotOnLedger(what))?;
        self.record(height, index, size, what)
    }

    fn record(
        &self,
        height: Height,
        index: u32,
        size: u64,
        what: &'static str,
    ) -> Result<LedgerRecord, PortError> {
        let ledger = self.exporter()?.executor().ledger();
        let block = ledger.block(height).ok_or(PortError::NotOnLedger(what))?;
        let item = block.batch.items.get(index as usize).ok_or(PortError::NotOnLedger(what))?;
        Ok(LedgerRecord { item: item.clone(), proof: ledger.prove_entry(height, index, size)? })
    }

    /// The updates that a cut includes, each with its commitment's proof.
    fn ordered_updates(&self, size: u64, cut: &EpochCut) -> Result<Vec<OrderedUpdate>, PortError> {
        let validator = self.exporter()?;
        let update = |included: &UpdateRef| {
            let commits = |entry: &LedgerEntry| committed(entry, included).is_some();
            let record = self.newest(size, "UpdateCommitment", commits)?;
            let blob = committed(record.item.entry(), included)
                .and_then(|commitment| validator.blobs().get(&commitment.blob));
            Ok(OrderedUpdate { blob: blob.ok_or(PortError::NotOnLedger("blob"))?.clone(), record })
        };
        cut.included.iter().map(update).collect()
    }
}

/// The commitment of an entry, if it is to this update.
fn committed<'e>(entry: &'e LedgerEntry, update: &UpdateRef) -> Option<&'e UpdateCommitment> {
    match entry {
        LedgerEntry::UpdateCommitment(commitment)
            if commitment.node_fingerprint == update.node_fingerprint
                && commitment.update_hash == update.update_hash =>
        {
            Some(commitment)
        }
        _ => None,
    }
}

fn opened_in(epoch: FederatedEpoch) -> impl Fn(&LedgerEntry) -> bool {
    move |entry| matches!(entry, LedgerEntry::EpochOpened(it) if it.federated_epoch == epoch)
}

fn cut_in(epoch: FederatedEpoch) -> impl Fn(&LedgerEntry) -> bool {
    move |entry| matches!(entry, LedgerEntry::EpochCut(it) if it.federated_epoch == epoch)
}

impl OrderingPort for SimulatedOrdering<'_> {
    type Error = PortError;

    fn open_epoch(&mut self) -> Result<EpochOpened, PortError> {
        let opened = opened_in(self.epoch);
        self.world.run_until(self.deadline(), "EpochOpened", |world| certified(world, &opened))?;
        let size = certified_size(self.exporter()?);
        match self.newest(size, "EpochOpened", &opened)?.item.entry() {
            LedgerEntry::EpochOpened(opened) => Ok(opened.clone()),
            _ => Err(PortError::NotOnLedger("EpochOpened")),
        }
    }

    fn commit(&mut self, updates: Vec<SubmittedUpdate>) -> Result<OrderedEpoch, PortError> {
        if updates.len() < self.expected {
            let (expected, found) = (self.expected, updates.len());
            return Err(PortError::MissingUpdates { expected, found });
        }
        let now = self.world.now();
        for update in updates {
            let Some((name, work_per_ms)) = self.sites.get(&update.node_fingerprint) else {
                continue;
            };
            let at = now.plus_millis(update.work_units / work_per_ms);
            self.world.submit_at(at, name, update.blob);
        }
        let cut = cut_in(self.epoch);
        self.world.run_until(self.deadline(), "EpochCut", |world| certified(world, &cut))?;
        // A blob may still be on its way to the exporter's disk.
        let stored = |world: &World| {
            world.exporter().is_some_and(|validator| {
                let size = certified_size(validator);
                let place = find(validator, size, &cut);
                place.is_some_and(|(height, index)| all_stored(validator, height, index))
            })
        };
        self.world.run_until(self.deadline(), "the blobs of the cut", stored)?;
        let checkpoint = self.checkpoint()?;
        let size = checkpoint.statement.log_size;
        let cut = self.newest(size, "EpochCut", &cut)?;
        let LedgerEntry::EpochCut(included) = cut.item.entry() else {
            return Err(PortError::NotOnLedger("EpochCut"));
        };
        Ok(OrderedEpoch {
            opened: self.newest(size, "EpochOpened", opened_in(self.epoch))?,
            updates: self.ordered_updates(size, included)?,
            cut,
            checkpoint,
        })
    }

    fn decide(&mut self, proposal: &AggregatedUpdate) -> Result<Decision, PortError> {
        let epoch: FederatedEpoch = proposal.federated_epoch;
        let signoff = move |entry: &LedgerEntry| matches!(entry, LedgerEntry::ApplySignoff(it) if it.federated_epoch == epoch);
        let aggregated = move |entry: &LedgerEntry| matches!(entry, LedgerEntry::AggregatedUpdate(it) if it.federated_epoch == epoch);
        self.world.run_until(self.deadline(), "ApplySignoff", |world| certified(world, signoff))?;
        let checkpoint = self.checkpoint()?;
        let size = checkpoint.statement.log_size;
        Ok(Decision {
            aggregated: self.newest(size, "AggregatedUpdate", aggregated)?,
            signoff: self.newest(size, "ApplySignoff", signoff)?,
            checkpoint,
        })
    }
}

/// Whether the exporter stores every update that the cut at a place includes.
fn all_stored(validator: &Validator, height: Height, index: u32) -> bool {
    let ledger = validator.executor().ledger();
    let item = ledger.block(height).and_then(|block| block.batch.items.get(index as usize));
    let Some(LedgerEntry::EpochCut(cut)) = item.map(|item| item.entry()) else {
        return false;
    };
    cut.included.iter().all(|included| {
        let commits = |entry: &LedgerEntry| committed(entry, included).is_some();
        let place = find(validator, height.get(), commits);
        let item =
            place.and_then(|(height, index)| ledger.block(height)?.batch.items.get(index as usize));
        let commitment = item.and_then(|item| committed(item.entry(), included));
        commitment.is_some_and(|commitment| validator.blobs().contains_key(&commitment.blob))
    })
}
