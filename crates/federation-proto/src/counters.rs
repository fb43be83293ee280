//! Counters as distinct types, so that a view is never added to a height.
//!
//! Overflow policy: [`next`](FederatedEpoch::next) saturates at `u64::MAX`. A counter that reaches the end
//! stops advancing and every "strictly greater" check then refuses; nothing wraps.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(u64);

        impl $name {
            /// The first value.
            pub const ZERO: Self = Self(0);

            /// Wraps a raw count.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The raw count.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The following value (saturating, see the module documentation).
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

counter! {
    /// One round of federated evolution. Epoch 0 is the time before the first `EpochOpened`.
    FederatedEpoch,
    /// Counts governed rollbacks of the meta state; updates of an older generation are void.
    Generation,
    /// A site's local cycle number, strictly increasing per site and generation.
    Cycle,
    /// PBFT view [Castro & Liskov, OSDI '99 §4.1].
    View,
    /// PBFT sequence number. A null request advances it without a block.
    SequenceNumber,
    /// Position of a block in the ledger, from 1.
    Height,
    /// Position of a request within its session and lane.
    LaneSequence,
    /// Counts the rotations of one holder's keys of one role, from 1.
    RotationNumber,
    /// Agreed logical time in milliseconds since genesis.
    LogicalTime,
}

impl LogicalTime {
    /// This time plus a number of milliseconds (saturating).
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`, zero when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
