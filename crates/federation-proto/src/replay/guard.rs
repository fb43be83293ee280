//! Sliding windows for every lane of every open session.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{ReplayWindow, WindowRefusal};
use crate::counters::LaneSequence;
use crate::ids::SessionId;
use crate::lane::Lane;

/// Remembers which envelopes of the open sessions were taken: 16 bytes a lane in use, for at most a given
/// number of sessions.
///
/// Sessions come and go by [`open`](Self::open) and [`close`](Self::close) only. No frame can make the guard
/// grow, and a frame of a session that is not open is refused. The guard forgets a session when it is closed:
/// that no session id is opened twice is the ledger's to say.
#[derive(Clone, Debug)]
pub struct ReplayGuard {
    max_sessions: usize,
    sessions: BTreeMap<SessionId, BTreeMap<Lane, ReplayWindow>>,
}

/// Why the guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReplayRefusal {
    /// The position was taken before.
    #[error("session {session_id}, lane {lane}: position {position} was taken before")]
    Replayed {
        /// The session.
        session_id: SessionId,
        /// The lane.
        lane: Lane,
        /// The position.
        position: LaneSequence,
    },
    /// The position is too far behind to know.
    #[error("session {session_id}, lane {lane}: position {position} is more than 64 behind {next}")]
    TooOld {
        /// The session.
        session_id: SessionId,
        /// The lane.
        lane: Lane,
        /// The position.
        position: LaneSequence,
        /// One above the highest position taken.
        next: u64,
    },
    /// The position has no successor.
    #[error("session {session_id}, lane {lane}: position {} is never used", u64::MAX)]
    Exhausted {
        /// The session.
        session_id: SessionId,
        /// The lane.
        lane: Lane,
    },
    /// The session is not open.
    #[error("session {0} is not open")]
    UnknownSession(SessionId),
    /// The session is open already; opening it again would forget what was taken.
    #[error("session {0} is open already")]
    SessionOpen(SessionId),
    /// As many sessions are open as may be.
    #[error("{open} sessions are open, at most {limit} may be")]
    TooManySessions {
        /// Sessions open.
        open: usize,
        /// The limit.
        limit: usize,
    },
}

impl ReplayGuard {
    /// A guard for at most `max_sessions` open sessions.
    pub const fn new(max_sessions: usize) -> Self {
        Self { max_sessions, sessions: BTreeMap::new() }
    }

    /// Sessions that are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Opens a session; nothing of it was taken yet.
    ///
    /// # Errors
    /// [`SessionOpen`](ReplayRefusal::SessionOpen) and [`TooManySessions`](ReplayRefusal::TooManySessions).
    pub fn open(&mut self, session_id: SessionId) -> Result<(), ReplayRefusal> {
        if self.sessions.contains_key(&session_id) {
            return Err(ReplayRefusal::SessionOpen(session_id));
        }
        let (open, limit) = (self.sessions.len(), self.max_sessions);
        if open >= limit {
            return Err(ReplayRefusal::TooManySessions { open, limit });
        }
        self.sessions.insert(session_id, BTreeMap::new());
        Ok(())
    }

    /// Closes a session: nothing of it is taken any more.
    ///
    /// # Errors
    /// [`UnknownSession`](ReplayRefusal::UnknownSession) where it is not open.
    pub fn close(&mut self, session_id: &SessionId) -> Result<(), ReplayRefusal> {
        let removed = self.sessions.remove(session_id);
        removed.map(|_| ()).ok_or(ReplayRefusal::UnknownSession(*session_id))
    }

    /// Whether [`admit`](Self::admit) would take a position: to ask before a signature is verified.
    ///
    /// # Errors
    /// Those of [`admit`](Self::admit).
    pub fn check(
        &self,
        session_id: SessionId,
        lane: Lane,
        position: LaneSequence,
    ) -> Result<(), ReplayRefusal> {
        let unknown = ReplayRefusal::UnknownSession(session_id);
        let windows = self.sessions.get(&session_id).ok_or(unknown)?;
        let window = windows.get(&lane).copied().unwrap_or_default();
        window.check(position).map_err(|refusal| placed(refusal, session_id, lane))
    }

    /// Takes a position of a session's lane once. Only for an envelope whose signature was verified:
    /// otherwise anybody could use up positions in another's name.
    ///
    /// # Errors
    /// [`Replayed`](ReplayRefusal::Replayed), [`TooOld`](ReplayRefusal::TooOld),
    /// [`Exhausted`](ReplayRefusal::Exhausted), [`UnknownSession`](ReplayRefusal::UnknownSession);
    /// nothing changes then.
    pub fn admit(
        &mut self,
        session_id: SessionId,
        lane: Lane,
        position: LaneSequence,
    ) -> Result<(), ReplayRefusal> {
        let unknown = ReplayRefusal::UnknownSession(session_id);
        let windows = self.sessions.get_mut(&session_id).ok_or(unknown)?;
        let window = windows.entry(lane).or_default();
        window.admit(position).map_err(|refusal| placed(refusal, session_id, lane))
    }
}

/// A window's refusal, with the place of the window.
fn placed(refusal: WindowRefusal, session_id: SessionId, lane: Lane) -> ReplayRefusal {
    match refusal {
        WindowRefusal::Replayed(position) => ReplayRefusal::Replayed { session_id, lane, position },
        WindowRefusal::TooOld { got: position, next } => {
            ReplayRefusal::TooOld { session_id, lane, position, next }
        }
        // A sliding window reaches everything but the last position.
        WindowRefusal::TooFar { .. } | WindowRefusal::Exhausted => {
            ReplayRefusal::Exhausted { session_id, lane }
        }
    }
}
