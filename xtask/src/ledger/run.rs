//! The ledger of a run's artifacts: the canonical export, and the anchors.

use std::path::Path;

use federation_proto::{FederatedEpoch, FederationId};
use governance::artifact::{
    ANCHOR, ANCHOR_HISTORY, LoadProblem, LoadProblemKind, LoadedArtifacts, MAX_FILE_BYTES, RUN,
};
use ledger::Anchor;
use ledger::durable::{DurableError, DurableLedger, Holder};
use ledger::export;
use ledger::store::memory::MemoryStore;

use super::LedgerError;
use crate::failure::Failure;
use crate::load;

/// Where the ledger is in the artifacts.
const LEDGER: &str = "mec/M5/ledger";
/// Where the anchors are.
const ANCHORS: &str = "merkle";

/// The files of a run that are its ledger. Nothing in them is believed.
#[derive(Debug)]
pub(super) struct Run {
    /// By their names in the canonical export.
    files: Vec<(String, Vec<u8>)>,
    /// By path.
    pub(super) anchors: Vec<(String, Anchor)>,
}

impl Run {
    /// Reads what an audit would read, within the same limits.
    pub(super) fn load(artifacts: &Path) -> Result<Self, Failure> {
        let LoadedArtifacts { files, problems } = load::load(artifacts)?;
        if let Some(problem) = problems.into_iter().find(concerns_ledger) {
            let (path, reason) = (problem.path, reason(problem.kind));
            return Err(LedgerError::Foreign { path, reason }.into());
        }
        let mut run = Self { files: Vec::new(), anchors: Vec::new() };
        for (path, bytes) in files {
            if path == ANCHOR || path.starts_with(ANCHOR_HISTORY) {
                let anchor = Anchor::parse(&bytes)
                    .map_err(|cause| LedgerError::Anchor { path: path.clone(), cause })?;
                run.anchors.push((path, anchor));
            } else if path.starts_with(LEDGER)
                && let Some(name) = path.strip_prefix(RUN)
            {
                run.files.push((name.to_owned(), bytes));
            }
        }
        Ok(run)
    }

    /// Takes the files into memory. Every block's form, order and batch and every blob's digest is checked.
    pub(super) fn into_memory(
        self,
        ledger_id: FederationId,
    ) -> Result<DurableLedger<MemoryStore>, LedgerError> {
        let of = |name: &str, cause: DurableError| LedgerError::Durable {
            path: format!("{RUN}{name}"),
            cause,
        };
        let mut ledger = DurableLedger::create(MemoryStore::new(), ledger_id)
            .map_err(|cause| of(export::BLOCKS, cause))?;
        // Nobody retains anything in memory, so any holder will do.
        let taken = ledger.import(self.files, Holder::Epoch(FederatedEpoch::ZERO));
        taken.map_err(|cause| match cause {
            DurableError::File { path, cause } => of(&path, *cause),
            other => of(export::BLOCKS, other),
        })?;
        Ok(ledger)
    }
}

/// Whether it may hide a part of the ledger, or adds to it.
fn concerns_ledger(problem: &LoadProblem) -> bool {
    let path = problem.path.as_str();
    let within = |place: &str| path.starts_with(place) || place.starts_with(path);
    let everywhere = matches!(problem.kind, LoadProblemKind::TooMany | LoadProblemKind::Staging);
    everywhere || within(LEDGER) || within(ANCHORS)
}

fn reason(kind: LoadProblemKind) -> String {
    match kind {
        LoadProblemKind::Symlink => "it is a symbolic link".to_owned(),
        LoadProblemKind::NotRegular => "it is not a regular file".to_owned(),
        LoadProblemKind::Path => "no run has a path like this".to_owned(),
        LoadProblemKind::TooLarge { length } => {
            format!("{length} bytes, the limit is {MAX_FILE_BYTES}")
        }
        LoadProblemKind::TooMany => "more files or bytes than a run may have".to_owned(),
        LoadProblemKind::Unreadable(cause) => format!("cannot be read: {cause}"),
        LoadProblemKind::Staging => {
            "an interrupted run is there; `cargo xtask simulate` repairs it".to_owned()
        }
        LoadProblemKind::Foreign => "it belongs to no run".to_owned(),
    }
}
