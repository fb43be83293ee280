//! The form of a key file. There is no disk here: an edge reads and writes the bytes and judges who may.
//!
//! ```text
//! prism key 1
//! role identity
//! public <64 lowercase hexadecimal characters>
//! secret <64 lowercase hexadecimal characters>
//! ```
//!
//! Four lines, each ended by one line feed, and nothing else: a key has one spelling, as everything else on
//! a trust boundary has. The public key stands beside the secret so that a person can tell two files apart,
//! and so that a flipped bit of the secret is found before it signs. No error shows a byte of the secret or of
//! a line that could not be read, because a line in the wrong place may hold it.

#[cfg(test)]
mod tests;

use core::fmt;

use data_encoding::HEXLOWER;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    DecryptionKey, EncryptionKey, EncryptionKeyError, Identity, KeyError, KeyKind, KeyRole,
    PublicKey, SecretKey,
};

/// Longest key file in bytes. The longest role name gives 177.
pub const MAX_KEY_FILE: usize = 256;

/// The first line: what the file is, and the version of its form.
const TITLE: &str = "prism key 1";
/// What the last line begins with.
const SECRET: &str = "secret ";

/// A secret key of any kind, as a key file holds it. The two halves belong together.
pub struct KeyFile {
    kind: KeyKind,
    public: [u8; 32],
    secret: Zeroizing<[u8; 32]>,
}

/// Why bytes are no key file, or not the one that is wanted. Shows public values only.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// Longer than any key file.
    #[error("{length} bytes, a key file has at most {limit}")]
    TooLarge {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not four lines, each ended by one line feed.
    #[error("a key file is 4 lines, each ended by one line feed; got {feeds} line feeds")]
    Lines {
        /// Line feeds found.
        feeds: usize,
    },
    /// A line is spelled otherwise than a key file is.
    #[error("line {line} is not \"{wanted}\"")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it should be.
        wanted: &'static str,
    },
    /// A key of another kind.
    #[error("a key of role {found} where one of role {expected} is wanted")]
    WrongRole {
        /// The role that is wanted.
        expected: KeyKind,
        /// The role the file states.
        found: KeyKind,
    },
    /// The public key is not that of the secret.
    #[error("the {kind} secret does not belong to the public key {public}")]
    Mismatch {
        /// Role of the key.
        kind: KeyKind,
        /// The public key the file states, in hexadecimal.
        public: String,
    },
    /// The public key is no usable signing key.
    #[error("unusable public key {public}: {cause}")]
    Signing {
        /// The public key the file states, in hexadecimal.
        public: String,
        /// Why.
        cause: KeyError,
    },
    /// The public key is no usable encryption key.
    #[error("unusable public key {public}: {cause}")]
    Encryption {
        /// The public key the file states, in hexadecimal.
        public: String,
        /// Why.
        cause: EncryptionKeyError,
    },
    /// Others than the owner may read or write the file.
    #[error(
        "permissions {mode:04o} let others at the key; only the owner may have any (chmod 600)"
    )]
    Permissions {
        /// The permission bits.
        mode: u32,
    },
}

impl KeyFile {
    /// A key of this kind from 32 secret bytes, which the caller draws from the operating system.
    pub fn from_seed(kind: KeyKind, secret: Zeroizing<[u8; 32]>) -> Self {
        Self { kind, public: public_of(kind, &secret), secret }
    }

    /// The file of a signing key.
    pub fn of_signing<R: KeyRole>(key: &SecretKey<R>) -> Self {
        Self { kind: R::KIND, public: *key.public().as_bytes(), secret: key.seed() }
    }

    /// The file of a decryption key.
    pub fn of_decryption(key: &DecryptionKey) -> Self {
        let public = *key.public().as_bytes();
        Self { kind: KeyKind::Encryption, public, secret: key.secret().clone() }
    }

    /// The kind of the key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The public half.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The public half in hexadecimal, as it is shown and entered in a roster.
    pub fn public_text(&self) -> String {
        HEXLOWER.encode(&self.public)
    }

