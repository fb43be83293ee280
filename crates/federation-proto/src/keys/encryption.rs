//! X25519 keys: what payloads are encrypted to [RFC 7748].
//!
//! [`EncryptionKey`] is 32 bytes from outside. [`check`](EncryptionKey::check) refuses a second spelling of a
//! point, so that one reader has one name, and every point of small order, under which everybody knows the
//! shared secret. Points of the twist pass: X25519 is defined on them and gives nothing away [RFC 7748 §7].

use core::fmt;
use core::str::FromStr;

use curve25519_dalek::{MontgomeryPoint, Scalar};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::KeyKind;
use crate::digest::{Digest, HashDomain, HexError, parse_hex32};

/// p = 2²⁵⁵ − 19, little-endian: the first number that is no u-coordinate.
const P: [u8; 32] = [
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// 32 bytes that claim to be an X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EncryptionKey([u8; 32]);

/// Why 32 bytes are refused as an encryption key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncryptionKeyError {
    /// The top bit is set or the number is not below p; X25519 would silently read another one.
    #[error("not the canonical encoding of a u-coordinate")]
    NotCanonical,
    /// A point of small order, on the curve or its twist.
    #[error("a point of small order")]
    SmallOrder,
}

impl EncryptionKey {
    /// Wraps bytes from outside.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight hexadecimal characters, for tables.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }

    /// Proves the key usable: canonical and not of small order.
    pub fn check(&self) -> Result<CheckedEncryptionKey, EncryptionKeyError> {
        // From the most significant byte down, as numbers are compared.
        if self.0.iter().rev().ge(P.iter().rev()) {
            return Err(EncryptionKeyError::NotCanonical);
        }
        // The curve has cofactor 8 and its twist 4, so eight times a point is nothing exactly for small order.
        let eightfold = MontgomeryPoint(self.0) * Scalar::from(8u8);
        if eightfold.to_bytes() == [0; 32] {
            return Err(EncryptionKeyError::SmallOrder);
        }
        Ok(CheckedEncryptionKey(*self))
    }
}

impl fmt::Display for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}
impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({self})")
    }
}
impl FromStr for EncryptionKey {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        parse_hex32(text).map(Self)
    }
}

/// An encryption key that [`EncryptionKey::check`] found usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckedEncryptionKey(EncryptionKey);

impl CheckedEncryptionKey {
    /// The key as it stands on the wire.
    pub const fn public(&self) -> EncryptionKey {
        self.0
    }
}

/// The secret half of an encryption key, erased when dropped. It prints as its public key.
pub struct DecryptionKey {
    secret: Zeroizing<[u8; 32]>,
    public: EncryptionKey,
}

impl DecryptionKey {
    /// From 32 secret bytes, which the caller draws from the operating system or, for a synthetic
    /// federation, from [`DecryptionKey::synthetic`]. They are clamped when used [RFC 7748 §5].
    pub fn from_seed(secret: Zeroizing<[u8; 32]>) -> Self {
        let public = EncryptionKey(MontgomeryPoint::mul_base_clamped(*secret).to_bytes());
        Self { secret, public }
    }

    /// A key that everybody can derive: H(label, role, owner). It keeps nothing secret.
    pub fn synthetic(label: &str, owner: &str) -> Self {
        let role = KeyKind::Encryption.name();
        let parts: [&[u8]; 3] = [label.as_bytes(), role.as_bytes(), owner.as_bytes()];
        let seed = Digest::of_parts(HashDomain::SyntheticKey, &parts);
        Self::from_seed(Zeroizing::new(*seed.as_bytes()))
    }

    /// The public half.
    pub const fn public(&self) -> EncryptionKey {
        self.public
    }

    /// The public half, as a reader to encrypt to: what a secret gives is of full order.
    pub const fn recipient(&self) -> CheckedEncryptionKey {
        CheckedEncryptionKey(self.public)
    }

    /// The secret bytes, for decryption and for a key file.
    pub(crate) fn secret(&self) -> &Zeroizing<[u8; 32]> {
        &self.secret
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({}…)", self.public.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hex: &str) -> Result<(), EncryptionKeyError> {
        let key: EncryptionKey = hex.parse().expect("64 hexadecimal characters");
        key.check().map(|_| ())
    }

    #[test]
    fn every_point_of_small_order_is_refused() {
        // All u-coordinates below p of order 1, 2, 4 and 8 on the curve, and of order 4 on the twist.
        for u in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            assert_eq!(check(u), Err(EncryptionKeyError::SmallOrder), "{u}");
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        // p, p + 1, 2²⁵⁵ − 1, and what the top bit makes of small and of good coordinates.
        for u in [
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "0900000000000000000000000000000000000000000000000000000000000080",
            "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
            "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
            "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ] {
            assert_eq!(check(u), Err(EncryptionKeyError::NotCanonical), "{u}");
        }
    }

    #[test]
    fn good_keys_pass_and_agree_with_rfc_7748() {
        // The base point, and the key pair of Alice [RFC 7748 §6.1].
        assert_eq!(
            check("0900000000000000000000000000000000000000000000000000000000000000"),
            Ok(())
        );
        let alice = parse_hex32("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let alice = DecryptionKey::from_seed(Zeroizing::new(alice.expect("64 characters")));
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(alice.public().to_string(), public);
        assert_eq!(alice.public().check(), Ok(alice.recipient()));
    }
}
