//! The safety log: where a replica makes its votes durable before it sends them.
//!
//! A replica that forgets a vote may vote otherwise the next time, so this log gives back every record that was
//! acknowledged, or says that it cannot. Records are bytes that the log does not read.
//!
//! ```text
//! append ─▶ group in memory ─ sync: one write, one sync ─▶ durable, Mark ─▶ votes may leave
//!                                                             │
//!                              page 0   1 … n   n+1 …         └──▶ the store keeps it; open compares
//!                            ┌────────┬───────┬───────┬───────────────┐
//!                      file  │ header │ group │ group │ blank (zeros) │  a whole number of steps long
//!                            └────────┴───────┴───────┴───────────────┘
//! ```
//!
//! # What is guaranteed
//! * After a crash, a failed write or sync, or on a full disk: all acknowledged records are there, then the
//!   group that was being written, whole or not at all.
//! * A changed byte is either harmless or an error, never another record and never a missing one.
//! * What a [`Mark`] stands for is there, or opening fails: a log that was deleted, cut short or replaced by an
//!   older copy is refused. Without a mark a log that lost whole groups at its end looks like a younger one;
//!   so the store keeps a mark with every group of blocks that it commits.
//! * A log and a store that were set back together, as by restoring a disk, look whole from here. Only other
//!   replicas can tell.
//! * One writer. A failure poisons the log: nobody knows what the disk holds until it is opened again.
//!
//! Nothing here is secret: who can write the file can forge it. What is assumed of the disk stands at [`Disk`].
//!
//! # Example
//! ```
//! use federation_proto::Digest;
//! use ledger::safety_log::{LogPath, SafetyLog, SafetyLogError};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("votes.log");
//! let (place, id) = (LogPath::new(path), Digest::of_blob(b"federation, validator"));
//! let mut log = SafetyLog::create(place.clone(), id)?;
//! log.append(b"PREPARE 7")?;
//! log.append(b"PREPARE 8")?;
//! let mark = log.sync()?; // The votes may leave.
//! drop(log);
//!
//! let (mut log, found) = SafetyLog::open(place.clone(), id, Some(mark))?;
//! assert!(found.records.iter().eq([b"PREPARE 7", b"PREPARE 8"]));
//! let stable = log.cut(|record| record == b"PREPARE 8")?;
//! drop(log);
//!
//! std::fs::remove_file(directory.path().join("votes.log"))?;
//! let lost = SafetyLog::open(place, id, Some(stable)).err();
//! assert!(matches!(lost, Some(SafetyLogError::Lost { expected }) if expected == stable));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod disk;
mod error;
#[cfg(unix)]
mod file;
mod mark;
mod page;
mod records;
mod scan;
mod segment;

#[cfg(test)]
mod tests;

use federation_proto::{Digest, limits};

pub use disk::{Access, Disk, Place};
pub use error::{PageFault, SafetyLogError};
#[cfg(unix)]
pub use file::{LogFile, LogPath};
pub use mark::Mark;
pub use records::Records;

use scan::scan;
use segment::Segment;

/// Longest record in bytes: a batch with its certificate.
pub const MAX_RECORD_BYTES: usize = limits::BATCH + (1 << 20);
/// Most bytes of one group: its records, and eight bytes for each.
pub const MAX_GROUP_BYTES: usize = 64 << 20;
/// Longest file in bytes. It bounds what opening allocates.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// A file grows by so many bytes, so that one which was cut anywhere else shows it.
pub const STEP_BYTES: u64 = 64 << 10;

/// The log of one validator, open for writing.
///
/// A driver appends the record of every `Persist` of one step, syncs once, and then answers `Persisted` to all.
pub struct SafetyLog<P: Place> {
    place: P,
    id: Digest,
    segment: Segment<P::File>,
    group: Records,
    poisoned: bool,
}

/// What an open found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// All records: those that were acknowledged, and perhaps one group more.
    pub records: Records,
    /// How far the log has come.
    pub mark: Mark,
    /// Pages of a group that a crash left unfinished. It was never acknowledged, and is not in the records.
    pub torn_pages: u64,
}

impl<P: Place> SafetyLog<P> {
    /// Makes a new log. Only for a validator that has never voted: `id` says which, for example as the digest
    /// of its federation and its key. Whoever crashes here finds an empty log or none.
    ///
    /// # Errors
    /// [`SafetyLogError::Exists`], [`SafetyLogError::Locked`] or [`SafetyLogError::Io`].
    pub fn create(place: P, id: Digest) -> Result<Self, SafetyLogError> {
        absent(&place)?;
        let draft = place.draft().map_err(SafetyLogError::io("creating"))?;
        // Once more: whoever publishes holds the draft, so that from here on it stays true.
        absent(&place)?;
        let segment = Segment::start(draft, &id, Mark::origin(&id))?;
        place.publish().map_err(SafetyLogError::io("naming"))?;
        Ok(Self { place, id, segment, group: Records::default(), poisoned: false })
    }

