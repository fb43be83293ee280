//! Who must have signed: the root of trust, and the genesis that it vouches for.

use std::path::{Path, PathBuf};

use governance::artifact::json::Document as _;
use governance::artifact::{GENESIS, GenesisDocument};
use governance::audit::{GenesisRefused, LogKeys};
use governance::trust::RootOfTrust;

use super::LedgerError;
use crate::cli::TrustArgs;
use crate::compliance;
use crate::failure::Failure;
use crate::files;
use crate::trust;
use crate::workspace;

/// What every verification stands on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) trust: RootOfTrust,
    pub(super) keys: LogKeys,
}

impl Ground {
    /// Reads root of trust and genesis; the latter lies in the artifacts unless it is named.
    pub(super) fn establish(args: &TrustArgs, artifacts: Option<&Path>) -> Result<Self, Failure> {
        let trust = trust::root_of_trust(args.root_of_trust.as_deref())?;
        let path = match &args.genesis {
            Some(path) => path.clone(),
            None => genesis_of(&directory(artifacts))?,
        };
        let genesis = files::read(&path, GenesisDocument::MAX_BYTES as u64)?;
        let keys = LogKeys::of_genesis(&genesis, &trust).map_err(|GenesisRefused(first)| {
            let (path, at) = (workspace::shown(&path), first.at);
            LedgerError::Genesis { path, at, expected: first.expected, found: first.found }
        })?;
        Ok(Self { trust, keys })
    }
}

/// The artifacts that were named, or those of the workspace.
pub(super) fn directory(artifacts: Option<&Path>) -> PathBuf {
    artifacts.map_or_else(workspace::artifacts, Path::to_path_buf)
}

fn genesis_of(artifacts: &Path) -> Result<PathBuf, Failure> {
    compliance::check_root(artifacts)?;
    let path = artifacts.join(GENESIS);
    if path.exists() {
        return Ok(path);
    }
    let reason = "has no mec/M5/genesis.json";
    Err(Failure::NoArtifacts { path: workspace::shown(artifacts), reason })
}
