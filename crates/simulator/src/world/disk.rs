//! The disk of a validator that will crash: what it has written, and what of that is durable.
//!
//! The safety log is one file with one end: a record is durable only with all before it. Blobs and blocks are files
//! of their own.

use std::collections::BTreeMap;

use consensus_pbft::SafetyRecord;
use federation_proto::codec::Canonical;
use federation_proto::{Digest, Height};
use governance::validator::{DurableRecord, DurableToken, Survived};
use ledger::BlockFile;

/// The disk.
#[derive(Debug, Default)]
pub(super) struct Disk {
    records: Vec<SafetyRecord>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    blocks: BTreeMap<Height, BlockFile>,
    /// In the order in which they were written.
    writing: Vec<(DurableToken, DurableRecord)>,
}

impl Disk {
    /// Begins to write.
    pub(super) fn write(&mut self, token: DurableToken, record: DurableRecord) {
        match record {
            // It stands with its block, and is lost with it.
            DurableRecord::Checkpoint(certificate) => {
                let height = certificate.statement.height;
                let bytes = Some(certificate.to_canonical());
                let written = self.writing.iter_mut().filter_map(|(_, record)| match record {
                    DurableRecord::Block(block) => Some(&mut **block),
                    _ => None,
                });
                let mut blocks = self.blocks.values_mut().chain(written);
                if let Some(block) = blocks.find(|block| block.header.height == height) {
                    block.checkpoint_certificate = bytes;
                }
                // Only what the blocks on the disk lead to can be done without.
                if self.blocks.range(..=height).count() as u64 == height.get() {
                    SafetyRecord::cut(&mut self.records, &certificate.statement);
                }
            }
            record => self.writing.push((token, record)),
        }
    }

    /// What was written under a token is durable.
    pub(super) fn sync(&mut self, token: DurableToken) {
        let Some(at) = self.writing.iter().position(|(written, _)| *written == token) else {
            return;
        };
        let logs = |record: &DurableRecord| matches!(record, DurableRecord::Safety(_));
        let with_all_before = self.writing.get(at).is_some_and(|(_, record)| logs(record));
        let (durable, writing): (Vec<_>, Vec<_>) =
            self.writing.drain(..).enumerate().partition(|(index, (_, record))| {
                *index == at || (with_all_before && *index < at && logs(record))
            });
        self.writing = writing.into_iter().map(|(_, written)| written).collect();
        for (_, (_, record)) in durable {
            match record {
                DurableRecord::Safety(record) => self.records.push(*record),
                DurableRecord::Blob(bytes) => {
                    self.blobs.insert(Digest::of_blob(&bytes), bytes);
                }
                DurableRecord::Block(block) => {
                    self.blocks.insert(block.header.height, *block);
                }
                DurableRecord::Checkpoint(_) => {}
            }
        }
    }

    /// Power is lost, and with it what was on its way; what is there from before it.
    pub(super) fn crash(&mut self) {
        self.writing.clear();
    }

    /// What a restart finds. Blocks after a gap are worth nothing: they are fetched again.
    pub(super) fn survived(&self) -> Survived {
        let heights = (1..).map(Height::new);
        let blocks = heights.map_while(|height| self.blocks.get(&height).cloned()).collect();
        let blobs = self.blobs.values().cloned().collect();
        Survived { records: self.records.clone(), blocks, blobs }
    }
}