    /// Opens the log `id` to write to it. It must contain `expected`, the last mark that was kept of it.
    ///
    /// # Errors
    /// [`SafetyLogError::Missing`] or [`SafetyLogError::Lost`], [`SafetyLogError::Locked`], every variant from
    /// [`SafetyLogError::Length`] to [`SafetyLogError::Forked`], and [`SafetyLogError::Io`].
    pub fn open(
        place: P,
        id: Digest,
        expected: Option<Mark>,
    ) -> Result<(Self, Recovered), SafetyLogError> {
        let disk = existing(&place, Access::Write, expected)?;
        let found = scan(&disk, &id, expected.as_ref())?;
        let (segment, recovered) = Segment::resume(disk, found)?;
        let log = Self { place, id, segment, group: Records::default(), poisoned: false };
        Ok((log, recovered))
    }

    /// Adds a record to the group that the next [`sync`](Self::sync) makes durable.
    ///
    /// # Errors
    /// [`SafetyLogError::RecordTooLarge`], [`SafetyLogError::GroupTooLarge`], [`SafetyLogError::Full`] or
    /// [`SafetyLogError::Poisoned`]; nothing is added then.
    pub fn append(&mut self, record: &[u8]) -> Result<(), SafetyLogError> {
        if self.poisoned {
            return Err(SafetyLogError::Poisoned);
        }
        let (length, limit) = (record.len(), MAX_RECORD_BYTES);
        if length > limit {
            return Err(SafetyLogError::RecordTooLarge { length, limit });
        }
        let (length, limit) = (self.group.length_with(length), MAX_GROUP_BYTES);
        if length > limit {
            return Err(SafetyLogError::GroupTooLarge { length, limit });
        }
        self.segment.end_with(length)?;
        self.group.push(record);
        Ok(())
    }

    /// Makes everything that was appended durable and says how far the log has come. Without anything new it
    /// does nothing.
    ///
    /// # Errors
    /// [`SafetyLogError::Io`], after which the log is poisoned, or [`SafetyLogError::Poisoned`].
    pub fn sync(&mut self) -> Result<Mark, SafetyLogError> {
        self.or_poison(Self::commit)
    }

    /// Syncs, then drops all records but those to `keep`: after a stable checkpoint, those above it and evidence.
    ///
    /// The kept records go to a new file, which takes the name of the old one when it is durable: a crash
    /// leaves the one or the other. The whole file is read into memory and judged once more, so that nothing
    /// damaged is copied.
    ///
    /// # Errors
    /// As [`sync`](Self::sync), [`SafetyLogError::Locked`], and what [`open`](Self::open) says of a damaged
    /// file. The log is poisoned after every one.
    pub fn cut(&mut self, keep: impl FnMut(&[u8]) -> bool) -> Result<Mark, SafetyLogError> {
        self.or_poison(|log| {
            log.commit()?;
            log.replace(keep)
        })
    }

    /// How far the log has come with everything that is durable.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        *self.segment.mark()
    }

    fn commit(&mut self) -> Result<Mark, SafetyLogError> {
        if !self.group.is_empty() {
            self.segment.commit(self.group.as_payload())?;
            self.group = Records::default();
        }
        Ok(self.mark())
    }

    fn replace(&mut self, mut keep: impl FnMut(&[u8]) -> bool) -> Result<Mark, SafetyLogError> {
        let base = self.mark();
        let found = scan(self.segment.disk(), &self.id, Some(&base))?;
        let draft = self.place.draft().map_err(SafetyLogError::io("cutting"))?;
        let mut next = Segment::start(draft, &self.id, base)?;
        let mut group = Records::default();
        for record in found.recovered.records.iter().filter(|record| keep(record)) {
            if group.length_with(record.len()) > MAX_GROUP_BYTES {
                next.commit(group.as_payload())?;
                group = Records::default();
            }
            group.push(record);
        }
        // Written even without records: no two files of a log then end at one mark.
        next.commit(group.as_payload())?;
        self.place.publish().map_err(SafetyLogError::io("naming"))?;
        self.segment = next;
        Ok(self.mark())
    }

    /// Does work that leaves the log poisoned unless it succeeds, even where it unwinds.
    fn or_poison<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, SafetyLogError>,
    ) -> Result<T, SafetyLogError> {
        if self.poisoned {
            return Err(SafetyLogError::Poisoned);
        }
        self.poisoned = true;
        let done = work(self)?;
        self.poisoned = false;
        Ok(done)
    }
}

/// Reads the log `id`, which must contain `expected`, and writes nothing: for auditors and tools.
///
/// # Errors
/// As [`SafetyLog::open`].
pub fn read<P: Place>(
    place: &P,
    id: Digest,
    expected: Option<Mark>,
) -> Result<Recovered, SafetyLogError> {
    let disk = existing(place, Access::Read, expected)?;
    scan(&disk, &id, expected.as_ref()).map(|found| found.recovered)
}

fn absent<P: Place>(place: &P) -> Result<(), SafetyLogError> {
    let there = place.open(Access::Read).map_err(SafetyLogError::io("looking for"))?;
    there.map_or(Ok(()), |_| Err(SafetyLogError::Exists))
}

fn existing<P: Place>(
    place: &P,
    access: Access,
    expected: Option<Mark>,
) -> Result<P::File, SafetyLogError> {
    let missing = || match expected {
        Some(expected) => SafetyLogError::Lost { expected },
        None => SafetyLogError::Missing,
    };
    place.open(access).map_err(SafetyLogError::io("opening"))?.ok_or_else(missing)
}
