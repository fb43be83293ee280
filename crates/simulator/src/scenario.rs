//! Scenarios: commented TOML files that say who takes part and what happens.

mod check;
mod faults;
mod instances;
mod library;

use std::collections::BTreeSet;

use federation_proto::genesis::SiteRole;
use federation_proto::{Digest, HashDomain, Name};
use governance::policy::{Policy, PolicyError, RuleName, toml_error};
use meta_core::optimizer::EvolutionSettings;
use serde::Deserialize;
use thiserror::Error;

pub use faults::{Censor, Crash, Faults, Slow};
pub use instances::{InstanceSpec, Workloads, WorkloadsError};
pub use library::{builtin_names, builtin_source};

/// Largest scenario file in bytes.
pub const MAX_SCENARIO_BYTES: usize = 256 << 10;
/// Most epochs a run may have.
pub const MAX_EPOCHS: u64 = 1000;
/// Most sites or validators.
pub const MAX_NODES: usize = 256;
/// Longest delay in milliseconds, far below the 600 s of logical time that the simulator waits for a step of
/// the ledger. With twice as much on every link the agents' retries overtake the answers to what they
/// repeat, and sessions never open.
pub const MAX_DELAY_MS: u64 = 1_000;

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
    /// A number of a site out of range.
    #[error("scenario site {site}: {field} is {value}, must be {least} to {most}")]
    SiteRange {
        /// The site.
        site: Name,
        /// Which field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// Least allowed.
        least: u64,
        /// Most allowed.
        most: u64,
    },
    /// One generation and the final comparison need more evaluations than a cycle may have.
    #[error(
        "scenario learning.population {population} × trials {trials} + 4 × final_trials {final_trials} are {least} evaluations, the limit is 1000000"
    )]
    Generation {
        /// Candidates of a generation.
        population: u32,
        /// Evaluations of each.
        trials: u32,
        /// Evaluations of each of four finalists.
        final_trials: u32,
        /// Evaluations in all.
        least: u64,
    },
    /// The optimiser refuses the settings.
    #[error("scenario learning: {0}")]
    Learning(String),
    /// Too few organisations for the policy.
    #[error(
        "scenario sites belong to {found} organisations, the policy needs updates of at least {needed}"
    )]
    Organisations {
        /// Distinct organisations of the sites.
        found: usize,
        /// Organisations the policy needs.
        needed: u32,
    },
    /// One family is to be measured twice.
    #[error("scenario held_out names family {0:?} twice")]
    HeldOutTwice(String),
    /// A file outside the directory of the scenario.
    #[error(
        "scenario site {site}: dimacs path {path:?} must be relative to the scenario file and without \"..\""
    )]
    Path {
        /// The site.
        site: Name,
        /// The path.
        path: String,
    },
    /// A range whose end is before its start, or that is too long.
    #[error(
        "scenario network.{field} is [{0}, {1}], must be two rising numbers of at most {MAX_DELAY_MS} ms",
        .range[0], .range[1]
    )]
    Delay {
        /// Which range.
        field: &'static str,
        /// The range.
        range: [u64; 2],
    },
    /// One name stands twice.
    #[error("scenario name {0} is used twice")]
    SharedName(Name),
    /// A fault names nobody of its role.
    #[error("scenario faults.{field} names {name}, which is no {role} (there are: {known})")]
    UnknownFaulty {
        /// Which list.
        field: &'static str,
        /// The name.
        name: Name,
        /// What it must be.
        role: &'static str,
        /// Those there are.
        known: String,
    },
    /// More validators have a fault than the committee tolerates: nothing would be decided, or no longer safely.
    #[error(
        "scenario faults name {found} of {size} validators ({names}), at most {most} may be faulty"
    )]
    TooManyFaulty {
        /// Those named, each once.
        names: String,
        /// How many.
        found: usize,
        /// Validators.
        size: usize,
        /// How many may be faulty, f.
        most: usize,
    },
    /// One validator crashes twice.
    #[error("scenario faults.crashed_validators names {0} twice")]
    CrashedTwice(Name),
    /// A validator is back before it is away.
    #[error(
        "scenario faults.crashed_validators: {validator} crashes at {at_ms} ms and is back at {back_ms} ms"
    )]
    BackTooEarly {
        /// Which.
        validator: Name,
        /// When it crashes.
        at_ms: u64,
        /// When it is back.
        back_ms: u64,
    },
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
        let document: ScenarioDocument = toml::from_str(text)
            .map_err(|cause| ScenarioError::Malformed(toml_error(text, &cause)))?;
        document.check()?;
        if document.policy.as_str() != "baseline" {
            return Err(ScenarioError::UnknownPolicy(document.policy));
        }
        let policy = Policy::parse(governance::policy::BASELINE_POLICY.as_bytes())?;
        let digest = Digest::of(HashDomain::Scenario, bytes);
        Self { document, policy, digest }.under_its_policy()
    }

    /// The same scenario with another number of epochs.
    pub fn with_epochs(mut self, epochs: u64) -> Result<Self, ScenarioError> {
        self.document.epochs = epochs;
        self.document.check()?;
        self.under_its_policy()
    }

    /// What the policy makes impossible is better refused now than stuck later: a site whose session ends is
    /// heard no more, and too few organisations close no epoch.
    fn under_its_policy(self) -> Result<Self, ScenarioError> {
        let policy = self.policy.document();
        let trims =
            matches!(policy.aggregation.rule, RuleName::TrimmedMean | RuleName::NnmTrimmedMean);
        let untrimmed = if trims { 2 * u32::from(policy.aggregation.trim) + 1 } else { 1 };
        let needed = policy.epoch.minimum_organisations.max(untrimmed);
        let organisations: BTreeSet<&Name> =
            self.document.sites.iter().map(|site| &site.organisation).collect();
        let found = organisations.len();
        if found < needed as usize {
            return Err(ScenarioError::Organisations { found, needed });
        }
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
        self.document.learning.evolution()
    }
}

impl Learning {
    fn evolution(&self) -> EvolutionSettings {
        EvolutionSettings {
            evaluations: self.evaluations,
            population: self.population,
            trials: self.trials,
            final_trials: self.final_trials,
            sigma_permille: self.sigma_permille,
            work_limit: self.work_limit,
            min_gain_permille: self.min_gain_permille,
        }
    }
}

#[cfg(test)]
mod tests;
