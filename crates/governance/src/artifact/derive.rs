//! The plan, anchors and states as they follow from a replayed ledger and its certificates.
//!
//! The writer of artifacts and the auditor both derive here: the auditor derives from what it verified and
//! compares.

use consensus_pbft::{CheckpointCertificate, CommitCertificate, Committee, ReplicaId};
use federation_proto::codec::Canonical;
use federation_proto::entry::AggregationRule;
use federation_proto::handshake::{TransportKind, TransportRecord};
use federation_proto::keys::NodeFingerprint;
use federation_proto::{Digest, Height};
use ledger::{Anchor, BlockHeader, Ledger, LedgerError, LogHash};
use thiserror::Error;

use super::outcome::outcomes;
use super::plan::{
    AbsentNode, AlignmentProof, CommitteeSize, ConsensusDecision, FederatedPlan, ParticipatingNode,
    PlanCheckpoint, PlanCheckpointVote, PlanEpoch, PlanValidator, PlanVote,
};
use super::replay::{AppliedEpoch, Replay, TakenSession};
use super::{AnchorExtra, epoch_anchor_path};
use crate::artifact::json::Document;
use crate::machine::Rules;

/// A block with its decoded certificates.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) header: BlockHeader,
    /// Kinds of the entries, in their order.
    pub(crate) kinds: Vec<&'static str>,
    /// Certificate of the order, when it could be read.
    pub(crate) commit: Option<CommitCertificate>,
    /// Certificate of the result, when there is one that could be read.
    pub(crate) checkpoint: Option<CheckpointCertificate>,
}

/// Why something cannot be derived from a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeriveError {
    /// No checkpoint certificate at or after a sign-off: the epoch cannot be anchored.
    #[error("no checkpoint certificate at or after block {signoff}: the epoch has no anchor")]
    NoCheckpoint {
        /// Height of the sign-off.
        signoff: Height,
    },
    /// No epoch was applied, so there is nothing to anchor or prove.
    #[error("no epoch was applied")]
    NoEpoch,
    /// A proof cannot be built.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A certificate cannot be rendered as a note.
    #[error(transparent)]
    Certificate(#[from] consensus_pbft::CertificateError),
    /// An update of a cut stands in no alignment record.
    #[error("update {update_hash} of the cut is not in the alignment record")]
    NotAligned {
        /// Its hash.
        update_hash: Digest,
    },
}

/// The first checkpoint certificate at or after a height.
pub(crate) fn covering_checkpoint(
    decisions: &[Decided],
    height: Height,
) -> Option<&CheckpointCertificate> {
    decisions
        .iter()
        .filter(|decided| decided.header.height >= height)
        .find_map(|decided| decided.checkpoint.as_ref())
}

/// The anchor of an applied epoch.
pub(crate) fn epoch_anchor(
    epoch: &AppliedEpoch,
    decisions: &[Decided],
    ledger: &Ledger,
    committee: &Committee,
) -> Result<Anchor, DeriveError> {
    let signoff = epoch.signoff_at;
    let certificate =
        covering_checkpoint(decisions, signoff).ok_or(DeriveError::NoCheckpoint { signoff })?;
    let extra = AnchorExtra { header: epoch.header, parts: epoch.parts };
    Ok(ledger.anchor(signoff, certificate.to_note(committee)?, Some(extra.to_canonical()))?)
}

