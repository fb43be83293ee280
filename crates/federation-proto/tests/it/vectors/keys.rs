//! `keys.json`: hostile keys and signatures, each with the refusal it must meet.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use federation_proto::keys::{
    Admission, Artifact, Consensus, Document, GovernanceNote, Identity, KeyError, KeyRole,
    LogCheckpoint, Transport,
};
use federation_proto::{PublicKey, SecretKey, Signature};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::rfc8032::{self, Example};
use super::{TEST, hex, json};
use crate::{outside, wire_types};

/// The reason under which a key is refused; none for a good one.
fn refusal(key: [u8; 32]) -> Option<&'static str> {
    let refusal = PublicKey::<Identity>::from_bytes(key).check().err()?;
    Some(match refusal {
        KeyError::NotAPoint => "not-a-point",
        KeyError::NotCanonical => "not-canonical",
        KeyError::SmallOrder => "small-order",
        KeyError::Torsion => "torsion",
    })
}

fn good_key<R: KeyRole>() -> (String, [u8; 32]) {
    let key = SecretKey::<R>::synthetic(wire_types::KEY_LABEL, "signer").public();
    (format!("good: {}", R::NAME), *key.as_bytes())
}

/// 2²⁵⁵ − 19 + `above`, with the sign bit of x: an encoding that no point should have.
fn above_the_prime(above: u8, sign: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + above;
    bytes[31] = 0x7f | sign << 7;
    bytes
}

fn keys() -> Vec<(String, [u8; 32])> {
    let mut keys = vec![
        good_key::<Identity>(),
        good_key::<Consensus>(),
        good_key::<LogCheckpoint>(),
        good_key::<Document>(),
        good_key::<Admission>(),
        good_key::<GovernanceNote>(),
        good_key::<Artifact>(),
        good_key::<Transport>(),
    ];
    let torsion = EIGHT_TORSION.map(|point| point.compress().to_bytes());
    keys.extend((0..8).map(|number| (format!("small order: {number}"), torsion[number])));
    for sign in [0, 1] {
        let encodings = (0..19).map(|above| {
            let name = format!("not below the prime: p + {above}, sign {sign}");
            (name, above_the_prime(above, sign))
        });
        keys.extend(encodings);
    }
    // x = 0 has no negative: y = 1 and y = −1 with the sign bit are second encodings.
    let mut minus_zero = [0; 32];
    minus_zero[0] = 1;
    minus_zero[31] = 0x80;
    keys.push(("minus zero: y = 1".into(), minus_zero));
    let mut minus_zero = [0xff; 32];
    minus_zero[0] = 0xec;
    keys.push(("minus zero: y = -1".into(), minus_zero));
    for y in [2, 7, 8] {
        let mut off_curve = [0; 32];
        off_curve[0] = y;
        keys.push((format!("off the curve: y = {y}"), off_curve));
    }
    let (_, honest) = good_key::<Identity>();
    let honest = CompressedEdwardsY(honest).decompress().expect("a point");
    for (number, taint) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let tainted = honest + taint;
        keys.push((format!("tainted: good key + torsion {number}"), tainted.compress().to_bytes()));
    }
    keys
}

/// A signature with what is wrong with it.
struct Case {
    name: String,
    key: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
    verdict: &'static str,
}

/// The order of the prime-order subgroup, little-endian [RFC 8032 §5.1].
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature with S + L in the place of S.
fn malleated(mut signature: [u8; 64]) -> [u8; 64] {
    let mut carry = 0;
    for (byte, l) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    signature
}

/// Signatures under the key of the RFC's first example that satisfy an equation, but not strictly. They were
/// computed from its published seed; a lax verifier takes each of them.
const LAX: [(&str, &str, &str, &str); 3] = [
    (
        "R is the identity",
        "small order R",
        "r-small-order",
        "0100000000000000000000000000000000000000000000000000000000000000f0a69ddebb802c89e405561d3315c191f2a6a984f8b7999f1f271e28c0a9850d",
    ),
    (
        "R is the identity, encoded as p + 1",
        "small order R",
        "r-not-canonical",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f3a3519e854fe89c4b229072f9593ae2b40d65290e62de6fd243ba8a451924905",
    ),
    (
        "R has torsion: true only when both sides are multiplied by 8",
        "torsion in R",
        "equation",
        "6a84d583f06569edb3f5ed77df65544b27d6948b4f0b2cb76f33dd8413b20719e4d39560608592931e7366e0132b6b54c3c3c0a63a8c5547fd41861c1f185f06",
    ),
];

fn signatures() -> Vec<Case> {
    let mut cases = Vec::new();
    for Example { name, seed, key, message, signature } in rfc8032::examples() {
        let ours = SecretKey::<Identity>::from_seed(Zeroizing::new(seed));
        assert_eq!(ours.public().as_bytes(), &key, "{name}");
        assert_eq!(ours.sign_raw(&message).to_bytes(), signature, "{name}");
        let case = |what: &str, message: Vec<u8>, signature, verdict| Case {
            name: format!("RFC 8032 §7.1 {name}{what}"),
            key,
            message,
            signature,
            verdict,
        };
        let mut other = message.clone();
        other.push(0);
        cases.push(case("", message.clone(), signature, "valid"));
        cases.push(case(", S + L", message, malleated(signature), "s-not-reduced"));
        cases.push(case(", another message", other, signature, "equation"));
    }
    let key = rfc8032::examples()[0].key;
    for (name, message, verdict, signature) in LAX {
        let signature = signature.parse::<Signature>().expect("hexadecimal").to_bytes();
        cases.push(Case { name: name.into(), key, message: message.into(), signature, verdict });
    }
    cases
}

#[test]
fn vectors_of_keys() {
    let keys: Vec<Value> = keys()
        .iter()
        .map(|(name, key)| json!({ "name": name, "key": hex(key), "refusal": refusal(*key) }))
        .collect();
    let refusals = |reason: &str| keys.iter().filter(|key| key["refusal"] == *reason).count();
    assert_eq!(refusals("small-order"), 8);
    assert_eq!(refusals("torsion"), 7);
    assert!(refusals("not-canonical") > 2 && refusals("not-a-point") > 2);

    let signatures: Vec<Value> = signatures()
        .iter()
        .map(|Case { name, key, message, signature, verdict }| {
            let verifier = PublicKey::<Identity>::from_bytes(*key).check().expect("a good key");
            let value = Signature::from_bytes(signature);
            assert_eq!(value.has_reduced_s(), *verdict != "s-not-reduced", "{name}");
            assert_eq!(verifier.verify_raw(message, &value), *verdict == "valid", "{name}");
            json!({
                "name": name, "key": hex(key), "message": hex(message), "signature": hex(signature),
                "verdict": verdict,
            })
        })
        .collect();
    let file = json::file(&json!({ "keys": keys, "signatures": signatures }));
    outside::approve("vectors/keys.json", &file, TEST);
}
