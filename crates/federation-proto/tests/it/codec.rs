//! Hostile bytes: whatever is decoded has exactly these bytes, and a forged byte never verifies.

use federation_proto::codec::CodecError;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::survey::{self, Survey};
use crate::wire_types::{Reading, WireType};

/// A canonical type with a telling value and its shortest, signed properly where it is signed.
struct Sample {
    wire: WireType,
    encodings: Vec<Vec<u8>>,
}

/// Every canonical type. `wire_types::every_canonical_type_is_listed` keeps it complete.
fn samples() -> Vec<Sample> {
    let sample = |survey: &Survey| {
        let values = [survey.telling(400), &survey.shortest];
        let encodings = values.map(|(_, drawn)| drawn.canonical.clone()).into();
        Sample { wire: survey.wire, encodings }
    };
    survey::all().iter().map(sample).collect()
}

/// The law of the codec for any bytes whatever.
fn check(sample: &Sample, bytes: &[u8]) -> Result<(), String> {
    let Reading::Value { reencoded, verdict } = (sample.wire.read)(bytes) else {
        return Ok(());
    };
    let name = sample.wire.name;
    if reencoded != bytes {
        return Err(format!("{name}: a second encoding was accepted"));
    }
    let authentic = sample.encodings.iter().any(|original| original == bytes);
    match verdict {
        Some(verdict) if verdict.is_ok() != authentic => {
            Err(format!("{name}: {verdict:?} where authentic is {authentic}"))
        }
        _ => Ok(()),
    }
}

#[test]
fn originals_are_read_back_and_verify() {
    for sample in samples() {
        for bytes in &sample.encodings {
            match (sample.wire.read)(bytes) {
                Reading::Refused(error) => panic!("{error}"),
                Reading::Value { reencoded, verdict } => {
                    assert_eq!(&reencoded, bytes, "{}", sample.wire.name);
                    assert_eq!(verdict.unwrap_or(Ok(())), Ok(()), "{}", sample.wire.name);
                }
            }
        }
    }
}

#[test]
fn every_single_bit_flip_keeps_the_law() {
    for sample in samples() {
        let Some(original) = sample.encodings.first() else {
            panic!("{} has no value", sample.wire.name)
        };
        let mut bytes = original.clone();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                bytes[position] ^= 1 << bit;
                if let Err(broken) = check(&sample, &bytes) {
                    panic!("bit {bit} of byte {position}: {broken}");
                }
                bytes[position] ^= 1 << bit;
            }
        }
    }
}

#[test]
fn truncated_and_extended_bytes_are_refused() {
    for sample in samples() {
        for original in &sample.encodings {
            for length in 0..original.len() {
                let outcome = (sample.wire.read)(&original[..length]);
                let refused = matches!(outcome, Reading::Refused(CodecError::Malformed { what, .. }) if what == sample.wire.name);
                assert!(refused, "{}: {length} bytes were taken", sample.wire.name);
            }
            let extended = [original.as_slice(), &[0]].concat();
            let expected = CodecError::TrailingBytes { what: sample.wire.name, count: 1 };
            let Reading::Refused(error) = (sample.wire.read)(&extended) else {
                panic!("{}: a trailing byte was taken", sample.wire.name)
            };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn the_bytes_of_every_type_are_read_as_every_other() {
    for donor in samples() {
        for bytes in &donor.encodings {
            for sample in samples() {
                if let Err(broken) = check(&sample, bytes) {
                    panic!("bytes of {}: {broken}", donor.wire.name);
                }
            }
        }
    }
}

#[test]
fn oversized_bytes_are_refused_by_length_alone() {
    for sample in samples() {
        let length = sample.wire.max_bytes + 1;
        let Reading::Refused(error) = (sample.wire.read)(&vec![0xff; length]) else {
            panic!("{}: {length} bytes were taken", sample.wire.name)
        };
        let expected =
            CodecError::TooLarge { what: sample.wire.name, length, limit: sample.wire.max_bytes };
        assert_eq!(error, expected);
    }
}

/// One way to spoil an encoding. Positions are relative, so they fit every length.
#[derive(Clone, Debug)]
enum Mutation {
    Flip { at: Index, mask: u8 },
    Truncate { to: Index },
    Extend { with: Vec<u8> },
    Insert { at: Index, with: Vec<u8> },
    Remove { from: Index, to: Index },
    Splice { donor: Index, at: Index },
    Overwrite { at: Index, with: &'static [u8] },
    Repeat { from: Index, to: Index },
}

/// Bytes that a decoder may stumble over: second forms of numbers, the largest numbers, one bit too many.
const TREACHEROUS: [&[u8]; 7] = [
    &[0x80, 0x00],
    &[0xff, 0x00],
    &[0xff, 0xff, 0x03],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0x1f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
];

impl Mutation {
    fn apply(&self, mut bytes: Vec<u8>, encodings: &[Vec<u8>]) -> Vec<u8> {
        let room = bytes.len() + 1;
        match self {
            Self::Flip { at, mask } => {
                let at = at.index(room);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Truncate { to } => bytes.truncate(to.index(room)),
            Self::Extend { with } => bytes.extend(with),
            Self::Insert { at, with } => {
                let at = at.index(room);
                bytes.splice(at..at, with.iter().copied());
            }
            Self::Remove { from, to } => {
                let (a, b) = (from.index(room), to.index(room));
                bytes.drain(a.min(b)..a.max(b));
            }
            Self::Splice { donor, at } => {
                // The head of this value with the tail of another, authentic one.
                let donor = donor.get(encodings);
                let at = at.index(room.min(donor.len() + 1));
                bytes.truncate(at);
                bytes.extend(&donor[at..]);
            }
            Self::Overwrite { at, with } => {
                let at = at.index(room);
                let end = bytes.len().min(at + with.len());
                bytes.splice(at..end, with.iter().copied());
            }
            Self::Repeat { from, to } => {
                let (a, b) = (from.index(room), to.index(room));
                let (a, b) = (a.min(b), a.max(b));
                let again = bytes[a..b].to_vec();
                bytes.splice(b..b, again);
            }
        }
        bytes
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    let some_bytes = || prop::collection::vec(any::<u8>(), 1..12);
    prop_oneof![
        (index(), 1u8..).prop_map(|(at, mask)| Mutation::Flip { at, mask }),
        index().prop_map(|to| Mutation::Truncate { to }),
        some_bytes().prop_map(|with| Mutation::Extend { with }),
        (index(), some_bytes()).prop_map(|(at, with)| Mutation::Insert { at, with }),
        (index(), index()).prop_map(|(from, to)| Mutation::Remove { from, to }),
        (index(), index()).prop_map(|(donor, at)| Mutation::Splice { donor, at }),
        (index(), prop::sample::select(TREACHEROUS.as_slice()))
            .prop_map(|(at, with)| Mutation::Overwrite { at, with }),
        (index(), index()).prop_map(|(from, to)| Mutation::Repeat { from, to }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_encodings_keep_the_law(
        original in any::<Index>(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        // Every type sees every case: the same spoiling hits a hello and a genesis.
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            for sample in samples {
                let mut bytes = original.get(&sample.encodings).clone();
                for mutation in &mutations {
                    bytes = mutation.apply(bytes, &sample.encodings);
                }
                if let Err(broken) = check(sample, &bytes) {
                    return Err(TestCaseError::fail(broken));
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn arbitrary_bytes_keep_the_law(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        thread_local!(static SAMPLES: Vec<Sample> = samples());
        SAMPLES.with(|samples| {
            samples.iter().try_for_each(|sample| check(sample, &bytes).map_err(TestCaseError::fail))
        })?;
    }
}
