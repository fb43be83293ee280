//! What the small records of an epoch say of themselves: counters, commitments, entries, batches.

use std::collections::BTreeSet;

use federation_proto::batch::BatchItem;
use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregationRule, EpochOpened, LedgerEntry};
use federation_proto::update::{ParameterSet, ProofSlot, UpdateCommitment};
use federation_proto::{
    Batch, Cycle, Digest, FederatedEpoch, Generation, HashDomain, LogicalTime, Signed,
};

use crate::draw::draw;
use crate::fixture::{self, changed};
use crate::survey;

/// Counters stop at their end: one that wrapped would let everything old count as new.
#[test]
fn counters_stop_and_never_wrap() {
    let last = FederatedEpoch::new(u64::MAX);
    assert_eq!(last.next(), last);
    assert_eq!(FederatedEpoch::ZERO.next().get(), 1);
    let (early, late) = (LogicalTime::new(5), LogicalTime::new(u64::MAX - 1));
    assert_eq!(late.plus_millis(7), LogicalTime::new(u64::MAX));
    assert_eq!(early.plus_millis(7), LogicalTime::new(12));
    assert_eq!(early.millis_since(late), 0);
    assert_eq!(LogicalTime::new(12).millis_since(early), 7);
}

fn changed_commitments() -> Vec<(&'static str, UpdateCommitment)> {
    changed!(fixture::commitment() => UpdateCommitment {
        federated_epoch: fixture::epoch(5),
        generation: Generation::new(1),
        node_fingerprint: fixture::public("site-2"),
        cycle: Cycle::new(12),
        previous_update: fixture::digest("another"),
        base_state_hash: fixture::digest("another"),
        update_hash: fixture::digest("another"),
        blob: fixture::digest("another"),
        blob_len: 14,
        parameter_set: ParameterSet(1),
        commitment: fixture::proof().statement().1,
        proof_hash: fixture::proof().hash(),
        receipts: Vec::new(),
    })
}

#[test]
fn a_commitment_that_lies_is_named_by_its_field() {
    let update = fixture::meta_update();
    let check = |commitment: &UpdateCommitment| commitment.check_matches(&update, b"signed update");
    assert_eq!(check(&fixture::commitment()), Ok(()));
    for (field, commitment) in changed_commitments() {
        // Receipts are what others say of the commitment.
        let expected = if field == "receipts" { Ok(()) } else { Err(field) };
        assert_eq!(check(&commitment), expected);
    }
}

#[test]
fn a_receipt_speaks_of_every_field_of_a_commitment() {
    let statement = fixture::commitment().statement_hash();
    for (field, commitment) in changed_commitments() {
        let same = commitment.statement_hash() == statement;
        assert_eq!(same, field == "receipts", "{field}");
    }
}

#[test]
fn an_empty_proof_slot_states_nothing() {
    let (parameter_set, commitment) = ProofSlot::None.statement();
    assert_eq!((parameter_set, commitment.as_slice()), (ParameterSet::NONE, &[][..]));
    let (parameter_set, commitment) = fixture::proof().statement();
    assert_eq!((parameter_set, commitment.as_slice()), (ParameterSet(1), &[2; 32][..]));
    assert_ne!(ProofSlot::None.hash(), fixture::proof().hash());
    let hash = Digest::of(HashDomain::Proof, &fixture::proof().to_canonical());
    assert_eq!(fixture::proof().hash(), hash);
}

/// An entry's kind is the name of its variant, in tables and in messages.
#[test]
fn an_entry_is_called_what_it_is() {
    let survey = survey::find(LedgerEntry::NAME).expect("a canonical type");
    let variants = survey.declared.enums[LedgerEntry::NAME];
    let mut seen = BTreeSet::new();
    for seed in 0..survey::SEEDS {
        let (entry, _) = draw::<LedgerEntry>(seed);
        let number = usize::from(entry.to_canonical()[0]);
        assert_eq!(entry.kind(), variants[number]);
        seen.insert(number);
    }
    assert_eq!(seen.len(), variants.len());
}

#[test]
fn an_aggregate_is_named_by_its_rule_and_alignment() {
    let mean = fixture::aggregated(AggregationRule::Mean);
    let trimmed = fixture::aggregated(AggregationRule::TrimmedMean { trim: 1 });
    assert_ne!(mean.hash(), trimmed.hash());
    assert_eq!(mean.hash(), Digest::of(HashDomain::AggregatedUpdate, &mean.to_canonical()));
    let hash = Digest::of(HashDomain::Alignment, &mean.alignment.to_canonical());
    assert_eq!(mean.alignment.hash(), hash);
}

#[test]
fn an_item_is_its_entry_whoever_asked() {
    let signed = Signed::sign(fixture::request(), &fixture::secret("site-1"), &fixture::context());
    let asked = BatchItem::Request(signed);
    assert_eq!(asked.entry(), &fixture::request().entry);
    let entry = LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: fixture::epoch(4),
        generation: Generation::ZERO,
        base_state_hash: Digest::ZERO,
        config_digest: Digest::ZERO,
        policy_hash: Digest::ZERO,
    });
    let derived = BatchItem::Derived(entry.clone());
    assert_eq!(derived.entry(), &entry);
    let batch = |items| Batch { batch_time: LogicalTime::new(1), items };
    assert!(batch(Vec::new()).is_null());
    assert!(!batch(vec![asked]).is_null());
    assert!(!batch(vec![derived]).is_null());
}
