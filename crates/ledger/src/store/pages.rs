//! Checked pages under a database: no byte that the medium changed, and no write of a page that it lost, is ever
//! interpreted.
//!
//! redb keeps checksums for its recovery but does not look at them when it reads, so a flipped bit inside a tree
//! page would be followed like any other, and so would a page that should have been overwritten and was not. Here
//! every page of 4096 bytes is stored with a check sector of its own:
//!
//! ```text
//! page p at offset p · 4608:   4096 bytes of data │ 16 bytes sum of page p │ 16 bytes sum of page p+1 │ 480 zeros
//!                              sum = BLAKE3(p, data)
//! ```
//!
//! The second copy of a sum is written by a write of its own. So a medium that acknowledges one write and does not
//! do it, or does it elsewhere, leaves two sums that contradict each other. A copy of zeros says nothing.
//!
//! A page never shares a sector of 512 bytes with another, and a check sector is only ever overwritten whole, so a
//! torn write cannot hurt a neighbour that was committed long ago. What a crash leaves of pages that were not
//! committed may contradict itself; redb does not read it. Page 0 is redb's own header, whose commit slots redb
//! checks and overwrites in place: a tear in it must reach redb, which then takes the other slot. It has no sum, so a lost write of it shows only as an older state.

use std::io;
use std::sync::LazyLock;

use redb::StorageBackend;

/// Bytes of a page as the database sees it; it never asks for less than one of its own pages but in page 0.
const DATA: u64 = 4096;

/// Bytes of a check sector.
const CHECK: usize = 512;

/// Bytes of a page as it lies on the medium.
const STRIDE: u64 = DATA + CHECK as u64;

/// Bytes of a checksum.
const SUM: usize = 16;

/// A checksum.
type Sum = [u8; SUM];

/// Where no sum was written.
const UNKNOWN: Sum = [0; SUM];

/// BLAKE3 `derive_key` context of the checksum, over page number and data.
const CONTEXT: &str = "prism1 2026-11-24 store-page";

/// Where every checksum begins: with the context hashed.
static BEGUN: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key(CONTEXT));

/// A storage whose pages are checked when they are read.
#[derive(Debug)]
pub(super) struct CheckedPages<B> {
    medium: B,
}

impl<B: StorageBackend> CheckedPages<B> {
    /// Over a medium that is empty or was written by another value of this type.
    pub(super) fn new(medium: B) -> Self {
        Self { medium }
    }

    /// Reads whole pages into `out`, whose length is a multiple of a page.
    fn read_pages(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        // From the check sector before them on, which holds the first one's sum once more.
        let before = if first == 0 { 0 } else { CHECK };
        let pages = out.len() as u64 / DATA;
        let mut raw = vec![0; before + usize_of(pages * STRIDE)?];
        self.medium.read(first * STRIDE - before as u64, &mut raw)?;
        let (sector, strides) = raw.split_at(before);
        let mut copy = sector.get(SUM..2 * SUM).unwrap_or_default();
        let strides = strides.chunks_exact(STRIDE as usize);
        for ((page, number), data) in strides.zip(first..).zip(out.chunks_exact_mut(DATA as usize))
        {
            let (content, check) = page.split_at(DATA as usize);
            copy = check_page(number, content, check, copy)?;
            data.copy_from_slice(content);
        }
        Ok(())
    }

    fn write_pages(&self, first: u64, data: &[u8]) -> io::Result<()> {
        let contents = (first..).zip(data.chunks_exact(DATA as usize));
        let sums: Vec<Sum> = contents.clone().map(|(page, data)| checksum(page, data)).collect();
        let last = (first + sums.len() as u64).checked_sub(1).ok_or(io::ErrorKind::InvalidInput)?;
        // The sums of the pages around them stay.
        let (_, after) = self.sums(last)?;
        let (mut own, _) = if first == 0 { Default::default() } else { self.sums(first - 1)? };
        let mut raw = Vec::with_capacity(usize_of((last - first + 1) * STRIDE)?);
        for ((page, content), sum) in contents.zip(&sums) {
            raw.extend_from_slice(content);
            raw.extend_from_slice(&check_sector(sum, if page == last { &after } else { &UNKNOWN }));
        }
        self.medium.write(first * STRIDE, &raw)?;
        for (page, sum) in (first..).zip(&sums) {
            if page > 0 {
                self.medium.write(page * STRIDE - CHECK as u64, &check_sector(&own, sum))?;
            }
            own = *sum;
        }
        Ok(())
    }

    /// The sums in the check sector of a page: its own, and that of the next one.
    fn sums(&self, page: u64) -> io::Result<(Sum, Sum)> {
        let mut sums = [0; 2 * SUM];
        self.medium.read(page * STRIDE + DATA, &mut sums)?;
        let (own, next) = sums.split_at(SUM);
        Ok((own.try_into().unwrap_or_default(), next.try_into().unwrap_or_default()))
    }
}

