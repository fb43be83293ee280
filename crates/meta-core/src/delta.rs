//! What a site shares of its evolution: a quantised change of every gene.
//!
//! A genome is Q8.24 in `i32`; a shared delta is one `i16` a gene, in steps of the gene's scale block
//! (a power of two, so expanding is exact). What quantisation leaves over stays at the site as a
//! [`Residual`] and is added to the next cycle's change: error feedback, so nothing is lost for good
//! [Seide et al., Interspeech '14; Karimireddy et al., ICML '19].
//!
//! ```text
//! target − base + residual ──quantise──▶ coordinates + residual'
//!                                       └─ DeltaPayload ── canonical bytes ──▶ update_hash
//!                                                         └── zstd frame ────▶ MetaUpdate::payload
//! ```
//!
//! Out of range is refused, at the site and at every reader; nothing wraps or saturates.

mod frame;
mod quantise;

#[cfg(test)]
mod tests;

use federation_proto::codec::{Canonical, CodecError};
use federation_proto::{Digest, HashDomain, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::genome::GenomeSchema;

pub use frame::{FrameError, MAX_WINDOW_BYTES, compress, decompress};
pub use quantise::{Residual, coordinate_limit, expand, quantise};

/// A genome delta as it is hashed, before compression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaPayload {
    /// Secret of the site until the payload is opened: small deltas alone could be guessed from their hash.
    pub salt: [u8; 32],
    /// Schema whose genes the coordinates belong to.
    pub schema_digest: Digest,
    /// One change a gene, in steps of its scale block.
    #[serde(with = "fixed_width")]
    pub coordinates: Vec<i16>,
}

/// Why a delta cannot be made, or is not one of this schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeltaError {
    /// The delta (or a genome it is made from) belongs to another schema.
    #[error("delta of schema {found}, expected {expected}")]
    Schema {
        /// Schema in force.
        expected: Digest,
        /// Schema found.
        found: Digest,
    },
    /// Not one coordinate (or residual) a gene.
    #[error("{found} coordinates for a schema of {expected} genes")]
    Length {
        /// Genes in the schema.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A change that no two legal genomes can have.
    #[error("gene {gene:?}: |coordinate({coordinate})| must be <= {limit} steps")]
    OutOfRange {
        /// Gene name.
        gene: String,
        /// The change in steps.
        coordinate: i64,
        /// Most steps that are accepted, either way.
        limit: i64,
    },
}

/// Why the compressed payload of an update is not a delta of this schema. Always its author's doing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Not exactly one bounded zstd frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the canonical bytes of a payload.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Hashed to another value than stated.
    #[error("payload has update hash {found}, the update states {stated}")]
    Hash {
        /// Hash in the signed update.
        stated: Digest,
        /// Hash of the bytes.
        found: Digest,
    },
    /// No delta within bounds.
    #[error(transparent)]
    Delta(#[from] DeltaError),
}

impl DeltaPayload {
    /// The hash that identifies the update: over the uncompressed canonical bytes, salt included.
    #[must_use]
    pub fn update_hash(&self) -> Digest {
        update_hash(&self.to_canonical())
    }

    /// Checks schema, shape and bounds.
    ///
    /// # Errors
    /// Any variant of [`DeltaError`]; the schema is compared first.
    pub fn check(&self, schema: &GenomeSchema) -> Result<(), DeltaError> {
        let expected = Digest::from_bytes(schema.digest());
        if self.schema_digest != expected {
            let found = self.schema_digest;
            return Err(DeltaError::Schema { expected, found });
        }
        check_coordinates(schema, &self.coordinates)
    }

    /// The payload inside a compressed frame, if it hashes to `stated` and is a delta of `schema`.
    ///
    /// # Errors
    /// Any variant of [`PayloadError`], in the order of the steps: frame, hash, codec, delta.
    pub fn open(
        frame: &[u8],
        stated: &Digest,
        schema: &GenomeSchema,
    ) -> Result<Self, PayloadError> {
        let bytes = decompress(frame, Self::MAX_BYTES)?;
        let found = update_hash(&bytes);
        if found != *stated {
            let stated = *stated;
            return Err(PayloadError::Hash { stated, found });
        }
        let payload = Self::from_canonical(&bytes)?;
        payload.check(schema)?;
        Ok(payload)
    }
}

impl Canonical for DeltaPayload {
    const NAME: &'static str = "DeltaPayload";
    const MAX_BYTES: usize = limits::DELTA;
}

/// The hash of the uncompressed canonical bytes of a [`DeltaPayload`].
#[must_use]
pub fn update_hash(canonical: &[u8]) -> Digest {
    Digest::of(HashDomain::Update, canonical)
}

/// The input gate: one coordinate a gene, each one a change that two legal genomes can have.
///
/// # Errors
/// [`DeltaError::Length`] or the first [`DeltaError::OutOfRange`] in gene order.
pub fn check_coordinates(schema: &GenomeSchema, coordinates: &[i16]) -> Result<(), DeltaError> {
    let (expected, found) = (schema.dimension(), coordinates.len());
    if found != expected {
        return Err(DeltaError::Length { expected, found });
    }
    coordinates.iter().enumerate().try_for_each(|(gene, &coordinate)| {
        quantise::check_range(schema, gene, coordinate.into()).map(|_| ())
    })
}

/// Two bytes a coordinate, little-endian. The length of the encoding then depends on the schema alone:
/// it tells a relay nothing about the delta.
mod fixed_width {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        coordinates: &[i16],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(coordinates.iter().map(|coordinate| coordinate.to_le_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<i16>, D::Error> {
        let bytes = Vec::<[u8; 2]>::deserialize(deserializer)?;
        Ok(bytes.into_iter().map(i16::from_le_bytes).collect())
    }
}
