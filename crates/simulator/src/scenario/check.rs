//! What a scenario must keep to: ranges, names and roles, each refusal with the values that disagreed.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use federation_proto::Name;
use meta_core::optimizer::MAX_POPULATION;
use meta_core::workload::coloring::graph::MAX_VERTICES;

use super::{
    GOVERNORS, InstanceSpec, MAX_DELAY_MS, MAX_EPOCHS, MAX_NODES, ScenarioDocument, ScenarioError,
    SiteSpec,
};

/// Most work a local cycle may be allowed, in work units: hours of one core.
const MAX_WORK: u64 = 1_000_000_000_000;
/// Most workload evaluations of a local cycle.
const MAX_EVALUATIONS: u64 = 1_000_000;

impl ScenarioDocument {
    pub(super) fn check(&self) -> Result<(), ScenarioError> {
        if self.schema_version != 1 {
            return Err(ScenarioError::Version(self.schema_version));
        }
        let most_nodes = MAX_NODES as u64;
        let ranges = [
            ("epochs", self.epochs, 1, MAX_EPOCHS),
            ("validators (count)", self.validators.len() as u64, 4, most_nodes),
            ("held_out (count)", self.held_out.len() as u64, 1, 64),
            ("sites (count)", self.sites.len() as u64, 1, most_nodes),
        ];
        for (field, value, least, most) in ranges {
            within(field, value, least, most)?;
        }
        self.check_learning()?;
        self.check_delays()?;
        self.sites.iter().try_for_each(check_site)?;
        let mut families = BTreeSet::new();
        if let Some(twice) = self.held_out.iter().find(|family| !families.insert(*family)) {
            return Err(ScenarioError::HeldOutTwice(twice.clone()));
        }
        self.check_names()?;
        self.faults.check(&self.validators, &self.sites)
    }

    fn check_learning(&self) -> Result<(), ScenarioError> {
        let learning = &self.learning;
        let ranges = [
            ("learning.population", learning.population, 4, MAX_POPULATION),
            ("learning.trials", learning.trials, 1, 1_000),
            ("learning.final_trials", learning.final_trials, 1, 10_000),
            ("learning.sigma_permille", learning.sigma_permille, 1, 1_000),
            ("learning.min_gain_permille", learning.min_gain_permille, 0, 999),
            ("learning.held_out_trials", learning.held_out_trials, 1, 10_000),
        ];
        for (field, value, least, most) in ranges {
            within(field, u64::from(value), least, u64::from(most))?;
        }
        within("learning.work_limit", learning.work_limit, 1, MAX_WORK)?;
        let evolution = learning.evolution();
        let least = evolution.least_evaluations();
        if least > MAX_EVALUATIONS {
            let (population, trials) = (learning.population, learning.trials);
            let final_trials = learning.final_trials;
            return Err(ScenarioError::Generation { population, trials, final_trials, least });
        }
        within("learning.evaluations", learning.evaluations, least, MAX_EVALUATIONS)?;
        // The ranges above are the optimiser's own; should it ever ask for more, its word counts.
        evolution.validate().map_err(|cause| ScenarioError::Learning(cause.to_string()))
    }

    fn check_delays(&self) -> Result<(), ScenarioError> {
        let delays = [
            ("same_region_ms", self.network.same_region_ms),
            ("cross_region_ms", self.network.cross_region_ms),
            ("disk_ms", self.network.disk_ms),
        ];
        let bad = |range: [u64; 2]| range[0] > range[1] || range[1] > MAX_DELAY_MS;
        match delays.into_iter().find(|(_, range)| bad(*range)) {
            Some((field, range)) => Err(ScenarioError::Delay { field, range }),
            None => Ok(()),
        }
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
        Ok(())
    }
}

pub(super) fn within(
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), ScenarioError> {
    if value < least || value > most {
        return Err(ScenarioError::Range { field, value, least, most });
    }
    Ok(())
}

fn check_site(site: &SiteSpec) -> Result<(), ScenarioError> {
    let within = |field, value, least, most| {
        if value < least || value > most {
            let site = site.name.clone();
            return Err(ScenarioError::SiteRange { site, field, value, least, most });
        }
        Ok(())
    };
    within("work_per_ms", site.work_per_ms, 1, u64::MAX)?;
    within("instances (count)", site.instances.len() as u64, 1, 64)?;
    let vertices = MAX_VERTICES as u64;
    for instance in &site.instances {
        match instance {
            InstanceSpec::Family { .. } => {}
            InstanceSpec::Queen { rows, cols } => {
                within("queen rows", *rows as u64, 1, vertices)?;
                within("queen cols", *cols as u64, 1, vertices)?;
                within("queen rows × cols", *rows as u64 * *cols as u64, 1, vertices)?;
            }
            InstanceSpec::Mycielski { k } => within("mycielski k", *k as u64, 2, 10)?,
            InstanceSpec::Gnp { vertices: found, p_permille, .. } => {
                within("gnp vertices", *found as u64, 1, vertices)?;
                within("gnp p_permille", *p_permille, 0, 1_000)?;
            }
            InstanceSpec::Dimacs { path } if !stays_below(path) => {
                let (site, path) = (site.name.clone(), path.clone());
                return Err(ScenarioError::Path { site, path });
            }
            InstanceSpec::Dimacs { .. } => {}
        }
    }
    Ok(())
}

/// Whether a path leads from the scenario file down only. A scenario of a stranger reads no file elsewhere.
fn stays_below(path: &str) -> bool {
    let down = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.is_empty() && !path.contains('\\') && Path::new(path).components().all(down)
}