impl<B: StorageBackend> StorageBackend for CheckedPages<B> {
    fn len(&self) -> io::Result<u64> {
        let raw = self.medium.len()?;
        if 0 < raw && raw < STRIDE {
            // redb would take it for empty, and make a new database of it.
            let message = format!("{raw} bytes are less than a page");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        // A length that is cut within a page is seen as too short for it, and redb refuses.
        Ok(raw / STRIDE * DATA)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (first, last) = page_range(offset, out.len())?;
        if is_whole(offset, out.len()) {
            return self.read_pages(first, out);
        }
        let mut pages = vec![0; usize_of((last - first) * DATA)?];
        self.read_pages(first, &mut pages)?;
        let start = usize_of(offset - first * DATA)?;
        let wanted = pages.get(start..start + out.len()).ok_or(io::ErrorKind::InvalidInput)?;
        out.copy_from_slice(wanted);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let pages = len.div_ceil(DATA);
        self.medium.set_len(pages.checked_mul(STRIDE).ok_or(io::ErrorKind::InvalidInput)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.medium.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (first, last) = page_range(offset, data.len())?;
        if is_whole(offset, data.len()) {
            return self.write_pages(first, data);
        }
        if last <= 1 {
            // Within the header: redb's own, in place, and as small as redb wants it.
            return self.medium.write(offset, data);
        }
        let mut pages = vec![0; usize_of((last - first) * DATA)?];
        self.read_pages(first, &mut pages)?;
        let start = usize_of(offset - first * DATA)?;
        let target = pages.get_mut(start..start + data.len()).ok_or(io::ErrorKind::InvalidInput)?;
        target.copy_from_slice(data);
        self.write_pages(first, &pages)
    }

    fn close(&self) -> io::Result<()> {
        self.medium.close()
    }
}

/// Whether a range of bytes is one of whole pages.
fn is_whole(offset: u64, length: usize) -> bool {
    offset.is_multiple_of(DATA) && (length as u64).is_multiple_of(DATA)
}

/// First page, and the page after the last, of a range of bytes.
fn page_range(offset: u64, length: usize) -> io::Result<(u64, u64)> {
    let end = offset.checked_add(length as u64).ok_or(io::ErrorKind::InvalidInput)?;
    Ok((offset / DATA, end.div_ceil(DATA)))
}

/// Checks a page against its check sector and the other copy of its sum. What comes back is the copy for the next.
fn check_page<'a>(number: u64, data: &[u8], check: &'a [u8], copy: &[u8]) -> io::Result<&'a [u8]> {
    let (sum, rest) = check.split_at(SUM);
    let (next, rest) = rest.split_at(SUM);
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    // A page that was never written is zero and has no sum; one written before there were copies has no copy.
    let sound = (zero(sum) && zero(data)) || sum == checksum(number, data);
    let newest = zero(copy) || copy == sum;
    // The header is checked by redb.
    if number > 0 && !(zero(rest) && sound && newest) {
        let message = format!("page {number} is not what was written");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(next)
}

fn check_sector(own: &Sum, next: &Sum) -> [u8; CHECK] {
    let mut sector = [0; CHECK];
    for (space, byte) in sector.iter_mut().zip(own.iter().chain(next)) {
        *space = *byte;
    }
    sector
}

/// The sum of a page; the header has none.
fn checksum(page: u64, data: &[u8]) -> Sum {
    if page == 0 {
        return UNKNOWN;
    }
    // In one piece. BLAKE3 hashes whole chunks side by side, but one by one once an odd piece came before them.
    let mut piece = [0; 8 + DATA as usize];
    let (place, content) = piece.split_at_mut(8);
    place.copy_from_slice(&page.to_le_bytes());
    content.copy_from_slice(data);
    let mut sum = UNKNOWN;
    BEGUN.clone().update(&piece).finalize_xof().fill(&mut sum);
    sum
}

fn usize_of(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    const PAGES: u64 = 5;

    fn filled() -> CheckedPages<InMemoryBackend> {
        let pages = CheckedPages::new(InMemoryBackend::new());
        pages.set_len(PAGES * DATA).unwrap();
        // The last page is never written: it reads as zeros.
        for number in 0..PAGES - 1 {
            pages.write(number * DATA, &[number as u8 + 1; DATA as usize]).unwrap();
        }
        pages
    }

    fn read(pages: &CheckedPages<InMemoryBackend>, number: u64) -> io::Result<Vec<u8>> {
        let mut out = vec![0xee; DATA as usize];
        pages.read(number * DATA, &mut out).map(|()| out)
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_found_when_it_is_read() {
        let pages = filled();
        let copies = DATA + SUM as u64..DATA + 2 * SUM as u64;
        // The last copy is of a page that is not there.
        for at in STRIDE..PAGES * STRIDE - CHECK as u64 + SUM as u64 {
            let page = at / STRIDE + u64::from(copies.contains(&(at % STRIDE)));
            let mut byte = [0];
            pages.medium.read(at, &mut byte).unwrap();
            pages.medium.write(at, &[byte[0] ^ 1 << (at % 8)]).unwrap();
            let found = read(&pages, page).unwrap_err();
            assert_eq!(found.kind(), io::ErrorKind::InvalidData, "byte {at}");
            assert_eq!(found.to_string(), format!("page {page} is not what was written"));
            pages.medium.write(at, &byte).unwrap();
            assert!(read(&pages, page).is_ok());
        }
    }

    /// A medium that acknowledges one of its next writes and does not do it.
    #[derive(Debug)]
    struct Forgetful {
        medium: InMemoryBackend,
        writes_before: AtomicUsize,
    }

    impl StorageBackend for Forgetful {
        fn len(&self) -> io::Result<u64> {
            self.medium.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.medium.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.medium.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            match self.writes_before.fetch_sub(1, Ordering::Relaxed) {
                0 => Ok(()),
                _ => self.medium.write(offset, data),
            }
        }
    }

    #[test]
    fn a_write_that_was_acknowledged_and_not_done_is_found_when_the_page_is_read() {
        for (first, count) in [(1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (3, 2)] {
            for lost in 0..=count {
                let forgetful =
                    Forgetful { medium: filled().medium, writes_before: (lost as usize).into() };
                let pages = CheckedPages::new(forgetful);
                pages.write(first * DATA, &vec![0xaa; (count * DATA) as usize]).unwrap();
                assert!(pages.medium.writes_before.into_inner() > count as usize, "one was lost");
                let pages = CheckedPages::new(pages.medium.medium);
                for number in 1..PAGES {
                    let before = if number < PAGES - 1 { number as u8 + 1 } else { 0 };
                    let written = (first..first + count).contains(&number);
                    let (content, is_lost) =
                        (if written { 0xaa } else { before }, written && lost == 0);
                    match read(&pages, number) {
                        Ok(data) => assert!(!is_lost && data == [content; DATA as usize]),
                        // A page is given up as well if only the copy of its sum was lost.
                        Err(_) => assert!(is_lost || (lost == 1 && number == first)),
                    }
                }
            }
        }
    }

    #[test]
    fn pages_that_were_written_before_there_were_copies_are_read() {
        let pages = filled();
        for number in 0..PAGES {
            pages.medium.write(number * STRIDE + DATA + SUM as u64, &UNKNOWN).unwrap();
        }
        assert!((1..PAGES).all(|number| read(&pages, number).is_ok()));
    }

    #[test]
    fn a_page_is_good_in_its_own_place_only() {
        let pages = filled();
        let mut first = vec![0; STRIDE as usize];
        pages.medium.read(STRIDE, &mut first).unwrap();
        pages.medium.write(2 * STRIDE, &first).unwrap();
        assert_eq!(read(&pages, 1).unwrap(), vec![2; DATA as usize]);
        assert!(read(&pages, 2).is_err());
    }

    #[test]
    fn the_header_is_written_in_place_and_left_to_the_database() {
        let pages = filled();
        pages.write(64, &[9; 128]).unwrap();
        let header = read(&pages, 0).unwrap();
        assert_eq!((header[63], header[64], header[191], header[192]), (1, 9, 9, 1));
        let mut raw = [0; 128];
        pages.medium.read(64, &mut raw).unwrap();
        assert_eq!(raw, [9; 128]);
    }

    #[test]
    fn a_file_cut_within_a_page_ends_before_it() {
        let pages = filled();
        pages.medium.set_len(3 * STRIDE - 1).unwrap();
        assert_eq!(pages.len().unwrap(), 2 * DATA);
        assert!(read(&pages, 2).is_err());
    }

    proptest! {
        /// Beside a plain vector, at any offset and length.
        #[test]
        fn pages_are_bytes(writes in proptest::collection::vec((0..PAGES * DATA, 0..9000_usize, any::<u8>()), 0..12)) {
            let pages = filled();
            let mut model: Vec<u8> =
                (0..PAGES * DATA).map(|at| (at / DATA + 1) as u8 * u8::from(at / DATA < PAGES - 1)).collect();
            for (offset, length, value) in writes {
                let (start, end) = (offset as usize, (offset as usize + length).min(model.len()));
                pages.write(offset, &vec![value; end - start]).unwrap();
                model[start..end].fill(value);
                let mut out = vec![0; end - start];
                pages.read(offset, &mut out).unwrap();
                prop_assert_eq!(&out[..], &model[start..end]);
            }
            let mut whole = vec![0; model.len()];
            pages.read(0, &mut whole).unwrap();
            prop_assert_eq!(whole, model);
        }
    }
}
