//! Bytes that decode are the one encoding of their value; no bytes panic.
//!
//! The first byte of the input chooses the type, modulo their number, so that one corpus grows for all.

use federation_proto::codec::Canonical;
use federation_proto::{
    Endorsed, Signed, batch, entry, envelope, evidence, genesis, governed, handshake, heartbeat,
    seal, statement, update,
};
use serde::de::DeserializeOwned;

/// A canonical type, as the first byte of an input names it.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// [`Canonical::NAME`].
    pub name: &'static str,
    law: fn(&[u8]),
}

macro_rules! types {
    ($($type:ty),+ $(,)?) => {
        /// Every canonical type of the crate. The seeds compare it with the crate's vectors.
        pub const TYPES: &[Type] = &[$(Type { name: <$type>::NAME, law: law::<$type> }),+];
    };
}

types! {
    handshake::FederationHello,
    Signed<handshake::FederationHello>,
    handshake::FederationAccept,
    Endorsed<handshake::FederationAccept>,
    handshake::FederationRefusal,
    Signed<handshake::FederationRefusal>,
    handshake::SessionStatement,
    Signed<handshake::SessionStatement>,
    handshake::SessionOpened,
    handshake::SessionResumption,
    Signed<handshake::SessionResumption>,
    handshake::SessionClosed,
    entry::LedgerEntry,
    entry::AlignmentRecord,
    entry::AggregatedUpdate,
    evidence::Evidence,
    governed::GovernancePinned,
    Endorsed<governed::GovernancePinned>,
    governed::QuarantineOpened,
    governed::QuarantineReview,
    Endorsed<governed::QuarantineReview>,
    governed::FederatedRollback,
    Endorsed<governed::FederatedRollback>,
    governed::RosterChange,
    Endorsed<governed::RosterChange>,
    governed::RosterChanged,
    governed::PolicyChange,
    Endorsed<governed::PolicyChange>,
    statement::KeyRotation<federation_proto::keys::Identity>,
    statement::RotatedKey,
    statement::KeyRevocation,
    Endorsed<statement::KeyRevocation>,
    heartbeat::Heartbeat,
    Signed<heartbeat::Heartbeat>,
    batch::Request,
    Signed<batch::Request>,
    batch::BatchItem,
    batch::Batch,
    update::ProofSlot,
    seal::Sealed,
    update::MetaUpdate,
    Signed<update::MetaUpdate>,
    update::BlobReceipt,
    Signed<update::BlobReceipt>,
    update::UpdateCommitment,
    envelope::Envelope,
    Signed<envelope::Envelope>,
    genesis::Configuration,
    genesis::Genesis,
}

fn law<T: Canonical + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(value) = T::from_canonical(bytes) {
        assert!(bytes.len() <= T::MAX_BYTES, "{}: {} bytes were taken", T::NAME, bytes.len());
        assert_eq!(value.to_canonical(), bytes, "{}: a second encoding was accepted", T::NAME);
    }
}

/// Decodes the input as the type that its first byte chooses.
pub fn check(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else { return };
    if let Some(chosen) = TYPES.get(usize::from(*choice) % TYPES.len()) {
        (chosen.law)(bytes);
    }
}

/// The input that decodes these bytes as the type with this name; `None` for a name that is no type's.
pub fn input(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let choice = TYPES.iter().position(|known| known.name == name)?;
    Some([&[u8::try_from(choice).ok()?], bytes].concat())
}
