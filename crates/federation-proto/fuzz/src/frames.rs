//! A stream gives the same frames and the same end however it is cut; no stream makes the decoder hold more
//! than one frame.
//!
//! The first eight bytes of the input are sizes of pieces, used in turn; the rest is the stream.

use federation_proto::limits;
use federation_proto::link::{FrameDecoder, FrameError, LinkFrame};

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

    let (frames, _) = whole;
    let mut written = Vec::new();
    for frame in &frames {
        frame.write_to_stream(&mut written).expect("what was read can be written");
        let alone = frame.to_bytes().expect("what was read can be written");
        let read = LinkFrame::from_bytes(&alone).expect("a frame alone is read as in a stream");
        assert_eq!((read.lane, read.body), (frame.lane, frame.body.as_slice()));
    }
    assert!(stream.starts_with(&written), "a second encoding was accepted");
}

/// Every frame, and how the stream ends.
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
