//! Statements about keys: one takes another's place, or one is no longer to be believed.
//!
//! ```text
//! KeyRotation    signed by the old key (authority) AND by the new key (possession)
//! KeyRevocation  endorsed by m of n governors: whoever holds a stolen key could rotate it away
//! ```
//!
//! Both are portable: bytes that anybody can verify who knows the federation, its configuration and the key in
//! force. Both name the epoch from which they hold, never a time. A statement decides nothing by itself. That
//! the numbers of a holder's rotations go up without gaps, that a key was not used before, and from which
//! border a statement takes effect, is for the ledger to say.

use core::ops::Deref;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{Canonical, canonical};
use crate::counters::{FederatedEpoch, RotationNumber};
use crate::keys::{
    Admission, Consensus, Cosigner, Document, GovernanceNote, Identity, KeyError, KeyFile,
    KeyFileError, KeyKind, KeyRole, LogCheckpoint, PublicKey, SecretKey, Signature, Transport,
    VerifyingKey,
};
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Endorsed, SignatureError, Signed, SignedBody, SigningContext};

/// A holder's key of one role gives way to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct KeyRotation<R> {
    /// The role, so that the signed bytes say it and not only the type.
    pub role: KeyKind,
    /// Whose keys they are, by the name in the roster.
    pub holder: Name,
    /// The key in force until then.
    pub old_key: PublicKey<R>,
    /// The key in force from then on.
    pub new_key: PublicKey<R>,
    /// First epoch in which the new key counts and the old one does not.
    pub from_epoch: FederatedEpoch,
    /// Counts the rotations of this holder and role from 1, so that an old one cannot be shown again.
    pub number: RotationNumber,
}

/// A rotation with both signatures, which nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SignedRotation<R> {
    rotation: KeyRotation<R>,
    by_old: Signature,
    by_new: Signature,
}

/// A rotation that both keys signed. Only [`SignedRotation::verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedRotation<R> {
    rotation: KeyRotation<R>,
    new_key: VerifyingKey<R>,
}

/// Why a rotation was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RotationError {
    /// The signed bytes speak of another role than the keys have.
    #[error("rotation of a key of role {stated} where the keys are of role {expected}")]
    Role {
        /// The role that the statement names.
        stated: KeyKind,
        /// The role of its keys.
        expected: KeyKind,
    },
    /// The old key is not the holder's.
    #[error("rotation of {holder}'s {role} key {stated}, but the key in force is {current}")]
    NotCurrent {
        /// The holder.
        holder: Name,
        /// The role.
        role: KeyKind,
        /// Hexadecimal key that the statement names.
        stated: String,
        /// Hexadecimal key in force.
        current: String,
    },
    /// Nothing would change.
    #[error("rotation of {holder}'s {role} key to itself")]
    SameKey {
        /// The holder.
        holder: Name,
        /// The role.
        role: KeyKind,
    },
    /// The new key is not usable.
    #[error("rotation to the unusable key {key}: {cause}")]
    NewKey {
        /// Hexadecimal new key.
        key: String,
        /// Why.
        cause: KeyError,
    },
    /// The old key did not sign: nobody with authority asked for it.
    #[error("rotation not signed by the old key: {0}")]
    OldSignature(SignatureError),
    /// The new key did not sign: nobody shows that they hold it.
    #[error("rotation not signed by the new key: {0}")]
    NewSignature(SignatureError),
}

impl<R: KeyRole> SignedRotation<R> {
    /// Signs a rotation with both keys.
    pub fn sign(
        rotation: KeyRotation<R>,
        old: &SecretKey<R>,
        new: &SecretKey<R>,
        context: &SigningContext,
    ) -> Self {
        let preimage = context.preimage(Domain::KeyRotation, &rotation.to_canonical());
        let (by_old, by_new) = (old.sign_raw(&preimage), new.sign_raw(&preimage));
        Self { rotation, by_old, by_new }
    }

