//! A small real federation with published keys, driven without a network: five sites, four validators,
//! three governors, two epochs. Everything in it is signed, so attackers of the tests can re-sign.

use std::collections::BTreeMap;

use ::ledger::LogHash;
use consensus_pbft::{
    Checkpoint, CheckpointCertificate, CheckpointStatement, CheckpointVote, Commit,
    CommitCertificate, Committee, ReplicaId, Vote,
};
use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, ApplySignoff};
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, SiteRole,
    Thresholds, ValidatorRecord,
};
use federation_proto::governed::LedgerPin;
use federation_proto::handshake::{
    AcceptTerms, Attestation, AttestationLevel, ChannelBinding, FederationAccept, FederationHello,
    SessionOpened, SessionStatement, SoftwareVersion, TransportKind, TransportRecord, WireVersions,
    certificate_hash,
};
use federation_proto::keys::{
    Admission, Artifact, Consensus, DecryptionKey, Document, GovernanceNote, Identity,
    LogCheckpoint, Transport,
};
use federation_proto::signing::{Endorsed, Endorsement, SigningContext};
use federation_proto::update::{
    BlobReceipt, MetaUpdate, ProofSlot, SealedPayload, UpdateCommitment,
};
use federation_proto::*;
use meta_core::delta::{DeltaPayload, compress};
use meta_core::genome::{GeneKind, GeneSpec, GenomeSchema, ScaleBlock, q824};
use meta_core::meta_state::MetaState;

use super::super::*;
use crate::artifact::evaluation::RowKind;
use crate::artifact::{
    ArtifactSet, Evaluation, EvaluationRow, FamilyCost, FileRecord, MANIFEST, MANIFEST_SIGNATURE,
    Manifest, RunInputs, ScenarioRecord, assemble, json, manifest,
};
use crate::epoch_result::{self, EpochResult};
use crate::executor::Executor;
use crate::machine::{Phase, Rules};
use crate::note;
use crate::policy::Policy;
use crate::trust::SYNTHETIC_LABEL as LABEL;

const SITES: usize = 5;
const POLICY_TEXT: &str = include_str!("../../../policies/baseline.toml");

pub(super) fn key<R: keys::KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic(LABEL, owner)
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(super) fn schema() -> GenomeSchema {
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
    GenomeSchema::new("audit-test", 1, vec![block], genes).expect("a schema")
}

fn configuration(policy: &Policy) -> Configuration {
    let validators = (1..=4).map(|index| {
        let owner = format!("validator-{index}");
        ValidatorRecord {
            name: name(&owner),
            fingerprint: key::<Identity>(&owner).public(),
            consensus_key: key::<Consensus>(&owner).public(),
            log_key: key::<LogCheckpoint>(&owner).public(),
            encryption_key: DecryptionKey::synthetic(LABEL, &owner).public(),
            organisation: name(&format!("org-val-{index}")),
            region: name("eu"),
        }
    });
    let participants = (1..=SITES).map(|index| ParticipantRecord {
        name: name(&format!("site-{index}")),
        fingerprint: key::<Identity>(&format!("site-{index}")).public(),
        organisation: name(&format!("org-{index}")),
        region: name("eu"),
        role: SiteRole::Edge,
    });
    let governors = ["a", "b", "c"].map(|letter| {
        let owner = format!("governor-{letter}");
        GovernorRecord {
            name: name(&owner),
            organisation: name(&format!("org-gov-{letter}")),
            document_key: key::<Document>(&owner).public(),
            admission_key: key::<Admission>(&owner).public(),
            note_key: key::<GovernanceNote>(&owner).public(),
        }
    });
    Configuration {
        number: 0,
        validators: validators.collect(),
        participants: participants.collect(),
        governors: governors.to_vec(),
        witnesses: Vec::new(),
        readers: Vec::new(),
        thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
        mandate: Mandate {
            first_epoch: FederatedEpoch::new(1),
            last_epoch: FederatedEpoch::new(64),
        },
        policy_hash: policy.digest(),
        artifact_key: key::<Artifact>("artifacts").public(),
    }
}

fn scenario(seed: u64) -> ScenarioRecord {
    let digest = Digest::of(HashDomain::Scenario, b"audit-test");
    ScenarioRecord { name: "audit-test".into(), seed, digest }
}

