//! Payloads encrypted to named readers: whoever else relays or stores one sees its length and its readers.
//!
//! ```text
//! content key ── ChaCha20Poly1305 ──▶ ciphertext, once for all readers
//!      └──────── HPKE, base mode ───▶ one WrappedKey for each reader
//! ```
//!
//! The content key encrypts one payload and nothing else, so its nonce is zero [RFC 8439 §2.8]. It is wrapped
//! for each reader with HPKE [RFC 9180] in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20Poly1305. Who sent it is not said here; the signature around it does that.
//!
//! # What is bound
//!
//! Both layers authenticate the [`SealBinding`]: a ciphertext copied into another federation, session, node,
//! epoch, generation, cycle or update opens for nobody. The payload layer also authenticates all wrapped keys,
//! so a reader who was taken off, added or exchanged on the way is noticed by every other reader.
//!
//! # What is not: one plaintext for all
//!
//! ChaCha20Poly1305 is not key-committing: a malicious *sender* can craft one ciphertext that opens to
//! different plaintexts under different content keys, and wrap a different key, or rubbish, for each reader.
//! Encryption cannot make the readers agree. `update_hash` does: it covers the plaintext with its secret salt,
//! each reader recomputes it, and all refuse or accept by the same 32 bytes. A reader who was given rubbish is
//! shown the content key of that one payload by one who could open it ([`Opened::content_key`],
//! [`Sealed::open_with`]); the key opens nothing else.
//!
//! The length of the ciphertext gives away the length of the plaintext. There is no forward secrecy against
//! the loss of a reader's decryption key.

mod binding;
mod suite;
#[cfg(test)]
mod tests;

use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::bounded;
use crate::codec::canonical;
use crate::digest::{Digest, HashDomain};
use crate::keys::{CheckedEncryptionKey, DecryptionKey, EncryptionKey};
use crate::limits;
use suite::{Stream, TAG};

pub use binding::SealBinding;

/// An encrypted payload. Well-formed only if its readers are in strictly increasing order of their keys, at
/// least one and at most [`limits::RECIPIENTS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    #[serde(deserialize_with = "bounded::list::<_, _, { limits::RECIPIENTS }>")]
    wrapped_keys: Vec<WrappedKey>,
    /// Encrypted payload ‖ tag.
    #[serde(with = "serde_bytes")]
    ciphertext: Vec<u8>,
}

/// The content key, encrypted to one reader: 112 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// The reader.
    pub recipient: EncryptionKey,
    /// HPKE's encapsulated key: the sender's ephemeral X25519 key.
    pub encapsulated: [u8; 32],
    /// The encrypted content key.
    pub ciphertext: [u8; 32],
    /// Its Poly1305 tag.
    pub tag: [u8; 16],
}

/// The key of one payload, erased when dropped. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ContentKey(Zeroizing<[u8; 32]>);

/// An opened payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was sealed.
    pub plaintext: Vec<u8>,
    /// The key of this payload alone, to show to a reader who was given rubbish.
    pub content_key: ContentKey,
}

canonical! {
    Sealed => limits::SEALED,
}

/// Why a payload cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// Nobody could read it.
    #[error("a payload is sealed for at least one reader")]
    NoRecipients,
    /// More readers than a sealed payload may have.
    #[error("{count} readers, the limit is {limit}")]
    TooManyRecipients {
        /// Readers given.
        count: usize,
        /// Readers allowed.
        limit: usize,
    },
    /// A reader was named twice.
    #[error("reader {0} is named twice")]
    Repeated(EncryptionKey),
    /// Longer than any payload.
    #[error("payload of {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The content key could not be encrypted to a reader.
    #[error("the content key cannot be wrapped for reader {0}")]
    Wrap(EncryptionKey),
}

/// Why a sealed payload does not open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It names no reader.
    #[error("sealed payload without readers")]
    NoRecipients,
    /// It names more readers than it may.
    #[error("sealed payload with {count} readers, the limit is {limit}")]
    TooManyRecipients {
        /// Readers named.
        count: usize,
        /// Readers allowed.
        limit: usize,
    },
    /// Its readers are not in strictly increasing order of their keys.
    #[error("sealed payload whose readers are not in strictly increasing order")]
    Unordered,
    /// Longer than any payload.
    #[error("sealed payload of {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of its plaintext.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It was not sealed for this key.
    #[error("sealed payload that does not name reader {0}")]
    NotARecipient(EncryptionKey),
    /// The wrapped key does not open: altered, bound to something else, or rubbish from the start.
    #[error("sealed payload whose wrapped key for reader {0} does not open")]
    Wrapped(EncryptionKey),
    /// The payload does not open under the content key: altered, or bound to something else.
    #[error("sealed payload that does not open under its content key")]
    Payload,
}

