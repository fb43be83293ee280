//! Updates as blobs: admission, durable storage, receipts, and fetching what is missing.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::signing::SignatureError;
use federation_proto::update::{
    BlobReceipt, MetaUpdate, ProofSlot, SealedPayload, UpdateCommitment,
};
use federation_proto::{Digest, FederatedEpoch, Generation, NodeFingerprint, Signed};
use meta_core::delta::{DeltaPayload, PayloadError};
use thiserror::Error;

use super::application::FederationApplication;
use super::{DurableRecord, DurableToken};

/// Why an update is not stored, and so gets no receipt.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BlobRefusal {
    /// Not the canonical bytes of a signed update.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The author is not in the roster.
    #[error("update by {0}, which is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// Carried by another node than its author.
    #[error("update by {author} carried by {carrier}")]
    ForeignAuthor {
        /// The author.
        author: NodeFingerprint,
        /// The sender of the envelope.
        carrier: NodeFingerprint,
    },
    /// The signature fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It names another session than the author's open one.
    #[error("update names a session that is not its author's open one")]
    Session,
    /// It is for an epoch that has not begun.
    #[error("update for epoch {got}, the federation is in {current}")]
    FutureEpoch {
        /// The federation's epoch.
        current: FederatedEpoch,
        /// The update's.
        got: FederatedEpoch,
    },
    /// It is for an epoch too long ago to count.
    #[error("update for epoch {got}, the oldest that counts is {oldest}")]
    StaleEpoch {
        /// Oldest epoch that counts.
        oldest: FederatedEpoch,
        /// The update's.
        got: FederatedEpoch,
    },
    /// It is of another generation.
    #[error("update of generation {got}, the federation is in {current}")]
    Generation {
        /// The federation's generation.
        current: Generation,
        /// The update's.
        got: Generation,
    },
    /// The policy asks for no proof.
    #[error("update carries a proof, the policy asks for none")]
    UnexpectedProof,
    /// The policy asks for no encryption.
    #[error("sealed payload, but the policy's confidentiality is clear")]
    UnexpectedSeal,
    /// The payload is no delta of the schema, within bounds.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The author has used up its share of the disk for the epoch.
    #[error("node {node} has {limit} updates for epoch {epoch} here, the policy allows no more")]
    TooMany {
        /// The author.
        node: NodeFingerprint,
        /// The epoch.
        epoch: FederatedEpoch,
        /// Updates allowed.
        limit: u32,
    },
    /// Bytes that nobody asked for.
    #[error("blob {0} was not asked for")]
    NotWanted(Digest),
}

/// Blobs, and what is known about them.
#[derive(Debug, Default)]
pub(super) struct BlobStore {
    /// Durable.
    blobs: BTreeMap<Digest, Vec<u8>>,
    /// On their way to the disk.
    storing: BTreeMap<Digest, Vec<u8>>,
    /// Named by the current cut and not here.
    wanted: BTreeSet<Digest>,
    /// Wanted ones that were asked for.
    asked: BTreeSet<Digest>,
    /// Distinct updates taken of each node for each epoch.
    taken: BTreeMap<(NodeFingerprint, FederatedEpoch), BTreeSet<Digest>>,
}

impl BlobStore {
    /// What is durable.
    pub(super) fn blobs(&self) -> &BTreeMap<Digest, Vec<u8>> {
        &self.blobs
    }

    /// Remembers which blobs of the cut are not here.
    pub(super) fn want(&mut self, blobs: BTreeSet<Digest>) {
        self.wanted = blobs;
    }

    /// Another cut wants other blobs.
    pub(super) fn forget_wanted(&mut self) {
        self.wanted.clear();
        self.asked.clear();
    }

    /// Blobs to ask the other validators for, each once.
    pub(super) fn ask(&mut self) -> Vec<Digest> {
        let new: Vec<Digest> = self.wanted.difference(&self.asked).copied().collect();
        self.asked.extend(&new);
        new
    }

    /// Requests or answers may have been lost: what is still missing is asked for again.
    pub(super) fn ask_again(&mut self) {
        self.asked.clear();
    }

    /// What to make durable, unless it is already, or is being made so.
    fn store(&mut self, blob: Digest, bytes: Vec<u8>) -> Storing {
        if self.blobs.contains_key(&blob) {
            return Storing::Stored;
        }
        if self.storing.contains_key(&blob) {
            return Storing::UnderWay;
        }
        self.storing.insert(blob, bytes.clone());
        Storing::Begin(DurableToken::Blob(blob), DurableRecord::Blob(bytes))
    }

    /// A blob is durable: it counts from now on.
    pub(super) fn keep(&mut self, blob: Digest) {
        if let Some(bytes) = self.storing.remove(&blob) {
            self.blobs.insert(blob, bytes);
        }
    }

