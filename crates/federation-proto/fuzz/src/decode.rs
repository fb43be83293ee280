//! Bytes that decode are the one encoding of their value; no bytes panic.
//!
//! The first byte of the input chooses the type, modulo their number, so that one corpus grows for all.

use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, AlignmentRecord};
use federation_proto::envelope::Envelope;
use federation_proto::genesis::{Configuration, Genesis};
use federation_proto::handshake::{FederationAccept, FederationHello, SessionStatement};
use federation_proto::update::{BlobReceipt, MetaUpdate, ProofSlot, UpdateCommitment};
use federation_proto::{Batch, BatchItem, Endorsed, LedgerEntry, Request, Signed};

/// A canonical type, as the first byte of an input names it.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    /// [`Canonical::NAME`].
    pub name: &'static str,
    law: fn(&[u8]),
}

macro_rules! types {
    ($($type:ty),+ $(,)?) => {
        /// Every canonical type of the crate. The seeds compare it with the samples of the crate's tests.
        pub const TYPES: &[Type] = &[$(Type { name: <$type>::NAME, law: law::<$type> }),+];
    };
}

types! {
    FederationHello,
    Signed<FederationHello>,
    FederationAccept,
    Endorsed<FederationAccept>,
    SessionStatement,
    LedgerEntry,
    AlignmentRecord,
    AggregatedUpdate,
    Request,
    Signed<Request>,
    BatchItem,
    Batch,
    ProofSlot,
    MetaUpdate,
    Signed<MetaUpdate>,
    BlobReceipt,
    Signed<BlobReceipt>,
    UpdateCommitment,
    Envelope,
    Signed<Envelope>,
    Configuration,
    Genesis,
}

fn law<T: Canonical>(bytes: &[u8]) {
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
