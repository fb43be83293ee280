//! A toy application: a set of numbers, each executed once, with a checkpoint every `interval` batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consensus_pbft::{
    Application, CheckpointStatement, CommitCertificate, Committee, Execution, ExecutionFailed,
    Verdict,
};
use federation_proto::codec::Canonical;
use federation_proto::keys::{Identity, LogCheckpoint, SecretKey, Signature, VerifyingKey};
use federation_proto::{
    Batch, BatchItem, Digest, Height, LedgerBlockId, LogicalTime, Request, SequenceNumber, Signed,
};
use ledger::merkle::history::HistoryTree;

use crate::federation::{client, log_key, memoised_client};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the client's signature does not verify")]
    Signature,
    #[error("{0} was executed before")]
    Executed(u64),
    #[error("{0} is on the list of refused numbers")]
    Listed(u64),
    #[error("{0} stands in a batch ahead")]
    Ahead(u64),
    #[error("the batch of time {time} arrived at {arrived}")]
    Late { time: u64, arrived: u64 },
}

/// A batch that was executed, with its place and the proof of it.
pub(crate) type Executed = (SequenceNumber, Batch, CommitCertificate);

/// The application of one validator.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) committee: Committee,
    log_key: Arc<SecretKey<LogCheckpoint>>,
    client: VerifyingKey<Identity>,
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
    /// As long as something is ahead it proposes nothing and waits, as an application that needs the executed state.
    pub(crate) needs_state: bool,
    /// The sequence numbers it was asked to judge, and the numbers in each batch ahead.
    pub(crate) judged: Vec<(u64, Vec<Vec<u64>>)>,
    /// Nothing more is due once so many batches are executed.
    pub(crate) enough: usize,
    /// Everything executed, in order: what the oracles look at.
    pub(crate) history: Vec<Executed>,
    /// Numbers in decided batches that had been executed before, and were not executed again.
    pub(crate) skipped: Vec<u64>,
    /// Numbers in the order of their execution.
    order: Vec<u64>,
    /// Numbers that order a configuration, with its digest: it takes over at the next checkpoint.
    pub(crate) orders: BTreeMap<u64, Digest>,
    ordered: Option<Digest>,
    /// The last checkpoint it reached.
    pub(crate) reached: Option<(CheckpointStatement, Signature)>,
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
            client: client(),
            interval,
            batch_size: 2,
            missing: BTreeSet::new(),
            refused: BTreeSet::new(),
            max_age: u64::MAX,
            failing: None,
            proposes_null: false,
            needs_state: false,
            judged: Vec::new(),
            enough: usize::MAX,
            history: Vec::new(),
            skipped: Vec::new(),
            order: Vec::new(),
            orders: BTreeMap::new(),
            ordered: None,
            reached: None,
            numbers: BTreeSet::new(),
            tree: HistoryTree::new(),
            corruption: 0,
        }
    }

    /// Whether nothing is proposed and accepted behind what is not executed. Where configurations are ordered, what
    /// is ahead may be a border.
    fn waits_behind<B>(&self, ahead: &[B]) -> bool {
        !ahead.is_empty() && (self.needs_state || !self.orders.is_empty())
    }

    /// The same, remembering which requests it verified: for many runs with the same ones.
    pub(crate) fn memoised(self) -> Self {
        Self { client: memoised_client(), ..self }
    }

    /// The executed numbers, in order.
    pub(crate) fn executed_numbers(&self) -> Vec<u64> {
        self.order.clone()
    }

    /// Whether it has executed 1 to `last`.
    pub(crate) fn has_all(&self, last: u64) -> bool {
        (1..=last).all(|number| self.numbers.contains(&number))
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
            next: self.ordered,
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
        let claimed = request.claimed().node_fingerprint;
        let other = || claimed.check().map_err(|_| Refusal::Signature);
        let client = if claimed == self.client.public() { self.client.clone() } else { other()? };
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

    fn propose(
        &mut self,
        now: LogicalTime,
        pool: &[Signed<Request>],
        ahead: &[&Batch],
    ) -> Option<Batch> {
        if self.waits_behind(ahead) {
            return None;
        }
        if self.proposes_null {
            return Some(Batch { batch_time: now, items: Vec::new() });
        }
        if self.history.len() + ahead.len() >= self.enough {
            return None;
        }
        let ahead: BTreeSet<u64> = ahead.iter().flat_map(|batch| numbers(batch)).collect();
        let is_new = |number: u64| !self.numbers.contains(&number) && !ahead.contains(&number);
        let due = pool.iter().filter(|request| is_new(request.claimed().sequence.get()));
        let due = due.take(self.batch_size);
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
        sequence: SequenceNumber,
        batch: &Batch,
        ahead: &[&Batch],
    ) -> Verdict<Refusal> {
        let ahead: Vec<_> = ahead.iter().map(|batch| numbers(batch)).collect();
        self.judged.push((sequence.get(), ahead.clone()));
        if self.waits_behind(&ahead) {
            return Verdict::Wait;
        }
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
            if ahead.concat().contains(&number) {
                return Verdict::Refuse(Refusal::Ahead(number));
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
        let ordered =
            numbers(batch).iter().rev().find_map(|number| self.orders.get(number).copied());
        self.ordered = ordered.or(self.ordered);
        for number in numbers(batch) {
            let executed = self.numbers.insert(number);
            if executed { &mut self.order } else { &mut self.skipped }.push(number);
        }
        self.tree.append(&batch.to_canonical());
        self.history.push((sequence, batch.clone(), certificate.clone()));
        let checkpoint = sequence.get().is_multiple_of(self.interval).then(|| {
            let statement = self.statement(sequence);
            let text = statement.note_text(&self.committee).expect("a good origin");
            self.ordered = None;
            (statement, self.note(&text))
        });
        self.reached = checkpoint.or(self.reached);
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
