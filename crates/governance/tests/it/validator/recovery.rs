//! A validator that crashed goes on from its disk: it stands where it stood, and never contradicts itself.

use consensus_pbft::{ConsensusMessage, ReplicaId, SafetyRecord, Settings};
use federation_proto::codec::Canonical;
use federation_proto::{Batch, BatchItem, Height, LedgerEntry};
use governance::validator::{
    BlobRefusal, DurableRecord, ImportError, RestoreError, Survived, Validator, ValidatorEffect,
    ValidatorInput, ValidatorKeys, ValidatorRefusal,
};
use governance::wire::Frame;

use crate::fixture::bench::{BACKUP, Bench, frames, refusals, voted};
use crate::fixture::update::{carrying, delta};
use crate::fixture::{SITES, World, key, name, validator, votes};

/// The disk of a backup: everything that an effect list wrote.
fn store(disk: &mut Survived, effects: &[ValidatorEffect]) {
    for effect in effects {
        let ValidatorEffect::Persist { record, .. } = effect else { continue };
        match record.clone() {
            DurableRecord::Safety(record) => disk.records.push(*record),
            DurableRecord::Blob(bytes) => disk.blobs.push(bytes),
            DurableRecord::Block(block) => disk.blocks.push(*block),
            DurableRecord::Checkpoint(certificate) => {
                let height = certificate.statement.height;
                let mut blocks = disk.blocks.iter_mut();
                let block = blocks.find(|block| block.header.height == height).expect("its block");
                block.checkpoint_certificate = Some(certificate.to_canonical());
            }
        }
    }
}

/// A backup that lived through a world's history, with a stable checkpoint at block `stable`, and its disk.
fn lived(world: &World, stable: u64) -> (Bench, Survived) {
    let (mut bench, mut disk) = (Bench::after(&World::new()), Survived::default());
    for ordered in &world.history {
        bench.now = ordered.batch.batch_time;
        store(&mut disk, &bench.decide(ordered));
    }
    let statement = votes::statement(&world.executor, stable);
    for replica in [0, 2] {
        let vote = votes::checkpoint_message(&world.committee, statement, replica);
        store(&mut disk, &bench.message(vote));
    }
    assert!(disk.blocks.iter().any(|block| block.checkpoint_certificate.is_some()));
    (bench, disk)
}

fn restored(world: &World, disk: Survived) -> Result<Validator, RestoreError> {
    let owner = validator(BACKUP);
    let keys = ValidatorKeys { identity: key(&owner), consensus: key(&owner), log: key(&owner) };
    let settings = Settings::default().validate().expect("settings");
    let (committee, id) = (world.committee.clone(), ReplicaId::new(BACKUP));
    Validator::restore(committee, id, keys, settings, world.fresh(), disk)
}

#[test]
fn it_stands_where_it_stood_and_goes_on() {
    let mut world = World::decided();
    let (mut bench, disk) = lived(&world, SITES as u64);
    bench.validator = restored(&world, disk).expect("its own disk");
    let own = bench.validator.executor();
    assert_eq!((own.state(), own.ledger().head()), (world.state(), world.executor.ledger().head()));
    world.sign_off();
    bench.follow(&world);
}

#[test]
fn a_vote_before_the_crash_is_repeated_and_never_contradicted() {
    let world = World::joined();
    let (mut bench, mut disk) = lived(&world, SITES as u64);
    let opening = || BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()));
    let batch = world.batch(vec![opening()]);
    bench.now = batch.batch_time;
    let effects = bench.propose(&batch);
    assert!(voted(&effects));
    store(&mut disk, &effects);
    bench.validator = restored(&world, disk).expect("its own disk");
    let other = Batch { batch_time: batch.batch_time.plus_millis(1), ..batch.clone() };
    assert!(!voted(&bench.propose(&other)), "two votes for one sequence number");
    let said = |effects: &[ValidatorEffect]| -> Vec<ConsensusMessage> {
        let votes = frames(effects).into_iter().filter_map(|frame| match frame {
            Frame::Consensus(message) => Some((**message).clone()),
            _ => None,
        });
        votes.filter(|message| matches!(message, ConsensusMessage::Prepare(_))).collect()
    };
    let again = said(&bench.input(ValidatorInput::Resend));
    assert!(again.contains(&said(&effects)[0]), "{again:?}");
}

