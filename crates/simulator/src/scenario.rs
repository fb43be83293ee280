//! Scenarios: commented TOML files that say who takes part and what happens.

mod instances;
mod library;

use std::collections::BTreeSet;

use federation_proto::genesis::SiteRole;
use federation_proto::{Digest, HashDomain, Name};
use governance::policy::{Policy, PolicyError};
use meta_core::optimizer::EvolutionSettings;
use serde::Deserialize;
use thiserror::Error;

pub use instances::{InstanceSpec, Workloads, WorkloadsError};
pub use library::{builtin_names, builtin_source};

/// Largest scenario file in bytes.
pub const MAX_SCENARIO_BYTES: usize = 256 << 10;
/// Most epochs a run may have.
pub const MAX_EPOCHS: u64 = 1000;
/// Most sites or validators.
pub const MAX_NODES: usize = 256;

/// A scenario as written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioDocument {
    /// Format version, 1.
    pub schema_version: u32,
    /// Name, as the artifacts show it.
    pub name: Name,
    /// One line.
    pub summary: String,
    /// A shipped policy.
    pub policy: Name,
    /// Federated epochs.
    pub epochs: u64,
    /// Instance families that the final table measures, on instances nobody learns on.
    pub held_out: Vec<String>,
    /// The local cycles.
    pub learning: Learning,
    /// Delays.
    pub network: Network,
    /// The committee, in replica order.
    pub validators: Vec<ValidatorSpec>,
    /// The sites.
    pub sites: Vec<SiteSpec>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Faults,
}

/// The local cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    /// Workload evaluations a cycle.
    pub evaluations: u64,
    /// Candidates a generation.
    pub population: u32,
    /// Evaluations of each candidate.
    pub trials: u32,
    /// Evaluations of each finalist.
    pub final_trials: u32,
    /// Initial step, in permille of each gene's range.
    pub sigma_permille: u32,
    /// Work after which no generation starts.
    pub work_limit: u64,
    /// Least gain over the incumbent that counts, in permille of its cost.
    pub min_gain_permille: u32,
    /// Evaluations of each genome in the final table.
    pub held_out_trials: u32,
}

/// Delays, in milliseconds, as closed ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Between two nodes of a region.
    pub same_region_ms: [u64; 2],
    /// Between regions.
    pub cross_region_ms: [u64; 2],
    /// Until a record is durable.
    pub disk_ms: [u64; 2],
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSpec {
    /// Its name.
    pub name: Name,
    /// Who runs it.
    pub organisation: Name,
    /// Where.
    pub region: Name,
}

/// One site.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteSpec {
    /// Its name.
    pub name: Name,
    /// Whose.
    pub organisation: Name,
    /// Where.
    pub region: Name,
    /// Kind of place.
    pub role: SiteRole,
    /// Work units of the solver per millisecond: decides when its update arrives.
    pub work_per_ms: u64,
    /// Its private instances.
    pub instances: Vec<InstanceSpec>,
}

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Validators that never send anything.
    pub silent_validators: Vec<Name>,
    /// Governors that never send anything.
    pub silent_governors: Vec<Name>,
    /// Governors that admit nodes but sign nothing off.
    pub unsigning_governors: Vec<Name>,
    /// Sites that never send anything.
    pub silent_sites: Vec<Name>,
}

/// A checked scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    document: ScenarioDocument,
    policy: Policy,
    digest: Digest,
}

