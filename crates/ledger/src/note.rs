//! C2SP signed notes (<https://c2sp.org/signed-note>): a text and the keys that signed it.
//!
//! Parsing is stricter than the specification where it leaves room: one accepted byte form per
//! note (canonical base64, nothing after the last line), no control characters at all (a terminal
//! shows what was signed), at most one signature line per key name and id. Unknown keys are
//! ignored, as the specification demands; a line of a *known* key that does not verify condemns
//! the note.

mod cosignature;
mod key;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use federation_proto::keys::PublicKey;
use thiserror::Error;

use crate::base64;

pub use cosignature::{Cosignature, MAX_TIMESTAMP};
pub(crate) use key::is_key_name;
pub use key::{NoteKey, NoteKeyError, NoteRole, NoteSigner, SignatureType, TextRole};

/// Largest accepted note, in bytes, signature lines included.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

/// Most signature lines in one note. The specification demands at least 16; a committee of 100
/// validators needs 67.
pub const MAX_SIGNATURES: usize = 128;

/// Em dash and space: the start of a signature line.
const LINE_START: &str = "\u{2014} ";

/// A well-formed note. Its signatures prove nothing until [`Note::verified_by`] has checked them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line, of any signature type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// Why bytes are no note, or a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("the note has {length} bytes, the limit is {limit}")]
    TooLarge {
        /// Length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not UTF-8.
    #[error("the note is not UTF-8: valid up to byte {valid_up_to}")]
    NotUtf8 {
        /// Number of leading bytes that are valid UTF-8.
        valid_up_to: usize,
    },
    /// A control character other than newline.
    #[error("control character U+{code:04X} at byte {position}")]
    ControlCharacter {
        /// Code point of the character.
        code: u32,
        /// Byte offset of the character.
        position: usize,
    },
    /// The text does not end in a newline.
    #[error("the note text does not end in a newline")]
    TextNotTerminated,
    /// No empty line, no signature line, or no newline after the last one.
    #[error("the note does not end in an empty line and terminated signature lines")]
    NoSignatureBlock,
    /// A line of the signature block is not `— <name> <base64(id ‖ signature)>`.
    #[error("signature line {line} is malformed")]
    SignatureLine {
        /// Number of the line within the block, from 1.
        line: usize,
    },
    /// A key name is empty, too long or contains spaces, plus signs or control characters.
    #[error("key name {name:?} is not allowed in a note")]
    KeyName {
        /// The refused name.
        name: String,
    },
    /// More than [`MAX_SIGNATURES`] lines.
    #[error("the note has {found} signatures, the limit is {limit}")]
    TooManySignatures {
        /// Number of signature lines.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Two lines claim the same key.
    #[error("two signature lines of key {name}+{id}")]
    DuplicateSignature {
        /// Key name.
        name: String,
        /// Key id in hexadecimal.
        id: String,
    },
    /// A line of a known key does not verify.
    #[error("the signature of key {name}+{id} does not verify")]
    BadSignature {
        /// Key name.
        name: String,
        /// Key id in hexadecimal.
        id: String,
    },
    /// Two different trusted keys share name and id, so a line cannot be attributed.
    #[error("two trusted keys share name and id {name}+{id}")]
    AmbiguousKeys {
        /// Key name.
        name: String,
        /// Key id in hexadecimal.
        id: String,
    },
    /// The time of a cosignature is later than the format can say.
    #[error("timestamp {found} is beyond {limit}, the latest of a cosignature")]
    Timestamp {
        /// The refused POSIX time in seconds.
        found: u64,
        /// The limit, [`MAX_TIMESTAMP`].
        limit: u64,
    },
    /// No trusted key signed: the text must be ignored.
    #[error("none of the {signatures} signatures is by one of the {keys} trusted keys")]
    NoTrustedSignature {
        /// Number of signature lines.
        signatures: usize,
        /// Number of trusted keys.
        keys: usize,
    },
}

impl Note {
    /// Puts a text and its signatures together.
    ///
    /// # Errors
    /// What [`Note::parse`] would refuse in the rendered note.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        check_text(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::TextNotTerminated);
        }
        if signatures.is_empty() {
            return Err(NoteError::NoSignatureBlock);
        }
        if signatures.len() > MAX_SIGNATURES {
            let found = signatures.len();
            return Err(NoteError::TooManySignatures { found, limit: MAX_SIGNATURES });
        }
        let mut seen = BTreeSet::new();
        for signature in &signatures {
            if !seen.insert((signature.name.as_str(), signature.id)) {
                return Err(NoteError::DuplicateSignature {
                    name: signature.name.clone(),
                    id: key::hex_id(signature.id),
                });
            }
        }
        let note = Self { text, signatures };
        check_length(note.to_text().len())?;
        Ok(note)
    }

    /// Reads a note from bytes of unknown origin. [`Note::to_text`] gives the same bytes back.
    ///
    /// # Errors
    /// Every variant of [`NoteError`] that concerns form.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        check_length(bytes.len())?;
        let note = std::str::from_utf8(bytes)
            .map_err(|e| NoteError::NotUtf8 { valid_up_to: e.valid_up_to() })?;
        check_text(note)?;
        // The text may hold empty lines, the signature block may not: the last one separates them.
        let (before, block) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatureBlock)?;
        let block = block.strip_suffix('\n').ok_or(NoteError::NoSignatureBlock)?;
        let found = block.split('\n').count();
        if found > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures { found, limit: MAX_SIGNATURES });
        }
        let signatures = block
            .split('\n')
            .zip(1..)
            .map(|(line, number)| NoteSignature::parse(line, number))
            .collect::<Result<_, _>>()?;
        Self::new(format!("{before}\n"), signatures)
    }

    /// The note as it is stored and sent.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            signature.render(&mut note);
        }
        note
    }

    /// The signed text, with its final newline. Ignore it unless [`Note::verified_by`] accepts.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The distinct public keys among `keys` that signed the text; never empty.
    ///
    /// A public key counts once, however many names it is trusted under and lines it signed.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when a line of a trusted key does not verify strictly,
    /// [`NoteError::AmbiguousKeys`] when two trusted keys share name and id (ids have 32 bits and
    /// can be ground, so a roster must refuse such a key), [`NoteError::NoTrustedSignature`].
    pub fn verified_by<R: NoteRole>(
        &self,
        keys: &[NoteKey<R>],
    ) -> Result<BTreeSet<PublicKey<R>>, NoteError> {
        Ok(self.verified_lines(keys)?.into_iter().map(|(_, key)| key).collect())
    }

    /// The lines of trusted keys, all of them verified, with the public key that signed each;
    /// never empty. Errors as [`Self::verified_by`].
    fn verified_lines<R: NoteRole>(
        &self,
        keys: &[NoteKey<R>],
    ) -> Result<Vec<(&NoteSignature, PublicKey<R>)>, NoteError> {
        let mut lines = Vec::new();
        for signature in &self.signatures {
            let mut named =
                keys.iter().filter(|key| key.name() == signature.name && key.id() == signature.id);
            let Some(key) = named.next() else { continue };
            let (name, id) = (signature.name.clone(), key::hex_id(signature.id));
            if named.any(|other| other.public() != key.public()) {
                return Err(NoteError::AmbiguousKeys { name, id });
            }
            if !key.verifies(&self.text, signature) {
                return Err(NoteError::BadSignature { name, id });
            }
            lines.push((signature, key.public()));
        }
        if lines.is_empty() {
            let (signatures, keys) = (self.signatures.len(), keys.len());
            return Err(NoteError::NoTrustedSignature { signatures, keys });
        }
        Ok(lines)
    }
}

