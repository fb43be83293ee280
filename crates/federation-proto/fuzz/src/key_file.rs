//! A key file has one spelling: what is read is written alike, and no error shows a secret.

use federation_proto::keys::KeyFile;

/// Reads the input as a key file.
pub fn check(input: &[u8]) {
    match KeyFile::parse(input) {
        Ok(file) => assert_eq!(file.to_text().as_bytes(), input, "a second spelling was read"),
        Err(refusal) => assert!(!refusal.to_string().contains('\n'), "an error of one line"),
    }
}
