//! Lies in the ledger, the blobs, the anchors and the policy.

use federation_proto::codec::Canonical;
use federation_proto::update::MetaUpdate;
use federation_proto::{BatchItem, Signed};
use governance::artifact::{ANCHOR, ArtifactSet, POLICY, epoch_anchor_path};
use governance::audit::Check;
use ledger::BlockFile;

use super::{honest, refused, resigned, run_with};
use simulator::keys::KeyRing;

const BLOCKS: &str = "mec/M5/ledger/blocks/";
const BLOBS: &str = "mec/M5/ledger/blobs/";

fn paths(set: &ArtifactSet, below: &str) -> Vec<String> {
    set.keys().filter(|path| path.starts_with(below)).cloned().collect()
}

/// The honest run with a lie in one of its blocks, counted from 0.
fn with_block(index: usize, lie: impl FnOnce(&mut BlockFile)) -> (ArtifactSet, String) {
    let mut set = honest();
    let path = paths(&set, BLOCKS)[index].clone();
    let mut block = BlockFile::from_canonical(&set[&path]).expect("a block");
    lie(&mut block);
    set.insert(path.clone(), block.to_canonical());
    (resigned(set), path)
}

#[test]
fn a_truncated_ledger() {
    let mut set = honest();
    let last = paths(&set, BLOCKS).pop().expect("a block");
    set.remove(&last);
    refused(resigned(set), Check::LedgerHead, "");
}

#[test]
fn a_block_removed_from_the_middle() {
    let mut set = honest();
    let path = paths(&set, BLOCKS)[4].clone();
    set.remove(&path);
    refused(resigned(set), Check::LedgerHead, BLOCKS);
}

/// Index of a block of several entries.
fn several_entries() -> usize {
    let set = honest();
    let several = |path: &String| {
        BlockFile::from_canonical(&set[path]).expect("a block").batch.items.len() > 1
    };
    paths(&set, BLOCKS).iter().position(several).expect("a block of several entries")
}

#[test]
fn an_entry_removed_or_reordered() {
    let index = several_entries();
    let (set, path) = with_block(index, |block| block.batch.items.reverse());
    refused(set, Check::MerkleRoot, &path);
    let (set, path) = with_block(index, |block| {
        block.batch.items.pop();
    });
    refused(set, Check::MerkleRoot, &path);
}

#[test]
fn an_entry_rehashed_into_the_header() {
    let (set, path) = with_block(several_entries(), |block| {
        block.batch.items.pop();
        let tree = ledger::block::entry_tree(&block.batch).expect("a tree");
        block.header.entries_count = tree.count();
        block.header.entries_root = tree.root();
        let context = block.header.signing_context();
        block.header.batch_digest = block.batch.digest(&context, block.header.sequence);
    });
    // The votes are for the batch that was decided.
    refused(set, Check::SigStrict, &path);
}

#[test]
fn another_state_root() {
    let (set, path) = with_block(5, |block| {
        block.header.state_root_after = federation_proto::Digest::ZERO;
    });
    refused(set, Check::StateRecomputed, &path);
}

#[test]
fn blocks_of_another_run() {
    let other = run_with(6, KeyRing::published());
    let mut set = honest();
    let path = paths(&set, BLOCKS)[3].clone();
    set.insert(path.clone(), other[&path].clone());
    refused(resigned(set), Check::IncompleteRun, BLOCKS);
}

#[test]
fn an_anchor_of_another_run_or_epoch() {
    let other = run_with(6, KeyRing::published());
    let mut set = honest();
    set.insert(ANCHOR.into(), other[ANCHOR].clone());
    refused(resigned(set), Check::MerkleRoot, ANCHOR);
    let mut set = honest();
    let first = epoch_anchor_path(federation_proto::FederatedEpoch::new(1));
    set.insert(ANCHOR.into(), set[&first].clone());
    refused(resigned(set), Check::MerkleRoot, ANCHOR);
}

#[test]
fn an_anchor_whose_proof_is_too_long_or_too_short() {
    let text = String::from_utf8(honest()[ANCHOR].clone()).expect("text");
    let hash = text.lines().nth(3).expect("a hash line").to_owned();
    for bent in [
        text.replacen(&hash, &format!("{hash}\n{hash}"), 1),
        text.replacen(&format!("{hash}\n"), "", 1),
    ] {
        let mut set = honest();
        set.insert(ANCHOR.into(), bent.into_bytes());
        refused(resigned(set), Check::MerkleInclusion, ANCHOR);
    }
}

#[test]
fn a_payload_swapped_for_another() {
    let mut set = honest();
    let updates: Vec<String> = paths(&set, BLOBS)
        .into_iter()
        .filter(|path| Signed::<MetaUpdate>::from_canonical(&set[path]).is_ok())
        .collect();
    let other = set[&updates[1]].clone();
    set.insert(updates[0].clone(), other);
    refused(resigned(set), Check::UpdateHash, BLOBS);
}

#[test]
fn a_missing_update() {
    let mut set = honest();
    let blob = paths(&set, BLOBS)
        .into_iter()
        .find(|path| Signed::<MetaUpdate>::from_canonical(&set[path]).is_ok())
        .expect("an update");
    set.remove(&blob);
    refused(resigned(set), Check::IncompleteRun, &blob);
}

#[test]
fn another_policy() {
    let mut set = honest();
    let policy = String::from_utf8(set[POLICY].clone()).expect("text");
    let lax = policy.replacen("minimum_organisations = 4", "minimum_organisations = 1", 1);
    assert_ne!(lax, policy);
    set.insert(POLICY.into(), lax.into_bytes());
    refused(resigned(set), Check::PolicyPinned, POLICY);
}

#[test]
fn a_commitment_without_its_author() {
    let set = honest();
    let blocks = paths(&set, BLOCKS);
    let is_request = |path: &String| {
        let block = BlockFile::from_canonical(&set[path]).expect("a block");
        block.batch.items.iter().any(|item| {
            matches!(item, BatchItem::Request(_)) && item.entry().kind() == "UpdateCommitment"
        })
    };
    let index = blocks.iter().position(is_request).expect("a commitment");
    let (set, path) = with_block(index, |block| {
        for item in &mut block.batch.items {
            *item = BatchItem::Derived(item.entry().clone());
        }
    });
    refused(set, Check::MerkleRoot, &path);
}
