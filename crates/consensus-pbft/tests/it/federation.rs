//! A synthetic federation of n validators and one client.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use consensus_pbft::{Committee, Replica, ReplicaId, Settings};
use federation_proto::entry::EpochOpened;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, Roster, Thresholds,
    ValidatorRecord,
};
use federation_proto::keys::{
    Consensus, DecryptionKey, Identity, KeyRole, LogCheckpoint, SecretKey, SignatureMemo,
    VerifyingKey,
};
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, Generation, Lane, LaneSequence, LedgerEntry,
    LogicalTime, Name, Request, SessionId, Signed, SigningContext,
};

pub(crate) const LABEL: &str = "pbft-tests";

pub(crate) fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic(LABEL, owner)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a good name")
}

pub(crate) fn validator(index: usize) -> String {
    format!("validator-{index}")
}

pub(crate) fn consensus_key(index: usize) -> SecretKey<Consensus> {
    key(&validator(index))
}

pub(crate) fn log_key(index: usize) -> SecretKey<LogCheckpoint> {
    key(&validator(index))
}

pub(crate) fn validator_record(index: usize) -> ValidatorRecord {
    let owner = validator(index);
    ValidatorRecord {
        fingerprint: key::<Identity>(&owner).public(),
        consensus_key: consensus_key(index).public(),
        log_key: log_key(index).public(),
        encryption_key: DecryptionKey::synthetic(LABEL, &owner).public(),
        organisation: name(&owner),
        region: name("here"),
        name: name(&owner),
    }
}

/// The founding document; `instance` distinguishes federations, `number` configurations.
pub(crate) fn genesis(n: usize, instance: &str, number: u32) -> Genesis {
    Genesis {
        kind: FederationKind::Synthetic,
        instance: instance.parse().expect("a short text"),
        log_origin: name("test.log"),
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: Configuration {
            number,
            validators: (0..n).map(validator_record).collect(),
            participants: Vec::new(),
            governors: vec![GovernorRecord {
                name: name("governor"),
                organisation: name("governor"),
                document_key: key("governor").public(),
                admission_key: key("governor").public(),
                note_key: key("governor").public(),
            }],
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
    }
}

pub(crate) fn committee_of(genesis: Genesis) -> Committee {
    committee_with(genesis, |roster| roster)
}

fn committee_with(genesis: Genesis, change: impl Fn(Roster) -> Roster) -> Committee {
    let (context, origin) = (genesis.signing_context(), genesis.log_origin.clone());
    let roster = change(genesis.configuration.validate().expect("a good roster"));
    Committee::new(&roster, context, &origin).expect("a good committee")
}

/// What the keys of all simulated runs have verified.
static MEMO: LazyLock<Arc<SignatureMemo>> = LazyLock::new(Arc::default);

/// A committee whose keys remember what they verified: for many runs in which every node checks the same signatures.
pub(crate) fn memoised_committee(n: usize) -> Committee {
    static KNOWN: Mutex<BTreeMap<usize, Committee>> = Mutex::new(BTreeMap::new());
    let fresh = || committee_with(genesis(n, "here", 0), |roster| roster.memoised(&MEMO));
    // A panic in here leaves the map as it was.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(n).or_insert_with(fresh).clone()
}

/// The client's key, for such runs.
pub(crate) fn memoised_client() -> VerifyingKey<Identity> {
    client().memoised(&MEMO)
}

pub(crate) fn client() -> VerifyingKey<Identity> {
    key::<Identity>("client").public().check().expect("a good key")
}

pub(crate) fn committee(n: usize) -> Committee {
    committee_of(genesis(n, "here", 0))
}

pub(crate) fn replica(n: usize, index: usize, settings: Settings) -> Replica {
    let settings = settings.validate().expect("good settings");
    Replica::new(committee(n), id(index), consensus_key(index), settings).expect("a good replica")
}

pub(crate) fn id(index: usize) -> ReplicaId {
    ReplicaId::new(u16::try_from(index).expect("small"))
}

/// A request that differs from others by its number alone.
pub(crate) fn request(context: &SigningContext, number: u64) -> Signed<Request> {
    request_of("client", context, number)
}

pub(crate) fn request_of(client: &str, context: &SigningContext, number: u64) -> Signed<Request> {
    let client = key::<Identity>(client);
    let body = Request {
        node_fingerprint: client.public(),
        session_id: SessionId::new(Digest::ZERO),
        lane: Lane::Control,
        sequence: LaneSequence::new(number),
        entry: entry(number),
    };
    Signed::sign(body, &client, context)
}

pub(crate) fn entry(number: u64) -> LedgerEntry {
    LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: FederatedEpoch::new(number),
        generation: Generation::ZERO,
        base_state_hash: Digest::ZERO,
        config_digest: Digest::ZERO,
        policy_hash: Digest::ZERO,
    })
}

/// A batch of these requests.
pub(crate) fn batch(context: &SigningContext, numbers: &[u64]) -> Batch {
    let item = |number: &u64| BatchItem::Request(request(context, *number));
    Batch { batch_time: LogicalTime::new(1), items: numbers.iter().map(item).collect() }
}
