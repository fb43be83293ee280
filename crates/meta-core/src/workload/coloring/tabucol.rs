//! TabuCol: tabu search for a proper k-colouring.
//!
//! Hertz & de Werra (1987) with the dynamic tenure of Galinier & Hao (1999): the search moves through
//! complete k-colourings; a move gives one conflicting vertex another colour; the best move that is not
//! tabu (or that beats the best colouring seen) is taken, and the vertex may not take its old colour back
//! for `base + U{0..range} + slope · |conflicting vertices|` iterations. A table of neighbours by colour
//! (gamma) gives each move's effect in one look-up.
//!
//! Around that core stand the parts whose settings are worth learning: how the start is built, how many
//! of the conflicting vertices are examined, how often a random move is made, when and how hard a
//! stagnating search is shaken. With the published genome all of them are off.
//!
//! **Work unit**: one look-up or update of a gamma entry (a move examined, a neighbour updated, a colour
//! compared while filling greedily). It counts the same on every machine, which time does not. All
//! arithmetic is in integers; the genes are read as Q8.24.

use super::dsatur::DsaturColoring;
use super::graph::Graph;
use crate::genome::q824::{FRACTION_BITS, ONE};
use crate::rng::Stream;

/// Most colours the solver accepts.
pub const MAX_COLORS: usize = 2000;
const ONE_WIDE: i64 = ONE as i64;

/// Solver parameters; every field is a non-negative Q8.24 value that came from an `i32`, so that products
/// with vertex counts cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TabuParameters {
    /// Tenure added per conflicting vertex (Galinier & Hao's α).
    pub(super) tenure_slope: i64,
    /// Number of values of the uniform part of the tenure (Galinier & Hao's A).
    pub(super) tenure_range: i64,
    /// Constant part of the tenure, in iterations.
    pub(super) tenure_base: i64,
    /// Share of the vertices, in DSATUR order, that start with their DSATUR colour.
    pub(super) dsatur_kept: i64,
    /// Probability that another vertex starts with the colour of fewest conflicts, not a random one.
    pub(super) greedy_fill: i64,
    /// Share of the conflicting vertices examined in an iteration (at least one).
    pub(super) vertices_examined: i64,
    /// Probability that an iteration makes a random move of a conflicting vertex.
    pub(super) random_move: i64,
    /// log₂ of the iterations without a new best, per vertex, after which the colouring is shaken.
    pub(super) patience_log2: i64,
    /// Share of the vertices that a shake recolours at random.
    pub(super) perturbed: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TabuOutcome {
    /// The best colouring seen; proper when `conflicts` is 0.
    pub colors: Vec<u16>,
    /// Conflicting edges of `colors`.
    pub conflicts: u64,
    /// Work units used; exceeds the budget by less than one step (set-up, iteration or shake).
    pub work: u64,
}

/// Searches for a proper colouring with `k` colours until one is found or `budget` work units are used.
///
/// `k` is brought into `1..=MAX_COLORS`. A `start` made for another graph is ignored where it does not fit.
#[must_use]
pub fn tabucol(
    graph: &Graph,
    k: usize,
    start: &DsaturColoring,
    parameters: &TabuParameters,
    budget: u64,
    stream: &mut Stream,
) -> TabuOutcome {
    let mut search = Search::new(graph, k.clamp(1, MAX_COLORS), parameters);
    search.build_start(start, stream);
    let mut best = search.conflicts;
    let mut best_colors = search.colors.clone();
    let patience = search.patience();
    // Best since the last shake, and when it was found: aspiration and stagnation start afresh with each.
    let mut round_best = best;
    let mut improved_at = 0_u64;
    // Invariant: best <= search.conflicts, so `best > 0` means there is a conflicting vertex to move.
    while best > 0 && search.work < budget {
        if search.iteration - improved_at >= patience {
            search.shake(stream);
            round_best = search.conflicts;
            improved_at = search.iteration;
        } else {
            search.iteration += 1;
            search.step(round_best, stream);
            if search.conflicts < round_best {
                round_best = search.conflicts;
                improved_at = search.iteration;
            }
        }
        if search.conflicts < best {
            best = search.conflicts;
            best_colors.copy_from_slice(&search.colors);
        }
    }
    TabuOutcome { colors: best_colors, conflicts: best, work: search.work }
}

/// Whether an event of Q8.24 probability happens; certain and impossible events draw nothing.
fn happens(probability: i64, stream: &mut Stream) -> bool {
    if probability <= 0 {
        return false;
    }
    probability >= ONE_WIDE || stream.uniform_below(1 << FRACTION_BITS) < probability.unsigned_abs()
}

