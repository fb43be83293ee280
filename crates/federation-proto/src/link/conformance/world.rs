//! A harness under observation: what was sent, what each link has said so far.

use std::collections::BTreeSet;

use super::Harness;
use super::traffic::Traffic;
use super::violation::{Breach, Law, Violation};
use crate::keys::NodeFingerprint;
use crate::lane::Lane;
use crate::link::{Link, SendError, TransportEvent};

/// Events that a link may have at once beside the frames under way: more is restlessness.
const MAX_SIGNALS: usize = 1_000;

/// The nodes are numbered in the harness's order; the numbers stand in the test frames.
pub(super) struct World<'h> {
    harness: &'h mut dyn Harness,
    nodes: Vec<NodeFingerprint>,
    traffic: Traffic,
    /// Who was told that who is up, by number.
    up: BTreeSet<(u8, u8)>,
    /// Who was told that a lane to whom is writable, since it was last asked.
    writable: BTreeSet<(u8, u8, Lane)>,
}

impl<'h> World<'h> {
    /// A world in which every link is up, as both of its ends were told.
    pub(super) fn connected(harness: &'h mut dyn Harness) -> Result<Self, Violation> {
        let nodes = harness.nodes();
        if nodes.len() < 3 || nodes.len() > 255 {
            return Law::Harness.broken(Breach::Nodes(nodes.len()));
        }
        let (up, writable) = (BTreeSet::new(), BTreeSet::new());
        let mut world = Self { harness, nodes, traffic: Traffic::default(), up, writable };
        for (a, b) in world.pairs() {
            world.await_up(a, b)?;
        }
        Ok(world)
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        // At most 255, as checked above.
        0..u8::try_from(self.nodes.len()).unwrap_or(u8::MAX)
    }

    /// Every ordered pair of different nodes.
    pub(super) fn pairs(&self) -> Vec<(u8, u8)> {
        let pair = |a| self.numbers().map(move |b| (a, b));
        self.numbers().flat_map(pair).filter(|(a, b)| a != b).collect()
    }

    pub(super) fn name(&self, number: u8) -> Result<NodeFingerprint, Violation> {
        let nodes = Breach::Nodes(self.nodes.len());
        self.nodes.get(usize::from(number)).copied().map_or_else(|| Law::Harness.broken(nodes), Ok)
    }

    pub(super) fn link(&mut self, number: u8) -> Result<&mut dyn Link, Violation> {
        let name = self.name(number)?;
        self.harness.link(&name).map_or_else(|| Law::Harness.broken(Breach::NoLink(name)), Ok)
    }

    pub(super) fn harness(&mut self) -> &mut dyn Harness {
        self.harness
    }

    pub(super) fn patience(&self) -> usize {
        self.harness.patience()
    }

    /// Cuts a link; what was under way may be lost.
    pub(super) fn cut(&mut self, a: u8, b: u8) -> Result<(), Violation> {
        let (left, right) = (self.name(a)?, self.name(b)?);
        self.harness.cut(&left, &right);
        self.traffic.excuse(a, b);
        Ok(())
    }

    pub(super) fn heal(&mut self, a: u8, b: u8) -> Result<(), Violation> {
        let (left, right) = (self.name(a)?, self.name(b)?);
        self.harness.heal(&left, &right);
        Ok(())
    }

    /// Closes a node's link; what was under way may be lost.
    pub(super) fn close(&mut self, node: u8) -> Result<(), Violation> {
        self.link(node)?.close();
        for other in self.numbers() {
            self.traffic.excuse(node, other);
        }
        Ok(())
    }

    /// Tries to send one test frame.
    pub(super) fn send(
        &mut self,
        (from, to): (u8, u8),
        lane: Lane,
        length: usize,
    ) -> Result<Result<(), SendError>, Violation> {
        let dest = self.name(to)?;
        let tag = self.traffic.next(from, to, lane, length);
        let answer = self.link(from)?.try_send(&dest, lane, &tag.bytes());
        if answer.is_ok() {
            self.traffic.accept(tag);
        }
        Ok(answer)
    }

    /// Sends one test frame and demands an answer.
    pub(super) fn expect(
        &mut self,
        law: Law,
        (from, to): (u8, u8),
        (lane, length): (Lane, usize),
        expected: Result<(), SendError>,
    ) -> Result<(), Violation> {
        let got = self.send((from, to), lane, length)?;
        if got == expected {
            return Ok(());
        }
        let (from, to) = (self.name(from)?, self.name(to)?);
        law.broken(Breach::Answer { from, to, lane, length, expected, got })
    }

