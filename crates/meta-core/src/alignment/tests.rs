//! Every reason of the table, evidence, proofs, and independence of the order of arrival.

use federation_proto::codec::Canonical;
use federation_proto::update::{MetaUpdate, UpdateCommitment};
use federation_proto::{BatchItem, LedgerEntry};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::delta::PayloadError;
use crate::fixture::{Federation, TestLedger, position, sealed, site_key, update};

const EPOCH: u64 = 5;

fn base(epoch: u64) -> Digest {
    Digest::of_blob(&epoch.to_le_bytes())
}

/// Epochs 1 to 5 had a base each; at most two epochs of staleness.
fn rules() -> AlignmentRules {
    AlignmentRules {
        epoch: FederatedEpoch::new(EPOCH),
        bases: (1..=EPOCH).map(|epoch| (base(epoch), FederatedEpoch::new(epoch))).collect(),
        max_staleness: 2,
        ..AlignmentRules::default()
    }
}

fn taken(federation: &Federation, index: u32, site: usize, update: MetaUpdate) -> FederatedUpdate {
    let (blob, item) = sealed(federation, site, update);
    FederatedUpdate::from_own_ledger(&blob, &item, position(index), &federation.context()).unwrap()
}

/// Aligns single updates of site 0 and returns the reasons in the order of the updates.
fn reasons(updates: Vec<MetaUpdate>) -> Vec<Option<DiscardReason>> {
    reasons_under(&rules(), updates)
}

fn reasons_under(rules: &AlignmentRules, updates: Vec<MetaUpdate>) -> Vec<Option<DiscardReason>> {
    let federation = Federation::new(2);
    let updates: Vec<_> =
        (0..).zip(updates).map(|(i, update)| taken(&federation, i, 0, update)).collect();
    let references: Vec<_> = updates.iter().map(FederatedUpdate::reference).collect();
    let record = dynamic_node_alignment(rules, updates).record;
    assert_eq!(record.aligned.len() + record.discarded.len(), references.len());
    let reason = |reference| {
        let found = record.discarded.iter().find(|discarded| discarded.update == reference);
        found.map(|discarded| discarded.reason)
    };
    references.into_iter().map(reason).collect()
}

fn fresh(cycle: u64) -> MetaUpdate {
    update(0, cycle, base(EPOCH), vec![cycle as i16, 0])
}

fn chained(cycle: u64, previous: &MetaUpdate) -> MetaUpdate {
    MetaUpdate { previous_update: previous.update_hash, ..fresh(cycle) }
}

#[test]
fn the_latest_cycle_wins_without_penalty() {
    let (first, superseded) = (fresh(1), Some(DiscardReason::Superseded));
    let (second, later) = (chained(2, &first), fresh(9));
    let expected = [superseded, None, superseded];
    assert_eq!(reasons(vec![first.clone(), later.clone(), second.clone()]), expected);
    // A later cycle with a rotten payload does not take the place of a sound one.
    let rotten = MetaUpdate { update_hash: base(77), ..fresh(11) };
    let expected = [superseded, None, superseded, Some(DiscardReason::InvalidPayload)];
    assert_eq!(reasons(vec![first, later, second, rotten]), expected);
}

#[test]
fn two_hashes_of_one_cycle_are_both_out_with_evidence() {
    let federation = Federation::new(2);
    let one = fresh(3);
    let other = update(0, 3, base(EPOCH), vec![-1, 0]);
    let updates = vec![
        taken(&federation, 0, 0, one.clone()),
        taken(&federation, 1, 1, update(1, 1, base(EPOCH), vec![1, 1])),
        taken(&federation, 2, 0, other.clone()),
        taken(&federation, 3, 0, one.clone()),
    ];
    let alignment = dynamic_node_alignment(&rules(), updates);
    let hashes = |list: &[DiscardedUpdate]| -> Vec<_> {
        list.iter().map(|one| (one.update.update_hash, one.reason)).collect()
    };
    let mut expected = vec![(one.update_hash, DiscardReason::ConflictingHash); 2];
    expected.push((other.update_hash, DiscardReason::ConflictingHash));
    expected.sort();
    assert_eq!(hashes(&alignment.record.discarded), expected);
    assert_eq!(alignment.aligned.len(), 1);
    let [evidence] = alignment.equivocations.as_slice() else {
        panic!("{:?}", alignment.equivocations)
    };
    assert_eq!(evidence.node_fingerprint, site_key(0).public());
    let verifier = site_key(0).public().check().unwrap();
    for request in [&evidence.first, &evidence.second] {
        assert!(request.clone().verify(&verifier, federation.signing()).is_ok());
    }
    assert_ne!(evidence.first, evidence.second);
}