    /// Joins parts read from different places; nothing is checked.
    pub fn from_parts(rotation: KeyRotation<R>, by_old: Signature, by_new: Signature) -> Self {
        Self { rotation, by_old, by_new }
    }

    /// The unverified statement, only to look up the key in force of its holder.
    pub fn claimed(&self) -> &KeyRotation<R> {
        &self.rotation
    }

    /// The signatures of the old and of the new key.
    pub fn signatures(&self) -> (&Signature, &Signature) {
        (&self.by_old, &self.by_new)
    }

    /// Proves that `current`, the holder's key in force, gives way to a usable key whose holder agrees.
    ///
    /// Both signatures are over the same bytes. They cannot stand for each other: the keys differ, and the
    /// bytes say which is which.
    pub fn verify(
        &self,
        current: &VerifyingKey<R>,
        context: &SigningContext,
    ) -> Result<VerifiedRotation<R>, RotationError> {
        let KeyRotation { role, holder, old_key, new_key, .. } = &self.rotation;
        if *role != R::KIND {
            return Err(RotationError::Role { stated: *role, expected: R::KIND });
        }
        if *old_key != current.public() {
            let (stated, current) = (old_key.to_string(), current.public().to_string());
            let holder = holder.clone();
            return Err(RotationError::NotCurrent { holder, role: R::KIND, stated, current });
        }
        if old_key == new_key {
            return Err(RotationError::SameKey { holder: holder.clone(), role: R::KIND });
        }
        let new_key = new_key
            .check()
            .map_err(|cause| RotationError::NewKey { key: new_key.to_string(), cause })?;
        let signed = |signature| Signed::from_parts(self.rotation.clone(), signature);
        signed(self.by_old).verify(current, context).map_err(RotationError::OldSignature)?;
        signed(self.by_new).verify(&new_key, context).map_err(RotationError::NewSignature)?;
        Ok(VerifiedRotation { rotation: self.rotation.clone(), new_key })
    }
}

impl<R> VerifiedRotation<R> {
    /// The new key, checked.
    pub fn new_key(&self) -> &VerifyingKey<R> {
        &self.new_key
    }
}

impl<R> Deref for VerifiedRotation<R> {
    type Target = KeyRotation<R>;

    fn deref(&self) -> &KeyRotation<R> {
        &self.rotation
    }
}

/// What a rotation says beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationTerms {
    /// Whose keys they are, by the name in the roster.
    pub holder: Name,
    /// First epoch of the new key.
    pub from_epoch: FederatedEpoch,
    /// Counts the rotations of this holder and role.
    pub number: RotationNumber,
}

/// Why a rotation of two key files cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RotateError {
    /// Keys of this kind are replaced with a configuration.
    #[error("a key of role {0} is replaced by a configuration, not by a statement")]
    NotByStatement(KeyKind),
    /// The new key is of another role than the old one.
    #[error("the new key is {0}")]
    New(KeyFileError),
    /// The old key is not of the role that it was taken for.
    #[error("the old key is {0}")]
    Old(KeyFileError),
    /// The old key is not usable.
    #[error("the old key is unusable: {0}")]
    Unusable(KeyError),
    /// What was signed would be refused.
    #[error(transparent)]
    Rotation(#[from] RotationError),
}

fn rotate<R: KeyRole>(
    old: KeyFile,
    new: KeyFile,
    terms: RotationTerms,
    context: &SigningContext,
) -> Result<SignedRotation<R>, RotateError> {
    let new = new.into_signing::<R>().map_err(RotateError::New)?;
    let old = old.into_signing::<R>().map_err(RotateError::Old)?;
    let RotationTerms { holder, from_epoch, number } = terms;
    let (old_key, new_key) = (old.public(), new.public());
    let role = R::KIND;
    let rotation = KeyRotation { role, holder, old_key, new_key, from_epoch, number };
    let signed = SignedRotation::sign(rotation, &old, &new, context);
    let current = old_key.check().map_err(RotateError::Unusable)?;
    signed.verify(&current, context)?;
    Ok(signed)
}

