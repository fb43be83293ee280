//! The canonical codec: postcard with limits, one encoding for every value.
//!
//! postcard alone accepts several encodings of one value (`80 00` is a second form of 0) and ignores
//! trailing bytes. Both would let two different byte strings carry one meaning, so [`Canonical`] decodes,
//! encodes again and compares. Neither direction allocates more than the bytes at hand justify, and a type
//! that borrows, such as [`EnvelopeRef`](crate::envelope::EnvelopeRef), allocates nothing.

mod flavors;

use postcard::Deserializer;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use flavors::{Cautious, Comparison, Hashing};

/// A value with exactly one encoding.
pub trait Canonical: Serialize {
    /// Name for error messages.
    const NAME: &'static str;

    /// Largest accepted encoding in bytes. Longer input is refused before it is read.
    const MAX_BYTES: usize;

    /// The canonical bytes. What exceeds [`MAX_BYTES`](Self::MAX_BYTES) is encoded all the same and refused by
    /// every reader.
    ///
    /// # Panics
    /// Never for the types of this crate. An implementor whose `Serialize` fails, or gives sequences without a
    /// length, has no canonical bytes.
    fn to_canonical(&self) -> Vec<u8> {
        encode_into(self, postcard::ser_flavors::StdVec::new())
    }

    /// Writes the canonical bytes into a buffer of the caller and returns the part that holds them.
    fn write_canonical<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b mut [u8], CodecError> {
        let length = buffer.len();
        postcard::to_slice(self, buffer)
            .map_err(|_| CodecError::BufferTooSmall { what: Self::NAME, length })
    }

    /// Feeds the canonical bytes to a hasher, without a buffer of their length.
    fn hash_canonical(&self, hasher: blake3::Hasher) -> blake3::Hasher {
        encode_into(self, Hashing::into_hasher(hasher))
    }

    /// Decodes canonical bytes and refuses every other form of them.
    fn from_canonical<'de>(bytes: &'de [u8]) -> Result<Self, CodecError>
    where
        Self: Deserialize<'de>,
    {
        if bytes.len() > Self::MAX_BYTES {
            return Err(CodecError::TooLarge {
                what: Self::NAME,
                length: bytes.len(),
                limit: Self::MAX_BYTES,
            });
        }
        let malformed = |cause| CodecError::Malformed { what: Self::NAME, cause };
        let mut deserializer = Deserializer::from_flavor(Cautious::new(bytes));
        let value = Self::deserialize(&mut deserializer).map_err(malformed)?;
        let rest = deserializer.finalize().map_err(malformed)?;
        if !rest.is_empty() {
            return Err(CodecError::TrailingBytes { what: Self::NAME, count: rest.len() });
        }
        if !postcard::serialize_with_flavor(&value, Comparison::with(bytes)).unwrap_or(false) {
            return Err(CodecError::NotCanonical { what: Self::NAME });
        }
        Ok(value)
    }
}

fn encode_into<T, F>(value: &T, flavor: F) -> F::Output
where
    T: Serialize + ?Sized,
    F: postcard::ser_flavors::Flavor,
{
    // Serialising plain structs has no failing path: postcard fails only on unknown lengths and full buffers,
    // and neither occurs with derived implementations and flavors that take any length.
    #[expect(
        clippy::expect_used,
        reason = "no derived Serialize of this crate can fail into an unbounded flavor"
    )]
    postcard::serialize_with_flavor(value, flavor).expect("derived Serialize, unbounded flavor")
}

/// Why bytes are not the canonical encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// Longer than the type allows.
    #[error("{what}: {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Type that was expected.
        what: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not an encoding of the type at all.
    #[error("{what}: malformed: {cause}")]
    Malformed {
        /// Type that was expected.
        what: &'static str,
        /// The decoder's reason.
        cause: postcard::Error,
    },
    /// Bytes were left over.
    #[error("{what}: {count} trailing bytes")]
    TrailingBytes {
        /// Type that was expected.
        what: &'static str,
        /// Bytes left over.
        count: usize,
    },
    /// The caller's buffer does not hold the encoding.
    #[error("{what}: the encoding does not fit into the {length} bytes of the buffer")]
    BufferTooSmall {
        /// Type that was encoded.
        what: &'static str,
        /// Bytes of the buffer.
        length: usize,
    },
    /// A second spelling of a value that has another canonical form.
    #[error("{what}: not the canonical encoding of its value")]
    NotCanonical {
        /// Type that was expected.
        what: &'static str,
    },
}

/// Implements [`Canonical`] for a type with its size limit in bytes.
macro_rules! canonical {
    ($($type:ty => $limit:expr),+ $(,)?) => {$(
        impl $crate::codec::Canonical for $type {
            const NAME: &'static str = stringify!($type);
            const MAX_BYTES: usize = $limit;
        }
    )+};
}
pub(crate) use canonical;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u64, Vec<u8>);
    canonical!(Pair => 64);

    #[test]
    fn second_forms_are_refused() {
        let pair = Pair(0, vec![7]);
        let bytes = pair.to_canonical();
        assert_eq!(bytes, [0, 1, 7]);
        assert_eq!(Pair::from_canonical(&bytes), Ok(pair));
        let overlong = [0x80, 0x00, 1, 7];
        assert_eq!(Pair::from_canonical(&overlong), Err(CodecError::NotCanonical { what: "Pair" }));
        let trailing = [0, 1, 7, 0];
        assert_eq!(
            Pair::from_canonical(&trailing),
            Err(CodecError::TrailingBytes { what: "Pair", count: 1 })
        );
        assert!(matches!(Pair::from_canonical(&[0, 9, 7]), Err(CodecError::Malformed { .. })));
        assert!(matches!(
            Pair::from_canonical(&[0; 65]),
            Err(CodecError::TooLarge { length: 65, limit: 64, .. })
        ));
    }

    #[test]
    fn every_way_to_encode_gives_the_same_bytes() {
        for length in [0, 1, 1021, 1022, 1023, 1024, 1025, 5000] {
            let pair = Pair(u64::MAX, (0..length).map(|i: u32| i.to_le_bytes()[0]).collect());
            let bytes = pair.to_canonical();
            let mut buffer = vec![0; bytes.len()];
            let written = pair.write_canonical(&mut buffer).expect("room");
            assert_eq!(written, bytes);
            let hash = pair.hash_canonical(blake3::Hasher::new()).finalize();
            assert_eq!(hash, blake3::hash(&bytes), "{length}");
            let short = bytes.len() - 1;
            let refused = pair.write_canonical(&mut buffer[..short]).map(|_| ());
            let expected = CodecError::BufferTooSmall { what: "Pair", length: short };
            assert_eq!(refused, Err(expected));
        }
    }
}
