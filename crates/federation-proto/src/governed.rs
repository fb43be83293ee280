//! What only governance may order: m of n offline document keys, at most one counted an organisation.
//!
//! Each statement pins the ledger as it was *before* it and the governance note before it, so that the notes
//! form a chain and none can be moved to another history.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounded::{self, Bytes, Text};
use crate::codec::{Canonical, canonical};
use crate::counters::{FederatedEpoch, Generation, Height};
use crate::digest::{Digest, HashDomain};
use crate::evidence::{Conviction, Evidence, EvidenceError, InForce};
use crate::genesis::{Configuration, Roster, RosterError};
use crate::handshake::SoftwareVersion;
use crate::ids::LedgerBlockId;
use crate::keys::{Document, NodeFingerprint};
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Endorsed, Endorsement, SignatureError, SignedBody, SigningContext};

/// Where a governance statement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPin {
    /// Hash of the previous governance note, zero for the first.
    pub previous_note: Digest,
    /// Blocks on the ledger before this entry.
    pub head_size: u64,
    /// RFC 6962 root of those blocks.
    pub head_root: Digest,
}

/// A reason in a governor's words.
pub type Reason = Text<{ limits::REASON }>;

/// What a pinned document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PinnedAction {
    /// A version of the federation protocol is approved.
    ProtocolApprove,
    /// A document of governance is published: charter, runbook, root of trust.
    DocumentPublish,
}

/// Governance puts a document on record by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GovernancePinned {
    /// What for.
    pub action: PinnedAction,
    /// Name of the document.
    pub document: Name,
    /// Its version.
    pub version: SoftwareVersion,
    /// BLAKE3 of its exact bytes.
    pub digest: Digest,
    /// Where the statement stands.
    pub pin: LedgerPin,
}

/// `FEDERATED_QUARANTINE`, first stage: derived by the validators from evidence; it stops the participant at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineOpened {
    /// The epoch in which the evidence was ordered; nothing of the node counts from the next one on.
    pub federated_epoch: FederatedEpoch,
    /// Who.
    pub node_fingerprint: NodeFingerprint,
    /// Why.
    pub evidence: Evidence,
}

/// `FEDERATED_QUARANTINE`, second stage: people looked at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineReview {
    /// The quarantine that was reviewed: [`QuarantineOpened::hash`].
    pub opened: Digest,
    /// Whose.
    pub node_fingerprint: NodeFingerprint,
    /// What was decided.
    pub verdict: ReviewVerdict,
    /// Why.
    pub reason: Reason,
    /// Where the statement stands.
    pub pin: LedgerPin,
}

/// What a review decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// The quarantine stays.
    Uphold,
    /// The node may take part again from the next epoch on.
    Release,
    /// The node leaves with the next roster.
    Evict,
}

/// `FEDERATED_ROLLBACK`: the meta state returns to an anchor. Epochs go on; roster, policy, sessions and
/// quarantines stay; updates of older generations are void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedRollback {
    /// The epoch in which it takes effect.
    pub federated_epoch: FederatedEpoch,
    /// The generation it begins, one above the present.
    pub generation: Generation,
    /// The block of the anchor.
    pub anchor_block: LedgerBlockId,
    /// Its height.
    pub anchor_height: Height,
    /// The meta state that is restored.
    pub state_hash: Digest,
    /// Why.
    pub reason: Reason,
    /// Where the statement stands.
    pub pin: LedgerPin,
}

/// The next roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterChange {
    /// Digest of the configuration it follows.
    pub previous: Digest,
    /// The configuration it makes, numbered one above.
    pub configuration: Configuration,
    /// Where the statement stands.
    pub pin: LedgerPin,
}

/// A roster change, signed by the thresholds of the outgoing and of the incoming document keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterChanged {
    /// The change, endorsed by the governors it replaces.
    pub outgoing: Endorsed<RosterChange>,
    /// Endorsements of the governors it puts in place, in increasing order of their keys.
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::ENDORSEMENTS }>")]
    pub incoming: Vec<Endorsement<Document>>,
}

/// The next policy. Its digest stands in the configuration, so it makes the next configuration too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// Digest of the configuration it follows.
    pub previous: Digest,
    /// The exact bytes of the policy document.
    pub policy: Bytes<{ limits::POLICY }>,
    /// Where the statement stands.
    pub pin: LedgerPin,
}

canonical! {
    GovernancePinned => limits::ACCEPT,
    Endorsed<GovernancePinned> => limits::ACCEPT,
    QuarantineOpened => limits::EVIDENCE + (128 << 10),
    QuarantineReview => limits::ACCEPT,
    Endorsed<QuarantineReview> => limits::ACCEPT,
    FederatedRollback => limits::ACCEPT,
    Endorsed<FederatedRollback> => limits::ACCEPT,
    RosterChange => limits::APPROVAL,
    Endorsed<RosterChange> => limits::APPROVAL,
    RosterChanged => limits::APPROVAL,
    PolicyChange => limits::POLICY + limits::ACCEPT,
    Endorsed<PolicyChange> => limits::POLICY + limits::ACCEPT,
}