impl NoteSignature {
    /// Name of the key that claims to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key that claims to have signed.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What the key made of the text; 64 bytes R ‖ S for Ed25519, [`Cosignature`] for witnesses.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn parse(line: &str, number: usize) -> Result<Self, NoteError> {
        let malformed = NoteError::SignatureLine { line: number };
        let (name, encoded) = line
            .strip_prefix(LINE_START)
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| malformed.clone())?;
        if !key::is_key_name(name) {
            return Err(NoteError::KeyName { name: name.to_owned() });
        }
        let decoded = base64::decode(encoded).ok_or_else(|| malformed.clone())?;
        match decoded.split_first_chunk::<4>() {
            Some((id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
            }
            _ => Err(malformed),
        }
    }

    fn render(&self, note: &mut String) {
        let blob = [&self.id[..], &self.bytes].concat();
        // Writing to a String cannot fail.
        let _ = writeln!(note, "{LINE_START}{} {}", self.name, base64::encode(&blob));
    }
}

fn check_length(length: usize) -> Result<(), NoteError> {
    if length > MAX_NOTE_BYTES {
        return Err(NoteError::TooLarge { length, limit: MAX_NOTE_BYTES });
    }
    Ok(())
}

/// C0 characters are banned by the specification, DEL and C1 by us: a reader must see what was
/// signed, not what an escape sequence makes of it.
fn check_text(text: &str) -> Result<(), NoteError> {
    match text.char_indices().find(|(_, c)| c.is_control() && *c != '\n') {
        Some((position, c)) => Err(NoteError::ControlCharacter { code: c.into(), position }),
        None => Ok(()),
    }
}
