//! The simulated network: delays drawn per message, silent and slow nodes, and a hash over every frame.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::{Digest, HashDomain, LogicalTime, Name};
use meta_core::rng::Stream;

use crate::scenario::Network as Delays;

/// Delays and losses. It never looks into a frame.
#[derive(Debug)]
pub(crate) struct Network {
    delays: Delays,
    regions: BTreeMap<Name, Name>,
    silent: BTreeSet<Name>,
    /// Milliseconds by which everything that a node sends is late.
    slow: BTreeMap<Name, u64>,
    stream: Stream,
    trace: Digest,
    frames: u64,
    bytes: u64,
    tap: Option<Vec<Vec<u8>>>,
}

impl Network {
    pub(crate) fn new(
        delays: Delays,
        regions: BTreeMap<Name, Name>,
        silent: BTreeSet<Name>,
        slow: BTreeMap<Name, u64>,
        seed: u64,
    ) -> Self {
        let stream = Stream::new("simulator/network", &[&seed.to_le_bytes()]);
        Self {
            delays,
            regions,
            silent,
            slow,
            stream,
            trace: Digest::ZERO,
            frames: 0,
            bytes: 0,
            tap: None,
        }
    }

    /// Keeps a copy of every frame from now on.
    pub(crate) fn tap(&mut self) {
        self.tap.get_or_insert_default();
    }

    /// The frames kept by [`Network::tap`].
    pub(crate) fn tapped(&self) -> &[Vec<u8>] {
        self.tap.as_deref().unwrap_or_default()
    }

    /// Whether nothing a node sends arrives.
    pub(crate) fn is_silent(&self, name: &Name) -> bool {
        self.silent.contains(name)
    }

    /// Hash chain over (time, sender, receiver, bytes) of every frame sent.
    pub(crate) fn trace(&self) -> Digest {
        self.trace
    }

    /// Frames and bytes sent.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.frames, self.bytes)
    }

    /// When a frame sent now arrives, or `None` when it is lost.
    pub(crate) fn send(
        &mut self,
        now: LogicalTime,
        from: &Name,
        to: &Name,
        frame: &[u8],
    ) -> Option<LogicalTime> {
        if self.silent.contains(from) {
            return None;
        }
        self.record(now, from, to, frame);
        let range = if self.regions.get(from) == self.regions.get(to) {
            self.delays.same_region_ms
        } else {
            self.delays.cross_region_ms
        };
        let late = self.slow.get(from).copied().unwrap_or(0);
        Some(now.plus_millis(self.draw(range).saturating_add(late)))
    }

    /// When a record written now is durable.
    pub(crate) fn write(&mut self, now: LogicalTime) -> LogicalTime {
        now.plus_millis(self.draw(self.delays.disk_ms))
    }

    fn draw(&mut self, [least, most]: [u64; 2]) -> u64 {
        least + self.stream.uniform_below(most - least + 1)
    }

    fn record(&mut self, now: LogicalTime, from: &Name, to: &Name, frame: &[u8]) {
        let time = now.get().to_le_bytes();
        let parts: [&[u8]; 5] =
            [self.trace.as_bytes(), &time, from.as_str().as_bytes(), to.as_str().as_bytes(), frame];
        self.trace = Digest::of_parts(HashDomain::Trace, &parts);
        self.frames += 1;
        self.bytes += frame.len() as u64;
        if let Some(tap) = &mut self.tap {
            tap.push(frame.to_vec());
        }
    }
}