macro_rules! governed {
    ($($type:ty => $domain:ident),+ $(,)?) => {$(
        impl SignedBody for $type {
            const DOMAIN: Domain = Domain::$domain;
            type Role = Document;
        }
    )+};
}

governed! {
    GovernancePinned => GovernancePinned,
    QuarantineReview => QuarantineReview,
    FederatedRollback => Rollback,
    RosterChange => RosterChange,
    PolicyChange => PolicyChange,
}

/// Why a change of roster or policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuccessionError {
    /// It follows another configuration.
    #[error("change follows configuration {got}, in force is {expected}")]
    Previous {
        /// Digest of the configuration in force.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// The caller judges under the context of another configuration.
    #[error("judged under configuration {got}, in force is {expected}")]
    Context {
        /// Digest of the configuration in force.
        expected: Digest,
        /// Digest in the context.
        got: Digest,
    },
    /// The new configuration's number is not one above.
    #[error("configuration number {got}, next is {expected}")]
    Number {
        /// The next number.
        expected: u32,
        /// The one given.
        got: u32,
    },
    /// There is no number above the present.
    #[error("configuration {0} is the last that can be numbered")]
    Exhausted(u32),
    /// A signature fails, or too few signed.
    #[error("{side}: {cause}")]
    Signature {
        /// Outgoing or incoming governors.
        side: &'static str,
        /// What is wrong.
        cause: SignatureError,
    },
    /// The new configuration is unusable.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

fn next_number(current: &Configuration) -> Result<u32, SuccessionError> {
    current.number.checked_add(1).ok_or(SuccessionError::Exhausted(current.number))
}

/// Whether a change follows the configuration in force, and is judged under its context and no other.
fn follows(current: &Roster, context: &SigningContext, got: Digest) -> Result<(), SuccessionError> {
    let expected = current.digest();
    if context.config_digest != expected {
        return Err(SuccessionError::Context { expected, got: context.config_digest });
    }
    if got == expected { Ok(()) } else { Err(SuccessionError::Previous { expected, got }) }
}

fn endorsed<T: SignedBody<Role = Document>>(
    side: &'static str,
    document: &Endorsed<T>,
    roster: &Roster,
    context: &SigningContext,
) -> Result<(), SuccessionError> {
    let needed = usize::from(roster.configuration().thresholds.document);
    document
        .verify(&roster.document_keys(), needed, context)
        .map(|_| ())
        .map_err(|cause| SuccessionError::Signature { side, cause })
}

impl RosterChanged {
    /// The roster that takes over, if both sides' thresholds signed, under the context of the roster in force.
    pub fn succeed(
        &self,
        current: &Roster,
        context: &SigningContext,
    ) -> Result<Roster, SuccessionError> {
        let change = self.outgoing.claimed();
        follows(current, context, change.previous)?;
        let (expected, got) = (next_number(current.configuration())?, change.configuration.number);
        if got != expected {
            return Err(SuccessionError::Number { expected, got });
        }
        endorsed("outgoing governors", &self.outgoing, current, context)?;
        let next = change.configuration.clone().validate_as(current.agreement())?;
        let incoming = Endorsed::from_parts(change.clone(), self.incoming.clone());
        endorsed("incoming governors", &incoming, &next, context)?;
        Ok(next)
    }
}

impl Endorsed<PolicyChange> {
    /// The roster under the new policy: the same members, one configuration later.
    pub fn succeed(
        &self,
        current: &Roster,
        context: &SigningContext,
    ) -> Result<Roster, SuccessionError> {
        let change = self.claimed();
        follows(current, context, change.previous)?;
        endorsed("governors", self, current, context)?;
        let configuration = Configuration {
            number: next_number(current.configuration())?,
            policy_hash: Digest::of(HashDomain::Policy, change.policy.as_slice()),
            ..current.configuration().clone()
        };
        Ok(configuration.validate_as(current.agreement())?)
    }
}

impl QuarantineOpened {
    /// What the evidence proves, if it is of the node that is to be stopped.
    pub fn verify(
        &self,
        in_force: &[InForce<'_>],
        certified_root: impl Fn(u64) -> Option<Digest>,
    ) -> Result<Conviction, EvidenceError> {
        let conviction = self.evidence.verify(in_force, certified_root)?;
        let (named, convicted) = (self.node_fingerprint, conviction.node_fingerprint);
        if named != convicted {
            return Err(EvidenceError::OtherNode { named, convicted });
        }
        Ok(conviction)
    }

    /// The digest a review names.
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::Quarantine, &self.to_canonical())
    }
}
