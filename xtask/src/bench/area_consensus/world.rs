//! A committee in one process.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;

use consensus_pbft::{
    Application, CheckpointStatement, CommitCertificate, Committee, ConsensusMessage, Effect,
    Execution, ExecutionFailed, Input, Replica, ReplicaId, Settings, Verdict,
};
use federation_proto::entry::EpochOpened;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, Thresholds, ValidatorRecord,
};
use federation_proto::keys::{DecryptionKey, KeyRole, LogCheckpoint, SignatureMemo};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, Generation, Height, LedgerBlockId, LedgerEntry,
    LogicalTime, Name, Request, SecretKey, SequenceNumber, Signed,
};

use ledger::merkle::LogHash;

use crate::bench::BenchError;

/// Blocks between two checkpoints.
const CHECKPOINT_INTERVAL: u64 = 32;

/// Sequence numbers between the watermarks: few enough for the NEW-VIEW of a hundred replicas.
const WINDOW: u64 = 48;

/// Replicas and the messages between them.
pub(super) struct World {
    nodes: Vec<(Replica, Ordered)>,
    queue: VecDeque<(usize, Input)>,
    /// Messages that were not refused. Each cost a verification.
    accepted: u64,
    decided: u64,
}

impl World {
    /// A committee of so many replicas, whose keys share a memo or not.
    pub(super) fn new(replicas: usize, memoised: bool) -> Result<Self, BenchError> {
        let genesis = genesis(replicas)?;
        let context = genesis.signing_context();
        let roster = genesis.configuration.validate().map_err(refused)?;
        let roster =
            if memoised { roster.memoised(&Arc::new(SignatureMemo::default())) } else { roster };
        let committee = Committee::new(&roster, context, &genesis.log_origin).map_err(refused)?;
        let settings = Settings { window: WINDOW, ..Settings::default() };
        let settings = settings.validate().map_err(refused)?;
        let node = |member: &consensus_pbft::Member| {
            let (id, owner) = (member.id(), owner(member.id()));
            let replica = Replica::new(committee.clone(), id, key(&owner), settings);
            let app =
                Ordered { committee: committee.clone(), log_key: key(&owner), last: 0, wanted: 0 };
            Ok((replica.map_err(refused)?, app))
        };
        let nodes = committee.members().iter().map(node).collect::<Result<_, BenchError>>()?;
        Ok(Self { nodes, queue: VecDeque::new(), accepted: 0, decided: 0 })
    }

    /// Decides so many more blocks at every replica.
    pub(super) fn decide(&mut self, blocks: u64) -> Result<(), BenchError> {
        let before = self.decided;
        for (_, app) in &mut self.nodes {
            app.wanted += blocks;
        }
        self.queue.push_back((0, Input::Wake));
        while let Some((at, input)) = self.queue.pop_front() {
            self.handle(at, input)?;
        }
        let expected = blocks * self.nodes.len() as u64;
        let decided = self.decided - before;
        if decided != expected {
            return Err(BenchError::Subject(format!("{decided} of {expected} were decided")));
        }
        Ok(())
    }

    /// Messages that were accepted so far, each after one strict verification.
    pub(super) fn verified(&self) -> u64 {
        self.accepted
    }

    fn handle(&mut self, at: usize, input: Input) -> Result<(), BenchError> {
        let count = self.nodes.len();
        let Some((replica, app)) = self.nodes.get_mut(at) else { return Ok(()) };
        self.accepted += u64::from(matches!(&input, Input::Message(message) if is_vote(message)));
        for effect in replica.handle(LogicalTime::new(1), input, app) {
            match effect {
                Effect::Persist { token, record: _ } => {
                    self.queue.push_back((at, Input::Persisted(token)));
                }
                Effect::Broadcast(message) => {
                    let others = (0..count).filter(|to| *to != at);
                    self.queue.extend(others.map(|to| (to, Input::Message(message.clone()))));
                }
                Effect::Committed { .. } => self.decided += 1,
                Effect::StableCheckpoint(_) => {}
                // A vote may come when its place is certified and cut already: it costs nothing.
                Effect::Refused(_) => self.accepted = self.accepted.saturating_sub(1),
                other => return Err(BenchError::Subject(format!("{other:?}"))),
            }
        }
        Ok(())
    }
}

