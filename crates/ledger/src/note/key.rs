//! Keys of signed notes: Ed25519, typed by the one job each may do, which also says what a line of
//! theirs is: the signature of the text, or a cosignature with its time.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use federation_proto::keys::{
    Cosigner, GovernanceNote, KeyError, KeyRole, LogCheckpoint, PublicKey, SecretKey, Signature,
    VerifyingKey,
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{Cosignature, NoteError, NoteSignature};
use crate::base64;

/// Longest key name in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// What a signature line holds after the key id, and its identifier in key ids and verifier keys
/// [C2SP signed-note, signature types].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SignatureType {
    /// 64 bytes R ‖ S over the text.
    Ed25519 = 0x01,
    /// A [`Cosignature`]: the time, and R ‖ S over time and text.
    Cosignature = 0x04,
}

/// A role whose keys sign notes. Implemented only here.
pub trait NoteRole: KeyRole {
    /// What a signature line of such a key holds.
    const TYPE: SignatureType;
}

/// A role whose keys sign the text of a note and nothing else. Implemented only here.
pub trait TextRole: NoteRole {}

impl NoteRole for LogCheckpoint {
    const TYPE: SignatureType = SignatureType::Ed25519;
}
impl TextRole for LogCheckpoint {}

impl NoteRole for GovernanceNote {
    const TYPE: SignatureType = SignatureType::Ed25519;
}
impl TextRole for GovernanceNote {}

impl NoteRole for Cosigner {
    const TYPE: SignatureType = SignatureType::Cosignature;
}

/// A named public key that may verify notes, written `name+id+base64(type ‖ key)`.
#[derive(Debug, Clone)]
pub struct NoteKey<R> {
    name: String,
    id: [u8; 4],
    key: VerifyingKey<R>,
}

/// Why a name, bytes or text make no note key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteKeyError {
    /// The name is empty, too long or contains spaces, plus signs or control characters.
    #[error("key name {name:?} is not allowed in a note")]
    Name {
        /// The refused name.
        name: String,
    },
    /// The bytes are no acceptable Ed25519 public key.
    #[error("key {name}: {cause}")]
    Key {
        /// Name of the key.
        name: String,
        /// What is wrong with the bytes.
        cause: KeyError,
    },
    /// The text is not `name+hex id+base64 key` in its canonical form.
    #[error("malformed verifier key text")]
    Malformed,
    /// Another signature type than the role of the key has.
    #[error("key {name} has signature type {found:#04x}, expected {expected:#04x}")]
    Type {
        /// Name of the key.
        name: String,
        /// The type byte of the role.
        expected: u8,
        /// The type byte found.
        found: u8,
    },
    /// The id in the text is not the one that name and key determine.
    #[error("key {name} claims id {claimed}, its id is {computed}")]
    Id {
        /// Name of the key.
        name: String,
        /// Id in the text, hexadecimal.
        claimed: String,
        /// Id computed from name and key, hexadecimal.
        computed: String,
    },
}

impl<R: NoteRole> NoteKey<R> {
    /// Names a public key.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`], or [`NoteKeyError::Key`] for bytes that are not the canonical
    /// encoding of a torsion-free point.
    pub fn new(name: &str, public: PublicKey<R>) -> Result<Self, NoteKeyError> {
        if !is_key_name(name) {
            return Err(NoteKeyError::Name { name: name.to_owned() });
        }
        let key =
            public.check().map_err(|cause| NoteKeyError::Key { name: name.to_owned(), cause })?;
        Ok(Self { id: key_id(name, &public), name: name.to_owned(), key })
    }

    /// The name, which for a log key is the origin of the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id: SHA-256(name ‖ 0x0A ‖ type ‖ key), first four bytes.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key: what a quorum counts.
    #[must_use]
    pub fn public(&self) -> PublicKey<R> {
        self.key.public()
    }

