//! What goes wrong in a scenario, and the bounds within which it may.

use std::collections::BTreeSet;

use federation_proto::{Name, quorum};
use serde::Deserialize;

use super::check::within;
use super::{GOVERNORS, ScenarioError, SiteSpec, ValidatorSpec};

/// Latest time of a crash or a return in milliseconds, beyond the end of every run.
const MAX_TIME_MS: u64 = 1_000_000_000_000;
/// Longest extra delay of a slow validator in milliseconds. With more it is as good as silent.
const MAX_SLOW_MS: u64 = 60_000;

/// What goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Validators that never send anything.
    pub silent_validators: Vec<Name>,
    /// Validators that stop, and may come back with what their disk holds.
    pub crashed_validators: Vec<Crash>,
    /// Validators that ignore what a site commits.
    pub censoring_validators: Vec<Censor>,
    /// Validators that, as primary, propose one batch to one backup and another one to the rest.
    pub equivocating_validators: Vec<Name>,
    /// Validators that send everything late.
    pub slow_validators: Vec<Slow>,
    /// Governors that never send anything.
    pub silent_governors: Vec<Name>,
    /// Governors that admit nodes but sign nothing off.
    pub unsigning_governors: Vec<Name>,
    /// Sites that never send anything.
    pub silent_sites: Vec<Name>,
}

/// A crash: what is not durable is lost, and frames that arrive meanwhile too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// Who.
    pub validator: Name,
    /// When, in milliseconds of logical time.
    pub at_ms: u64,
    /// When it is back; without it, never.
    #[serde(default)]
    pub back_ms: Option<u64>,
}

/// A validator that ignores a site's commitments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Censor {
    /// Who.
    pub validator: Name,
    /// Whose commitments.
    pub site: Name,
}

/// A validator whose frames arrive late.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    /// Who.
    pub validator: Name,
    /// By how many milliseconds.
    pub delay_ms: u64,
}

impl Faults {
    /// Every validator with a fault of any kind.
    pub fn faulty_validators(&self) -> BTreeSet<&Name> {
        let crashed = self.crashed_validators.iter().map(|crash| &crash.validator);
        let censoring = self.censoring_validators.iter().map(|censor| &censor.validator);
        let slow = self.slow_validators.iter().map(|slow| &slow.validator);
        let plain = self.silent_validators.iter().chain(&self.equivocating_validators);
        plain.chain(crashed).chain(censoring).chain(slow).collect()
    }

    pub(super) fn check(
        &self,
        validators: &[ValidatorSpec],
        sites: &[SiteSpec],
    ) -> Result<(), ScenarioError> {
        let validators: Vec<&str> = validators.iter().map(|node| node.name.as_str()).collect();
        let sites: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
        self.check_names(&validators, &sites)?;
        self.check_times()?;
        let (size, faulty) = (validators.len(), self.faulty_validators());
        let (found, most) = (faulty.len(), quorum::max_faulty(size));
        if found > most {
            let names: Vec<&str> = faulty.iter().map(|name| name.as_str()).collect();
            let names = names.join(", ");
            return Err(ScenarioError::TooManyFaulty { names, found, size, most });
        }
        Ok(())
    }

    fn check_names(&self, validators: &[&str], sites: &[&str]) -> Result<(), ScenarioError> {
        let crashed: Vec<&Name> = self.crashed_validators.iter().map(|it| &it.validator).collect();
        let censoring = self.censoring_validators.iter().map(|it| &it.validator).collect();
        let censored = self.censoring_validators.iter().map(|it| &it.site).collect();
        let slow = self.slow_validators.iter().map(|it| &it.validator).collect();
        let lists: [(_, Vec<&Name>, _, &[&str]); 9] = [
            ("silent_validators", self.silent_validators.iter().collect(), "validator", validators),
            ("crashed_validators", crashed.clone(), "validator", validators),
            ("censoring_validators", censoring, "validator", validators),
            ("censoring_validators", censored, "site", sites),
            (
                "equivocating_validators",
                self.equivocating_validators.iter().collect(),
                "validator",
                validators,
            ),
            ("slow_validators", slow, "validator", validators),
            ("silent_governors", self.silent_governors.iter().collect(), "governor", &GOVERNORS),
            (
                "unsigning_governors",
                self.unsigning_governors.iter().collect(),
                "governor",
                &GOVERNORS,
            ),
            ("silent_sites", self.silent_sites.iter().collect(), "site", sites),
        ];
        for (field, named, role, known) in lists {
            if let Some(name) = named.into_iter().find(|name| !known.contains(&name.as_str())) {
                let (name, known) = (name.clone(), known.join(", "));
                return Err(ScenarioError::UnknownFaulty { field, name, role, known });
            }
        }
        let mut once = BTreeSet::new();
        match crashed.into_iter().find(|name| !once.insert(*name)) {
            Some(twice) => Err(ScenarioError::CrashedTwice(twice.clone())),
            None => Ok(()),
        }
    }

    fn check_times(&self) -> Result<(), ScenarioError> {
        for slow in &self.slow_validators {
            within("faults.slow_validators delay_ms", slow.delay_ms, 1, MAX_SLOW_MS)?;
        }
        for Crash { validator, at_ms, back_ms } in &self.crashed_validators {
            within("faults.crashed_validators at_ms", *at_ms, 1, MAX_TIME_MS)?;
            let Some(back_ms) = *back_ms else { continue };
            within("faults.crashed_validators back_ms", back_ms, 1, MAX_TIME_MS)?;
            if back_ms <= *at_ms {
                let (validator, at_ms) = (validator.clone(), *at_ms);
                return Err(ScenarioError::BackTooEarly { validator, at_ms, back_ms });
            }
        }
        Ok(())
    }
}
