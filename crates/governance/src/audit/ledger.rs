//! The ledger export: blocks, their chain, their replay, and the heads that are claimed of them.

use std::collections::BTreeMap;

use consensus_pbft::{CheckpointCertificate, CommitCertificate};
use federation_proto::codec::Canonical;
use federation_proto::{Digest, Height};
use ledger::export::{self, ExportError};
use ledger::{AppendError, BlockFile, BlockHeader, Ledger};

use super::checks::Check;
use super::ground::{Documents, Ground};
use super::report::{Place, Results};
use super::{AuditOptions, LoadedArtifacts};
use crate::artifact::replay::Replay;
use crate::artifact::{Decided, MANIFEST, RUN, block_path, derive_log_digest};
use crate::executor::ExecutionError;
use crate::machine::Refusal;

/// Most blocks of a run that are read.
pub(super) const MAX_BLOCKS: usize = 50_000;

/// Checks that rest on a replay.
pub(super) const NEED_REPLAY: &[Check] = &[
    Check::FederatedPlan,
    Check::StateRecomputed,
    Check::AggregateRecomputed,
    Check::AlignmentProofs,
    Check::UpdateHash,
    Check::Coverage,
    Check::SessionTransport,
    Check::GovChain,
    Check::GovCoverage,
];

/// Checks that cannot run to their end without a genesis.
pub(super) const NEED_GENESIS: &[Check] = &[
    Check::Encoding,
    Check::PolicyPinned,
    Check::WeakKey,
    Check::RosterEpoch,
    Check::GovQuorum,
    Check::MerkleRoot,
    Check::LedgerHead,
    Check::Numeric,
    Check::EpochMonotonic,
];

/// The blocks as the export holds them.
#[derive(Debug)]
pub(super) struct Chain {
    /// Every block that decodes, with its certificates; what blocks say of each other may still be wrong.
    pub(super) decisions: Vec<Decided>,
    /// The longest prefix that is a chain of this federation.
    pub(super) ledger: Ledger,
    /// Whether that prefix is everything there is.
    pub(super) whole: bool,
}

/// A replayed ledger.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) replay: Replay,
    /// Whether every block was replayed with the stated result.
    pub(super) complete: bool,
}

/// A head that something signed claims.
#[derive(Clone, Debug)]
pub(super) struct HeadClaim {
    pub(super) place: Place,
    pub(super) size: u64,
    pub(super) root: Digest,
}

/// Place of a block's file.
pub(super) fn block_place(height: Height, at: &str) -> Place {
    Place::at(&block_path(height).unwrap_or_else(|| RUN.to_owned()), at)
}

/// Decodes all blocks and chains them.
pub(super) fn read(set: &LoadedArtifacts, ground: &Ground, found: &mut Results) -> Chain {
    let mut blocks = BTreeMap::new();
    let mut consistent = true;
    let prefix = format!("{RUN}{}", export::BLOCKS);
    for (path, bytes) in set.files.range(prefix.clone()..) {
        if !path.starts_with(&prefix) {
            break;
        }
        let place = Place::file(path);
        let name = path.strip_prefix(RUN).and_then(export::parse_block_path);
        let Some(height) = name else {
            found.fail(Check::Unlisted, &place, "a block named by its height", path);
            continue;
        };
        if blocks.len() >= MAX_BLOCKS {
            found.fail(Check::Size, &place, format!("at most {MAX_BLOCKS} blocks"), "more");
            consistent = false;
            break;
        }
        let (block, sound) = decode(height, bytes, &place, found);
        consistent &= sound;
        if let Some(block) = block {
            blocks.insert(height, block);
        }
    }
    let (ledger, chained) = chain(&blocks, ground, found);
    let decisions = blocks.values().map(|block| decided(block, found)).collect();
    let whole = consistent && chained && !blocks.is_empty();
    Chain { decisions, ledger, whole }
}

/// A block whose parts contradict each other is still returned: its votes can be judged.
fn decode(
    height: Height,
    bytes: &[u8],
    place: &Place,
    found: &mut Results,
) -> (Option<BlockFile>, bool) {
    match export::decode_block(height, bytes) {
        Ok(block) => {
            found.pass(Check::Encoding);
            found.pass(Check::MerkleRoot);
            (Some(block), true)
        }
        Err(cause @ ExportError::Codec(_)) => {
            found.fail(Check::Encoding, place, "the canonical bytes of a block", cause);
            (None, false)
        }
        Err(cause) => {
            found.fail(Check::MerkleRoot, place, "a block that agrees with itself", cause);
            (BlockFile::from_canonical(bytes).ok(), false)
        }
    }
}

