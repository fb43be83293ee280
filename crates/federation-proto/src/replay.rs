//! Exactly-once: which positions of a lane were seen, in a window of 64.
//!
//! One window, used in two ways:
//!
//! - [`admit`](ReplayWindow::admit) *slides*: any higher position is taken and moves the window
//!   [RFC 4303 §3.4.3, RFC 6479]. For envelopes: frames are lost when a link is cut, so gaps are normal.
//! - [`admit_within`](ReplayWindow::admit_within) is *exact*: a position too far ahead is refused. For ordered
//!   requests: every replica must take and refuse the same ones, and nobody may burn a lane by one jump.
//!
//! A window is only as good as what is fed to it: admit a position *after* its signature was verified
//! [RFC 4303 §3.4.3: "the receive window is updated only if the ICV verification succeeds"]. Before that,
//! [`check`](ReplayWindow::check) spares the verification of what would be refused anyway.

mod guard;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::counters::LaneSequence;

pub use guard::{ReplayGuard, ReplayRefusal};

/// Which of the last 64 positions of a lane were taken. Positions below the window count as taken.
///
/// It is part of replicated state: its two fields and their order are pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayWindow {
    /// One above the highest position taken; 0 when none was.
    next: u64,
    /// Bit i: position `next − 1 − i` was taken.
    seen: u64,
}

/// Why a position is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WindowRefusal {
    /// It was taken before.
    #[error("position {0} was taken before")]
    Replayed(LaneSequence),
    /// It is too far behind to know.
    #[error("position {got} is more than 64 behind {next}")]
    TooOld {
        /// The position.
        got: LaneSequence,
        /// One above the highest position taken.
        next: u64,
    },
    /// It is too far ahead: positions between could then never be told from replays.
    #[error("position {got} is too far ahead of {next}")]
    TooFar {
        /// The position.
        got: LaneSequence,
        /// One above the highest position taken.
        next: u64,
    },
    /// It is u64::MAX, which has no successor: a counter must not cycle [RFC 4303 §3.3.3].
    #[error("position {} is the last there is and is never used", u64::MAX)]
    Exhausted,
}

impl ReplayWindow {
    /// Width in positions.
    pub const WIDTH: u64 = 64;

    /// One above the highest position taken; 0 when none was.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether a position was taken, as far as the window knows: what is below it counts as taken.
    pub fn has_taken(&self, position: LaneSequence) -> bool {
        self.next
            .checked_sub(1)
            .and_then(|top| top.checked_sub(position.get()))
            .is_some_and(|behind| behind >= Self::WIDTH || self.seen & (1 << behind) != 0)
    }

    /// Whether [`admit`](Self::admit) would take a position; nothing changes.
    pub fn check(&self, position: LaneSequence) -> Result<(), WindowRefusal> {
        self.refuse(position, None)
    }

    /// Takes a position once, however far ahead; the window slides to it.
    ///
    /// # Errors
    /// [`Replayed`](WindowRefusal::Replayed), [`TooOld`](WindowRefusal::TooOld) or
    /// [`Exhausted`](WindowRefusal::Exhausted); the window is then unchanged.
    pub fn admit(&mut self, position: LaneSequence) -> Result<(), WindowRefusal> {
        self.refuse(position, None)?;
        self.take(position.get());
        Ok(())
    }

    /// Takes a position once, if it is at most `reach` above the highest taken before.
    ///
    /// # Errors
    /// Those of [`admit`](Self::admit), and [`TooFar`](WindowRefusal::TooFar); the window is then unchanged.
    pub fn admit_within(
        &mut self,
        position: LaneSequence,
        reach: u64,
    ) -> Result<(), WindowRefusal> {
        self.refuse(position, Some(reach))?;
        self.take(position.get());
        Ok(())
    }

    /// Marks a position that nothing speaks against.
    fn take(&mut self, got: u64) {
        match got.checked_sub(self.next) {
            Some(gap) => {
                // A shift by the whole width or more leaves nothing; `<<` would refuse to do it.
                let ahead = u32::try_from(gap).unwrap_or(u32::MAX).saturating_add(1);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                // Never saturates: u64::MAX was refused.
                self.next = got.saturating_add(1);
            }
            None => self.seen |= 1 << (self.next - 1 - got),
        }
    }

    /// What speaks against a position; a sliding window has no reach.
    fn refuse(&self, position: LaneSequence, reach: Option<u64>) -> Result<(), WindowRefusal> {
        let (got, next) = (position.get(), self.next);
        if let Some(gap) = got.checked_sub(next) {
            // Compared before anything is added: `got` is the sender's choice, up to u64::MAX.
            return match reach {
                Some(reach) if gap >= reach => Err(WindowRefusal::TooFar { got: position, next }),
                _ if got == u64::MAX => Err(WindowRefusal::Exhausted),
                _ => Ok(()),
            };
        }
        let behind = next - 1 - got;
        if behind >= Self::WIDTH {
            return Err(WindowRefusal::TooOld { got: position, next });
        }
        if self.seen & (1 << behind) != 0 {
            return Err(WindowRefusal::Replayed(position));
        }
        Ok(())
    }
}
