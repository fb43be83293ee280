//! A small real federation: five sites, four validators, three governors, keys that everybody can derive.
//!
//! A [`World`] is one node's executor with everybody's keys beside it: it signs whatever a test wants said,
//! and orders batches with real commit certificates.

pub(crate) mod bench;
pub(crate) mod epoch;
pub(crate) mod frames;
pub(crate) mod net;
pub(crate) mod session;
pub(crate) mod update;
pub(crate) mod votes;

use std::cell::Cell;
use std::collections::BTreeMap;

use consensus_pbft::Committee;
use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, SiteRole,
    Thresholds, ValidatorRecord,
};
use federation_proto::keys::{Artifact, DecryptionKey, KeyRole};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, LedgerEntry, LogicalTime, Name, NodeFingerprint,
    SecretKey, SequenceNumber, SigningContext,
};
use governance::executor::Executor;
use governance::follower::Follower;
use governance::machine::{BatchRefusal, MachineState, Refusal, Rules};
use governance::policy::{BASELINE_POLICY, Policy};
use governance::wire::OrderedBatch;
use ledger::BlockHeader;
use meta_core::genome::{GeneKind, GeneSpec, GenomeSchema, ScaleBlock, q824};
use meta_core::meta_state::MetaState;

/// Sites, numbered from 1.
pub(crate) const SITES: usize = 5;
/// Validators, numbered from 0 as replicas are.
pub(crate) const VALIDATORS: u16 = 4;
/// Governors.
pub(crate) const GOVERNORS: [&str; 3] = ["governor-a", "governor-b", "governor-c"];

pub(crate) fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("governance tests", owner)
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(crate) fn site(index: usize) -> String {
    format!("site-{index}")
}

pub(crate) fn validator(index: u16) -> String {
    format!("validator-{index}")
}

/// The identity of a site.
pub(crate) fn node(index: usize) -> NodeFingerprint {
    key(&site(index)).public()
}

/// Two genes between −2 and 2, one of them whole, in steps of 2⁻¹².
pub(crate) fn schema() -> GenomeSchema {
    let block = ScaleBlock { name: "all".into(), scale_log2: 12 };
    let gene = |name: &str, kind| GeneSpec {
        name: name.into(),
        kind,
        min: -2 * q824::ONE,
        max: 2 * q824::ONE,
        start: q824::ONE,
        block: 0,
    };
    let genes = vec![gene("real", GeneKind::Continuous), gene("whole", GeneKind::Integer)];
    GenomeSchema::new("governance-test", 1, vec![block], genes).expect("a schema")
}

/// What a test may choose before the federation is founded.
#[derive(Clone, Debug)]
pub(crate) struct Charter {
    pub(crate) policy: String,
    pub(crate) last_epoch: u64,
}

impl Default for Charter {
    fn default() -> Self {
        Self { policy: BASELINE_POLICY.to_owned(), last_epoch: 64 }
    }
}

impl Charter {
    /// The baseline with one line of the policy changed.
    pub(crate) fn with_policy(from: &str, to: &str) -> Self {
        assert!(BASELINE_POLICY.contains(from), "the baseline has no line {from:?}");
        Self { policy: BASELINE_POLICY.replace(from, to), ..Self::default() }
    }

    pub(crate) fn genesis(&self) -> Genesis {
        Genesis {
            kind: FederationKind::Synthetic,
            instance: "governance tests".parse().expect("a short text"),
            log_origin: name("governance.test"),
            schema_digest: Digest::from_bytes(schema().digest()),
            initial_state_hash: MetaState::initial(&schema()).hash(),
            configuration: self.configuration(),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(self.policy.as_bytes()).expect("a policy")
    }

    fn configuration(&self) -> Configuration {
        let governors = GOVERNORS.map(|owner| GovernorRecord {
            name: name(owner),
            organisation: name(&format!("org-{owner}")),
            document_key: key(owner).public(),
            admission_key: key(owner).public(),
            note_key: key(owner).public(),
        });
        Configuration {
            number: 0,
            validators: (0..VALIDATORS).map(validator_record).collect(),
            participants: (1..=SITES).map(participant_record).collect(),
            governors: governors.into(),
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::new(1),
                last_epoch: FederatedEpoch::new(self.last_epoch),
            },
            policy_hash: self.policy().digest(),
            artifact_key: key::<Artifact>("artifacts").public(),
        }
    }
}

fn validator_record(index: u16) -> ValidatorRecord {
    let owner = validator(index);
    ValidatorRecord {
        name: name(&owner),
        fingerprint: key(&owner).public(),
        consensus_key: key(&owner).public(),
        log_key: key(&owner).public(),
        encryption_key: DecryptionKey::synthetic("governance tests", &owner).public(),
        organisation: name(&format!("org-{owner}")),
        region: name("here"),
    }
}

