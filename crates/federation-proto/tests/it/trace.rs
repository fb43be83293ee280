//! Writes the postcard encoding of a value and says of every byte which field it belongs to.
//!
//! It is a second, independent encoder: that its bytes equal `to_canonical()` for every type is itself a
//! test. What it adds is the list of leaves, which tile the encoding without gap or overlap.

mod serializer;

use std::ops::Range;

use serde::Serialize;

use crate::survey;
use crate::wire_types;
use serializer::Tracer;

/// What a leaf is, and so how its bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One raw byte: `u8` or `i8`.
    Byte,
    /// A varint of so many bits.
    Unsigned(u32),
    /// A zigzag varint of so many bits.
    Signed(u32),
    /// 0 or 1.
    Bool,
    /// 0 for nothing, 1 before something.
    Option,
    /// A varint that chooses a variant.
    Variant {
        /// The enum.
        of: &'static str,
        /// The variant's name.
        name: &'static str,
    },
    /// A varint that counts what follows: items, bytes or map entries.
    Length,
    /// So many raw bytes, as the type says.
    Array(usize),
    /// Raw bytes, as many as the length before them says.
    Bytes,
    /// UTF-8, as many bytes as the length before it says.
    Text,
}

impl Kind {
    /// Its name in vectors, snapshots and documents.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Byte => "u8".into(),
            Self::Unsigned(bits) => format!("u{bits}"),
            Self::Signed(bits) => format!("i{bits}"),
            Self::Bool => "bool".into(),
            Self::Option => "option".into(),
            Self::Variant { of, name } => format!("{of}::{name}"),
            Self::Length => "length".into(),
            Self::Array(length) => format!("[u8; {length}]"),
            Self::Bytes => "bytes".into(),
            Self::Text => "text".into(),
        }
    }
}

/// The smallest part of an encoding that has a meaning of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Where in the value, as `body.receipts[1].signature.r`.
    pub(crate) path: String,
    /// Where in the encoding.
    pub(crate) range: Range<usize>,
    /// What.
    pub(crate) kind: Kind,
}

impl Leaf {
    /// The path with every index left out, so that all items of a list have one.
    pub(crate) fn field(&self) -> String {
        let mut parts = self.path.split('[');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |field, part| {
            let rest = part.split_once(']').map_or(part, |(_, rest)| rest);
            format!("{field}[]{rest}")
        })
    }
}

/// An encoding and its leaves, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// The encoding.
    pub(crate) bytes: Vec<u8>,
    /// Its leaves.
    pub(crate) leaves: Vec<Leaf>,
}

/// Encodes and traces a value.
pub(crate) fn trace<T: Serialize>(value: &T) -> Trace {
    let mut tracer = Tracer::default();
    value.serialize(&mut tracer).expect("every value has a form on the wire");
    tracer.into_trace()
}

/// The one shortest varint of a number: seven bits a byte, lowest first, the top bit says that more follow.
pub(crate) fn varint(mut number: u128) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The number of a varint.
pub(crate) fn unvarint(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |number, byte| number << 7 | u128::from(byte & 0x7f))
}

#[test]
fn the_second_encoder_agrees_for_every_type() {
    for wire in wire_types::all() {
        for seed in 0..200 {
            let drawn = (wire.draw)(seed);
            assert_eq!(drawn.trace.bytes, drawn.canonical, "{} seed {seed}", wire.name);
        }
    }
}

#[test]
fn leaves_tile_the_encoding_and_have_one_path_each() {
    for survey in survey::all() {
        for (seed, drawn) in &survey.covering {
            let mut end = 0;
            let mut paths = std::collections::BTreeSet::new();
            for Leaf { path, range, kind } in &drawn.trace.leaves {
                let what = format!("{} seed {seed} {path}", survey.wire.name);
                assert_eq!(range.start, end, "{what}");
                end = range.end;
                let fresh = paths.insert((path, matches!(kind, Kind::Length)));
                assert!(fresh, "{what} stands twice");
            }
            assert_eq!(end, drawn.canonical.len(), "{} seed {seed}", survey.wire.name);
        }
    }
}

#[test]
fn a_trace_says_what_stands_where() {
    #[derive(Serialize)]
    enum Choice {
        Nothing,
        Pair(u16, bool),
        Named { list: Vec<u64>, bytes: Vec<u8> },
    }
    #[derive(Serialize)]
    struct Whole {
        digest: [u8; 3],
        choices: Vec<Choice>,
        number: i32,
        maybe: Option<&'static str>,
    }
    let value = Whole {
        digest: [9, 8, 7],
        choices: vec![
            Choice::Nothing,
            Choice::Pair(300, true),
            Choice::Named { list: vec![5], bytes: vec![1, 2] },
        ],
        number: -65,
        maybe: Some("ab"),
    };
    let trace = trace(&value);
    assert_eq!(trace.bytes, postcard::to_stdvec(&value).expect("an encoding"));
    let lines: Vec<String> = trace
        .leaves
        .iter()
        .map(|leaf| {
            let bytes = &trace.bytes[leaf.range.clone()];
            format!("{} {} {bytes:?} {}", leaf.range.start, leaf.path, leaf.kind.label())
        })
        .collect();
    let expected = [
        "0 digest [9, 8, 7] [u8; 3]",
        "3 choices.len [3] length",
        "4 choices[0] [0] Choice::Nothing",
        "5 choices[1] [1] Choice::Pair",
        "6 choices[1].Pair[0] [172, 2] u16",
        "8 choices[1].Pair[1] [1] bool",
        "9 choices[2] [2] Choice::Named",
        "10 choices[2].Named.list.len [1] length",
        "11 choices[2].Named.list[0] [5] u64",
        "12 choices[2].Named.bytes.len [2] length",
        "13 choices[2].Named.bytes [1, 2] bytes",
        "15 number [129, 1] i32",
        "17 maybe? [1] option",
        "18 maybe.len [2] length",
        "19 maybe [97, 98] text",
    ];
    assert_eq!(lines, expected);
    let fields: Vec<String> = trace.leaves.iter().map(Leaf::field).collect();
    assert_eq!(fields[8], "choices[].Named.list[]");
}
