//! Canonical JSON: every document has exactly one text.
//!
//! A document is rendered by `serde_json`'s pretty printer with one final newline. A reader parses it into
//! its type, renders that again and compares bytes. So a byte order mark, another key order, escapes that
//! need not be, a second document or a number spelt differently are all refused, and the signature over the
//! bytes is a signature over the meaning. Integers of 64 bits are strings: JavaScript readers round larger
//! numbers than 2⁵³ silently.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use thiserror::Error;

/// A document of the artifacts.
pub trait Document: Serialize + DeserializeOwned {
    /// Value of its `schema` field.
    const SCHEMA: &'static str;
    /// Value of its `schema_version` field.
    const VERSION: u32;
    /// Largest accepted text in bytes.
    const MAX_BYTES: usize;
}

/// What is wrong with the text of a document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JsonProblem {
    /// Longer than the document may be.
    #[error("{length} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not one JSON text: syntax, byte order mark, trailing document, too deep nesting, repeated key.
    #[error("line {line} column {column}: {reason}")]
    Encoding {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's reason.
        reason: String,
    },
    /// JSON, but not of the document's shape: an unknown or missing field, another type.
    #[error("line {line} column {column}: {reason}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's reason.
        reason: String,
    },
    /// Another kind of document.
    #[error("schema {found:?}, expected {expected:?}")]
    Schema {
        /// The schema this place holds.
        expected: &'static str,
        /// The schema named.
        found: String,
    },
    /// Another version of the document.
    #[error("schema_version {found}, expected {expected}")]
    Version {
        /// The version that is understood.
        expected: u32,
        /// The version named.
        found: String,
    },
    /// The same value, spelt another way.
    #[error("line {line} is not the canonical text: expected {expected}, found {found}")]
    NotCanonical {
        /// First line that differs, from 1.
        line: usize,
        /// The canonical line, quoted, or the end of the file.
        expected: String,
        /// The line found, quoted, or the end of the file.
        found: String,
    },
}

/// A document as far as it could be read. Both may be there: a value in another spelling.
#[derive(Clone, Debug)]
pub struct Reading<T> {
    /// The value, when the text has the right shape.
    pub value: Option<T>,
    /// What is wrong with the text.
    pub problem: Option<JsonProblem>,
}

/// The canonical text of a document.
pub fn render<T: Serialize>(document: &T) -> String {
    // Plain structs with string keys: the serialiser has nothing to refuse.
    #[expect(clippy::expect_used, reason = "derived Serialize with string keys into a String")]
    let mut text = serde_json::to_string_pretty(document).expect("plain structs serialise");
    text.push('\n');
    text
}

/// Reads a document strictly. What has the right shape is returned even when its spelling is refused, so
/// that an audit can go on to what the value says.
pub fn read<T: Document>(bytes: &[u8]) -> Reading<T> {
    let refuse = |problem| Reading { value: None, problem: Some(problem) };
    if bytes.len() > T::MAX_BYTES {
        return refuse(JsonProblem::TooLarge { length: bytes.len(), limit: T::MAX_BYTES });
    }
    if let Err(problem) = probe::<T>(bytes) {
        return refuse(problem);
    }
    match serde_json::from_slice::<T>(bytes) {
        Err(cause) => refuse(classify(&cause)),
        Ok(value) => {
            let problem = compare_text(&render(&value), bytes);
            Reading { value: Some(value), problem }
        }
    }
}

