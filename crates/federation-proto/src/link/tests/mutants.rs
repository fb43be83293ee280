//! The suite on the reference, and on links that each break one law: it must name that law.

use std::collections::VecDeque;

use crate::keys::NodeFingerprint;
use crate::lane::Lane;
use crate::link::conformance::{Breach, CHECKS, Harness, Law, Violation, check_all};
use crate::link::memory::MemoryNetwork;
use crate::link::{Link, SendError, TransportEvent};

/// Frames that each queue holds.
const QUEUE: usize = 8;

/// A way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AnswersToAnotherName,
    LimitBeyondTheLane,
    LimitOfNothing,
    RefusesTheLargest,
    AcceptsTooLarge,
    TooLargeWithWrongValues,
    ForgetsLinkUp,
    RepeatsLinkUp,
    FrameBeforeLinkUp,
    ForgetsLinkDown,
    RepeatsLinkDown,
    NeverIdle,
    Chatters,
    DropsSilently,
    Reorders,
    DeliversTwice,
    DeliversTwiceAfterHealing,
    Alters,
    Truncates,
    Misroutes,
    WrongSender,
    WrongLane,
    SendsWhatItRefused,
    UnlimitedQueue,
    BlocksLanes,
    NeverWritable,
    WritableTooSoon,
    PromisesUnconnected,
    SendsToItself,
    CutSpreads,
    OpenAfterClose,
    SpeaksAfterClose,
    SecondCloseReopens,
    WrongErrorWhenClosed,
}

/// The law that each breaks.
const FAULTS: [(Fault, Law); 34] = [
    (Fault::AnswersToAnotherName, Law::Identity),
    (Fault::LimitBeyondTheLane, Law::FrameLimit),
    (Fault::LimitOfNothing, Law::FrameLimit),
    (Fault::RefusesTheLargest, Law::FrameLimit),
    (Fault::AcceptsTooLarge, Law::FrameLimit),
    (Fault::TooLargeWithWrongValues, Law::FrameLimit),
    (Fault::ForgetsLinkUp, Law::LinkUp),
    (Fault::RepeatsLinkUp, Law::LinkUp),
    (Fault::FrameBeforeLinkUp, Law::LinkUp),
    (Fault::ForgetsLinkDown, Law::LinkDown),
    (Fault::RepeatsLinkDown, Law::LinkDown),
    (Fault::NeverIdle, Law::Idle),
    (Fault::Chatters, Law::Idle),
    (Fault::DropsSilently, Law::Delivery),
    (Fault::Reorders, Law::Order),
    (Fault::DeliversTwice, Law::AtMostOnce),
    (Fault::DeliversTwiceAfterHealing, Law::AtMostOnce),
    (Fault::Alters, Law::Integrity),
    (Fault::Truncates, Law::Integrity),
    (Fault::Misroutes, Law::Addressing),
    (Fault::WrongSender, Law::TrueSender),
    (Fault::WrongLane, Law::TrueLane),
    (Fault::SendsWhatItRefused, Law::RefusedIsNotSent),
    (Fault::UnlimitedQueue, Law::Bounded),
    (Fault::BlocksLanes, Law::LaneIndependence),
    (Fault::NeverWritable, Law::Writable),
    (Fault::WritableTooSoon, Law::Writable),
    (Fault::PromisesUnconnected, Law::NotConnected),
    (Fault::SendsToItself, Law::NotConnected),
    (Fault::CutSpreads, Law::CutIsLocal),
    (Fault::OpenAfterClose, Law::Closed),
    (Fault::SpeaksAfterClose, Law::Closed),
    (Fault::SecondCloseReopens, Law::Closed),
    (Fault::WrongErrorWhenClosed, Law::Closed),
];

/// A reference link with one fault.
struct Mutant {
    fault: Fault,
    nodes: [NodeFingerprint; 3],
    /// Frames and events that it holds back, or adds.
    extra: VecDeque<TransportEvent>,
    unsent: VecDeque<(NodeFingerprint, Lane, Vec<u8>)>,
    last: Option<TransportEvent>,
    polls: usize,
    closes: usize,
    blocked: bool,
    severed: bool,
}

