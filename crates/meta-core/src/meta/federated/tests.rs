//! The whole cycle over a real ledger with real certificates, and ports that lie.

use federation_proto::codec::Canonical;
use federation_proto::entry::{
    AggregatedUpdate, AggregationRule, ApplySignoff, DiscardReason, EpochCut, EpochOpened,
};
use federation_proto::governed::LedgerPin;
use federation_proto::update::{MetaUpdate, UpdateCommitment};
use federation_proto::{BatchItem, Cycle, Generation, LedgerEntry, Signed};
use std::collections::BTreeMap;

use super::*;
use crate::alignment::{LedgerPosition, RecordError};
use crate::delta::{Residual, quantise};
use crate::fixture::{
    Bowl, Federation as Fixture, TestLedger, key, schema, session, session_block, site_key,
};
use crate::genome::q824;
use crate::optimizer::EvolutionSettings;

const SITES: usize = 6;

/// How a port misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Decides a delta that differs in one unit of one gene.
    OtherDelta,
    /// Signs off another aggregate than was decided.
    OtherSignoff,
    /// Has the decision, but gives the aggregate again where the sign-off should be.
    NoSignoff,
    /// A certificate of two validators of four.
    BelowQuorum,
    /// Keeps back one committed update.
    Withhold,
    /// Hands over other bytes than were committed.
    OtherBytes,
    /// Announces an epoch with another base.
    OtherBase,
    /// Governance does not answer.
    Held,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the epoch is held")]
struct Held;

struct Port<'a> {
    federation: &'a Fixture,
    ledger: TestLedger,
    base: Digest,
    epoch: FederatedEpoch,
    lie: Lie,
    /// Sites whose committed payload is rotten.
    rotten: Vec<usize>,
}

impl<'a> Port<'a> {
    fn new(federation: &'a Fixture, base: &MetaState, lie: Lie) -> Self {
        Self {
            federation,
            ledger: TestLedger::new(federation),
            base: base.hash(),
            epoch: base.federated_epoch().next(),
            lie,
            rotten: Vec::new(),
        }
    }

    fn opened(&self) -> EpochOpened {
        EpochOpened {
            federated_epoch: self.epoch,
            generation: Generation::ZERO,
            base_state_hash: if self.lie == Lie::OtherBase { Digest::ZERO } else { self.base },
            config_digest: self.federation.signing().config_digest,
            policy_hash: Digest::of_blob(b"policy"),
        }
    }

    /// The commitment to a submitted update, with its payload spoilt if the site is rotten.
    fn commitment(&self, submitted: &SubmittedUpdate) -> (Vec<u8>, BatchItem) {
        let site =
            (0..SITES).find(|s| site_key(*s).public() == submitted.node_fingerprint).unwrap();
        let signed = Signed::<MetaUpdate>::from_canonical(&submitted.blob).unwrap();
        let mut update = signed.claimed().clone();
        let mut blob = submitted.blob.clone();
        if self.rotten.contains(&site) {
            update.update_hash = Digest::ZERO;
            blob = Signed::sign(update.clone(), &site_key(site), self.federation.signing())
                .to_canonical();
        }
        let commitment = UpdateCommitment::new(&update, &blob, Vec::new());
        (blob, self.federation.commit(site, commitment))
    }
}

