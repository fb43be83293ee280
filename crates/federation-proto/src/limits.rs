//! Every limit of the wire in one place, in bytes unless named otherwise.
//!
//! A limit is checked before the bytes are read. They are sized for the committee and genomes of the
//! architecture: 10,000 participants, 100 validators, genomes of up to 2²⁰ genes.

/// A genesis body with its whole roster.
pub const GENESIS: usize = 4 << 20;
/// What tells a federation from another with the same roster.
pub const INSTANCE: usize = 256;
/// Most participants of a roster.
pub const PARTICIPANTS: usize = 1 << 14;
/// A hello, with room for an attestation quote (a TDX quote with its collateral has some 12 KiB).
pub const HELLO: usize = 32 << 10;
/// A quote about a node's machine, with its collateral.
pub const QUOTE: usize = 24 << 10;
/// An accept with its endorsements, or the refusal of a hello.
pub const ACCEPT: usize = 24 << 10;
/// The uncompressed canonical bytes of a genome delta (2²⁰ genes of two bytes and a header).
pub const DELTA: usize = (2 << 20) + (64 << 10);
/// The compressed delta of an update. zstd may add a little to what it cannot compress.
pub const PAYLOAD: usize = DELTA + (16 << 10);
/// A signed meta update: the payload, wrapped keys where it is sealed, proof slot, header.
pub const META_UPDATE: usize = PAYLOAD + (112 << 10);
/// A storage receipt.
pub const RECEIPT: usize = 1 << 10;
/// Readers of one sealed payload: a committee of 100 validators, and auditors.
pub const RECIPIENTS: usize = 256;
/// A sealed payload: the longest plaintext, 112 bytes a reader, the tag and two lengths.
pub const SEALED: usize = PAYLOAD + RECIPIENTS * 112 + 32;
/// A rotation of a key with both signatures, or the bare revocation of one.
pub const KEY_STATEMENT: usize = 1 << 10;
/// A revocation with its endorsements.
pub const REVOCATION: usize = 16 << 10;
/// A commitment with its blob receipts.
pub const COMMITMENT: usize = 64 << 10;
/// The Pedersen commitments of an update: 256 points of 32 bytes.
pub const PROOF_COMMITMENT: usize = 256 * 32;
/// A proof about an update.
pub const PROOF: usize = 64 << 10;
/// A heartbeat.
pub const HEARTBEAT: usize = 1 << 10;
/// A question for a blob or a range of blocks.
pub const QUERY: usize = 256;
/// A governor's endorsement with what it endorses.
pub const APPROVAL: usize = GENESIS + (64 << 10);
/// A policy document.
pub const POLICY: usize = 64 << 10;
/// A reason in words, as a governor gives it.
pub const REASON: usize = 1 << 10;
/// Evidence of misbehaviour that anybody can check.
pub const EVIDENCE: usize = 512 << 10;
/// A ledger entry. An aggregated update of 2²⁰ genes is the largest.
pub const ENTRY: usize = 8 << 20;
/// A client's request; it carries what sites and governors write, never an aggregate.
pub const REQUEST: usize = APPROVAL + (8 << 10);
/// A batch of ledger entries.
pub const BATCH: usize = 16 << 20;
/// Blocks on their way to a node that lacks them.
pub const SEGMENT: usize = BATCH + (1 << 20);
/// Everything of an envelope but its payload.
pub const ENVELOPE_HEADER: usize = 4 << 10;
/// An envelope: the largest payload and its header.
pub const ENVELOPE: usize = SEGMENT + ENVELOPE_HEADER;
/// Most items in one batch.
pub const BATCH_ITEMS: usize = 4096;
/// Most capabilities of a hello.
pub const CAPABILITIES: usize = 64;
/// Most reasons in a refusal: one for every capability, and one of every other kind.
pub const REASONS: usize = CAPABILITIES + 16;
/// Most endorsements of a document, and governors of a roster.
pub const ENDORSEMENTS: usize = 128;
/// Most storage receipts of a commitment, and validators of a roster.
pub const VALIDATORS: usize = 128;
/// A frame between nodes: an envelope with a segment of the ledger is the largest.
pub const FRAME: usize = ENVELOPE;
/// A frame of the control lane: a hello, or an accept with one endorsement.
pub const FRAME_CONTROL: usize = 128 << 10;
/// A frame of the update lane: an envelope with an update.
pub const FRAME_UPDATE: usize = META_UPDATE + (8 << 10);
/// A frame of the governance lane: an envelope with an endorsement of the largest roster.
pub const FRAME_GOVERNANCE: usize = REQUEST + (8 << 10);
