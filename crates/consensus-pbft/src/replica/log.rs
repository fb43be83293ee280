//! The message log: what was said about every sequence number between the watermarks [OSDI '99 §4.2].
//!
//! A message that arrives early has its place here too, so nothing else buffers. Each replica fills at most one
//! place of a kind per sequence number; that bounds what a liar can make us hold.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use federation_proto::{Batch, Digest, LogicalTime, SequenceNumber, Verified};

use crate::certificate::{CommitCertificate, PreparedCertificate, Vote};
use crate::committee::ReplicaId;
use crate::evidence::Equivocation;
use crate::message::{Commit, PrePrepare, Prepare, SlotVote};

/// How far this replica's own votes for a proposal have come. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The application was not asked, or is to be asked again.
    Received,
    /// The application waits for something.
    Waiting,
    /// The application refused. Only a commit certificate of the others moves on.
    Refused,
    /// Our PREPARE (the primary's PRE-PREPARE) is being persisted.
    Preparing,
    /// It is durable and has left.
    PrepareSent,
    /// Our COMMIT is being persisted.
    Committing,
    /// It is durable and has left.
    CommitSent,
}

/// The first valid assignment of the view for a sequence number.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) pre_prepare: Verified<PrePrepare>,
    /// The clock when it arrived, or when we proposed it. Its age is judged by this however long it waits.
    pub(super) arrived: LogicalTime,
    /// It is not judged: the NEW-VIEW proposes it again, since an earlier view may have decided it, or we voted for it
    /// before a crash.
    pub(super) exempt: bool,
    /// The primary contradicted it, and evidence exists.
    pub(super) accused: bool,
    pub(super) stage: Stage,
}

/// A batch with its canonical length.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) batch: Batch,
    pub(super) bytes: usize,
}

/// One replica's first vote.
#[derive(Clone, Debug)]
pub(super) struct FirstVote<V> {
    pub(super) vote: Verified<V>,
    /// Its author contradicted it, and evidence exists.
    pub(super) accused: bool,
}

/// The first vote of each replica.
#[derive(Clone, Debug)]
pub(super) struct Votes<V> {
    entries: BTreeMap<ReplicaId, FirstVote<V>>,
    /// Votes for each digest: what every step asks for.
    counts: BTreeMap<Digest, usize>,
}

impl<V> Default for Votes<V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), counts: BTreeMap::new() }
    }
}

impl<V> Votes<V> {
    /// Number of replicas that voted.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first vote of a replica.
    pub(super) fn of(&self, replica: ReplicaId) -> Option<&FirstVote<V>> {
        self.entries.get(&replica)
    }

    /// Evidence of what this replica said besides exists.
    pub(super) fn accuse(&mut self, replica: ReplicaId) {
        if let Some(entry) = self.entries.get_mut(&replica) {
            entry.accused = true;
        }
    }
}

impl<V: SlotVote> Votes<V> {
    /// Keeps the vote, if it is the first of its author.
    pub(super) fn insert(&mut self, replica: ReplicaId, vote: Verified<V>) {
        if let Entry::Vacant(place) = self.entries.entry(replica) {
            *self.counts.entry(vote.digest()).or_default() += 1;
            place.insert(FirstVote { vote, accused: false });
        }
    }

    /// Number of votes for one digest.
    pub(super) fn count(&self, digest: Digest) -> usize {
        self.counts.get(&digest).copied().unwrap_or_default()
    }

    /// The votes for one digest, in replica order.
    pub(super) fn matching(&self, digest: Digest) -> impl Iterator<Item = &Verified<V>> {
        self.entries.values().map(|entry| &entry.vote).filter(move |vote| vote.digest() == digest)
    }
}

/// Everything said about one sequence number.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// Of the present view.
    pub(super) proposal: Option<Accepted>,
    /// Of the present view.
    pub(super) prepares: Votes<Prepare>,
    /// Of the present view.
    pub(super) commits: Votes<Commit>,
    /// What we prepared, in the latest view in which we did.
    pub(super) prepared: Option<PreparedCertificate>,
    /// The proof that the order is decided, of any view.
    pub(super) decided: Option<CommitCertificate>,
    /// Batches of any view, by their digests.
    pub(super) batches: BTreeMap<Digest, Held>,
}

impl Slot {
    /// The batch of the present view's assignment, if it is here.
    pub(super) fn batch(&self) -> Option<&Batch> {
        let digest = self.proposal.as_ref()?.pre_prepare.digest;
        self.batches.get(&digest).map(|held| &held.batch)
    }

