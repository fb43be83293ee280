//! Every field of every message, changed alone: refused by name, or another value that nobody signed.

use std::collections::BTreeSet;

use federation_proto::signing::SignatureError;

use crate::draw::Declared;
use crate::outside;
use crate::survey::{self, Survey};
use crate::trace::{Kind, Leaf, unvarint, varint};
use crate::wire_types::{Drawn, Reading};

/// The variable that narrows the test to one field of one value, as `type seed path`.
const REPLAY: &str = "PRISM_REPLAY_FIELD";

/// What another value of a leaf must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No value has these bytes.
    Refused,
    /// Refused, or another value.
    RefusedOrChanged,
}

/// Other contents of a leaf, each of its own kind.
fn others(leaf: &Leaf, bytes: &[u8], variants: usize) -> Vec<(Vec<u8>, Fate)> {
    use Fate::{Refused, RefusedOrChanged};
    let flipped = |at: usize, mask: u8| {
        let mut bytes = bytes.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= mask;
        }
        (bytes, RefusedOrChanged)
    };
    let middle = bytes.len() / 2;
    let last = bytes.len().saturating_sub(1);
    let number = || unvarint(bytes);
    match leaf.kind {
        Kind::Byte => vec![flipped(0, 1), flipped(0, 0x80)],
        Kind::Unsigned(bits) | Kind::Signed(bits) => {
            let mask = u128::MAX >> (128 - bits);
            let neighbours = [number().wrapping_add(1), number().wrapping_sub(1), !number()];
            neighbours.map(|other| (varint(other & mask), RefusedOrChanged)).into()
        }
        Kind::Bool | Kind::Option => vec![flipped(0, 1), (vec![2], Refused)],
        Kind::Variant { .. } => {
            let known = (0..variants as u128).filter(|index| *index != number());
            let known = known.map(|index| (varint(index), RefusedOrChanged));
            let unknown = [variants as u128, u128::from(u32::MAX)];
            known.chain(unknown.map(|index| (varint(index), Refused))).collect()
        }
        Kind::Length => {
            let fewer = number().checked_sub(1).map(|other| (varint(other), RefusedOrChanged));
            let more = (varint(number() + 1), RefusedOrChanged);
            let far = (varint(u128::from(u64::MAX)), Refused);
            fewer.into_iter().chain([more, far]).collect()
        }
        Kind::Array(_) | Kind::Bytes => vec![flipped(middle, 1), flipped(last, 0x80)],
        Kind::Text => {
            vec![flipped(middle, 1), flipped(0, 0x20), (vec![0xff; bytes.len()], Refused)]
        }
    }
}

/// What of `survey`'s law is broken by these bytes in the place of a value's own; else whether they showed
/// an unreduced scalar.
fn judge(survey: &Survey, leaf: &Leaf, bytes: &[u8], fate: Fate) -> Result<bool, String> {
    let wire = &survey.wire;
    let (reencoded, verdict) = match (wire.read)(bytes) {
        Reading::Refused(error) if error.to_string().starts_with(&format!("{}: ", wire.name)) => {
            return Ok(false);
        }
        Reading::Refused(error) => return Err(format!("the refusal names another type: {error}")),
        Reading::Value { reencoded, verdict } => (reencoded, verdict),
    };
    if fate == Fate::Refused {
        return Err("bytes that are no value were taken".into());
    }
    if reencoded != bytes {
        return Err("a second encoding was taken".into());
    }
    let Some(authority) = wire.authority else {
        return Ok(false);
    };
    let refusal = match verdict {
        Some(Err(refusal)) => refusal,
        verdict => return Err(format!("a forgery verifies: {verdict:?}")),
    };
    let (in_body, is_key) = (leaf.path.starts_with("body"), leaf.path.ends_with(".key"));
    let fits = match &refusal {
        SignatureError::Invalid { what, .. } => *what == authority.body && (in_body || !is_key),
        SignatureError::NotReduced { what } => *what == authority.body && !in_body && !is_key,
        SignatureError::UnknownKey { what, .. } | SignatureError::Unordered { what } => {
            *what == authority.body && !in_body && is_key
        }
        SignatureError::BelowThreshold { .. } => false,
    };
    if !fits {
        return Err(format!("refused for another reason: {refusal}"));
    }
    Ok(matches!(refusal, SignatureError::NotReduced { .. }))
}

