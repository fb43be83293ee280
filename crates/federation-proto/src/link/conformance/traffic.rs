//! Frames that say themselves what they are, and the book of those that were accepted.

use std::collections::BTreeMap;

use super::violation::{ArrivalFault, Breach, Law, Violation};
use crate::keys::NodeFingerprint;
use crate::lane::Lane;

/// Bytes of the shortest test frame: nodes, lane, number, length.
pub(super) const LEAST: usize = 11;

/// What a test frame is; its bytes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) lane: Lane,
    pub(super) number: u32,
    pub(super) length: u32,
}

impl Tag {
    /// The whole frame. A length below [`LEAST`] cuts it short; such a frame is only good to be refused.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let length = self.length as usize;
        let mut bytes = vec![self.from, self.to, self.lane.code()];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.length.to_be_bytes());
        let (from, lane) = (self.from, self.lane.code());
        let key = from ^ lane.rotate_left(4) ^ self.number.to_le_bytes()[0];
        // Each byte depends on its place, so that no piece can be lost or moved unseen.
        let filler = |at: usize| at.wrapping_mul(31).to_le_bytes()[0] ^ (at >> 8).to_le_bytes()[0];
        bytes.extend((LEAST..length).map(|at| filler(at) ^ key ^ (at >> 16).to_le_bytes()[0]));
        bytes.truncate(length);
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<LEAST>()?;
        let [from, to, lane, a, b, c, d, e, f, g, h] = *head;
        let number = u32::from_be_bytes([a, b, c, d]);
        let length = u32::from_be_bytes([e, f, g, h]);
        let tag = Self { from, to, lane: Lane::from_code(lane)?, number, length };
        // The length first: it may be anything.
        (bytes.len() == length as usize && tag.bytes() == bytes).then_some(tag)
    }
}

/// One lane from one node to another.
#[derive(Debug, Default)]
struct Flow {
    /// Number of the next frame that is tried.
    next: u32,
    /// What became of the accepted ones, by number.
    accepted: BTreeMap<u32, Fate>,
    /// Highest that arrived.
    latest: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Due,
    /// Accepted before the link was cut.
    Excused,
    Arrived,
}

/// All flows of a world.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    flows: BTreeMap<(u8, u8, Lane), Flow>,
}

impl Traffic {
    /// The next frame of a flow; a number is used once, even where the frame is refused.
    pub(super) fn next(&mut self, from: u8, to: u8, lane: Lane, length: usize) -> Tag {
        let flow = self.flows.entry((from, to, lane)).or_default();
        let number = flow.next;
        flow.next += 1;
        Tag { from, to, lane, number, length: u32::try_from(length).unwrap_or(u32::MAX) }
    }

    pub(super) fn accept(&mut self, tag: Tag) {
        let flow = self.flows.entry((tag.from, tag.to, tag.lane)).or_default();
        flow.accepted.insert(tag.number, Fate::Due);
    }

    /// Whatever is under way between two nodes, either way, may now be lost.
    pub(super) fn excuse(&mut self, a: u8, b: u8) {
        let between =
            |(from, to, _): &(u8, u8, Lane)| (*from, *to) == (a, b) || (*from, *to) == (b, a);
        for (_, flow) in self.flows.iter_mut().filter(|(key, _)| between(key)) {
            for fate in flow.accepted.values_mut().filter(|fate| **fate == Fate::Due) {
                *fate = Fate::Excused;
            }
        }
    }

    /// Accepted frames, of which each may arrive once.
    pub(super) fn accepted(&self) -> usize {
        self.flows.values().map(|flow| flow.accepted.len()).sum()
    }

    /// Whether every frame that should has arrived.
    pub(super) fn is_settled(&self) -> bool {
        self.flows.values().all(|flow| flow.accepted.values().all(|fate| *fate != Fate::Due))
    }

    /// Judges an arrival at node number `at`, as the link describes it.
    pub(super) fn arrive(
        &mut self,
        nodes: &[NodeFingerprint],
        at: u8,
        (from, lane): (NodeFingerprint, Lane),
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let name = |index: u8| nodes.get(usize::from(index)).copied();
        let here = name(at).unwrap_or(from);
        let altered = Breach::Altered { at: here, from, lane, length: bytes.len() };
        let Some(tag) = Tag::parse(bytes) else { return Law::Integrity.broken(altered) };
        let (Some(sender), Some(receiver)) = (name(tag.from), name(tag.to)) else {
            return Law::Integrity.broken(altered);
        };
        let fault = |law: Law, fault| {
            let (lane, number) = (tag.lane, tag.number);
            law.broken(Breach::Arrival {
                at: here,
                from: sender,
                to: receiver,
                lane,
                number,
                fault,
            })
        };
        if tag.to != at {
            return fault(Law::Addressing, ArrivalFault::Misrouted);
        }
        if sender != from {
            return fault(Law::TrueSender, ArrivalFault::Sender(from));
        }
        if tag.lane != lane {
            return fault(Law::TrueLane, ArrivalFault::Lane(lane));
        }
        let flow = self.flows.entry((tag.from, tag.to, tag.lane)).or_default();
        match flow.accepted.get_mut(&tag.number) {
            None => fault(Law::RefusedIsNotSent, ArrivalFault::Refused),
            Some(Fate::Arrived) => fault(Law::AtMostOnce, ArrivalFault::Repeated),
            Some(fate) => {
                *fate = Fate::Arrived;
                match flow.latest.replace(tag.number) {
                    Some(latest) if latest > tag.number => {
                        fault(Law::Order, ArrivalFault::Late(latest))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Whether anything that was accepted is missing, and not excused.
    pub(super) fn judge(&self, nodes: &[NodeFingerprint]) -> Result<(), Violation> {
        for ((from, to, lane), flow) in &self.flows {
            let due = flow.accepted.iter().filter(|(_, fate)| **fate == Fate::Due);
            let missing: Vec<u32> = due.map(|(number, _)| *number).collect();
            let ends = (nodes.get(usize::from(*from)), nodes.get(usize::from(*to)));
            if let ([number, ..], (Some(from), Some(to))) = (missing.as_slice(), ends) {
                let (from, to, lane, number, count) = (*from, *to, *lane, *number, missing.len());
                return Law::Delivery.broken(Breach::Lost { from, to, lane, number, count });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_when_any_byte_of_it_is_changed() {
        let tag = Tag { from: 0, to: 1, lane: Lane::Bulk, number: 258, length: 70_000 };
        let bytes = tag.bytes();
        assert_eq!(Tag::parse(&bytes), Some(tag));
        for at in (0..bytes.len()).step_by(997).chain(LEAST..600) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x40;
            assert_eq!(Tag::parse(&altered), None, "byte {at}");
        }
        assert_eq!(Tag::parse(&bytes[..bytes.len() - 1]), None);
        let mut rotated = bytes.clone();
        rotated[LEAST..].rotate_left(1);
        assert_eq!(Tag::parse(&rotated), None);
    }
}
