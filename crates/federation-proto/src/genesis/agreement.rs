//! How a committee agrees: what it tolerates, and what that binds into every signature.

use serde::{Deserialize, Serialize};

use super::{Configuration, RosterError};
use crate::codec::Canonical;
use crate::digest::{Digest, HashDomain};

/// Fewest validators of which one may lie.
const BYZANTINE: usize = 4;

/// The part that follows a configuration's bytes where they are hashed for proof of authority.
const AUTHORITY: &[u8] = b"proof of authority";

/// What a committee tolerates. It is bound by the digest of the configuration, hence by every signature: a
/// certificate of one kind is worth nothing as one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Agreement {
    /// At least 4 validators, of which ⌊(n−1)/3⌋ may lie.
    Byzantine,
    /// Proof of authority: 1 to 3 validators that governance trusts. Some may crash, **none may lie**: one that
    /// does can have two histories decided.
    Authority,
}

impl Agreement {
    /// Whether this many validators may agree so.
    pub(super) fn admit(self, validators: usize) -> Result<(), RosterError> {
        match self {
            Self::Byzantine if validators < BYZANTINE => Err(RosterError::Validators(validators)),
            Self::Authority if validators == 0 || validators >= BYZANTINE => {
                Err(RosterError::Authorities(validators))
            }
            Self::Byzantine | Self::Authority => Ok(()),
        }
    }
}

impl Configuration {
    /// The digest that every signature of a committee is bound to, which agrees so.
    pub fn digest_as(&self, agreement: Agreement) -> Digest {
        let bytes = self.to_canonical();
        match agreement {
            Agreement::Byzantine => Digest::of(HashDomain::Configuration, &bytes),
            Agreement::Authority => {
                Digest::of_parts(HashDomain::Configuration, &[&bytes, AUTHORITY])
            }
        }
    }
}
