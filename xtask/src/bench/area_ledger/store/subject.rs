//! Signed requests, and the blocks that they make.

use federation_proto::codec::Canonical as _;
use federation_proto::entry::LedgerEntry;
use federation_proto::keys::Identity;
use federation_proto::update::{ParameterSet, ProofCommitment, UpdateCommitment};
use federation_proto::{
    Batch, BatchItem, Cycle, Digest, FederatedEpoch, FederationId, Generation, Lane, LaneSequence,
    LogicalTime, Request, SecretKey, SequenceNumber, SessionId, Signature, Signed, SigningContext,
    VerifyingKey, limits,
};
use ledger::block::{BLOCK_VERSION, BlockFile, BlockHeader, entry_tree};
use ledger::chain::Head;

use super::refused;
use crate::bench::BenchError;

/// Entries of the largest block.
pub(super) const FULL: u64 = limits::BATCH_ITEMS as u64;

/// Sites that write the requests.
const AUTHORS: usize = 16;

/// Bytes of a certificate: three votes of some 120 bytes.
const CERTIFICATE: usize = 360;

/// What signatures are bound to.
pub(super) fn context() -> SigningContext {
    SigningContext {
        federation_id: FederationId::new(Digest::of_blob(b"federation")),
        config_digest: Digest::of_blob(b"configuration"),
    }
}

/// The ledger of all blocks here.
pub(super) fn ledger_id() -> FederationId {
    context().federation_id
}

/// A request as sites send it: an update commitment without receipts, which would bring signatures of their own.
pub(super) fn request(number: u64, key: &SecretKey<Identity>) -> Request {
    let digest = |what: u8| {
        let mut bytes = [what; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Digest::from_bytes(bytes)
    };
    let epoch = FederatedEpoch::new(number / 100);
    let commitment = UpdateCommitment {
        federated_epoch: epoch,
        generation: Generation::ZERO,
        node_fingerprint: key.public(),
        cycle: Cycle::new(number),
        previous_update: digest(1),
        base_state_hash: digest(2),
        update_hash: digest(3),
        blob: digest(4),
        blob_len: 40_000,
        parameter_set: ParameterSet::NONE,
        commitment: ProofCommitment::default(),
        proof_hash: digest(5),
        receipts: Vec::new(),
    };
    Request {
        node_fingerprint: key.public(),
        session_id: SessionId::new(digest(6)),
        lane: Lane::Update,
        sequence: LaneSequence::new(number),
        entry: LedgerEntry::UpdateCommitment(Box::new(commitment)),
    }
}

/// Sites with their keys.
pub(super) struct Authors(Vec<(SecretKey<Identity>, VerifyingKey<Identity>)>);

impl Authors {
    pub(super) fn new() -> Result<Self, BenchError> {
        let author = |number: usize| {
            let key = SecretKey::<Identity>::synthetic("bench", &format!("site-{number}"));
            let verifier = key.public().check().map_err(refused)?;
            Ok((key, verifier))
        };
        Ok(Self((0..AUTHORS).map(author).collect::<Result<_, BenchError>>()?))
    }

    /// Request `number`, signed by its author.
    pub(super) fn signed(&self, number: u64) -> Signed<Request> {
        let (key, _) = self.of(number);
        Signed::sign(request(number, key), key, &context())
    }

    /// Request `number` under a signature that is none: the ledger does not look at it.
    pub(super) fn unsigned(&self, number: u64) -> BatchItem {
        let signature = Signature::from_bytes(&[7; 64]);
        BatchItem::Request(Signed::from_parts(request(number, &self.of(number).0), signature))
    }

    /// A request as a batch takes it in, once its signature is verified strictly.
    pub(super) fn verified(&self, request: Signed<Request>) -> Result<BatchItem, BenchError> {
        let (_, verifier) = self.of(request.claimed().sequence.get());
        let verified = request.verify(verifier, &context()).map_err(refused)?;
        Ok(BatchItem::Request(verified.into_signed()))
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder by the number of authors")]
    fn of(&self, number: u64) -> &(SecretKey<Identity>, VerifyingKey<Identity>) {
        &self.0[number as usize % AUTHORS]
    }
}

/// Makes blocks of batches, each after the one before.
pub(super) struct Chain(Head);

impl Chain {
    pub(super) fn new() -> Self {
        Self(Head::genesis(ledger_id()))
    }

    /// The next block, as a replica makes it that has executed the batch.
    pub(super) fn block(&mut self, items: Vec<BatchItem>) -> Result<BlockFile, BenchError> {
        let height = self.0.height.next();
        let batch = Batch { batch_time: LogicalTime::new(height.get()), items };
        let tree = entry_tree(&batch).map_err(refused)?;
        let sequence = SequenceNumber::new(height.get());
        let header = BlockHeader {
            version: BLOCK_VERSION,
            ledger_id: ledger_id(),
            height,
            sequence,
            parent: self.0.id,
            config_digest: context().config_digest,
            epoch: FederatedEpoch::ZERO,
            entries_count: tree.count(),
            entries_root: tree.root(),
            batch_digest: batch.digest(&context(), sequence),
            batch_time: batch.batch_time,
            state_root_after: Digest::ZERO,
        };
        self.0 = Head::after(&header);
        let commit_certificate = vec![1; CERTIFICATE];
        Ok(BlockFile { header, batch, commit_certificate, checkpoint_certificate: None })
    }
}

/// Bytes of an entry.
pub(super) fn entry_bytes(authors: &Authors) -> usize {
    authors.unsigned(FULL).to_canonical().len()
}

#[cfg(test)]
mod tests {
    use ledger::durable::DurableLedger;
    use ledger::store::memory::MemoryStore;

    use super::*;

    #[test]
    fn requests_verify_and_their_blocks_follow_each_other() {
        let authors = Authors::new().unwrap();
        assert!((200..=512).contains(&entry_bytes(&authors)));
        let mut ledger = DurableLedger::create(MemoryStore::new(), ledger_id()).unwrap();
        let mut chain = Chain::new();
        for block in 0..3 {
            let signed = (block * 5..(block + 1) * 5).map(|number| authors.signed(number));
            let items = signed.map(|request| authors.verified(request).unwrap()).collect();
            ledger.append(&chain.block(items).unwrap()).unwrap();
        }
        ledger.commit().unwrap();
        assert_eq!(ledger.verify().unwrap().entries, 15);
        // What is measured refuses a signature on another request of the same author.
        let other = *authors.signed(AUTHORS as u64).signature();
        let forged = Signed::from_parts(authors.signed(0).claimed().clone(), other);
        assert!(authors.verified(forged).is_err());
    }
}