#[test]
fn a_cycle_that_names_another_predecessor_conflicts() {
    let (first, conflicting) = (fresh(1), Some(DiscardReason::ConflictingHash));
    let broken = MetaUpdate { previous_update: base(99), ..fresh(2) };
    assert_eq!(reasons(vec![first.clone(), broken.clone()]), [conflicting, conflicting]);
    // With a gap between the cycles nothing contradicts.
    let gap = MetaUpdate { cycle: Cycle::new(3), ..broken };
    assert_eq!(reasons(vec![first, gap]), [Some(DiscardReason::Superseded), None]);
}

#[test]
fn duplicates_count_once() {
    let federation = Federation::new(2);
    let twice = (0..2).map(|index| taken(&federation, index, 0, fresh(1))).collect();
    let alignment = dynamic_node_alignment(&rules(), twice);
    assert_eq!(alignment.record.aligned.len(), 1);
    assert_eq!(alignment.aligned[0].update.position(), position(0));
    assert_eq!(alignment.record.discarded[0].reason, DiscardReason::Duplicate);
    // The same ledger entry handed in twice is one entry.
    let same = (0..2).map(|_| taken(&federation, 0, 0, fresh(1))).collect();
    assert!(dynamic_node_alignment(&rules(), same).record.discarded.is_empty());
}

#[test]
fn what_was_accepted_does_not_count_again() {
    let mut rules = rules();
    let accepted = fresh(4);
    rules.accepted.insert(
        accepted.node_fingerprint,
        AcceptedUpdate { cycle: accepted.cycle, update_hash: accepted.update_hash },
    );
    let other = update(0, 4, base(EPOCH), vec![-1, 0]);
    let alone = |update| reasons_under(&rules, vec![update])[0];
    assert_eq!(alone(accepted), Some(DiscardReason::Duplicate));
    assert_eq!(alone(other), Some(DiscardReason::ConflictingHash));
    assert_eq!(alone(fresh(3)), Some(DiscardReason::Superseded));
    assert_eq!(alone(fresh(5)), None);
}

#[test]
fn bases_decide_staleness() {
    let federation = Federation::new(2);
    let staleness = |epoch| {
        let update = update(0, 1, base(epoch), vec![4, 0]);
        let alignment = dynamic_node_alignment(&rules(), vec![taken(&federation, 0, 0, update)]);
        let discarded = alignment.record.discarded.first().map(|discarded| discarded.reason);
        alignment.record.aligned.first().map(|aligned| aligned.staleness).ok_or(discarded)
    };
    assert_eq!([5, 4, 3].map(staleness), [Ok(0), Ok(1), Ok(2)]);
    assert_eq!(staleness(2), Err(Some(DiscardReason::Stale)));
    assert_eq!(staleness(9), Err(Some(DiscardReason::UnknownBase)));
    let unknown = Some(DiscardReason::UnknownBase);
    let generation = MetaUpdate { generation: Generation::new(1), ..fresh(1) };
    let future = MetaUpdate { federated_epoch: FederatedEpoch::new(6), ..fresh(1) };
    assert_eq!(reasons(vec![generation]), [unknown]);
    assert_eq!(reasons(vec![future]), [unknown]);
}

