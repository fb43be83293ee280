//! Base64 with one text per byte string [RFC 4648 §4].
//!
//! `data_encoding` refuses stray bits and missing padding but reads padded blocks in a row
//! (`AA==AA==`) as one text. Comparing with the encoding of what was read leaves no second form.

use data_encoding::BASE64;

/// Standard base64 with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Reads what [`encode`] writes and nothing else.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok().filter(|bytes| BASE64.encode(bytes) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_forms_are_refused() {
        assert_eq!(decode("AAA="), Some(vec![0, 0]));
        // The library alone accepts the first of these.
        assert!(BASE64.decode(b"AA==AA==").is_ok());
        for wrong in ["AA==AA==", "AAB=", "AAA", "AA A=", "AAA=\n", "AA-_", "="] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