    /// The batch that will be executed here as far as we can tell: the decided one, or else the one we accepted.
    fn expected(&self) -> Option<&Batch> {
        let accepted = self.proposal.as_ref().filter(|own| own.stage >= Stage::Preparing);
        let accepted = accepted.map(|own| own.pre_prepare.digest);
        let digest = self.decided.as_ref().map(|decided| decided.digest).or(accepted)?;
        self.batches.get(&digest).map(|held| &held.batch)
    }

    /// The proof that we are prepared in the present view, if we are.
    pub(super) fn prepared_certificate(&self, quorum: usize) -> Option<PreparedCertificate> {
        let proposal = self.proposal.as_ref().filter(|_| self.is_prepared(quorum))?;
        let votes = self.prepares.matching(proposal.pre_prepare.digest).map(|prepare| Vote {
            replica: prepare.replica,
            signature: *prepare.as_signed().signature(),
        });
        let pre_prepare = proposal.pre_prepare.as_signed().clone();
        Some(PreparedCertificate { pre_prepare, votes: votes.collect() })
    }

    /// Forgets what was said in the present view, but for what it proves.
    pub(super) fn leave_view(&mut self, quorum: usize) {
        if let Some(prepared) = self.prepared_certificate(quorum) {
            self.prepared = Some(prepared);
        }
        // A later view may propose again what we prepared or saw decided, and what we only accepted, since others may
        // have prepared it. Anything else it names can be asked for.
        let accepted = self.proposal.take().map(|proposal| proposal.pre_prepare.digest);
        let prepared = self.prepared.as_ref().map(|prepared| prepared.claimed().digest);
        let decided = self.decided.as_ref().map(|decided| decided.digest);
        let wanted = [accepted, prepared, decided];
        // Whoever waits through several views has accepted nothing since, and keeps what it has.
        if accepted.is_some() {
            self.batches.retain(|held, _| wanted.contains(&Some(*held)));
        }
        self.prepares = Votes::default();
        self.commits = Votes::default();
    }

    /// `prepared` [OSDI '99 §4.2]: the PRE-PREPARE and PREPAREs of backups make a quorum.
    pub(super) fn is_prepared(&self, quorum: usize) -> bool {
        // A PREPARE by the primary is refused on arrival, so nobody counts twice.
        self.proposal
            .as_ref()
            .is_some_and(|proposal| 1 + self.prepares.count(proposal.pre_prepare.digest) >= quorum)
    }

    /// A quorum of COMMITs for the proposal we hold.
    pub(super) fn is_committed(&self, quorum: usize) -> bool {
        self.proposal
            .as_ref()
            .is_some_and(|proposal| self.commits.count(proposal.pre_prepare.digest) >= quorum)
    }
}

/// Votes that have a table in the slot, and their kind of evidence.
pub(super) trait Tabled: SlotVote {
    fn votes(slot: &Slot) -> &Votes<Self>;
    fn votes_mut(slot: &mut Slot) -> &mut Votes<Self>;
    fn equivocation(first: Verified<Self>, second: Verified<Self>) -> Equivocation;
}

impl Tabled for Prepare {
    fn votes(slot: &Slot) -> &Votes<Self> {
        &slot.prepares
    }
    fn votes_mut(slot: &mut Slot) -> &mut Votes<Self> {
        &mut slot.prepares
    }
    fn equivocation(first: Verified<Self>, second: Verified<Self>) -> Equivocation {
        let (first, second) = (first.into_signed(), second.into_signed());
        Equivocation::Prepare { first, second }
    }
}

impl Tabled for Commit {
    fn votes(slot: &Slot) -> &Votes<Self> {
        &slot.commits
    }
    fn votes_mut(slot: &mut Slot) -> &mut Votes<Self> {
        &mut slot.commits
    }
    fn equivocation(first: Verified<Self>, second: Verified<Self>) -> Equivocation {
        let (first, second) = (first.into_signed(), second.into_signed());
        Equivocation::Commit { first, second }
    }
}

/// The slots above the low watermark.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) slots: BTreeMap<SequenceNumber, Slot>,
    /// Sequence number of the stable checkpoint, h.
    pub(super) low: SequenceNumber,
    /// Last executed sequence number.
    pub(super) executed: SequenceNumber,
    /// What was executed before the last restart: what it led to is not known here any more.
    pub(super) restored: SequenceNumber,
    /// What we voted for before the last restart, at the latest. What was executed may have been lost since.
    pub(super) voted: SequenceNumber,
    /// The last sequence number of this configuration, once it is known.
    pub(super) border: Option<SequenceNumber>,
    window: u64,
    depth: u64,
}