    /// The signing key, if it is of role `R`.
    pub fn into_signing<R: KeyRole>(self) -> Result<SecretKey<R>, KeyFileError> {
        self.check_kind(R::KIND)?;
        Ok(SecretKey::from_seed(self.secret))
    }

    /// The decryption key, if it is one.
    pub fn into_decryption(self) -> Result<DecryptionKey, KeyFileError> {
        self.check_kind(KeyKind::Encryption)?;
        Ok(DecryptionKey::from_seed(self.secret))
    }

    /// Whether the key is of the kind that is wanted.
    pub fn check_kind(&self, expected: KeyKind) -> Result<(), KeyFileError> {
        if self.kind == expected {
            Ok(())
        } else {
            Err(KeyFileError::WrongRole { expected, found: self.kind })
        }
    }

    /// The text of the file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let (role, public) = (self.kind.name(), self.public_text());
        // Room for everything from the start: a text that grows leaves a copy of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE));
        for part in [TITLE, "\nrole ", role, "\npublic ", &public, "\n", SECRET] {
            text.push_str(part);
        }
        HEXLOWER.encode_append(&*self.secret, &mut text);
        text.push('\n');
        text
    }

    /// Reads a key file and proves that its halves are usable and belong together.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.len() > MAX_KEY_FILE {
            let (length, limit) = (bytes.len(), MAX_KEY_FILE);
            return Err(KeyFileError::TooLarge { length, limit });
        }
        let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let (Some(title), Some(role), Some(public), Some(secret), Some([]), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(KeyFileError::Lines { feeds });
        };
        let line = |line, wanted| KeyFileError::Line { line, wanted };
        if title != TITLE.as_bytes() {
            return Err(line(1, TITLE));
        }
        let kind = role
            .strip_prefix(b"role ")
            .and_then(|name| str::from_utf8(name).ok())
            .and_then(|name| name.parse::<KeyKind>().ok())
            .ok_or_else(|| line(2, "role <name of a role>"))?;
        let public = public
            .strip_prefix(b"public ")
            .and_then(hex32)
            .ok_or_else(|| line(3, "public <64 lowercase hexadecimal characters>"))?;
        let secret = secret
            .strip_prefix(SECRET.as_bytes())
            .and_then(hex32)
            .ok_or_else(|| line(4, "secret <64 lowercase hexadecimal characters>"))?;
        check_usable(kind, &public)?;
        if public_of(kind, &secret) != *public {
            let public = HEXLOWER.encode(&*public);
            return Err(KeyFileError::Mismatch { kind, public });
        }
        Ok(Self { kind, public: *public, secret })
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({} {})", self.kind, self.public_text())
    }
}

/// Judges the mode of a key file on Unix as OpenSSH does: no bit for group or others.
pub const fn check_mode(mode: u32) -> Result<(), KeyFileError> {
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyFileError::Permissions { mode: mode & 0o7777 }) }
}

/// Exactly 64 lowercase hexadecimal characters. Decoded in place: nothing is left on the heap.
fn hex32(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    if text.len() != 64 {
        return None;
    }
    HEXLOWER.decode_mut(text, &mut *bytes).ok().map(|_| bytes)
}

fn public_of(kind: KeyKind, secret: &Zeroizing<[u8; 32]>) -> [u8; 32] {
    match kind {
        KeyKind::Encryption => *DecryptionKey::from_seed(secret.clone()).public().as_bytes(),
        // All signing keys are Ed25519; the role is only who may ask for a signature.
        _ => *SecretKey::<Identity>::from_seed(secret.clone()).public().as_bytes(),
    }
}

fn check_usable(kind: KeyKind, public: &[u8; 32]) -> Result<(), KeyFileError> {
    let text = || HEXLOWER.encode(public);
    match kind {
        KeyKind::Encryption => {
            let checked = EncryptionKey::from_bytes(*public).check().map(|_| ());
            checked.map_err(|cause| KeyFileError::Encryption { public: text(), cause })
        }
        _ => {
            let checked = PublicKey::<Identity>::from_bytes(*public).check().map(|_| ());
            checked.map_err(|cause| KeyFileError::Signing { public: text(), cause })
        }
    }
}
