//! The ledger's side of joining: everything a validator checks before a session is ordered.

use super::negotiation::{Negotiated, Requirements};
use super::session::{HandshakeError, SessionOpened};
use super::transport::TransportKind;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::genesis::{Mandate, Roster};
use crate::signing::SigningContext;

/// Under which rules a session is opened.
#[derive(Clone, Debug)]
pub struct AdmissionRules<'a> {
    /// Whose keys count.
    pub roster: &'a Roster,
    /// What signatures are bound to.
    pub context: &'a SigningContext,
    /// What a node must be able to do.
    pub requirements: Requirements<'a>,
    /// The policy in force.
    pub policy_hash: Digest,
    /// Channels that a session may have: in process in a synthetic federation, networks in a live one.
    pub transports: &'a [TransportKind],
    /// Epochs that a session lasts beyond the one in which it is accepted.
    pub session_epochs: u64,
}

impl AdmissionRules<'_> {
    /// Whether the standing mandate lets governance accept in `epoch`. Who joins in one epoch contributes to the
    /// next at the earliest, so the epoch before the mandate's first counts too.
    pub fn check_mandate(&self, epoch: FederatedEpoch) -> Result<(), HandshakeError> {
        let Mandate { first_epoch: first, last_epoch: last } = self.roster.configuration().mandate;
        if epoch.next() < first || epoch > last {
            return Err(HandshakeError::Mandate { first, last, got: epoch });
        }
        Ok(())
    }

    /// Whether the federation admits channels of this kind, for a session's opening and for its moves.
    pub fn check_transport(&self, got: TransportKind) -> Result<(), HandshakeError> {
        if self.transports.contains(&got) {
            return Ok(());
        }
        Err(HandshakeError::TransportKind { got })
    }

    /// Last epoch of a session accepted in `epoch`: the policy's term, cut at the end of the mandate.
    pub fn expiry(&self, epoch: FederatedEpoch) -> FederatedEpoch {
        let last = self.roster.configuration().mandate.last_epoch;
        FederatedEpoch::new(epoch.get().saturating_add(self.session_epochs)).min(last)
    }
}

impl SessionOpened {
    /// Checks everything about a session but that it follows the node's last one, which only the ledger knows:
    /// the roster, all three signatures, the binding, the negotiation, policy, mandate, epochs and the channel.
    pub fn verify(
        &self,
        rules: &AdmissionRules<'_>,
        current: FederatedEpoch,
    ) -> Result<(), HandshakeError> {
        let node = self.hello.claimed().node_fingerprint;
        let participant =
            rules.roster.participant(&node).ok_or(HandshakeError::UnknownNode(node))?;
        let hello = self.hello.clone().verify(&participant.identity, rules.context)?;
        let needed = usize::from(rules.roster.configuration().thresholds.admission);
        let accept = self.accept.verify(&rules.roster.admission_keys(), needed, rules.context)?;
        self.statement.clone().verify(&participant.identity, rules.context)?;
        self.check_binding()?;
        if accept.epoch > current {
            return Err(HandshakeError::FutureEpoch { current, got: accept.epoch });
        }
        if current.get() - accept.epoch.get() > 1 {
            return Err(HandshakeError::StaleAccept { current, got: accept.epoch });
        }
        rules.check_mandate(accept.epoch)?;
        rules.check_transport(self.statement.claimed().transport.kind)?;
        // Judged as of the accept: the border may pass before the entry is ordered.
        let negotiated = rules.requirements.negotiate(&hello, accept.epoch, accept.attested)?;
        let Negotiated { wire_version, capabilities, attested } = &negotiated;
        let agreements = [
            ("wire version", accept.wire_version == *wire_version),
            ("capabilities", accept.capabilities == *capabilities),
            ("attestation", accept.attested == *attested),
            ("policy hash", accept.policy_hash == rules.policy_hash),
            ("expiry", accept.not_after_epoch == rules.expiry(accept.epoch)),
        ];
        if let Some((what, _)) = agreements.iter().find(|(_, agrees)| !agrees) {
            return Err(HandshakeError::Accept(what));
        }
        if current > accept.not_after_epoch {
            return Err(HandshakeError::Expired {
                session_id: accept.session_id,
                not_after: accept.not_after_epoch,
                current,
            });
        }
        Ok(())
    }
}
