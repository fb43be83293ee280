//! The bytes of a page.
//!
//! Integers are little-endian `u64`.
//!
//! | bytes | page 0, the header | bytes | every page of a group |
//! |---|---|---|---|
//! | 0..8 | `prismlog` | 0..8 | `prismgrp` |
//! | 8..16 | version | 8..16 | index of the page in its group, from 0 |
//! | 16..48 | log id | 16..24 | number of the group |
//! | 48..56 | number of the group before | 24..32 | payload bytes of the group |
//! | 56..88 | its chain value | 32..64 | chain value of the group |
//! | 88..496 | zeros | 64..496 | payload, then zeros |
//! | 496..512 | checksum | 496..512 | checksum |
//!
//! The checksum is at the end, and the first eight bytes are never zero, so that a page which the device did
//! not finish is told from one that was changed. It is BLAKE3 of the rest, cut to 16 bytes; in a group it is
//! keyed by the chain value before the group, so that a page verifies in its own place only and needs no other
//! page of a group that may be torn. The chain value of the whole group in every page keeps pages of two
//! attempts at one group from mixing.

use federation_proto::Digest;

use super::{Mark, PageFault, SafetyLogError};

/// Bytes of a page: what a disk writes as one.
pub(super) const PAGE: usize = 512;
/// The only layout there is.
pub(super) const VERSION: u64 = 1;

pub(super) type Page = [u8; PAGE];

const MAGIC: &[u8; 8] = b"prismlog";
const GROUP_MAGIC: &[u8; 8] = b"prismgrp";
const BODY: usize = PAGE - 16;
const HEAD: usize = 64;
/// Bytes of a group in one page.
pub(super) const PAYLOAD: usize = BODY - HEAD;

/// Pages of a group with so many bytes: at least one, for a group without records.
pub(super) const fn pages_of(payload: u64) -> u64 {
    let pages = payload.div_ceil(PAYLOAD as u64);
    if pages == 0 { 1 } else { pages }
}

/// What a page is before its group is known to be whole.
pub(super) enum Seen {
    /// Nothing was ever written here.
    Blank,
    /// The device did not finish it.
    Torn,
    /// It is what was written in this place of the chain.
    Written(GroupHead),
}

/// What every page of a group says alike.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHead {
    /// Bytes of its payload.
    pub(super) length: u64,
    /// Where the log is with it.
    pub(super) mark: Mark,
}

/// The header of a file that goes on from `base`.
pub(super) fn header(id: &Digest, base: &Mark) -> Page {
    let mut body = Vec::with_capacity(PAGE);
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&VERSION.to_le_bytes());
    body.extend_from_slice(id.as_bytes());
    body.extend_from_slice(&base.group().to_le_bytes());
    body.extend_from_slice(base.chain().as_bytes());
    body.resize(BODY, 0);
    let sum = blake3::derive_key("prism1 2026-11-24 safety-log-header", &body);
    body.extend_from_slice(&sum);
    // Cuts the checksum to its 16 bytes.
    array(&body, 0)
}

/// Reads the header of the log `id`: where it goes on from.
pub(super) fn read_header(page: &Page, id: &Digest) -> Result<Mark, SafetyLogError> {
    if array(page, 0) != *MAGIC {
        return Err(SafetyLogError::NotALog);
    }
    if number(page, 8) != VERSION {
        return Err(SafetyLogError::Version { found: number(page, 8) });
    }
    let found = Digest::from_bytes(array(page, 16));
    let base = Mark::new(number(page, 48), Digest::from_bytes(array(page, 56)));
    let forged_origin = base.group() == 0 && base != Mark::origin(&found);
    if *page != header(&found, &base) || forged_origin {
        return Err(SafetyLogError::Corrupt { page: 0, fault: PageFault::Checksum });
    }
    if found != *id {
        return Err(SafetyLogError::Foreign { expected: *id, found });
    }
    Ok(base)
}

/// The pages of the group that follows `before`.
pub(super) fn group(before: &Mark, payload: &[u8]) -> Vec<u8> {
    let after = before.after(payload);
    let mut pages = Vec::with_capacity(payload.len().div_ceil(PAYLOAD).max(1) * PAGE);
    let mut rest = payload;
    for index in 0..pages_of(payload.len() as u64) {
        let (here, later) = rest.split_at(rest.len().min(PAYLOAD));
        let mut body = Vec::with_capacity(BODY);
        body.extend_from_slice(GROUP_MAGIC);
        body.extend_from_slice(&index.to_le_bytes());
        body.extend_from_slice(&after.group().to_le_bytes());
        body.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        body.extend_from_slice(after.chain().as_bytes());
        body.extend_from_slice(here);
        body.resize(BODY, 0);
        pages.extend_from_slice(&body);
        pages.extend_from_slice(&checksum(before, &body));
        rest = later;
    }
    pages
}

/// Reads page `index` of the group that follows `before`, which may be no page of it at all.
pub(super) fn read_page(page: &Page, before: &Mark, index: u64) -> Result<Seen, PageFault> {
    if *page == [0; PAGE] {
        return Ok(Seen::Blank);
    }
    if array(page, 0) == [0; 8] || array(page, BODY) == [0; 16] {
        return Ok(Seen::Torn);
    }
    if array(page, BODY) != checksum(before, &page[..BODY]) || array(page, 0) != *GROUP_MAGIC {
        return Err(PageFault::Checksum);
    }
    let found = number(page, 8);
    if found != index {
        return Err(PageFault::Index { expected: index, found });
    }
    let mark = Mark::new(number(page, 16), Digest::from_bytes(array(page, 32)));
    Ok(Seen::Written(GroupHead { length: number(page, 24), mark }))
}

/// The payload bytes of a page, with what fills up the last one.
pub(super) fn payload(page: &Page) -> &[u8] {
    &page[HEAD..BODY]
}

fn checksum(before: &Mark, body: &[u8]) -> [u8; 16] {
    array(blake3::keyed_hash(before.chain().as_bytes(), body).as_bytes(), 0)
}

fn number(page: &Page, at: usize) -> u64 {
    u64::from_le_bytes(array(page, at))
}

/// The `N` bytes at a place that every caller here knows to be there.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
