//! Byte strings, texts and lists whose length is limited where they stand, however deep in a message.
//!
//! The limit of a type is checked on whole messages only. What is nested keeps its size by these.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// More bytes or elements than a field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("length {length}, the limit of this field is {limit}")]
pub struct TooLong {
    /// How many came.
    pub length: usize,
    /// How many are allowed.
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

/// A text of at most `MAX` bytes of UTF-8 without characters that forge a line of a log or turn its reading
/// around: controls, line and paragraph separators, directional marks [Unicode TR36 §2.5].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Text<const MAX: usize>(String);

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// Too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// A control, separator or directional character.
    #[error("character {0:?} controls how a text is shown")]
    Control(char),
}

impl<const MAX: usize> Text<MAX> {
    /// Checks and wraps a text.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        limited(text.len(), MAX)?;
        match text.chars().find(|c| controls_display(*c)) {
            Some(control) => Err(TextError::Control(control)),
            None => Ok(Self(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn controls_display(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limited<const MAX: usize>;

        impl<const MAX: usize> Visitor<'_> for Limited<MAX> {
            type Value = Text<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of at most {MAX} bytes without control characters")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                limited(text.len(), MAX).map_err(E::custom)?;
                Text::new(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Limited::<MAX>)
    }
}

/// Decodes a list of at most `MAX` elements, for `#[serde(deserialize_with)]`: an element may take many times
/// its encoding in memory, so their number is limited before they are decoded and not after.
pub fn list<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Limited<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Limited<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::custom(TooLong { length: MAX + 1, limit: MAX }));
                }
                list.push(element);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Limited::<T, MAX>(PhantomData))
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
        for mark in ['\u{2028}', '\u{202e}', '\u{2067}', '\u{200f}', '\u{7f}', '\u{85}'] {
            assert_eq!(Text::<9>::new(format!("a{mark}")), Err(TextError::Control(mark)));
        }
        assert!(Text::<9>::new("Zürich ∎").is_err(), "eleven bytes");
        assert!(Text::<12>::new("Zürich ∎").is_ok());
    }

    #[test]
    fn a_list_has_its_limit() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Short(#[serde(deserialize_with = "list::<_, _, 2>")] Vec<u8>);
        assert_eq!(postcard::from_bytes(&[2, 7, 8]), Ok(Short(vec![7, 8])));
        assert!(postcard::from_bytes::<Short>(&[3, 7, 8, 9]).is_err());
    }
}
