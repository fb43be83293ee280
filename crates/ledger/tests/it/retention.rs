//! Blobs are there while somebody holds them, and not longer: beside a model.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::{Digest, FederatedEpoch, Height};
use ledger::durable::{DurableError, DurableLedger, Holder, MAX_BLOB_BYTES, Retention};
use ledger::store::{Changes, Store as _, Table};
use proptest::prelude::*;

use crate::fixture::{anchor, chain, ledger_id, stored};

const KEEP: Retention = Retention { epochs: 2, anchors: 1 };

fn epoch(number: u64) -> Holder {
    Holder::Epoch(FederatedEpoch::new(number))
}

#[test]
fn a_blob_leaves_with_its_last_holder() {
    let mut ledger = stored(&chain(1), 1);
    let digest = ledger.put_blob(b"update", epoch(1)).unwrap();
    assert_eq!(digest, Digest::of_blob(b"update"));
    assert_eq!(ledger.put_blob(b"update", epoch(3)), Ok(digest));
    ledger.commit().unwrap();
    let mut ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
    assert_eq!(ledger.blob(&digest), Ok(b"update".to_vec()));
    let now = FederatedEpoch::new;
    assert_eq!(ledger.retain(now(3), KEEP), Ok(0));
    assert_eq!(ledger.blobs_of(epoch(1)), Ok(vec![digest]));
    assert_eq!(ledger.retain(now(4), KEEP), Ok(0));
    assert_eq!(
        (ledger.blobs_of(epoch(1)), ledger.blobs_of(epoch(3))),
        (Ok(vec![]), Ok(vec![digest]))
    );
    assert_eq!(ledger.retain(now(6), KEEP), Ok(1));
    assert_eq!(ledger.blob(&digest), Err(DurableError::NoBlob { digest }));
    let gone = DurableError::NoBlob { digest };
    assert_eq!(ledger.hold_blob(&digest, epoch(9)), Err(gone));
    ledger.commit().unwrap();
    assert_eq!(ledger.verify().unwrap().blobs, 0);
}

#[test]
fn the_state_of_a_kept_anchor_stays() {
    let chain = chain(8);
    let mut ledger = stored(&chain, 8);
    let (old, new) = (anchor(&chain, 4), anchor(&chain, 8));
    let mut digests = Vec::new();
    for (anchor, state) in [(&old, b"state 4"), (&new, b"state 8")] {
        ledger.keep_anchor(anchor).unwrap();
        let height = Height::new(anchor.index() + 1);
        digests.push(ledger.put_blob(state, Holder::Anchor(height)).unwrap());
    }
    ledger.commit().unwrap();
    assert_eq!(ledger.retain(FederatedEpoch::new(100), KEEP), Ok(1));
    ledger.commit().unwrap();
    assert_eq!(ledger.anchors(), Ok(vec![new]));
    assert_eq!(ledger.blob(&digests[0]), Err(DurableError::NoBlob { digest: digests[0] }));
    assert_eq!(ledger.blob(&digests[1]), Ok(b"state 8".to_vec()));
    let found = ledger.verify().unwrap();
    assert_eq!((found.blobs, found.anchors), (1, 1));
}

#[test]
fn a_blob_has_a_limit() {
    let mut ledger = stored(&chain(1), 1);
    let refused = ledger.put_blob(&vec![0; MAX_BLOB_BYTES + 1], epoch(1));
    let (length, limit) = (MAX_BLOB_BYTES + 1, MAX_BLOB_BYTES);
    assert_eq!(refused, Err(DurableError::BlobTooLarge { length, limit }));
    ledger.put_blob(&vec![0; MAX_BLOB_BYTES], epoch(1)).unwrap();
    ledger.commit().unwrap();
    assert_eq!(ledger.verify().unwrap().blobs, 1);
}

