//! `federated_plan.json`: who took part, what every epoch decided, and the votes that prove it.
//!
//! Everything in it can be rebuilt from the ledger; it is the readable view that people and other programs
//! use. A vote stands with everything it signed, so that each can be judged alone. `alignment_proofs` has one
//! proof for every committed update of every cut.

use federation_proto::entry::{AbsenceReason, DiscardReason};
use federation_proto::genesis::SiteRole;
use federation_proto::keys::{Consensus, NodeFingerprint, PublicKey, Signature};
use federation_proto::{Digest, FederationId, LedgerBlockId, Name, SessionId};
use serde::{Deserialize, Serialize};

use super::json::{self, Document, text, texts};

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedPlan {
    /// [`Document::SCHEMA`].
    pub schema: String,
    /// [`Document::VERSION`].
    pub schema_version: u32,
    /// The federation.
    #[serde(with = "text")]
    pub federation_id: FederationId,
    /// The configuration in force.
    #[serde(with = "text")]
    pub config_digest: Digest,
    /// The policy in force.
    #[serde(with = "text")]
    pub policy_hash: Digest,
    /// Size of the committee.
    pub committee: CommitteeSize,
    /// The committee, in replica order.
    pub validators: Vec<PlanValidator>,
    /// Every session a site took up, in ledger order.
    pub participating_nodes: Vec<ParticipatingNode>,
    /// Every applied epoch.
    pub epochs: Vec<PlanEpoch>,
    /// A proof for every committed update of every cut, by epoch and ledger position.
    pub alignment_proofs: Vec<AlignmentProof>,
    /// What PBFT decided, one decision a block.
    pub consensus_decisions: Vec<ConsensusDecision>,
    /// Whether every block has its quorum and every applied epoch a certified result.
    pub consensus_passed: bool,
}

/// n, f and q of the committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitteeSize {
    /// Replicas.
    pub n: u32,
    /// Replicas that may lie.
    pub f: u32,
    /// Votes that decide.
    pub q: u32,
}

/// A member of the committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanValidator {
    /// Position in the committee.
    pub replica: u32,
    /// Readable name.
    pub name: Name,
    /// Identity key.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
    /// Key of its votes.
    #[serde(with = "text")]
    pub consensus_key: PublicKey<Consensus>,
}

/// A site with its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipatingNode {
    /// Readable name.
    pub name: Name,
    /// Identity key.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
    /// Organisation it belongs to.
    pub organisation: Name,
    /// Region it runs in.
    pub region: Name,
    /// Kind of place it runs in.
    pub role: SiteRole,
    /// Its session.
    #[serde(with = "text")]
    pub session_id: SessionId,
    /// Block that opened the session.
    #[serde(with = "text")]
    pub ledger_block_id: LedgerBlockId,
    /// Height of that block.
    #[serde(with = "text")]
    pub height: u64,
    /// Last epoch of the session.
    #[serde(with = "text")]
    pub not_after_epoch: u64,
    /// How its channel was secured.
    pub transport: String,
}

/// One applied epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanEpoch {
    /// The epoch.
    #[serde(with = "text")]
    pub epoch: u64,
    /// Rollback generation.
    #[serde(with = "text")]
    pub generation: u64,
    /// State everybody started from.
    #[serde(with = "text")]
    pub base_state_hash: Digest,
    /// Height of `EpochOpened`.
    #[serde(with = "text")]
    pub opened_height: u64,
    /// Height of `EpochCut`.
    #[serde(with = "text")]
    pub cut_height: u64,
    /// Height of `AggregatedUpdate`.
    #[serde(with = "text")]
    pub aggregated_height: u64,
    /// Height of `ApplySignoff`.
    #[serde(with = "text")]
    pub signoff_height: u64,
    /// Participants that are not in the cut.
    pub absent: Vec<AbsentNode>,
    /// Digest of what alignment took and left.
    #[serde(with = "text")]
    pub alignment_hash: Digest,
    /// The aggregation rule.
    pub rule: String,
    /// Digest of the result.
    #[serde(with = "text")]
    pub aggregated_update_hash: Digest,
    /// The aggregated change of every gene, in Q8.24.
    pub delta: Vec<i64>,
    /// State after it.
    #[serde(with = "text")]
    pub new_state_hash: Digest,
    /// Genome of that state, in Q8.24.
    pub new_state: Vec<i64>,
    /// Blob with the canonical bytes of that state.
    #[serde(with = "text")]
    pub new_state_blob: Digest,
    /// The epoch's anchor, from the root of the artifacts.
    pub anchor: String,
}

