//! Blobs: content-addressed, kept as long as somebody holds them.
//!
//! A holder is an epoch, whose updates must stay for the federation's retention, or an anchor, whose state must
//! stay as long as the anchor is kept. A blob that the last holder lets go leaves in the same commit. References
//! are rows of their own, in both directions, so nothing is counted that could be miscounted.

use federation_proto::{Digest, FederatedEpoch, Height};

use super::error::{Damage, DurableError};
use super::{DurableLedger, height_key};
use crate::store::{Store, Table};

/// Largest blob in bytes. The largest payload of the wire has some 2.3 MB; a state of 2²⁰ genes 4 MiB.
pub const MAX_BLOB_BYTES: usize = 16 << 20;

/// Who holds a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// An epoch: an update that it took in, a state that it began or ended with.
    Epoch(FederatedEpoch),
    /// The anchor of a block: the state that it names.
    Anchor(Height),
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Epochs before the present one whose blobs are kept.
    pub epochs: u64,
    /// Anchors that are kept, the newest ones.
    pub anchors: usize,
}

impl<S: Store> DurableLedger<S> {
    /// Stages a blob for a holder and returns its digest. The same blob again only gains a holder, unless the
    /// one that is there cannot be read any more: then this one takes its place.
    ///
    /// # Errors
    /// [`DurableError::BlobTooLarge`], or that the store fails.
    pub fn put_blob(&mut self, bytes: &[u8], holder: Holder) -> Result<Digest, DurableError> {
        if bytes.len() > MAX_BLOB_BYTES {
            let (length, limit) = (bytes.len(), MAX_BLOB_BYTES);
            return Err(DurableError::BlobTooLarge { length, limit });
        }
        let digest = Digest::of_blob(bytes);
        match self.blob(&digest) {
            Ok(_) => {}
            Err(DurableError::NoBlob { .. } | DurableError::Corrupt { .. }) => {
                self.rows.put(Table::Blobs, digest.as_bytes(), bytes);
            }
            Err(other) => return Err(other),
        }
        self.stage_reference(&digest, holder);
        Ok(digest)
    }

    /// Stages one more holder for a blob that is there.
    ///
    /// # Errors
    /// [`DurableError::NoBlob`], or that the store fails.
    pub fn hold_blob(&mut self, digest: &Digest, holder: Holder) -> Result<(), DurableError> {
        if !self.is_held(digest)? {
            return Err(DurableError::NoBlob { digest: *digest });
        }
        self.stage_reference(digest, holder);
        Ok(())
    }

