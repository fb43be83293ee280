//! The canonical codec: postcard with limits, one encoding for every value.
//!
//! postcard alone accepts several encodings of one value (`80 00` is a second form of 0) and ignores
//! trailing bytes. Both would let two different byte strings carry one meaning, so [`Canonical`] decodes,
//! re-encodes and compares.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A value with exactly one encoding.
pub trait Canonical: Serialize + DeserializeOwned {
    /// Name for error messages.
    const NAME: &'static str;

    /// Largest accepted encoding in bytes. Longer input is refused before it is read.
    const MAX_BYTES: usize;

    /// The canonical bytes.
    fn to_canonical(&self) -> Vec<u8> {
        // Serialising plain structs into a growing buffer has no failing path: postcard fails only on
        // unknown lengths and full buffers, and neither occurs with derived implementations.
        #[expect(
            clippy::expect_used,
            reason = "no derived Serialize of this crate can fail into a Vec"
        )]
        postcard::to_stdvec(self).expect("derived Serialize into a growing buffer")
    }

    /// Decodes canonical bytes and refuses every other form of them.
    fn from_canonical(bytes: &[u8]) -> Result<Self, CodecError> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(CodecError::TooLarge {
                what: Self::NAME,
                length: bytes.len(),
                limit: Self::MAX_BYTES,
            });
        }
        let (value, rest) = postcard::take_from_bytes::<Self>(bytes)
            .map_err(|cause| CodecError::Malformed { what: Self::NAME, cause })?;
        if !rest.is_empty() {
            return Err(CodecError::TrailingBytes { what: Self::NAME, count: rest.len() });
        }
        if value.to_canonical() != bytes {
            return Err(CodecError::NotCanonical { what: Self::NAME });
        }
        Ok(value)
    }
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
    use serde::Deserialize;

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
}