fn decided(block: &BlockFile, found: &mut Results) -> Decided {
    let height = block.header.height;
    let commit = match CommitCertificate::from_canonical(&block.commit_certificate) {
        Ok(certificate) => Some(certificate),
        Err(cause) => {
            let place = block_place(height, "/commit_certificate");
            found.fail(Check::Encoding, &place, "a commit certificate", &cause);
            found.fail(Check::Quorum, &place, "a commit certificate", cause);
            None
        }
    };
    let checkpoint = block.checkpoint_certificate.as_deref().and_then(|bytes| {
        let place = block_place(height, "/checkpoint_certificate");
        match CheckpointCertificate::from_canonical(bytes) {
            Ok(certificate) => Some(certificate),
            Err(cause) => {
                found.fail(Check::Encoding, &place, "a checkpoint certificate", cause);
                None
            }
        }
    });
    let kinds = block.batch.items.iter().map(|item| item.entry().kind()).collect();
    Decided { header: block.header, kinds, commit, checkpoint }
}

fn chain(
    blocks: &BTreeMap<Height, BlockFile>,
    ground: &Ground,
    found: &mut Results,
) -> (Ledger, bool) {
    let mut ledger = Ledger::new(ground.context.federation_id);
    for (height, block) in blocks {
        let expected = ledger.head().height.next();
        let place = block_place(expected, "");
        if *height != expected {
            found.fail(Check::LedgerHead, &place, "a block of every height", "none");
            found.fail(Check::IncompleteRun, &place, "a block of every height", "none");
            return (ledger, false);
        }
        found.pass(Check::LedgerHead);
        if let Err(cause) = ledger.import(block.clone()) {
            found.fail(append_check(&cause), &place, "a block that follows", cause);
            return (ledger, false);
        }
        found.pass(Check::MerkleRoot);
        found.pass(Check::EpochMonotonic);
    }
    if blocks.is_empty() {
        let place = block_place(Height::new(1), "");
        found.fail(Check::LedgerHead, &place, "a ledger", "no blocks");
        found.fail(Check::IncompleteRun, &place, "a ledger", "no blocks");
    }
    (ledger, true)
}

fn append_check(cause: &AppendError) -> Check {
    match cause {
        AppendError::Height { .. } => Check::LedgerHead,
        AppendError::Sequence { .. } => Check::ViewSeq,
        AppendError::Epoch { .. } => Check::EpochMonotonic,
        AppendError::LedgerId { .. } => Check::IncompleteRun,
        _ => Check::MerkleRoot,
    }
}

/// Executes every block from genesis on and compares the results with the headers.
pub(super) fn replay(chain: &Chain, ground: &Ground, found: &mut Results) -> Option<Replayed> {
    let mut replay = Replay::new(ground.rules.clone()?);
    let mut complete = chain.whole;
    for block in chain.ledger.blocks() {
        let height = block.header.height;
        let sequence = block.header.sequence;
        match replay.execute(sequence, &block.batch, &block.commit_certificate) {
            Ok(Some(header)) if header == block.header => found.pass(Check::StateRecomputed),
            Ok(header) => {
                report_header(&block.header, header.as_ref(), found);
                complete = false;
                break;
            }
            Err(cause) => {
                report_refusal(height, &cause, found);
                complete = false;
                break;
            }
        }
    }
    if !complete {
        found.block(NEED_REPLAY, "the ledger does not replay to its end");
    }
    Some(Replayed { replay, complete })
}

fn report_header(stated: &BlockHeader, own: Option<&BlockHeader>, found: &mut Results) {
    let at = |field: &str| block_place(stated.height, &format!("/header/{field}"));
    let Some(own) = own else {
        found.fail(Check::MerkleRoot, &at("entries_count"), "entries", "a null batch");
        return;
    };
    let state = (own.state_root_after, stated.state_root_after);
    found.same(Check::StateRecomputed, &at("state_root_after"), &state.0, &state.1);
    found.same(Check::EpochMonotonic, &at("epoch"), &own.epoch, &stated.epoch);
    let config = (own.config_digest, stated.config_digest);
    found.same(Check::RosterEpoch, &at("config_digest"), &config.0, &config.1);
    found.same(Check::MerkleRoot, &at("id"), &own.id(), &stated.id());
}

