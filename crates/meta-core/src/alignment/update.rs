//! A site's update, its commitment on the ledger, and everything that ties the two together.

use std::collections::BTreeMap;

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::entry::{DiscardReason, UpdateRef};
use federation_proto::genesis::Roster;
use federation_proto::signing::SignatureError;
use federation_proto::update::{MetaUpdate, ProofSlot, SealedPayload, UpdateCommitment};
use federation_proto::{
    BatchItem, Cycle, Digest, FederatedEpoch, Generation, LedgerBlockId, LedgerEntry, Name,
    NodeFingerprint, Request, SessionId, Signed, SigningContext, Verified,
};
use ledger::EntryProof;
use thiserror::Error;

use super::record::{CertifiedLog, LedgerPosition, LedgerRecord, RecordError};
use crate::aggregation::Contribution;
use crate::delta::{DeltaError, DeltaPayload, PayloadError};
use crate::genome::GenomeSchema;

/// Whose session it is and which block opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionBinding {
    /// The node.
    pub node_fingerprint: NodeFingerprint,
    /// Block with its `SessionOpened`.
    pub ledger_block_id: LedgerBlockId,
}

/// What updates are verified against. All of it follows from the ledger before the cut.
#[derive(Clone, Copy, Debug)]
pub struct UpdateContext<'a> {
    /// Who takes part.
    pub roster: &'a Roster,
    /// What signatures are bound to.
    pub signing: &'a SigningContext,
    /// Every session of the ledger, closed ones included: a cached update may name an earlier one.
    pub sessions: &'a BTreeMap<SessionId, SessionBinding>,
    /// The genome schema in force.
    pub schema: &'a GenomeSchema,
}

/// An update that a site committed, with its ledger record. Only verification makes one.
///
/// Its author may have committed rubbish: then it has a [`PayloadFault`] instead of content, and every
/// verifier finds the same one, because it follows from the committed bytes alone.
#[derive(Clone, Debug)]
pub struct FederatedUpdate {
    position: LedgerPosition,
    proof: Option<EntryProof>,
    request: Verified<Request>,
    commitment: UpdateCommitment,
    organisation: Name,
    content: Result<Content, PayloadFault>,
}

#[derive(Clone, Debug)]
struct Content {
    update: Verified<MetaUpdate>,
    delta: DeltaPayload,
}

/// Why something handed in is no committed update at all: whoever handed it in is at fault (not the
/// author), so nothing can be concluded about the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The record does not prove its entry.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Validators derive no commitments: a site must have asked for it.
    #[error("a commitment that no site requested")]
    NotRequested,
    /// The requester is no participant.
    #[error("node {0} is no participant of the roster")]
    NotParticipant(NodeFingerprint),
    /// The request's signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// One node commits in the name of another.
    #[error("node {requester} committed an update of node {committed}")]
    ForeignCommitment {
        /// Who signed the request.
        requester: NodeFingerprint,
        /// Whose update the commitment names.
        committed: NodeFingerprint,
    },
    /// Other bytes than the committed ones were handed in.
    #[error("blob {found} was handed in for committed blob {committed}")]
    Blob {
        /// BLAKE3 named by the commitment.
        committed: Digest,
        /// BLAKE3 of the bytes.
        found: Digest,
    },
}

/// What is wrong with the committed bytes themselves: their author's doing, the same for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadFault {
    /// Not the canonical bytes of a signed update.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The commitment says something else of the update than is true.
    #[error("commitment and update disagree in {0}")]
    Commitment(&'static str),
    /// The update's signature does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The update names a session that is not its author's, or another block than opened it.
    #[error(
        "session {session_id} of the update, opened by block {ledger_block_id}, is not its author's"
    )]
    Session {
        /// Session named by the update.
        session_id: SessionId,
        /// Block named by the update.
        ledger_block_id: LedgerBlockId,
    },
    /// A proof where the policy asks for none.
    #[error("the update carries a proof, the policy asks for none")]
    UnexpectedProof,
    /// Encrypted, where everybody must be able to recompute the aggregate.
    #[error("sealed payload, but the policy's confidentiality is clear")]
    UnexpectedSeal,
    /// The payload is no delta of the schema.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl PayloadFault {
    /// The reason that the alignment record gives.
    #[must_use]
    pub const fn reason(&self) -> DiscardReason {
        match self {
            Self::Payload(PayloadError::Delta(DeltaError::Schema { .. })) => {
                DiscardReason::IncompatibleSchema
            }
            _ => DiscardReason::InvalidPayload,
        }
    }
}

impl FederatedUpdate {
    /// Verifies a committed update by its record in a certified log.
    ///
    /// # Errors
    /// Any variant of [`VerifyError`]; what is the author's fault is no error but [`Self::fault`].
    pub fn verify(
        blob: &[u8],
        record: &LedgerRecord,
        log: &CertifiedLog,
        context: &UpdateContext<'_>,
    ) -> Result<Self, VerifyError> {
        let position = record.verify(log)?;
        let mut update = Self::from_own_ledger(blob, &record.item, position, context)?;
        update.proof = Some(record.proof.clone());
        Ok(update)
    }

