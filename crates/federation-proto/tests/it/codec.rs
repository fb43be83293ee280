//! Hostile bytes: whatever is decoded has exactly these bytes, and a forged byte never verifies.

use federation_proto::codec::CodecError;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::samples::{self, Outcome, Sample};
use crate::survey;
use crate::wire_types::{Reading, WireType};

/// The law of the codec for any bytes whatever.
fn check(sample: &Sample, bytes: &[u8]) -> Result<(), String> {
    let Outcome::Decoded { reencoded, verifies } = (sample.read)(bytes) else {
        return Ok(());
    };
    if reencoded != bytes {
        return Err(format!("{}: a second encoding was accepted", sample.name));
    }
    let authentic = sample.encodings.iter().any(|original| original == bytes);
    match verifies {
        Some(verified) if verified != authentic => {
            Err(format!("{}: verified is {verified} where authentic is {authentic}", sample.name))
        }
        _ => Ok(()),
    }
}

/// The fixed values, and of every canonical type a short and a telling drawn one.
fn specimens() -> Vec<Sample> {
    let drawn = survey::all().iter().map(|survey| {
        let WireType { name, max_bytes, read, .. } = survey.wire;
        let values = [survey.telling(400), &survey.shortest];
        let read = move |bytes: &[u8]| match read(bytes) {
            Reading::Refused(error) => Outcome::Refused(error),
            Reading::Value { reencoded, verdict } => {
                let verifies = verdict.map(|verdict| verdict.is_ok());
                Outcome::Decoded { reencoded, verifies }
            }
        };
        let encodings = values.map(|(_, drawn)| drawn.canonical.clone()).into();
        Sample { name, max_bytes, encodings, read: Box::new(read) }
    });
    samples::all().into_iter().chain(drawn).collect()
}

#[test]
fn originals_are_read_back_and_verify() {
    for sample in specimens() {
        for bytes in &sample.encodings {
            match (sample.read)(bytes) {
                Outcome::Refused(error) => panic!("{error}"),
                Outcome::Decoded { reencoded, verifies } => {
                    assert_eq!(&reencoded, bytes, "{}", sample.name);
                    assert_ne!(verifies, Some(false), "{}", sample.name);
                }
            }
        }
    }
}

#[test]
fn every_single_bit_flip_keeps_the_law() {
    for sample in specimens() {
        let Some(original) = sample.encodings.first() else {
            panic!("{} has no value", sample.name)
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
    for sample in specimens() {
        for original in &sample.encodings {
            for length in 0..original.len() {
                let outcome = (sample.read)(&original[..length]);
                let refused = matches!(outcome, Outcome::Refused(CodecError::Malformed { what, .. }) if what == sample.name);
                assert!(refused, "{}: {length} bytes were taken", sample.name);
            }
            let extended = [original.as_slice(), &[0]].concat();
            let expected = CodecError::TrailingBytes { what: sample.name, count: 1 };
            let Outcome::Refused(error) = (sample.read)(&extended) else {
                panic!("{}: a trailing byte was taken", sample.name)
            };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn the_bytes_of_every_type_are_read_as_every_other() {
    let all = specimens();
    for donor in &all {
        for bytes in &donor.encodings {
            for sample in &all {
                if let Err(broken) = check(sample, bytes) {
                    panic!("bytes of {}: {broken}", donor.name);
                }
            }
        }
    }
}

#[test]
fn oversized_bytes_are_refused_by_length_alone() {
    for sample in specimens() {
        let length = sample.max_bytes + 1;
        let Outcome::Refused(error) = (sample.read)(&vec![0xff; length]) else {
            panic!("{}: {length} bytes were taken", sample.name)
        };
        let expected = CodecError::TooLarge { what: sample.name, length, limit: sample.max_bytes };
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
        thread_local!(static SAMPLES: Vec<Sample> = specimens());
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
        thread_local!(static SAMPLES: Vec<Sample> = specimens());
        SAMPLES.with(|samples| {
            samples.iter().try_for_each(|sample| check(sample, &bytes).map_err(TestCaseError::fail))
        })?;
    }
}