/// Whether a message belongs to the deciding of a batch.
fn is_vote(message: &ConsensusMessage) -> bool {
    matches!(
        message,
        ConsensusMessage::Proposal(_) | ConsensusMessage::Prepare(_) | ConsensusMessage::Commit(_)
    )
}

/// Orders one small entry a block, as long as blocks are wanted. It keeps nothing but their number.
struct Ordered {
    committee: Committee,
    log_key: SecretKey<LogCheckpoint>,
    last: u64,
    wanted: u64,
}

impl Ordered {
    fn statement(&self, sequence: SequenceNumber) -> CheckpointStatement {
        let digest = Digest::of_blob(&sequence.get().to_le_bytes());
        CheckpointStatement {
            next: None,
            sequence,
            height: Height::new(sequence.get()),
            header_hash: LedgerBlockId::new(digest),
            log_size: sequence.get(),
            log_root: LogHash::from_bytes(*digest.as_bytes()),
            state_root: digest,
        }
    }
}

impl Application for Ordered {
    type Refusal = Infallible;

    fn check_request(&self, _: &Signed<Request>) -> Result<(), Infallible> {
        Ok(())
    }

    fn propose(
        &mut self,
        now: LogicalTime,
        _: &[Signed<Request>],
        ahead: &[&Batch],
    ) -> Option<Batch> {
        let opened = EpochOpened {
            federated_epoch: FederatedEpoch::new(self.last),
            generation: Generation::ZERO,
            base_state_hash: Digest::ZERO,
            config_digest: Digest::ZERO,
            policy_hash: Digest::ZERO,
        };
        let item = BatchItem::Derived(LedgerEntry::EpochOpened(opened));
        (self.last + (ahead.len() as u64) < self.wanted)
            .then(|| Batch { batch_time: now, items: vec![item] })
    }

    fn awaits(&self, _: LogicalTime, _: &[Signed<Request>]) -> Option<Digest> {
        None
    }

    fn judge(
        &mut self,
        _: LogicalTime,
        _: SequenceNumber,
        _: &Batch,
        _: &[&Batch],
    ) -> Verdict<Infallible> {
        Verdict::Accept
    }

    fn execute(
        &mut self,
        sequence: SequenceNumber,
        _: &Batch,
        _: &CommitCertificate,
    ) -> Result<Execution, ExecutionFailed> {
        self.last = sequence.get();
        if !self.last.is_multiple_of(CHECKPOINT_INTERVAL) {
            return Ok(Execution { checkpoint: None });
        }
        let statement = self.statement(sequence);
        let text = statement.note_text(&self.committee).map_err(|_| ExecutionFailed)?;
        let note = self.log_key.sign_raw(text.as_bytes());
        Ok(Execution { checkpoint: Some((statement, note)) })
    }
}

fn genesis(replicas: usize) -> Result<Genesis, BenchError> {
    let validator = |index: u16| {
        let owner = owner(ReplicaId::new(index));
        Ok(ValidatorRecord {
            name: Name::new(&owner).map_err(refused)?,
            fingerprint: key(&owner).public(),
            consensus_key: key(&owner).public(),
            log_key: key(&owner).public(),
            encryption_key: DecryptionKey::synthetic("bench", &owner).public(),
            organisation: Name::new(&owner).map_err(refused)?,
            region: Name::new("here").map_err(refused)?,
        })
    };
    let count = u16::try_from(replicas).map_err(refused)?;
    let governor = GovernorRecord {
        name: Name::new("g").map_err(refused)?,
        organisation: Name::new("g").map_err(refused)?,
        document_key: key("g").public(),
        admission_key: key("g").public(),
        note_key: key("g").public(),
    };
    Ok(Genesis {
        kind: FederationKind::Synthetic,
        instance: "bench".parse().map_err(refused)?,
        log_origin: Name::new("bench.log").map_err(refused)?,
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: Configuration {
            number: 0,
            validators: (0..count).map(validator).collect::<Result<_, BenchError>>()?,
            participants: Vec::new(),
            governors: vec![governor],
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 1, admission: 1, apply: 1 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::ZERO,
                last_epoch: FederatedEpoch::new(9),
            },
            policy_hash: Digest::ZERO,
            artifact_key: key("artifacts").public(),
        },
    })
}

fn owner(id: ReplicaId) -> String {
    format!("v{id}")
}

fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("bench", owner)
}

fn refused(cause: impl Display) -> BenchError {
    BenchError::Subject(cause.to_string())
}
