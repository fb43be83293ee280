//! The primitives of sealing, behind functions over arrays. Nothing outside this file knows the libraries.

use core::convert::Infallible;

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use hpke::aead::{AeadTag, ChaCha20Poly1305 as HpkeChaCha};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

use super::WrappedKey;
use crate::digest::HashDomain;
use crate::keys::{DecryptionKey, EncryptionKey};

/// Length of a Poly1305 tag.
pub(super) const TAG: usize = 16;

/// HPKE's `info`: what the wrapped plaintext is.
const INFO: &[u8] = b"prism1 sealed content key";

type SendMode = OpModeS<'static, X25519HkdfSha256>;
type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;
type Secret = <X25519HkdfSha256 as Kem>::PrivateKey;
type Public = <X25519HkdfSha256 as Kem>::PublicKey;

/// BLAKE3 in `derive_key` mode as an extendable output: all random bytes of one sealing, in order.
pub(super) struct Stream(Zeroizing<blake3::OutputReader>);

impl Stream {
    /// Keyed by the entropy and by everything that the ciphertext or its associated data depends on.
    pub(super) fn new(
        entropy: &Zeroizing<[u8; 32]>,
        binding: &[u8],
        readers: &[EncryptionKey],
        plaintext: &[u8],
    ) -> Self {
        let mut hasher =
            Zeroizing::new(blake3::Hasher::new_derive_key(HashDomain::SealStream.context()));
        hasher.update(&**entropy);
        hasher.update(binding);
        // Entropy and binding have fixed lengths; the number of readers fixes where the plaintext begins.
        hasher.update(&(readers.len() as u64).to_le_bytes());
        for reader in readers {
            hasher.update(reader.as_bytes());
        }
        hasher.update(plaintext);
        Self(Zeroizing::new(hasher.finalize_xof()))
    }

    pub(super) fn next_key(&mut self) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        self.0.fill(&mut *key);
        key
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
impl TryCryptoRng for Stream {}

/// Encrypts a content key to a reader.
pub(super) fn wrap(
    content_key: &Zeroizing<[u8; 32]>,
    reader: &EncryptionKey,
    aad: &[u8],
    stream: &mut Stream,
) -> Option<WrappedKey> {
    let public = Public::from_bytes(reader.as_bytes()).ok()?;
    let mut ciphertext = **content_key;
    let (encapsulated, tag) =
        hpke::single_shot_seal_inout_detached_with_rng::<HpkeChaCha, HkdfSha256, X25519HkdfSha256>(
            &SendMode::Base,
            &public,
            INFO,
            ciphertext.as_mut_slice().into(),
            aad,
            stream,
        )
        .ok()?;
    let (encapsulated, tag) = (encapsulated.to_bytes().into(), tag.to_bytes().into());
    Some(WrappedKey { recipient: *reader, encapsulated, ciphertext, tag })
}

/// Decrypts the content key that was wrapped for this key's owner.
pub(super) fn unwrap(
    wrapped: &WrappedKey,
    key: &DecryptionKey,
    aad: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let mut content_key = Zeroizing::new(wrapped.ciphertext);
    let sent = (&wrapped.encapsulated, &wrapped.tag);
    hpke_open(key.secret(), sent, INFO, aad, content_key.as_mut_slice())?;
    Some(content_key)
}

/// HPKE's `OpenBase`, in place, with sequence number 0 [RFC 9180 §6.1].
fn hpke_open(
    secret: &[u8; 32],
    (encapsulated, tag): (&[u8; 32], &[u8; TAG]),
    info: &[u8],
    aad: &[u8],
    buffer: &mut [u8],
) -> Option<()> {
    let secret = Secret::from_bytes(secret).ok()?;
    let encapsulated = Encapsulated::from_bytes(encapsulated).ok()?;
    let tag = AeadTag::<HpkeChaCha>::from_bytes(tag).ok()?;
    hpke::single_shot_open_inout_detached::<_, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &secret,
        &encapsulated,
        info,
        buffer.into(),
        aad,
        &tag,
    )
    .ok()
}

/// Encrypts under a key that encrypts nothing else: ciphertext ‖ tag. `None` only beyond 256 GiB.
pub(super) fn encrypt(key: &Zeroizing<[u8; 32]>, aad: &[u8], plaintext: &[u8]) -> Option<Vec<u8>> {
    let cipher = ChaCha20Poly1305::new((&**key).into());
    let mut bytes = Vec::with_capacity(plaintext.len() + TAG);
    bytes.extend_from_slice(plaintext);
    let buffer = bytes.as_mut_slice().into();
    let tag = cipher.encrypt_inout_detached(&Nonce::default(), aad, buffer).ok()?;
    bytes.extend_from_slice(&tag);
    Some(bytes)
}

/// Decrypts ciphertext ‖ tag, if it was made under this key and associated data.
pub(super) fn decrypt(key: &Zeroizing<[u8; 32]>, aad: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (ciphertext, tag) = bytes.split_last_chunk::<TAG>()?;
    let cipher = ChaCha20Poly1305::new((&**key).into());
    let mut plaintext = ciphertext.to_vec();
    let buffer = plaintext.as_mut_slice().into();
    cipher.decrypt_inout_detached(&Nonce::default(), aad, buffer, &Tag::from(*tag)).ok()?;
    Some(plaintext)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let bytes = HEXLOWER.decode(text.as_bytes()).expect("hexadecimal");
        bytes.try_into().expect("the right length")
    }

    /// [RFC 9180 §A.2.1.1]: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence
    /// number 0.
    #[test]
    fn the_vector_of_rfc_9180_opens() {
        let secret: [u8; 32] =
            hex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
        let encapsulated: [u8; 32] =
            hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let ciphertext: [u8; 45] = hex(
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
        );
        let (text, tag) = ciphertext.split_last_chunk::<TAG>().expect("longer than a tag");
        let open = |info: &[u8], aad: &[u8]| {
            let mut buffer = text.to_vec();
            hpke_open(&secret, (&encapsulated, tag), info, aad, &mut buffer).map(|()| buffer)
        };
        let (info, aad) = (b"Ode on a Grecian Urn", b"Count-0");
        assert_eq!(open(info, aad).as_deref(), Some(b"Beauty is truth, truth beauty".as_slice()));
        assert_eq!((open(info, b"Count-1"), open(b"", aad)), (None, None));
        let key = DecryptionKey::from_seed(Zeroizing::new(secret));
        let public = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
        assert_eq!(key.public().to_string(), public);
    }
}