fn participant_record(index: usize) -> ParticipantRecord {
    ParticipantRecord {
        name: name(&site(index)),
        fingerprint: node(index),
        organisation: name(&format!("org-{}", site(index))),
        region: name("here"),
        role: SiteRole::Edge,
    }
}

/// One node's view of a federation, and everybody's keys.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) committee: Committee,
    pub(crate) executor: Executor,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    /// Everything ordered so far, null requests included.
    pub(crate) history: Vec<OrderedBatch>,
    founded: Executor,
    /// Time that passed beside a second a batch, in milliseconds.
    waited_ms: u64,
    /// Envelopes made so far: each has a position of its own.
    envelopes: Cell<u64>,
}

impl World {
    /// Nothing ordered yet, under the baseline policy.
    pub(crate) fn new() -> Self {
        Self::under(&Charter::default())
    }

    pub(crate) fn under(charter: &Charter) -> Self {
        let genesis = charter.genesis();
        let rules = Rules::new(&genesis, charter.policy(), schema()).expect("rules");
        let committee = Committee::new(&rules.roster, rules.context, &genesis.log_origin);
        let executor = Executor::new(rules);
        Self {
            committee: committee.expect("a committee"),
            founded: executor.clone(),
            executor,
            blobs: BTreeMap::new(),
            history: Vec::new(),
            waited_ms: 0,
            envelopes: Cell::new(0),
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        self.executor.rules()
    }

    pub(crate) fn context(&self) -> SigningContext {
        self.rules().context
    }

    pub(crate) fn state(&self) -> &MachineState {
        self.executor.state()
    }

    /// A node that has executed nothing.
    pub(crate) fn fresh(&self) -> Executor {
        self.founded.clone()
    }

    pub(crate) fn follower(&self) -> Follower {
        Follower::new(self.committee.clone(), self.fresh())
    }

    /// Blocks so far.
    pub(crate) fn size(&self) -> u64 {
        self.executor.ledger().head().height.get()
    }

    pub(crate) fn next_sequence(&self) -> SequenceNumber {
        SequenceNumber::new(self.history.len() as u64 + 1)
    }

    /// A batch for the next sequence number, one second after the last.
    pub(crate) fn batch(&self, items: Vec<BatchItem>) -> Batch {
        let time = 1000 * self.next_sequence().get() + self.waited_ms;
        Batch { batch_time: LogicalTime::new(time), items }
    }

    /// Lets time pass, so that a window closes.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.waited_ms += millis;
    }

    /// What the state machine says to items of the next batch.
    pub(crate) fn preview(&self, items: Vec<BatchItem>) -> Result<MachineState, BatchRefusal> {
        self.executor.preview(&self.batch(items))
    }

    /// Why the state machine refuses an item. The refusal must name it and leave everything as it was.
    pub(crate) fn refusal(&self, item: BatchItem) -> Refusal {
        let (before, kind) = (self.state().clone(), item.entry().kind());
        let refused = self.preview(vec![item]).expect_err("the item is refused");
        assert_eq!((refused.index, refused.kind), (0, kind));
        assert_eq!(*self.state(), before);
        refused.cause
    }

    pub(crate) fn refusal_of(&self, entry: LedgerEntry) -> Refusal {
        self.refusal(BatchItem::Derived(entry))
    }

    /// A batch for the next sequence number with the votes of three validators.
    pub(crate) fn ordered(&self, batch: Batch) -> OrderedBatch {
        let sequence = self.next_sequence();
        let digest = batch.digest(&self.context(), sequence);
        let certificate = votes::commit_certificate(&self.context(), sequence, digest, &[0, 1, 2]);
        OrderedBatch { sequence, batch, certificate }
    }

    /// Orders and executes items.
    pub(crate) fn commit(&mut self, items: Vec<BatchItem>) -> BlockHeader {
        let ordered = self.ordered(self.batch(items));
        self.execute(ordered).expect("a block")
    }

    /// Orders a null request.
    pub(crate) fn commit_null(&mut self) {
        let ordered = self.ordered(self.batch(Vec::new()));
        assert_eq!(self.execute(ordered), None);
    }

    fn execute(&mut self, ordered: OrderedBatch) -> Option<BlockHeader> {
        let certificate = ordered.certificate.to_canonical();
        let header = self.executor.execute(ordered.sequence, &ordered.batch, certificate);
        self.history.push(ordered);
        header.expect("the state machine accepts")
    }

    /// Orders and executes a derived entry.
    pub(crate) fn commit_derived(&mut self, entry: LedgerEntry) -> BlockHeader {
        self.commit(vec![BatchItem::Derived(entry)])
    }
}