    /// One step after which every node polls but one.
    pub(super) fn step_without(&mut self, idle: Option<u8>) -> Result<(), Violation> {
        self.harness.step();
        self.numbers()
            .filter(|node| Some(*node) != idle)
            .try_for_each(|node| self.poll(node).map(|_| ()))
    }

    /// Steps until something holds; says whether it does.
    pub(super) fn until(&mut self, holds: impl Fn(&Self) -> bool) -> Result<bool, Violation> {
        for _ in 0..self.patience() {
            if holds(self) {
                return Ok(true);
            }
            self.step_without(None)?;
        }
        Ok(holds(self))
    }

    /// Steps until what was accepted has arrived, and a little longer: whatever comes twice may come late.
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        self.until(|world| world.traffic.is_settled())?;
        for _ in 0..self.patience().div_ceil(8) {
            self.step_without(None)?;
        }
        self.traffic.judge(&self.nodes)
    }

    pub(super) fn await_up(&mut self, node: u8, peer: u8) -> Result<(), Violation> {
        let told = self.until(|world| world.up.contains(&(node, peer)))?;
        self.demand(told, Law::LinkUp, "LinkUp", (node, peer))
    }

    pub(super) fn await_down(&mut self, node: u8, peer: u8) -> Result<(), Violation> {
        let told = self.until(|world| !world.up.contains(&(node, peer)))?;
        self.demand(told, Law::LinkDown, "LinkDown", (node, peer))
    }

    /// Waits until a lane is said to be writable; earlier words do not count.
    pub(super) fn await_writable(
        &mut self,
        node: u8,
        peer: u8,
        lane: Lane,
    ) -> Result<(), Violation> {
        let told = self.until(|world| world.writable.contains(&(node, peer, lane)))?;
        self.demand(told, Law::Writable, "Writable", (node, peer))
    }

    pub(super) fn forget_writable(&mut self) {
        self.writable.clear();
    }

    /// Polls a node until it has nothing to say; returns what it said but hints and frames.
    pub(super) fn poll(&mut self, node: u8) -> Result<Option<&'static str>, Violation> {
        let most = self.traffic.accepted() + MAX_SIGNALS;
        let mut said = None;
        for _ in 0..most {
            let Some(event) = self.link(node)?.poll_event() else { return Ok(said) };
            said = self.observe(node, event)?.or(said);
        }
        let node = self.name(node)?;
        Law::Idle.broken(Breach::Restless { node, events: most })
    }

    /// Judges an event by what came before; names it where it is no hint.
    fn observe(
        &mut self,
        node: u8,
        event: TransportEvent,
    ) -> Result<Option<&'static str>, Violation> {
        match event {
            TransportEvent::PeerAlive { .. } | TransportEvent::PeerGone { .. } => Ok(None),
            TransportEvent::LinkUp { peer } => {
                let fresh = self.number(&peer).is_some_and(|other| self.up.insert((node, other)));
                self.plausible(fresh, Law::LinkUp, "LinkUp", (node, peer), "up or unknown")
            }
            TransportEvent::LinkDown { peer } => {
                let was_up = self.number(&peer).is_some_and(|other| self.up.remove(&(node, other)));
                self.plausible(was_up, Law::LinkDown, "LinkDown", (node, peer), "not up")
            }
            TransportEvent::Writable { peer, lane } => {
                self.writable.extend(self.number(&peer).map(|other| (node, other, lane)));
                Ok(Some("Writable"))
            }
            TransportEvent::Frame { from, lane, bytes } => {
                // Content first: a wrong sender is worse than an unannounced one.
                self.traffic.arrive(&self.nodes, node, (from, lane), &bytes)?;
                let is_up =
                    self.number(&from).is_some_and(|other| self.up.contains(&(node, other)));
                self.plausible(is_up, Law::LinkUp, "Frame", (node, from), "not up")
            }
        }
    }

    fn plausible(
        &self,
        holds: bool,
        law: Law,
        what: &'static str,
        (node, peer): (u8, NodeFingerprint),
        state: &'static str,
    ) -> Result<Option<&'static str>, Violation> {
        if holds {
            return Ok(Some(what));
        }
        law.broken(Breach::Unexpected { node: self.name(node)?, what, peer, state })
    }

    fn demand(
        &self,
        told: bool,
        law: Law,
        what: &'static str,
        (node, peer): (u8, u8),
    ) -> Result<(), Violation> {
        if told {
            return Ok(());
        }
        let (node, peer, steps) = (self.name(node)?, self.name(peer)?, self.patience());
        law.broken(Breach::Untold { node, what, peer, steps })
    }

    fn number(&self, name: &NodeFingerprint) -> Option<u8> {
        self.nodes.iter().position(|node| node == name).and_then(|at| u8::try_from(at).ok())
    }
}