    pub(super) fn verifies(&self, text: &str, line: &NoteSignature) -> bool {
        match R::TYPE {
            SignatureType::Ed25519 => {
                <&[u8; 64]>::try_from(line.bytes.as_slice()).is_ok_and(|bytes| {
                    self.key.verify_raw(text.as_bytes(), &Signature::from_bytes(bytes))
                })
            }
            SignatureType::Cosignature => Cosignature::of_line(line)
                .is_some_and(|it| self.key.verify_raw(&it.message(text), it.signature())),
        }
    }
}

impl<R: TextRole> NoteKey<R> {
    /// The signature line of a signature of this key that was carried elsewhere, such as in a
    /// ledger entry. It is not checked here.
    #[must_use]
    pub fn line(&self, signature: &Signature) -> NoteSignature {
        let bytes = signature.to_bytes().to_vec();
        NoteSignature { name: self.name.clone(), id: self.id, bytes }
    }
}

impl<R: NoteRole> fmt::Display for NoteKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&[R::TYPE as u8][..], self.public().as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, hex_id(self.id), base64::encode(&blob))
    }
}

impl<R: NoteRole> FromStr for NoteKey<R> {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        // Base64 may contain plus signs, names may not: only the first two separate.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(claimed), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteKeyError::Malformed);
        };
        let blob = base64::decode(encoded).ok_or(NoteKeyError::Malformed)?;
        let (kind, key) = blob.split_first().ok_or(NoteKeyError::Malformed)?;
        if *kind != R::TYPE as u8 {
            let (name, expected, found) = (name.to_owned(), R::TYPE as u8, *kind);
            return Err(NoteKeyError::Type { name, expected, found });
        }
        let bytes = <[u8; 32]>::try_from(key).map_err(|_| NoteKeyError::Malformed)?;
        let key = Self::new(name, PublicKey::from_bytes(bytes))?;
        let computed = hex_id(key.id);
        if claimed != computed {
            let (name, claimed) = (key.name, claimed.to_owned());
            return Err(NoteKeyError::Id { name, claimed, computed });
        }
        Ok(key)
    }
}

/// A named secret key that signs notes.
#[derive(Debug)]
pub struct NoteSigner<R: KeyRole> {
    name: String,
    id: [u8; 4],
    pub(super) secret: SecretKey<R>,
}

impl<R: NoteRole> NoteSigner<R> {
    /// Names a secret key.
    ///
    /// # Errors
    /// [`NoteKeyError::Name`].
    pub fn new(name: &str, secret: SecretKey<R>) -> Result<Self, NoteKeyError> {
        if !is_key_name(name) {
            return Err(NoteKeyError::Name { name: name.to_owned() });
        }
        Ok(Self { id: key_id(name, &secret.public()), name: name.to_owned(), secret })
    }

    /// The key that verifies what this one signs.
    ///
    /// # Errors
    /// [`NoteKeyError::Key`], which no key generated from a seed meets.
    pub fn verifier(&self) -> Result<NoteKey<R>, NoteKeyError> {
        NoteKey::new(&self.name, self.secret.public())
    }

    pub(super) fn line(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature { name: self.name.clone(), id: self.id, bytes }
    }
}

impl<R: TextRole> NoteSigner<R> {
    /// Signs a note text: its raw bytes, final newline included [RFC 8032].
    ///
    /// # Errors
    /// [`NoteError::ControlCharacter`], [`NoteError::TextNotTerminated`] or
    /// [`NoteError::TooLarge`]: nothing is signed that no note can carry.
    pub fn sign(&self, text: &str) -> Result<NoteSignature, NoteError> {
        super::check_length(text.len())?;
        super::check_text(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextNotTerminated);
        }
        Ok(self.line(self.secret.sign_raw(text.as_bytes()).to_bytes().to_vec()))
    }
}

/// Whether a text may name a key: not empty, no spaces of any kind, no plus, no control character.
pub(crate) fn is_key_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(allowed)
}

pub(super) fn hex_id(id: [u8; 4]) -> String {
    HEXLOWER.encode(&id)
}

fn key_id<R: NoteRole>(name: &str, public: &PublicKey<R>) -> [u8; 4] {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', R::TYPE as u8])
        .chain_update(public.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}