/// Changes every leaf of a value; gives the fields visited and whether an unreduced scalar was named.
fn visit(
    survey: &Survey,
    seed: u64,
    drawn: &Drawn,
    only: Option<&str>,
) -> (BTreeSet<String>, bool) {
    let (mut visited, mut unreduced) = (BTreeSet::new(), false);
    let original = &drawn.canonical;
    for leaf in &drawn.trace.leaves {
        if only.is_some_and(|path| path != leaf.path) {
            continue;
        }
        let bytes = &original[leaf.range.clone()];
        let variants = match leaf.kind {
            Kind::Variant { of, .. } => survey.declared.variants(of),
            _ => 0,
        };
        let mut changes = 0;
        for (other, fate) in others(leaf, bytes, variants) {
            if other == bytes {
                continue;
            }
            changes += 1;
            let parts =
                [&original[..leaf.range.start], other.as_slice(), &original[leaf.range.end..]];
            match judge(survey, leaf, &parts.concat(), fate) {
                Ok(named) => unreduced |= named,
                Err(broken) => panic!(
                    "{name}, seed {seed}, {path}: {broken}\n  {bytes:02x?} became {other:02x?}\nagain with\n  \
                     {REPLAY}='{name} {seed} {path}' cargo test -p federation-proto --test it fields",
                    name = survey.wire.name,
                    path = leaf.path,
                ),
            }
        }
        // An empty text or byte string has no content to change; its length was changed.
        let is_empty = bytes.is_empty();
        assert!(changes > 0 || is_empty, "{}: {} has no other value", survey.wire.name, leaf.path);
        visited.insert(leaf.field());
    }
    (visited, unreduced)
}

#[test]
fn every_field_is_guarded() {
    let replay = outside::variable(REPLAY);
    let replay: Option<Vec<&str>> = replay.as_deref().map(|text| text.rsplitn(3, ' ').collect());
    if let Some([path, seed, name]) = replay.as_deref() {
        let survey = survey::find(name).expect("a canonical type");
        let seed = seed.parse().expect("a seed");
        let (visited, _) = visit(survey, seed, &(survey.wire.draw)(seed), Some(path));
        assert!(!visited.is_empty(), "{name}, seed {seed} has no {path}");
        return;
    }
    for survey in survey::all() {
        let name = survey.wire.name;
        let (mut visited, mut unreduced) = (BTreeSet::new(), false);
        for (seed, drawn) in &survey.covering {
            let (fields, named) = visit(survey, *seed, drawn, None);
            visited.extend(fields);
            unreduced |= named;
        }
        let known: BTreeSet<String> =
            survey.fields.iter().map(|(field, _)| field.clone()).collect();
        assert!(!visited.is_empty(), "{name}: no field was visited");
        assert_eq!(visited, known, "{name}: a field was skipped");
        assert_eq!(unreduced, survey.wire.authority.is_some(), "{name}: unreduced scalars");
    }
}

#[test]
fn what_is_drawn_is_read_back_and_verifies() {
    for survey in survey::all() {
        let name = survey.wire.name;
        for seed in 0..64 {
            let drawn = (survey.wire.draw)(seed);
            assert!(drawn.canonical.len() <= survey.wire.max_bytes, "{name}, seed {seed}");
            match (survey.wire.read)(&drawn.canonical) {
                Reading::Refused(error) => panic!("{name}, seed {seed}: {error}"),
                Reading::Value { reencoded, verdict } => {
                    assert_eq!(reencoded, drawn.canonical, "{name}, seed {seed}");
                    let signed = survey.wire.authority.map(|_| Ok(()));
                    assert_eq!(verdict, signed, "{name}, seed {seed}");
                }
            }
        }
    }
}

#[test]
fn a_wire_that_does_not_guard_is_named() {
    let honest = survey::find("Signed<BlobReceipt>").expect("a canonical type");
    let (_, drawn) = &honest.covering[0];
    let read_with = |read| {
        let wire = crate::wire_types::WireType { read, ..honest.wire };
        let leaf = &drawn.trace.leaves[0];
        let survey = Survey {
            wire,
            covering: Vec::new(),
            shortest: (0, drawn.clone()),
            fields: Vec::new(),
            declared: Declared::default(),
            digest: honest.digest,
        };
        let mut forged = drawn.canonical.clone();
        forged[0] ^= 1;
        judge(&survey, leaf, &forged, Fate::RefusedOrChanged)
    };
    assert_eq!(read_with(honest.wire.read), Ok(false));
    let careless = |bytes: &[u8]| Reading::Value { reencoded: bytes.into(), verdict: Some(Ok(())) };
    assert_eq!(read_with(careless), Err("a forgery verifies: Some(Ok(()))".into()));
    let lossy = |_: &[u8]| Reading::Value { reencoded: Vec::new(), verdict: Some(Ok(())) };
    assert_eq!(read_with(lossy), Err("a second encoding was taken".into()));
    let vague = |_: &[u8]| {
        let what = "Signed<BlobReceipt>";
        let refusal = SignatureError::BelowThreshold { what, valid: 0, needed: 1 };
        Reading::Value { reencoded: vec![], verdict: Some(Err(refusal)) }
    };
    assert!(read_with(vague).is_err());
}
