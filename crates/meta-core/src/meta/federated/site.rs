//! A site: a private workload, an identity, and a cache of updates nobody has taken yet.

use federation_proto::codec::Canonical;
use federation_proto::entry::{AlignmentRecord, UpdateRef};
use federation_proto::keys::{Identity, SecretKey};
use federation_proto::update::{MetaUpdate, ProofSlot, SealedPayload};
use federation_proto::{
    Cycle, Digest, FederatedEpoch, LedgerBlockId, NodeFingerprint, SessionId, Signed,
    SigningContext,
};
use thiserror::Error;

use super::ordering::ApprovedAggregate;
use super::{FederatedNode, SubmittedUpdate};
use crate::delta::{DeltaError, DeltaPayload, FrameError, Residual, compress, quantise};
use crate::genome::Genome;
use crate::meta_state::{ApplyError, MetaState};
use crate::optimizer::{EvolutionSettings, EvolveError, evolve};
use crate::workload::Workload;

/// Most updates a partitioned site keeps; then the oldest goes. Later cycles supersede earlier ones, so
/// nothing that would count is lost.
pub const MAX_CACHED_UPDATES: usize = 16;

/// BLAKE3 `derive_key` contexts of what a site derives from its secret seed.
const SALT_CONTEXT: &str = "prism1 2026-11-24 site-salt";
const EVOLUTION_CONTEXT: &str = "prism1 2026-11-24 site-evolution";

/// Who a site is, in one session.
#[derive(Debug)]
pub struct SiteIdentity {
    /// Its identity key.
    pub key: SecretKey<Identity>,
    /// Its session.
    pub session_id: SessionId,
    /// Block that opened the session.
    pub ledger_block_id: LedgerBlockId,
    /// What its signatures are bound to.
    pub context: SigningContext,
}

/// A node with a workload of its own.
///
/// Given the same workload, states and secret seed it makes the same bytes, on every machine. It signs
/// one update a cycle and hands out the same bytes at every retry, so a retry is never equivocation.
pub struct Site<W> {
    identity: SiteIdentity,
    workload: W,
    evolution: EvolutionSettings,
    secret_seed: [u8; 32],
    state: MetaState,
    /// Where the next local search starts: the state's genome, or what was found since it was loaded.
    incumbent: Genome,
    /// What quantisation has left over of everything that was accepted.
    carried: Residual,
    cycle: Cycle,
    previous_update: Digest,
    cache: Vec<CachedUpdate>,
}

/// An update that no alignment has named yet.
struct CachedUpdate {
    reference: UpdateRef,
    submitted: SubmittedUpdate,
    /// What is carried on if this update is accepted.
    left: Residual,
}

/// Why a site cannot go on.
#[derive(Debug, Error)]
pub enum SiteError {
    /// The state is not one of the workload's schema, or an aggregate does not follow it.
    #[error(transparent)]
    State(#[from] ApplyError),
    /// The state is older than the one the site has.
    #[error(
        "state of generation {found_generation}, epoch {found} is older than generation {own_generation}, epoch {own}"
    )]
    OlderState {
        /// Epoch of the site's state.
        own: FederatedEpoch,
        /// Generation of the site's state.
        own_generation: federation_proto::Generation,
        /// Epoch of the state given.
        found: FederatedEpoch,
        /// Generation of the state given.
        found_generation: federation_proto::Generation,
    },
    /// The local cycle failed.
    #[error(transparent)]
    Evolve(#[from] EvolveError),
    /// What was found does not fit a delta.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The payload could not be compressed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// No cycle was run since the last update was taken.
    #[error("no update: no local cycle was run")]
    NoUpdate,
}

impl<W: Workload> Site<W> {
    /// A site before its first cycle. `secret_seed` decides its local search and its salts.
    ///
    /// # Errors
    /// [`SiteError::State`] when the state is not one of the workload's schema.
    pub fn new(
        identity: SiteIdentity,
        workload: W,
        evolution: EvolutionSettings,
        secret_seed: [u8; 32],
        state: MetaState,
    ) -> Result<Self, SiteError> {
        let incumbent = state.genome(workload.schema())?;
        let carried = Residual::none(workload.schema());
        Ok(Self {
            identity,
            workload,
            evolution,
            secret_seed,
            state,
            incumbent,
            carried,
            cycle: Cycle::ZERO,
            previous_update: Digest::ZERO,
            cache: Vec::new(),
        })
    }

    /// The state it starts from.
    #[must_use]
    pub const fn state(&self) -> &MetaState {
        &self.state
    }

    /// Its workload.
    #[must_use]
    pub const fn workload(&self) -> &W {
        &self.workload
    }

    /// The best genome it knows.
    #[must_use]
    pub const fn incumbent(&self) -> &Genome {
        &self.incumbent
    }

    /// What quantisation has left over of the updates that were accepted.
    #[must_use]
    pub const fn residual(&self) -> &Residual {
        &self.carried
    }

    /// The last cycle it made an update in.
    #[must_use]
    pub const fn cycle(&self) -> Cycle {
        self.cycle
    }

