//! `SessionOpened`: a node of the roster, admitted by governance, takes its session up.

use std::collections::BTreeMap;

use federation_proto::handshake::{
    SessionClosed, SessionEnd, SessionOpened, SessionResumption, SessionTerms, TransportKind,
};
use federation_proto::replay::ReplayWindow;
use federation_proto::{
    Digest, FederatedEpoch, Height, Lane, LaneSequence, NodeFingerprint, Request, Signed,
};
use serde::{Deserialize, Serialize};

use super::refusal::same;
use super::{MachineState, Place, Refusal, Rules};

/// Sessions that one node may open in one epoch. Each stays in the state for ever, so a node must not make them
/// as it pleases.
const MAX_SESSIONS_PER_EPOCH: usize = 4;

/// How often one session may move to another channel. Each move is an entry of the ledger that costs its node nothing;
/// beyond this it opens another session, and those are counted too.
const MAX_RESUMPTIONS: u32 = 256;

/// A session, open or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub node: NodeFingerprint,
    /// Block that opened it. Its id is the node's `ledger_block_id`; the state names the height because the
    /// id depends on this very state.
    pub height: Height,
    /// Where the ledger opened it, down to the entry: two of one node may share a block.
    pub(super) position: (Height, u32),
    /// The epoch in which the ledger opened it.
    pub opened_in: FederatedEpoch,
    /// Last epoch it is good for.
    pub not_after_epoch: FederatedEpoch,
    /// Kind of its present channel.
    pub transport: TransportKind,
    /// The federation's certificate, the same in every channel.
    pub federation_certificate: Digest,
    /// How often it moved to another channel.
    pub resumptions: u32,
    /// Whether it was closed before its time, by its node or by its next session. It stays on record: updates made in it may still wait for a cut.
    pub closed: bool,
    /// Positions executed, a lane.
    windows: BTreeMap<Lane, ReplayWindow>,
}

impl Session {
    /// Whether a position of a lane was executed.
    pub fn has_executed(&self, lane: Lane, position: LaneSequence) -> bool {
        self.windows.get(&lane).is_some_and(|window| window.has_taken(position))
    }

    /// Whether requests and envelopes of the session count in an epoch.
    pub fn is_open(&self, epoch: FederatedEpoch) -> bool {
        !self.closed && epoch <= self.not_after_epoch
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
        // What needs no signature check comes first: a recorded opening costs whoever replays it more than us.
        let claimed = opened.accept.claimed().session_id;
        if self.rest.sessions.contains_key(&claimed) {
            return Err(Refusal::SessionReplayed(claimed));
        }
        let epoch = self.epoch();
        opened.verify(&rules.admission(), epoch)?;
        let accept = opened.accept.claimed();
        let node = opened.hello.claimed().node_fingerprint;
        same("request node", &node, &request.node_fingerprint)?;
        same("request session", &accept.session_id, &request.session_id)?;
        let opened_now = |session: &&Session| session.node == node && session.opened_in == epoch;
        if self.rest.sessions.values().filter(opened_now).count() >= MAX_SESSIONS_PER_EPOCH {
            return Err(Refusal::TooManySessions { node, epoch });
        }
        let last = self.last_session_of(&node);
        same("previous session", &last, &opened.hello.claimed().previous_session)?;
        if let Some(replaced) = self.rest.sessions.get_mut(&last) {
            replaced.closed = true;
        }
        let mut session = Session {
            node,
            height: place.height,
            position: (place.height, place.index),
            opened_in: epoch,
            not_after_epoch: accept.not_after_epoch,
            transport: opened.statement.claimed().transport.kind,
            federation_certificate: accept.certificate_hashes[1],
            resumptions: 0,
            closed: false,
            windows: BTreeMap::new(),
        };
        session.admit(request.lane, request.sequence)?;
        self.rest.sessions.insert(accept.session_id, session);
        Ok(())
    }

    /// The session moves to another channel, as its node signed.
    pub(super) fn resume_session(
        &mut self,
        rules: &Rules,
        request: &Request,
        resumed: &Signed<SessionResumption>,
    ) -> Result<(), Refusal> {
        let epoch = self.epoch();
        let session = self.open_session_of(request)?;
        if session.resumptions >= MAX_RESUMPTIONS {
            return Err(Refusal::TooManyResumptions { limit: MAX_RESUMPTIONS });
        }
        let node = session.node;
        let participant = rules.roster.participant(&node).ok_or(Refusal::UnknownNode(node))?;
        let resumed = resumed.clone().verify(&participant.identity, &rules.context)?;
        rules.admission().check_transport(resumed.transport.kind)?;
        let terms = SessionTerms {
            session_id: request.session_id,
            node_fingerprint: node,
            not_after_epoch: session.not_after_epoch,
            resumptions: session.resumptions,
            transport: session.transport,
            federation_certificate: session.federation_certificate,
        };
        let terms = terms.resume(&resumed, epoch)?;
        session.admit(request.lane, request.sequence)?;
        (session.resumptions, session.transport) = (terms.resumptions, terms.transport);
        Ok(())
    }

    /// A node leaves. It alone can say so; the other ends of a session are not a client's to declare.
    pub(super) fn close_session(
        &mut self,
        request: &Request,
        closed: &SessionClosed,
    ) -> Result<(), Refusal> {
        let epoch = self.epoch();
        let session = self.open_session_of(request)?;
        same("closed session", &request.session_id, &closed.session_id)?;
        same("closing node", &session.node, &closed.node_fingerprint)?;
        same("closing epoch", &epoch, &closed.federated_epoch)?;
        if closed.reason != SessionEnd::Left {
            return Err(Refusal::NotRequestable("SessionClosed other than by its node"));
        }
        session.admit(request.lane, request.sequence)?;
        session.closed = true;
        Ok(())
    }

    fn open_session_of(&mut self, request: &Request) -> Result<&mut Session, Refusal> {
        let epoch = self.epoch();
        self.rest
            .sessions
            .get_mut(&request.session_id)
            .filter(|session| session.node == request.node_fingerprint && session.is_open(epoch))
            .ok_or(Refusal::NoSession(request.session_id))
    }
}