/// `share · count`, rounded down, at most `count`.
fn share_of(share: i64, count: usize) -> usize {
    let part = (share.max(0) * count as i64) >> FRACTION_BITS;
    (part as usize).min(count)
}

/// The colouring under search and its tables.
struct Search<'a> {
    graph: &'a Graph,
    k: usize,
    parameters: &'a TabuParameters,
    colors: Vec<u16>,
    /// `gamma[v * k + c]`: neighbours of `v` that have colour `c`.
    gamma: Vec<i32>,
    /// `tabu_until[v * k + c]`: last iteration in which `v` may not take colour `c`.
    tabu_until: Vec<u64>,
    /// Vertices with at least one conflict, in no particular (but deterministic) order.
    conflicting: Vec<u32>,
    /// Index in `conflicting`, or `ABSENT`.
    position: Vec<u32>,
    /// Conflicting edges of `colors`.
    conflicts: u64,
    iteration: u64,
    work: u64,
    /// Best moves of the current iteration.
    ties: Vec<(u32, u16)>,
}

const ABSENT: u32 = u32::MAX;

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, k: usize, parameters: &'a TabuParameters) -> Self {
        let vertices = graph.vertex_count();
        Self {
            graph,
            k,
            parameters,
            colors: vec![0; vertices],
            gamma: vec![0; vertices * k],
            tabu_until: vec![0; vertices * k],
            conflicting: Vec::with_capacity(vertices),
            position: vec![ABSENT; vertices],
            conflicts: 0,
            iteration: 0,
            work: 0,
            ties: Vec::new(),
        }
    }

    /// Colours the vertices in DSATUR order: a kept prefix, then greedy or random colours.
    fn build_start(&mut self, start: &DsaturColoring, stream: &mut Stream) {
        let vertices = self.graph.vertex_count();
        let kept = share_of(self.parameters.dsatur_kept, vertices);
        if kept > 0 {
            // DSATUR is computed once an instance, but a genome that uses it pays for it every time.
            self.work += (vertices + 2 * self.graph.edge_count()) as u64;
        }
        let mut placed = vec![false; vertices];
        // The index order behind it catches vertices a foreign start does not name.
        let order = start.order.iter().map(|&v| v as usize).chain(0..vertices);
        for (index, v) in order.enumerate() {
            if v >= vertices || placed[v] {
                continue;
            }
            placed[v] = true;
            let dsatur_color = start.colors.get(v).copied().map_or(self.k, usize::from);
            let color = if index < kept && dsatur_color < self.k {
                dsatur_color
            } else if happens(self.parameters.greedy_fill, stream) {
                self.least_conflicting_color(v, stream)
            } else {
                stream.uniform_below(self.k as u64) as usize
            };
            self.place(v, color);
        }
        for v in 0..vertices {
            let own = self.gamma[v * self.k + usize::from(self.colors[v])];
            self.conflicts += u64::from(own.unsigned_abs());
            if own > 0 {
                self.enlist(v);
            }
        }
        self.conflicts /= 2;
    }

    /// Gives an uncoloured vertex its first colour.
    fn place(&mut self, v: usize, color: usize) {
        self.colors[v] = color as u16;
        for &w in self.graph.neighbours(v) {
            self.gamma[w as usize * self.k + color] += 1;
        }
        self.work += 1 + self.graph.degree(v) as u64;
    }

    fn least_conflicting_color(&mut self, v: usize, stream: &mut Stream) -> usize {
        self.work += self.k as u64;
        let row = &self.gamma[v * self.k..(v + 1) * self.k];
        let least = row.iter().min().copied().unwrap_or(0);
        let ties = row.iter().filter(|&&count| count == least).count();
        let pick = stream.uniform_below(ties as u64) as usize;
        let mut candidates = row.iter().enumerate().filter(|&(_, &count)| count == least);
        candidates.nth(pick).map_or(0, |(color, _)| color)
    }

    /// Iterations without a new best after which to shake: `vertices · 2^patience_log2`, the power
    /// interpolated linearly between whole exponents.
    fn patience(&self) -> u64 {
        let exponent = self.parameters.patience_log2.clamp(0, 32 * ONE_WIDE);
        let (whole, fraction) = (exponent >> FRACTION_BITS, exponent & (ONE_WIDE - 1));
        let power = (ONE_WIDE + fraction).unsigned_abs() << whole;
        ((self.graph.vertex_count() as u64 * (power >> 8)) >> (FRACTION_BITS - 8)).max(1)
    }

    /// One iteration: a random move, or the best admissible one.
    fn step(&mut self, best: u64, stream: &mut Stream) {
        let (v, color) = if happens(self.parameters.random_move, stream) {
            self.random_move(stream)
        } else {
            self.best_move(best, stream)
        };
        let old = usize::from(self.colors[v]);
        if old == color {
            return;
        }
        let spread = (self.parameters.tenure_range >> FRACTION_BITS).max(0).unsigned_abs();
        let fixed = self.parameters.tenure_base
            + self.parameters.tenure_slope * self.conflicting.len() as i64;
        let tenure = (fixed >> FRACTION_BITS).max(0).unsigned_abs() + stream.uniform_below(spread);
        self.tabu_until[v * self.k + old] = self.iteration + tenure;
        self.recolor(v, color);
    }

    fn random_move(&mut self, stream: &mut Stream) -> (usize, usize) {
        self.work += 1;
        let index = stream.uniform_below(self.conflicting.len() as u64) as usize;
        let v = self.conflicting[index] as usize;
        (v, stream.uniform_below(self.k as u64) as usize)
    }

    /// The best move that is not tabu or leads below `best`; ties are broken evenly.
    fn best_move(&mut self, best: u64, stream: &mut Stream) -> (usize, usize) {
        let (k, count) = (self.k, self.conflicting.len());
        let examined = share_of(self.parameters.vertices_examined, count).max(1);
        let first = if examined < count { stream.uniform_below(count as u64) as usize } else { 0 };
        self.work += (examined * k) as u64;
        let aspiration = best as i64 - self.conflicts as i64;
        let mut least = i64::MAX;
        self.ties.clear();
        for offset in 0..examined {
            let index = first + offset;
            let v = self.conflicting[if index < count { index } else { index - count }] as usize;
            let own_color = usize::from(self.colors[v]);
            let row = &self.gamma[v * k..(v + 1) * k];
            let tabu = &self.tabu_until[v * k..(v + 1) * k];
            let own = i64::from(row[own_color]);
            for color in 0..k {
                let change = i64::from(row[color]) - own;
                if change > least || color == own_color {
                    continue;
                }
                if tabu[color] >= self.iteration && change >= aspiration {
                    continue;
                }
                if change < least {
                    least = change;
                    self.ties.clear();
                }
                self.ties.push((v as u32, color as u16));
            }
        }
        let pick = stream.uniform_below(self.ties.len() as u64) as usize;
        match self.ties.get(pick) {
            Some(&(v, color)) => (v as usize, usize::from(color)),
            // Everything examined is tabu: a random move keeps the search going.
            None => self.random_move(stream),
        }
    }

    /// Moves a vertex to another colour and brings all tables up to date.
    fn recolor(&mut self, v: usize, color: usize) {
        let (graph, k, old) = (self.graph, self.k, usize::from(self.colors[v]));
        if old == color {
            return;
        }
        let (before, after) = (self.gamma[v * k + old], self.gamma[v * k + color]);
        self.conflicts =
            self.conflicts + u64::from(after.unsigned_abs()) - u64::from(before.unsigned_abs());
        self.colors[v] = color as u16;
        for &w in graph.neighbours(v) {
            let w = w as usize;
            self.gamma[w * k + old] -= 1;
            self.gamma[w * k + color] += 1;
            let own = usize::from(self.colors[w]);
            if own == old && self.gamma[w * k + old] == 0 {
                self.delist(w);
            } else if own == color {
                self.enlist(w);
            }
        }
        if after > 0 {
            self.enlist(v)
        } else {
            self.delist(v)
        }
        self.work += 1 + graph.degree(v) as u64;
    }

    /// Recolours a random share of the vertices.
    fn shake(&mut self, stream: &mut Stream) {
        let vertices = self.graph.vertex_count();
        let count = share_of(self.parameters.perturbed, vertices).max(1);
        for _ in 0..count {
            let v = stream.uniform_below(vertices as u64) as usize;
            let color = stream.uniform_below(self.k as u64) as usize;
            self.recolor(v, color);
        }
        self.work += count as u64;
    }

    fn enlist(&mut self, v: usize) {
        if self.position[v] == ABSENT {
            self.position[v] = self.conflicting.len() as u32;
            self.conflicting.push(v as u32);
        }
    }

    fn delist(&mut self, v: usize) {
        let index = self.position[v];
        if index != ABSENT {
            self.conflicting.swap_remove(index as usize);
            if let Some(&moved) = self.conflicting.get(index as usize) {
                self.position[moved as usize] = index;
            }
            self.position[v] = ABSENT;
        }
    }
}
