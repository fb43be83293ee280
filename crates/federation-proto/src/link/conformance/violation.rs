//! What a link did wrong: the law, and the values that show it.

use core::fmt;

use thiserror::Error;

use crate::keys::NodeFingerprint;
use crate::lane::Lane;
use crate::link::SendError;

/// The laws, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// The harness has three nodes and a link for each.
    Harness,
    /// `local` is who the node is.
    Identity,
    /// `max_frame` is between 1 and the lane's limit; exactly that many bytes pass and one more is refused.
    FrameLimit,
    /// A connection is announced at both ends, once, before its first frame.
    LinkUp,
    /// The end of a connection is announced at both ends, once, and nothing comes from the peer after it.
    LinkDown,
    /// `poll_event` returns `None` when nothing happens.
    Idle,
    /// An accepted frame arrives while its link stands.
    Delivery,
    /// Frames of a lane arrive in the order of their acceptance.
    Order,
    /// No frame arrives twice.
    AtMostOnce,
    /// No frame arrives altered.
    Integrity,
    /// No frame arrives at another peer.
    Addressing,
    /// `from` is the peer that sent.
    TrueSender,
    /// `lane` is the lane it was sent in.
    TrueLane,
    /// A refused frame is never sent.
    RefusedIsNotSent,
    /// A lane takes a bounded number of frames for a peer that takes none, then says `Full`.
    Bounded,
    /// A full lane leaves other lanes and peers usable.
    LaneIndependence,
    /// A lane that was full says when it is not, and means it.
    Writable,
    /// Without a connection a frame is refused.
    NotConnected,
    /// A cut link leaves others as they were.
    CutIsLocal,
    /// A closed link refuses everything, says nothing, and stays closed.
    Closed,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Law {
    pub(super) fn broken<T>(self, breach: Breach) -> Result<T, Violation> {
        Err(Violation { law: self, breach })
    }
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law}: {breach}")]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// How it shows.
    pub breach: Breach,
}

/// How a broken law shows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Breach {
    /// Too few nodes to check anything.
    #[error("the harness has {0} nodes, 3 are needed")]
    Nodes(usize),
    /// A node without a link.
    #[error("the harness has no link for {0}")]
    NoLink(NodeFingerprint),
    /// A link says that it is another node.
    #[error("the link of {node} says that it is {got}")]
    Local {
        /// The node.
        node: NodeFingerprint,
        /// What its link says.
        got: NodeFingerprint,
    },
    /// A limit outside its bounds.
    #[error("lane {lane}: a limit of {got} bytes, it must be in 1..={limit}")]
    Limit {
        /// The lane.
        lane: Lane,
        /// What the link says.
        got: usize,
        /// What the lane allows.
        limit: usize,
    },
    /// `try_send` gave another answer.
    #[error("{from} to {to}, lane {lane}, {length} bytes: {got:?} where {expected:?} is due")]
    Answer {
        /// The sender.
        from: NodeFingerprint,
        /// The receiver.
        to: NodeFingerprint,
        /// The lane.
        lane: Lane,
        /// Bytes of the frame.
        length: usize,
        /// The answer that is due.
        expected: Result<(), SendError>,
        /// The answer that came.
        got: Result<(), SendError>,
    },
    /// An event did not come.
    #[error("{node} was not told {what} of {peer} within {steps} steps")]
    Untold {
        /// Who was not told.
        node: NodeFingerprint,
        /// What.
        what: &'static str,
        /// About whom.
        peer: NodeFingerprint,
        /// Steps waited.
        steps: usize,
    },
    /// An event came that cannot follow what came before.
    #[error("{node} was told {what} of {peer}, which was {state}")]
    Unexpected {
        /// Who was told.
        node: NodeFingerprint,
        /// What.
        what: &'static str,
        /// About whom.
        peer: NodeFingerprint,
        /// What the link had said of the peer.
        state: &'static str,
    },
    /// `poll_event` does not come to an end.
    #[error("{node} still had events after {events}")]
    Restless {
        /// The node.
        node: NodeFingerprint,
        /// Events polled in a row.
        events: usize,
    },
    /// A link said something when nothing was due.
    #[error("{node} had an event: {what}")]
    Spoke {
        /// The node.
        node: NodeFingerprint,
        /// What.
        what: &'static str,
    },
    /// Frames are missing.
    #[error(
        "{from} to {to}, lane {lane}: {count} accepted frames did not arrive, number {number} first"
    )]
    Lost {
        /// The sender.
        from: NodeFingerprint,
        /// The receiver.
        to: NodeFingerprint,
        /// The lane.
        lane: Lane,
        /// The first that is missing.
        number: u32,
        /// How many are.
        count: usize,
    },
    /// A frame that should not have arrived so.
    #[error("{at} got number {number} of {from} to {to}, lane {lane}: {fault}")]
    Arrival {
        /// Where it arrived.
        at: NodeFingerprint,
        /// Who sent it.
        from: NodeFingerprint,
        /// To whom.
        to: NodeFingerprint,
        /// In which lane.
        lane: Lane,
        /// Its number within the lane.
        number: u32,
        /// What is wrong.
        fault: ArrivalFault,
    },
    /// Bytes that nobody sent.
    #[error("{at} got {length} bytes from {from}, lane {lane}, that nobody sent")]
    Altered {
        /// Where they arrived.
        at: NodeFingerprint,
        /// From whom, as the link says.
        from: NodeFingerprint,
        /// In which lane, as the link says.
        lane: Lane,
        /// Their number.
        length: usize,
    },
    /// A lane took more than its bound.
    #[error(
        "{from} to {to}, lane {lane}: {accepted} frames accepted and none taken, the bound is {bound}"
    )]
    Unbounded {
        /// The sender.
        from: NodeFingerprint,
        /// The receiver.
        to: NodeFingerprint,
        /// The lane.
        lane: Lane,
        /// Frames accepted.
        accepted: usize,
        /// The harness's bound.
        bound: usize,
    },
}

/// What is wrong with a frame that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ArrivalFault {
    /// It is another node's.
    #[error("meant for another")]
    Misrouted,
    /// The link names another sender.
    #[error("said to be from {0}")]
    Sender(NodeFingerprint),
    /// The link names another lane.
    #[error("said to be in lane {0}")]
    Lane(Lane),
    /// Its sending was refused.
    #[error("it had been refused")]
    Refused,
    /// It is here already.
    #[error("it had arrived before")]
    Repeated,
    /// A later one came first.
    #[error("number {0} came before it")]
    Late(u32),
}