#[test]
fn a_vote_that_was_not_durable_was_never_cast() {
    let world = World::joined();
    let (mut bench, disk) = lived(&world, SITES as u64);
    let items = vec![BatchItem::Derived(LedgerEntry::EpochOpened(world.opening()))];
    let batch = world.batch(items);
    bench.now = batch.batch_time;
    assert!(!voted(&bench.raw(ValidatorInput::Frame(Frame::Consensus(Box::new(
        votes::proposal(&world.context(), world.next_sequence(), &batch),
    ))))));
    bench.validator = restored(&world, disk).expect("its own disk");
    let other = Batch { batch_time: batch.batch_time.plus_millis(1), ..batch };
    assert!(voted(&bench.propose(&other)));
}

#[test]
fn a_checkpoint_that_was_not_durable_with_its_block_is_voted_after_the_crash() {
    let world = World::decided();
    let (mut bench, mut disk) = lived(&world, SITES as u64);
    let height = world.executor.ledger().head().height;
    let of_head = |record: &SafetyRecord| match record {
        SafetyRecord::Checkpoint(vote) => vote.claimed().statement.height == height,
        _ => false,
    };
    assert!(disk.records.iter().any(of_head), "the last block is a checkpoint");
    disk.records.retain(|record| !of_head(record));
    bench.validator = restored(&world, disk).expect("its own disk");
    let effects = bench.input(ValidatorInput::Resend);
    let vote = |frame: &&Frame| match frame {
        Frame::Consensus(message) => match &**message {
            ConsensusMessage::Checkpoint(vote) => vote.claimed().statement.height == height,
            _ => false,
        },
        _ => false,
    };
    assert!(frames(&effects).into_iter().any(|frame| vote(&frame)), "{effects:?}");
}

#[test]
fn blobs_are_served_again() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let (_, mut disk) = lived(&world, SITES as u64);
    let bytes = world.blob(1, &world.update(1, 1));
    store(&mut disk, &bench.frame(world.update_frame(1, bytes.clone())));
    bench.validator = restored(&world, disk).expect("its own disk");
    let blob = federation_proto::Digest::of_blob(&bytes);
    let asked = Frame::BlobRequest { blob, asker: name(&validator(2)) };
    assert_eq!(frames(&bench.frame(asked)), [&Frame::Blob(bytes)]);
}

#[test]
fn a_crash_gives_a_site_no_second_share_of_the_disk() {
    let world = World::open();
    let mut bench = Bench::after(&world);
    let (_, mut disk) = lived(&world, SITES as u64);
    let limit = world.rules().policy.document().epoch.maximum_commitments_per_node;
    let update = |gene: u32| {
        let gene = i16::try_from(gene).expect("small");
        let update = carrying(world.update(1, 1), &delta(1, vec![gene, 0]).to_canonical());
        world.update_frame(1, world.blob(1, &update))
    };
    for gene in 0..limit {
        store(&mut disk, &bench.frame(update(gene)));
    }
    bench.validator = restored(&world, disk).expect("its own disk");
    let refused = refusals(bench.frame(update(limit)));
    let [ValidatorRefusal::Blob(BlobRefusal::TooMany { .. })] = refused.as_slice() else {
        panic!("{refused:?}")
    };
}

#[test]
fn blocks_that_were_not_decided_or_not_executed_are_refused_by_height() {
    let world = World::joined();
    let (_, disk) = lived(&world, SITES as u64);
    let refused = |bend: fn(&mut Survived)| {
        let mut disk = disk.clone();
        bend(&mut disk);
        match restored(&world, disk).expect_err("a bad disk") {
            RestoreError::Block { height, cause } => (height.get(), cause),
            other => panic!("{other}"),
        }
    };
    let (height, cause) = refused(|disk| {
        disk.blocks[1].commit_certificate = disk.blocks[0].commit_certificate.clone();
    });
    assert!(matches!(cause, ImportError::OtherBatch), "{cause}");
    assert_eq!(height, 2);
    let (height, cause) = refused(|disk| {
        disk.blocks.remove(0);
    });
    assert!(matches!(cause, ImportError::Execution(_) | ImportError::OtherBlock { .. }), "{cause}");
    assert_eq!(height, 2);
    let (height, cause) = refused(|disk| {
        disk.blocks[2].header.state_root_after = federation_proto::Digest::ZERO;
    });
    assert!(matches!(cause, ImportError::OtherBlock { .. }), "{cause}");
    assert_eq!(height, 3);
    let (height, cause) = refused(|disk| {
        let last = disk.blocks.len() - 1;
        disk.blocks[0].checkpoint_certificate = disk.blocks[last].checkpoint_certificate.clone();
    });
    assert!(matches!(cause, ImportError::OtherCheckpoint), "{cause}");
    assert_eq!(Height::new(height), Height::new(1));
}