/// A participant that is not in a cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsentNode {
    /// Who.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
    /// Why.
    pub reason: AbsenceReason,
}

/// What became of a committed update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlignmentStatus {
    /// It entered the aggregate.
    Aligned,
    /// It did not.
    Discarded,
}

/// A committed update, what became of it, and its way to the signed log head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentProof {
    /// Epoch of the cut.
    #[serde(with = "text")]
    pub epoch: u64,
    /// Who made the update.
    #[serde(with = "text")]
    pub node_fingerprint: NodeFingerprint,
    /// The site's cycle.
    #[serde(with = "text")]
    pub cycle: u64,
    /// Hash of the update.
    #[serde(with = "text")]
    pub update_hash: Digest,
    /// Blob with the signed update.
    #[serde(with = "text")]
    pub blob: Digest,
    /// What became of it.
    pub status: AlignmentStatus,
    /// Epochs between base and epoch, for an aligned one.
    pub staleness: Option<u64>,
    /// Why it was left, for a discarded one.
    pub reason: Option<DiscardReason>,
    /// Block with the commitment.
    #[serde(with = "text")]
    pub ledger_block_id: LedgerBlockId,
    /// Height of that block.
    #[serde(with = "text")]
    pub height: u64,
    /// Position of the commitment in the block.
    pub entry_index: u32,
    /// Entries of the block.
    pub entries_count: u32,
    /// Siblings in the block's entry tree (BLAKE3), from the leaf's up.
    #[serde(with = "texts")]
    pub entry_path: Vec<Digest>,
    /// Size of the log that the path leads to: that of the last anchor.
    #[serde(with = "text")]
    pub log_size: u64,
    /// Siblings in the history tree (SHA-256), from the header's up.
    #[serde(with = "texts")]
    pub log_path: Vec<Digest>,
}

/// What PBFT decided for one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusDecision {
    /// Height of the block.
    #[serde(with = "text")]
    pub height: u64,
    /// The block.
    #[serde(with = "text")]
    pub ledger_block_id: LedgerBlockId,
    /// Epoch after the block.
    #[serde(with = "text")]
    pub epoch: u64,
    /// Sequence number that was decided.
    #[serde(with = "text")]
    pub sequence: u64,
    /// View in which it was decided.
    #[serde(with = "text")]
    pub view: u64,
    /// Digest that was decided.
    #[serde(with = "text")]
    pub batch_digest: Digest,
    /// Kinds of the entries, in their order.
    pub entries: Vec<String>,
    /// COMMIT votes.
    pub votes: Vec<PlanVote>,
    /// The certified result, where the block has one.
    pub checkpoint: Option<PlanCheckpoint>,
}

/// A COMMIT with everything it signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanVote {
    /// Position of the voter in the committee.
    pub replica: u32,
    /// Identity of the voter.
    #[serde(with = "text")]
    pub validator: NodeFingerprint,
    /// View voted in.
    #[serde(with = "text")]
    pub view: u64,
    /// Sequence number voted on.
    #[serde(with = "text")]
    pub sequence: u64,
    /// Digest voted for.
    #[serde(with = "text")]
    pub digest: Digest,
    /// Signature of the vote.
    #[serde(with = "text")]
    pub signature: Signature,
}

/// A stable checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanCheckpoint {
    /// Last executed sequence number.
    #[serde(with = "text")]
    pub sequence: u64,
    /// Height of the last block.
    #[serde(with = "text")]
    pub height: u64,
    /// Id of that block.
    #[serde(with = "text")]
    pub header_hash: LedgerBlockId,
    /// Leaves of the history tree.
    #[serde(with = "text")]
    pub log_size: u64,
    /// Root of the history tree.
    #[serde(with = "text")]
    pub log_root: Digest,
    /// Digest of the replicated state.
    #[serde(with = "text")]
    pub state_root: Digest,
    /// CHECKPOINT votes.
    pub votes: Vec<PlanCheckpointVote>,
}

/// A CHECKPOINT vote; its statement stands in the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanCheckpointVote {
    /// Position of the voter in the committee.
    pub replica: u32,
    /// Identity of the voter.
    #[serde(with = "text")]
    pub validator: NodeFingerprint,
    /// Signature of the vote.
    #[serde(with = "text")]
    pub signature: Signature,
    /// Its log key's signature on the C2SP checkpoint text.
    #[serde(with = "text")]
    pub note_signature: Signature,
}

impl Document for FederatedPlan {
    const SCHEMA: &'static str = "prism-federation/federated-plan";
    const VERSION: u32 = 1;
    const MAX_BYTES: usize = 16 << 20;
}

impl FederatedPlan {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        json::render(self)
    }
}