impl Mutant {
    fn new(fault: Fault, nodes: [NodeFingerprint; 3]) -> Self {
        Self {
            fault,
            nodes,
            extra: VecDeque::new(),
            unsent: VecDeque::new(),
            last: None,
            polls: 0,
            closes: 0,
            blocked: false,
            severed: false,
        }
    }

    fn another_than(&self, node: &NodeFingerprint) -> NodeFingerprint {
        *self.nodes.iter().find(|other| *other != node).expect("three nodes")
    }

    fn third(&self, a: &NodeFingerprint, b: &NodeFingerprint) -> NodeFingerprint {
        *self.nodes.iter().find(|other| *other != a && *other != b).expect("three nodes")
    }

    fn max_frame(&self, good: &dyn Link, lane: Lane) -> usize {
        match self.fault {
            Fault::LimitBeyondTheLane => lane.max_frame() + 1,
            Fault::LimitOfNothing if lane == Lane::Bulk => 0,
            _ => good.max_frame(lane),
        }
    }

    fn try_send(
        &mut self,
        good: &mut dyn Link,
        dest: &NodeFingerprint,
        lane: Lane,
        frame: &[u8],
    ) -> Result<(), SendError> {
        let limit = good.max_frame(lane);
        match self.fault {
            Fault::RefusesTheLargest if frame.len() == limit => {
                return Err(SendError::TooLarge { length: limit, limit: limit - 1 });
            }
            Fault::AcceptsTooLarge if frame.len() > limit => return Ok(()),
            Fault::Misroutes if self.nodes.contains(dest) && *dest != good.local() => {
                return good.try_send(&self.third(dest, &good.local()), lane, frame);
            }
            Fault::SendsToItself if *dest == good.local() => return Ok(()),
            Fault::CutSpreads if self.severed => return Err(SendError::NotConnected),
            Fault::BlocksLanes if self.blocked => return Err(SendError::Full),
            _ => {}
        }
        let answer = good.try_send(dest, lane, frame);
        match (self.fault, answer) {
            (Fault::TooLargeWithWrongValues, Err(SendError::TooLarge { length, limit })) => {
                Err(SendError::TooLarge { length: limit, limit: length })
            }
            (Fault::SendsWhatItRefused | Fault::UnlimitedQueue, Err(SendError::Full)) => {
                self.unsent.push_back((*dest, lane, frame.to_vec()));
                if self.fault == Fault::UnlimitedQueue { Ok(()) } else { answer }
            }
            (Fault::BlocksLanes, Err(SendError::Full)) => {
                self.blocked = true;
                answer
            }
            (Fault::PromisesUnconnected, Err(SendError::NotConnected)) => Ok(()),
            (Fault::WritableTooSoon, Err(SendError::Full)) => {
                self.extra.push_back(TransportEvent::Writable { peer: *dest, lane });
                answer
            }
            (Fault::OpenAfterClose, Err(SendError::Closed)) => Ok(()),
            (Fault::WrongErrorWhenClosed, Err(SendError::Closed)) => Err(SendError::NotConnected),
            (Fault::SecondCloseReopens, Err(SendError::Closed)) if self.closes > 1 => Ok(()),
            _ => answer,
        }
    }

    fn poll_event(&mut self, good: &mut dyn Link) -> Option<TransportEvent> {
        while let Some((dest, lane, frame)) = self.unsent.pop_front() {
            if good.try_send(&dest, lane, &frame).is_err() {
                self.unsent.push_front((dest, lane, frame));
                break;
            }
        }
        if let Some(event) = self.extra.pop_front() {
            return Some(event);
        }
        self.polls += 1;
        let peer = self.another_than(&good.local());
        match self.fault {
            Fault::NeverIdle => return Some(TransportEvent::PeerAlive { peer }),
            Fault::Chatters if self.polls.is_multiple_of(5) => {
                return Some(TransportEvent::Writable { peer, lane: Lane::Bulk });
            }
            Fault::SpeaksAfterClose if self.closes > 0 => {
                return Some(TransportEvent::PeerGone { peer });
            }
            _ => {}
        }
        let event = good.poll_event()?;
        self.distort(good, event)
    }

