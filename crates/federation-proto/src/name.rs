//! Short printable names from outside, limited before they are used.

use core::fmt;
use core::str::FromStr;

use arrayvec::ArrayString;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// A name of 1 to 64 characters out of `a–z 0–9 . _ -`, the first a letter or digit: safe as one component of a
/// path, as an argument, in notes, tables and logs.
///
/// It is stored inline, so that reading a message with names allocates nothing for them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(ArrayString<{ Name::MAX_CHARACTERS }>);

/// Why a text is no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty or longer than 64 characters.
    #[error("a name has 1 to 64 characters, got {0}")]
    Length(usize),
    /// It begins like an option or a hidden or parent directory.
    #[error("a name begins with a-z or 0-9, got {0:?}")]
    First(char),
    /// A character outside the allowed set.
    #[error("a name has only a-z, 0-9, '.', '_' and '-', got {0:?}")]
    Character(char),
}

impl Name {
    /// Most characters of a name.
    pub const MAX_CHARACTERS: usize = 64;

    /// Checks and wraps a text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(NameError::Length(0));
        }
        let inline = ArrayString::from(text).map_err(|_| NameError::Length(text.len()))?;
        let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(*c);
        if let Some(c) = text.chars().find(|c| !allowed(c)) {
            return Err(NameError::Character(c));
        }
        match text.chars().next().filter(|c| !c.is_ascii_alphanumeric()) {
            Some(c) => Err(NameError::First(c)),
            None => Ok(Self(inline)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Checked;

        impl Visitor<'_> for Checked {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name of 1 to 64 characters a-z, 0-9, '.', '_' and '-', beginning with a-z or 0-9")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                Name::new(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Checked)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_limited() {
        assert!(Name::new("site-a.eu_1").is_ok());
        assert_eq!(Name::new(""), Err(NameError::Length(0)));
        assert_eq!(Name::new("x".repeat(65)), Err(NameError::Length(65)));
        assert_eq!(Name::new("a/b"), Err(NameError::Character('/')));
        assert_eq!(Name::new("A"), Err(NameError::Character('A')));
        for (text, first) in [("..", '.'), (".hidden", '.'), ("-rf", '-'), ("_", '_')] {
            assert_eq!(Name::new(text), Err(NameError::First(first)), "{text}");
        }
        assert!(Name::new("0.1-rc_2").is_ok());
    }
}
