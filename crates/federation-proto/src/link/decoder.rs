//! Frames out of a stream of bytes that comes in pieces of any size.

use super::frame::{FrameError, LinkFrame, check_body, check_frame, check_version, lane_of};
use crate::lane::Lane;

/// Room first made for a body; more only when that much has come. A peer pays for memory in bytes sent.
const FIRST_ROOM: usize = 4 << 10;

/// Cuts a stream into frames, without I/O.
///
/// It holds one frame at most and never more bytes than the length prefix announced. Each of the six header
/// bytes is judged as soon as it is there, before any byte of the body is kept. The first error is final: a
/// stream has no place at which to start again, so every later push gives the same error.
///
/// ```
/// use federation_proto::link::{FrameDecoder, FrameError, LinkFrame};
///
/// fn receive(decoder: &mut FrameDecoder, mut bytes: &[u8]) -> Result<Vec<LinkFrame>, FrameError> {
///     let mut frames = Vec::new();
///     while !bytes.is_empty() {
///         let taken = decoder.push(bytes)?;
///         bytes = bytes.get(taken..).unwrap_or_default();
///         frames.extend(decoder.next_frame());
///     }
///     Ok(frames)
/// }
/// # let mut wire = Vec::new();
/// # for body in [&b"one"[..], b"", b"three"] {
/// #     let frame = LinkFrame { lane: federation_proto::Lane::Update, body };
/// #     frame.write_to_stream(&mut wire)?;
/// # }
/// # let mut decoder = FrameDecoder::new();
/// # let bodies: Vec<_> = receive(&mut decoder, &wire)?.into_iter().map(|frame| frame.body).collect();
/// # assert_eq!(bodies, [&b"one"[..], b"", b"three"]);
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Collecting length, version and lane.
    Header(Vec<u8>),
    /// Collecting a body of `length` bytes.
    Body { lane: Lane, length: usize, body: Vec<u8> },
    /// A whole frame waits to be taken.
    Ready(LinkFrame),
    /// The first error.
    Poisoned(FrameError),
}

/// Bytes before a body: its length prefix and the frame's own header.
const HEADER: usize = LinkFrame::<()>::PREFIX + LinkFrame::<()>::HEADER;

impl State {
    const START: Self = Self::Header(Vec::new());
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// At the beginning of a stream.
    pub const fn new() -> Self {
        Self { state: State::START }
    }

    /// Takes bytes up to the end of the frame they belong to, and says how many. The rest is to be pushed
    /// again after [`next_frame`](Self::next_frame); while a frame waits, nothing is taken. So a whole frame
    /// must be fetched before more can come in, and the reader of the stream feels the pressure.
    ///
    /// # Errors
    /// The first [`FrameError`] of the stream, now and for ever.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let mut rest = bytes;
        loop {
            match self.advance(&mut rest) {
                Ok(true) => {}
                Ok(false) => return Ok(bytes.len() - rest.len()),
                Err(error) => {
                    // Drops what was buffered.
                    self.state = State::Poisoned(error);
                    return Err(error);
                }
            }
        }
    }

    /// The frame that is complete, if there is one.
    pub fn next_frame(&mut self) -> Option<LinkFrame> {
        match core::mem::replace(&mut self.state, State::START) {
            State::Ready(frame) => Some(frame),
            state => {
                self.state = state;
                None
            }
        }
    }

    /// Bytes held: of a header, or of a body.
    pub fn buffered(&self) -> usize {
        match &self.state {
            State::Header(bytes) => bytes.len(),
            State::Body { body, .. } => body.len(),
            State::Ready(frame) => frame.body.len(),
            State::Poisoned(_) => 0,
        }
    }

    /// To be asked when the stream ends: whether it may end here.
    ///
    /// # Errors
    /// [`Truncated`](FrameError::Truncated) inside a frame, or the error that came before.
    pub fn finish(&self) -> Result<(), FrameError> {
        let missing = match &self.state {
            State::Poisoned(error) => return Err(*error),
            State::Ready(_) => 0,
            State::Header(bytes) if bytes.is_empty() => 0,
            State::Header(bytes) => HEADER - bytes.len(),
            State::Body { length, body, .. } => length - body.len(),
        };
        if missing == 0 { Ok(()) } else { Err(FrameError::Truncated { missing }) }
    }

    /// One step; says whether another may follow.
    fn advance(&mut self, rest: &mut &[u8]) -> Result<bool, FrameError> {
        match &mut self.state {
            State::Poisoned(error) => Err(*error),
            State::Ready(_) => Ok(false),
            State::Header(header) => {
                let Some((byte, after)) = rest.split_first() else { return Ok(false) };
                *rest = after;
                header.push(*byte);
                if let Some((lane, length)) = judge(header)? {
                    self.state = State::Body { lane, length, body: Vec::new() };
                }
                Ok(true)
            }
            State::Body { lane, length, body } => {
                let wanted = (*length - body.len()).min(rest.len());
                let (taken, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
                *rest = after;
                make_room(body, taken.len(), *length);
                body.extend_from_slice(taken);
                if body.len() < *length {
                    return Ok(false);
                }
                let frame = LinkFrame { lane: *lane, body: core::mem::take(body) };
                self.state = State::Ready(frame);
                Ok(false)
            }
        }
    }
}

/// Judges the header bytes so far; whole, they tell the lane and the length of the body.
fn judge(header: &[u8]) -> Result<Option<(Lane, usize)>, FrameError> {
    let [a, b, c, d, rest @ ..] = header else { return Ok(None) };
    let frame = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
    check_frame(frame)?;
    let [version, rest @ ..] = rest else { return Ok(None) };
    check_version(*version)?;
    let [lane] = rest else { return Ok(None) };
    let lane = lane_of(*lane)?;
    // At least the header: a shorter frame was refused above.
    let length = frame - LinkFrame::<()>::HEADER;
    check_body(lane, length)?;
    Ok(Some((lane, length)))
}

/// Doubles the room as bytes come, and never makes more than the body will have.
fn make_room(body: &mut Vec<u8>, more: usize, length: usize) {
    let needed = body.len() + more;
    if needed > body.capacity() {
        let room = needed.max(body.capacity() * 2).max(FIRST_ROOM).min(length);
        body.reserve_exact(room - body.len());
    }
}
