//! `FederationSimulator`: a scenario and a seed in, a signed run out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use federation_proto::{Digest, FederatedEpoch, LogicalTime, Name, NodeFingerprint, View};
use governance::artifact::{ArtifactSet, AssembleError, Evaluation, RunInputs, assemble};
use governance::epoch_result::{accepted_updates, epoch_bases, session_bindings};
use governance::participant::Membership;
use meta_core::genome::{GenomeSchema, SchemaError};
use meta_core::meta::federated::{
    ConfigError, CycleError, Federation, FederationConfig, Site, SiteError, SiteIdentity,
    ValidFederationConfig, federated_meta_cycle,
};
use meta_core::meta_state::{ApplyError, MetaState};
use meta_core::optimizer::EvolutionSettings;
use meta_core::rng::Stream;
use meta_core::workload::coloring::{self, ColoringWorkload};
use thiserror::Error;

use crate::evaluation::{EvaluationError, evaluate, evolve_alone, measured_genomes};
use crate::founding::{Founding, FoundingError, scenario_record};
use crate::keys::KeyRing;
use crate::ordering::{PortError, SimulatedOrdering};
use crate::scenario::{Scenario, Workloads, WorkloadsError};
use crate::watched::WatchedSite;
use crate::world::{NodeView, World, WorldError};

/// Longest wait for one step of the ledger, in milliseconds of logical time.
const PATIENCE_MS: u64 = 600_000;

/// How far a run has come, in local cycles and in measured genomes, which cost about as much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub total: u64,
    /// What is going on.
    pub what: String,
}

/// What one epoch led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochReport {
    /// The epoch.
    pub epoch: FederatedEpoch,
    /// Updates that entered the aggregate.
    pub aligned: usize,
    /// Updates that did not.
    pub discarded: usize,
    /// Hash of the aggregate.
    pub aggregated_hash: Digest,
    /// Hash of the state after it.
    pub state_hash: Digest,
}

/// A view that followed the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewReport {
    /// Its number.
    pub view: View,
    /// Its primary.
    pub primary: Name,
    /// When somebody first took part in it.
    pub since: LogicalTime,
}

/// A finished run.
#[derive(Debug)]
pub struct SimulationRun {
    /// Every file of the run, by path from the root of the artifacts.
    pub artifacts: ArtifactSet,
    /// The held-out table.
    pub evaluation: Evaluation,
    /// The epochs.
    pub epochs: Vec<EpochReport>,
    /// Views after the first: none in a run without faults.
    pub views: Vec<ViewReport>,
    /// Logical time at the end, in milliseconds.
    pub logical_time: LogicalTime,
    /// Frames sent.
    pub frames: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Hash chain over every frame.
    pub trace: Digest,
    /// Every frame, when the run was tapped.
    pub tapped: Vec<Vec<u8>>,
    /// What nodes refused, in order.
    pub refusals: Vec<String>,
}

impl ViewReport {
    fn of((view, primary, since): (View, &Name, LogicalTime)) -> Self {
        Self { view, primary: primary.clone(), since }
    }
}

