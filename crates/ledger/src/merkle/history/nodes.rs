//! One level of the tree: a list that only grows.
//!
//! A plain vector doubles, and so may hold twice the memory of its nodes. Chunks are filled one after the other,
//! and a full one is never moved again.

use crate::merkle::LogHash;

/// Nodes of a full chunk: 32 KiB.
const CHUNK: usize = 1024;

/// The complete subtrees of one level, from left to right.
#[derive(Debug, Clone, Default)]
pub(super) struct Nodes {
    /// Chunks of exactly [`CHUNK`] nodes.
    full: Vec<Vec<LogHash>>,
    /// The chunk that is being filled.
    last: Vec<LogHash>,
}

impl Nodes {
    pub(super) fn of(node: LogHash) -> Self {
        Self { full: Vec::new(), last: vec![node] }
    }

    pub(super) fn push(&mut self, node: LogHash) {
        if self.last.len() == CHUNK {
            self.full.push(std::mem::replace(&mut self.last, Vec::with_capacity(CHUNK)));
        }
        self.last.push(node);
    }

    pub(super) fn len(&self) -> u64 {
        (self.full.len() * CHUNK + self.last.len()) as u64
    }

    /// The rightmost one; a level is never empty once it exists.
    pub(super) fn last(&self) -> Option<LogHash> {
        self.last.last().copied()
    }

    pub(super) fn get(&self, index: u64) -> Option<LogHash> {
        let index = usize::try_from(index).ok()?;
        let chunk = self.full.get(index / CHUNK).or_else(|| {
            let last = index / CHUNK == self.full.len();
            last.then_some(&self.last)
        })?;
        chunk.get(index % CHUNK).copied()
    }
}
