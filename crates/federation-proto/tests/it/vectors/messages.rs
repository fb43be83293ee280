//! `messages.json`: values of every canonical type, leaf by leaf, and bytes that are no value.

use federation_proto::Name;
use federation_proto::codec::CodecError;
use serde_json::{Value, json};

use super::{TEST, hex, json};
use crate::outside;
use crate::survey::{self, Survey};
use crate::trace::{Kind, Leaf, unvarint, varint};
use crate::wire_types::{self, Drawn, Reading, WireType};

/// The largest encoding shown, unless every drawn value is larger.
const MOST_BYTES: usize = 700;

/// What an independent reader should get from a leaf: a number, a text, or nothing beyond its bytes.
fn meaning(kind: Kind, bytes: &[u8]) -> Value {
    let number = unvarint(bytes);
    match kind {
        Kind::Signed(_) => {
            // Zigzag: the lowest bit is the sign.
            let half = i128::try_from(number >> 1).expect("a number of 64 bits");
            json!((if number & 1 == 1 { -half - 1 } else { half }).to_string())
        }
        Kind::Text => json!(String::from_utf8_lossy(bytes)),
        Kind::Byte => json!(bytes[0].to_string()),
        Kind::Array(_) | Kind::Bytes => Value::Null,
        _ => json!(number.to_string()),
    }
}

fn leaves(survey: &Survey, drawn: &Drawn) -> Vec<Value> {
    let leaf = |Leaf { path, range, kind }: &Leaf| {
        let bytes = &drawn.canonical[range.clone()];
        let label = match kind {
            Kind::Variant { of, .. } => {
                format!("{} of {}", kind.label(), survey.declared.variants(of))
            }
            _ => kind.label(),
        };
        json!([range.start, hex(bytes), path, label, meaning(*kind, bytes)])
    };
    drawn.trace.leaves.iter().map(leaf).collect()
}

fn message(survey: &Survey, (seed, drawn): &(u64, Drawn)) -> Value {
    let WireType { name, max_bytes, authority, .. } = survey.wire;
    let authority = authority.map(|authority| {
        json!({ "domain": authority.domain as u16, "role": authority.role, "keys": (authority.keys)(), "threshold": authority.threshold })
    });
    let digest = federation_proto::Digest::of_blob(&drawn.canonical);
    json!({
        "type": name, "limit": max_bytes, "seed": seed, "bytes": hex(&drawn.canonical),
        "blake3": digest.to_string(), "signed": authority, "leaves": leaves(survey, drawn),
    })
}

/// Bytes that are no value, made from a value: what was done, why it is refused, the bytes.
fn spoiled(survey: &Survey, drawn: &Drawn) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let bytes = &drawn.canonical;
    let mut list = vec![("a byte too many", "trailing", [bytes.as_slice(), &[0]].concat())];
    list.push(("a byte too few", "truncated", bytes[..bytes.len() - 1].to_vec()));
    let mut replace = |what, why, wanted: fn(&Leaf) -> bool, other: &dyn Fn(&[u8]) -> Vec<u8>| {
        let leaf = drawn.trace.leaves.iter().find(|leaf| wanted(leaf) && !leaf.range.is_empty());
        if let Some(Leaf { range, .. }) = leaf {
            let other = other(&bytes[range.clone()]);
            let parts = [&bytes[..range.start], other.as_slice(), &bytes[range.end..]];
            list.push((what, why, parts.concat()));
        }
    };
    // The same number in one byte more: the first byte now says that another follows, which adds nothing.
    let overlong = |bytes: &[u8]| vec![bytes[0] | 0x80, 0];
    replace(
        "a varint in two bytes where one does",
        "overlong",
        |leaf| {
            use Kind::{Length, Signed, Unsigned, Variant};
            let is_varint = matches!(leaf.kind, Unsigned(_) | Signed(_) | Length | Variant { .. });
            is_varint && leaf.range.len() == 1
        },
        &overlong,
    );
    replace(
        "a length of four thousand million",
        "truncated",
        |leaf| leaf.kind == Kind::Length,
        &|_| varint(u128::from(u32::MAX)),
    );
    replace("an option that is neither", "option", |leaf| leaf.kind == Kind::Option, &|_| vec![2]);
    replace("a truth that is neither", "bool", |leaf| leaf.kind == Kind::Bool, &|_| vec![2]);
    replace("not UTF-8", "text", |leaf| leaf.kind == Kind::Text, &|bytes| vec![0xff; bytes.len()]);
    let first = drawn.trace.leaves.iter().find_map(|leaf| match leaf.kind {
        Kind::Variant { of, .. } => Some(survey.declared.variants(of) as u128),
        _ => None,
    });
    let unknown = first.unwrap_or_default();
    replace(
        "the variant after the last",
        "variant",
        |leaf| matches!(leaf.kind, Kind::Variant { .. }),
        &|_| varint(unknown),
    );
    list
}

/// Whether the refusal is the one that the reason stands for.
fn is_named(error: &CodecError, why: &str, name: &str) -> bool {
    let fits = match why {
        "trailing" => matches!(error, CodecError::TrailingBytes { count: 1, .. }),
        "overlong" => matches!(error, CodecError::NotCanonical { .. }),
        _ => !matches!(error, CodecError::NotCanonical { .. } | CodecError::TrailingBytes { .. }),
    };
    fits && error.to_string().starts_with(&format!("{name}: "))
}

#[test]
fn vectors_of_messages() {
    let (mut messages, mut refused) = (Vec::new(), Vec::new());
    for survey in survey::all() {
        let name = survey.wire.name;
        let (most, least) = (survey.telling(MOST_BYTES), &survey.shortest);
        if most.0 != least.0 {
            messages.push(message(survey, most));
        }
        for (what, why, bytes) in spoiled(survey, &least.1) {
            match (survey.wire.read)(&bytes) {
                Reading::Value { .. } => panic!("{name}: {what} was taken"),
                Reading::Refused(error) => assert!(is_named(&error, why, name), "{what}: {error}"),
            }
            let like = messages.len();
            refused.push(json!({
                "type": name, "what": what, "reason": why, "like": like, "bytes": hex(&bytes),
            }));
        }
        messages.push(message(survey, least));
    }
    let (longest, longer) = ("x".repeat(64), "x".repeat(65));
    let names = [
        "a",
        "0",
        "site-1.eu_west",
        "",
        "Site",
        "a/b",
        "a b",
        "ä",
        ".",
        "..",
        ".git",
        "-rf",
        "_",
        &longest,
        &longer,
    ];
    let names: Vec<Value> = names
        .iter()
        .map(|text| json!({ "text": text, "is_name": Name::new(*text).is_ok() }))
        .collect();
    let context = wire_types::context();
    let file = json!({
        "federation_id": context.federation_id.to_string(),
        "config_digest": context.config_digest.to_string(),
        "messages": messages, "refused": refused, "names": names,
    });
    outside::approve("vectors/messages.json", &json::file(&file), TEST);
}
