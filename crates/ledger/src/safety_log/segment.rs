//! One file of the log as its only writer has it.

use federation_proto::Digest;

use super::disk::Disk;
use super::page::{self, PAGE, pages_of};
use super::scan::Scan;
use super::{MAX_FILE_BYTES, Mark, Recovered, STEP_BYTES, SafetyLogError};

const MAX_PAGES: u64 = MAX_FILE_BYTES / PAGE as u64;

/// A file with its header and whole groups, all of them durable, and blank pages behind.
pub(super) struct Segment<D> {
    disk: D,
    /// Length of the file in bytes.
    length: u64,
    /// The first blank page.
    end: u64,
    mark: Mark,
}

impl<D: Disk> Segment<D> {
    /// Begins an empty file that goes on from `base`.
    pub(super) fn start(disk: D, id: &Digest, base: Mark) -> Result<Self, SafetyLogError> {
        let mut segment = Self { disk, length: 0, end: 1, mark: base };
        segment.grow(1)?;
        segment.write(&page::header(id, &base), 0)?;
        segment.sync()?;
        Ok(segment)
    }

    /// Goes on with a file that was judged.
    ///
    /// The last group and the blank pages are written once more: after a failed sync the operating system may
    /// show what the device never got and believe that there is nothing left to write. Everything before the
    /// last group was synced, or the last group would not be there.
    pub(super) fn resume(disk: D, scan: Scan) -> Result<(Self, Recovered), SafetyLogError> {
        let Scan { recovered, length, end, last } = scan;
        let mut segment = Self { disk, length, end, mark: recovered.mark };
        if let Some(last) = last {
            let (_, payload) = recovered.records.as_payload().split_at(last.from);
            segment.write(&page::group(&last.before, payload), last.page)?;
        }
        segment.blank(end * PAGE as u64)?;
        segment.sync()?;
        Ok((segment, recovered))
    }

    /// Appends a group and returns when it is durable.
    pub(super) fn commit(&mut self, payload: &[u8]) -> Result<(), SafetyLogError> {
        let end = self.end_with(payload.len())?;
        self.grow(end)?;
        self.write(&page::group(&self.mark, payload), self.end)?;
        self.sync()?;
        self.mark = self.mark.after(payload);
        self.end = end;
        Ok(())
    }

    /// The first blank page after one more group of so many bytes.
    pub(super) fn end_with(&self, payload: usize) -> Result<u64, SafetyLogError> {
        let (pages, limit) = (self.end + pages_of(payload as u64), MAX_PAGES);
        if pages > limit { Err(SafetyLogError::Full { pages, limit }) } else { Ok(pages) }
    }

    pub(super) const fn mark(&self) -> &Mark {
        &self.mark
    }

    pub(super) const fn disk(&self) -> &D {
        &self.disk
    }

    /// Makes room for so many pages. Room is durable before it is used, so that a group never changes the
    /// length of the file, and it is filled with zeros, so that a full disk is found here.
    fn grow(&mut self, pages: u64) -> Result<(), SafetyLogError> {
        let needed = (pages * PAGE as u64).next_multiple_of(STEP_BYTES);
        let old = self.length;
        if needed > old {
            self.disk.set_length(needed).map_err(SafetyLogError::io("growing"))?;
            self.length = needed;
            self.blank(old)?;
            self.sync()?;
        }
        Ok(())
    }

    /// Writes zeros from a byte on to the end of the file.
    fn blank(&mut self, from: u64) -> Result<(), SafetyLogError> {
        let zeros = [0; STEP_BYTES as usize];
        let mut at = from;
        while at < self.length {
            let step = STEP_BYTES.min(self.length - at);
            let (here, _) = zeros.split_at(step as usize);
            self.disk.write_at(here, at).map_err(SafetyLogError::io("blanking"))?;
            at += step;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], page: u64) -> Result<(), SafetyLogError> {
        self.disk.write_at(bytes, page * PAGE as u64).map_err(SafetyLogError::io("writing"))
    }

    fn sync(&mut self) -> Result<(), SafetyLogError> {
        self.disk.sync().map_err(SafetyLogError::io("syncing"))
    }
}