/// The whole plan. `consensus_passed` is given: only who verified the votes can say.
pub(crate) fn derive_plan(
    replay: &Replay,
    decisions: &[Decided],
    consensus_passed: bool,
) -> Result<FederatedPlan, DeriveError> {
    let rules = replay.executor.rules();
    let ledger = replay.executor.ledger();
    let last = replay.epochs.last().ok_or(DeriveError::NoEpoch)?;
    let signoff = last.signoff_at;
    let log_size = covering_checkpoint(decisions, signoff)
        .ok_or(DeriveError::NoCheckpoint { signoff })?
        .statement
        .log_size;
    let mut alignment_proofs = Vec::new();
    for epoch in &replay.epochs {
        alignment_proofs.extend(epoch_proofs(epoch, ledger, log_size)?);
    }
    Ok(FederatedPlan {
        schema: FederatedPlan::SCHEMA.to_owned(),
        schema_version: FederatedPlan::VERSION,
        federation_id: rules.federation_id(),
        config_digest: rules.roster.digest(),
        policy_hash: rules.policy.digest(),
        committee: committee_size(rules),
        validators: validators(rules),
        participating_nodes: replay
            .sessions
            .iter()
            .filter_map(|session| participating_node(rules, session))
            .collect(),
        epochs: replay.epochs.iter().map(plan_epoch).collect(),
        alignment_proofs,
        consensus_decisions: decisions.iter().map(|decided| decision(rules, decided)).collect(),
        consensus_passed,
    })
}

fn committee_size(rules: &Rules) -> CommitteeSize {
    let n = rules.roster.validators().len();
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    CommitteeSize {
        n: small(n),
        f: small(federation_proto::quorum::max_faulty(n)),
        q: small(rules.roster.quorum()),
    }
}

fn validators(rules: &Rules) -> Vec<PlanValidator> {
    let records = rules.roster.validators().iter().map(|validator| &validator.record);
    (0u32..)
        .zip(records)
        .map(|(replica, record)| PlanValidator {
            replica,
            name: record.name.clone(),
            node_fingerprint: record.fingerprint,
            consensus_key: record.consensus_key,
        })
        .collect()
}

fn participating_node(rules: &Rules, session: &TakenSession) -> Option<ParticipatingNode> {
    let accept = session.opened.accept.claimed();
    let statement = session.opened.statement.claimed();
    let record = &rules.roster.participant(&statement.node_fingerprint)?.record;
    Some(ParticipatingNode {
        name: record.name.clone(),
        node_fingerprint: record.fingerprint,
        organisation: record.organisation.clone(),
        region: record.region.clone(),
        role: record.role,
        session_id: accept.session_id,
        ledger_block_id: session.header.id(),
        height: session.header.height.get(),
        not_after_epoch: accept.not_after_epoch.get(),
        transport: transport_text(&statement.transport),
    })
}

/// A channel as the plan names it.
pub(crate) fn transport_text(transport: &TransportRecord) -> String {
    let kind = match transport.kind {
        TransportKind::InProcess => return "in-process".to_owned(),
        TransportKind::Zenoh => "zenoh",
        TransportKind::Quic => "quic",
    };
    format!("{kind} tls={:#06x} suite={:#06x}", transport.tls_version, transport.cipher_suite)
}

/// A rule as plan and report name it.
pub(crate) fn rule_text(rule: AggregationRule) -> String {
    match rule {
        AggregationRule::Mean => "mean".to_owned(),
        AggregationRule::Median => "median".to_owned(),
        AggregationRule::TrimmedMean { trim } => format!("trimmed_mean(trim={trim})"),
        AggregationRule::NnmTrimmedMean { trim } => format!("nnm_trimmed_mean(trim={trim})"),
    }
}

fn plan_epoch(epoch: &AppliedEpoch) -> PlanEpoch {
    let aggregated = &epoch.aggregated;
    let absent = epoch.cut.absent.iter().map(|absence| AbsentNode {
        node_fingerprint: absence.node_fingerprint,
        reason: absence.reason,
    });
    PlanEpoch {
        epoch: aggregated.federated_epoch.get(),
        generation: aggregated.generation.get(),
        base_state_hash: epoch.opened.base_state_hash,
        opened_height: epoch.opened_at.get(),
        cut_height: epoch.cut_at.get(),
        aggregated_height: epoch.aggregated_at.get(),
        signoff_height: epoch.signoff_at.get(),
        absent: absent.collect(),
        alignment_hash: aggregated.alignment.hash(),
        rule: rule_text(aggregated.rule),
        aggregated_update_hash: aggregated.hash(),
        delta: aggregated.delta.iter().copied().map(i64::from).collect(),
        new_state_hash: epoch.meta.hash(),
        new_state: epoch.meta.values().iter().copied().map(i64::from).collect(),
        new_state_blob: Digest::of_blob(&epoch.meta.to_canonical()),
        anchor: epoch_anchor_path(aggregated.federated_epoch),
    }
}

