//! What a site contributes: the update itself, the receipts for it, and its commitment on the ledger.

use serde::{Deserialize, Serialize};

use crate::bounded::{self, Bytes};
use crate::codec::{Canonical, canonical};
use crate::counters::{Cycle, FederatedEpoch, Generation};
use crate::digest::{Digest, HashDomain};
use crate::ids::{LedgerBlockId, SessionId};
use crate::keys::{Identity, NodeFingerprint};
use crate::limits;
use crate::seal::Sealed;
use crate::signing::{Domain, Signed, SignedBody};

/// Names the statement that a proof makes: bounds, dimension, curve parameters. The proof crate keeps the
/// registry; a number is never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParameterSet(pub u16);

impl ParameterSet {
    /// No statement.
    pub const NONE: Self = Self(0);
}

/// Pedersen commitments of an update as compressed Ristretto points, opaque here.
pub type ProofCommitment = Bytes<{ limits::PROOF_COMMITMENT }>;

/// Room for a proof about an update, versioned from the first day. Policy `none` demands [`ProofSlot::None`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofSlot {
    /// No proof; the policy does not ask for one.
    None,
    /// A zero-knowledge proof, opaque here.
    Proof {
        /// What it states.
        parameter_set: ParameterSet,
        /// About what.
        commitment: ProofCommitment,
        /// The proof's bytes.
        proof: Bytes<{ limits::PROOF }>,
    },
}

/// How a payload is protected on its way to the validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedPayload {
    /// Not encrypted: whoever relays it can read it.
    Clear(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Encrypted to named readers. Only where the policy's confidentiality asks for it.
    Sealed(Sealed),
}

/// A site's update: a compressed genome delta with its identity.
///
/// Two updates of one (node, generation, cycle) with different hashes are equivocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaUpdate {
    /// Epoch it contributes to.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation of its base.
    pub generation: Generation,
    /// Who made it.
    pub node_fingerprint: NodeFingerprint,
    /// Session it is sent in.
    pub session_id: SessionId,
    /// Block that opened the session.
    pub ledger_block_id: LedgerBlockId,
    /// The site's cycle number.
    pub cycle: Cycle,
    /// Hash of the site's previous update, zero for its first.
    pub previous_update: Digest,
    /// Meta state the delta starts from.
    pub base_state_hash: Digest,
    /// Hash of the uncompressed canonical delta with its secret salt.
    pub update_hash: Digest,
    /// The compressed delta.
    pub payload: SealedPayload,
    /// Proof about the delta.
    pub proof: ProofSlot,
}

/// A validator's word that it stores an update durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobReceipt {
    /// The validator.
    pub validator: NodeFingerprint,
    /// Whose update.
    pub node_fingerprint: NodeFingerprint,
    /// For which epoch.
    pub federated_epoch: FederatedEpoch,
    /// BLAKE3 of the exact stored bytes of the signed update.
    pub blob: Digest,
    /// Their number.
    pub blob_len: u32,
    /// What the validator found in them: [`UpdateCommitment::statement_hash`]. It binds every field of the
    /// commitment, so a site cannot commit to something else than was checked.
    pub commitment: Digest,
}

/// An update's place on the ledger, ordered before anything is aggregated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateCommitment {
    /// Epoch it contributes to.
    pub federated_epoch: FederatedEpoch,
    /// Rollback generation.
    pub generation: Generation,
    /// Who made the update.
    pub node_fingerprint: NodeFingerprint,
    /// The site's cycle number.
    pub cycle: Cycle,
    /// Hash of the site's previous update, zero for its first.
    pub previous_update: Digest,
    /// Meta state the delta starts from.
    pub base_state_hash: Digest,
    /// Hash of the uncompressed delta.
    pub update_hash: Digest,
    /// BLAKE3 of the exact stored bytes of the signed update.
    pub blob: Digest,
    /// Their number.
    pub blob_len: u32,
    /// What its proof states.
    pub parameter_set: ParameterSet,
    /// About what: on the ledger, so that sums of commitments can be checked without the updates.
    pub commitment: ProofCommitment,
    /// Hash of the proof slot.
    pub proof_hash: Digest,
    /// Storage receipts of q distinct validators, in increasing order of their identities.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::VALIDATORS }>")]
    pub receipts: Vec<Signed<BlobReceipt>>,
}