impl Sealed {
    /// Encrypts a payload to its readers, in whatever order they come.
    ///
    /// `entropy` is drawn freshly by the caller from the operating system. It is never used bare: every random
    /// byte depends on it *and* on binding, readers and plaintext. So entropy that is used again by mistake, as
    /// after a cloned virtual machine, gives the same bytes for the same payload and never one content key to
    /// two payloads, which a zero nonce would not survive.
    pub fn seal(
        plaintext: &[u8],
        recipients: &[CheckedEncryptionKey],
        binding: &SealBinding,
        entropy: Zeroizing<[u8; 32]>,
    ) -> Result<Self, SealError> {
        let (count, limit) = (recipients.len(), limits::RECIPIENTS);
        if count == 0 {
            return Err(SealError::NoRecipients);
        }
        if count > limit {
            return Err(SealError::TooManyRecipients { count, limit });
        }
        let too_large = SealError::TooLarge { length: plaintext.len(), limit: limits::PAYLOAD };
        if plaintext.len() > limits::PAYLOAD {
            return Err(too_large);
        }
        let mut readers: Vec<EncryptionKey> =
            recipients.iter().map(CheckedEncryptionKey::public).collect();
        readers.sort_unstable();
        if let Some([twice, _]) = readers.array_windows().find(|[a, b]| a == b) {
            return Err(SealError::Repeated(*twice));
        }
        let binding = binding.to_bytes();
        let mut stream = Stream::new(&entropy, &binding, &readers, plaintext);
        let content_key = ContentKey(stream.next_key());
        let wrap = |reader: &EncryptionKey| {
            suite::wrap(&content_key.0, reader, &binding, &mut stream)
                .ok_or(SealError::Wrap(*reader))
        };
        let wrapped_keys = readers.iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
        let aad = payload_aad(&binding, &wrapped_keys);
        let ciphertext = suite::encrypt(&content_key.0, &aad, plaintext).ok_or(too_large)?;
        Ok(Self { wrapped_keys, ciphertext })
    }

    /// Joins parts read from different places; nothing is checked.
    pub fn from_parts(wrapped_keys: Vec<WrappedKey>, ciphertext: Vec<u8>) -> Self {
        Self { wrapped_keys, ciphertext }
    }

    /// The wrapped keys, one for each reader.
    pub fn wrapped_keys(&self) -> &[WrappedKey] {
        &self.wrapped_keys
    }

    /// The encrypted payload with its tag.
    pub fn ciphertext(&self) -> &[u8] {
        &self.ciphertext
    }

    /// Proves the form: number and order of the readers, length of the payload. Anybody can, without a key.
    pub fn check_form(&self) -> Result<(), OpenError> {
        let (count, limit) = (self.wrapped_keys.len(), limits::RECIPIENTS);
        if count == 0 {
            return Err(OpenError::NoRecipients);
        }
        if count > limit {
            return Err(OpenError::TooManyRecipients { count, limit });
        }
        if !self.wrapped_keys.is_sorted_by(|a, b| a.recipient < b.recipient) {
            return Err(OpenError::Unordered);
        }
        let (length, limit) = (self.ciphertext.len().saturating_sub(TAG), limits::PAYLOAD);
        if length > limit {
            return Err(OpenError::TooLarge { length, limit });
        }
        Ok(())
    }

    /// Opens the payload as one of its readers.
    pub fn open(&self, key: &DecryptionKey, binding: &SealBinding) -> Result<Opened, OpenError> {
        self.check_form()?;
        let reader = key.public();
        let wrapped = self.wrapped_keys.iter().find(|wrapped| wrapped.recipient == reader);
        let wrapped = wrapped.ok_or(OpenError::NotARecipient(reader))?;
        let content_key = suite::unwrap(wrapped, key, &binding.to_bytes());
        let content_key = ContentKey(content_key.ok_or(OpenError::Wrapped(reader))?);
        let plaintext = self.open_with(&content_key, binding)?;
        Ok(Opened { plaintext, content_key })
    }

    /// Opens the payload with its content key, as disclosed by a reader who could open it.
    pub fn open_with(&self, key: &ContentKey, binding: &SealBinding) -> Result<Vec<u8>, OpenError> {
        self.check_form()?;
        let aad = payload_aad(&binding.to_bytes(), &self.wrapped_keys);
        suite::decrypt(&key.0, &aad, &self.ciphertext).ok_or(OpenError::Payload)
    }
}

impl ContentKey {
    /// Wraps a disclosed key.
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to disclose them.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({} bytes)", self.plaintext.len())
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

/// What the payload layer authenticates, 200 bytes: the binding ‖ H(all wrapped keys). It takes in the whole
/// wrapped keys, not only who reads: then one flipped byte anywhere is noticed by every reader.
fn payload_aad(binding: &[u8; SealBinding::BYTES], wrapped_keys: &[WrappedKey]) -> Vec<u8> {
    let parts: Vec<&[u8]> = wrapped_keys
        .iter()
        .flat_map(|key| -> [&[u8]; 4] {
            [key.recipient.as_bytes(), &key.encapsulated, &key.ciphertext, &key.tag]
        })
        .collect();
    let keys = Digest::of_parts(HashDomain::SealedKeys, &parts);
    [binding.as_slice(), keys.as_bytes()].concat()
}
