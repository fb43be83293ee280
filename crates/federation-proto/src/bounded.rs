//! Byte strings and texts whose length is limited by their type, wherever they stand in a message.

use core::fmt;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// More bytes than a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{length} bytes, the limit of this field is {limit}")]
pub struct TooLong {
    /// Bytes given.
    pub length: usize,
    /// Bytes allowed.
    pub limit: usize,
}

const fn limited(length: usize, limit: usize) -> Result<(), TooLong> {
    if length > limit { Err(TooLong { length, limit }) } else { Ok(()) }
}

/// At most `MAX` bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bytes<const MAX: usize>(#[serde(with = "serde_bytes")] Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// Checks and wraps bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        limited(bytes.len(), MAX)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limited<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for Limited<MAX> {
            type Value = Bytes<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                // Compared before anything is copied.
                limited(bytes.len(), MAX).map_err(E::custom)?;
                Ok(Bytes(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Limited::<MAX>)
    }
}

/// A text of at most `MAX` bytes of UTF-8 without control characters, so that it cannot forge a line of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Text<const MAX: usize>(String);

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// Too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A control character.
    #[error("control character {0:?} in a text")]
    Control(char),
}

impl<const MAX: usize> Text<MAX> {
    /// Checks and wraps a text.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        limited(text.len(), MAX)?;
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(TextError::Control(control)),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        limited(text.len(), MAX).map_err(D::Error::custom)?;
        Self::new(text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_limited_on_both_ways_in() {
        let refused = Bytes::<3>::new(vec![0; 4]);
        assert_eq!(refused, Err(TooLong { length: 4, limit: 3 }));
        let four = postcard::to_stdvec(&Bytes::<4>::new(vec![7; 4]).expect("fits")).expect("bytes");
        assert!(postcard::from_bytes::<Bytes<3>>(&four).is_err());
        assert_eq!(postcard::from_bytes::<Bytes<4>>(&four).map(|b| b.0), Ok(vec![7; 4]));
        let text = postcard::to_stdvec("abcd").expect("text");
        assert!(postcard::from_bytes::<Text<3>>(&text).is_err());
        assert_eq!(postcard::from_bytes::<Text<4>>(&text).map(|t| t.0), Ok("abcd".to_owned()));
    }

    #[test]
    fn a_text_forges_no_line() {
        assert_eq!(Text::<9>::new("a\nb"), Err(TextError::Control('\n')));
        let forged = postcard::to_stdvec("a\nb").expect("text");
        assert!(postcard::from_bytes::<Text<9>>(&forged).is_err());
    }
}