/// What was put again because it was damaged is there again.
#[test]
fn a_lost_or_damaged_blob_is_healed_by_putting_it_again() {
    let mut ledger = stored(&chain(1), 1);
    let digest = ledger.put_blob(b"an update", epoch(1)).unwrap();
    ledger.commit().unwrap();
    let store = ledger.close();
    for damage in [None, Some(&b"another"[..])] {
        let mut changes = Changes::default();
        match damage {
            None => changes.remove(Table::Blobs, digest.as_bytes()),
            Some(bytes) => changes.put(Table::Blobs, digest.as_bytes(), bytes.into()),
        }
        let mut store = store.clone();
        store.commit(&changes).unwrap();
        let mut ledger = DurableLedger::open(store, ledger_id(), None).unwrap();
        assert!(matches!(ledger.blob(&digest), Err(DurableError::Corrupt { .. })));
        assert_eq!(ledger.put_blob(b"an update", epoch(1)), Ok(digest));
        ledger.commit().unwrap();
        let mut ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
        assert_eq!(ledger.blob(&digest), Ok(b"an update".to_vec()));
        ledger.verify().unwrap();
    }
}

/// A group of many blobs costs as much a blob as one of few.
#[test]
fn staging_blobs_takes_no_square_of_work() {
    let work = |blobs: u32| {
        let mut ledger = stored(&chain(1), 1);
        let counted = allocation_counter::measure(|| {
            for number in 0..blobs {
                ledger.put_blob(&number.to_le_bytes(), epoch(1)).unwrap();
            }
        });
        counted.count_total
    };
    let (few, many) = (work(500), work(2000));
    assert!(many < 5 * few, "{few} allocations for 500 blobs, {many} for 2000");
}

#[derive(Clone, Debug)]
enum Step {
    Put { blob: u8, epoch: u64 },
    Hold { blob: u8, epoch: u64 },
    Retain { now: u64 },
    Commit,
    Abandon,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6_u8, 0..8_u64).prop_map(|(blob, epoch)| Step::Put { blob, epoch }),
        2 => (0..6_u8, 0..8_u64).prop_map(|(blob, epoch)| Step::Hold { blob, epoch }),
        2 => (0..10_u64).prop_map(|now| Step::Retain { now }),
        2 => Just(Step::Commit),
        1 => Just(Step::Abandon),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 0..40)
}

type Held = BTreeMap<u8, BTreeSet<u64>>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blobs_are_as_the_model_has_them(steps in steps()) {
        let mut ledger = stored(&chain(1), 1);
        let (mut staged, mut durable) = (Held::new(), Held::new());
        for step in steps {
            match step {
                Step::Put { blob, epoch: number } => {
                    ledger.put_blob(&[blob], epoch(number)).unwrap();
                    staged.entry(blob).or_default().insert(number);
                }
                Step::Hold { blob, epoch: number } => {
                    let held = ledger.hold_blob(&Digest::of_blob(&[blob]), epoch(number));
                    prop_assert_eq!(held.is_ok(), staged.contains_key(&blob));
                    if let Some(holders) = staged.get_mut(&blob) {
                        holders.insert(number);
                    }
                }
                Step::Retain { now } => {
                    let before = staged.len();
                    staged.values_mut().for_each(|epochs| epochs.retain(|epoch| epoch + KEEP.epochs >= now));
                    staged.retain(|_, epochs| !epochs.is_empty());
                    let gone = ledger.retain(FederatedEpoch::new(now), KEEP).unwrap();
                    prop_assert_eq!(gone, before - staged.len());
                }
                Step::Commit => {
                    ledger.commit().unwrap();
                    durable = staged.clone();
                }
                Step::Abandon => {
                    ledger.abandon().unwrap();
                    staged = durable.clone();
                }
                Step::Reopen => {
                    ledger = DurableLedger::open(ledger.close(), ledger_id(), None).unwrap();
                    staged = durable.clone();
                }
            }
            for blob in 0..6_u8 {
                let there = ledger.blob(&Digest::of_blob(&[blob])).is_ok();
                prop_assert_eq!(there, staged.contains_key(&blob));
            }
        }
        ledger.commit().unwrap();
        prop_assert_eq!(ledger.verify().unwrap().blobs, staged.len() as u64);
    }
}
