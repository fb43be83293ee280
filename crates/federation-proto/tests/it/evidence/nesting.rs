//! Depth: whatever bytes say, reading them goes as deep as the types do, and no type contains itself.

use federation_proto::bounded::Bytes;
use federation_proto::codec::Canonical;
use federation_proto::entry::LedgerEntry;
use federation_proto::evidence::{Evidence, EvidenceError, InForce};
use federation_proto::governed::QuarantineOpened;
use federation_proto::limits;

use super::{commitment, committed, request, roster, signed, verdict};
use crate::draw::Stack;
use crate::{fixture, survey};

/// Most types within each other, lists counted: a receipt of a commitment in a request of a batch.
const DEEPEST: usize = 16;

/// An entry that holds evidence, that holds a request, that holds an entry, and so on, so many times.
fn nested(levels: usize) -> LedgerEntry {
    let second = committed(commitment("site-1", "two"), "site-1");
    let mut first = committed(commitment("site-1", "one"), "site-1");
    for _ in 0..levels {
        let evidence = Evidence::ConflictingCommitments { first, second: Default::default() };
        first = signed(request("site-1", quarantine(evidence)), "site-1", &fixture::context());
    }
    quarantine(Evidence::ConflictingCommitments { first, second })
}

fn quarantine(evidence: Evidence) -> LedgerEntry {
    LedgerEntry::QuarantineOpened(Box::new(QuarantineOpened {
        federated_epoch: fixture::epoch(4),
        node_fingerprint: fixture::public("site-1"),
        evidence,
    }))
}

fn evidence(entry: LedgerEntry) -> Evidence {
    match entry {
        LedgerEntry::QuarantineOpened(opened) => opened.evidence,
        other => panic!("{}", other.kind()),
    }
}

/// As deep as fits into the bytes of a request, some five hundred levels: read, each costs the same.
#[test]
fn evidence_within_evidence_stays_bytes() {
    let (shallow, deep) = (nested(1).to_canonical(), nested(512).to_canonical());
    assert!(deep.len() > limits::COMMITMENT, "{}", deep.len());
    let reading = |bytes: &[u8]| {
        let measured = allocation_counter::measure(|| {
            drop(LedgerEntry::from_canonical(bytes).expect("an entry"));
        });
        measured.count_total
    };
    assert_eq!(reading(&deep), reading(&shallow));

    let judging = |bytes: &[u8]| {
        let evidence = evidence(LedgerEntry::from_canonical(bytes).expect("an entry"));
        let (roster, context) = (roster(), fixture::context());
        let mut verdict = Err(EvidenceError::NoConflict);
        let measured = allocation_counter::measure(|| {
            verdict = evidence.verify(&[InForce { roster: &roster, context }], |_| None);
        });
        assert_eq!(verdict, Err(EvidenceError::NoCommitment("one")));
        measured.count_total
    };
    assert_eq!(judging(&deep), judging(&shallow));
}

/// What stands inside is not even looked at: any bytes are read as they are, and refused when they are judged.
#[test]
fn what_stands_in_evidence_is_not_read_with_it() {
    let first = Bytes::new(vec![9; 4096]).expect("short");
    let second = committed(commitment("site-1", "two"), "site-1");
    let entry = quarantine(Evidence::ConflictingCommitments { first, second });
    let read = LedgerEntry::from_canonical(&entry.to_canonical()).expect("an entry");
    assert_eq!(read, entry);
    let verdict = verdict(&evidence(read));
    assert!(matches!(verdict, Err(EvidenceError::Codec(_))), "{verdict:?}");
}

#[test]
fn no_type_contains_itself() {
    for survey in survey::all() {
        let (name, Stack { deepest, repeated }) = (survey.wire.name, survey.declared.stack);
        assert_eq!(repeated, None, "{name}");
        assert!(deepest <= DEEPEST, "{name}: {deepest} types within each other");
    }
}
