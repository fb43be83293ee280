//! Digests that name one kind of thing each.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, HexError};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Digest);

        impl $name {
            /// Wraps the digest that is this id.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest that is this id.
            pub const fn digest(&self) -> Digest {
                self.0
            }

            /// The raw bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// Hash of the genesis body.
    FederationId,
    /// H(hello ‖ accept terms ‖ certificate hashes): one admitted session of one node.
    SessionId,
    /// Hash of a block header. In payloads: the block that opened the sender's session.
    LedgerBlockId,
}