impl Log {
    /// The log of a configuration that begins after `base`.
    pub(super) fn new(base: SequenceNumber, window: u64, depth: u64) -> Self {
        Self {
            slots: BTreeMap::new(),
            low: base,
            executed: base,
            restored: base,
            voted: base,
            border: None,
            window,
            depth,
        }
    }

    /// L.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// H = h + L, or the border: nothing beyond it is voted for [OSDI '99 §4.2].
    pub(super) fn high(&self) -> SequenceNumber {
        self.within(self.low.get().saturating_add(self.window))
    }

    /// One window beyond H: the last sequence number of which messages are held. A primary whose checkpoint
    /// became stable first is that far ahead of us at most, and what it says must not be lost.
    pub(super) fn limit(&self) -> SequenceNumber {
        self.within(self.high().get().saturating_add(self.window))
    }

    fn within(&self, sequence: u64) -> SequenceNumber {
        let sequence = SequenceNumber::new(sequence);
        self.border.map_or(sequence, |border| sequence.min(border))
    }

    /// The next sequence number to execute, the first in flight.
    pub(super) fn next(&self) -> SequenceNumber {
        self.executed.next()
    }

    /// The last sequence number in flight: as far ahead as the pipeline is deep, and nothing beyond H.
    pub(super) fn last(&self) -> SequenceNumber {
        SequenceNumber::new(self.executed.get().saturating_add(self.depth)).min(self.high())
    }

    /// The sequence numbers in flight, in order.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = SequenceNumber> + use<> {
        (self.next().get()..=self.last().get()).map(SequenceNumber::new)
    }

    /// The batches between the executed one and `sequence`, if each of them is decided or accepted by us.
    pub(super) fn ahead(&self, sequence: SequenceNumber) -> Option<Vec<&Batch>> {
        let between = (self.next().get()..sequence.get()).map(SequenceNumber::new);
        between.map(|before| self.slots.get(&before)?.expected()).collect()
    }

    /// Whether an assignment of ours before `sequence` is still on its way to disk.
    pub(super) fn is_assigning(&self, sequence: SequenceNumber) -> bool {
        let stage = |slot: &Slot| slot.proposal.as_ref().map(|proposal| proposal.stage);
        let mut before = self.slots.range(self.next()..sequence).map(|(_, slot)| stage(slot));
        before.any(|stage| stage == Some(Stage::Preparing))
    }

    pub(super) fn slot_mut(&mut self, sequence: SequenceNumber) -> &mut Slot {
        self.slots.entry(sequence).or_default()
    }

    pub(super) fn proposal(&self, sequence: SequenceNumber) -> Option<&Accepted> {
        self.slots.get(&sequence)?.proposal.as_ref()
    }

    pub(super) fn set_stage(&mut self, sequence: SequenceNumber, stage: Stage) {
        if let Some(proposal) =
            self.slots.get_mut(&sequence).and_then(|slot| slot.proposal.as_mut())
        {
            proposal.stage = stage;
        }
    }

    /// Bytes of batches held for sequence numbers beyond the next one to execute.
    pub(super) fn early_bytes(&self) -> usize {
        let early = self.next().next();
        let held = self.slots.range(early..).flat_map(|(_, slot)| slot.batches.values());
        held.map(|held| held.bytes).fold(0, usize::saturating_add)
    }

    /// Nothing lies beyond the border.
    pub(super) fn end_at(&mut self, border: SequenceNumber) {
        self.border = Some(border);
        self.slots.split_off(&border.next());
    }

    /// The border is stable: of what lies below, the decided batches stay for whoever lacks them.
    pub(super) fn keep_decided(&mut self, border: SequenceNumber) {
        self.low = border;
        self.slots.retain(|_, slot| {
            let Some(decided) = slot.decided.take() else {
                return false;
            };
            let batches = slot.batches.remove_entry(&decided.digest).into_iter().collect();
            *slot = Slot { decided: Some(decided), batches, ..Slot::default() };
            true
        });
    }

    /// Forgets everything up to a stable checkpoint [OSDI '99 §4.3].
    pub(super) fn collect_garbage(&mut self, stable: SequenceNumber) {
        self.low = stable;
        self.slots = self.slots.split_off(&stable.next());
    }
}