pub(super) fn genesis(seed: u64) -> Genesis {
    let policy = Policy::parse(POLICY_TEXT.as_bytes()).expect("the shipped policy");
    Genesis {
        kind: FederationKind::Synthetic,
        instance: scenario(seed).instance().parse().expect("a short text"),
        log_origin: name("prism-m5-test"),
        schema_digest: Digest::from_bytes(schema().digest()),
        initial_state_hash: MetaState::initial(&schema()).hash(),
        configuration: configuration(&policy),
    }
}

/// How sites say that their channel is secured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) kind: TransportKind,
    /// TLS version and cipher suite.
    pub(super) tls: [u16; 2],
}

/// A federation on its way.
pub(super) struct World {
    seed: u64,
    pub(super) genesis: Endorsed<Genesis>,
    pub(super) committee: Committee,
    pub(super) executor: Executor,
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    sessions: BTreeMap<usize, (SessionId, LedgerBlockId)>,
    sequence: u64,
    cycle: u64,
    /// View in which batches are decided.
    pub(super) view: View,
    /// A site that commits nothing.
    pub(super) absent: Option<usize>,
    /// A site that also commits, in the same cycle, to another hash than its blob has.
    pub(super) liar: Option<usize>,
    /// How sites say that their channel is secured.
    pub(super) channel: Channel,
    /// A site whose delta no legal genome can have.
    pub(super) rubbish: Option<usize>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::founded(seed, genesis(seed))
    }

    /// The world of a genesis that belongs to a seed.
    pub(super) fn founded(seed: u64, body: Genesis) -> Self {
        let context = body.signing_context();
        let policy = Policy::parse(POLICY_TEXT.as_bytes()).expect("the shipped policy");
        let rules = Rules::new(&body, policy, schema()).expect("rules");
        let committee =
            Committee::new(&rules.roster, context, &body.log_origin).expect("committee");
        let keys = ["governor-a", "governor-b"].map(key::<Document>);
        let genesis = Endorsed::sign(body, &keys, &context);
        let executor = Executor::new(rules);
        let (blobs, sessions) = (BTreeMap::new(), BTreeMap::new());
        Self {
            seed,
            genesis,
            committee,
            executor,
            blobs,
            sessions,
            sequence: 0,
            cycle: 0,
            view: View::ZERO,
            absent: None,
            liar: None,
            channel: Channel { kind: TransportKind::InProcess, tls: [0, 0] },
            rubbish: None,
        }
    }

    /// Two epochs of five sites.
    pub(super) fn finished() -> Self {
        let mut world = Self::new(1);
        world.join_all();
        world.epoch(|aggregated, _| aggregated);
        world.epoch(|aggregated, _| aggregated);
        world
    }

    pub(super) fn context(&self) -> SigningContext {
        self.executor.rules().context
    }

    pub(super) fn ledger_size(&self) -> u64 {
        self.executor.ledger().head().height.get()
    }

    pub(super) fn head_at(&self, size: u64) -> ExpectedHead {
        let root = self.root_at(size);
        ExpectedHead { size, root }
    }

    fn root_at(&self, size: u64) -> Digest {
        let root = self.executor.ledger().history().root_at(size).expect("a root");
        Digest::from_bytes(*root.as_bytes())
    }

    pub(super) fn join_all(&mut self) {
        for site in 1..=SITES {
            let (session, item) = self.session(site);
            let block = self.commit(vec![item], false);
            self.sessions.insert(site, (session, block));
        }
    }

    fn session(&self, site: usize) -> (SessionId, BatchItem) {
        let (rules, context) = (self.executor.rules(), self.context());
        let owner = format!("site-{site}");
        let identity = key::<Identity>(&owner);
        let hello = FederationHello {
            federation_id: context.federation_id,
            node_fingerprint: identity.public(),
            software_version: SoftwareVersion::CURRENT,
            wire_versions: WireVersions::CURRENT,
            federated_epoch: self.executor.state().epoch(),
            channel_binding: ChannelBinding::None,
            previous_session: SessionId::new(Digest::ZERO),
            supported_capabilities: rules.policy.document().admission.required_capabilities.clone(),
            tls_public_key: key::<Transport>(&owner).public(),
            validator_set_hash: rules.roster.configuration().validator_set_hash(),
            ledger_size: 0,
            nonce: [7; 32],
            attestation: Attestation::None,
        };
        let epoch = self.executor.state().epoch();
        let terms = AcceptTerms {
            epoch,
            policy_hash: rules.policy.digest(),
            negotiated: rules
                .admission()
                .requirements
                .negotiate(&hello, epoch, AttestationLevel::None)
                .expect("compatible"),
            not_after_epoch: rules.admission().expiry(epoch),
            certificate_hashes: [certificate_hash(&hello.tls_public_key), Digest::ZERO],
        };
        let accept = FederationAccept::answer(&hello, terms);
        let statement = SessionStatement {
            session_id: accept.session_id,
            node_fingerprint: identity.public(),
            transport: TransportRecord {
                kind: self.channel.kind,
                tls_version: self.channel.tls[0],
                cipher_suite: self.channel.tls[1],
                ..TransportRecord::in_process(accept.certificate_hashes, accept.not_after_epoch)
            },
        };
        let session = accept.session_id;
        let desks = ["governor-a", "governor-c"].map(key::<Admission>);
        let opened = SessionOpened {
            hello: Signed::sign(hello, &identity, &context),
            accept: Endorsed::sign(accept, &desks, &context),
            statement: Signed::sign(statement, &identity, &context),
        };
        let entry = LedgerEntry::SessionOpened(Box::new(opened));
        (session, self.request(site, session, Lane::Control, 0, entry))
    }

    fn request(
        &self,
        site: usize,
        session_id: SessionId,
        lane: Lane,
        sequence: u64,
        entry: LedgerEntry,
    ) -> BatchItem {
        let identity = key::<Identity>(&format!("site-{site}"));
        let request = Request {
            node_fingerprint: identity.public(),
            session_id,
            lane,
            sequence: LaneSequence::new(sequence),
            entry,
        };
        BatchItem::Request(Signed::sign(request, &identity, &self.context()))
    }

    /// A whole epoch; `bend` may change the decided aggregate.
    pub(super) fn epoch(&mut self, bend: impl Fn(AggregatedUpdate, &Self) -> AggregatedUpdate) {
        self.open_epoch();
        let absent = self.absent;
        let sites = (1..=SITES).filter(|site| absent != Some(*site));
        let lie = self.lie();
        let updates = sites.map(|site| self.update(site));
        let updates: Vec<_> = lie.into_iter().chain(updates.collect::<Vec<_>>()).collect();
        let (first, rest) = updates.split_at(2);
        self.commit(first.to_vec(), false);
        self.commit(rest.to_vec(), false);
        if self.absent.is_some() {
            // Until the window has passed, the cut waits for everybody with a session.
            self.skip(60);
        }
        let cut = self.executor.state().next_cut(self.executor.rules()).expect("a cut");
        self.commit(vec![BatchItem::Derived(LedgerEntry::EpochCut(cut))], true);
        let (rules, ledger) = (self.executor.rules(), self.executor.ledger());
        let result = epoch_result::compute(rules, ledger, self.executor.state(), &self.blobs);
        let EpochResult::Aggregated(aggregated, _) = result else {
            panic!("no aggregate: {result:?}")
        };
        let aggregated = Box::new(bend(*aggregated, self));
        self.commit(vec![BatchItem::Derived(LedgerEntry::AggregatedUpdate(aggregated))], true);
        let signoff = self.signoff(&["governor-a", "governor-b"]);
        self.commit(vec![BatchItem::Derived(LedgerEntry::ApplySignoff(signoff))], true);
    }

    pub(super) fn open_epoch(&mut self) {
        let opened = self.executor.state().next_epoch(self.executor.rules()).expect("next epoch");
        self.commit(vec![BatchItem::Derived(LedgerEntry::EpochOpened(opened))], true);
        self.cycle += 1;
    }

    fn update(&mut self, site: usize) -> BatchItem {
        let (update, blob) = self.blob(site);
        self.request_commitment(site, 2 * self.cycle, UpdateCommitment::new(&update, &blob, vec![]))
    }

    /// What the liar of this world commits to besides its honest update.
    fn lie(&mut self) -> Option<BatchItem> {
        let site = self.liar?;
        let (update, blob) = self.blob(site);
        let mut commitment = UpdateCommitment::new(&update, &blob, vec![]);
        commitment.update_hash = Digest::of_blob(b"another update");
        Some(self.request_commitment(site, 2 * self.cycle + 1, commitment))
    }

    /// The update of a site for the epoch, and the blob that holds it.
    pub(super) fn blob(&mut self, site: usize) -> (MetaUpdate, Vec<u8>) {
        let context = self.context();
        let (session_id, ledger_block_id) = self.sessions[&site];
        let state = self.executor.state();
        let step = i16::try_from(site).expect("small") * 10;
        let delta = DeltaPayload {
            // Another one in every cycle, or the update would be the same again.
            salt: *Digest::of_blob(&[site as u8, self.cycle as u8]).as_bytes(),
            schema_digest: Digest::from_bytes(schema().digest()),
            coordinates: vec![if self.rubbish == Some(site) { i16::MIN } else { step }, 0],
        };
        let identity = key::<Identity>(&format!("site-{site}"));
        let update = MetaUpdate {
            federated_epoch: state.epoch(),
            generation: state.meta().generation(),
            node_fingerprint: identity.public(),
            session_id,
            ledger_block_id,
            cycle: Cycle::new(self.cycle),
            previous_update: self.previous_update(site),
            base_state_hash: state.meta().hash(),
            update_hash: delta.update_hash(),
            payload: SealedPayload::Clear(compress(&delta.to_canonical()).expect("compressible")),
            proof: ProofSlot::None,
        };
        let blob = Signed::sign(update.clone(), &identity, &context).to_canonical();
        self.blobs.insert(Digest::of_blob(&blob), blob.clone());
        (update, blob)
    }

    /// A site's request for a commitment, with the receipts of validators that believe everything.
    pub(super) fn request_commitment(
        &self,
        site: usize,
        sequence: u64,
        commitment: UpdateCommitment,
    ) -> BatchItem {
        let mut validators: Vec<_> =
            (1..=3).map(|index| key::<Identity>(&format!("validator-{index}"))).collect();
        validators.sort_by_key(SecretKey::public);
        let receipts = validators.iter().map(|validator| {
            let receipt = BlobReceipt {
                validator: validator.public(),
                node_fingerprint: commitment.node_fingerprint,
                federated_epoch: commitment.federated_epoch,
                blob: commitment.blob,
                blob_len: commitment.blob_len,
                commitment: commitment.statement_hash(),
            };
            Signed::sign(receipt, validator, &self.context())
        });
        let commitment = UpdateCommitment { receipts: receipts.collect(), ..commitment.clone() };
        let (session_id, _) = self.sessions[&site];
        let entry = LedgerEntry::UpdateCommitment(Box::new(commitment));
        self.request(site, session_id, Lane::Update, sequence, entry)
    }

    fn previous_update(&self, site: usize) -> Digest {
        let node = key::<Identity>(&format!("site-{site}")).public();
        let entries = self.executor.ledger().blocks().flat_map(|block| &block.batch.items);
        let own = entries.filter_map(|item| match item.entry() {
            LedgerEntry::UpdateCommitment(found) if found.node_fingerprint == node => {
                Some(found.update_hash)
            }
            _ => None,
        });
        own.last().unwrap_or(Digest::ZERO)
    }

    pub(super) fn signoff(&self, governors: &[&str]) -> ApplySignoff {
        let Phase::Aggregated { aggregated, .. } = self.executor.state().phase() else {
            panic!("nothing to sign off")
        };
        let head_size = self.ledger_size();
        let mut signoff = ApplySignoff {
            federated_epoch: aggregated.federated_epoch,
            generation: aggregated.generation,
            aggregated_hash: aggregated.hash(),
            new_state_hash: aggregated.new_state_hash,
            pin: LedgerPin {
                previous_note: self.executor.state().note_head(),
                head_size,
                head_root: self.root_at(head_size),
            },
            signatures: Vec::new(),
        };
        let text = note::apply_text(self.context().federation_id, &signoff);
        let mut signatures: Vec<_> = governors
            .iter()
            .map(|governor| key::<GovernanceNote>(governor))
            .map(|key| Endorsement { key: key.public(), signature: key.sign_raw(text.as_bytes()) })
            .collect();
        signatures.sort_by_key(|endorsement| endorsement.key);
        signoff.signatures = signatures;
        signoff
    }

    /// Null requests: the sequence advances, no block is made.
    pub(super) fn skip(&mut self, sequences: u64) {
        self.sequence += sequences;
    }

    /// Orders a batch with three votes, and with a checkpoint if asked.
    pub(super) fn commit(&mut self, items: Vec<BatchItem>, checkpoint: bool) -> LedgerBlockId {
        self.sequence += 1;
        let sequence = SequenceNumber::new(self.sequence);
        let batch = Batch { batch_time: LogicalTime::new(1000 * self.sequence), items };
        let digest = batch.digest(&self.context(), sequence);
        let certificate = commit_certificate(&self.context(), self.view, sequence, digest);
        let header = self
            .executor
            .execute(sequence, &batch, certificate.to_canonical())
            .expect("the machine accepts")
            .expect("a block");
        if checkpoint {
            let root = self.executor.ledger().history().root();
            let statement = CheckpointStatement {
                sequence,
                height: header.height,
                header_hash: header.id(),
                log_size: header.height.get(),
                log_root: root,
                state_root: header.state_root_after,
                next: None,
            };
            let certificate = checkpoint_certificate(&self.committee, statement);
            let ledger = self.executor.ledger_mut();
            ledger.attach_checkpoint(header.height, certificate.to_canonical()).expect("attached");
        }
        header.id()
    }

    pub(super) fn assemble(&self) -> ArtifactSet {
        let rules = self.executor.rules();
        let evaluation = evaluation(self.executor.state().meta().federated_epoch().get());
        let scenario = scenario(self.seed);
        let inputs = RunInputs {
            genesis: &self.genesis,
            policy: &rules.policy,
            schema: &rules.schema,
            ledger: self.executor.ledger(),
            blobs: &self.blobs,
            evaluation: &evaluation,
            scenario: &scenario,
            artifact_key: &key::<Artifact>("artifacts"),
        };
        assemble(&inputs).expect("artifacts")
    }
}

