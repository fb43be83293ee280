//! Links: how a node's frames reach other nodes, whatever carries them.
//!
//! A [`Link`] is polled, never blocks and promises little, so that QUIC, Zenoh and a simulated network are all
//! honest implementations of it. What a deployment must not lose (delivery, identity, order between lanes) the
//! protocol keeps itself, by signatures, positions, acknowledgements and the ledger.
//!
//! # The pump's law
//!
//! A driver keeps one law: *poll until `None`, hand each event to the node in that order, only then send; a
//! frame refused as [`Full`](SendError::Full) waits for the [`Writable`](TransportEvent::Writable) of its peer
//! and lane, and one refused as [`NotConnected`](SendError::NotConnected) for the peer's
//! [`LinkUp`](TransportEvent::LinkUp).*
//!
//! ```
//! use std::collections::BTreeSet;
//!
//! use federation_proto::link::{Link, SendError, TransportEvent};
//! use federation_proto::{Lane, NodeFingerprint};
//!
//! struct Outbox(Vec<(NodeFingerprint, Lane, Vec<u8>)>);
//!
//! fn pump(link: &mut dyn Link, handle: &mut dyn FnMut(TransportEvent), outbox: &mut Outbox) {
//!     while let Some(event) = link.poll_event() {
//!         handle(event);
//!     }
//!     // What is behind a waiting frame of its lane waits too, or it would overtake it.
//!     let mut waiting = BTreeSet::new();
//!     outbox.0.retain(|(dest, lane, frame)| {
//!         if waiting.contains(&(*dest, *lane)) {
//!             return true;
//!         }
//!         match link.try_send(dest, *lane, frame) {
//!             Ok(()) => false,
//!             Err(SendError::Full | SendError::NotConnected) => waiting.insert((*dest, *lane)),
//!             // The node made what cannot be sent, or the link is closed: waiting mends neither.
//!             Err(SendError::TooLarge { .. } | SendError::Closed) => false,
//!         }
//!     });
//! }
//! ```
//!
//! # What a link keeps
//!
//! - **Order**: the frames of one peer and lane arrive in the order in which they were accepted; there is no
//!   order between lanes, and none between peers.
//! - **Integrity**: a frame arrives at most once, unaltered, at the peer it was meant for, with its true
//!   sender. (Below a router that is the protocol's signature again; a link that cannot know says so by not
//!   being used there.)
//! - **Loss**: an accepted frame is lost only when the link is cut, closed at either end, or gone with its node.
//! - **Bounds**: every lane of every peer has its own bounded queue, on both ends. Who does not poll slows down
//!   its peers' lane and nobody else's.
//! - **Liveliness is a hint**: [`PeerAlive`](TransportEvent::PeerAlive) and [`PeerGone`](TransportEvent::PeerGone)
//!   may be late, wrong or missing, and are never an input to consensus. They may wake a timer or fill a log.
//!
//! The module `link::conformance` (feature `conformance`) checks all of it on any implementation.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod decoder;
mod frame;
#[cfg(any(test, feature = "conformance"))]
pub mod memory;

#[cfg(test)]
mod tests;

use thiserror::Error;

use crate::keys::NodeFingerprint;
use crate::lane::Lane;

pub use decoder::FrameDecoder;
pub use frame::{FrameError, LinkFrame};

/// One node's connections to its peers.
///
/// Methods are of three kinds: getters ([`local`](Self::local), [`max_frame`](Self::max_frame)), commands
/// ([`try_send`](Self::try_send), [`close`](Self::close)) and what comes out
/// ([`poll_event`](Self::poll_event)). None of them waits for anything. The module documentation says what
/// an implementation keeps and what its driver does.
pub trait Link {
    /// Who this end is. Never changes.
    fn local(&self) -> NodeFingerprint;

    /// Most bytes of one frame of a lane: at least 1 and at most [`Lane::max_frame`]. Never changes.
    fn max_frame(&self, lane: Lane) -> usize {
        lane.max_frame()
    }

    /// Puts a frame into the bounded queue of a peer's lane. `Ok` says that it is there and nothing more: the
    /// frame may still be lost when the link is cut.
    ///
    /// # Errors
    /// A refused frame is never sent. Where several reasons hold the first of these is given:
    /// [`Closed`](SendError::Closed), [`TooLarge`](SendError::TooLarge),
    /// [`NotConnected`](SendError::NotConnected) (also for a peer never heard of, and for oneself),
    /// [`Full`](SendError::Full).
    fn try_send(
        &mut self,
        dest: &NodeFingerprint,
        lane: Lane,
        frame: &[u8],
    ) -> Result<(), SendError>;

    /// The next thing that happened, or `None` when nothing has since. A closed link has nothing to say.
    fn poll_event(&mut self) -> Option<TransportEvent>;

    /// Cuts every connection and drops what is queued. Closing twice is closing once.
    fn close(&mut self);
}

/// What happens on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// Frames can be sent to a peer. Comes before its first frame, and alternates with `LinkDown`.
    LinkUp {
        /// The peer.
        peer: NodeFingerprint,
    },
    /// Frames can no longer be sent to a peer; what was queued for it may be lost.
    LinkDown {
        /// The peer.
        peer: NodeFingerprint,
    },
    /// A peer seems to live. A hint, see the module documentation.
    PeerAlive {
        /// The peer.
        peer: NodeFingerprint,
    },
    /// A peer seems to be gone. A hint.
    PeerGone {
        /// The peer.
        peer: NodeFingerprint,
    },
    /// A frame arrived.
    Frame {
        /// Who sent it.
        from: NodeFingerprint,
        /// In which lane.
        lane: Lane,
        /// Its bytes, as they were sent.
        bytes: Vec<u8>,
    },
    /// There is room again in a lane that was full. Follows every `Full`, unless the link went down first.
    Writable {
        /// The peer.
        peer: NodeFingerprint,
        /// The lane.
        lane: Lane,
    },
}

/// Why a frame was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The lane's queue is full; `Writable` says when to try again.
    #[error("the lane's queue is full")]
    Full,
    /// There is no connection to this peer; `LinkUp` says when there is.
    #[error("not connected to this peer")]
    NotConnected,
    /// The frame is longer than its lane allows; it never gets shorter by waiting.
    #[error("a frame of {length} bytes, the lane's limit is {limit}")]
    TooLarge {
        /// Bytes of the frame.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// This end was closed.
    #[error("the link is closed")]
    Closed,
}