    /// Verifies a committed update for somebody who executed the ledger up to it and so needs no proof of
    /// its place.
    ///
    /// # Errors
    /// As [`Self::verify`], without the proofs.
    pub fn from_own_ledger(
        blob: &[u8],
        item: &BatchItem,
        position: LedgerPosition,
        context: &UpdateContext<'_>,
    ) -> Result<Self, VerifyError> {
        let found = item.entry().kind();
        let LedgerEntry::UpdateCommitment(commitment) = item.entry() else {
            let expected = "UpdateCommitment";
            return Err(RecordError::Kind { expected, found }.into());
        };
        let BatchItem::Request(request) = item else {
            return Err(VerifyError::NotRequested);
        };
        let requester = request.claimed().node_fingerprint;
        let participant =
            context.roster.participant(&requester).ok_or(VerifyError::NotParticipant(requester))?;
        let request = request.clone().verify(&participant.identity, context.signing)?;
        let committed = commitment.node_fingerprint;
        if committed != requester {
            return Err(VerifyError::ForeignCommitment { requester, committed });
        }
        let (committed, found) = (commitment.blob, Digest::of_blob(blob));
        if committed != found {
            return Err(VerifyError::Blob { committed, found });
        }
        Ok(Self {
            position,
            proof: None,
            request,
            organisation: participant.record.organisation.clone(),
            content: Content::open(blob, commitment, context),
            commitment: commitment.as_ref().clone(),
        })
    }

    /// Where its commitment stands.
    #[must_use]
    pub const fn position(&self) -> LedgerPosition {
        self.position
    }

    /// Proof of its commitment's place, unless it was taken from one's own ledger.
    #[must_use]
    pub const fn inclusion_proof(&self) -> Option<&EntryProof> {
        self.proof.as_ref()
    }

    /// The signed request that committed it.
    #[must_use]
    pub fn request(&self) -> &Signed<Request> {
        self.request.as_signed()
    }

    /// Its commitment.
    #[must_use]
    pub const fn commitment(&self) -> &UpdateCommitment {
        &self.commitment
    }

    /// Its name in cuts and alignment records.
    #[must_use]
    pub const fn reference(&self) -> UpdateRef {
        UpdateRef {
            node_fingerprint: self.commitment.node_fingerprint,
            cycle: self.commitment.cycle,
            update_hash: self.commitment.update_hash,
        }
    }

    /// Organisation of its author.
    #[must_use]
    pub const fn organisation(&self) -> &Name {
        &self.organisation
    }

    /// The verified update, unless it has a fault.
    #[must_use]
    pub fn update(&self) -> Option<&Verified<MetaUpdate>> {
        self.content.as_ref().ok().map(|content| &content.update)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> Option<&PayloadFault> {
        self.content.as_ref().err()
    }

    /// What it brings to the aggregate, unless it has a fault.
    pub(super) fn contribution(&self, staleness: u8) -> Option<Contribution<'_>> {
        let content = self.content.as_ref().ok()?;
        Some(Contribution {
            node_fingerprint: self.commitment.node_fingerprint,
            organisation: &self.organisation,
            staleness,
            coordinates: &content.delta.coordinates,
        })
    }

    pub(super) const fn federated_epoch(&self) -> FederatedEpoch {
        self.commitment.federated_epoch
    }

    pub(super) const fn generation(&self) -> Generation {
        self.commitment.generation
    }

    pub(super) const fn cycle(&self) -> Cycle {
        self.commitment.cycle
    }

    pub(super) const fn update_hash(&self) -> Digest {
        self.commitment.update_hash
    }

    pub(super) const fn previous_update(&self) -> Digest {
        self.commitment.previous_update
    }

    pub(super) const fn base_state_hash(&self) -> Digest {
        self.commitment.base_state_hash
    }
}

impl Content {
    /// Opens the committed bytes. Everything that can be wrong here was signed by the author.
    fn open(
        blob: &[u8],
        commitment: &UpdateCommitment,
        context: &UpdateContext<'_>,
    ) -> Result<Self, PayloadFault> {
        let signed = Signed::<MetaUpdate>::from_canonical(blob)?;
        let claimed = signed.claimed();
        commitment.check_matches(claimed, blob).map_err(PayloadFault::Commitment)?;
        let author = claimed.node_fingerprint;
        // Invariant: the commitment's node is a participant, and the update names the same one.
        let participant =
            context.roster.participant(&author).ok_or(PayloadFault::Commitment("node"))?;
        let update = signed.verify(&participant.identity, context.signing)?;
        let (session_id, ledger_block_id) = (update.session_id, update.ledger_block_id);
        let binding = SessionBinding { node_fingerprint: author, ledger_block_id };
        if context.sessions.get(&session_id) != Some(&binding) {
            return Err(PayloadFault::Session { session_id, ledger_block_id });
        }
        if update.proof != ProofSlot::None {
            return Err(PayloadFault::UnexpectedProof);
        }
        let SealedPayload::Clear(frame) = &update.payload else {
            return Err(PayloadFault::UnexpectedSeal);
        };
        let delta = DeltaPayload::open(frame, &update.update_hash, context.schema)?;
        Ok(Self { update, delta })
    }
}