    /// Updates that no alignment has named yet, oldest first: what it hands in after a partition.
    pub fn cached_updates(&self) -> impl ExactSizeIterator<Item = &SubmittedUpdate> {
        self.cache.iter().map(|cached| &cached.submitted)
    }

    /// Goes on in another session, for example after a reconnect. Cached updates keep the session they
    /// were signed in.
    pub fn resume(&mut self, session_id: SessionId, ledger_block_id: LedgerBlockId) {
        self.identity.session_id = session_id;
        self.identity.ledger_block_id = ledger_block_id;
    }

    /// 32 secret bytes for one purpose and cycle.
    fn derive(&self, purpose: &str, cycle: Cycle) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&self.secret_seed);
        hasher.update(self.identity.key.public().as_bytes());
        hasher.update(&self.state.generation().get().to_le_bytes());
        hasher.update(&cycle.get().to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    /// Signs the update of a cycle: the change from the state to `found`.
    fn make_update(
        &self,
        epoch: FederatedEpoch,
        cycle: Cycle,
        found: &Genome,
    ) -> Result<(MetaUpdate, Residual), SiteError> {
        let schema = self.workload.schema();
        let base = self.state.genome(schema)?;
        let (coordinates, left) = quantise(schema, &base, found, &self.carried)?;
        let delta = DeltaPayload {
            salt: self.derive(SALT_CONTEXT, cycle),
            schema_digest: self.state.schema_digest(),
            coordinates,
        };
        let update = MetaUpdate {
            federated_epoch: epoch,
            generation: self.state.generation(),
            node_fingerprint: self.identity.key.public(),
            session_id: self.identity.session_id,
            ledger_block_id: self.identity.ledger_block_id,
            cycle,
            previous_update: self.previous_update,
            base_state_hash: self.state.hash(),
            update_hash: delta.update_hash(),
            payload: SealedPayload::Clear(compress(&delta.to_canonical())?),
            proof: ProofSlot::None,
        };
        Ok((update, left))
    }

    /// Forgets what an alignment has settled, and carries on what the accepted update left over.
    fn settle(&mut self, record: &AlignmentRecord) {
        let aligned = record.aligned.iter().map(|aligned| aligned.update);
        let discarded = record.discarded.iter().map(|discarded| discarded.update);
        let accepted: Vec<UpdateRef> = aligned.clone().collect();
        let settled: Vec<UpdateRef> = aligned.chain(discarded).collect();
        for cached in std::mem::take(&mut self.cache) {
            if accepted.contains(&cached.reference) {
                self.carried = cached.left;
            } else if !settled.contains(&cached.reference) {
                self.cache.push(cached);
            }
        }
    }
}

impl<W: Workload> FederatedNode for Site<W> {
    type Error = SiteError;

    fn node_fingerprint(&self) -> NodeFingerprint {
        self.identity.key.public()
    }

    fn load_meta(&mut self, global: &MetaState) -> Result<(), SiteError> {
        if *global == self.state {
            return Ok(());
        }
        let own = (self.state.generation(), self.state.federated_epoch());
        let found = (global.generation(), global.federated_epoch());
        if found < own {
            return Err(SiteError::OlderState {
                own: own.1,
                own_generation: own.0,
                found: found.1,
                found_generation: found.0,
            });
        }
        let incumbent = global.genome(self.workload.schema())?;
        if found.0 > own.0 {
            // A rollback voids what was sent in the generation before, and what it left over.
            self.cache.clear();
            self.carried = Residual::none(self.workload.schema());
        }
        self.incumbent = incumbent;
        self.state = global.clone();
        Ok(())
    }

    fn run_local_mec_cycle(&mut self, epoch: FederatedEpoch) -> Result<(), SiteError> {
        let cycle = self.cycle.next();
        let seed = self.derive(EVOLUTION_CONTEXT, cycle);
        let result = evolve(&self.workload, &self.incumbent, &self.evolution, seed)?;
        let (update, left) = self.make_update(epoch, cycle, &result.best)?;
        let reference = UpdateRef {
            node_fingerprint: update.node_fingerprint,
            cycle,
            update_hash: update.update_hash,
        };
        let blob = Signed::sign(update, &self.identity.key, &self.identity.context).to_canonical();
        let submitted = SubmittedUpdate {
            node_fingerprint: reference.node_fingerprint,
            blob,
            work_units: result.work_units,
        };
        if self.cache.len() >= MAX_CACHED_UPDATES {
            self.cache.remove(0);
        }
        self.cache.push(CachedUpdate { reference, submitted, left });
        self.incumbent = result.best;
        self.cycle = cycle;
        self.previous_update = reference.update_hash;
        Ok(())
    }

    fn meta_update(&self) -> Result<SubmittedUpdate, SiteError> {
        self.cache.last().map(|cached| cached.submitted.clone()).ok_or(SiteError::NoUpdate)
    }

    fn apply(&mut self, approved: &ApprovedAggregate) -> Result<Digest, SiteError> {
        let schema = self.workload.schema();
        let next = self.state.apply_update(schema, approved.aggregated())?;
        self.incumbent = next.genome(schema)?;
        self.state = next;
        self.settle(&approved.aggregated().alignment);
        Ok(self.state.hash())
    }
}