impl OrderingPort for Port<'_> {
    type Error = Held;

    fn open_epoch(&mut self) -> Result<EpochOpened, Held> {
        let opened = self.opened();
        self.ledger.append_one(LedgerEntry::EpochOpened(opened.clone()));
        Ok(opened)
    }

    fn commit(&mut self, updates: Vec<SubmittedUpdate>) -> Result<OrderedEpoch, Held> {
        // Ordered in another order than submitted: the ledger decides, not the caller.
        let sealed: Vec<_> = updates.iter().rev().map(|u| self.commitment(u)).collect();
        let items: Vec<_> = sealed.iter().map(|(_, item)| item.clone()).collect();
        let positions = self.ledger.append(items.clone());
        let mut included: Vec<_> = items.iter().map(reference).collect();
        included.sort();
        let cut = self.ledger.append_one(LedgerEntry::EpochCut(EpochCut {
            federated_epoch: self.epoch,
            generation: Generation::ZERO,
            included,
            absent: Vec::new(),
        }));
        let opened = LedgerPosition { height: federation_proto::Height::new(1), index: 0 };
        let blobs = sealed.into_iter().map(|(blob, _)| blob);
        let mut updates: Vec<_> = blobs
            .zip(positions)
            .map(|(blob, at)| OrderedUpdate { blob, record: self.ledger.record(at) })
            .collect();
        match self.lie {
            Lie::Withhold => drop(updates.remove(0)),
            Lie::OtherBytes => updates[0].blob = updates[1].blob.clone(),
            _ => {}
        }
        Ok(OrderedEpoch {
            checkpoint: self.certify(),
            opened: self.ledger.record(opened),
            cut: self.ledger.record(cut),
            updates,
        })
    }

    fn decide(&mut self, proposal: &AggregatedUpdate) -> Result<Decision, Held> {
        if self.lie == Lie::Held {
            return Err(Held);
        }
        let mut decided = proposal.clone();
        if self.lie == Lie::OtherDelta {
            decided.delta[0] += 1;
        }
        let mut aggregated_hash = decided.hash();
        if self.lie == Lie::OtherSignoff {
            aggregated_hash = Digest::ZERO;
        }
        let new_state_hash = decided.new_state_hash;
        let aggregated = self.ledger.append_one(LedgerEntry::AggregatedUpdate(Box::new(decided)));
        let signoff = self.ledger.append_one(LedgerEntry::ApplySignoff(ApplySignoff {
            federated_epoch: self.epoch,
            generation: Generation::ZERO,
            aggregated_hash,
            new_state_hash,
            pin: LedgerPin { previous_note: Digest::ZERO, head_size: 0, head_root: Digest::ZERO },
            signatures: Vec::new(),
        }));
        let signoff = if self.lie == Lie::NoSignoff { aggregated } else { signoff };
        Ok(Decision {
            checkpoint: self.certify(),
            aggregated: self.ledger.record(aggregated),
            signoff: self.ledger.record(signoff),
        })
    }
}

impl Port<'_> {
    fn certify(&self) -> consensus_pbft::CheckpointCertificate {
        let voters = if self.lie == Lie::BelowQuorum { 2 } else { 3 };
        self.ledger.certify(self.federation, voters)
    }
}

fn reference(item: &BatchItem) -> federation_proto::entry::UpdateRef {
    let LedgerEntry::UpdateCommitment(commitment) = item.entry() else { panic!("{item:?}") };
    federation_proto::entry::UpdateRef {
        node_fingerprint: commitment.node_fingerprint,
        cycle: commitment.cycle,
        update_hash: commitment.update_hash,
    }
}

fn evolution() -> EvolutionSettings {
    EvolutionSettings {
        evaluations: 120,
        population: 6,
        trials: 1,
        final_trials: 1,
        ..EvolutionSettings::default()
    }
}

/// Sites whose optima lie around (1.0, 1).
fn sites(federation: &Fixture) -> Vec<Site<Bowl>> {
    (0..SITES)
        .map(|index| {
            let identity = SiteIdentity {
                key: site_key(index),
                session_id: session(index),
                ledger_block_id: session_block(index),
                context: *federation.signing(),
            };
            let optimum = vec![q824::ONE + (index as i32 - 3) * (q824::ONE / 64), q824::ONE];
            let workload = Bowl { schema: schema(), optimum };
            let state = MetaState::initial(&schema());
            Site::new(identity, workload, evolution(), [index as u8; 32], state).unwrap()
        })
        .collect()
}

fn config(federation: &Fixture, rule: AggregationRule) -> ValidFederationConfig {
    FederationConfig { schema: schema(), rule, max_staleness: 2, evolution: evolution() }
        .validate(&federation.roster)
        .unwrap()
}

type Outcome = Result<FederatedCycle<SiteError>, CycleError<Held>>;

fn run_epoch(
    federation: &Fixture,
    nodes: &mut [Site<Bowl>],
    global: &MetaState,
    port: &mut Port<'_>,
) -> Outcome {
    let config = config(federation, AggregationRule::NnmTrimmedMean { trim: 1 });
    let federation = Federation {
        config: &config,
        roster: &federation.roster,
        committee: &federation.committee,
        sessions: &federation.sessions,
        bases: &BTreeMap::new(),
        accepted: &BTreeMap::new(),
    };
    federated_meta_cycle(&federation, nodes, global, port)
}

/// One epoch with a lying port, from the initial state; the nodes' states after it.
fn with_lie(lie: Lie) -> (Outcome, Vec<MetaState>) {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let global = MetaState::initial(&schema());
    let mut port = Port::new(&federation, &global, lie);
    let outcome = run_epoch(&federation, &mut nodes, &global, &mut port);
    (outcome, nodes.iter().map(|node| node.state().clone()).collect())
}

