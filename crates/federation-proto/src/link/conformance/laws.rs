//! The checks. Each starts in a world where everybody is connected to everybody.

use super::traffic::LEAST;
use super::violation::{Breach, Law, Violation};
use super::world::World;
use crate::keys::NodeFingerprint;
use crate::lane::Lane;
use crate::link::SendError;

/// Bytes of an ordinary test frame; a queue's bound counts frames of this size.
const USUAL: usize = 1 << 10;
/// Ordinary frames sent a lane.
const MANY: usize = 24;
/// Who sends, who receives, who looks on.
const A: u8 = 0;
const B: u8 = 1;
const C: u8 = 2;

/// A link knows who it is, and keeps within the limits of the lanes.
pub(super) fn identity_and_limits(world: &mut World<'_>) -> Result<(), Violation> {
    for number in world.numbers() {
        let node = world.name(number)?;
        let got = world.link(number)?.local();
        if got != node {
            return Law::Identity.broken(Breach::Local { node, got });
        }
        for lane in Lane::ALL {
            let (got, limit) = (world.link(number)?.max_frame(lane), lane.max_frame());
            if got == 0 || got > limit {
                return Law::FrameLimit.broken(Breach::Limit { lane, got, limit });
            }
        }
    }
    Ok(())
}

/// Connected links that nobody uses say nothing but hints.
pub(super) fn idle_links_are_silent(world: &mut World<'_>) -> Result<(), Violation> {
    for _ in 0..world.patience() {
        world.harness().step();
        for number in world.numbers() {
            if let Some(what) = world.poll(number)? {
                let node = world.name(number)?;
                return Law::Idle.broken(Breach::Spoke { node, what });
            }
        }
    }
    Ok(())
}

/// Nobody is connected to a stranger, nor to itself.
pub(super) fn strangers_are_not_connected(world: &mut World<'_>) -> Result<(), Violation> {
    let stranger = NodeFingerprint::from_bytes([0xEE; 32]);
    for lane in Lane::ALL {
        let refused = Err(SendError::NotConnected);
        world.expect(Law::NotConnected, (A, A), (lane, LEAST), refused)?;
        let got = world.link(A)?.try_send(&stranger, lane, &[0; LEAST]);
        if got != refused {
            let (from, to, length, expected) = (world.name(A)?, stranger, LEAST, refused);
            return Law::NotConnected.broken(Breach::Answer {
                from,
                to,
                lane,
                length,
                expected,
                got,
            });
        }
    }
    world.settle()
}

/// Frames of every lane between all nodes arrive once, whole, in order, where they should.
pub(super) fn frames_arrive(world: &mut World<'_>) -> Result<(), Violation> {
    for round in 0..MANY {
        for pair in world.pairs() {
            for lane in Lane::ALL {
                send_patiently(world, pair, lane, LEAST + round * 97)?;
            }
        }
        if round % 3 == 2 {
            world.step_without(None)?;
        }
    }
    world.settle()
}

/// A frame of exactly the limit passes; one byte more is refused, connected or not.
pub(super) fn the_largest_frame_passes(world: &mut World<'_>) -> Result<(), Violation> {
    for lane in Lane::ALL {
        let limit = world.link(A)?.max_frame(lane);
        let refused = Err(SendError::TooLarge { length: limit + 1, limit });
        world.expect(Law::FrameLimit, (A, B), (lane, limit + 1), refused)?;
        world.expect(Law::FrameLimit, (A, A), (lane, limit + 1), refused)?;
        if limit >= LEAST {
            world.expect(Law::FrameLimit, (A, B), (lane, limit), Ok(()))?;
            world.settle()?;
        }
    }
    world.settle()
}

/// A lane whose receiver takes nothing fills up, however long the world moves.
pub(super) fn queues_are_bounded(world: &mut World<'_>) -> Result<(), Violation> {
    for lane in Lane::ALL {
        fill(world, lane)?;
        world.settle()?;
    }
    Ok(())
}

/// While one lane is full, every other lane and every other peer takes frames.
pub(super) fn a_full_lane_blocks_no_other(world: &mut World<'_>) -> Result<(), Violation> {
    for full in Lane::ALL {
        fill(world, full)?;
        for lane in Lane::ALL {
            if lane != full {
                world.expect(Law::LaneIndependence, (A, B), (lane, USUAL), Ok(()))?;
            }
            world.expect(Law::LaneIndependence, (A, C), (lane, USUAL), Ok(()))?;
            world.expect(Law::LaneIndependence, (C, B), (lane, USUAL), Ok(()))?;
        }
        world.settle()?;
    }
    Ok(())
}

/// When the receiver takes frames again, the sender is told, and may send.
pub(super) fn a_full_lane_becomes_writable(world: &mut World<'_>) -> Result<(), Violation> {
    for lane in Lane::ALL {
        fill(world, lane)?;
        world.forget_writable();
        world.await_writable(A, B, lane)?;
        world.expect(Law::Writable, (A, B), (lane, USUAL), Ok(()))?;
        world.settle()?;
    }
    Ok(())
}