/// The state machine refuses a certified batch: the check that the refusal belongs to.
fn report_refusal(height: Height, cause: &ExecutionError, found: &mut Results) {
    let (checks, at): (&[Check], String) = match cause {
        ExecutionError::Append(cause) => (&[append_check(cause)], String::new()),
        ExecutionError::Refused(refusal) => (
            refusal_checks(refusal.kind, &refusal.cause),
            format!("/batch/items/{}", refusal.index),
        ),
    };
    for check in checks {
        found.fail(
            *check,
            &block_place(height, &at),
            "a batch that the state machine accepts",
            cause,
        );
    }
}

fn refusal_checks(kind: &'static str, cause: &Refusal) -> &'static [Check] {
    use federation_proto::signing::SignatureError;
    match (kind, cause) {
        (_, Refusal::Signature(SignatureError::NotReduced { .. })) => &[Check::SigCanonical],
        (_, Refusal::Signature(SignatureError::Invalid { .. })) => &[Check::SigStrict],
        (_, Refusal::UnknownNode(_) | Refusal::NoSession(_)) => &[Check::RosterEpoch],
        ("ApplySignoff", Refusal::Mismatch { what: "previous_note" | "head_root", .. })
        | ("ApplySignoff", Refusal::Head { .. }) => &[Check::GovChain],
        ("ApplySignoff", _) => &[Check::GovQuorum],
        (_, Refusal::Apply(_)) => &[Check::StateRecomputed],
        (_, Refusal::Mismatch { what: "policy_hash" | "accept policy_hash", .. }) => {
            &[Check::PolicyPinned]
        }
        ("EpochOpened", _) | (_, Refusal::FutureEpoch { .. } | Refusal::Generation { .. }) => {
            &[Check::EpochMonotonic]
        }
        ("EpochCut", _) => &[Check::Coverage],
        ("AggregatedUpdate", Refusal::Mismatch { what: "rule", .. }) => {
            &[Check::AggregateRecomputed]
        }
        ("AggregatedUpdate", _) => &[Check::Coverage],
        ("UpdateCommitment", Refusal::Receipts { .. }) => &[Check::Quorum],
        ("UpdateCommitment", _) => &[Check::UpdateHash],
        ("SessionOpened", _) => &[Check::RosterEpoch],
        _ => &[Check::StateRecomputed],
    }
}

/// Every claimed head against the chain, against each other, and against what the caller saw before.
pub(super) fn check_heads(
    chain: &Chain,
    documents: &Documents,
    mut claims: Vec<HeadClaim>,
    options: &AuditOptions,
    found: &mut Results,
) {
    let history = chain.ledger.history();
    let root_at = |size: u64| history.root_at(size).ok().map(|root| derive_log_digest(&root));
    for decided in &chain.decisions {
        let Some(certificate) = &decided.checkpoint else { continue };
        let place = block_place(decided.header.height, "/checkpoint_certificate/statement");
        let statement = &certificate.statement;
        let root = derive_log_digest(&statement.log_root);
        claims.push(HeadClaim { place, size: statement.log_size, root });
    }
    let mut seen: BTreeMap<u64, &HeadClaim> = BTreeMap::new();
    for claim in &claims {
        match root_at(claim.size) {
            Some(own) => {
                found.same(Check::MerkleRoot, &claim.place, &own, &claim.root);
            }
            None => {
                let expected = format!("at least {} blocks", claim.size);
                found.fail(Check::LedgerHead, &claim.place, expected, history.size());
            }
        }
        let first = *seen.entry(claim.size).or_insert(claim);
        if first.root == claim.root {
            found.pass(Check::LedgerFork);
        } else {
            let Place { file, at } = &first.place;
            let expected = format!("{} as in {file} {at}", first.root);
            found.fail(Check::LedgerFork, &claim.place, expected, claim.root);
        }
    }
    if let Some(record) = &documents.manifest {
        let (size, root) = (history.size(), derive_log_digest(&history.root()));
        let at = |field| Place::at(MANIFEST, format!("/ledger/{field}"));
        found.same(Check::LedgerHead, &at("size"), &size, &record.ledger.size);
        found.same(Check::LedgerHead, &at("root"), &root, &record.ledger.root);
    }
    match options.expect_head {
        None => found.note(Check::LedgerHead, "no --expect-head: an older complete set would pass"),
        Some(head) => {
            let place = Place::at(MANIFEST, "/ledger");
            let expected = format!("an extension of {}:{}", head.size, head.root);
            let own = root_at(head.size);
            let shown = own.map_or_else(
                || format!("{} blocks", history.size()),
                |root| format!("{}:{root}", head.size),
            );
            found.holds(Check::LedgerHead, &place, own == Some(head.root), expected, shown);
        }
    }
}
