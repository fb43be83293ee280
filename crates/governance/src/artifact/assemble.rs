//! From a finished run to its artifacts.

use std::collections::BTreeMap;

use consensus_pbft::{
    CertificateError, CheckpointCertificate, CommitCertificate, Committee, CommitteeError,
};
use federation_proto::codec::{Canonical, CodecError};
use federation_proto::genesis::Genesis;
use federation_proto::keys::Artifact;
use federation_proto::signing::Endorsed;
use federation_proto::{Digest, Height, Name, SecretKey};
use ledger::{BlockFile, Ledger, export};
use meta_core::genome::GenomeSchema;
use thiserror::Error;

use super::derive::{Decided, DeriveError, derive_plan, epoch_anchor, log_digest};
use super::replay::Replay;
use super::{
    ANCHOR, ArtifactSet, EVALUATION, Evaluation, FileRecord, GENESIS, GOVERNANCE_LOG,
    GenesisDocument, LedgerHead, MANIFEST, MANIFEST_SIGNATURE, Manifest, PLAN, POLICY, RUN,
    ScenarioRecord, blob_path, epoch_anchor_path, manifest,
};
use crate::executor::ExecutionError;
use crate::governance_log::{self, LogError};
use crate::machine::{Rules, RulesError};
use crate::policy::Policy;

/// Everything a run leaves behind.
#[derive(Debug)]
pub struct RunInputs<'a> {
    /// The founding document.
    pub genesis: &'a Endorsed<Genesis>,
    /// The policy it pins.
    pub policy: &'a Policy,
    /// The genome schema it pins.
    pub schema: &'a GenomeSchema,
    /// The whole ledger with every certificate attached.
    pub ledger: &'a Ledger,
    /// Blobs by their BLAKE3: every update of a cut, and what is there of later ones. Others are left out.
    pub blobs: &'a BTreeMap<Digest, Vec<u8>>,
    /// The held-out measurement.
    pub evaluation: &'a Evaluation,
    /// What was run.
    pub scenario: &'a ScenarioRecord,
    /// Signs the manifest.
    pub artifact_key: &'a SecretKey<Artifact>,
}