    fn distort(&mut self, good: &mut dyn Link, event: TransportEvent) -> Option<TransportEvent> {
        match (self.fault, event) {
            (Fault::ForgetsLinkUp, TransportEvent::LinkUp { .. })
            | (Fault::ForgetsLinkDown, TransportEvent::LinkDown { .. })
            | (Fault::NeverWritable, TransportEvent::Writable { .. }) => self.poll_event(good),
            (Fault::WritableTooSoon, TransportEvent::Writable { .. }) => self.poll_event(good),
            (Fault::RepeatsLinkUp, event @ TransportEvent::LinkUp { .. })
            | (Fault::RepeatsLinkDown, event @ TransportEvent::LinkDown { .. })
            | (Fault::DeliversTwice, event @ TransportEvent::Frame { .. }) => {
                self.extra.push_back(event.clone());
                Some(event)
            }
            (Fault::FrameBeforeLinkUp, event @ TransportEvent::LinkDown { .. }) => {
                self.severed = true;
                Some(event)
            }
            (Fault::FrameBeforeLinkUp, event @ TransportEvent::LinkUp { .. }) if self.severed => {
                // The announcement comes after the first frame that it should announce.
                self.last = Some(event);
                self.poll_event(good)
            }
            (Fault::CutSpreads, event @ TransportEvent::LinkDown { .. }) => {
                self.severed = true;
                Some(event)
            }
            (Fault::BlocksLanes, event @ TransportEvent::Writable { .. }) => {
                self.blocked = false;
                Some(event)
            }
            (Fault::DeliversTwiceAfterHealing, event @ TransportEvent::LinkUp { .. }) => {
                self.extra.extend(self.last.take());
                Some(event)
            }
            (_, TransportEvent::Frame { from, lane, bytes }) => {
                self.distort_frame(good, (from, lane, bytes))
            }
            (_, event) => Some(event),
        }
    }

    fn distort_frame(
        &mut self,
        good: &mut dyn Link,
        (mut from, mut lane, mut bytes): (NodeFingerprint, Lane, Vec<u8>),
    ) -> Option<TransportEvent> {
        match self.fault {
            Fault::DropsSilently if self.polls.is_multiple_of(7) => return self.poll_event(good),
            Fault::Reorders => {
                let held = self.last.replace(TransportEvent::Frame { from, lane, bytes });
                let next = good.poll_event();
                let (event, after) = match next {
                    None => (self.last.take(), held),
                    next => (next, self.last.take()),
                };
                self.extra.extend(after);
                return event;
            }
            Fault::FrameBeforeLinkUp => self.extra.extend(self.last.take()),
            Fault::DeliversTwiceAfterHealing => {
                let bytes = bytes.clone();
                self.last = Some(TransportEvent::Frame { from, lane, bytes });
            }
            Fault::Alters if self.polls.is_multiple_of(7) => bytes.reverse(),
            Fault::Truncates if self.polls.is_multiple_of(7) => bytes.truncate(bytes.len() - 1),
            Fault::WrongSender => from = self.third(&from, &good.local()),
            Fault::WrongLane => lane = if lane == Lane::Bulk { Lane::Update } else { Lane::Bulk },
            _ => {}
        }
        Some(TransportEvent::Frame { from, lane, bytes })
    }
}

/// A mutant over the reference; its link is assembled anew at every call.
struct MutantLink {
    mutant: Mutant,
    name: NodeFingerprint,
    // The network is shared by the three links of one thread.
    network: std::rc::Rc<std::cell::RefCell<MemoryNetwork>>,
}