#[test]
fn an_authors_fault_is_a_classification() {
    let invalid = [Some(DiscardReason::InvalidPayload)];
    let garbage = federation_proto::update::SealedPayload::Clear(vec![1, 2, 3]);
    assert_eq!(reasons(vec![MetaUpdate { payload: garbage, ..fresh(1) }]), invalid);
    let sealed = federation_proto::seal::Sealed::from_parts(Vec::new(), Vec::new());
    let sealed = federation_proto::update::SealedPayload::Sealed(sealed);
    assert_eq!(reasons(vec![MetaUpdate { payload: sealed, ..fresh(1) }]), invalid);
    assert_eq!(reasons(vec![MetaUpdate { update_hash: base(1), ..fresh(1) }]), invalid);
    assert_eq!(reasons(vec![update(0, 1, base(EPOCH), vec![i16::MAX, 0])]), invalid);
    assert_eq!(reasons(vec![update(0, 1, base(EPOCH), vec![0])]), invalid);
    let session = MetaUpdate { session_id: crate::fixture::session(1), ..fresh(1) };
    assert_eq!(reasons(vec![session]), invalid);
    let block = MetaUpdate { ledger_block_id: crate::fixture::session_block(1), ..fresh(1) };
    assert_eq!(reasons(vec![block]), invalid);
}

#[test]
fn another_schema_is_incompatible() {
    let delta = crate::delta::DeltaPayload {
        salt: [0; 32],
        schema_digest: base(1),
        coordinates: vec![0, 0],
    };
    let frame = crate::delta::compress(&delta.to_canonical()).unwrap();
    let foreign = MetaUpdate {
        update_hash: delta.update_hash(),
        payload: federation_proto::update::SealedPayload::Clear(frame),
        ..fresh(1)
    };
    assert_eq!(reasons(vec![foreign]), [Some(DiscardReason::IncompatibleSchema)]);
}

#[test]
fn commitments_that_lie_are_faults_and_foreign_bytes_are_errors() {
    let federation = Federation::new(2);
    let context = federation.context();
    let open = |blob: &[u8], item: &BatchItem| {
        FederatedUpdate::from_own_ledger(blob, item, position(0), &context)
    };
    let update = fresh(1);
    let (blob, item) = sealed(&federation, 0, update.clone());
    let honest = UpdateCommitment::new(&update, &blob, Vec::new());

    let lie = UpdateCommitment { cycle: Cycle::new(8), ..honest.clone() };
    let lied = open(&blob, &federation.commit(0, lie)).unwrap();
    assert_eq!(lied.fault(), Some(&PayloadFault::Commitment("cycle")));
    // Bytes that another key signed, committed in one's own name.
    let forged = Signed::sign(update.clone(), &site_key(1), federation.signing()).to_canonical();
    let commitment = UpdateCommitment::new(&update, &forged, Vec::new());
    let forged = open(&forged, &federation.commit(0, commitment)).unwrap();
    assert!(matches!(forged.fault(), Some(PayloadFault::Signature(_))));
    let commitment = UpdateCommitment::new(&update, b"rubbish", Vec::new());
    let rubbish = open(b"rubbish", &federation.commit(0, commitment)).unwrap();
    assert!(matches!(rubbish.fault(), Some(PayloadFault::Codec(_))));
    assert!(rubbish.update().is_none());

    assert!(matches!(open(b"other", &item), Err(VerifyError::Blob { .. })));
    let foreign = open(&blob, &federation.commit(1, honest.clone()));
    assert!(matches!(foreign, Err(VerifyError::ForeignCommitment { .. })));
    let derived = BatchItem::Derived(LedgerEntry::UpdateCommitment(Box::new(honest)));
    assert_eq!(open(&blob, &derived).unwrap_err(), VerifyError::NotRequested);
    let BatchItem::Request(request) = &item else { panic!("{item:?}") };
    let mut body = request.claimed().clone();
    body.sequence = federation_proto::LaneSequence::new(7);
    let bent = BatchItem::Request(Signed::from_parts(body, *request.signature()));
    assert!(matches!(open(&blob, &bent), Err(VerifyError::Signature(_))));
}

