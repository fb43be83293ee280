//! What can be wrong with a safety log.

use std::io;

use federation_proto::Digest;
use thiserror::Error;

use super::{Mark, STEP_BYTES};

/// Why a safety log was not created, opened, read or written.
///
/// Everything that speaks of a file that is there but not as it must be means the same to a validator:
/// it does not know what it has voted, so it must not vote from this log.
#[derive(Debug, Error)]
pub enum SafetyLogError {
    /// There is no file, and nobody says there was one.
    #[error("there is no safety log; only a validator that has never voted may create one")]
    Missing,
    /// There is no file where there was one.
    #[error("the safety log is gone; it had reached {expected}")]
    Lost {
        /// The last mark that is known of it.
        expected: Mark,
    },
    /// A log is never created over another.
    #[error("there is a safety log already")]
    Exists,
    /// Another handle has the log open, in this process or another.
    #[error("the safety log is in use")]
    Locked,
    /// The file does not have a length that this module gives to a file.
    #[error(
        "the safety log has {length} bytes, not one or more steps of {STEP_BYTES}: it was shortened"
    )]
    Length {
        /// Length in bytes.
        length: u64,
    },
    /// The file is longer than any log becomes.
    #[error("the safety log has {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file does not begin as a safety log.
    #[error("the file is not a safety log")]
    NotALog,
    /// Another layout.
    #[error("safety log of version {found}, only {} is known", super::page::VERSION)]
    Version {
        /// Version found.
        found: u64,
    },
    /// The log of another validator or federation.
    #[error("the safety log of {found}, expected that of {expected}")]
    Foreign {
        /// Log id given by the caller.
        expected: Digest,
        /// Log id in the file.
        found: Digest,
    },
    /// A page that no crash leaves behind.
    #[error("page {page} of the safety log: {fault}")]
    Corrupt {
        /// Number of the page in the file, from 0.
        page: u64,
        /// What is wrong with it.
        fault: PageFault,
    },
    /// The log ends before a group that was in it.
    #[error("the safety log ends at {found}, it had reached {expected}: it was shortened")]
    Shortened {
        /// The mark that must be in it.
        expected: Mark,
        /// The last mark in it.
        found: Mark,
    },
    /// The log has another group at the number of one that was in it.
    #[error("the safety log has {found} where it had {expected}: it is another history")]
    Forked {
        /// The mark that must be in it.
        expected: Mark,
        /// The mark in its place.
        found: Mark,
    },
    /// A record is longer than any may be. Nothing was appended.
    #[error("a record of {length} bytes, the limit is {limit}")]
    RecordTooLarge {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The record does not fit into the group that waits for a sync. Nothing was appended: sync first.
    #[error("the group would have {length} bytes, the limit is {limit}: sync first")]
    GroupTooLarge {
        /// Length in bytes with the record.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The file would become longer than its limit. Nothing was written: cut first.
    #[error("the safety log would have {pages} pages, the limit is {limit}: cut it first")]
    Full {
        /// Pages with the group.
        pages: u64,
        /// The limit in pages.
        limit: u64,
    },
    /// An earlier operation failed, so nobody knows what the disk holds. Drop the log and open it again.
    #[error("the safety log failed before: open it again")]
    Poisoned,
    /// The operating system failed.
    #[error("{during} the safety log: {cause}")]
    Io {
        /// What was being done.
        during: &'static str,
        /// Its reason.
        cause: io::Error,
    },
}

impl SafetyLogError {
    /// Names what was being done when the operating system failed.
    pub(super) fn io(during: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| match cause.kind() {
            io::ErrorKind::WouldBlock => Self::Locked,
            _ => Self::Io { during, cause },
        }
    }
}

/// What is wrong with one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PageFault {
    /// It was written and is no longer what was written, or belongs elsewhere: another log, or another place
    /// in the chain of this one.
    #[error("its checksum does not verify")]
    Checksum,
    /// It has a place in the same group but not this one.
    #[error("it is page {found} of its group and stands at {expected}")]
    Index {
        /// Index of the place where it stands.
        expected: u64,
        /// Index in the page.
        found: u64,
    },
    /// Its group says it is longer than the file.
    #[error("its group claims {length} bytes, more than the file has")]
    Claim {
        /// Payload bytes claimed.
        length: u64,
    },
    /// It belongs to another group than the pages before it.
    #[error("it is of another group than the pages before it")]
    Mixed,
    /// Its group does not hold what its chain value says, or no whole records.
    #[error("its group is not what its chain value says")]
    Content,
    /// Something stands where nothing was ever written.
    #[error("it is written and nothing before it reaches so far")]
    Stray,
}
