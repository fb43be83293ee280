//! Checked pages under a database: no byte that the medium changed is ever interpreted.
//!
//! redb keeps checksums for its recovery but does not look at them when it reads, so a flipped bit inside a tree
//! page would be followed like any other. Here every page of 4096 bytes is stored with a check sector of its own:
//!
//! ```text
//! page p at offset p · 4608:   4096 bytes of data │ 16 bytes BLAKE3(p, data) │ 496 zeros
//! ```
//!
//! A page never shares a sector of 512 bytes with another, so a torn write cannot hurt a neighbour that was
//! committed long ago. Page 0 is redb's own header, whose commit slots redb checks and overwrites in place: a
//! tear in it must reach redb, which then takes the other slot. It has no check sector.

use std::io;
use std::sync::LazyLock;

use redb::StorageBackend;

/// Bytes of a page as the database sees it; it never asks for less than one of its own pages but in page 0.
const DATA: u64 = 4096;

/// Bytes of a page as it lies on the medium.
const STRIDE: u64 = DATA + 512;

/// Bytes of a checksum.
const SUM: usize = 16;

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
        let pages = out.len() as u64 / DATA;
        let mut raw = vec![0; usize_of(pages * STRIDE)?];
        self.medium.read(first * STRIDE, &mut raw)?;
        let strides = raw.chunks_exact(STRIDE as usize);
        for ((page, number), data) in strides.zip(first..).zip(out.chunks_exact_mut(DATA as usize))
        {
            let (content, check) = page.split_at(DATA as usize);
            check_page(number, content, check)?;
            data.copy_from_slice(content);
        }
        Ok(())
    }

    fn write_pages(&self, first: u64, data: &[u8]) -> io::Result<()> {
        let pages = data.len() as u64 / DATA;
        let mut raw = vec![0; usize_of(pages * STRIDE)?];
        let strides = raw.chunks_exact_mut(STRIDE as usize);
        for ((page, number), content) in strides.zip(first..).zip(data.chunks_exact(DATA as usize))
        {
            let (space, check) = page.split_at_mut(DATA as usize);
            space.copy_from_slice(content);
            if number > 0
                && let Some(sum) = check.first_chunk_mut()
            {
                *sum = checksum(number, content);
            }
        }
        self.medium.write(first * STRIDE, &raw)
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

fn check_page(number: u64, data: &[u8], check: &[u8]) -> io::Result<()> {
    let (sum, rest) = check.split_at(SUM);
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    // The header is checked by redb; a page that was never written is zero and has no sum.
    let unwritten = zero(sum) && zero(data);
    if number > 0 && (!zero(rest) || !(unwritten || sum == checksum(number, data))) {
        let message = format!("page {number} is not what was written");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(())
}

fn checksum(number: u64, data: &[u8]) -> [u8; SUM] {
    // In one piece. BLAKE3 hashes whole chunks side by side, but one by one once an odd piece came before them.
    let mut piece = [0; 8 + DATA as usize];
    let (place, content) = piece.split_at_mut(8);
    place.copy_from_slice(&number.to_le_bytes());
    content.copy_from_slice(data);
    let mut sum = [0; SUM];
    BEGUN.clone().update(&piece).finalize_xof().fill(&mut sum);
    sum
}

fn usize_of(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
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
        for at in STRIDE..PAGES * STRIDE {
            let mut byte = [0];
            pages.medium.read(at, &mut byte).unwrap();
            pages.medium.write(at, &[byte[0] ^ 1 << (at % 8)]).unwrap();
            let found = read(&pages, at / STRIDE).unwrap_err();
            assert_eq!(found.kind(), io::ErrorKind::InvalidData, "byte {at}");
            assert_eq!(found.to_string(), format!("page {} is not what was written", at / STRIDE));
            pages.medium.write(at, &byte).unwrap();
            assert!(read(&pages, at / STRIDE).is_ok());
        }
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