/// A rotation of a key of any role that rotates by statement, as a ledger entry or a file holds it.
///
/// On the wire its first byte is the number of the role, [`KeyKind`]. Keys of the other kinds are
/// replaced with a configuration: the artifact key has no holder, an encryption key signs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotatedKey {
    /// Of a node.
    Identity(SignedRotation<Identity>),
    /// Of a validator.
    Consensus(SignedRotation<Consensus>),
    /// Of a validator.
    LogCheckpoint(SignedRotation<LogCheckpoint>),
    /// Of a governor.
    Document(SignedRotation<Document>),
    /// Of a governor.
    Admission(SignedRotation<Admission>),
    /// Of a governor.
    GovernanceNote(SignedRotation<GovernanceNote>),
    /// Of a node.
    Transport(SignedRotation<Transport>),
    /// Of a witness.
    Cosigner(SignedRotation<Cosigner>),
}

macro_rules! rotated {
    ($($role:ident),+ $(,)?) => {
        impl RotatedKey {
            /// Signs the rotation of a key that gives way to another, both as key files hold them, and
            /// proves that it verifies.
            pub fn sign(
                old: KeyFile,
                new: KeyFile,
                terms: RotationTerms,
                context: &SigningContext,
            ) -> Result<Self, RotateError> {
                match old.kind() {
                    $(KeyKind::$role => {
                        rotate::<$role>(old, new, terms, context).map(Self::$role)
                    })+
                    other => Err(RotateError::NotByStatement(other)),
                }
            }

            /// The role of the keys.
            pub const fn kind(&self) -> KeyKind {
                match self {
                    $(Self::$role(_) => KeyKind::$role,)+
                }
            }

            /// The holder, not verified: only to look up the key in force.
            pub fn claimed_holder(&self) -> &Name {
                match self {
                    $(Self::$role(signed) => &signed.claimed().holder,)+
                }
            }
        }

        $(impl From<SignedRotation<$role>> for RotatedKey {
            fn from(signed: SignedRotation<$role>) -> Self {
                Self::$role(signed)
            }
        })+
    };
}

// The variants stand in the order of the roles' numbers: `the_first_byte_is_the_role` holds them together.
rotated! {
    Identity, Consensus, LogCheckpoint, Document, Admission, GovernanceNote, Transport, Cosigner,
}

/// Why a key is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// Somebody else may hold it.
    Compromised,
    /// Another took its place.
    Superseded,
    /// Its holder is no longer a member.
    Retired,
}

/// A key of any kind is not to be believed from an epoch on. Governors endorse it, m of n, with
/// [`Endorsed`]; the key itself has no say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevocation {
    /// The kind of the key.
    pub role: KeyKind,
    /// Whose key it is, by the name in the roster.
    pub holder: Name,
    /// Its 32 bytes. They need not be a usable key: that can be why it is revoked.
    pub key: [u8; 32],
    /// First epoch in which it does not count.
    pub from_epoch: FederatedEpoch,
    /// Why.
    pub reason: RevocationReason,
}

impl KeyRevocation {
    /// Whether this says of a key that it does not count in an epoch.
    pub fn revokes<R: KeyRole>(&self, key: &PublicKey<R>, epoch: FederatedEpoch) -> bool {
        self.role == R::KIND && self.key == *key.as_bytes() && epoch >= self.from_epoch
    }
}

canonical! {
    RotatedKey => limits::KEY_STATEMENT,
    KeyRevocation => limits::KEY_STATEMENT,
    Endorsed<KeyRevocation> => limits::REVOCATION,
}

impl<R: KeyRole> Canonical for KeyRotation<R> {
    const NAME: &'static str = "KeyRotation";
    const MAX_BYTES: usize = limits::KEY_STATEMENT;
}

impl<R: KeyRole> SignedBody for KeyRotation<R> {
    const DOMAIN: Domain = Domain::KeyRotation;
    type Role = R;
}
impl SignedBody for KeyRevocation {
    const DOMAIN: Domain = Domain::KeyRevocation;
    type Role = Document;
}
