//! Secret keys: they sign, they are erased, and they never print.

use core::fmt;
use core::marker::PhantomData;

use ed25519_dalek::Signer as _;
use zeroize::Zeroizing;

use super::{KeyRole, PublicKey, Signature};
use crate::digest::{Digest, HashDomain};

/// A secret key of role `R`, erased when dropped. It prints as its public key.
pub struct SecretKey<R> {
    inner: ed25519_dalek::SigningKey,
    role: PhantomData<R>,
}

impl<R: KeyRole> SecretKey<R> {
    /// From 32 secret bytes, which the caller draws from the operating system or, for a synthetic
    /// federation, from [`SecretKey::synthetic`].
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        Self { inner: ed25519_dalek::SigningKey::from_bytes(&seed), role: PhantomData }
    }

    /// A key that everybody can derive: H(label, role, owner). It proves consistency, never authorship.
    pub fn synthetic(label: &str, owner: &str) -> Self {
        let parts: [&[u8]; 3] = [label.as_bytes(), R::NAME.as_bytes(), owner.as_bytes()];
        let seed = Digest::of_parts(HashDomain::SyntheticKey, &parts);
        Self::from_seed(Zeroizing::new(*seed.as_bytes()))
    }

    /// The secret bytes, for a key file.
    pub(super) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.inner.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey<R> {
        PublicKey::from_bytes(self.inner.verifying_key().to_bytes())
    }

    /// Signs raw bytes. For C2SP notes; protocol messages go through [`Signed`](crate::signing::Signed).
    pub fn sign_raw(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(&self.inner.sign(message).to_bytes())
    }
}

impl<R: KeyRole> fmt::Debug for SecretKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey<{}>({}…)", R::NAME, self.public().short())
    }
}
