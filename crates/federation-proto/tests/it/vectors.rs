//! The golden vectors under `vectors/`: regenerated and compared, and read by an independent reader.

mod digests;
mod json;
mod keys;
mod messages;
mod rfc8032;
mod signing;

use crate::outside;

/// The name by which an approval is asked for.
const TEST: &str = "vectors";

/// The lower-case hexadecimal form of bytes.
fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

const FILES: [&str; 4] = ["keys.json", "signing.json", "messages.json", "digests.json"];

#[test]
fn the_independent_reader_agrees() {
    // The files are being written beside this test; the next run reads them.
    if outside::approving() {
        return;
    }
    let (agrees, said) = outside::python(&["vectors/check.py"]);
    assert!(agrees, "{said}");
}

/// Digits that cannot be changed alone, as the file and the place in it. (Of a forged signature any digit may
/// be another: it stays forged.)
const BOUND: [(&str, &str); 15] = [
    ("keys.json", "/keys/8/key"),
    ("keys.json", "/signatures/0/key"),
    ("keys.json", "/signatures/0/signature"),
    ("signing.json", "/config_digest"),
    ("signing.json", "/seed"),
    ("signing.json", "/preimages/0/preimage"),
    ("signing.json", "/preimages/3/signature"),
    ("digests.json", "/blobs/12/digest"),
    ("digests.json", "/digests/1/parts/0"),
    ("digests.json", "/synthetic_keys/1/key"),
    ("messages.json", "/federation_id"),
    ("messages.json", "/messages/0/blake3"),
    ("messages.json", "/messages/0/bytes"),
    ("messages.json", "/messages/0/leaves/0/1"),
    ("messages.json", "/refused/0/bytes"),
];

#[test]
fn the_independent_reader_can_refuse() {
    if outside::approving() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("a path in UTF-8");
    for (spoiled, pointer) in BOUND {
        for file in FILES {
            let text = outside::text(&format!("vectors/{file}"));
            let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            if file == spoiled {
                let digits = value.pointer_mut(pointer).expect("the place is there");
                let text = digits.as_str().expect("digits").to_owned();
                let other = if text.starts_with('0') { "1" } else { "0" };
                *digits = format!("{other}{}", &text[1..]).into();
            }
            outside::write(&folder.path().join(file), &json::file(&value));
        }
        let (agrees, said) = outside::python(&["vectors/check.py", place]);
        assert!(!agrees, "a flipped digit in {spoiled}{pointer} was not seen:\n{said}");
        // The files before it were read and agree: it is this one that was refused.
        assert!(said.contains(&format!("{spoiled}: ")), "{spoiled} is not named:\n{said}");
        assert!(!said.contains(&format!("{spoiled}: agrees")), "{said}");
    }
}
