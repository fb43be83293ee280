//! What a site contributes: the update itself, the receipts for it, and its commitment on the ledger.

use serde::{Deserialize, Serialize};

use crate::codec::{Canonical, canonical};
use crate::counters::{Cycle, FederatedEpoch, Generation};
use crate::digest::{Digest, HashDomain};
use crate::ids::{LedgerBlockId, SessionId};
use crate::keys::{Identity, NodeFingerprint};
use crate::limits;
use crate::seal::Sealed;
use crate::signing::{Domain, Signed, SignedBody};

/// Room for a proof about an update, versioned from the first day. Policy `none` demands [`ProofSlot::None`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofSlot {
    /// No proof; the policy does not ask for one.
    None,
}

/// How a payload is protected on its way to the validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SealedPayload {
    /// Not encrypted: whoever relays it can read it.
    Clear(Vec<u8>),
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
    /// Hash of the proof slot.
    pub proof_hash: Digest,
    /// Storage receipts of q distinct validators, in increasing order of their identities.
    pub receipts: Vec<Signed<BlobReceipt>>,
}

canonical! {
    ProofSlot => limits::META_UPDATE,
    MetaUpdate => limits::META_UPDATE,
    Signed<MetaUpdate> => limits::META_UPDATE,
    BlobReceipt => 1 << 10,
    Signed<BlobReceipt> => 1 << 10,
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
    /// The digest a commitment names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Proof, &self.to_canonical())
    }
}

impl UpdateCommitment {
    /// The commitment to an update stored as `blob_bytes`.
    pub fn new(update: &MetaUpdate, blob_bytes: &[u8], receipts: Vec<Signed<BlobReceipt>>) -> Self {
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
            ("proof_hash", self.proof_hash == truth.proof_hash),
        ];
        match agreements.iter().find(|(_, agrees)| !agrees) {
            Some((field, _)) => Err(field),
            None => Ok(()),
        }
    }
}
