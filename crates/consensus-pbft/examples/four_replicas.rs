//! Four replicas in one thread decide one batch: `cargo run -p consensus-pbft --example four_replicas`.
//!
//! The loop in `main` is the driver's law, whole: one `handle`, drain all effects in order, then the next
//! input. A real driver puts a network where the queue is, and a disk that synchronises where `Persisted` is.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;

use consensus_pbft::*;
use federation_proto::genesis::*;
use federation_proto::keys::{DecryptionKey, KeyRole, SecretKey};
use federation_proto::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Orders one entry of its own, and remembers how many it executed.
struct Counter(u64);

impl Application for Counter {
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
        let opened = entry::EpochOpened {
            federated_epoch: FederatedEpoch::ZERO,
            generation: Generation::ZERO,
            base_state_hash: Digest::ZERO,
            config_digest: Digest::ZERO,
            policy_hash: Digest::ZERO,
        };
        let item = BatchItem::Derived(LedgerEntry::EpochOpened(opened));
        (self.0 == 0 && ahead.is_empty()).then(|| Batch { batch_time: now, items: vec![item] })
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
        _: SequenceNumber,
        _: &Batch,
        _: &CommitCertificate,
    ) -> Result<Execution, ExecutionFailed> {
        self.0 += 1;
        Ok(Execution { checkpoint: None })
    }
}

/// Published keys: good enough to show something, and for nothing else.
fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("four replicas", owner)
}

fn validator(owner: &str) -> Result<ValidatorRecord, name::NameError> {
    Ok(ValidatorRecord {
        name: Name::new(owner)?,
        fingerprint: key(owner).public(),
        consensus_key: key(owner).public(),
        log_key: key(owner).public(),
        encryption_key: DecryptionKey::synthetic("four replicas", owner).public(),
        organisation: Name::new(owner)?,
        region: Name::new("here")?,
    })
}

/// The committee follows from the founding document: who votes, and for which federation.
fn committee() -> Result<Committee, Box<dyn Error>> {
    let governor = GovernorRecord {
        name: Name::new("g")?,
        organisation: Name::new("g")?,
        document_key: key("g").public(),
        admission_key: key("g").public(),
        note_key: key("g").public(),
    };
    let genesis = Genesis {
        kind: FederationKind::Synthetic,
        instance: "four replicas".parse()?,
        log_origin: Name::new("example.log")?,
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: Configuration {
            number: 0,
            validators: NAMES.map(validator).into_iter().collect::<Result<_, _>>()?,
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
    };
    let (context, origin) = (genesis.signing_context(), genesis.log_origin.clone());
    Ok(Committee::new(&genesis.configuration.validate()?, context, &origin)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let committee = committee()?;
    let settings = Settings::default().validate()?;
    let mut nodes = Vec::new();
    for (index, owner) in (0..).zip(NAMES) {
        let id = ReplicaId::new(index);
        let replica = Replica::new(committee.clone(), id, key(owner), settings)?;
        nodes.push((replica, Counter(0)));
    }

    // Only the primary of view 0 has anything to propose; everything else follows from messages.
    let (mut queue, mut decided) = (VecDeque::from([(0, Input::Wake)]), 0);
    while let Some((at, input)) = queue.pop_front() {
        let Some((replica, counter)) = nodes.get_mut(at) else {
            continue;
        };
        for effect in replica.handle(LogicalTime::new(1), input, counter) {
            match effect {
                Effect::Persist { token, record: _ } => {
                    queue.push_back((at, Input::Persisted(token)));
                }
                Effect::Broadcast(message) => {
                    let others = (0..NAMES.len()).filter(|to| *to != at);
                    queue.extend(others.map(|to| (to, Input::Message(message.clone()))));
                }
                Effect::Committed { certificate, .. } => {
                    certificate.verify(&committee)?;
                    decided += 1;
                    println!("replica {at} decided, and its certificate stands alone");
                }
                other => println!("replica {at}: {other:?}"),
            }
        }
    }
    if decided == NAMES.len() {
        return Ok(());
    }
    Err(format!("{decided} of {} replicas decided", NAMES.len()).into())
}