canonical! {
    ProofSlot => limits::META_UPDATE,
    MetaUpdate => limits::META_UPDATE,
    Signed<MetaUpdate> => limits::META_UPDATE,
    BlobReceipt => limits::RECEIPT,
    Signed<BlobReceipt> => limits::RECEIPT,
    UpdateCommitment => limits::COMMITMENT,
}

impl SignedBody for MetaUpdate {
    const DOMAIN: Domain = Domain::MetaUpdate;
    type Role = Identity;
}
impl SignedBody for BlobReceipt {
    const DOMAIN: Domain = Domain::BlobReceipt;
    type Role = Identity;
}

impl ProofSlot {
    /// What is stated about what; no statement and no commitment where there is no proof.
    pub fn statement(&self) -> (ParameterSet, ProofCommitment) {
        match self {
            Self::None => (ParameterSet::NONE, ProofCommitment::default()),
            Self::Proof { parameter_set, commitment, .. } => (*parameter_set, commitment.clone()),
        }
    }

    /// The digest a commitment names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Proof, &self.to_canonical())
    }
}

impl UpdateCommitment {
    /// The commitment to an update stored as `blob_bytes`.
    pub fn new(update: &MetaUpdate, blob_bytes: &[u8], receipts: Vec<Signed<BlobReceipt>>) -> Self {
        let (parameter_set, commitment) = update.proof.statement();
        Self {
            federated_epoch: update.federated_epoch,
            generation: update.generation,
            node_fingerprint: update.node_fingerprint,
            cycle: update.cycle,
            previous_update: update.previous_update,
            base_state_hash: update.base_state_hash,
            update_hash: update.update_hash,
            blob: Digest::of_blob(blob_bytes),
            blob_len: u32::try_from(blob_bytes.len()).unwrap_or(u32::MAX),
            parameter_set,
            commitment,
            proof_hash: update.proof.hash(),
            receipts,
        }
    }

    /// Digest of everything the commitment says, without its receipts.
    pub fn statement_hash(&self) -> Digest {
        let statement = Self { receipts: Vec::new(), ..self.clone() };
        Digest::of(HashDomain::Commitment, &statement.to_canonical())
    }

    /// Whether the commitment says of `update`, stored as `blob_bytes`, exactly what is true.
    /// Names the first field that disagrees.
    pub fn check_matches(
        &self,
        update: &MetaUpdate,
        blob_bytes: &[u8],
    ) -> Result<(), &'static str> {
        let truth = Self::new(update, blob_bytes, Vec::new());
        let agreements = [
            ("federated_epoch", self.federated_epoch == truth.federated_epoch),
            ("generation", self.generation == truth.generation),
            ("node_fingerprint", self.node_fingerprint == truth.node_fingerprint),
            ("cycle", self.cycle == truth.cycle),
            ("previous_update", self.previous_update == truth.previous_update),
            ("base_state_hash", self.base_state_hash == truth.base_state_hash),
            ("update_hash", self.update_hash == truth.update_hash),
            ("blob", self.blob == truth.blob),
            ("blob_len", self.blob_len == truth.blob_len),
            ("parameter_set", self.parameter_set == truth.parameter_set),
            ("commitment", self.commitment == truth.commitment),
            ("proof_hash", self.proof_hash == truth.proof_hash),
        ];
        match agreements.iter().find(|(_, agrees)| !agrees) {
            Some((field, _)) => Err(field),
            None => Ok(()),
        }
    }
}