#[test]
fn an_honest_epoch_moves_every_node_to_one_better_state() {
    let (outcome, states) = with_lie(Lie::None);
    let cycle = outcome.unwrap();
    assert!(cycle.absent.is_empty() && cycle.not_applied.is_empty());
    assert_eq!(cycle.alignment.record.aligned.len(), SITES);
    assert!(states.iter().all(|state| *state == cycle.state));
    assert_eq!(cycle.state.hash(), cycle.aggregated.new_state_hash);
    assert_eq!(cycle.state.federated_epoch(), FederatedEpoch::new(1));
    // From 0 the federation moves towards the sites' optima near 1.
    let value = cycle.state.values()[0];
    assert!(value > q824::ONE / 2 && value < 3 * q824::ONE / 2, "{value}");
}

#[test]
fn epochs_follow_each_other() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let mut global = MetaState::initial(&schema());
    for epoch in 1..=3 {
        let mut port = Port::new(&federation, &global, Lie::None);
        let cycle = run_epoch(&federation, &mut nodes, &global, &mut port).unwrap();
        assert_eq!(cycle.state.federated_epoch(), FederatedEpoch::new(epoch));
        assert_eq!(cycle.state.previous_state(), global.hash());
        assert!(nodes.iter().all(|node| node.cached_updates().len() == 0));
        global = cycle.state;
    }
    assert!(nodes.iter().all(|node| node.cycle() == Cycle::new(3)));
}

#[test]
fn one_rotten_payload_does_not_hold_up_the_rest() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let global = MetaState::initial(&schema());
    let mut port = Port::new(&federation, &global, Lie::None);
    port.rotten = vec![2];
    let cycle = run_epoch(&federation, &mut nodes, &global, &mut port).unwrap();
    let [discarded] = cycle.aggregated.alignment.discarded.as_slice() else {
        panic!("{:?}", cycle.aggregated.alignment)
    };
    assert_eq!(discarded.reason, DiscardReason::InvalidPayload);
    assert_eq!(discarded.update.node_fingerprint, site_key(2).public());
    assert_eq!(cycle.aggregated.alignment.aligned.len(), SITES - 1);
    assert!(nodes.iter().all(|node| *node.state() == cycle.state));
}

#[test]
fn too_few_sound_updates_end_the_epoch_and_change_no_gene() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let global = MetaState::initial(&schema());
    let mut port = Port::new(&federation, &global, Lie::None);
    // Two sound organisations are too few for a trim of one at each end.
    port.rotten = vec![0, 1, 2, 3];
    let cycle = run_epoch(&federation, &mut nodes, &global, &mut port).unwrap();
    assert_eq!(cycle.aggregated.alignment.aligned.len(), 2);
    assert!(cycle.aggregated.delta.iter().all(|change| *change == 0));
    assert_eq!(cycle.state.values(), global.values());
    assert_eq!(cycle.state.federated_epoch(), FederatedEpoch::new(1));
}

#[test]
fn only_an_accepted_update_carries_its_residual_on() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let mut twins = sites(&federation);
    let global = MetaState::initial(&schema());
    let mut port = Port::new(&federation, &global, Lie::None);
    port.rotten = vec![2];
    run_epoch(&federation, &mut nodes, &global, &mut port).unwrap();
    let none = Residual::none(&schema());
    for (site, (node, twin)) in nodes.iter().zip(&mut twins).enumerate() {
        twin.run_local_mec_cycle(FederatedEpoch::new(1)).unwrap();
        assert_eq!(*twin.residual(), none);
        let base = global.genome(&schema()).unwrap();
        let (_, left) = quantise(&schema(), &base, twin.incumbent(), &none).unwrap();
        assert_ne!(left, none, "the test needs something left over");
        assert_eq!(*node.residual(), if site == 2 { none.clone() } else { left });
    }
}

#[test]
fn no_lie_of_the_ledger_moves_a_state() {
    let initial = MetaState::initial(&schema());
    let lies = [
        Lie::OtherDelta,
        Lie::OtherSignoff,
        Lie::NoSignoff,
        Lie::BelowQuorum,
        Lie::Withhold,
        Lie::OtherBytes,
        Lie::OtherBase,
        Lie::Held,
    ];
    for lie in lies {
        let (outcome, states) = with_lie(lie);
        let error = outcome.unwrap_err();
        let named = match (lie, &error) {
            (
                Lie::OtherDelta,
                CycleError::Decision(DecisionError::OtherAggregate { own, decided }),
            ) => own != decided,
            (Lie::OtherSignoff, CycleError::Decision(DecisionError::OtherSignoff(what))) => {
                *what == "aggregate hash"
            }
            (
                Lie::NoSignoff,
                CycleError::Decision(DecisionError::Record(RecordError::Kind { found, .. })),
            ) => *found == "AggregatedUpdate",
            (
                Lie::Withhold,
                CycleError::Ordering(OrderingError::Incomplete { included, found, .. }),
            ) => (*included, *found) == (SITES, SITES - 1),
            (Lie::BelowQuorum, CycleError::Ordering(OrderingError::Log(_)))
            | (Lie::OtherBytes, CycleError::Ordering(OrderingError::Update(_)))
            | (Lie::OtherBase, CycleError::BaseState { .. })
            | (Lie::Held, CycleError::Port(Held)) => true,
            _ => false,
        };
        assert!(named, "{lie:?}: {error:?}");
        assert!(states.iter().all(|state| *state == initial), "{lie:?}");
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (outcome, _) = pool.install(|| with_lie(Lie::None));
        outcome.unwrap().aggregated.to_canonical()
    };
    let alone = on(1);
    assert_eq!(alone, on(2));
    assert_eq!(alone, on(4));
}

