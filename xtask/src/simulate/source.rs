//! The scenario of a run and the files it names.

use std::collections::BTreeMap;
use std::path::Path;

use simulator::scenario::{MAX_SCENARIO_BYTES, Scenario, builtin_names};

use crate::failure::Failure;
use crate::files;
use crate::workspace;

/// Largest DIMACS file in bytes.
const MAX_INSTANCE_BYTES: u64 = 64 << 20;

/// A checked scenario with everything it needs from disk.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) scenario: Scenario,
    /// Shipped with the simulator, not read from a file.
    pub(super) builtin: bool,
    /// The number of epochs, when it is not the scenario's own.
    pub(super) other_epochs: Option<u64>,
    /// Bytes of the DIMACS files, by the path in the scenario.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Source {
    /// Finds a scenario by name or file.
    pub(super) fn load(named: &str, epochs: Option<u64>) -> Result<Self, Failure> {
        let builtin = !is_path(named);
        let (scenario, base) = if builtin {
            (Scenario::builtin(named)?, workspace::root())
        } else {
            let path = Path::new(named);
            let bytes = files::read(path, MAX_SCENARIO_BYTES as u64)?;
            let scenario = Scenario::parse(&bytes)
                .map_err(|cause| Failure::ScenarioFile { path: path.to_path_buf(), cause })?;
            let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
            (scenario, base)
        };
        let other_epochs = epochs.filter(|epochs| *epochs != scenario.document().epochs);
        let scenario = match other_epochs {
            Some(epochs) => scenario.with_epochs(epochs)?,
            None => scenario,
        };
        let files = read_instances(&scenario, &base)?;
        Ok(Self { scenario, builtin, other_epochs, files })
    }
}

/// A name is a name even when a file is called like it; `./baseline` is the file.
fn is_path(named: &str) -> bool {
    let is_builtin = builtin_names().contains(&named);
    !is_builtin
        && (named.contains(['/', '\\']) || named.ends_with(".toml") || Path::new(named).exists())
}

fn read_instances(scenario: &Scenario, base: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    for path in scenario.document().files() {
        if !files.contains_key(path) {
            files.insert(path.to_owned(), files::read(&base.join(path), MAX_INSTANCE_BYTES)?);
        }
    }
    Ok(files)
}
