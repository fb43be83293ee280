//! A small federation for tests: real keys, a real ledger, real certificates.

use std::collections::BTreeMap;

use consensus_pbft::{
    Checkpoint, CheckpointCertificate, CheckpointStatement, CheckpointVote, Committee,
};
use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, GovernorRecord, Mandate, ParticipantRecord, Roster, SiteRole, Thresholds,
    ValidatorRecord,
};
use federation_proto::keys::{
    Artifact, Consensus, DecryptionKey, Identity, KeyRole, LogCheckpoint, SecretKey,
};
use federation_proto::update::{MetaUpdate, ProofSlot, SealedPayload, UpdateCommitment};
use federation_proto::{
    Batch, BatchItem, Cycle, Digest, FederatedEpoch, FederationId, Generation, Height, Lane,
    LaneSequence, LedgerBlockId, LedgerEntry, LogicalTime, Name, Request, SequenceNumber,
    SessionId, Signed, SigningContext,
};
use ledger::{Execution, Ledger};

use crate::alignment::{LedgerPosition, LedgerRecord, SessionBinding, UpdateContext};
use crate::delta::{DeltaPayload, compress};
use crate::genome::{GeneKind, GeneSpec, Genome, GenomeSchema, ScaleBlock, q824};
use crate::workload::{Cost, Evaluation, Workload, WorkloadError};

/// Two genes between −2 and 2, one of them whole, in steps of 2⁻¹².
pub(crate) fn schema() -> GenomeSchema {
    let block = ScaleBlock { name: "all".into(), scale_log2: 12 };
    let gene = |name: &str, kind| GeneSpec {
        name: name.into(),
        kind,
        min: -2 * q824::ONE,
        max: 2 * q824::ONE,
        start: 0,
        block: 0,
    };
    let genes = vec![gene("real", GeneKind::Continuous), gene("whole", GeneKind::Integer)];
    GenomeSchema::new("fixture", 1, vec![block], genes).unwrap()
}

/// A site whose private optimum is a genome: cost is the distance to it.
#[derive(Clone, Debug)]
pub(crate) struct Bowl {
    pub(crate) schema: GenomeSchema,
    pub(crate) optimum: Vec<i32>,
}

impl Workload for Bowl {
    fn schema(&self) -> &GenomeSchema {
        &self.schema
    }

    fn evaluate(&self, genome: &Genome, _trial_seed: u64) -> Result<Evaluation, WorkloadError> {
        let pairs = genome.values().iter().zip(&self.optimum);
        let distance: u64 = pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        Ok(Evaluation { cost: Cost::from_permille(distance >> 8), work: 1 })
    }
}

/// Keys, roster and committee of four validators and some sites, two sites an organisation.
pub(crate) struct Federation {
    pub(crate) roster: Roster,
    pub(crate) committee: Committee,
    pub(crate) sessions: BTreeMap<SessionId, SessionBinding>,
    pub(crate) schema: GenomeSchema,
}

pub(crate) fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("meta-core fixture", owner)
}

fn name(text: String) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn site_key(site: usize) -> SecretKey<Identity> {
    key(&format!("site-{site}"))
}

pub(crate) fn session(site: usize) -> SessionId {
    SessionId::new(Digest::of_blob(format!("session {site}").as_bytes()))
}

pub(crate) fn session_block(site: usize) -> LedgerBlockId {
    LedgerBlockId::new(Digest::of_blob(format!("block of session {site}").as_bytes()))
}

fn validator(index: usize) -> ValidatorRecord {
    let owner = format!("validator-{index}");
    ValidatorRecord {
        fingerprint: key::<Identity>(&owner).public(),
        consensus_key: key::<Consensus>(&owner).public(),
        log_key: key::<LogCheckpoint>(&owner).public(),
        encryption_key: DecryptionKey::synthetic("meta-core fixture", &owner).public(),
        organisation: name(format!("org-{index}")),
        region: name("region".into()),
        name: name(owner),
    }
}

fn participant(index: usize) -> ParticipantRecord {
    ParticipantRecord {
        name: name(format!("site-{index}")),
        fingerprint: site_key(index).public(),
        organisation: name(format!("org-{}", index / 2)),
        region: name("region".into()),
        role: SiteRole::Edge,
    }
}

impl Federation {
    pub(crate) fn new(sites: usize) -> Self {
        let governor = GovernorRecord {
            name: name("governor".into()),
            organisation: name("org-0".into()),
            document_key: key("governor").public(),
            admission_key: key("governor").public(),
            note_key: key("governor").public(),
        };
        let configuration = Configuration {
            number: 0,
            validators: (0..4).map(validator).collect(),
            participants: (0..sites).map(participant).collect(),
            governors: vec![governor],
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 1, admission: 1, apply: 1 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::new(1),
                last_epoch: FederatedEpoch::new(99),
            },
            policy_hash: Digest::of_blob(b"policy"),
            artifact_key: key::<Artifact>("artifacts").public(),
        };
        let roster = configuration.validate().unwrap();
        let context = SigningContext {
            federation_id: FederationId::new(Digest::of_blob(b"fixture")),
            config_digest: roster.digest(),
        };
        let origin = name("fixture.example".into());
        let committee = Committee::new(&roster, context, &origin).unwrap();
        let binding = |site| SessionBinding {
            node_fingerprint: site_key(site).public(),
            ledger_block_id: session_block(site),
        };
        let sessions = (0..sites).map(|site| (session(site), binding(site))).collect();
        Self { roster, committee, sessions, schema: schema() }
    }

    pub(crate) fn signing(&self) -> &SigningContext {
        self.committee.context()
    }

    pub(crate) fn context(&self) -> UpdateContext<'_> {
        UpdateContext {
            roster: &self.roster,
            signing: self.signing(),
            sessions: &self.sessions,
            schema: &self.schema,
        }
    }

    /// A commitment of `blob` as its author requests it.
    pub(crate) fn commit(&self, site: usize, commitment: UpdateCommitment) -> BatchItem {
        let request = Request {
            node_fingerprint: site_key(site).public(),
            session_id: session(site),
            lane: Lane::Update,
            sequence: LaneSequence::new(1),
            entry: LedgerEntry::UpdateCommitment(Box::new(commitment)),
        };
        BatchItem::Request(Signed::sign(request, &site_key(site), self.signing()))
    }
}

