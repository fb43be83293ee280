//! The replicated state machine of a federation: what the ordered entries mean.
//!
//! ```text
//!            ┌────────────────────────────────────────────────────────────────┐
//!            ▼                                                                │
//! Idle ─EpochOpened─▶ Open ─EpochCut─▶ Cut ─AggregatedUpdate─▶ Aggregated ─ApplySignoff
//! ```
//!
//! [`MachineState::successor`] is a pure function of the state, the ledger so far and a batch. Validators
//! run it to judge and to execute, auditors run it to replay; there is no second implementation.
//! Windows are judged here, by the agreed batch time; what depends on a validator's own clock or on data
//! outside the ledger (drift, withheld commitments, blobs) is judged in [`crate::validator`] at the first
//! PRE-PREPARE only and never here.

mod commitment;
mod epoch;
mod refusal;
mod rules;
mod session;

use std::collections::BTreeMap;

use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, EpochCut, EpochOpened, UpdateRef};
use federation_proto::update::UpdateCommitment;
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, HashDomain, Height, LedgerEntry, LogicalTime,
    NodeFingerprint, Request, SessionId, Signed,
};
use ledger::Ledger;
use meta_core::meta_state::MetaState;
use serde::{Deserialize, Serialize};

pub use federation_proto::replay::{ReplayWindow, WindowRefusal};
pub use refusal::{BatchRefusal, Refusal};
pub use rules::{Rules, RulesError};
pub use session::Session;

use crate::note;

/// An ordered commitment and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedCommitment {
    /// The commitment.
    pub commitment: UpdateCommitment,
    /// Block that ordered it.
    pub height: Height,
    /// Position within the block.
    pub index: u32,
}

/// A meta state that an epoch started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochBase {
    /// The epoch it was opened for.
    pub epoch: FederatedEpoch,
    /// Its hash.
    pub hash: Digest,
}

/// Where the epoch machine stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// No epoch is open.
    Idle,
    /// Sites commit updates.
    Open {
        /// The entry that opened it.
        opened: EpochOpened,
        /// When, in agreed time.
        opened_at: LogicalTime,
    },
    /// The input set is closed.
    Cut {
        /// The entry that opened the epoch.
        opened: EpochOpened,
        /// The cut.
        cut: EpochCut,
        /// The included commitments, by ledger position.
        commitments: Vec<OrderedCommitment>,
    },
    /// The result is decided and waits for its sign-off.
    Aggregated {
        /// The result.
        aggregated: Box<AggregatedUpdate>,
        /// Block that holds it.
        height: Height,
    },
}

/// Everything of the state but the meta state, which has a hash of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remainder {
    bases: Vec<EpochBase>,
    accepted: BTreeMap<NodeFingerprint, UpdateRef>,
    sessions: BTreeMap<SessionId, Session>,
    phase: Phase,
    pending: Vec<OrderedCommitment>,
    note_head: Digest,
    started_at: Option<LogicalTime>,
}

impl Canonical for Remainder {
    const NAME: &'static str = "MachineState";
    const MAX_BYTES: usize = 64 << 20;
}

/// The replicated state.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineState {
    meta: MetaState,
    rest: Remainder,
}

/// The two digests a state root is made of, so that an anchor can prove the meta state alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRootParts {
    /// Hash of the meta state.
    pub meta_state: Digest,
    /// Digest of everything else.
    pub remainder: Digest,
}

impl StateRootParts {
    /// The state root.
    pub fn root(&self) -> Digest {
        let parts: [&[u8]; 2] = [self.meta_state.as_bytes(), self.remainder.as_bytes()];
        Digest::of_parts(HashDomain::MachineState, &parts)
    }
}

impl MachineState {
    /// The state before the first block.
    pub fn genesis(rules: &Rules) -> Self {
        let meta = MetaState::initial(&rules.schema);
        let rest = Remainder {
            bases: Vec::new(),
            accepted: BTreeMap::new(),
            sessions: BTreeMap::new(),
            phase: Phase::Idle,
            pending: Vec::new(),
            note_head: note::first_previous(rules.federation_id()),
            started_at: None,
        };
        Self { meta, rest }
    }

    /// The state after a batch, or why the batch means nothing here. `self` is left as it was.
    pub fn successor(
        &self,
        rules: &Rules,
        ledger: &Ledger,
        batch: &Batch,
    ) -> Result<Self, BatchRefusal> {
        let mut next = self.clone();
        for (index, item) in (0u32..).zip(&batch.items) {
            next.step(rules, ledger, batch.batch_time, index, item)?;
        }
        Ok(next)
    }

    /// The state after one more item of a batch whose items so far led to `self`.
    pub fn extended(
        &self,
        rules: &Rules,
        ledger: &Ledger,
        batch: &Batch,
        item: &BatchItem,
    ) -> Result<Self, BatchRefusal> {
        let mut next = self.clone();
        let index = u32::try_from(batch.items.len()).unwrap_or(u32::MAX);
        next.step(rules, ledger, batch.batch_time, index, item)?;
        Ok(next)
    }

    fn step(
        &mut self,
        rules: &Rules,
        ledger: &Ledger,
        time: LogicalTime,
        index: u32,
        item: &BatchItem,
    ) -> Result<(), BatchRefusal> {
        let place = Place { height: ledger.head().height.next(), index, time };
        self.rest.started_at = self.rest.started_at.or(Some(time));
        self.apply(rules, ledger, place, item).map_err(|cause| BatchRefusal {
            index,
            kind: item.entry().kind(),
            cause,
        })
    }

