//! A stream gives the same frames and the same end however it is cut; no stream makes the decoder hold more
//! than one frame; and both are what the format, read by hand from the whole stream, says.
//!
//! The first eight bytes of the input are sizes of pieces, used in turn; the rest is the stream.

use federation_proto::link::{FrameDecoder, FrameError, LinkFrame};
use federation_proto::{Lane, limits};

/// Sizes of pieces at the head of an input.
pub const SIZES: usize = 8;

/// Feeds the stream in one piece and in many.
pub fn check(input: &[u8]) {
    let Some((sizes, stream)) = input.split_first_chunk::<SIZES>() else { return };
    let whole = feed(std::iter::once(stream));
    let mut rest = stream;
    let pieces = sizes.iter().cycle().map_while(|size| {
        let size = (usize::from(*size) + 1).min(rest.len());
        let (piece, after) = rest.split_at_checked(size).filter(|(piece, _)| !piece.is_empty())?;
        rest = after;
        Some(piece)
    });
    assert_eq!(feed(pieces), whole, "pieces changed what was read");

    let (frames, end) = whole;
    let (expected, ending) = read(stream);
    assert!(frames.iter().map(|frame| frame.body.as_slice()).eq(expected), "other frames");
    let got = match end {
        Ok(()) => Ending::Clean,
        Err(FrameError::Truncated { .. }) => Ending::Truncated,
        Err(_) => Ending::Refused,
    };
    assert_eq!(got, ending, "{end:?}");

    let mut written = Vec::new();
    for frame in &frames {
        frame.write_to_stream(&mut written).expect("what was read can be written");
        let alone = frame.to_bytes().expect("what was read can be written");
        let read = LinkFrame::from_bytes(&alone).expect("a frame alone is read as in a stream");
        assert_eq!((read.lane, read.body), (frame.lane, frame.body.as_slice()));
    }
    assert!(stream.starts_with(&written), "a second encoding was accepted");
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Clean,
    Truncated,
    Refused,
}

/// The format read by hand, from the whole stream: the bodies, and how it ends.
fn read(mut stream: &[u8]) -> (Vec<&[u8]>, Ending) {
    let mut bodies = Vec::new();
    loop {
        let Some((length, after)) = stream.split_first_chunk::<4>() else {
            return (bodies, if stream.is_empty() { Ending::Clean } else { Ending::Truncated });
        };
        let length = u64::from(u32::from_be_bytes(*length));
        let lane = after.get(1).map(|code| Lane::from_code(*code));
        let limit = match lane {
            Some(Some(lane)) => lane.max_frame(),
            // Not there yet: no lane allows more than this.
            None => limits::FRAME,
            Some(None) => 0,
        };
        let is_refused = length < 2
            || length > limit as u64 + 2
            || lane == Some(None)
            || after.first().is_some_and(|version| *version != 1);
        if is_refused {
            return (bodies, Ending::Refused);
        }
        let frame = after.split_at_checked(length as usize);
        let Some((frame, rest)) = frame else { return (bodies, Ending::Truncated) };
        bodies.extend(frame.get(2..));
        stream = rest;
    }
}

/// Every frame, and how the decoder says that the stream ends.
fn feed<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> (Vec<LinkFrame>, Result<(), FrameError>) {
    let (mut decoder, mut frames) = (FrameDecoder::new(), Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = match decoder.push(piece) {
                Ok(taken) => taken,
                Err(error) => {
                    assert_eq!(decoder.push(piece), Err(error), "the first error is final");
                    assert_eq!(decoder.buffered(), 0);
                    return (frames, Err(error));
                }
            };
            assert!(decoder.buffered() <= limits::FRAME);
            let frame = decoder.next_frame();
            assert!(taken > 0 || frame.is_some(), "no progress");
            piece = piece.get(taken..).expect("no more is taken than was given");
            frames.extend(frame);
        }
    }
    (frames, decoder.finish())
}
