//! The laws of a [`Link`], checked on any implementation.
//!
//! An implementer writes a [`Harness`]: a few connected links, a way to let their world move, and a way to cut
//! and heal. Then [`check_all`] runs every [`Check`], each on a fresh harness, and returns the first
//! [`Violation`] with the [`Law`] it breaks and the values that show it. The suite never panics; unwrap its
//! result in a test.
//!
//! ```
//! use federation_proto::NodeFingerprint;
//! use federation_proto::link::conformance::{Harness, check_all};
//! use federation_proto::link::memory::MemoryNetwork;
//!
//! let nodes = [1, 2, 3].map(|n| NodeFingerprint::from_bytes([n; 32]));
//! check_all(&mut || Box::new(MemoryNetwork::new(nodes, 8)) as Box<dyn Harness>)?;
//! # Ok::<(), federation_proto::link::conformance::Violation>(())
//! ```
//!
//! What it cannot check: that no method ever blocks, and that `from` is true when a *node* lies rather than the
//! link. The first is a matter of review, the second of signatures.

mod laws;
mod traffic;
mod violation;
mod world;

use super::Link;
use crate::keys::NodeFingerprint;

pub use violation::{ArrivalFault, Breach, Law, Violation};

/// Links of at least three nodes, each connected to each, and the world between them.
///
/// A fresh harness may still be connecting: every check waits for that first.
pub trait Harness {
    /// Who takes part: at least three nodes, always the same.
    fn nodes(&self) -> Vec<NodeFingerprint>;

    /// A node's link; `None` only for a stranger.
    fn link(&mut self, node: &NodeFingerprint) -> Option<&mut dyn Link>;

    /// Lets the world move: a simulated network delivers, a real one is given some milliseconds.
    fn step(&mut self);

    /// Cuts the connection of two nodes. The next steps bring it to their notice.
    fn cut(&mut self, a: &NodeFingerprint, b: &NodeFingerprint);

    /// Lets two nodes connect again.
    fn heal(&mut self, a: &NodeFingerprint, b: &NodeFingerprint);

    /// Most frames of 1 KiB that a lane may accept for a peer that takes none: the queues of both ends and
    /// whatever lies between.
    fn queue_bound(&self) -> usize;

    /// Steps after which something that did not happen never will.
    fn patience(&self) -> usize {
        64
    }
}

/// One group of laws with the steps that test them.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What is checked, to name a test.
    pub name: &'static str,
    run: fn(&mut world::World<'_>) -> Result<(), Violation>,
}

impl Check {
    /// Runs the check on a harness that nothing was done to.
    ///
    /// # Errors
    /// The first law that does not hold.
    pub fn run(&self, harness: &mut dyn Harness) -> Result<(), Violation> {
        let mut world = world::World::connected(harness)?;
        (self.run)(&mut world)
    }
}

/// Every check, the simplest first: a later one relies on what the earlier ones found.
pub const CHECKS: [Check; 11] = [
    Check { name: "identity_and_limits", run: laws::identity_and_limits },
    Check { name: "idle_links_are_silent", run: laws::idle_links_are_silent },
    Check { name: "strangers_are_not_connected", run: laws::strangers_are_not_connected },
    Check { name: "frames_arrive", run: laws::frames_arrive },
    Check { name: "the_largest_frame_passes", run: laws::the_largest_frame_passes },
    Check { name: "queues_are_bounded", run: laws::queues_are_bounded },
    Check { name: "a_full_lane_blocks_no_other", run: laws::a_full_lane_blocks_no_other },
    Check { name: "a_full_lane_becomes_writable", run: laws::a_full_lane_becomes_writable },
    Check { name: "a_cut_is_noticed", run: laws::a_cut_is_noticed },
    Check { name: "a_healed_link_works", run: laws::a_healed_link_works },
    Check { name: "closing_is_final", run: laws::closing_is_final },
];

/// Runs every check, each on a harness of its own.
///
/// # Errors
/// The first law that does not hold.
pub fn check_all(make: &mut dyn FnMut() -> Box<dyn Harness>) -> Result<(), Violation> {
    CHECKS.iter().try_for_each(|check| check.run(&mut *make()))
}
