//! The reference: links in one memory, for tests and for reading.
//!
//! Every lane of every peer has two bounded queues, one at each end. [`MemoryNetwork::step`] moves frames from
//! the sender's to the receiver's while there is room; nothing moves by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::conformance::Harness;
use super::{Link, SendError, TransportEvent};
use crate::keys::NodeFingerprint;
use crate::lane::Lane;

/// Links of some nodes, each connected to each once the network steps.
#[derive(Clone, Debug)]
pub struct MemoryNetwork {
    queue: usize,
    links: BTreeMap<NodeFingerprint, MemoryLink>,
    /// Pairs that cannot reach each other, the smaller name first.
    severed: BTreeSet<(NodeFingerprint, NodeFingerprint)>,
}

/// One node's end.
#[derive(Clone, Debug)]
pub struct MemoryLink {
    local: NodeFingerprint,
    /// Frames that each queue of a lane holds.
    queue: usize,
    is_closed: bool,
    peers: BTreeMap<NodeFingerprint, Peer>,
    /// What is to be said before any frame.
    signals: VecDeque<TransportEvent>,
}

/// A connected peer, lane by lane.
#[derive(Clone, Debug, Default)]
struct Peer {
    outbound: BTreeMap<Lane, VecDeque<Vec<u8>>>,
    inbound: BTreeMap<Lane, VecDeque<Vec<u8>>>,
    /// Lanes that refused a frame as `Full` and have not been writable since.
    starved: BTreeSet<Lane>,
}

impl MemoryNetwork {
    /// Links of these nodes; each queue of a lane holds `queue` frames.
    pub fn new(nodes: impl IntoIterator<Item = NodeFingerprint>, queue: usize) -> Self {
        let link = |local| {
            let (peers, signals) = (BTreeMap::new(), VecDeque::new());
            (local, MemoryLink { local, queue, is_closed: false, peers, signals })
        };
        Self { queue, links: nodes.into_iter().map(link).collect(), severed: BTreeSet::new() }
    }

    /// A node's end.
    pub fn link_mut(&mut self, node: &NodeFingerprint) -> Option<&mut MemoryLink> {
        self.links.get_mut(node)
    }

    /// Connects who can be, disconnects who cannot, and moves what there is room for.
    pub fn step(&mut self) {
        let nodes: Vec<NodeFingerprint> = self.links.keys().copied().collect();
        for (index, a) in nodes.iter().enumerate() {
            for b in nodes.iter().skip(index + 1) {
                self.connect(a, b);
                self.transfer(a, b);
                self.transfer(b, a);
            }
        }
    }

    /// Cuts a connection; both ends learn of it at the next step.
    pub fn cut(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        self.severed.insert(ordered(a, b));
    }

    /// Lets two nodes connect again, from the next step on.
    pub fn heal(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        self.severed.remove(&ordered(a, b));
    }

    fn connect(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        let is_open = |node| self.links.get(node).is_some_and(|link| !link.is_closed);
        let can = is_open(a) && is_open(b) && !self.severed.contains(&ordered(a, b));
        for (here, there) in [(a, b), (b, a)] {
            if let Some(link) = self.links.get_mut(here) {
                link.set_connected(there, can);
            }
        }
    }

    fn transfer(&mut self, from: &NodeFingerprint, to: &NodeFingerprint) {
        let mut lanes = Lane::ALL;
        lanes.sort_by_key(|lane| lane.priority());
        for lane in lanes {
            let room = self.links.get(to).and_then(|link| link.room(from, lane)).unwrap_or(0);
            let frames = self.links.get_mut(from).map(|link| link.take(to, lane, room));
            let receiver = self.links.get_mut(to).and_then(|link| link.peers.get_mut(from));
            if let (Some(frames), Some(peer)) = (frames, receiver) {
                peer.inbound.entry(lane).or_default().extend(frames);
            }
        }
    }
}

/// A pair without direction.
fn ordered(a: &NodeFingerprint, b: &NodeFingerprint) -> (NodeFingerprint, NodeFingerprint) {
    (*a.min(b), *a.max(b))
}

