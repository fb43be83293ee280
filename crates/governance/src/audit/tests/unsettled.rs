//! Committed updates that are in no applied epoch yet: they may be missing, and hide nothing where they are.

use federation_proto::update::UpdateCommitment;
use federation_proto::*;

use super::super::*;
use super::fixture::{World, audit_set, resign};
use crate::artifact::blob_path;

/// An epoch and the first commitment of the next, as `bend` makes it of the honest one; and its blob.
fn waiting(bend: impl FnOnce(&mut World, &mut UpdateCommitment)) -> (World, Digest) {
    let mut world = World::new(1);
    world.join_all();
    world.epoch(|aggregated, _| aggregated);
    world.open_epoch();
    let (update, blob) = world.blob(2);
    let mut commitment = UpdateCommitment::new(&update, &blob, vec![]);
    bend(&mut world, &mut commitment);
    let named = commitment.blob;
    let item = world.request_commitment(2, 9, commitment);
    world.commit(vec![item], true);
    (world, named)
}

#[test]
fn an_update_that_waits_for_a_cut_may_be_missing() {
    let (mut world, blob) = waiting(|_, _| {});
    let set = world.assemble();
    assert!(set.contains_key(&blob_path(&blob)));
    let report = audit_set(set.clone());
    assert!(report.passed(), "{report}");
    world.blobs.remove(&blob);
    let without = world.assemble();
    assert_eq!(without.len() + 1, set.len());
    let report = audit_set(without);
    assert!(report.passed(), "{report}");
    // Where it is, it is the committed one.
    let mut bent = set;
    bent.insert(blob_path(&blob), b"something else".to_vec());
    resign(&mut bent, &world.context());
    assert_eq!(audit_set(bent).verdict(Check::UpdateHash), Verdict::Fail);
}

#[test]
fn nothing_rides_along_under_a_waiting_commitment() {
    let bends: [fn(&mut World, &mut UpdateCommitment); 3] = [
        |world, commitment| {
            let bytes = b"whatever a site would like to publish".to_vec();
            commitment.blob = Digest::of_blob(&bytes);
            commitment.blob_len = u32::try_from(bytes.len()).expect("small");
            world.blobs.insert(commitment.blob, bytes);
        },
        |_, commitment| commitment.blob_len += 1,
        |_, commitment| commitment.update_hash = Digest::of_blob(b"another update"),
    ];
    for bend in bends {
        let (world, _) = waiting(bend);
        let report = audit_set(world.assemble());
        let failed: Vec<_> = report.with(Verdict::Fail).map(|line| line.check).collect();
        assert_eq!(failed, [Check::UpdateHash], "{report}");
    }
}

#[test]
fn a_cut_without_a_result_is_checked_and_complete() {
    let cut = |bend: fn(&mut UpdateCommitment)| {
        let (mut world, blob) = waiting(|_, commitment| bend(commitment));
        let others: Vec<_> = [1, 3, 4, 5]
            .map(|site| {
                let (update, blob) = world.blob(site);
                world.request_commitment(site, 9, UpdateCommitment::new(&update, &blob, vec![]))
            })
            .to_vec();
        world.commit(others, false);
        let cut = world.executor.state().next_cut(world.executor.rules()).expect("a cut");
        world.commit(vec![BatchItem::Derived(LedgerEntry::EpochCut(cut))], true);
        let mut set = world.assemble();
        let whole = audit_set(set.clone());
        set.remove(&blob_path(&blob));
        resign(&mut set, &world.context());
        (whole, audit_set(set))
    };
    let (whole, without) = cut(|_| {});
    assert!(whole.passed(), "{whole}");
    assert_eq!(without.verdict(Check::IncompleteRun), Verdict::Fail, "{without}");
    let (lied, _) = cut(|commitment| commitment.blob_len += 1);
    assert_eq!(lied.verdict(Check::UpdateHash), Verdict::Fail, "{lied}");
}
