//! ByzzFuzz: faults by rounds of the protocol, and small mutations of real messages [Winter et al., OOPSLA '23].
//!
//! The k-th (kind, view, sequence number) that anybody speaks of is round k. A run has a few network faults, each a
//! round and a partition, and a few process faults of its f liars, each a round, some receivers and a mutation. Bit flips
//! find decoders; a sequence number one too high, correctly signed, finds the protocol.
//!
//! `PRISM_BYZZFUZZ_SEEDS=FROM..TO` chooses other seeds.

mod mutation;

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::ConsensusMessage;

use crate::seeds::{Dice, for_seeds};
use crate::sim::{Config, Network, Sim, Way};
use crate::twins::random_identities;
use mutation::Mutator;

/// Bounds of a run.
#[derive(Clone, Debug)]
struct Scope {
    /// Rounds in which there are faults.
    rounds: u64,
    /// Most faults of the network, and of each liar.
    network: u64,
    process: u64,
}

const SCOPE: Scope = Scope { rounds: 60, network: 8, process: 12 };

struct Fuzzed {
    liars: BTreeSet<usize>,
    /// The rounds so far.
    rounds: BTreeMap<(&'static str, u64, u64), u64>,
    /// When the network is whole again: what is sent again is of the same round. Liars never stop.
    healed: u64,
    /// One side of the partition, by round.
    cuts: BTreeMap<u64, BTreeSet<usize>>,
    /// Who gets something else from a liar, by liar and round.
    lies: BTreeMap<(usize, u64), BTreeSet<usize>>,
    /// Its liars also bend, every other time, what they say about views, whatever the round: there are few.
    twists_views: bool,
    mutator: Mutator,
    /// Mutations that were another message in the end, by its kind.
    told: BTreeMap<&'static str, u64>,
}

fn sim(seed: u64) -> Sim<Fuzzed> {
    let mut dice = Dice(seed);
    let n = *dice.pick(&[4, 4, 4, 7]);
    let liars = random_identities(&mut dice, n, (n - 1) / 3);
    let (mut cuts, mut lies) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..dice.below(SCOPE.network + 1) {
        cuts.insert(dice.below(SCOPE.rounds), dice.some(n).into_iter().collect());
    }
    for liar in &liars {
        for _ in 0..=dice.below(SCOPE.process) {
            let round = dice.below(SCOPE.rounds);
            lies.insert((*liar, round), dice.some(n).into_iter().collect());
        }
    }
    let liars: BTreeSet<usize> = liars.into_iter().collect();
    let config = Config {
        liars: liars.clone(),
        requests: 8,
        rage: 15_000,
        drift: 20,
        offset: 50,
        ..Config::of(n)
    };
    let network = Fuzzed {
        liars,
        rounds: BTreeMap::new(),
        healed: config.rage,
        cuts,
        lies,
        twists_views: dice.chance(50),
        mutator: Mutator::new(n),
        told: BTreeMap::new(),
    };
    Sim::new(config, dice, network)
}

impl Fuzzed {
    fn round(&mut self, message: &ConsensusMessage) -> u64 {
        let (next, place) = (self.rounds.len() as u64, mutation::place(message));
        *self.rounds.entry((message.kind(), place.0, place.1)).or_insert(next)
    }
}

impl Network for Fuzzed {
    fn carry(&mut self, dice: &mut Dice, way: &Way<'_>) -> Vec<(u64, ConsensusMessage)> {
        let round = self.round(way.message);
        self.mutator.learn(way.message);
        let cut = self.cuts.get(&round).filter(|_| way.now < self.healed);
        if cut.is_some_and(|side| side.contains(&way.from) != side.contains(&way.to)) {
            return Vec::new();
        }
        let lied = self.lies.get(&(way.from, round)).is_some_and(|to| to.contains(&way.to));
        let of_views =
            matches!(way.message, ConsensusMessage::ViewChange(_) | ConsensusMessage::NewView(_));
        let twists = self.twists_views && of_views && self.liars.contains(&way.from);
        let mut message = way.message.clone();
        if lied || (twists && dice.chance(50)) {
            message = self.mutator.mutate(dice, way.from, message);
            if message != *way.message {
                *self.told.entry(message.kind()).or_default() += 1;
            }
        }
        vec![(1 + dice.below(20), message)]
    }
}

#[test]
fn small_mutations_of_real_messages_break_nothing() {
    let mut told = BTreeMap::new();
    let is_default = for_seeds("PRISM_BYZZFUZZ_SEEDS", "byzzfuzz::small", 0..300, |seed| {
        let mut sim = sim(seed);
        sim.run();
        sim.check();
        for (kind, count) in &sim.network.told {
            *told.entry(*kind).or_insert(0) += count;
        }
    });
    for kind in
        ["PRE-PREPARE", "PREPARE", "COMMIT", "CHECKPOINT", "VIEW-CHANGE", "NEW-VIEW", "STATUS"]
    {
        let count = told.get(kind).copied().unwrap_or(0);
        assert!(count >= 100 || !is_default, "{count} lies of kind {kind}");
    }
}