impl MemoryLink {
    fn set_connected(&mut self, peer: &NodeFingerprint, connected: bool) {
        let peer = *peer;
        if self.is_closed || self.peers.contains_key(&peer) == connected {
            return;
        }
        let up = TransportEvent::LinkUp { peer };
        // What was not yet said of the last connection is said no more, so that signals cannot pile up.
        let was_said = !self.signals.contains(&up);
        self.signals.retain(|signal| match signal {
            TransportEvent::LinkDown { .. } => true,
            TransportEvent::LinkUp { peer: other }
            | TransportEvent::Writable { peer: other, .. }
            | TransportEvent::PeerAlive { peer: other }
            | TransportEvent::PeerGone { peer: other } => *other != peer,
            TransportEvent::Frame { .. } => true,
        });
        if connected {
            self.peers.insert(peer, Peer::default());
            self.signals.extend([up, TransportEvent::PeerAlive { peer }]);
        } else {
            self.peers.remove(&peer);
            self.signals.extend(was_said.then_some(TransportEvent::LinkDown { peer }));
            self.signals.push_back(TransportEvent::PeerGone { peer });
        }
    }

    /// Frames that a lane from a peer still has room for.
    fn room(&self, peer: &NodeFingerprint, lane: Lane) -> Option<usize> {
        let inbound = self.peers.get(peer)?.inbound.get(&lane).map_or(0, VecDeque::len);
        Some(self.queue.saturating_sub(inbound))
    }

    /// Takes frames out of a lane to a peer, and says so if somebody waited for it.
    fn take(&mut self, peer: &NodeFingerprint, lane: Lane, room: usize) -> Vec<Vec<u8>> {
        let Some(state) = self.peers.get_mut(peer) else { return Vec::new() };
        let outbound = state.outbound.entry(lane).or_default();
        let frames: Vec<_> = outbound.drain(..room.min(outbound.len())).collect();
        if outbound.len() < self.queue && state.starved.remove(&lane) {
            let writable = TransportEvent::Writable { peer: *peer, lane };
            if !self.signals.contains(&writable) {
                self.signals.push_back(writable);
            }
        }
        frames
    }
}

impl Link for MemoryLink {
    fn local(&self) -> NodeFingerprint {
        self.local
    }

    fn try_send(
        &mut self,
        dest: &NodeFingerprint,
        lane: Lane,
        frame: &[u8],
    ) -> Result<(), SendError> {
        if self.is_closed {
            return Err(SendError::Closed);
        }
        let (length, limit) = (frame.len(), self.max_frame(lane));
        if length > limit {
            return Err(SendError::TooLarge { length, limit });
        }
        let peer = self.peers.get_mut(dest).ok_or(SendError::NotConnected)?;
        let outbound = peer.outbound.entry(lane).or_default();
        if outbound.len() >= self.queue {
            peer.starved.insert(lane);
            return Err(SendError::Full);
        }
        outbound.push_back(frame.to_vec());
        Ok(())
    }

    fn poll_event(&mut self) -> Option<TransportEvent> {
        if let Some(signal) = self.signals.pop_front() {
            return Some(signal);
        }
        let mut lanes = Lane::ALL;
        lanes.sort_by_key(|lane| lane.priority());
        lanes.into_iter().find_map(|lane| {
            self.peers.iter_mut().find_map(|(from, peer)| {
                let bytes = peer.inbound.get_mut(&lane)?.pop_front()?;
                Some(TransportEvent::Frame { from: *from, lane, bytes })
            })
        })
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.peers.clear();
        self.signals.clear();
    }
}

impl Harness for MemoryNetwork {
    fn nodes(&self) -> Vec<NodeFingerprint> {
        self.links.keys().copied().collect()
    }

    fn link(&mut self, node: &NodeFingerprint) -> Option<&mut dyn Link> {
        self.links.get_mut(node).map(|link| link as &mut dyn Link)
    }

    fn step(&mut self) {
        Self::step(self);
    }

    fn cut(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        Self::cut(self, a, b);
    }

    fn heal(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        Self::heal(self, a, b);
    }

    fn queue_bound(&self) -> usize {
        2 * self.queue
    }
}