fn evaluation(epochs: u64) -> Evaluation {
    let costs = |cost_permille| vec![FamilyCost { family: "f".into(), cost_permille }];
    let rows = vec![
        EvaluationRow::new(RowKind::Start, costs(1800)),
        EvaluationRow::alone("site-1", costs(1100)),
        EvaluationRow::new(RowKind::Federated, costs(970)),
        EvaluationRow::new(RowKind::Published, costs(1000)),
    ];
    Evaluation::new(epochs, rows)
}

pub(super) fn commit_certificate(
    context: &SigningContext,
    view: View,
    sequence: SequenceNumber,
    digest: Digest,
) -> CommitCertificate {
    let votes = (0..3).map(|index| {
        let replica = ReplicaId::new(index);
        let body = Commit { view, sequence, digest, replica };
        let key = key::<Consensus>(&format!("validator-{}", index + 1));
        Vote { replica, signature: *Signed::sign(body, &key, context).signature() }
    });
    CommitCertificate { view, sequence, digest, votes: votes.collect() }
}

pub(super) fn checkpoint_certificate(
    committee: &Committee,
    statement: CheckpointStatement,
) -> CheckpointCertificate {
    let text = statement.note_text(committee).expect("a head");
    let votes = (0..3).map(|index| {
        let replica = ReplicaId::new(index);
        let owner = format!("validator-{}", index + 1);
        let note_signature = key::<LogCheckpoint>(&owner).sign_raw(text.as_bytes());
        let body = Checkpoint { statement, replica, note_signature };
        let signed = Signed::sign(body, &key::<Consensus>(&owner), committee.context());
        CheckpointVote { replica, signature: *signed.signature(), note_signature }
    });
    CheckpointCertificate { statement, votes: votes.collect() }
}

