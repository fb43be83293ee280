//! Hostile streams: whatever is pushed, in whatever pieces, one frame at most is held and one error is final.

use proptest::prelude::*;

use crate::lane::Lane;
use crate::limits;
use crate::link::{FrameDecoder, FrameError, LinkFrame};

/// Everything a stream gives when it comes in these pieces, and how it ends.
fn feed<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<LinkFrame>, Result<(), FrameError>) {
    let (mut decoder, mut frames) = (FrameDecoder::new(), Vec::new());
    for mut piece in pieces {
        while !piece.is_empty() {
            match decoder.push(piece) {
                Ok(taken) => {
                    assert!(decoder.buffered() <= limits::FRAME);
                    piece = &piece[taken..];
                    let frame = decoder.next_frame();
                    assert!(taken > 0 || frame.is_some(), "no progress");
                    frames.extend(frame);
                }
                Err(error) => {
                    assert_eq!(decoder.push(b"more"), Err(error), "the first error is final");
                    assert_eq!(decoder.push(b""), Err(error));
                    assert_eq!((decoder.next_frame(), decoder.buffered()), (None, 0));
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, decoder.finish())
}

fn wire(frames: &[LinkFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.write_to_stream(&mut bytes).expect("a small frame");
    }
    bytes
}

fn frames() -> impl Strategy<Value = Vec<LinkFrame>> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let frame = (0u8..5, body).prop_map(|(code, body)| LinkFrame {
        lane: Lane::from_code(code).expect("five lanes"),
        body,
    });
    prop::collection::vec(frame, 0..12)
}

proptest! {
    #[test]
    fn any_pieces_give_the_same_frames(
        frames in frames(),
        garbage in prop::collection::vec(any::<u8>(), 0..20),
        sizes in prop::collection::vec(1usize..9, 1..40),
    ) {
        let bytes = [wire(&frames), garbage].concat();
        let whole = feed([bytes.as_slice()]);
        prop_assert!(whole.0.starts_with(&frames));
        let (mut rest, mut pieces) = (bytes.as_slice(), Vec::new());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(feed(pieces), whole.clone());
        prop_assert_eq!(feed(bytes.chunks(1)), whole);
    }

    #[test]
    fn what_is_read_is_written_alike(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(frame) = LinkFrame::from_bytes(&bytes) {
            prop_assert_eq!(frame.to_bytes(), Ok(bytes));
        }
    }
}

#[test]
fn a_frame_alone_has_two_bytes_before_its_body() {
    let frame = LinkFrame { lane: Lane::Governance, body: &b"ab"[..] };
    assert_eq!(frame.to_bytes().as_deref(), Ok(&[1, 3, b'a', b'b'][..]));
    assert_eq!(frame.stream_header(), Ok([0, 0, 0, 4, 1, 3]));
    assert_eq!(LinkFrame::from_bytes(&[1, 3, b'a', b'b']), Ok(frame));
    let empty = LinkFrame { lane: Lane::Control, body: &b""[..] };
    assert_eq!(LinkFrame::from_bytes(&[1, 0]), Ok(empty));
    let refused = |bytes| LinkFrame::from_bytes(bytes).expect_err("refused");
    assert_eq!(refused(&[]), FrameError::TooShort { length: 0, header: 2 });
    assert_eq!(refused(&[1]), FrameError::TooShort { length: 1, header: 2 });
    assert_eq!(refused(&[0, 3]), FrameError::Version { got: 0, expected: 1 });
    assert_eq!(refused(&[2, 3]), FrameError::Version { got: 2, expected: 1 });
    assert_eq!(refused(&[1, 5]), FrameError::Lane(5));
}

#[test]
fn each_lane_has_its_own_limit() {
    for lane in Lane::ALL {
        let limit = lane.max_frame();
        let mut body = vec![7; limit];
        let bytes = LinkFrame { lane, body: body.as_slice() }.to_bytes().expect("at the limit");
        assert_eq!(LinkFrame::from_bytes(&bytes).map(|frame| frame.body.len()), Ok(limit));
        let mut stream = Vec::new();
        LinkFrame { lane, body: body.as_slice() }.write_to_stream(&mut stream).expect("as above");
        let (frames, end) = feed(stream.chunks(60_000));
        assert_eq!((frames.len(), end), (1, Ok(())));
        body.push(7);
        let length = limit + 1;
        let too_large = FrameError::TooLarge { lane, length, limit };
        assert_eq!(LinkFrame { lane, body: &body }.to_bytes(), Err(too_large));
        assert_eq!(LinkFrame { lane, body: &body }.write_to_stream(&mut stream), Err(too_large));
        let alone = [&[1, lane.code()], body.as_slice()].concat();
        let expected = if limit == limits::FRAME {
            FrameError::TooLong { length: length + 2, limit: limits::FRAME + 2 }
        } else {
            too_large
        };
        assert_eq!(LinkFrame::from_bytes(&alone), Err(expected));
    }
}

#[test]
fn a_length_is_refused_before_anything_is_buffered() {
    for (header, expected) in [
        (
            &[0xFF, 0xFF, 0xFF, 0xFF][..],
            FrameError::TooLong { length: 0xFFFF_FFFF, limit: limits::FRAME + 2 },
        ),
        (&[0, 0, 0, 0], FrameError::TooShort { length: 0, header: 2 }),
        (&[0, 0, 0, 1], FrameError::TooShort { length: 1, header: 2 }),
        (&[0, 0, 0, 9, 9], FrameError::Version { got: 9, expected: 1 }),
        (&[0, 0, 0, 9, 1, 5], FrameError::Lane(5)),
        // 128 KiB and one byte of body, in the control lane.
        (
            &[0, 2, 0, 3, 1, 0],
            FrameError::TooLarge { lane: Lane::Control, length: (128 << 10) + 1, limit: 128 << 10 },
        ),
    ] {
        let mut decoder = FrameDecoder::new();
        assert_eq!(decoder.push(header), Err(expected));
        assert_eq!(decoder.buffered(), 0);
        assert_eq!(decoder.finish(), Err(expected));
    }
}

#[test]
fn a_waiting_frame_holds_back_the_stream() {
    let one = LinkFrame { lane: Lane::Update, body: vec![1; 3] };
    let bytes = wire(&[one.clone(), one.clone()]);
    let mut decoder = FrameDecoder::new();
    assert_eq!(decoder.push(&bytes), Ok(9));
    assert_eq!(decoder.push(&bytes[9..]), Ok(0), "nothing is taken before the frame is");
    assert_eq!(decoder.finish(), Ok(()));
    assert_eq!(decoder.next_frame(), Some(one.clone()));
    assert_eq!(decoder.next_frame(), None);
    assert_eq!(decoder.push(&bytes[9..]), Ok(9));
    assert_eq!(decoder.next_frame(), Some(one));
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let bytes = wire(&[LinkFrame { lane: Lane::Update, body: vec![1; 3] }]);
    for length in 0..=bytes.len() {
        let (frames, end) = feed([&bytes[..length]]);
        // Before the header is whole, only what it lacks is known.
        let missing = match length {
            0 | 9 => 0,
            1..6 => 6 - length,
            _ => 9 - length,
        };
        let expected = if missing == 0 { Ok(()) } else { Err(FrameError::Truncated { missing }) };
        assert_eq!((frames.len(), end), (length / 9, expected), "{length}");
    }
}