/// Why a run makes no artifacts.
#[derive(Debug, Error)]
pub enum AssembleError {
    /// Genesis, policy and schema do not belong together.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The roster makes no committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// The log origin is no name.
    #[error("log origin {0:?} is no name")]
    Origin(String),
    /// The ledger does not execute.
    #[error("block {height}: {cause}")]
    Execution {
        /// Where.
        height: Height,
        /// Why.
        cause: Box<ExecutionError>,
    },
    /// A block is not the one that executing its batch makes.
    #[error("block {height} is not the one that executing its batch makes")]
    OtherBlock {
        /// Where.
        height: Height,
    },
    /// A certificate is unreadable.
    #[error("block {height}: {cause}")]
    CertificateForm {
        /// Where.
        height: Height,
        /// Why.
        cause: CodecError,
    },
    /// A certificate proves nothing.
    #[error("block {height}: {cause}")]
    Certificate {
        /// Where.
        height: Height,
        /// Why.
        cause: CertificateError,
    },
    /// The blob of an update that is in a cut is not there.
    #[error("blob {0} is in a cut but was not given")]
    MissingBlob(Digest),
    /// The plan or an anchor cannot be derived.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// A block cannot be exported.
    #[error(transparent)]
    Export(#[from] export::ExportError),
    /// The governance log cannot be rendered.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Makes the artifacts of a run. The manifest is part of the result; a writer stores it last.
///
/// # Errors
/// Any variant of [`AssembleError`]. The ledger is replayed and every certificate verified; aggregates are not
/// recomputed here, that is the audit's.
pub fn assemble(inputs: &RunInputs<'_>) -> Result<ArtifactSet, AssembleError> {
    let genesis = inputs.genesis.claimed();
    let rules = Rules::new(genesis, inputs.policy.clone(), inputs.schema.clone())?;
    let context = rules.context;
    let origin: Name =
        rules.log_origin.parse().map_err(|_| AssembleError::Origin(rules.log_origin.clone()))?;
    let committee = Committee::new(&rules.roster, context, &origin)?;
    let mut replay = Replay::new(rules);
    let mut decisions = Vec::new();
    for block in inputs.ledger.blocks() {
        decisions.push(replay_block(&mut replay, block, &committee)?);
    }

    let mut files = ArtifactSet::new();
    let mut put = |path: &str, bytes: Vec<u8>| files.insert(path.to_owned(), bytes);
    put(GENESIS, GenesisDocument::of(inputs.genesis).to_text().into_bytes());
    put(POLICY, inputs.policy.source().as_bytes().to_vec());
    put(EVALUATION, inputs.evaluation.to_text().into_bytes());
    // Every certificate was verified above and every epoch has its anchor below, or this function fails.
    put(PLAN, derive_plan(&replay, &decisions, true)?.to_text().into_bytes());
    put(
        GOVERNANCE_LOG,
        governance_log::render(inputs.genesis, replay_signoffs(&replay))?.into_bytes(),
    );
    for block in inputs.ledger.blocks() {
        let path = export::block_path(block.header.height)?;
        put(&format!("{RUN}{path}"), export::encode_block(block)?);
    }
    for digest in replay.cut_blobs() {
        let bytes = inputs.blobs.get(&digest).ok_or(AssembleError::MissingBlob(digest))?;
        put(&blob_path(&digest), bytes.clone());
    }
    // What waits for a cut may still be with other validators only.
    for digest in replay.waiting_blobs() {
        if let Some(bytes) = inputs.blobs.get(&digest) {
            put(&blob_path(&digest), bytes.clone());
        }
    }
    for epoch in &replay.epochs {
        let state = epoch.meta.to_canonical();
        put(&blob_path(&Digest::of_blob(&state)), state);
        let anchor =
            epoch_anchor(epoch, &decisions, replay.executor.ledger(), &committee)?.to_text();
        put(&epoch_anchor_path(epoch.aggregated.federated_epoch), anchor.clone().into_bytes());
        // The last one stays.
        put(ANCHOR, anchor.into_bytes());
    }

    let history = replay.executor.ledger().history();
    let head = LedgerHead { size: history.size(), root: log_digest(&history.root()) };
    let records = files.iter().map(|(path, bytes)| FileRecord::of(path, bytes)).collect();
    let record = Manifest::new(context.federation_id, inputs.scenario.clone(), head, records);
    let text = record.to_text().into_bytes();
    let signature = manifest::sign(&text, inputs.artifact_key, &context);
    files.insert(MANIFEST_SIGNATURE.to_owned(), signature.into_bytes());
    files.insert(MANIFEST.to_owned(), text);
    Ok(files)
}

/// Executes a block and verifies its certificates.
fn replay_block(
    replay: &mut Replay,
    block: &BlockFile,
    committee: &Committee,
) -> Result<Decided, AssembleError> {
    let height = block.header.height;
    let header = replay
        .execute(block.header.sequence, &block.batch, &block.commit_certificate)
        .map_err(|cause| AssembleError::Execution { height, cause: Box::new(cause) })?;
    if header != Some(block.header) {
        return Err(AssembleError::OtherBlock { height });
    }
    let form = |cause| AssembleError::CertificateForm { height, cause };
    let proof = |cause| AssembleError::Certificate { height, cause };
    let commit = CommitCertificate::from_canonical(&block.commit_certificate).map_err(form)?;
    commit.verify(committee).map_err(proof)?;
    let checkpoint = block.checkpoint_certificate.as_deref();
    let checkpoint =
        checkpoint.map(CheckpointCertificate::from_canonical).transpose().map_err(form)?;
    if let Some(certificate) = &checkpoint {
        certificate.verify(committee).map_err(proof)?;
    }
    let kinds = block.batch.items.iter().map(|item| item.entry().kind()).collect();
    Ok(Decided { header: block.header, kinds, commit: Some(commit), checkpoint })
}

/// The sign-offs of a replayed ledger, in their order.
pub(crate) fn replay_signoffs(
    replay: &Replay,
) -> impl Iterator<Item = &federation_proto::entry::ApplySignoff> {
    replay.epochs.iter().map(|epoch| &epoch.signoff)
}
