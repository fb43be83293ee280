//! Twins: two instances of one identity, each correct by itself, and a schedule of partitions [Bano et al., arXiv
//! 2004.10617]. Equivocation, amnesia and lost messages come out of it without a liar being written.
//!
//! `PRISM_TWINS_SCHEDULES=0..8192` runs every schedule of the bounded family, `PRISM_TWINS_SEEDS=FROM..TO` chooses random
//! ones.

use consensus_pbft::ConsensusMessage;

use crate::federation::id;
use crate::seeds::{Dice, for_seeds};
use crate::sim::{Config, Network, Sim, Way};

/// Milliseconds of one hop of the protocol: a record, and a message.
pub(crate) const HOP: u64 = 11;

/// From the last round's end up to this time, who hears whom: instances of one group.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) until: u64,
    pub(crate) groups: Vec<u64>,
}

/// Partitions round by round; then everybody hears everybody.
pub(crate) struct Schedule(pub(crate) Vec<Round>);

impl Network for Schedule {
    fn carry(&mut self, _: &mut Dice, way: &Way<'_>) -> Vec<(u64, ConsensusMessage)> {
        let round = self.0.iter().find(|round| way.now < round.until);
        let cut = round.is_some_and(|round| round.groups[way.from] != round.groups[way.to]);
        if cut { Vec::new() } else { vec![(HOP - 1, way.message.clone())] }
    }
}

impl Schedule {
    /// Rounds of random length and partition.
    pub(crate) fn random(dice: &mut Dice, rounds: u64, instances: usize, groups: u64) -> Self {
        let mut until = 0;
        let round = |_| {
            until += *dice.pick(&[HOP, HOP, 2 * HOP, 100, 700, 2_500]);
            let parts = 1 + dice.below(groups);
            Round { until, groups: (0..instances).map(|_| dice.below(parts)).collect() }
        };
        Self((0..rounds).map(round).collect())
    }
}

/// n identities, some of them twice, under a schedule.
pub(crate) fn twins(n: usize, twinned: &[usize], dice: Dice, schedule: Schedule) -> Sim<Schedule> {
    let rage = schedule.0.last().map_or(1, |round| round.until);
    let config = Config {
        identities: (0..n).chain(twinned.iter().copied()).collect(),
        liars: twinned.iter().copied().collect(),
        requests: 5,
        rage,
        heard: 100,
        drift: 20,
        offset: 7,
        ..Config::of(n)
    };
    Sim::new(config, dice, schedule)
}

/// Random identities, as many as asked for.
pub(crate) fn random_identities(dice: &mut Dice, n: usize, count: usize) -> Vec<usize> {
    let mut identities: Vec<usize> = (0..n).collect();
    while identities.len() > count {
        identities.remove(dice.below(identities.len() as u64) as usize);
    }
    identities
}

/// n = 4, five instances, three single hops (PRE-PREPARE, PREPARE, COMMIT of view 0), each under any of the sixteen
/// partitions in two; the last stays until view 0 is over. The first primary is twinned, or the second.
#[test]
fn every_schedule_of_three_hops_is_safe_and_comes_to_an_end() {
    for_seeds("PRISM_TWINS_SCHEDULES", "twins::every_schedule", 0..256, |number| {
        // An odd factor permutes the schedules, so that any range of numbers is spread over all of them.
        let schedule = number.wrapping_mul(2_731) % 8_192;
        let (twinned, parts) = ((schedule % 2) as usize, schedule / 2);
        let part = |hop: u64| parts >> (4 * hop) & 15;
        let round = |(until, part): (u64, u64)| Round {
            until,
            groups: (0..5).map(|instance| (part << 1) >> instance & 1).collect(),
        };
        let rounds = [(HOP, part(0)), (2 * HOP, part(1)), (3 * HOP, part(2)), (1_500, part(2))];
        let schedule = Schedule(rounds.map(round).into());
        let mut sim = twins(4, &[twinned], Dice(number), schedule);
        sim.run();
        sim.check();
    });
}

#[test]
fn f_twins_under_random_schedules_break_nothing() {
    for_seeds("PRISM_TWINS_SEEDS", "twins::f_twins", 0..200, |seed| {
        let mut dice = Dice(seed);
        let n = *dice.pick(&[4, 4, 7]);
        let twinned = random_identities(&mut dice, n, (n - 1) / 3);
        let rounds = 3 + dice.below(8);
        let schedule = Schedule::random(&mut dice, rounds, n + twinned.len(), 3);
        let mut sim = twins(n, &twinned, dice, schedule);
        sim.run();
        sim.check();
    });
}

/// Nobody is cut off: each honest replica hears both halves of the primary, and holds proof of it.
#[test]
fn where_both_twins_are_heard_evidence_names_them() {
    for (n, twinned) in [(4, vec![0]), (7, vec![0, 3])] {
        let mut sim = twins(n, &twinned, Dice(1), Schedule(Vec::new()));
        sim.run();
        sim.check();
        for honest in sim.honest() {
            let accused = honest.evidence.iter().map(|evidence| evidence.verify(&sim.committee));
            assert!(accused.clone().any(|accused| accused == Ok(id(0))), "{}", honest.identity);
        }
    }
}
