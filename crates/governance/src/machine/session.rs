//! `SessionOpened`: a node of the roster, admitted by governance, takes its session up.

use std::collections::BTreeMap;

use federation_proto::handshake::SessionOpened;
use federation_proto::replay::ReplayWindow;
use federation_proto::{FederatedEpoch, Height, Lane, LaneSequence, NodeFingerprint, Request};
use serde::{Deserialize, Serialize};

use super::refusal::same;
use super::{MachineState, Place, Refusal, Rules};

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub node: NodeFingerprint,
    /// Block that opened it. Its id is the node's `ledger_block_id`; the state names the height because the
    /// id depends on this very state.
    pub height: Height,
    /// Last epoch it is good for.
    pub not_after_epoch: FederatedEpoch,
    /// Positions executed, a lane.
    windows: BTreeMap<Lane, ReplayWindow>,
}

impl Session {
    /// Whether a position of a lane was executed.
    pub fn has_executed(&self, lane: Lane, position: LaneSequence) -> bool {
        self.windows.get(&lane).is_some_and(|window| window.has_taken(position))
    }

    pub(super) fn admit(&mut self, lane: Lane, position: LaneSequence) -> Result<(), Refusal> {
        let window = self.windows.entry(lane).or_default();
        Ok(window.admit_within(position, ReplayWindow::WIDTH)?)
    }
}

impl MachineState {
    pub(super) fn open_session(
        &mut self,
        rules: &Rules,
        place: Place,
        request: &Request,
        opened: &SessionOpened,
    ) -> Result<(), Refusal> {
        self.check_handshake(rules, opened)?;
        let accept = opened.accept.claimed();
        let node = opened.hello.claimed().node_fingerprint;
        same("request node", &node, &request.node_fingerprint)?;
        same("request session", &accept.session_id, &request.session_id)?;
        if self.rest.sessions.contains_key(&accept.session_id) {
            return Err(Refusal::SessionReplayed(accept.session_id));
        }
        if let (Some(_), Some(participant)) =
            (self.session_of(&node), rules.roster.participant(&node))
        {
            return Err(Refusal::SessionOpen(Box::new(participant.record.clone())));
        }
        let mut session = Session {
            node,
            height: place.height,
            not_after_epoch: accept.not_after_epoch,
            windows: BTreeMap::new(),
        };
        session.admit(request.lane, request.sequence)?;
        self.rest.sessions.insert(accept.session_id, session);
        Ok(())
    }

    /// Hello, accept and statement: signatures, binding, policy and expiry.
    fn check_handshake(&self, rules: &Rules, opened: &SessionOpened) -> Result<(), Refusal> {
        let node = opened.hello.claimed().node_fingerprint;
        let participant = rules.roster.participant(&node).ok_or(Refusal::UnknownNode(node))?;
        let hello = opened.hello.clone().verify(&participant.identity, &rules.context)?;
        let thresholds = rules.roster.configuration().thresholds;
        let needed = usize::from(thresholds.admission);
        let accept =
            opened.accept.verify(&rules.roster.admission_keys(), needed, &rules.context)?;
        opened.statement.clone().verify(&participant.identity, &rules.context)?;
        opened.check_binding()?;
        let negotiated = rules.requirements().negotiate(&hello)?;
        if negotiated != accept.capabilities {
            let show = |names: &[federation_proto::Name]| {
                names.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
            };
            return Err(Refusal::Mismatch {
                what: "accepted capabilities",
                expected: show(&negotiated),
                got: show(&accept.capabilities),
            });
        }
        same("accept policy_hash", &rules.policy.digest(), &accept.policy_hash)?;
        if accept.epoch > self.epoch() {
            return Err(Refusal::FutureEpoch { current: self.epoch(), got: accept.epoch });
        }
        let expiry = session_expiry(rules, accept.epoch);
        same("session expiry", &expiry, &accept.not_after_epoch)?;
        if self.epoch() > expiry {
            return Err(Refusal::NoSession(accept.session_id));
        }
        Ok(())
    }
}

/// Last epoch of a session accepted in `epoch`: the policy's term, cut at the end of the mandate.
pub fn session_expiry(rules: &Rules, epoch: FederatedEpoch) -> FederatedEpoch {
    let term = rules.policy.document().admission.session_epochs;
    let last = rules.roster.configuration().mandate.last_epoch;
    FederatedEpoch::new(epoch.get().saturating_add(term)).min(last)
}
