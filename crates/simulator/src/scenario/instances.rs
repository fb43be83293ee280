//! From a site's instance list to its private workload.

use std::collections::BTreeMap;

use meta_core::workload::coloring::dimacs::{self, DimacsError};
use meta_core::workload::coloring::graph::GraphError;
use meta_core::workload::coloring::{
    ColoringWorkload, Family, FamilyError, Instance, InstanceError, Split, generators,
};
use serde::Deserialize;
use thiserror::Error;

use super::ScenarioDocument;

/// One or several graph-colouring instances.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InstanceSpec {
    /// The training set of a named family, drawn with the run's seed.
    Family {
        /// Name of the family.
        name: String,
    },
    /// The queen graph of a board.
    Queen {
        /// Rows of the board.
        rows: usize,
        /// Columns of the board.
        cols: usize,
    },
    /// The Mycielski graph with this chromatic number.
    Mycielski {
        /// Its chromatic number.
        k: usize,
    },
    /// A random graph G(n, p).
    Gnp {
        /// Vertices.
        vertices: usize,
        /// Edge probability in permille.
        p_permille: u64,
        /// Seed of the graph.
        seed: u64,
    },
    /// A DIMACS `.col` file.
    Dimacs {
        /// Path of the file, relative to the scenario file.
        path: String,
    },
}

/// Work units a calibration run may use.
const CALIBRATION_CAP: u64 = 4_000_000;

/// The private workloads of a scenario's sites, in their order, and the instances nobody learns on.
#[derive(Debug)]
pub struct Workloads {
    /// One a site.
    pub sites: Vec<ColoringWorkload>,
    /// Held-out instances, a family each.
    pub held_out: Vec<(Family, ColoringWorkload)>,
}

/// Why a workload could not be built.
#[derive(Debug, Error)]
pub enum WorkloadsError {
    /// No such family.
    #[error("{place}: no instance family {name:?}; there are: {known}")]
    UnknownFamily {
        /// Where it is named.
        place: String,
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A named file was not given.
    #[error("site {site}: file {path} was not found")]
    MissingFile {
        /// The site.
        site: String,
        /// The path.
        path: String,
    },
    /// A DIMACS file is malformed.
    #[error("site {site}: {path}: {cause}")]
    Dimacs {
        /// The site.
        site: String,
        /// The path.
        path: String,
        /// Why, with the line.
        cause: DimacsError,
    },
    /// A generator refused its arguments.
    #[error("site {site}: {cause}")]
    Graph {
        /// The site.
        site: String,
        /// Why.
        cause: GraphError,
    },
    /// An instance cannot be calibrated.
    #[error(
        "site {site}: {instance}: {cause}; take a smaller or sparser graph (scenarios/baseline.toml names the limit)"
    )]
    Instance {
        /// The site.
        site: String,
        /// The file or the generator.
        instance: String,
        /// Why.
        cause: InstanceError,
    },
    /// A family cannot be built.
    #[error("family {family}: {cause}")]
    Family {
        /// The family.
        family: &'static str,
        /// Why.
        cause: FamilyError,
    },
    /// The colouring schema itself is refused.
    #[error(transparent)]
    Schema(#[from] meta_core::genome::SchemaError),
}

impl ScenarioDocument {
    /// Paths of the files that the instances name.
    pub fn files(&self) -> Vec<&str> {
        let mut paths = Vec::new();
        for spec in self.sites.iter().flat_map(|site| &site.instances) {
            if let InstanceSpec::Dimacs { path } = spec {
                paths.push(path.as_str());
            }
        }
        paths
    }

    /// Builds every site's workload; `files` holds the bytes of what [`ScenarioDocument::files`] names.
    pub fn workloads(
        &self,
        seed: u64,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Workloads, WorkloadsError> {
        let mut sites = Vec::with_capacity(self.sites.len());
        for site in &self.sites {
            let mut instances = Vec::new();
            for spec in &site.instances {
                instances.extend(spec.build(site.name.as_str(), seed, files)?);
            }
            sites.push(ColoringWorkload::new(instances)?);
        }
        let mut held_out = Vec::new();
        for name in &self.held_out {
            let family = family("held_out", name)?;
            let instances = of_family(family, Split::HeldOut, seed)?;
            held_out.push((family, ColoringWorkload::new(instances)?));
        }
        Ok(Workloads { sites, held_out })
    }
}

impl InstanceSpec {
    fn build(
        &self,
        site: &str,
        seed: u64,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Vec<Instance>, WorkloadsError> {
        let of_graph = |cause| WorkloadsError::Graph { site: site.to_owned(), cause };
        let graph = match self {
            Self::Family { name } => {
                return of_family(family(&format!("site {site}"), name)?, Split::Training, seed);
            }
            Self::Queen { rows, cols } => generators::queen(*rows, *cols).map_err(of_graph)?,
            Self::Mycielski { k } => generators::mycielski(*k).map_err(of_graph)?,
            Self::Gnp { vertices, p_permille, seed } => {
                generators::gnp(*vertices, *p_permille, *seed).map_err(of_graph)?
            }
            Self::Dimacs { path } => {
                let (site, path) = (site.to_owned(), path.clone());
                let Some(bytes) = files.get(&path) else {
                    return Err(WorkloadsError::MissingFile { site, path });
                };
                dimacs::parse(bytes).map_err(|cause| WorkloadsError::Dimacs {
                    site,
                    path,
                    cause,
                })?
            }
        };
        let instance = Instance::hardest(graph, CALIBRATION_CAP).map_err(|cause| {
            let (site, instance) = (site.to_owned(), self.shown());
            WorkloadsError::Instance { site, instance, cause }
        })?;
        Ok(vec![instance])
    }

    /// The instance as people know it.
    fn shown(&self) -> String {
        match self {
            Self::Family { name } => format!("family {name}"),
            Self::Queen { rows, cols } => format!("queen {rows} × {cols}"),
            Self::Mycielski { k } => format!("mycielski {k}"),
            Self::Gnp { vertices, p_permille, seed } => {
                format!("gnp of {vertices} vertices, p = {p_permille}‰, seed {seed}")
            }
            Self::Dimacs { path } => path.clone(),
        }
    }
}

fn family(place: &str, name: &str) -> Result<Family, WorkloadsError> {
    let found = Family::ALL.into_iter().find(|family| family.name() == name);
    found.ok_or_else(|| WorkloadsError::UnknownFamily {
        place: place.to_owned(),
        name: name.to_owned(),
        known: Family::ALL.map(Family::name).join(", "),
    })
}

fn of_family(family: Family, split: Split, seed: u64) -> Result<Vec<Instance>, WorkloadsError> {
    let wrap = |cause| WorkloadsError::Family { family: family.name(), cause };
    family.instances(split, seed).map_err(wrap)
}