#[test]
fn a_retry_is_the_same_bytes_and_a_partition_is_reconciled() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let site = &mut nodes[0];
    assert!(matches!(site.meta_update(), Err(SiteError::NoUpdate)));
    let epoch = FederatedEpoch::new(1);
    for _ in 0..MAX_CACHED_UPDATES + 2 {
        site.run_local_mec_cycle(epoch).unwrap();
    }
    assert_eq!(site.meta_update().unwrap(), site.meta_update().unwrap());
    let cached: Vec<_> = site.cached_updates().cloned().collect();
    assert_eq!(cached.len(), MAX_CACHED_UPDATES);
    // Cached updates form a chain: each names the one before it.
    let opened: Vec<_> = cached
        .iter()
        .map(|one| Signed::<MetaUpdate>::from_canonical(&one.blob).unwrap().claimed().clone())
        .collect();
    for pair in opened.windows(2) {
        assert_eq!(pair[1].previous_update, pair[0].update_hash);
        assert_eq!(pair[1].cycle, pair[0].cycle.next());
    }
    // The same seed makes the same bytes on another machine.
    let mut twin = sites(&federation).remove(0);
    twin.run_local_mec_cycle(epoch).unwrap();
    let mut again = sites(&federation).remove(0);
    again.run_local_mec_cycle(epoch).unwrap();
    assert_eq!(twin.meta_update().unwrap(), again.meta_update().unwrap());
}

#[test]
fn a_node_that_cannot_start_is_absent_not_fatal() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let impossible = EvolutionSettings { population: 0, ..evolution() };
    let identity = SiteIdentity {
        key: site_key(5),
        session_id: session(5),
        ledger_block_id: session_block(5),
        context: *federation.signing(),
    };
    let global = MetaState::initial(&schema());
    let workload = nodes[5].workload().clone();
    nodes[5] = Site::new(identity, workload, impossible, [5; 32], global.clone()).unwrap();
    let mut port = Port::new(&federation, &global, Lie::None);
    let cycle = run_epoch(&federation, &mut nodes, &global, &mut port).unwrap();
    let [absent] = cycle.absent.as_slice() else { panic!("{:?}", cycle.absent) };
    assert_eq!(absent.node_fingerprint, site_key(5).public());
    // It follows the decision all the same.
    assert_eq!(*nodes[5].state(), cycle.state);
}

#[test]
fn a_site_refuses_to_go_back() {
    let federation = Fixture::new(SITES);
    let mut nodes = sites(&federation);
    let initial = MetaState::initial(&schema());
    let mut port = Port::new(&federation, &initial, Lie::None);
    run_epoch(&federation, &mut nodes, &initial, &mut port).unwrap();
    assert!(matches!(nodes[0].load_meta(&initial), Err(SiteError::OlderState { .. })));
}

#[test]
fn settings_must_fit_the_roster() {
    let federation = Fixture::new(SITES);
    let with = |rule, max_staleness| {
        let config =
            FederationConfig { schema: schema(), rule, max_staleness, evolution: evolution() };
        config.validate(&federation.roster).map(|_| ())
    };
    let trim = |trim| AggregationRule::TrimmedMean { trim };
    assert_eq!(with(trim(1), 15), Ok(()));
    assert_eq!(with(trim(2), 0), Err(ConfigError::Trim { trim: 2, organisations: 3 }));
    assert_eq!(
        with(AggregationRule::Mean, 16),
        Err(ConfigError::Staleness { found: 16, limit: MAX_STALENESS })
    );
    // The fixture's keys are the ones the roster knows.
    assert_eq!(key::<federation_proto::keys::Identity>("site-0").public(), site_key(0).public());
}
