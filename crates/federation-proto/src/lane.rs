//! Lanes: the independent streams of a session, with their priorities and frame limits.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Independent streams of a session. Each has its own sequence, so that one cannot hold up another.
///
/// The order of the variants is their numbering on the wire and never changes; urgency is [`Lane::priority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Handshake and membership.
    Control,
    /// Updates and their commitments.
    Update,
    /// Votes among validators.
    Consensus,
    /// Governance.
    Governance,
    /// Blobs on demand.
    Bulk,
}

impl Lane {
    /// Every lane, in the order of the wire.
    pub const ALL: [Self; 5] =
        [Self::Control, Self::Update, Self::Consensus, Self::Governance, Self::Bulk];

    /// How urgent it is: 0 goes first. A link with frames waiting in several lanes sends the lowest number
    /// first, and a lane that its receiver does not take never holds up another.
    ///
    /// Admission is rare and small and everything waits for it; votes are small and every epoch waits for
    /// them; updates are large; nothing waits for bulk.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Consensus => 1,
            Self::Governance => 2,
            Self::Update => 3,
            Self::Bulk => 4,
        }
    }

    /// The lane's byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Update => 1,
            Self::Consensus => 2,
            Self::Governance => 3,
            Self::Bulk => 4,
        }
    }

    /// The lane with this byte on the wire, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Control),
            1 => Some(Self::Update),
            2 => Some(Self::Consensus),
            3 => Some(Self::Governance),
            4 => Some(Self::Bulk),
            _ => None,
        }
    }

    /// Most bytes of one frame of this lane, without what a link adds around it.
    ///
    /// Sized by the largest message that travels there, so that nobody can make a node hold a batch's worth
    /// of memory by claiming to say hello.
    pub const fn max_frame(self) -> usize {
        match self {
            Self::Control => limits::FRAME_CONTROL,
            Self::Update => limits::FRAME_UPDATE,
            Self::Governance => limits::FRAME_GOVERNANCE,
            Self::Consensus | Self::Bulk => limits::FRAME,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control",
            Self::Update => "update",
            Self::Consensus => "consensus",
            Self::Governance => "governance",
            Self::Bulk => "bulk",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_codec_and_priorities_differ() {
        let mut priorities = Lane::ALL.map(Lane::priority);
        priorities.sort_unstable();
        assert_eq!(priorities, [0, 1, 2, 3, 4]);
        for (index, lane) in (0u8..).zip(Lane::ALL) {
            assert_eq!(lane.code(), index);
            assert_eq!(Lane::from_code(index), Some(lane));
            assert_eq!(postcard::to_stdvec(&lane).as_deref(), Ok(&[index][..]));
            assert!(lane.max_frame() <= limits::FRAME);
        }
        assert!(Lane::ALL.is_sorted());
        for code in 5..=u8::MAX {
            assert_eq!(Lane::from_code(code), None);
        }
    }
}