    /// A blob.
    ///
    /// # Errors
    /// [`DurableError::NoBlob`], [`DurableError::Corrupt`], or that the store fails.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>, DurableError> {
        let damaged = |damage| DurableError::of_row(Table::Blobs, digest.as_bytes(), damage);
        let Some(bytes) = self.rows.get(Table::Blobs, digest.as_bytes())? else {
            // A reference without its blob is a loss, not an absence.
            let held = self.is_held(digest)?;
            let absent = DurableError::NoBlob { digest: *digest };
            return Err(if held { damaged(Damage::Missing) } else { absent });
        };
        let found = Digest::of_blob(&bytes);
        if found != *digest {
            let (expected, found) = (digest.to_string(), found.to_string());
            return Err(damaged(Damage::Hash { expected, found }));
        }
        Ok(bytes)
    }

    /// The blobs of a holder, by digest.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails.
    pub fn blobs_of(&self, holder: Holder) -> Result<Vec<Digest>, DurableError> {
        let prefix = holder.key();
        let keys = self.rows.keys(Table::Holdings, &prefix, &prefix, usize::MAX)?;
        keys.iter().map(|key| split(key).map(|(_, digest)| digest)).collect()
    }

    /// Stages the end of everything that retention does not keep in epoch `now`: blobs of old epochs, old anchors
    /// and their blobs. Returns the number of blobs that go.
    ///
    /// # Errors
    /// [`DurableError::Corrupt`], or that the store fails. What is staged until then is whole for each blob, and
    /// may be committed.
    pub fn retain(&mut self, now: FederatedEpoch, keep: Retention) -> Result<usize, DurableError> {
        let oldest = now.get().saturating_sub(keep.epochs);
        let anchors = self.rows.keys(Table::Anchors, &[], &[], usize::MAX)?;
        let dropped = anchors.len().saturating_sub(keep.anchors);
        for key in anchors.iter().take(dropped) {
            self.rows.remove(Table::Anchors, key);
        }
        let mut ended = Vec::new();
        self.each_key(Table::Holdings, |key| {
            let (holder, digest) = split(key)?;
            let keeps = match holder {
                Holder::Epoch(epoch) => epoch.get() >= oldest,
                Holder::Anchor(height) => {
                    self.rows.get(Table::Anchors, &height_key(height))?.is_some()
                }
            };
            if !keeps {
                ended.push((holder, digest));
            }
            Ok(())
        })?;
        let mut gone = 0;
        for (holder, digest) in ended {
            let (prefix, own) = (digest.as_bytes(), join(digest.as_bytes(), &holder.key()));
            // Asked before anything is staged, so that no error comes in between.
            let left = self.rows.keys(Table::References, prefix, prefix, 2)?;
            self.rows.remove(Table::Holdings, &join(&holder.key(), prefix));
            self.rows.remove(Table::References, &own);
            if left.iter().all(|reference| *reference == own) {
                self.rows.remove(Table::Blobs, prefix);
                gone += 1;
            }
        }
        Ok(gone)
    }

    pub(super) fn is_held(&self, digest: &Digest) -> Result<bool, DurableError> {
        let prefix = digest.as_bytes();
        Ok(!self.rows.keys(Table::References, prefix, prefix, 1)?.is_empty())
    }

    /// Every reference has its other direction and its blob.
    pub(super) fn verify_references(&self) -> Result<(), DurableError> {
        self.each_key(Table::Holdings, |key| {
            let (holder, digest) = split(key)?;
            let other = join(digest.as_bytes(), &holder.key());
            let both = self.rows.get(Table::Holdings, key)?.is_some()
                && self.rows.get(Table::References, &other)?.is_some();
            let blob = self.rows.get(Table::Blobs, digest.as_bytes())?.is_some();
            if both && blob { Ok(()) } else { Err(broken(Table::Holdings, key)) }
        })?;
        self.each_key(Table::References, |key| {
            let (digest, holder) = key.split_at_checked(32).unwrap_or_default();
            let other = self.rows.get(Table::Holdings, &join(holder, digest))?;
            if other.is_some() { Ok(()) } else { Err(broken(Table::References, key)) }
        })
    }

    fn stage_reference(&mut self, digest: &Digest, holder: Holder) {
        self.rows.put(Table::References, &join(digest.as_bytes(), &holder.key()), &[]);
        self.rows.put(Table::Holdings, &join(&holder.key(), digest.as_bytes()), &[]);
    }
}

impl Holder {
    /// One byte of kind and eight of number, so that holders of a kind are in order.
    fn key(self) -> [u8; 9] {
        let (kind, number) = match self {
            Self::Epoch(epoch) => (0, epoch.get()),
            Self::Anchor(height) => (1, height.get()),
        };
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        [kind, a, b, c, d, e, f, g, h]
    }
}

/// The holder and the blob of a key in [`Table::Holdings`].
fn split(key: &[u8]) -> Result<(Holder, Digest), DurableError> {
    let broken = || broken(Table::Holdings, key);
    let (holder, digest) = key.split_first_chunk::<9>().ok_or_else(broken)?;
    let [kind, number @ ..] = *holder;
    let number = u64::from_be_bytes(number);
    let holder = match kind {
        0 => Holder::Epoch(FederatedEpoch::new(number)),
        1 => Holder::Anchor(Height::new(number)),
        _ => return Err(broken()),
    };
    let digest = <[u8; 32]>::try_from(digest).map_err(|_| broken())?;
    Ok((holder, Digest::from_bytes(digest)))
}

fn broken(table: Table, key: &[u8]) -> DurableError {
    DurableError::of_row(table, key, Damage::References)
}

fn join(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, second].concat()
}