/// Why a scenario is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScenarioError {
    /// No built-in scenario has this name.
    #[error("no scenario {name:?}; there are: {}", .known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// Too long.
    #[error("scenario has {0} bytes, the limit is {MAX_SCENARIO_BYTES}")]
    TooLarge(usize),
    /// Not TOML of this shape; names line and field.
    #[error("scenario: {0}")]
    Malformed(String),
    /// Another format version.
    #[error("scenario schema_version {0} is not supported (1 is)")]
    Version(u32),
    /// A number out of range.
    #[error("scenario {field} is {value}, must be {least} to {most}")]
    Range {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// A range whose end is before its start.
    #[error("scenario network.{field} starts at {0} and ends at {1}", .range[0], .range[1])]
    Delay {
        /// Which range.
        field: &'static str,
        /// The range.
        range: [u64; 2],
    },
    /// One name stands twice.
    #[error("scenario name {0} is used twice")]
    SharedName(Name),
    /// A fault names nobody.
    #[error("scenario faults name {0}, which is not in the scenario")]
    UnknownFaulty(Name),
    /// No such policy is shipped.
    #[error("scenario policy {0} is not shipped; \"baseline\" is")]
    UnknownPolicy(Name),
    /// The policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Names of the three synthetic governors.
pub const GOVERNORS: [&str; 3] = ["governor-a", "governor-b", "governor-c"];

impl Scenario {
    /// A built-in scenario.
    pub fn builtin(name: &str) -> Result<Self, ScenarioError> {
        match builtin_source(name) {
            Some(source) => Self::parse(source.as_bytes()),
            None => Err(ScenarioError::Unknown { name: name.to_owned(), known: builtin_names() }),
        }
    }

    /// Parses and checks a scenario file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ScenarioError> {
        if bytes.len() > MAX_SCENARIO_BYTES {
            return Err(ScenarioError::TooLarge(bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|cause| {
            ScenarioError::Malformed(format!("not UTF-8 at byte {}", cause.valid_up_to()))
        })?;
        let document: ScenarioDocument = toml::from_str(text).map_err(|cause| {
            let shown = cause.to_string();
            let place = shown.lines().next().unwrap_or_default();
            ScenarioError::Malformed(format!("{place}: {}", cause.message()))
        })?;
        document.check()?;
        if document.policy.as_str() != "baseline" {
            return Err(ScenarioError::UnknownPolicy(document.policy));
        }
        let policy = Policy::parse(governance::policy::BASELINE_POLICY.as_bytes())?;
        Ok(Self { document, policy, digest: Digest::of(HashDomain::Scenario, bytes) })
    }

    /// The same scenario with another number of epochs.
    pub fn with_epochs(mut self, epochs: u64) -> Result<Self, ScenarioError> {
        self.document.epochs = epochs;
        self.document.check()?;
        Ok(self)
    }

    /// The content.
    pub fn document(&self) -> &ScenarioDocument {
        &self.document
    }

    /// Its policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Digest of the file's exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The settings of a local cycle.
    pub fn evolution(&self) -> EvolutionSettings {
        let learning = &self.document.learning;
        EvolutionSettings {
            evaluations: learning.evaluations,
            population: learning.population,
            trials: learning.trials,
            final_trials: learning.final_trials,
            sigma_permille: learning.sigma_permille,
            work_limit: learning.work_limit,
            min_gain_permille: learning.min_gain_permille,
        }
    }
}

impl ScenarioDocument {
    fn check(&self) -> Result<(), ScenarioError> {
        if self.schema_version != 1 {
            return Err(ScenarioError::Version(self.schema_version));
        }
        let most_nodes = MAX_NODES as u64;
        let ranges = [
            ("epochs", self.epochs, 1, MAX_EPOCHS),
            ("validators (count)", self.validators.len() as u64, 4, most_nodes),
            ("held_out (count)", self.held_out.len() as u64, 1, 64),
            ("sites (count)", self.sites.len() as u64, 1, most_nodes),
            ("learning.held_out_trials", u64::from(self.learning.held_out_trials), 1, 10_000),
            ("learning.evaluations", self.learning.evaluations, 1, 1_000_000),
        ];
        let per_site = self.sites.iter().flat_map(|site| {
            [
                ("sites.work_per_ms", site.work_per_ms, 1, u64::MAX),
                ("sites.instances (count)", site.instances.len() as u64, 1, 64),
            ]
        });
        for (field, value, least, most) in ranges.into_iter().chain(per_site) {
            if value < least || value > most {
                return Err(ScenarioError::Range { field, value, least, most });
            }
        }
        let delays = [
            ("same_region_ms", self.network.same_region_ms),
            ("cross_region_ms", self.network.cross_region_ms),
            ("disk_ms", self.network.disk_ms),
        ];
        for (field, range) in delays {
            if range[0] > range[1] || range[1] > 3_600_000 {
                return Err(ScenarioError::Delay { field, range });
            }
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<(), ScenarioError> {
        let governors = GOVERNORS.iter().filter_map(|name| Name::new(*name).ok());
        let mut names: BTreeSet<Name> = governors.collect();
        let nodes = self.validators.iter().map(|node| &node.name);
        for name in nodes.chain(self.sites.iter().map(|site| &site.name)) {
            if !names.insert(name.clone()) {
                return Err(ScenarioError::SharedName(name.clone()));
            }
        }
        let Faults { silent_validators, silent_governors, unsigning_governors, silent_sites } =
            &self.faults;
        let governors = silent_governors.iter().chain(unsigning_governors);
        let mut faulty = silent_validators.iter().chain(governors).chain(silent_sites);
        match faulty.find(|name| !names.contains(name)) {
            Some(name) => Err(ScenarioError::UnknownFaulty(name.clone())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
