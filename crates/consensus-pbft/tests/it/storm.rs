//! Seeded storms: loss, delay, doubling, reordering, partitions, drifting clocks, slow disks, crashes with restarts,
//! and f liars. Safety always; liveness once the storm is over.
//!
//! A failing seed prints the command that repeats it. `PRISM_STORM_SEEDS=FROM..TO` chooses other seeds.

mod characters;

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::ConsensusMessage;

use crate::seeds::{Dice, for_seeds};
use crate::sim::{Config, Crash, Network, Sim, Way};
use characters::{Character, Liar};

const VARIABLE: &str = "PRISM_STORM_SEEDS";

/// How bad a storm is. Times are milliseconds, chances per cent.
#[derive(Clone, Debug)]
struct Severity {
    /// When it is over.
    until: u64,
    loss: u64,
    doubling: u64,
    /// Longest delay of a message, and of a disk.
    delay: u64,
    disk: u64,
    /// Longest time that a crashed instance is away.
    away: u64,
}

/// The sky over a committee, and its liars.
struct Storm {
    severity: Severity,
    n: usize,
    /// Nodes of one side of the partition, while there is one.
    island: BTreeSet<usize>,
    liars: BTreeMap<usize, Liar>,
}

impl Storm {
    /// A storm over n replicas, f of them liars of the given kinds.
    fn over(n: usize, liars: BTreeMap<usize, Liar>, mut dice: Dice) -> Sim<Self> {
        let mut config = Config { liars: liars.keys().copied().collect(), ..Config::of(n) };
        config.settings.pipeline_depth = *dice.pick(&[1, 2, 4, 8]);
        config.batch_size = *dice.pick(&[1, 2]);
        config.needs_state = dice.chance(20);
        // At any time, or many at once, so that there is something to put in flight.
        config.pace = *dice.pick(&[1, config.rage / 4]);
        let severity = Severity {
            until: config.rage,
            loss: 15,
            doubling: 10,
            delay: 400,
            disk: 300,
            away: 5_000,
        };
        Sim::new(config, dice, Self { severity, n, island: BTreeSet::new(), liars })
    }

    fn of_seed(seed: u64) -> Sim<Self> {
        let mut dice = Dice(seed);
        let n = *dice.pick(&[4, 4, 4, 5, 7]);
        let mut liars = BTreeMap::new();
        for _ in 0..(n - 1) / 3 {
            let who = dice.below(n as u64) as usize;
            liars.insert(who, Liar::new(*dice.pick(&Character::ALL), who, n));
        }
        Self::over(n, liars, dice)
    }
}

impl Network for Storm {
    fn carry(&mut self, dice: &mut Dice, way: &Way<'_>) -> Vec<(u64, ConsensusMessage)> {
        let raging = way.now < self.severity.until;
        let said = match self.liars.get_mut(&way.from) {
            None => vec![way.message.clone()],
            Some(liar) => liar.says(dice, way),
        };
        let cut = self.island.contains(&way.from) != self.island.contains(&way.to);
        let mut arrives = Vec::new();
        for message in said {
            if raging && (cut || dice.chance(self.severity.loss)) {
                continue;
            }
            let copies = if raging && dice.chance(self.severity.doubling) { 2 } else { 1 };
            for _ in 0..copies {
                let longest = if raging { self.severity.delay } else { 20 };
                arrives.push((1 + dice.below(longest), message.clone()));
            }
        }
        arrives
    }

    fn disk(&mut self, dice: &mut Dice, now: u64) -> u64 {
        1 + dice.below(if now < self.severity.until { self.severity.disk } else { 10 })
    }

    fn weather(&mut self, dice: &mut Dice, now: u64) -> Option<Crash> {
        if !dice.chance(1) {
            return None;
        }
        match dice.below(4) {
            0 => self.island = dice.some(self.n).into_iter().collect(),
            1 => self.island.clear(),
            _ => {
                let victim = dice.below(self.n as u64) as usize;
                return Some(Crash { victim, back: now + 1 + dice.below(self.severity.away) });
            }
        }
        None
    }
}

#[test]
fn whatever_the_weather_one_order_and_in_the_end_everything() {
    for_seeds(VARIABLE, "storm::whatever", 0..1_000, |seed| {
        let mut sim = Storm::of_seed(seed);
        sim.run();
        sim.check();
    });
}

/// Every character as first primary, and as another replica.
#[test]
fn no_character_stops_the_rest() {
    for (number, character) in (0..).zip(Character::ALL) {
        for (n, who) in [(4, 0), (4, 2)] {
            let liars = BTreeMap::from([(who, Liar::new(character, who, n))]);
            let mut sim = Storm::over(n, liars, Dice(number));
            sim.run();
            assert!(sim.is_done(), "{character:?} as {who}");
            sim.check();
        }
    }
}

#[test]
fn a_seed_is_one_run() {
    let run = |seed| {
        let mut sim = Storm::of_seed(seed);
        sim.run();
        let histories = sim.instances.into_iter().map(|instance| instance.app.history);
        histories.collect::<Vec<_>>()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
