//! The wire, pinned for every type at once: one hash over a thousand encodings, and the list of fields.
//!
//! Whoever changes a byte changes a hash; the list of fields then says where.

use std::fmt::Write as _;

use crate::outside;
use crate::survey::{self, SEEDS, Survey};

const PINS: &str = "tests/it/conformance.txt";

#[test]
fn conformance_of_encodings() {
    let mut text = format!(
        "# BLAKE3 over {SEEDS} drawn values of every canonical type: of each its seed (u64, little-endian), the\n\
         # length of its encoding (likewise) and the encoding. A change is a change of the wire: it needs an ADR\n\
         # under docs/adr and {}=1 cargo test -p federation-proto --test it conformance\n",
        outside::APPROVE,
    );
    for survey in survey::all() {
        writeln!(text, "{} {}", survey.digest, survey.wire.name).expect("into a String");
    }
    outside::approve(PINS, &text, "conformance");
}

/// The fields of a type, one a line. Those of a signed body are named by their type, where they are the same.
fn listing(survey: &Survey) -> String {
    let mut text = format!("{}\n", survey.wire.name);
    let mut fields = survey.fields.as_slice();
    let body = survey.wire.authority.and_then(|authority| survey::find(authority.body));
    if let Some(body) = body {
        let (inside, outside) = fields.split_at(body.fields.len().min(fields.len()));
        let inside = inside.iter().map(|(field, kind)| {
            let below = field.strip_prefix("body").unwrap_or(field);
            let below = below.strip_prefix('.').unwrap_or(below);
            (if below.is_empty() { "self" } else { below }, kind)
        });
        if inside.eq(body.fields.iter().map(|(field, kind)| (field.as_str(), kind))) {
            writeln!(text, "  body: {}", body.wire.name).expect("into a String");
            fields = outside;
        }
    }
    for (field, kind) in fields {
        writeln!(text, "  {field}: {kind}").expect("into a String");
    }
    text
}

#[test]
fn conformance_of_fields() {
    let text: Vec<String> = survey::all().iter().map(listing).collect();
    outside::approve("tests/it/fields.txt", &text.concat(), "conformance");
}