/// An update under construction; every field can be bent before it is signed.
pub(crate) fn update(site: usize, cycle: u64, base: Digest, coordinates: Vec<i16>) -> MetaUpdate {
    let delta = DeltaPayload {
        salt: [site as u8; 32],
        schema_digest: Digest::from_bytes(schema().digest()),
        coordinates,
    };
    MetaUpdate {
        federated_epoch: FederatedEpoch::new(5),
        generation: Generation::ZERO,
        node_fingerprint: site_key(site).public(),
        session_id: session(site),
        ledger_block_id: session_block(site),
        cycle: Cycle::new(cycle),
        previous_update: Digest::ZERO,
        base_state_hash: base,
        update_hash: delta.update_hash(),
        payload: SealedPayload::Clear(compress(&delta.to_canonical()).unwrap()),
        proof: ProofSlot::None,
    }
}

/// The signed bytes of an update and the commitment of its author.
pub(crate) fn sealed(
    federation: &Federation,
    site: usize,
    update: MetaUpdate,
) -> (Vec<u8>, BatchItem) {
    let blob = Signed::sign(update.clone(), &site_key(site), federation.signing()).to_canonical();
    let item = federation.commit(site, UpdateCommitment::new(&update, &blob, Vec::new()));
    (blob, item)
}

/// A ledger with a certificate on demand.
pub(crate) struct TestLedger {
    ledger: Ledger,
    config_digest: Digest,
}

impl TestLedger {
    pub(crate) fn new(federation: &Federation) -> Self {
        let context = federation.signing();
        Self { ledger: Ledger::new(context.federation_id), config_digest: context.config_digest }
    }

    /// Appends a block and returns the positions of its items.
    pub(crate) fn append(&mut self, items: Vec<BatchItem>) -> Vec<LedgerPosition> {
        let head = self.ledger.head();
        let batch = Batch { batch_time: LogicalTime::new(head.batch_time.get() + 1), items };
        let execution = Execution {
            sequence: SequenceNumber::new(head.sequence.get() + 1),
            config_digest: self.config_digest,
            epoch: FederatedEpoch::ZERO,
            state_root_after: Digest::ZERO,
        };
        let header = self.ledger.next_header(&batch, &execution).unwrap();
        let (height, count) = (header.height, header.entries_count);
        self.ledger.append(header, batch, vec![1]).unwrap();
        (0..count).map(|index| LedgerPosition { height, index }).collect()
    }

    pub(crate) fn append_one(&mut self, entry: LedgerEntry) -> LedgerPosition {
        self.append(vec![BatchItem::Derived(entry)])[0]
    }

    /// The record of an entry in the log as it is now.
    pub(crate) fn record(&self, at: LedgerPosition) -> LedgerRecord {
        let size = self.ledger.history().size();
        let block = self.ledger.block(at.height).unwrap();
        LedgerRecord {
            item: block.batch.items[at.index as usize].clone(),
            proof: self.ledger.prove_entry(at.height, at.index, size).unwrap(),
        }
    }

    /// Certifies the log as it is now with the first `voters` validators.
    pub(crate) fn certify(&self, federation: &Federation, voters: usize) -> CheckpointCertificate {
        let head = self.ledger.head();
        let statement = CheckpointStatement {
            sequence: head.sequence,
            height: head.height,
            header_hash: head.id,
            log_size: self.ledger.history().size(),
            log_root: self.ledger.history().root(),
            state_root: Digest::ZERO,
            next: None,
        };
        let origin = federation.committee.origin().as_str();
        let text = self.ledger.checkpoint_at(origin, statement.log_size).unwrap().to_text();
        let vote = |(index, member): (usize, &consensus_pbft::Member)| {
            let owner = format!("validator-{index}");
            let note_signature = key::<LogCheckpoint>(&owner).sign_raw(text.as_bytes());
            let body = Checkpoint { statement, replica: member.id(), note_signature };
            let signed = Signed::sign(body, &key::<Consensus>(&owner), federation.signing());
            CheckpointVote { replica: member.id(), signature: *signed.signature(), note_signature }
        };
        let members = federation.committee.members().iter().enumerate().take(voters);
        CheckpointCertificate { statement, votes: members.map(vote).collect() }
    }
}

/// A position in block 1.
pub(crate) fn position(index: u32) -> LedgerPosition {
    LedgerPosition { height: Height::new(1), index }
}