impl MutantLink {
    fn with<T>(&mut self, act: impl FnOnce(&mut Mutant, &mut dyn Link) -> T) -> T {
        let mut network = self.network.borrow_mut();
        act(&mut self.mutant, network.link_mut(&self.name).expect("a node of the network"))
    }
}

impl Link for MutantLink {
    fn local(&self) -> NodeFingerprint {
        match self.mutant.fault {
            Fault::AnswersToAnotherName => self.mutant.another_than(&self.name),
            _ => self.name,
        }
    }

    fn max_frame(&self, lane: Lane) -> usize {
        let mut network = self.network.borrow_mut();
        self.mutant.max_frame(network.link_mut(&self.name).expect("a node of the network"), lane)
    }

    fn try_send(
        &mut self,
        dest: &NodeFingerprint,
        lane: Lane,
        frame: &[u8],
    ) -> Result<(), SendError> {
        self.with(|mutant, good| mutant.try_send(good, dest, lane, frame))
    }

    fn poll_event(&mut self) -> Option<TransportEvent> {
        self.with(Mutant::poll_event)
    }

    fn close(&mut self) {
        self.with(|mutant, good| {
            mutant.closes += 1;
            good.close();
        });
    }
}

struct MutantNetwork {
    network: std::rc::Rc<std::cell::RefCell<MemoryNetwork>>,
    links: Vec<MutantLink>,
}

impl MutantNetwork {
    fn new(fault: Fault) -> Self {
        let nodes = nodes();
        let network = std::rc::Rc::new(std::cell::RefCell::new(MemoryNetwork::new(nodes, QUEUE)));
        let link = |name| {
            let network = std::rc::Rc::clone(&network);
            MutantLink { mutant: Mutant::new(fault, nodes), name, network }
        };
        let links = nodes.map(link).into();
        Self { network, links }
    }
}

impl Harness for MutantNetwork {
    fn nodes(&self) -> Vec<NodeFingerprint> {
        nodes().into()
    }

    fn link(&mut self, node: &NodeFingerprint) -> Option<&mut dyn Link> {
        let link = self.links.iter_mut().find(|link| link.name == *node)?;
        Some(link)
    }

    fn step(&mut self) {
        self.network.borrow_mut().step();
    }

    fn cut(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        self.network.borrow_mut().cut(a, b);
    }

    fn heal(&mut self, a: &NodeFingerprint, b: &NodeFingerprint) {
        self.network.borrow_mut().heal(a, b);
    }

    fn queue_bound(&self) -> usize {
        2 * QUEUE
    }
}

fn nodes() -> [NodeFingerprint; 3] {
    [1, 2, 3].map(|number| NodeFingerprint::from_bytes([number; 32]))
}

#[test]
fn the_reference_keeps_every_law() {
    for queue in [1, 2, QUEUE, 100] {
        let made = check_all(&mut || Box::new(MemoryNetwork::new(nodes(), queue)));
        assert_eq!(made, Ok(()), "queues of {queue}");
    }
}

#[test]
fn every_fault_is_caught_by_the_law_it_breaks() {
    for (fault, law) in FAULTS {
        match check_all(&mut || Box::new(MutantNetwork::new(fault))) {
            Ok(()) => panic!("{fault:?} was not caught"),
            Err(violation) => assert_eq!(violation.law, law, "{fault:?}: {violation}"),
        }
    }
}

#[test]
fn every_law_catches_some_fault() {
    // The harness's own law is tested below.
    let laws: std::collections::BTreeSet<Law> = FAULTS.iter().map(|(_, law)| *law).collect();
    assert_eq!(laws.len(), 19, "{laws:?}");
}

#[test]
fn a_harness_that_is_too_small_is_said_to_be() {
    let [a, b, _] = nodes();
    for check in CHECKS {
        let got = check.run(&mut MemoryNetwork::new([a, b], QUEUE));
        assert_eq!(got, Err(Violation { law: Law::Harness, breach: Breach::Nodes(2) }));
    }
}