/// Why a run failed.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// The genome schema is refused.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A workload cannot be built.
    #[error(transparent)]
    Workloads(#[from] WorkloadsError),
    /// The federation cannot be founded.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// Policy and roster do not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The world stopped.
    #[error(transparent)]
    World(#[from] WorldError),
    /// A site cannot take part.
    #[error("site {site}: {cause}")]
    Site {
        /// Which.
        site: Name,
        /// Why.
        cause: Arc<SiteError>,
    },
    /// An epoch did not complete.
    #[error("epoch {epoch}: {cause}")]
    Cycle {
        /// Which.
        epoch: FederatedEpoch,
        /// Why.
        cause: Box<CycleError<PortError>>,
    },
    /// The final state holds no genome.
    #[error(transparent)]
    State(#[from] ApplyError),
    /// The table cannot be made.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The artifacts cannot be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// No validator exports.
    #[error("the scenario has no validator to export the ledger")]
    NoExporter,
}

/// Runs a scenario.
#[derive(Debug)]
pub struct FederationSimulator {
    scenario: Scenario,
    seed: u64,
    keys: KeyRing,
    schema: GenomeSchema,
    workloads: Workloads,
    founding: Founding,
    evolution: EvolutionSettings,
    tapped: bool,
}

impl FederationSimulator {
    /// Founds the federation of a scenario; `files` holds the bytes of the DIMACS files it names.
    pub fn new(
        scenario: Scenario,
        seed: u64,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, SimulationError> {
        Self::with_keys(scenario, seed, files, KeyRing::published())
    }

    /// As [`FederationSimulator::new`], under another key ring, which no published root of trust knows.
    pub fn with_keys(
        scenario: Scenario,
        seed: u64,
        files: &BTreeMap<String, Vec<u8>>,
        keys: KeyRing,
    ) -> Result<Self, SimulationError> {
        let schema = coloring::schema()?;
        let workloads = scenario.document().workloads(seed, files)?;
        let founding = Founding::of(&scenario, seed, schema.clone(), &keys)?;
        let evolution = scenario.evolution();
        Ok(Self { scenario, seed, keys, schema, workloads, founding, evolution, tapped: false })
    }

    /// Keeps every frame of the run in [`SimulationRun::tapped`].
    #[must_use]
    pub fn tapped(mut self) -> Self {
        self.tapped = true;
        self
    }

    /// Runs every epoch, measures, and puts the artifacts together.
    pub fn run(
        &self,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<SimulationRun, SimulationError> {
        self.run_and_inspect(progress).0
    }

    /// As [`FederationSimulator::run`], with every node's view of the ledger at the end, also of a run that
    /// failed.
    pub fn run_and_inspect(
        &self,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> (Result<SimulationRun, SimulationError>, Vec<NodeView>) {
        match World::new(&self.scenario, self.seed, &self.founding, &self.keys) {
            Ok(mut world) => (self.run_in(&mut world, progress), world.views()),
            Err(cause) => (Err(cause.into()), Vec::new()),
        }
    }

    fn run_in(
        &self,
        world: &mut World,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<SimulationRun, SimulationError> {
        if self.tapped {
            world.tap();
        }
        let (state, epochs) = self.evolve_together(world, progress)?;
        let evaluation = self.measure(&state, progress)?;
        let artifacts = self.artifacts(world, &evaluation)?;
        let (frames, bytes) = world.traffic();
        Ok(SimulationRun {
            artifacts,
            evaluation,
            epochs,
            views: world.entered_views().map(ViewReport::of).collect(),
            logical_time: world.now(),
            frames,
            bytes,
            trace: world.trace(),
            tapped: world.tapped().to_vec(),
            refusals: world.refusals().to_vec(),
        })
    }

    /// Local cycles of the federation, and of the lone sites again.
    fn cycles(&self) -> u64 {
        self.scenario.document().epochs * self.scenario.document().sites.len() as u64
    }

    /// Steps of the whole run: both sets of cycles and the measurement of the table.
    fn total_steps(&self) -> u64 {
        2 * self.cycles() + measured_genomes(self.scenario.document().sites.len() as u64)
    }

    fn evolve_together(
        &self,
        world: &mut World,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<(MetaState, Vec<EpochReport>), SimulationError> {
        let document = self.scenario.document();
        let config = self.config()?;
        let speeds = self.speeds();
        world.run_until(
            world.now().plus_millis(PATIENCE_MS),
            "sessions and the first epoch",
            |world| {
                world
                    .exporter()
                    .is_some_and(|validator| validator.executor().state().epoch().get() > 0)
                    && world
                        .sites()
                        .all(|(name, site)| site.membership().is_some() || world.is_silent(name))
            },
        )?;
        let mut sites = self.sites(world)?;
        let mut state = MetaState::initial(&self.schema);
        let mut reports = Vec::new();
        for epoch in 1..=document.epochs {
            let done = (epoch - 1) * document.sites.len() as u64;
            let what = format!("epoch {epoch} of {}", document.epochs);
            progress(Progress { done, total: self.total_steps(), what });
            let executor = world.exporter().ok_or(SimulationError::NoExporter)?.executor();
            let sessions = session_bindings(executor.state(), executor.ledger());
            let bases = epoch_bases(executor.state());
            let accepted = accepted_updates(executor.state());
            let federation = Federation {
                config: &config,
                roster: &self.founding.rules.roster,
                committee: &self.founding.committee,
                sessions: &sessions,
                bases: &bases,
                accepted: &accepted,
            };
            let expected = sites.len();
            let mut port = SimulatedOrdering {
                world,
                sites: &speeds,
                epoch: FederatedEpoch::new(epoch),
                patience_ms: PATIENCE_MS,
                expected,
            };
            let cycle = federated_meta_cycle(&federation, &mut sites, &state, &mut port);
            // A site's own cause goes before what its absence led to.
            if let Some((site, cause)) = sites.iter_mut().find_map(WatchedSite::failure) {
                return Err(SimulationError::Site { site, cause });
            }
            let cycle = cycle.map_err(|cause| SimulationError::Cycle {
                epoch: FederatedEpoch::new(epoch),
                cause: Box::new(cause),
            })?;
            reports.push(EpochReport {
                epoch: cycle.opened.federated_epoch,
                aligned: cycle.alignment.record.aligned.len(),
                discarded: cycle.alignment.record.discarded.len(),
                aggregated_hash: cycle.aggregated.hash(),
                state_hash: cycle.state.hash(),
            });
            state = cycle.state;
        }
        Ok((state, reports))
    }

    fn config(&self) -> Result<ValidFederationConfig, SimulationError> {
        let policy = &self.founding.rules.policy;
        let config = FederationConfig {
            schema: self.schema.clone(),
            rule: policy.rule(),
            max_staleness: policy.document().aggregation.max_staleness,
            evolution: self.evolution,
        };
        Ok(config.validate(&self.founding.rules.roster)?)
    }

    fn speeds(&self) -> BTreeMap<NodeFingerprint, (Name, u64)> {
        let sites = self.scenario.document().sites.iter();
        let speed = |site: &crate::scenario::SiteSpec| {
            let key = self.keys.key::<federation_proto::keys::Identity>(site.name.as_str());
            (key.public(), (site.name.clone(), site.work_per_ms))
        };
        sites.map(speed).collect()
    }

    /// The sites that have a session, each with its private workload.
    fn sites(
        &self,
        world: &World,
    ) -> Result<Vec<WatchedSite<Site<ColoringWorkload>>>, SimulationError> {
        let specs = self.scenario.document().sites.iter().zip(&self.workloads.sites);
        let mut sites = Vec::new();
        for (spec, workload) in specs {
            let Some(membership) = world.site(&spec.name).and_then(|agent| agent.membership())
            else {
                continue;
            };
            let Membership { session_id, ledger_block_id } = membership;
            let name = spec.name.as_str();
            let identity = SiteIdentity {
                key: self.keys.key(name),
                session_id,
                ledger_block_id,
                context: self.founding.rules.context,
            };
            let parts: [&[u8]; 2] = [&self.seed.to_le_bytes(), name.as_bytes()];
            let secret_seed = Stream::new("simulator/site-secret", &parts).bytes32();
            let state = MetaState::initial(&self.schema);
            let site = Site::new(identity, workload.clone(), self.evolution, secret_seed, state);
            let site = site.map_err(|cause| SimulationError::Site {
                site: spec.name.clone(),
                cause: Arc::new(cause),
            })?;
            sites.push(WatchedSite::new(spec.name.clone(), site));
        }
        Ok(sites)
    }

    /// The held-out table.
    fn measure(
        &self,
        state: &MetaState,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Evaluation, SimulationError> {
        let (half, total) = (self.cycles(), self.total_steps());
        // Counted under the lock, so that steps are told in their order, whichever thread made them.
        let progress = Mutex::new((half, progress));
        let report = |what: &str| {
            if let Ok(mut guard) = progress.lock() {
                let (done, progress) = &mut *guard;
                *done += 1;
                progress(Progress { done: *done, total, what: what.to_owned() });
            }
        };
        let sites = &self.workloads.sites;
        let learnt = || report("each site alone, to compare");
        let alone = evolve_alone(&self.scenario, self.seed, &self.schema, sites, learnt)?;
        let federated = state.genome(&self.schema)?;
        let genomes = (alone.as_slice(), &federated);
        let measured = || report("measuring on held-out instances");
        let (scenario, schema) = (&self.scenario, &self.schema);
        Ok(evaluate(scenario, self.seed, schema, &self.workloads, genomes, measured)?)
    }

    fn artifacts(
        &self,
        world: &World,
        evaluation: &Evaluation,
    ) -> Result<ArtifactSet, SimulationError> {
        let exporter = world.exporter().ok_or(SimulationError::NoExporter)?;
        let scenario = scenario_record(&self.scenario, self.seed);
        let inputs = RunInputs {
            genesis: &self.founding.genesis,
            policy: self.scenario.policy(),
            schema: &self.schema,
            ledger: exporter.executor().ledger(),
            blobs: exporter.blobs(),
            evaluation,
            scenario: &scenario,
            artifact_key: &self.keys.artifact_key(),
        };
        Ok(assemble(&inputs)?)
    }
}

#[cfg(test)]
mod tests;
