//! The artifacts of a run: their layout, their formats, and how they follow from a ledger.
//!
//! ```text
//! mec/M5/manifest.json              every other file with its length and BLAKE3; written last
//! mec/M5/manifest.json.sig          its detached signature by the artifact key
//! mec/M5/genesis.json               the founding document and its endorsements
//! mec/M5/policy.toml                the policy, exact bytes
//! mec/M5/federated_plan.json        who took part, what was decided, the votes and proofs
//! mec/M5/evaluation.json            the held-out cost table
//! mec/M5/ledger/blocks/*.blk        every block with its certificates
//! mec/M5/ledger/blobs/*             signed updates and meta states, named by their BLAKE3
//! merkle/meta_M5.merk               anchor of the last applied epoch
//! merkle/history/meta_M5.*.merk     anchor of every applied epoch
//! META-GOVERNANCE-LOG.md            the governance entries of the ledger, readable
//! ```
//!
//! This module does no I/O: [`assemble`] makes bytes, [`LoadedArtifacts`] is what an edge has read.

mod assemble;
mod derive;
pub mod evaluation;
pub mod genesis;
pub mod json;
pub mod manifest;
mod outcome;
pub mod plan;
pub(crate) mod replay;

use std::collections::BTreeMap;

use federation_proto::codec::Canonical;
use federation_proto::{Digest, FederatedEpoch};
use ledger::BlockHeader;
use serde::{Deserialize, Serialize};

pub use assemble::{AssembleError, RunInputs, assemble};
pub use derive::DeriveError;
pub(crate) use derive::{
    Decided, derive_plan, log_digest as derive_log_digest, rule_text, transport_text,
};
pub use evaluation::{Evaluation, EvaluationRow, FamilyCost};
pub use genesis::GenesisDocument;
pub use manifest::{FileRecord, LedgerHead, Manifest, ScenarioRecord};
pub(crate) use outcome::outcomes;
pub use plan::FederatedPlan;

use crate::machine::StateRootParts;

/// Files of a run by their path from the root of the artifacts.
pub type ArtifactSet = BTreeMap<String, Vec<u8>>;

/// The manifest.
pub const MANIFEST: &str = "mec/M5/manifest.json";
/// Its detached signature.
pub const MANIFEST_SIGNATURE: &str = "mec/M5/manifest.json.sig";
/// The plan.
pub const PLAN: &str = "mec/M5/federated_plan.json";
/// The evaluation.
pub const EVALUATION: &str = "mec/M5/evaluation.json";
/// The policy.
pub const POLICY: &str = "mec/M5/policy.toml";
/// The genesis.
pub const GENESIS: &str = "mec/M5/genesis.json";
/// Folder of the ledger export; below it stand [`ledger::export::BLOCKS`] and [`ledger::export::BLOBS`].
pub const RUN: &str = "mec/M5/";
/// The last anchor.
pub const ANCHOR: &str = "merkle/meta_M5.merk";
/// Folder of the anchors of every epoch.
pub const ANCHOR_HISTORY: &str = "merkle/history/";
/// The governance log.
pub const GOVERNANCE_LOG: &str = "META-GOVERNANCE-LOG.md";
/// The places of a run, which a writer may clear: folders end in `/`. Whatever else an edge finds below the
/// root of the artifacts belongs to no run.
pub const SCOPE: [&str; 3] = [RUN, "merkle/", GOVERNANCE_LOG];

/// Largest artifact file in bytes. Blobs and blocks have tighter limits of their own.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most files of a run.
pub const MAX_FILES: usize = 100_000;
/// Most bytes of a whole run.
pub const MAX_TOTAL_BYTES: u64 = 1 << 30;

/// Path of the block of a height, or `None` when heights that large are not exported.
pub fn block_path(height: federation_proto::Height) -> Option<String> {
    ledger::export::block_path(height).ok().map(|path| format!("{RUN}{path}"))
}

/// Path of a blob.
pub fn blob_path(digest: &Digest) -> String {
    format!("{RUN}{}", ledger::export::blob_path(digest))
}

/// Path of the anchor of an epoch.
pub fn epoch_anchor_path(epoch: FederatedEpoch) -> String {
    format!("{ANCHOR_HISTORY}meta_M5.{:06}.merk", epoch.get())
}

/// The extra data of an anchor: the leaf it proves, and the parts of the state root in it.
///
/// The anchor proves the header; the header's state root is the hash of the parts; so the anchor proves
/// the meta state, and a node that restores from it needs to trust nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorExtra {
    /// Header of the block with the `ApplySignoff`.
    pub header: BlockHeader,
    /// Parts of its state root.
    pub parts: StateRootParts,
}

impl Canonical for AnchorExtra {
    const NAME: &'static str = "AnchorExtra";
    const MAX_BYTES: usize = 1024;
}

/// What an edge has read below the root of the artifacts, and what it could not read.
#[derive(Clone, Debug, Default)]
pub struct LoadedArtifacts {
    /// Regular files within the limits, by path with `/`.
    pub files: ArtifactSet,
    /// Everything else that was found.
    pub problems: Vec<LoadProblem>,
}

/// Something below the root of the artifacts that is no file to be audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadProblem {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub kind: LoadProblemKind,
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadProblemKind {
    /// A symbolic link: it would let the content come from elsewhere.
    Symlink,
    /// A FIFO, socket or device: reading it may never end.
    NotRegular,
    /// A path that is not UTF-8, or has components such as `..`.
    Path,
    /// Larger than [`MAX_FILE_BYTES`].
    TooLarge {
        /// Its size in bytes.
        length: u64,
    },
    /// More than [`MAX_FILES`] files or [`MAX_TOTAL_BYTES`] bytes: nothing further was read.
    TooMany,
    /// It could not be read.
    Unreadable(String),
    /// A leftover of an interrupted writer.
    Staging,
    /// A file that no manifest lists and no layout knows, or an empty directory: named, not read.
    Foreign,
}

impl From<ArtifactSet> for LoadedArtifacts {
    fn from(files: ArtifactSet) -> Self {
        Self { files, problems: Vec::new() }
    }
}
