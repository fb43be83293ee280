//! A frame on the wire, alone (in a datagram or a broker's message) or in a stream.
//!
//! ```text
//! stream:  length u32 big-endian ‖ frame          length counts the frame's bytes
//! frame:   version u8 (1) ‖ lane u8 ‖ body        the body reaches to the end
//! ```
//!
//! Both have one encoding for each value: nothing is optional, nothing is padded, and no length inside could
//! disagree with the one outside. The body is not looked into: it has its own canonical form.

use thiserror::Error;

use crate::lane::Lane;
use crate::limits;

/// A frame of a lane; `B` is its body, owned or borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkFrame<B = Vec<u8>> {
    /// The lane it travels in.
    pub lane: Lane,
    /// What it carries.
    pub body: B,
}

/// Why bytes are not a frame, or a body cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The body is longer than its lane allows.
    #[error("lane {lane}: a body of {length} bytes, the limit is {limit}")]
    TooLarge {
        /// The lane.
        lane: Lane,
        /// Bytes of the body.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The frame is longer than any lane allows.
    #[error("a frame of {length} bytes, no lane allows more than {limit}")]
    TooLong {
        /// Bytes of the frame.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The frame is shorter than its header.
    #[error("a frame of {length} bytes, its header alone has {header}")]
    TooShort {
        /// Bytes of the frame.
        length: usize,
        /// Bytes of the header.
        header: usize,
    },
    /// Another version of the format.
    #[error("frame version {got}, this is version {expected}")]
    Version {
        /// The version that came.
        got: u8,
        /// The one understood.
        expected: u8,
    },
    /// No lane has this number.
    #[error("no lane has number {0}")]
    Lane(u8),
    /// The stream ended inside a frame.
    #[error("the stream ended {missing} bytes before the end of a frame")]
    Truncated {
        /// Bytes that the frame, or else the header that would tell its length, still lacks.
        missing: usize,
    },
}

impl<B> LinkFrame<B> {
    /// The version this crate writes and reads.
    pub const VERSION: u8 = 1;
    /// Bytes before the body.
    pub const HEADER: usize = 2;
    /// Bytes before a frame in a stream: its length.
    pub const PREFIX: usize = 4;
    /// Most bytes of a frame of any lane.
    pub const MAX_BYTES: usize = limits::FRAME + Self::HEADER;
}

impl<B: AsRef<[u8]>> LinkFrame<B> {
    /// The frame alone.
    ///
    /// # Errors
    /// [`TooLarge`](FrameError::TooLarge).
    pub fn to_bytes(&self) -> Result<Vec<u8>, FrameError> {
        let header = self.header()?;
        Ok([&header, self.body.as_ref()].concat())
    }

    /// What stands before the body in a stream, so that a driver can write both without copying the body.
    ///
    /// # Errors
    /// [`TooLarge`](FrameError::TooLarge).
    pub fn stream_header(&self) -> Result<[u8; 6], FrameError> {
        let [version, lane] = self.header()?;
        let length = Self::HEADER + self.body.as_ref().len();
        // The limit is far below: the header was refused otherwise.
        let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        Ok([a, b, c, d, version, lane])
    }

    /// Appends the frame to what is to be written to a stream.
    ///
    /// # Errors
    /// [`TooLarge`](FrameError::TooLarge); nothing is appended then.
    pub fn write_to_stream(&self, out: &mut Vec<u8>) -> Result<(), FrameError> {
        out.extend_from_slice(&self.stream_header()?);
        out.extend_from_slice(self.body.as_ref());
        Ok(())
    }

    fn header(&self) -> Result<[u8; 2], FrameError> {
        check_body(self.lane, self.body.as_ref().len())?;
        Ok([Self::VERSION, self.lane.code()])
    }
}

impl<'a> LinkFrame<&'a [u8]> {
    /// Reads a frame that stands alone; the body is borrowed.
    ///
    /// # Errors
    /// Every [`FrameError`] but [`Truncated`](FrameError::Truncated).
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FrameError> {
        check_frame(bytes.len())?;
        let [version, lane, body @ ..] = bytes else {
            return Err(FrameError::TooShort { length: bytes.len(), header: Self::HEADER });
        };
        check_version(*version)?;
        let lane = lane_of(*lane)?;
        check_body(lane, body.len())?;
        Ok(Self { lane, body })
    }
}

/// The length of a whole frame, as far as it can be judged before the lane is known.
pub(super) fn check_frame(length: usize) -> Result<(), FrameError> {
    let (header, limit) = (LinkFrame::<()>::HEADER, LinkFrame::<()>::MAX_BYTES);
    match length {
        _ if length < header => Err(FrameError::TooShort { length, header }),
        _ if length > limit => Err(FrameError::TooLong { length, limit }),
        _ => Ok(()),
    }
}

pub(super) fn check_version(got: u8) -> Result<(), FrameError> {
    let expected = LinkFrame::<()>::VERSION;
    if got == expected { Ok(()) } else { Err(FrameError::Version { got, expected }) }
}

pub(super) fn lane_of(code: u8) -> Result<Lane, FrameError> {
    Lane::from_code(code).ok_or(FrameError::Lane(code))
}

pub(super) fn check_body(lane: Lane, length: usize) -> Result<(), FrameError> {
    let limit = lane.max_frame();
    if length <= limit { Ok(()) } else { Err(FrameError::TooLarge { lane, length, limit }) }
}
