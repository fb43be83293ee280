//! The federation's `OrderingPort` over the simulated world.
//!
//! The cycle hands in updates and asks for decisions; this port schedules events and lets the world run
//! until its ledger answers. What it returns is read from the exporting validator's ledger, with proofs
//! under a certified log, and verified by the cycle as if it came from a stranger.

use std::collections::BTreeMap;

use consensus_pbft::CheckpointCertificate;
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::{AggregatedUpdate, EpochOpened};
use federation_proto::{FederatedEpoch, Height, LedgerEntry, LogicalTime, Name, NodeFingerprint};
use governance::machine::Phase;
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
    /// Longest wait for one step, in milliseconds of logical time.
    pub(crate) patience_ms: u64,
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
    /// Something that must be on the ledger is not.
    #[error("{0} is not on the exporter's ledger")]
    NotOnLedger(&'static str),
}

/// Whether the exporter executed the step and a certificate covers its head.
fn certified(world: &World, reached: impl Fn(&Validator) -> bool) -> bool {
    world.exporter().is_some_and(|validator| {
        let head = validator.executor().ledger().head().height;
        reached(validator) && certificate_at(validator, head).is_some()
    })
}

fn certificate_at(validator: &Validator, height: Height) -> Option<&[u8]> {
    validator.executor().ledger().block(height)?.checkpoint_certificate.as_deref()
}

impl SimulatedOrdering<'_> {
    fn deadline(&self) -> LogicalTime {
        self.world.now().plus_millis(self.patience_ms)
    }

    fn exporter(&self) -> Result<&Validator, PortError> {
        self.world.exporter().ok_or(PortError::NotOnLedger("exporter"))
    }

    /// The certificate of the head.
    fn checkpoint(&self) -> Result<CheckpointCertificate, PortError> {
        let validator = self.exporter()?;
        let head = validator.executor().ledger().head().height;
        let bytes = certificate_at(validator, head).ok_or(PortError::NotOnLedger("checkpoint"))?;
        Ok(CheckpointCertificate::from_canonical(bytes)?)
    }

    /// The newest entry that `is` recognises, with its proof under the head's checkpoint.
    fn newest(
        &self,
        size: u64,
        what: &'static str,
        is: impl Fn(&LedgerEntry) -> bool,
    ) -> Result<LedgerRecord, PortError> {
        let ledger = self.exporter()?.executor().ledger();
        let mut heights = (1..=size).rev().map(Height::new);
        let found = heights.find_map(|height| {
            let items = &ledger.block(height)?.batch.items;
            let index = items.iter().position(|item| is(item.entry()))?;
            Some((height, u32::try_from(index).ok()?))
        });
        let (height, index) = found.ok_or(PortError::NotOnLedger(what))?;
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

    fn ordered_updates(&self, size: u64) -> Result<Vec<OrderedUpdate>, PortError> {
        let validator = self.exporter()?;
        let Phase::Cut { commitments, .. } = validator.executor().state().phase() else {
            return Err(PortError::NotOnLedger("EpochCut"));
        };
        let update = |ordered: &governance::machine::OrderedCommitment| {
            let blob = validator.blobs().get(&ordered.commitment.blob);
            let blob = blob.ok_or(PortError::NotOnLedger("blob"))?.clone();
            let record = self.record(ordered.height, ordered.index, size, "UpdateCommitment")?;
            Ok(OrderedUpdate { blob, record })
        };
        commitments.iter().map(update).collect()
    }
}

impl OrderingPort for SimulatedOrdering<'_> {
    type Error = PortError;

    fn open_epoch(&mut self) -> Result<EpochOpened, PortError> {
        let open = |validator: &Validator| {
            matches!(validator.executor().state().phase(), Phase::Open { .. })
        };
        self.world.run_until(self.deadline(), "EpochOpened", |world| certified(world, open))?;
        match self.exporter()?.executor().state().phase() {
            Phase::Open { opened, .. } => Ok(opened.clone()),
            _ => Err(PortError::NotOnLedger("EpochOpened")),
        }
    }

    fn commit(&mut self, updates: Vec<SubmittedUpdate>) -> Result<OrderedEpoch, PortError> {
        let now = self.world.now();
        for update in updates {
            let Some((name, work_per_ms)) = self.sites.get(&update.node_fingerprint) else {
                continue;
            };
            let at = now.plus_millis(update.work_units / work_per_ms);
            self.world.submit_at(at, name, update.blob);
        }
        let cut = |validator: &Validator| {
            let Phase::Cut { commitments, .. } = validator.executor().state().phase() else {
                return false;
            };
            let stored = |blob| validator.blobs().contains_key(blob);
            commitments.iter().all(|ordered| stored(&ordered.commitment.blob))
        };
        self.world.run_until(self.deadline(), "EpochCut", |world| certified(world, cut))?;
        let checkpoint = self.checkpoint()?;
        let size = checkpoint.statement.log_size;
        let opened = |entry: &LedgerEntry| matches!(entry, LedgerEntry::EpochOpened(_));
        let cut = |entry: &LedgerEntry| matches!(entry, LedgerEntry::EpochCut(_));
        Ok(OrderedEpoch {
            opened: self.newest(size, "EpochOpened", opened)?,
            cut: self.newest(size, "EpochCut", cut)?,
            updates: self.ordered_updates(size)?,
            checkpoint,
        })
    }

    fn decide(&mut self, proposal: &AggregatedUpdate) -> Result<Decision, PortError> {
        let epoch: FederatedEpoch = proposal.federated_epoch;
        let applied = move |validator: &Validator| {
            let state = validator.executor().state();
            state.meta().federated_epoch() >= epoch && *state.phase() == Phase::Idle
        };
        self.world.run_until(self.deadline(), "ApplySignoff", |world| certified(world, applied))?;
        let checkpoint = self.checkpoint()?;
        let size = checkpoint.statement.log_size;
        let aggregated = |entry: &LedgerEntry| matches!(entry, LedgerEntry::AggregatedUpdate(_));
        let signoff = |entry: &LedgerEntry| matches!(entry, LedgerEntry::ApplySignoff(_));
        Ok(Decision {
            aggregated: self.newest(size, "AggregatedUpdate", aggregated)?,
            signoff: self.newest(size, "ApplySignoff", signoff)?,
            checkpoint,
        })
    }
}
