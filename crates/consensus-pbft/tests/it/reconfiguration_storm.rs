//! Seeded storms across borders: loss, delay, doubling, partitions and crashes while committees change, with one
//! member of the first committee that lies from beginning to end.
//!
//! A failing seed prints the command that repeats it. `PRISM_BORDER_SEEDS=FROM..TO` chooses other seeds.

use consensus_pbft::{
    CheckpointStatement, Commit, ConsensusMessage, PrePrepare, Prepare, Proposal, ViewChange,
};
use federation_proto::{Digest, SequenceNumber, Signed, SigningContext, View};

use crate::federation::{batch, consensus_key, id, log_key};
use crate::terms::{Envelope, Terms, Weather};

/// Milliseconds of storm, and of calm in which everything must be done.
const STORM: u64 = 40_000;
const QUIET: u64 = 200_000;
const STEP: u64 = 500;

const PLANS: [[&[usize]; 4]; 3] = [
    [&[0, 1, 2, 3], &[0, 1, 2, 3, 4], &[0, 1, 2, 4], &[0, 1, 2, 4, 5, 6, 7]],
    [&[0, 1, 2, 3], &[1, 2, 3, 4], &[2, 3, 4, 5, 6], &[3, 4, 5, 6]],
    [&[0, 1, 2, 3, 4, 5, 6], &[0, 1, 2, 3], &[3, 2, 1, 0, 4], &[0, 1, 2, 3]],
];
const LAST: usize = 3;

