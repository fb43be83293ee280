//! What must hold of an envelope before its payload is looked at.
//!
//! The order is that of [`federation_proto::envelope`]: roster and signature, form, session, replay window.

use std::collections::BTreeMap;

use federation_proto::codec::CodecError;
use federation_proto::envelope::{
    Envelope, EnvelopeError, PayloadKind, SessionPosition, VALIDATORS,
};
use federation_proto::replay::{ReplayGuard, ReplayRefusal};
use federation_proto::signing::SignatureError;
use federation_proto::{Name, NodeFingerprint, SessionId, Signed};
use thiserror::Error;

use crate::executor::Executor;

/// Why an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnvelopeRefusal {
    /// The claimed sender is no participant.
    #[error("not in the roster")]
    NotInRoster,
    /// The claimed sender did not sign it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It carries another node's request.
    #[error("carries a request of {0}")]
    OtherAuthor(NodeFingerprint),
    /// It does not fit its route or session.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The sender has no session.
    #[error("no open session")]
    NoSession,
    /// Its position was used before, or lies too far behind.
    #[error(transparent)]
    Replay(#[from] ReplayRefusal),
    /// Its payload is not what its kind says.
    #[error(transparent)]
    Payload(#[from] CodecError),
    /// No participant sends this kind to a validator.
    #[error("a {0:?} is not for validators")]
    NotForValidators(PayloadKind),
}

/// Replay windows of the sessions whose envelopes came in: one session a node, the one it has open.
#[derive(Debug)]
pub(super) struct Gate {
    guard: ReplayGuard,
    sessions: BTreeMap<NodeFingerprint, SessionId>,
}

impl Gate {
    pub(super) fn new(participants: usize) -> Self {
        Self { guard: ReplayGuard::new(participants), sessions: BTreeMap::new() }
    }

    /// Whether an envelope of an open session is new. Its position is used up only by [`Gate::admit`]: for
    /// an update when it is taken, since what is refused today because this node lags may come again by another
    /// way, and for a request when it reached the replica.
    pub(super) fn check(
        &mut self,
        executor: &Executor,
        envelope: &Envelope,
    ) -> Result<(), EnvelopeRefusal> {
        let node = envelope.node_fingerprint;
        let (session_id, session) =
            executor.state().session_of(&node).ok_or(EnvelopeRefusal::NoSession)?;
        let ledger_block_id = executor.session_block(&node).ok_or(EnvelopeRefusal::NoSession)?;
        let position = SessionPosition {
            session_id: *session_id,
            ledger_block_id,
            not_after_epoch: session.not_after_epoch,
        };
        envelope.check_session(&position, executor.state().epoch())?;
        self.enter(node, *session_id)?;
        Ok(self.guard.check(*session_id, envelope.lane, envelope.sequence)?)
    }

    /// Uses the envelope's position up.
    pub(super) fn admit(&mut self, envelope: &Envelope) -> Result<(), EnvelopeRefusal> {
        Ok(self.guard.admit(envelope.session_id, envelope.lane, envelope.sequence)?)
    }

    /// A node's earlier session is over as soon as it has another.
    fn enter(
        &mut self,
        node: NodeFingerprint,
        session_id: SessionId,
    ) -> Result<(), EnvelopeRefusal> {
        if self.sessions.get(&node) == Some(&session_id) {
            return Ok(());
        }
        if let Some(earlier) = self.sessions.remove(&node) {
            self.guard.close(&earlier)?;
        }
        self.guard.open(session_id)?;
        self.sessions.insert(node, session_id);
        Ok(())
    }
}

/// The content of an envelope that its sender signed for all validators or for this one, and the sender's name.
pub(super) fn authentic(
    executor: &Executor,
    receiver: usize,
    envelope: Signed<Envelope>,
) -> Result<(Name, Envelope), EnvelopeRefusal> {
    let rules = executor.rules();
    let node = envelope.claimed().node_fingerprint;
    let participant = rules.roster.participant(&node).ok_or(EnvelopeRefusal::NotInRoster)?;
    let envelope = envelope.verify(&participant.identity, &rules.context)?.into_body();
    envelope.check()?;
    let name = &participant.record.name;
    let own = rules.roster.validators().get(receiver);
    let own = own.map_or(VALIDATORS, |validator| validator.record.name.as_str());
    envelope.check_route(name, &[VALIDATORS, own])?;
    Ok((name.clone(), envelope))
}