    fn apply(
        &mut self,
        rules: &Rules,
        ledger: &Ledger,
        place: Place,
        item: &BatchItem,
    ) -> Result<(), Refusal> {
        match item {
            BatchItem::Request(request) => self.apply_request(rules, place, request),
            BatchItem::Derived(entry) => self.apply_derived(rules, ledger, place, entry),
        }
    }

    fn apply_request(
        &mut self,
        rules: &Rules,
        place: Place,
        request: &Signed<Request>,
    ) -> Result<(), Refusal> {
        check_request_signature(rules, request)?;
        let request = request.claimed();
        match &request.entry {
            LedgerEntry::SessionOpened(opened) => self.open_session(rules, place, request, opened),
            LedgerEntry::UpdateCommitment(commitment) => {
                self.commit_update(rules, place, request, commitment)
            }
            LedgerEntry::SessionResumed(resumed) => self.resume_session(rules, request, resumed),
            LedgerEntry::SessionClosed(closed) => self.close_session(request, closed),
            entry if is_not_built(entry) => Err(Refusal::NotBuilt(entry.kind())),
            entry => Err(Refusal::NotRequestable(entry.kind())),
        }
    }

    fn apply_derived(
        &mut self,
        rules: &Rules,
        ledger: &Ledger,
        place: Place,
        entry: &LedgerEntry,
    ) -> Result<(), Refusal> {
        match entry {
            LedgerEntry::EpochOpened(opened) => self.open_epoch(rules, place, opened),
            LedgerEntry::EpochCut(cut) => self.cut_epoch(rules, place, cut),
            LedgerEntry::AggregatedUpdate(aggregated) => self.aggregate(rules, place, aggregated),
            LedgerEntry::ApplySignoff(signoff) => self.sign_off(rules, ledger, signoff),
            entry if is_not_built(entry) => Err(Refusal::NotBuilt(entry.kind())),
            entry => Err(Refusal::NotDerivable(entry.kind())),
        }
    }

    /// The digest that headers and checkpoints commit to.
    pub fn root(&self) -> Digest {
        self.root_parts().root()
    }

    /// The parts of [`MachineState::root`].
    pub fn root_parts(&self) -> StateRootParts {
        StateRootParts {
            meta_state: self.meta.hash(),
            remainder: Digest::of(HashDomain::MachineState, &self.rest.to_canonical()),
        }
    }

    /// The meta state in force.
    pub fn meta(&self) -> &MetaState {
        &self.meta
    }

    /// Where the epoch machine stands.
    pub fn phase(&self) -> &Phase {
        &self.rest.phase
    }

    /// The epoch blocks are labelled with: the open one, else the last applied one.
    pub fn epoch(&self) -> FederatedEpoch {
        match &self.rest.phase {
            Phase::Idle => self.meta.federated_epoch(),
            Phase::Open { opened, .. } | Phase::Cut { opened, .. } => opened.federated_epoch,
            Phase::Aggregated { aggregated, .. } => aggregated.federated_epoch,
        }
    }

    /// Commitments ordered since the last cut, by ledger position.
    pub fn pending(&self) -> &[OrderedCommitment] {
        &self.rest.pending
    }

    /// Every meta state that an epoch of this generation started from, oldest first.
    pub fn bases(&self) -> &[EpochBase] {
        &self.rest.bases
    }

    /// What every node last contributed to an aggregate that took effect.
    pub fn accepted(&self) -> &BTreeMap<NodeFingerprint, UpdateRef> {
        &self.rest.accepted
    }

    /// Hash of the last governance note.
    pub fn note_head(&self) -> Digest {
        self.rest.note_head
    }

    /// Agreed time of the first block.
    pub fn started_at(&self) -> Option<LogicalTime> {
        self.rest.started_at
    }

    /// All sessions.
    pub fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.rest.sessions
    }

    /// The last session that a node opened, over or not; zeros before its first. Its next one must name it.
    pub fn last_session_of(&self, node: &NodeFingerprint) -> SessionId {
        let of_node = self.rest.sessions.iter().filter(|(_, session)| session.node == *node);
        let last = of_node.max_by_key(|(_, session)| session.position);
        last.map_or(SessionId::new(Digest::ZERO), |(session_id, _)| *session_id)
    }

    /// The session of a node, if it has one that has neither expired nor been closed.
    pub fn session_of(&self, node: &NodeFingerprint) -> Option<(&SessionId, &Session)> {
        let epoch = self.epoch();
        self.rest
            .sessions
            .iter()
            .find(|(_, session)| session.node == *node && session.is_open(epoch))
    }
}

/// Entries that the wire has and this machine does not execute yet. They are refused by name.
const fn is_not_built(entry: &LedgerEntry) -> bool {
    matches!(
        entry,
        LedgerEntry::GovernancePinned(_)
            | LedgerEntry::QuarantineOpened(_)
            | LedgerEntry::QuarantineReviewed(_)
            | LedgerEntry::FederatedRollback(_)
            | LedgerEntry::RosterChanged(_)
            | LedgerEntry::PolicyChanged(_)
            | LedgerEntry::KeyRotated(_)
            | LedgerEntry::KeyRevoked(_)
    )
}

/// Where and when an entry is executed.
#[derive(Clone, Copy, Debug)]
struct Place {
    height: Height,
    index: u32,
    time: LogicalTime,
}

/// Whether the roster's participant signed a request.
pub fn check_request_signature(rules: &Rules, request: &Signed<Request>) -> Result<(), Refusal> {
    let node = request.claimed().node_fingerprint;
    let participant = rules.roster.participant(&node).ok_or(Refusal::UnknownNode(node))?;
    request.clone().verify(&participant.identity, &rules.context)?;
    Ok(())
}
