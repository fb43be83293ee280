//! What the ledger is made to do, and what it must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::entry::EpochOpened;
use federation_proto::keys::{LogCheckpoint, SecretKey};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, FederationId, Generation, Height, LedgerEntry,
    LogicalTime, SequenceNumber,
};

use super::random::Random;
use crate::anchor::Anchor;
use crate::block::BlockFile;
use crate::chain::{Execution, Ledger};
use crate::checkpoint::VerifiedCheckpoint;
use crate::durable::{DurableError, DurableLedger, Holder, Retention};
use crate::note::{Note, NoteSigner};
use crate::store::redb::RedbStore;
use crate::store::{Store, StoreError};

const ORIGIN: &str = "example.org/campaign";

const KEEP: Retention = Retention { epochs: 1, anchors: 1 };

/// What a ledger must hold after a commit. The blocks are the first `size` of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) size: u64,
    pub(super) note: Option<Vec<u8>>,
    pub(super) blobs: BTreeMap<Digest, (Vec<u8>, BTreeSet<u64>)>,
    pub(super) anchors: Vec<Anchor>,
}

/// One commit with what is staged before it.
#[derive(Debug, Clone)]
struct Group {
    blocks: u64,
    blobs: Vec<Vec<u8>>,
    anchor: bool,
    retain: bool,
    /// Go back to this size instead of all of the above.
    restore: Option<u64>,
}

/// A workload: the groups, the chain of blocks, and what must be there before the first group and after each.
pub(super) struct Workload {
    groups: Vec<Group>,
    pub(super) chain: Ledger,
    pub(super) models: Vec<Model>,
}

/// How far a run came: acknowledged and attempted commits, the creation being the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    pub(super) acknowledged: usize,
    pub(super) attempted: usize,
}

impl Workload {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, "workload");
        let count = 4 + random.below(4);
        let mut groups: Vec<Group> = (0..count).map(|_| Group::draw(&mut random)).collect();
        if random.chance(2) {
            let before: u64 = groups.iter().map(|group| group.blocks).sum();
            let restore = Some(1 + random.below(before));
            groups.push(Group {
                blocks: 0,
                blobs: Vec::new(),
                anchor: false,
                retain: false,
                restore,
            });
        }
        let longest = groups.iter().map(|group| group.blocks).sum();
        let mut workload = Self { groups, chain: chain(seed, longest), models: Vec::new() };
        workload.models = workload.model();
        workload
    }

    /// Does everything to a store, until it is done or fails. `at_commit` is called as soon as a commit returned.
    pub(super) fn run(
        &self,
        store: Result<RedbStore, StoreError>,
        mut at_commit: impl FnMut(Progress),
    ) -> (Progress, Result<(), DurableError>) {
        let mut progress = Progress { acknowledged: 0, attempted: 1 };
        let done = (|| {
            let mut ledger = DurableLedger::create(store?, self.chain.ledger_id())?;
            progress.acknowledged = 1;
            at_commit(progress);
            for (number, group) in (1_u64..).zip(&self.groups) {
                progress.attempted += 1;
                self.step(&mut ledger, number, group)?;
                progress.acknowledged += 1;
                at_commit(progress);
            }
            Ok(())
        })();
        (progress, done)
    }

    fn step<S: Store>(
        &self,
        ledger: &mut DurableLedger<S>,
        number: u64,
        group: &Group,
    ) -> Result<(), DurableError> {
        if let Some(size) = group.restore {
            return ledger.restore(&self.certified(size)?.0).map(drop);
        }
        let from = ledger.size();
        for height in (from + 1..=from + group.blocks).map(Height::new) {
            if let Some(block) = self.chain.block(height) {
                ledger.append(block)?;
            }
        }
        for blob in &group.blobs {
            ledger.put_blob(blob, Holder::Epoch(FederatedEpoch::new(number)))?;
        }
        if group.anchor {
            ledger.keep_anchor(&self.certified(ledger.size())?.1)?;
        }
        if group.retain {
            ledger.retain(FederatedEpoch::new(number), KEEP)?;
        }
        ledger.set_bookmark(&number.to_le_bytes())?;
        ledger.commit().map(drop)
    }

    /// The same, done to a model.
    fn model(&self) -> Vec<Model> {
        let mut now = Model { size: 0, note: None, blobs: BTreeMap::new(), anchors: Vec::new() };
        let mut models = vec![now.clone()];
        for (number, group) in (1_u64..).zip(&self.groups) {
            if let Some(size) = group.restore {
                now.size = size;
                now.anchors.retain(|anchor| anchor.claimed_checkpoint().size() <= size);
                models.push(now.clone());
                continue;
            }
            now.size += group.blocks;
            for blob in &group.blobs {
                let held = now.blobs.entry(Digest::of_blob(blob));
                held.or_insert_with(|| (blob.clone(), BTreeSet::new())).1.insert(number);
            }
            if group.anchor
                && let Ok((_, anchor)) = self.certified(now.size)
            {
                now.anchors.retain(|other| other.index() != anchor.index());
                now.anchors.push(anchor);
            }
            if group.retain {
                let excess = now.anchors.len().saturating_sub(KEEP.anchors);
                now.anchors.drain(..excess);
                let oldest = number.saturating_sub(KEEP.epochs);
                now.blobs.values_mut().for_each(|(_, epochs)| epochs.retain(|e| *e >= oldest));
                now.blobs.retain(|_, (_, epochs)| !epochs.is_empty());
            }
            now.note = Some(number.to_le_bytes().into());
            models.push(now.clone());
        }
        models
    }

    /// The checkpoint at a size, signed, and the anchor of its last block.
    fn certified(&self, size: u64) -> Result<(VerifiedCheckpoint, Anchor), DurableError> {
        let defect =
            |cause: &dyn std::fmt::Display| StoreError::Damaged { detail: cause.to_string() };
        let signer =
            NoteSigner::new(ORIGIN, SecretKey::<LogCheckpoint>::synthetic("campaign", "v"))
                .map_err(|cause| defect(&cause))?;
        let key = signer.verifier().map_err(|cause| defect(&cause))?;
        let text =
            self.chain.checkpoint_at(ORIGIN, size).map_err(|cause| defect(&cause))?.to_text();
        let line = signer.sign(&text).map_err(|cause| defect(&cause))?;
        let note = Note::new(text, vec![line]).map_err(|cause| defect(&cause))?;
        let verified = VerifiedCheckpoint::verify(&note, ORIGIN, &[key], 1)?;
        let anchor = self.chain.anchor(Height::new(size), note, None);
        Ok((verified, anchor.map_err(|cause| defect(&cause))?))
    }

    /// The checkpoint of a size, as somebody outside would have kept it.
    pub(super) fn known(&self, size: u64) -> Option<crate::checkpoint::Checkpoint> {
        self.chain.checkpoint_at(ORIGIN, size).ok()
    }
}