/// Both ends of a cut link are told and refuse; others notice nothing.
pub(super) fn a_cut_is_noticed(world: &mut World<'_>) -> Result<(), Violation> {
    cut(world, A, B)?;
    for lane in Lane::ALL {
        for pair in [(A, B), (B, A)] {
            let refused = Err(SendError::NotConnected);
            world.expect(Law::NotConnected, pair, (lane, USUAL), refused)?;
        }
        for pair in [(A, C), (C, A), (B, C), (C, B)] {
            world.expect(Law::CutIsLocal, pair, (lane, USUAL), Ok(()))?;
        }
    }
    world.settle()
}

/// A link that was cut under load and healed works as before; nothing comes twice or out of order.
pub(super) fn a_healed_link_works(world: &mut World<'_>) -> Result<(), Violation> {
    for round in 0..3 {
        for lane in Lane::ALL {
            for _ in 0..4 {
                send_patiently(world, (A, B), lane, USUAL)?;
                send_patiently(world, (B, A), lane, USUAL)?;
            }
        }
        // Cut with everything in the queue, with some of it under way, and with all of it delivered.
        for _ in 0..round {
            world.harness().step();
        }
        cut(world, A, B)?;
        world.heal(A, B)?;
        world.await_up(A, B)?;
        world.await_up(B, A)?;
        for lane in Lane::ALL {
            send_patiently(world, (A, B), lane, USUAL)?;
            send_patiently(world, (B, A), lane, USUAL)?;
        }
        world.settle()?;
    }
    Ok(())
}

/// A closed link refuses every frame, whatever else is wrong with it; its peers are told; it stays closed.
pub(super) fn closing_is_final(world: &mut World<'_>) -> Result<(), Violation> {
    for lane in Lane::ALL {
        send_patiently(world, (A, B), lane, USUAL)?;
        send_patiently(world, (B, A), lane, USUAL)?;
    }
    for _ in 0..2 {
        world.close(A)?;
        stays_closed(world)?;
        for peer in [B, C] {
            world.await_down(peer, A)?;
            for lane in Lane::ALL {
                let refused = Err(SendError::NotConnected);
                world.expect(Law::NotConnected, (peer, A), (lane, USUAL), refused)?;
            }
        }
        // Nobody connects to a closed link again.
        world.heal(A, B)?;
        for _ in 0..world.patience().div_ceil(4) {
            world.step_without(Some(A))?;
            stays_closed(world)?;
        }
    }
    for lane in Lane::ALL {
        world.expect(Law::CutIsLocal, (B, C), (lane, USUAL), Ok(()))?;
    }
    world.settle()
}

fn stays_closed(world: &mut World<'_>) -> Result<(), Violation> {
    let node = world.name(A)?;
    if world.link(A)?.poll_event().is_some() {
        return Law::Closed.broken(Breach::Spoke { node, what: "after it was closed" });
    }
    let got = world.link(A)?.local();
    if got != node {
        return Law::Identity.broken(Breach::Local { node, got });
    }
    for lane in Lane::ALL {
        let limit = world.link(A)?.max_frame(lane);
        for (to, length) in [(B, USUAL.min(limit)), (A, LEAST), (B, limit + 1)] {
            world.expect(Law::Closed, (A, to), (lane, length), Err(SendError::Closed))?;
        }
    }
    Ok(())
}

/// Sends, and lets the world move where the lane is full.
fn send_patiently(
    world: &mut World<'_>,
    pair: (u8, u8),
    lane: Lane,
    length: usize,
) -> Result<(), Violation> {
    let length = length.min(world.link(pair.0)?.max_frame(lane));
    for _ in 0..world.patience() {
        match world.send(pair, lane, length)? {
            Err(SendError::Full) => world.step_without(None)?,
            Ok(()) => return Ok(()),
            Err(_) => break,
        }
    }
    world.expect(Law::Delivery, pair, (lane, length), Ok(()))
}

/// Fills the lane from A to B, who polls nothing, until it is full and stays so.
fn fill(world: &mut World<'_>, lane: Lane) -> Result<(), Violation> {
    let bound = world.harness().queue_bound();
    let length = USUAL.min(world.link(A)?.max_frame(lane));
    let (mut accepted, mut full_for) = (0, 0);
    while full_for < world.patience().div_ceil(8) {
        match world.send((A, B), lane, length)? {
            Ok(()) => (accepted, full_for) = (accepted + 1, 0),
            Err(SendError::Full) => {
                full_for += 1;
                world.step_without(Some(B))?;
            }
            Err(_) => world.expect(Law::Bounded, (A, B), (lane, length), Ok(()))?,
        }
        if accepted > bound {
            let (from, to) = (world.name(A)?, world.name(B)?);
            return Law::Bounded.broken(Breach::Unbounded { from, to, lane, accepted, bound });
        }
    }
    Ok(())
}

/// Cuts a link and waits until both ends know.
fn cut(world: &mut World<'_>, a: u8, b: u8) -> Result<(), Violation> {
    world.cut(a, b)?;
    world.await_down(a, b)?;
    world.await_down(b, a)
}