    /// A blob that was durable before a crash. It still takes up its author's share of the disk.
    pub(super) fn restore(&mut self, bytes: Vec<u8>) {
        let blob = Digest::of_blob(&bytes);
        if let Ok(update) = Signed::<MetaUpdate>::from_canonical(&bytes) {
            let update = update.claimed();
            let share = (update.node_fingerprint, update.federated_epoch);
            self.taken.entry(share).or_default().insert(blob);
        }
        self.blobs.insert(blob, bytes);
    }

    /// Counts an update against its author's share of the disk for the epoch.
    fn charge(
        &mut self,
        node: NodeFingerprint,
        epoch: FederatedEpoch,
        blob: Digest,
        limit: u32,
    ) -> Result<(), BlobRefusal> {
        let taken = self.taken.entry((node, epoch)).or_default();
        if !taken.contains(&blob) && taken.len() >= limit as usize {
            return Err(BlobRefusal::TooMany { node, epoch, limit });
        }
        taken.insert(blob);
        Ok(())
    }
}

/// What becomes of a blob.
pub(super) enum Storing {
    /// It is durable.
    Stored,
    /// It is on its way to the disk.
    UnderWay,
    /// It must be made durable.
    Begin(DurableToken, DurableRecord),
}

impl FederationApplication {
    /// Checks an update and signs its receipt. The receipt may leave only when the blob is durable.
    pub(super) fn admit_blob(
        &mut self,
        carrier: &NodeFingerprint,
        bytes: Vec<u8>,
    ) -> Result<(Signed<BlobReceipt>, Storing), BlobRefusal> {
        let signed = Signed::<MetaUpdate>::from_canonical(&bytes)?;
        let update = self.check_update(carrier, signed)?;
        let blob = Digest::of_blob(&bytes);
        let limit = self.executor.rules().policy.document().epoch.maximum_commitments_per_node;
        self.store.charge(update.node_fingerprint, update.federated_epoch, blob, limit)?;
        let receipt = BlobReceipt {
            validator: self.identity.public(),
            node_fingerprint: update.node_fingerprint,
            federated_epoch: update.federated_epoch,
            blob,
            blob_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            commitment: UpdateCommitment::new(&update, &bytes, Vec::new()).statement_hash(),
        };
        let receipt = Signed::sign(receipt, &self.identity, &self.executor.rules().context);
        Ok((receipt, self.store.store(blob, bytes)))
    }

    fn check_update(
        &self,
        carrier: &NodeFingerprint,
        signed: Signed<MetaUpdate>,
    ) -> Result<MetaUpdate, BlobRefusal> {
        let (rules, state) = (self.executor.rules(), self.executor.state());
        let author = signed.claimed().node_fingerprint;
        let participant =
            rules.roster.participant(&author).ok_or(BlobRefusal::UnknownNode(author))?;
        if author != *carrier {
            return Err(BlobRefusal::ForeignAuthor { author, carrier: *carrier });
        }
        let update = signed.verify(&participant.identity, &rules.context)?.into_body();
        // Any session of its author, open or over: an update keeps the one that it was signed in.
        let session = state.sessions().get(&update.session_id);
        let block = self.executor.block_of_session(&update.session_id);
        if session.is_none_or(|session| session.node != author)
            || block != Some(update.ledger_block_id)
        {
            return Err(BlobRefusal::Session);
        }
        let (current, got) = (state.epoch(), update.federated_epoch);
        if got > current {
            return Err(BlobRefusal::FutureEpoch { current, got });
        }
        let staleness = u64::from(rules.policy.document().aggregation.max_staleness);
        let oldest = FederatedEpoch::new(current.get().saturating_sub(staleness));
        if got < oldest {
            return Err(BlobRefusal::StaleEpoch { oldest, got });
        }
        let (current, got) = (state.meta().generation(), update.generation);
        if got != current {
            return Err(BlobRefusal::Generation { current, got });
        }
        if update.proof != ProofSlot::None {
            return Err(BlobRefusal::UnexpectedProof);
        }
        let SealedPayload::Clear(frame) = &update.payload else {
            return Err(BlobRefusal::UnexpectedSeal);
        };
        DeltaPayload::open(frame, &update.update_hash, &rules.schema)?;
        Ok(update)
    }

    /// Takes a blob that this validator asked for. Its name is its hash, so nothing else needs to be checked
    /// here: the commitment that names it was ordered.
    pub(super) fn take_wanted(&mut self, bytes: Vec<u8>) -> Result<Storing, BlobRefusal> {
        let blob = Digest::of_blob(&bytes);
        if !self.store.wanted.remove(&blob) {
            return Err(BlobRefusal::NotWanted(blob));
        }
        Ok(self.store.store(blob, bytes))
    }
}