/// The artifacts of [`World::finished`], made once.
pub(super) fn run_set() -> ArtifactSet {
    static SET: std::sync::OnceLock<ArtifactSet> = std::sync::OnceLock::new();
    SET.get_or_init(|| World::finished().assemble()).clone()
}

pub(super) fn audit_set(set: ArtifactSet) -> Report {
    audit_loaded(&LoadedArtifacts::from(set))
}

pub(super) fn audit_loaded(set: &LoadedArtifacts) -> Report {
    let trust = RootOfTrust::synthetic().expect("the shipped root");
    let options = AuditOptions { schemas: vec![schema()], ..AuditOptions::default() };
    audit(set, &trust, &options)
}

/// What an attacker with the published artifact key does last: a manifest of what is there now.
pub(super) fn resign(set: &mut ArtifactSet, context: &SigningContext) {
    let manifest = json::read::<Manifest>(&set[MANIFEST]).value.expect("a manifest");
    let others = set.iter().filter(|(path, _)| *path != MANIFEST && *path != MANIFEST_SIGNATURE);
    let files = others.map(|(path, bytes)| FileRecord::of(path, bytes)).collect();
    let Manifest { federation_id, scenario, ledger, .. } = manifest;
    let text = Manifest::new(federation_id, scenario, ledger, files).to_text();
    let signature = manifest::sign(text.as_bytes(), &key::<Artifact>("artifacts"), context);
    set.insert(MANIFEST.into(), text.into_bytes());
    set.insert(MANIFEST_SIGNATURE.into(), signature.into_bytes());
}

pub(super) fn log_hash(digest: &Digest) -> LogHash {
    LogHash::from_bytes(*digest.as_bytes())
}
