//! Reading a whole file and judging every page of it.

use federation_proto::Digest;

use super::disk::Disk;
use super::page::{self, PAGE, PAYLOAD, Page, Seen, pages_of};
use super::{
    MAX_FILE_BYTES, MAX_GROUP_BYTES, Mark, PageFault, Records, Recovered, STEP_BYTES,
    SafetyLogError,
};

const STEP_PAGES: u64 = STEP_BYTES / PAGE as u64;

/// What a file holds.
pub(super) struct Scan {
    /// What the caller of an open gets.
    pub(super) recovered: Recovered,
    /// Length of the file in bytes.
    pub(super) length: u64,
    /// The page after the last whole group.
    pub(super) end: u64,
    /// The last whole group, if there is one.
    pub(super) last: Option<LastGroup>,
}

/// The one group that a failed sync may have left in the cache only.
pub(super) struct LastGroup {
    /// Where the log was before it.
    pub(super) before: Mark,
    /// Its first page.
    pub(super) page: u64,
    /// Where its payload begins in that of all groups.
    pub(super) from: usize,
}

/// Reads the log `id`, which must contain `expected`.
///
/// # Errors
/// Everything that [`SafetyLog::open`](super::SafetyLog::open) says of a file that is there.
pub(super) fn scan<D: Disk>(
    disk: &D,
    id: &Digest,
    expected: Option<&Mark>,
) -> Result<Scan, SafetyLogError> {
    let length = disk.length().map_err(SafetyLogError::io("measuring"))?;
    if length > MAX_FILE_BYTES {
        return Err(SafetyLogError::TooLarge { length, limit: MAX_FILE_BYTES });
    }
    if length == 0 || length % STEP_BYTES != 0 {
        return Err(SafetyLogError::Length { length });
    }
    let mut pages = Pages { disk, count: length / PAGE as u64, step: Vec::new(), number: None };
    let base = page::read_header(&pages.read(0)?, id)?;
    contains(expected, &base)?;
    let (mut mark, mut end, mut last, mut records) = (base, 1, None, Records::default());
    while let Some((after, payload)) = pages.group(end, &mark)? {
        contains(expected, &after)?;
        last = Some(LastGroup { before: mark, page: end, from: records.as_payload().len() });
        if !records.extend(&payload) {
            return Err(SafetyLogError::Corrupt { page: end, fault: PageFault::Content });
        }
        end += pages_of(payload.len() as u64);
        mark = after;
    }
    let torn_pages = pages.tail(end, &mark)?;
    match expected {
        Some(expected) if expected.group() > mark.group() => {
            Err(SafetyLogError::Shortened { expected: *expected, found: mark })
        }
        _ => Ok(Scan { recovered: Recovered { records, mark, torn_pages }, length, end, last }),
    }
}

fn contains(expected: Option<&Mark>, found: &Mark) -> Result<(), SafetyLogError> {
    match expected {
        Some(expected) if expected.group() == found.group() && expected != found => {
            Err(SafetyLogError::Forked { expected: *expected, found: *found })
        }
        _ => Ok(()),
    }
}

/// The pages of a file, read a step at a time.
struct Pages<'d, D> {
    disk: &'d D,
    count: u64,
    step: Vec<Page>,
    number: Option<u64>,
}

impl<D: Disk> Pages<'_, D> {
    fn read(&mut self, page: u64) -> Result<Page, SafetyLogError> {
        let number = page / STEP_PAGES;
        if self.number != Some(number) {
            self.number = None;
            self.step.resize(STEP_PAGES as usize, [0; PAGE]);
            let bytes = self.step.as_flattened_mut();
            self.disk.read_at(bytes, number * STEP_BYTES).map_err(SafetyLogError::io("reading"))?;
            self.number = Some(number);
        }
        // A step always has all of its pages: the file is whole steps long.
        Ok(self.step[(page % STEP_PAGES) as usize])
    }

    /// Reads one page as page `index` of the group after `before`.
    fn see(
        &mut self,
        start: u64,
        index: u64,
        before: &Mark,
    ) -> Result<(Page, Seen), SafetyLogError> {
        let page = start + index;
        let bytes = self.read(page)?;
        let corrupt = |fault| SafetyLogError::Corrupt { page, fault };
        let seen = page::read_page(&bytes, before, index).map_err(corrupt)?;
        match seen {
            Seen::Written(head) if start + pages_of(head.length) > self.count => {
                Err(corrupt(PageFault::Claim { length: head.length }))
            }
            seen => Ok((bytes, seen)),
        }
    }

    /// The group after `before`, which begins at page `start`: the mark after it and its payload.
    /// `None` where it is not there or not whole.
    fn group(
        &mut self,
        start: u64,
        before: &Mark,
    ) -> Result<Option<(Mark, Vec<u8>)>, SafetyLogError> {
        let (mut payload, mut head) = (Vec::new(), None);
        for index in 0..self.count - start {
            let (bytes, Seen::Written(found)) = self.see(start, index, before)? else {
                return Ok(None);
            };
            let page = start + index;
            let head = *head.get_or_insert(found);
            if found != head {
                return Err(SafetyLogError::Corrupt { page, fault: PageFault::Mixed });
            }
            let missing = usize::try_from(head.length).unwrap_or(usize::MAX) - payload.len();
            let (here, filling) = page::payload(&bytes).split_at(missing.min(PAYLOAD));
            payload.extend_from_slice(here);
            if index + 1 == pages_of(head.length) {
                let whole = head.mark == before.after(&payload) && filling.iter().all(|b| *b == 0);
                let corrupt = SafetyLogError::Corrupt { page, fault: PageFault::Content };
                return if whole { Ok(Some((head.mark, payload))) } else { Err(corrupt) };
            }
        }
        Ok(None)
    }

    /// Judges everything from page `start` on, where no whole group begins, and returns how many pages the
    /// unfinished group after `before` has touched.
    ///
    /// A crash leaves some pages of one group there, each as it was written or unfinished, and blank pages.
    /// Anything else was written later, and then what is missing before it was lost.
    fn tail(&mut self, start: u64, before: &Mark) -> Result<u64, SafetyLogError> {
        let (mut touched, mut head) = (0, None);
        for index in 0..self.count - start {
            match self.see(start, index, before)?.1 {
                Seen::Blank => continue,
                Seen::Torn => {}
                Seen::Written(found) => {
                    if found != *head.get_or_insert(found) {
                        let (page, fault) = (start + index, PageFault::Mixed);
                        return Err(SafetyLogError::Corrupt { page, fault });
                    }
                }
            }
            touched = index + 1;
        }
        let longest = head.map_or(MAX_GROUP_BYTES as u64, |head| head.length);
        if touched > pages_of(longest) {
            let page = start + touched - 1;
            return Err(SafetyLogError::Corrupt { page, fault: PageFault::Stray });
        }
        Ok(touched)
    }
}
