//! A toy application: a set of numbers, each executed once, with a checkpoint every `interval` batches.

use std::collections::BTreeSet;
use std::sync::Arc;

use consensus_pbft::{
    Application, CheckpointStatement, CommitCertificate, Committee, Execution, ExecutionFailed,
    Verdict,
};
use federation_proto::codec::Canonical;
use federation_proto::keys::{Identity, LogCheckpoint, SecretKey, Signature};
use federation_proto::{
    Batch, BatchItem, Digest, Height, LedgerBlockId, LogicalTime, Request, SequenceNumber, Signed,
};
use ledger::merkle::history::HistoryTree;

use crate::federation::{key, log_key};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the client's signature does not verify")]
    Signature,
    #[error("{0} was executed before")]
    Executed(u64),
    #[error("{0} is on the list of refused numbers")]
    Listed(u64),
    #[error("the batch of time {time} arrived at {arrived}")]
    Late { time: u64, arrived: u64 },
}

/// A batch that was executed, with its place and the proof of it.
pub(crate) type Executed = (SequenceNumber, Batch, CommitCertificate);

/// The application of one validator.
#[derive(Clone)]
pub(crate) struct Toy {
    committee: Committee,
    log_key: Arc<SecretKey<LogCheckpoint>>,
    pub(crate) interval: u64,
    /// Most requests in one batch.
    pub(crate) batch_size: usize,
    /// Numbers it waits for before it accepts a batch.
    pub(crate) missing: BTreeSet<u64>,
    /// Numbers it refuses at PRE-PREPARE.
    pub(crate) refused: BTreeSet<u64>,
    /// Milliseconds between a batch's time and its arrival that are accepted.
    pub(crate) max_age: u64,
    /// The sequence number whose execution fails.
    pub(crate) failing: Option<u64>,
    /// As primary it proposes empty batches.
    pub(crate) proposes_null: bool,
    /// Nothing more is due once so many batches are executed.
    pub(crate) enough: usize,
    /// Everything executed, in order: what the oracles look at.
    pub(crate) history: Vec<Executed>,
    numbers: BTreeSet<u64>,
    tree: HistoryTree,
    /// Mixed into the state root: a validator whose build differs.
    pub(crate) corruption: u8,
}

impl Toy {
    pub(crate) fn new(committee: &Committee, index: usize, interval: u64) -> Self {
        Self {
            committee: committee.clone(),
            log_key: Arc::new(log_key(index)),
            interval,
            batch_size: 2,
            missing: BTreeSet::new(),
            refused: BTreeSet::new(),
            max_age: u64::MAX,
            failing: None,
            proposes_null: false,
            enough: usize::MAX,
            history: Vec::new(),
            numbers: BTreeSet::new(),
            tree: HistoryTree::new(),
            corruption: 0,
        }
    }

    /// The executed numbers, in order.
    pub(crate) fn executed_numbers(&self) -> Vec<u64> {
        let batches = self.history.iter().map(|(_, batch, _)| batch);
        batches.flat_map(numbers).collect()
    }

    fn statement(&self, sequence: SequenceNumber) -> CheckpointStatement {
        let root = self.tree.root();
        let state = [root.as_bytes().as_slice(), &[self.corruption]].concat();
        CheckpointStatement {
            sequence,
            height: Height::new(self.tree.size()),
            header_hash: LedgerBlockId::new(Digest::of_blob(&state)),
            log_size: self.tree.size(),
            log_root: root,
            state_root: Digest::of_blob(&state),
        }
    }
}

pub(crate) fn numbers(batch: &Batch) -> Vec<u64> {
    let number = |item: &BatchItem| match item {
        BatchItem::Request(request) => Some(request.claimed().sequence.get()),
        BatchItem::Derived(_) => None,
    };
    batch.items.iter().filter_map(number).collect()
}

impl Application for Toy {
    type Refusal = Refusal;

    fn check_request(&self, request: &Signed<Request>) -> Result<(), Refusal> {
        let client = key::<Identity>("client").public().check();
        let client = client.expect("a good key");
        let number = request.claimed().sequence.get();
        request
            .clone()
            .verify(&client, self.committee.context())
            .map_err(|_| Refusal::Signature)?;
        if self.numbers.contains(&number) {
            return Err(Refusal::Executed(number));
        }
        Ok(())
    }

    fn propose(&mut self, now: LogicalTime, pool: &[Signed<Request>]) -> Option<Batch> {
        if self.proposes_null {
            return Some(Batch { batch_time: now, items: Vec::new() });
        }
        if self.history.len() >= self.enough {
            return None;
        }
        let due = pool
            .iter()
            .filter(|request| !self.numbers.contains(&request.claimed().sequence.get()))
            .take(self.batch_size);
        let items: Vec<_> = due.cloned().map(BatchItem::Request).collect();
        (!items.is_empty()).then_some(Batch { batch_time: now, items })
    }

    fn awaits(&self, _: LogicalTime, pool: &[Signed<Request>]) -> Option<Digest> {
        if self.history.len() >= self.enough {
            return None;
        }
        let due =
            |request: &&Signed<Request>| !self.numbers.contains(&request.claimed().sequence.get());
        pool.iter().find(due).map(|request| Digest::of_blob(&request.to_canonical()))
    }

    fn judge(
        &mut self,
        arrived: LogicalTime,
        _: SequenceNumber,
        batch: &Batch,
    ) -> Verdict<Refusal> {
        if arrived.millis_since(batch.batch_time) > self.max_age {
            let (time, arrived) = (batch.batch_time.get(), arrived.get());
            return Verdict::Refuse(Refusal::Late { time, arrived });
        }
        for number in numbers(batch) {
            if self.missing.contains(&number) {
                return Verdict::Wait;
            }
            if self.numbers.contains(&number) {
                return Verdict::Refuse(Refusal::Executed(number));
            }
            if self.refused.contains(&number) {
                return Verdict::Refuse(Refusal::Listed(number));
            }
        }
        Verdict::Accept
    }

    fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        certificate: &CommitCertificate,
    ) -> Result<Execution, ExecutionFailed> {
        if self.failing == Some(sequence.get()) {
            return Err(ExecutionFailed);
        }
        self.numbers.extend(numbers(batch));
        self.tree.append(&batch.to_canonical());
        self.history.push((sequence, batch.clone(), certificate.clone()));
        let checkpoint = sequence.get().is_multiple_of(self.interval).then(|| {
            let statement = self.statement(sequence);
            let text = statement.note_text(&self.committee).expect("a good origin");
            (statement, self.note(&text))
        });
        Ok(Execution { checkpoint })
    }
}

impl Toy {
    /// Becomes what another was after a sequence number, as a node does from the blocks of a ledger.
    pub(crate) fn install(&mut self, history: &[Executed], sequence: SequenceNumber) {
        let missing = history.iter().skip(self.history.len()).cloned();
        for (at, batch, certificate) in missing.take_while(|(at, ..)| *at <= sequence) {
            certificate.verify(&self.committee).expect("a block with a proof");
            self.execute(at, &batch, &certificate).expect("executable");
        }
    }

    fn note(&self, text: &str) -> Signature {
        self.log_key.sign_raw(text.as_bytes())
    }
}
