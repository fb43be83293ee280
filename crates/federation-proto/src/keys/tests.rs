//! Hostile keys and signatures.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use data_encoding::HEXLOWER;
use std::sync::Arc;

use super::*;

fn key() -> SecretKey<Identity> {
    SecretKey::synthetic("keys-test", "a")
}

#[test]
fn all_eight_small_order_points_are_refused() {
    for point in EIGHT_TORSION {
        let key = PublicKey::<Identity>::from_bytes(point.compress().to_bytes());
        assert_eq!(key.check().map(|_| ()), Err(KeyError::SmallOrder));
    }
}

#[test]
fn a_torsion_tainted_key_is_refused() {
    let bytes = key().public();
    let point = CompressedEdwardsY(*bytes.as_bytes()).decompress().expect("a real key");
    let tainted: EdwardsPoint = point + EIGHT_TORSION[1];
    let tainted = PublicKey::<Identity>::from_bytes(tainted.compress().to_bytes());
    assert_eq!(tainted.check().map(|_| ()), Err(KeyError::Torsion));
}

#[test]
fn non_canonical_and_off_curve_encodings_are_refused() {
    // y = p + 1 encodes the identity a second time: little-endian 2^255 - 18.
    let mut bytes = [0xff; 32];
    bytes[0] = 0xee;
    bytes[31] = 0x7f;
    let second_form = PublicKey::<Identity>::from_bytes(bytes).check().map(|_| ());
    assert_eq!(second_form, Err(KeyError::NotCanonical));
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    let off_curve = PublicKey::<Identity>::from_bytes(off_curve).check().map(|_| ());
    assert_eq!(off_curve, Err(KeyError::NotAPoint));
}

#[test]
fn s_plus_l_is_refused() {
    // L, the order of the prime-order subgroup, little-endian [RFC 8032 §5.1].
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let signature = key().sign_raw(b"m");
    assert!(signature.has_reduced_s());
    let mut forged = signature.to_bytes();
    let mut carry = 0u16;
    for (byte, l) in forged[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let forged = Signature::from_bytes(&forged);
    let verifier = key().public().check().expect("a good key");
    assert!(verifier.verify_raw(b"m", &signature));
    assert!(!verifier.verify_raw(b"m", &forged));
    assert!(!forged.has_reduced_s());
}

#[test]
fn roles_and_owners_give_different_keys() {
    let identity = SecretKey::<Identity>::synthetic("l", "a").public();
    assert_ne!(
        identity.as_bytes(),
        SecretKey::<Consensus>::synthetic("l", "a").public().as_bytes()
    );
    assert_ne!(identity, SecretKey::<Identity>::synthetic("l", "b").public());
    assert_ne!(identity, SecretKey::<Identity>::synthetic("m", "a").public());
}

#[test]
fn a_secret_key_never_prints_its_seed() {
    let shown = format!("{:?}", key());
    assert!(shown.starts_with("SecretKey<identity>("));
    assert!(!shown.contains(&HEXLOWER.encode(&*key().seed())));
}

#[test]
fn a_memo_never_says_yes_to_what_was_not_verified() {
    let memo = Arc::new(SignatureMemo::default());
    let verifier = key().public().check().expect("a good key").memoised(&memo);
    let other = SecretKey::<Identity>::synthetic("keys-test", "b");
    let other = other.public().check().expect("a good key").memoised(&memo);
    let signature = key().sign_raw(b"m");
    for _ in 0..2 {
        assert!(!verifier.verify_raw(b"n", &signature));
        assert!(verifier.verify_raw(b"m", &signature));
        assert!(!other.verify_raw(b"m", &signature));
        assert!(!verifier.verify_raw(b"m", &other_signature()));
    }
}

fn other_signature() -> Signature {
    SecretKey::<Identity>::synthetic("keys-test", "b").sign_raw(b"m")
}

#[test]
fn kinds_have_one_number_and_one_name() {
    for (number, kind) in (0u8..).zip(KeyKind::ALL) {
        assert_eq!((u8::from(kind), KeyKind::try_from(number)), (number, Ok(kind)));
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert_eq!(KeyKind::try_from(10), Err(UnknownKind));
    assert_eq!("Identity".parse::<KeyKind>(), Err(UnknownKind));
    assert_eq!((Cosigner::NAME, Cosigner::KIND), ("cosigner", KeyKind::Cosigner));
    assert!(UnknownKind.to_string().ends_with("cosigner, artifact, encryption"));
}