fn epoch_proofs(
    epoch: &AppliedEpoch,
    ledger: &Ledger,
    log_size: u64,
) -> Result<Vec<AlignmentProof>, DeriveError> {
    let mut proofs = Vec::with_capacity(epoch.commitments.len());
    let outcomes = outcomes(&epoch.aggregated.alignment, &epoch.commitments);
    for (ordered, outcome) in epoch.commitments.iter().zip(outcomes) {
        let commitment = &ordered.commitment;
        let update_hash = commitment.update_hash;
        let outcome = outcome.ok_or(DeriveError::NotAligned { update_hash })?;
        let proof = ledger.prove_entry(ordered.height, ordered.index, log_size)?;
        proofs.push(AlignmentProof {
            epoch: epoch.aggregated.federated_epoch.get(),
            node_fingerprint: commitment.node_fingerprint,
            cycle: commitment.cycle.get(),
            update_hash,
            blob: commitment.blob,
            status: outcome.status,
            staleness: outcome.staleness.map(u64::from),
            reason: outcome.reason,
            ledger_block_id: proof.header.id(),
            height: ordered.height.get(),
            entry_index: ordered.index,
            entries_count: proof.entry.count,
            entry_path: proof.entry.siblings,
            log_size,
            log_path: proof.log_path.iter().map(log_digest).collect(),
        });
    }
    Ok(proofs)
}

/// A hash of the history tree as artifacts spell it.
pub(crate) fn log_digest(hash: &LogHash) -> Digest {
    Digest::from_bytes(*hash.as_bytes())
}

fn decision(rules: &Rules, decided: &Decided) -> ConsensusDecision {
    let header = &decided.header;
    let commit = decided.commit.as_ref();
    let vote = |certificate: &CommitCertificate| -> Vec<PlanVote> {
        let votes = certificate.votes.iter().map(|vote| PlanVote {
            replica: u32::from(vote.replica.get()),
            validator: fingerprint(rules, vote.replica),
            view: certificate.view.get(),
            sequence: certificate.sequence.get(),
            digest: certificate.digest,
            signature: vote.signature,
        });
        votes.collect()
    };
    ConsensusDecision {
        height: header.height.get(),
        ledger_block_id: header.id(),
        epoch: header.epoch.get(),
        sequence: header.sequence.get(),
        view: commit.map_or(0, |certificate| certificate.view.get()),
        batch_digest: header.batch_digest,
        entries: decided.kinds.iter().map(ToString::to_string).collect(),
        votes: commit.map(vote).unwrap_or_default(),
        checkpoint: decided.checkpoint.as_ref().map(|found| checkpoint(rules, found)),
    }
}

fn checkpoint(rules: &Rules, certificate: &CheckpointCertificate) -> PlanCheckpoint {
    let statement = &certificate.statement;
    let votes = certificate.votes.iter().map(|vote| PlanCheckpointVote {
        replica: u32::from(vote.replica.get()),
        validator: fingerprint(rules, vote.replica),
        signature: vote.signature,
        note_signature: vote.note_signature,
    });
    PlanCheckpoint {
        sequence: statement.sequence.get(),
        height: statement.height.get(),
        header_hash: statement.header_hash,
        log_size: statement.log_size,
        log_root: log_digest(&statement.log_root),
        state_root: statement.state_root,
        votes: votes.collect(),
    }
}

/// The identity behind a replica; zero bytes for one that the committee does not have.
fn fingerprint(rules: &Rules, replica: ReplicaId) -> NodeFingerprint {
    let validator = rules.roster.validators().get(usize::from(replica.get()));
    validator.map_or(NodeFingerprint::from_bytes([0; 32]), |found| found.record.fingerprint)
}