struct Storm {
    world: Terms,
    liar: usize,
    down: Vec<(u64, usize)>,
    filler: u64,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut world = Terms::new(seed, &PLANS[(seed % 3) as usize]);
        let first = world.terms[0].members.clone();
        let liar = first[world.dice.below(first.len() as u64) as usize];
        world.liar = Some(liar);
        world.weather = Weather { loss: 15, twice: 10, delay: 300 };
        Self { world, liar, down: Vec::new(), filler: 100_000 }
    }

    fn run(&mut self) {
        while self.world.now < STORM {
            self.change_weather();
            self.step();
        }
        self.world.island.clear();
        self.world.weather = Weather { loss: 0, twice: 0, delay: 20 };
        for (_, node) in std::mem::take(&mut self.down) {
            self.world.restart(node);
        }
        while !self.is_done() {
            assert!(self.world.now < STORM + QUIET, "not done: {:?}", self.state());
            self.step();
        }
        self.world.check_safety();
    }

    fn step(&mut self) {
        self.lie();
        self.ask();
        self.world.run(STEP);
        self.world.check_safety();
    }

    fn change_weather(&mut self) {
        let size = self.world.nodes.len();
        let now = self.world.now;
        let (due, down) = self.down.iter().partition(|(when, _)| *when <= now);
        self.down = down;
        let due: Vec<(u64, usize)> = due;
        for (_, node) in due {
            self.world.restart(node);
        }
        match self.world.dice.below(8) {
            0 => {
                let dice = &mut self.world.dice;
                self.world.island = (0..size).filter(|_| dice.chance(40)).collect();
            }
            1 | 2 => self.world.island.clear(),
            3 => {
                let node = self.world.dice.below(size as u64) as usize;
                if self.world.nodes[node].alive {
                    self.world.crash(node);
                    let when = now + self.world.dice.below(6_000);
                    self.down.push((when, node));
                }
            }
            _ => {}
        }
    }

    /// Clients ask for the next term, and for other things, until somebody has executed them.
    fn ask(&mut self) {
        let newest = self.world.at_terms().into_iter().max().expect("nodes");
        if newest < LAST {
            self.world.order(newest + 1);
        }
        let known = |filler: u64| self.honest().any(|node| self.world.executed(node, filler));
        if known(self.filler) {
            self.filler += 1;
        }
        self.world.request(self.filler);
    }

    fn honest(&self) -> impl Iterator<Item = usize> {
        let liar = self.liar;
        (0..self.world.nodes.len()).filter(move |node| *node != liar)
    }

    fn is_done(&self) -> bool {
        let done = |node: usize| {
            let world = &self.world;
            let after_last = |(at, ..): &(SequenceNumber, _, _)| {
                *at > world.nodes[node].chain[LAST - 1].certificate.statement.sequence
            };
            world.nodes[node].chain.len() == LAST
                && world.nodes[node].app.history.last().is_some_and(after_last)
        };
        self.honest().all(done)
    }

    /// The liar, member or not any more, says something in the name of some term, around and beyond its border.
    fn lie(&mut self) {
        let world = &mut self.world;
        let term = world.dice.below(1 + world.nodes[self.liar].chain.len() as u64) as usize;
        let context = SigningContext {
            config_digest: world.terms[term].roster.digest(),
            ..*world.first.context()
        };
        let key = consensus_key(self.liar);
        let (log, place) = (log_key(self.liar), world.member(term, self.liar).unwrap_or(0));
        let executed = world.nodes[self.liar].app.history.len() as u64;
        let sequence = SequenceNumber::new((executed + world.dice.below(5)).max(1));
        let (view, replica) = (View::new(world.dice.below(3)), id(place));
        let words = batch(&context, &[world.dice.below(20)]);
        let digest = words.digest(&context, sequence);
        let message = match world.dice.below(5) {
            0 => {
                let body = PrePrepare { view, sequence, digest, replica };
                let pre_prepare = Signed::sign(body, &key, &context);
                ConsensusMessage::Proposal(Proposal { pre_prepare, batch: words })
            }
            1 => {
                let body = Prepare { view, sequence, digest, replica };
                ConsensusMessage::Prepare(Signed::sign(body, &key, &context))
            }
            2 => {
                let body = Commit { view, sequence, digest, replica };
                ConsensusMessage::Commit(Signed::sign(body, &key, &context))
            }
            3 => {
                let (stable, prepared) = (None, Vec::new());
                let body = ViewChange { view: view.next(), stable, prepared, replica };
                ConsensusMessage::ViewChange(Box::new(Signed::sign(body, &key, &context)))
            }
            _ => {
                let Some((own, _)) = world.nodes[self.liar].app.reached else { return };
                let next = Some(Digest::of_blob(b"a committee of friends"));
                let statement = CheckpointStatement { next, ..own };
                let text = statement.note_text(&world.first).expect("a good origin");
                let note_signature = log.sign_raw(text.as_bytes());
                let body = consensus_pbft::Checkpoint { statement, replica, note_signature };
                ConsensusMessage::Checkpoint(Signed::sign(body, &key, &context))
            }
        };
        for to in 0..world.nodes.len() {
            let message = message.clone();
            world.send(Envelope { term, from: self.liar, to, message });
        }
    }

    fn state(&self) -> Vec<(usize, usize, Vec<String>)> {
        let node = |node: &crate::terms::Node| {
            let post = |(term, post): (&usize, &crate::terms::Post)| {
                let replica = post.replica.as_ref();
                replica.map_or_else(String::new, |replica| {
                    let (view, active) = (replica.view().get(), replica.is_active());
                    let (low, high) = replica.watermarks();
                    let (executed, retired) = (replica.executed(), replica.retired_at());
                    format!(
                        "{term}: view {view} {active} {low:?} {executed:?} {high:?} {retired:?}"
                    )
                })
            };
            let posts = node.posts.iter().map(post).collect();
            (node.chain.len(), node.app.history.len(), posts)
        };
        self.world.nodes.iter().map(node).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "the seeds of a long run come from its command line")]
#[test]
fn whatever_the_weather_one_chain_of_blocks_and_committees() {
    let seeds = std::env::var("PRISM_BORDER_SEEDS").unwrap_or_else(|_| "0..30".to_owned());
    let (from, to) = seeds.split_once("..").expect("FROM..TO");
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));
    for seed in from..to {
        let repeat = format!(
            "PRISM_BORDER_SEEDS={seed}..{} cargo test -p consensus-pbft --test it reconfiguration_storm",
            seed + 1
        );
        let run = std::panic::catch_unwind(|| Storm::new(seed).run());
        assert!(run.is_ok(), "repeat with: {repeat}");
    }
}
