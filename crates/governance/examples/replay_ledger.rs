//! Replays a ledger as an auditor does: decode a block, verify its certificate, execute, compare.
//!
//! ```sh
//! cargo run -p governance --example replay_ledger
//! ```

use std::error::Error;

use consensus_pbft::{Commit, CommitCertificate, Committee, ReplicaId, Vote};
use federation_proto::codec::Canonical;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, Thresholds, ValidatorRecord,
};
use federation_proto::keys::{Artifact, Consensus, DecryptionKey, KeyRole};
use federation_proto::name::NameError;
use federation_proto::{
    Batch, BatchItem, Digest, FederatedEpoch, LedgerEntry, LogicalTime, Name, SecretKey,
    SequenceNumber, Signed, View,
};
use governance::executor::Executor;
use governance::machine::Rules;
use governance::policy::{BASELINE_POLICY, Policy};
use ledger::BlockFile;
use meta_core::meta_state::MetaState;
use meta_core::workload::coloring;

const VALIDATORS: [&str; 4] = ["validator-a", "validator-b", "validator-c", "validator-d"];

fn key<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("replay example", owner)
}

fn genesis() -> Result<Genesis, Box<dyn Error>> {
    let schema = coloring::schema()?;
    let validator = |owner: &str| -> Result<ValidatorRecord, NameError> {
        Ok(ValidatorRecord {
            name: Name::new(owner)?,
            fingerprint: key(owner).public(),
            consensus_key: key(owner).public(),
            log_key: key(owner).public(),
            encryption_key: DecryptionKey::synthetic("replay example", owner).public(),
            organisation: Name::new(format!("org-{owner}"))?,
            region: Name::new("here")?,
        })
    };
    Ok(Genesis {
        kind: FederationKind::Synthetic,
        instance: "replay example".parse()?,
        log_origin: Name::new("replay.example")?,
        schema_digest: Digest::from_bytes(schema.digest()),
        initial_state_hash: MetaState::initial(&schema).hash(),
        configuration: Configuration {
            number: 0,
            validators: VALIDATORS.map(validator).into_iter().collect::<Result<_, _>>()?,
            participants: Vec::new(),
            governors: vec![GovernorRecord {
                name: Name::new("governor")?,
                organisation: Name::new("org-governor")?,
                document_key: key("governor").public(),
                admission_key: key("governor").public(),
                note_key: key("governor").public(),
            }],
            witnesses: Vec::new(),
            readers: Vec::new(),
            thresholds: Thresholds { document: 1, admission: 1, apply: 1 },
            mandate: Mandate {
                first_epoch: FederatedEpoch::new(1),
                last_epoch: FederatedEpoch::new(9),
            },
            policy_hash: Policy::parse(BASELINE_POLICY.as_bytes())?.digest(),
            artifact_key: key::<Artifact>("artifacts").public(),
        },
    })
}

/// The COMMITs of three validators on a batch.
fn certificate(rules: &Rules, sequence: SequenceNumber, batch: &Batch) -> CommitCertificate {
    let digest = batch.digest(&rules.context, sequence);
    let vote = |(index, owner): (u16, &&str)| {
        let replica = ReplicaId::new(index);
        let body = Commit { view: View::ZERO, sequence, digest, replica };
        let consensus: SecretKey<Consensus> = key(owner);
        Vote { replica, signature: *Signed::sign(body, &consensus, &rules.context).signature() }
    };
    let votes = (0u16..).zip(&VALIDATORS).take(3).map(vote).collect();
    CommitCertificate { view: View::ZERO, sequence, digest, votes }
}

/// A ledger as a validator exports it: one canonical file a block.
fn publish(rules: &Rules) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut executor = Executor::new(rules.clone());
    let opened = executor.state().next_epoch(rules).ok_or("the mandate allows no epoch")?;
    let items = vec![BatchItem::Derived(LedgerEntry::EpochOpened(opened))];
    let batch = Batch { batch_time: LogicalTime::new(1), items };
    let sequence = SequenceNumber::new(1);
    let votes = certificate(rules, sequence, &batch).to_canonical();
    executor.execute(sequence, &batch, votes)?;
    Ok(executor.ledger().blocks().map(Canonical::to_canonical).collect())
}

fn main() -> Result<(), Box<dyn Error>> {
    let genesis = genesis()?;
    let policy = Policy::parse(BASELINE_POLICY.as_bytes())?;
    let rules = Rules::new(&genesis, policy, coloring::schema()?)?;
    let committee = Committee::new(&rules.roster, rules.context, &genesis.log_origin)?;
    let files = publish(&rules)?;

    // From here on nothing is believed but the genesis.
    let mut executor = Executor::new(rules);
    for file in files {
        let block = BlockFile::from_canonical(&file)?;
        let certificate = CommitCertificate::from_canonical(&block.commit_certificate)?;
        certificate.verify(&committee)?;
        let sequence = block.header.sequence;
        if certificate.digest != block.batch.digest(committee.context(), sequence) {
            return Err(format!("sequence {sequence}: certificate of another batch").into());
        }
        let own = executor.execute(sequence, &block.batch, block.commit_certificate)?;
        if own != Some(block.header) {
            return Err(format!("sequence {sequence}: another header than our own").into());
        }
        println!("block {} is ours: state {}", block.header.height, block.header.state_root_after);
    }
    println!("phase {}", executor.state().phase().name());
    Ok(())
}
