//! Every limit of the wire in one place, in bytes unless named otherwise.
//!
//! A limit is checked before the bytes are read. They are sized for the committee and genomes of the
//! architecture: 10,000 participants, 100 validators, genomes of up to 2²⁰ genes.

/// A genesis body with its whole roster.
pub const GENESIS: usize = 4 << 20;
/// A hello, with room for an attestation quote.
pub const HELLO: usize = 32 << 10;
/// An accept with its endorsements.
pub const ACCEPT: usize = 16 << 10;
/// The uncompressed canonical bytes of a genome delta (2²⁰ genes of two bytes and a header).
pub const DELTA: usize = (2 << 20) + (64 << 10);
/// A signed meta update: compressed payload, proof slot, header. zstd may add a little to what it cannot compress.
pub const META_UPDATE: usize = DELTA + (64 << 10);
/// Readers of one sealed payload: a committee of 100 validators, and auditors.
pub const RECIPIENTS: usize = 256;
/// A sealed payload: the longest plaintext, 112 bytes a reader, the tag and two lengths.
pub const SEALED: usize = META_UPDATE + RECIPIENTS * 112 + 32;
/// A rotation of a key with both signatures, or the bare revocation of one.
pub const KEY_STATEMENT: usize = 1 << 10;
/// A revocation with its endorsements.
pub const REVOCATION: usize = 16 << 10;
/// A commitment with its blob receipts.
pub const COMMITMENT: usize = 64 << 10;
/// A ledger entry. An aggregated update of 2²⁰ genes is the largest.
pub const ENTRY: usize = 8 << 20;
/// A batch of ledger entries.
pub const BATCH: usize = 16 << 20;
/// An envelope: the largest payload and its header.
pub const ENVELOPE: usize = META_UPDATE + (4 << 10);
/// Most items in one batch.
pub const BATCH_ITEMS: usize = 4096;