#[test]
fn records_are_bound_to_a_certified_log() {
    let federation = Federation::new(2);
    let mut ledger = TestLedger::new(&federation);
    let (blob, item) = sealed(&federation, 0, fresh(1));
    let (_, other) = sealed(&federation, 1, update(1, 1, base(EPOCH), vec![1, 0]));
    let positions = ledger.append(vec![other.clone(), item]);
    ledger.append(vec![other]);
    let certificate = ledger.certify(&federation, 3);
    let log = CertifiedLog::from_certificate(&certificate, &federation.committee).unwrap();
    let record = ledger.record(positions[1]);
    let verify = |record| FederatedUpdate::verify(&blob, record, &log, &federation.context());
    let verified = verify(&record).unwrap();
    assert_eq!(verified.position(), positions[1]);
    assert_eq!(verified.inclusion_proof(), Some(&record.proof));
    assert_eq!(verified.fault(), None);

    let mut moved = record.clone();
    moved.proof.entry.index = 0;
    assert!(matches!(verify(&moved), Err(VerifyError::Record(RecordError::Proof(_)))));
    let mut moved = record.clone();
    moved.proof.header.height = federation_proto::Height::new(2);
    assert!(matches!(verify(&moved), Err(VerifyError::Record(RecordError::Proof(_)))));
    let below = ledger.certify(&federation, 2);
    assert!(CertifiedLog::from_certificate(&below, &federation.committee).is_err());
}

#[test]
fn faults_name_the_step() {
    let federation = Federation::new(2);
    let far = taken(&federation, 0, 0, update(0, 1, base(EPOCH), vec![i16::MAX, 0]));
    let Some(PayloadFault::Payload(PayloadError::Delta(error))) = far.fault() else {
        panic!("{:?}", far.fault())
    };
    let limit = (4 << 12) + 1;
    assert_eq!(
        error.to_string(),
        format!("gene \"real\": |coordinate(32767)| must be <= {limit} steps")
    );
}

/// Updates of three sites over few cycles, bases and contents, so that every reason occurs.
fn mixed() -> impl Strategy<Value = Vec<(usize, u64, u64, i16)>> {
    prop::collection::vec((0..3_usize, 1..4_u64, 1..8_u64, -1..=1_i16), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn arrival_order_does_not_matter(list in mixed(), swaps in prop::collection::vec(any::<[Index; 2]>(), 8)) {
        let federation = Federation::new(4);
        let updates: Vec<_> = (0..)
            .zip(&list)
            .map(|(i, &(site, cycle, epoch, change))| {
                taken(&federation, i, site, update(site, cycle, base(epoch), vec![change, 0]))
            })
            .collect();
        let mut shuffled = updates.clone();
        for [a, b] in swaps.iter().filter(|_| !list.is_empty()) {
            shuffled.swap(a.index(list.len()), b.index(list.len()));
        }
        let one = dynamic_node_alignment(&rules(), updates);
        let other = dynamic_node_alignment(&rules(), shuffled);
        prop_assert_eq!(&one.record, &other.record);
        prop_assert_eq!(&one.equivocations, &other.equivocations);
        // Nothing is lost, a node counts once, and aligned updates stand as in the record.
        prop_assert_eq!(one.record.aligned.len() + one.record.discarded.len(), list.len());
        let nodes: Vec<_> = one.record.aligned.iter().map(|a| a.update.node_fingerprint).collect();
        prop_assert!(nodes.is_sorted_by(|a, b| a < b));
        let aligned: Vec<_> = one.aligned.iter().map(|node| node.update.reference()).collect();
        let recorded: Vec<_> = one.record.aligned.iter().map(|a| a.update).collect();
        prop_assert_eq!(aligned, recorded);
        prop_assert_eq!(one.contributions().len(), one.aligned.len());
    }
}