impl Group {
    fn draw(random: &mut Random) -> Self {
        // One group in thirty-two crosses a border of tiles for sure; each such block is read after each fault.
        let blocks = if random.chance(32) { 256 } else { 1 + random.below(6) };
        let blobs = (0..random.below(3)).map(|_| {
            let length = usize::try_from(random.below(6000)).unwrap_or(0);
            vec![random.below(4) as u8; length]
        });
        let blobs = blobs.collect();
        let (anchor, retain) = (random.chance(2), random.chance(3));
        Self { blocks, blobs, anchor, retain, restore: None }
    }
}

/// A chain of blocks with one entry each.
fn chain(seed: u64, blocks: u64) -> Ledger {
    let digest = Digest::of_blob(&seed.to_le_bytes());
    let mut ledger = Ledger::new(FederationId::new(digest));
    for number in 1..=blocks {
        let entry = EpochOpened {
            federated_epoch: FederatedEpoch::new(number),
            generation: Generation::ZERO,
            base_state_hash: Digest::of_blob(&number.to_le_bytes()),
            config_digest: digest,
            policy_hash: digest,
        };
        let items = vec![BatchItem::Derived(LedgerEntry::EpochOpened(entry))];
        let batch = Batch { batch_time: LogicalTime::new(number), items };
        let execution = Execution {
            sequence: SequenceNumber::new(number),
            config_digest: digest,
            epoch: FederatedEpoch::new(number),
            state_root_after: digest,
        };
        let Ok(header) = ledger.next_header(&batch, &execution) else { break };
        let checkpoint_certificate = number.is_multiple_of(3).then(|| number.to_le_bytes().into());
        let commit_certificate = format!("certificate {number}").into();
        let block = BlockFile { header, batch, commit_certificate, checkpoint_certificate };
        if ledger.import(block).is_err() {
            break;
        }
    }
    ledger
}