/// Name and version come first: a later version need not have the shape that this reader knows.
fn probe<T: Document>(bytes: &[u8]) -> Result<(), JsonProblem> {
    #[derive(serde::Deserialize)]
    struct Probe {
        schema: Option<serde_json::Value>,
        schema_version: Option<serde_json::Value>,
    }
    let probe: Probe = serde_json::from_slice(bytes).map_err(|cause| classify(&cause))?;
    let show = |value: Option<serde_json::Value>| match value {
        None => "none".to_owned(),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    let (schema, version) = (show(probe.schema), show(probe.schema_version));
    if schema != T::SCHEMA {
        return Err(JsonProblem::Schema { expected: T::SCHEMA, found: schema });
    }
    if version != T::VERSION.to_string() {
        return Err(JsonProblem::Version { expected: T::VERSION, found: version });
    }
    Ok(())
}

fn classify(cause: &serde_json::Error) -> JsonProblem {
    let (line, column, reason) = (cause.line(), cause.column(), cause.to_string());
    // serde reports a repeated key as a matter of shape, but it is one value with two spellings.
    if cause.classify() == Category::Data && !reason.starts_with("duplicate field") {
        JsonProblem::Shape { line, column, reason }
    } else {
        JsonProblem::Encoding { line, column, reason }
    }
}

fn compare_text(canonical: &str, bytes: &[u8]) -> Option<JsonProblem> {
    if canonical.as_bytes() == bytes {
        return None;
    }
    let found = String::from_utf8_lossy(bytes);
    let (mut ours, mut theirs) = (canonical.split('\n'), found.split('\n'));
    for line in 1.. {
        let (expected, found) = (ours.next(), theirs.next());
        if expected != found || expected.is_none() {
            let show = |text: Option<&str>| match text {
                Some(text) => format!("{:?}", text.chars().take(120).collect::<String>()),
                None => "the end of the file".to_owned(),
            };
            let (expected, found) = (show(expected), show(found));
            return Some(JsonProblem::NotCanonical { line, expected, found });
        }
    }
    None
}

/// `#[serde(with = "text")]`: a value as the one string that `Display` writes and `FromStr` reads.
pub(crate) mod text {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        text.parse().map_err(|cause| D::Error::custom(format_args!("{text:?}: {cause}")))
    }
}

/// `#[serde(with = "texts")]`: a list of such values.
pub(crate) mod texts {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Vec<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let texts = Vec::<String>::deserialize(from)?;
        let parse = |text: String| {
            text.parse().map_err(|cause| D::Error::custom(format_args!("{text:?}: {cause}")))
        };
        texts.into_iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        schema: String,
        schema_version: u32,
        #[serde(with = "text")]
        count: u64,
    }

    impl Document for Sample {
        const SCHEMA: &'static str = "sample";
        const VERSION: u32 = 1;
        const MAX_BYTES: usize = 1024;
    }

    fn sample() -> Sample {
        Sample { schema: "sample".into(), schema_version: 1, count: u64::MAX }
    }

    #[test]
    fn a_document_has_one_text() {
        let text = render(&sample());
        let reading = read::<Sample>(text.as_bytes());
        assert_eq!((reading.value, reading.problem), (Some(sample()), None));
        let spelt = |text: String| read::<Sample>(text.as_bytes());
        let respelt = spelt(text.replace("\"count\": ", "\"count\":"));
        assert_eq!(respelt.value, Some(sample()));
        assert!(matches!(respelt.problem, Some(JsonProblem::NotCanonical { line: 4, .. })));
        assert!(matches!(
            spelt(text.trim_end().to_owned()).problem,
            Some(JsonProblem::NotCanonical { .. })
        ));
    }

    #[test]
    fn each_trick_is_refused_for_what_it_is() {
        let text = render(&sample());
        let problem = |text: String| read::<Sample>(text.as_bytes()).problem;
        let encoding = [
            format!("\u{feff}{text}"),
            format!("{text}{text}"),
            text.replace("{\n", "{\n  \"count\": \"1\",\n"),
            text.replace("\"1844", "[".repeat(200).as_str()),
            "[".repeat(200),
        ];
        for broken in encoding {
            assert!(matches!(problem(broken), Some(JsonProblem::Encoding { .. })));
        }
        let unknown = text.replace("{\n", "{\n  \"more\": 1,\n");
        assert!(matches!(problem(unknown), Some(JsonProblem::Shape { line: 2, .. })));
        let version = text.replace("n\": 1", "n\": 2");
        assert!(matches!(problem(version), Some(JsonProblem::Version { expected: 1, .. })));
        let schema = text.replace("\"sample\"", "\"other\"");
        assert!(matches!(problem(schema), Some(JsonProblem::Schema { .. })));
        assert!(matches!(
            problem(" ".repeat(3000)),
            Some(JsonProblem::TooLarge { length: 3000, .. })
        ));
        let plus = text.replace("\"18446744073709551615\"", "\"+7\"");
        assert!(matches!(problem(plus), Some(JsonProblem::NotCanonical { .. })));
    }
}
