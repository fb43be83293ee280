//! Exactly-once: a 64-wide window of positions seen.

use federation_proto::LaneSequence;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which of the last 64 positions of a lane were executed. Positions below the window count as executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// One above the highest position executed; 0 when none was.
    next: u64,
    /// Bit i: position `next − 1 − i` was executed.
    seen: u64,
}

/// Why a position is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WindowRefusal {
    /// It was executed before.
    #[error("position {0} was executed before")]
    Replayed(LaneSequence),
    /// It is too far behind to know.
    #[error("position {got} is more than 64 behind {next}")]
    TooOld {
        /// The position.
        got: LaneSequence,
        /// One above the highest position executed.
        next: u64,
    },
    /// It is too far ahead: positions between could then never be told from replays.
    #[error("position {got} is more than 64 ahead of {next}")]
    TooFar {
        /// The position.
        got: LaneSequence,
        /// One above the highest position executed.
        next: u64,
    },
}

impl Window {
    /// Width in positions.
    pub const WIDTH: u64 = 64;

    /// Whether a position was executed, as far as the window knows: what is below it counts as executed.
    pub fn has_executed(&self, position: LaneSequence) -> bool {
        let Some(behind) = self.next.checked_sub(1).and_then(|top| top.checked_sub(position.get()))
        else {
            return false;
        };
        behind >= Self::WIDTH || self.seen & (1 << behind) != 0
    }

    /// Marks a position executed, once.
    pub fn admit(&mut self, position: LaneSequence) -> Result<(), WindowRefusal> {
        let (got, next) = (position.get(), self.next);
        if got >= next {
            // Compared before anything is added: `got` is the sender's choice, up to u64::MAX.
            if got - next >= Self::WIDTH {
                return Err(WindowRefusal::TooFar { got: position, next });
            }
            let ahead = u32::try_from(got - next + 1).unwrap_or(64);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.next = got.saturating_add(1);
            return Ok(());
        }
        let behind = next - 1 - got;
        if behind >= Self::WIDTH {
            return Err(WindowRefusal::TooOld { got: position, next });
        }
        let bit = 1u64 << behind;
        if self.seen & bit != 0 {
            return Err(WindowRefusal::Replayed(position));
        }
        self.seen |= bit;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_position_is_admitted_at_most_once(positions in prop::collection::vec(prop_oneof![99 => 0u64..400, 1 => Just(u64::MAX)], 1..300)) {
            let mut window = Window::default();
            let mut model = BTreeSet::new();
            let mut next = 0u64;
            for position in positions {
                let admitted = window.admit(LaneSequence::new(position)).is_ok();
                let in_reach = position < next + 64 && position.saturating_add(64) >= next;
                prop_assert_eq!(admitted, in_reach && model.insert(position));
                if admitted {
                    next = next.max(position + 1);
                }
                let forgotten = position.saturating_add(64) < next;
                let executed = window.has_executed(LaneSequence::new(position));
                prop_assert_eq!(executed, forgotten || model.contains(&position));
            }
        }
    }

    #[test]
    fn the_ends_are_exact() {
        let mut window = Window::default();
        let last = LaneSequence::new(u64::MAX);
        assert!(matches!(window.admit(last), Err(WindowRefusal::TooFar { .. })));
        assert!(matches!(window.admit(LaneSequence::new(64)), Err(WindowRefusal::TooFar { .. })));
        assert_eq!(window.admit(LaneSequence::new(63)), Ok(()));
        assert_eq!(window.admit(LaneSequence::new(0)), Ok(()));
        assert_eq!(window.admit(LaneSequence::new(64)), Ok(()));
        assert!(matches!(window.admit(LaneSequence::new(0)), Err(WindowRefusal::TooOld { .. })));
        assert!(matches!(window.admit(LaneSequence::new(63)), Err(WindowRefusal::Replayed(_))));
        assert!(window.admit(LaneSequence::new(u64::MAX)).is_err());
    }
}
