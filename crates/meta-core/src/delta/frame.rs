//! zstd for payloads: exactly one frame, every promise in its header checked before memory is spent.
//!
//! The format allows several frames, skippable frames, dictionaries and unknown sizes [RFC 8878 §3.1].
//! Each would be a second spelling of one payload or a way to make a small message expensive, so the
//! header is read by hand first: magic number, no reserved bit, no dictionary, content size present and
//! within the limit, window bounded, one frame that ends where the bytes end.

use thiserror::Error;
use zstd::zstd_safe;

/// Largest window of a frame, in bytes: what RFC 8878 §3.1.1.1.2 asks every decoder to support.
pub const MAX_WINDOW_BYTES: u64 = 8 << 20;

/// Level of our own frames. Any level decodes everywhere; this one is fast and near the best for deltas.
const LEVEL: i32 = 3;

const MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

/// Why bytes are not one acceptable frame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Another format, or a skippable frame.
    #[error("zstd: the bytes do not begin with a frame")]
    Magic,
    /// The header itself is cut off.
    #[error("zstd: {found} bytes end inside the frame header")]
    Truncated {
        /// Bytes given.
        found: usize,
    },
    /// A reserved or unused bit is set: a second spelling, or a format to come.
    #[error("zstd: frame header descriptor {descriptor:#04x} sets a reserved or unused bit")]
    ReservedBit {
        /// The descriptor byte.
        descriptor: u8,
    },
    /// The frame wants a dictionary.
    #[error("zstd: frame header descriptor {descriptor:#04x} names a dictionary")]
    Dictionary {
        /// The descriptor byte.
        descriptor: u8,
    },
    /// The frame does not say how large it unpacks.
    #[error("zstd: the frame does not state its content size")]
    NoContentSize,
    /// It unpacks to more than is allowed.
    #[error("zstd: content size {stated} bytes, the limit is {limit}")]
    TooLarge {
        /// Content size stated by the header.
        stated: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// Its window is larger than a decoder must support.
    #[error("zstd: window of {window} bytes, the limit is {MAX_WINDOW_BYTES}")]
    Window {
        /// Window stated by the header.
        window: u64,
    },
    /// The frame ends elsewhere than the bytes.
    #[error("zstd: the frame has {frame} bytes, {found} were given")]
    NotOneFrame {
        /// Bytes of the first frame.
        frame: usize,
        /// Bytes given.
        found: usize,
    },
    /// It unpacked to another size than it states.
    #[error("zstd: unpacked to {found} bytes, the header states {stated}")]
    ContentSize {
        /// Content size stated by the header.
        stated: u64,
        /// Bytes unpacked.
        found: usize,
    },
    /// The blocks are damaged.
    #[error("zstd: the frame is damaged")]
    Damaged,
    /// The library could not compress (out of memory).
    #[error("zstd: cannot compress {length} bytes")]
    Compress {
        /// Bytes to compress.
        length: usize,
    },
}

/// What a frame header promises.
struct FrameHeader {
    content_size: u64,
    window: u64,
}

/// One frame with its content size in the header.
///
/// # Errors
/// [`FrameError::Compress`].
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    zstd::bulk::compress(bytes, LEVEL).map_err(|_| FrameError::Compress { length: bytes.len() })
}

/// The content of exactly one frame of at most `limit` bytes content. Memory is spent only after the
/// header's promises hold.
///
/// # Errors
/// Any variant of [`FrameError`] but [`FrameError::Compress`].
pub fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    let header = parse_header(bytes)?;
    let stated = header.content_size;
    let capacity = usize::try_from(stated)
        .ok()
        .filter(|capacity| *capacity <= limit)
        .ok_or(FrameError::TooLarge { stated, limit })?;
    if header.window > MAX_WINDOW_BYTES {
        let window = header.window;
        return Err(FrameError::Window { window });
    }
    let frame = zstd_safe::find_frame_compressed_size(bytes).map_err(|_| FrameError::Damaged)?;
    if frame != bytes.len() {
        let found = bytes.len();
        return Err(FrameError::NotOneFrame { frame, found });
    }
    let content = zstd::bulk::decompress(bytes, capacity).map_err(|_| FrameError::Damaged)?;
    if content.len() != capacity {
        let found = content.len();
        return Err(FrameError::ContentSize { stated, found });
    }
    Ok(content)
}

/// Reads the frame header [RFC 8878 §3.1.1.1].
fn parse_header(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
    let truncated = FrameError::Truncated { found: bytes.len() };
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(FrameError::Magic);
    };
    let (&descriptor, rest) = rest.split_first().ok_or(truncated.clone())?;
    // Bit 3 is reserved and must be 0; bit 4 is unused, and we never set it.
    if descriptor & 0b0001_1000 != 0 {
        return Err(FrameError::ReservedBit { descriptor });
    }
    if descriptor & 0b0000_0011 != 0 {
        return Err(FrameError::Dictionary { descriptor });
    }
    let single_segment = descriptor & 0b0010_0000 != 0;
    let (window, rest) = if single_segment {
        (None, rest)
    } else {
        let (&byte, rest) = rest.split_first().ok_or(truncated.clone())?;
        (Some(window_size(byte)), rest)
    };
    let size_bytes = match (descriptor >> 6, single_segment) {
        (0, false) => return Err(FrameError::NoContentSize),
        (0, true) => 1,
        (1, _) => 2,
        (2, _) => 4,
        _ => 8,
    };
    let field = rest.get(..size_bytes).ok_or(truncated)?;
    let mut wide = [0; 8];
    wide.iter_mut().zip(field).for_each(|(to, from)| *to = *from);
    // The two-byte form counts from 256.
    let content_size = u64::from_le_bytes(wide) + if size_bytes == 2 { 256 } else { 0 };
    Ok(FrameHeader { content_size, window: window.unwrap_or(content_size) })
}

/// Window size of a window descriptor [RFC 8878 §3.1.1.1.2]: at most 2^41 · 15/8.
fn window_size(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}
