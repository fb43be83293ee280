//! Every form a graph could leak in, and a search for all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXUPPER};
use meta_core::workload::coloring::graph::Graph;

/// Bytes of a form that count as a leak. Long enough that no honest file holds them by chance.
pub(super) const WINDOW: usize = 20;
/// Bits of the table that turns most positions away.
const FILTER_BITS: u32 = 20;
/// A window of fewer distinct bytes, such as a run of zeros, says nothing about anybody's graph.
const LEAST_DISTINCT: usize = 4;
const BASE: u64 = 0x0100_0000_01b3;

/// A graph as sequences of numbers, from 0 and from 1: edges, arcs, neighbours, and neighbours with counts.
fn sequences(graph: &Graph) -> Vec<(String, Vec<u32>)> {
    let vertices = u32::try_from(graph.vertex_count()).expect("a small graph");
    let mut all = Vec::new();
    for first in [0u32, 1] {
        let (mut edges, mut arcs, mut neighbours, mut counted) = (vec![], vec![], vec![], vec![]);
        for v in 0..vertices {
            let list = graph.neighbours(v as usize);
            counted.push(u32::try_from(list.len()).expect("a small graph"));
            for &w in list {
                arcs.extend([v + first, w + first]);
                neighbours.push(w + first);
                counted.push(w + first);
                if v < w {
                    edges.extend([v + first, w + first]);
                }
            }
        }
        let named = [("edges", edges), ("arcs", arcs), ("lists", neighbours), ("counts", counted)];
        all.extend(named.map(|(name, numbers)| (format!("{name} from {first}"), numbers)));
    }
    all
}

/// A graph in every encoding that code here could write it in.
pub(super) fn encodings(graph: &Graph) -> Vec<(String, Vec<u8>)> {
    let mut forms = Vec::new();
    for (name, numbers) in sequences(graph) {
        let text = |separator: &str| {
            let decimal: Vec<String> = numbers.iter().map(u32::to_string).collect();
            decimal.join(separator).into_bytes()
        };
        let bytes = |encode: fn(u32) -> Vec<u8>| numbers.iter().copied().flat_map(encode).collect();
        let encoded: [(&str, Vec<u8>); 8] = [
            // Vertices are below 128, so a postcard varint is one byte too.
            ("u8 or varint", bytes(|number| vec![number as u8])),
            ("zigzag varint", bytes(|number| vec![2 * number as u8])),
            ("u16", bytes(|number| (number as u16).to_le_bytes().to_vec())),
            ("u32", bytes(|number| number.to_le_bytes().to_vec())),
            ("text, blanks", text(" ")),
            ("text, commas", text(",")),
            ("text, commas and blanks", text(", ")),
            ("text, lines", text("\n")),
        ];
        forms.extend(encoded.map(|(how, bytes)| (format!("{name} as {how}"), bytes)));
    }
    forms
}

/// A form as it is, in hex, and in base64 at each of the three alignments, without the characters that its
/// neighbours decide.
pub(super) fn disguises(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![
        (name.to_owned(), bytes.to_vec()),
        (format!("{name}, hex"), HEXLOWER.encode(bytes).into_bytes()),
        (format!("{name}, HEX"), HEXUPPER.encode(bytes).into_bytes()),
    ];
    for skip in 0..3 {
        let whole = bytes.get(skip..).unwrap_or_default();
        let text = BASE64_NOPAD.encode(&whole[..whole.len() / 3 * 3]);
        forms.push((format!("{name}, base64"), text.into_bytes()));
    }
    forms
}

/// Every window of the forms, found by a rolling hash.
pub(super) struct Needles {
    /// Names and bytes of the windows, by hash.
    windows: BTreeMap<u64, Vec<(String, Vec<u8>)>>,
    /// One bit a hash: most positions of a haystack end here.
    filter: Vec<bool>,
}

impl Needles {
    pub(super) fn new(forms: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        let mut needles = Self { windows: BTreeMap::new(), filter: vec![false; 1 << FILTER_BITS] };
        for (name, bytes) in forms {
            roll(&bytes, |at, hash| {
                let window = &bytes[at..at + WINDOW];
                if window.iter().collect::<BTreeSet<_>>().len() < LEAST_DISTINCT {
                    return None;
                }
                let same = needles.windows.entry(hash).or_default();
                if !same.iter().any(|(_, known)| known == window) {
                    same.push((name.clone(), window.to_vec()));
                    needles.filter[slot(hash)] = true;
                }
                None::<()>
            });
        }
        needles
    }

    /// The name of the first form found and where.
    pub(super) fn find(&self, haystack: &[u8]) -> Option<(&str, usize)> {
        roll(haystack, |at, hash| {
            if !self.filter[slot(hash)] {
                return None;
            }
            let same = self.windows.get(&hash)?;
            let found = same.iter().find(|(_, window)| haystack[at..].starts_with(window))?;
            Some((found.0.as_str(), at))
        })
    }
}

/// Where the filter keeps a hash: its highest bits, after a multiplication that spreads the low ones.
fn slot(hash: u64) -> usize {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
}

/// Calls `at` with every window's start and hash (Rabin–Karp, modulo 2⁶⁴) until it answers.
fn roll<T>(bytes: &[u8], mut at: impl FnMut(usize, u64) -> Option<T>) -> Option<T> {
    let step = |hash: u64, byte: u8| hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
    let leading = (0..WINDOW).fold(1u64, |power, _| power.wrapping_mul(BASE));
    let mut hash = 0u64;
    for (index, &byte) in bytes.iter().enumerate() {
        hash = step(hash, byte);
        if index >= WINDOW {
            let gone = u64::from(bytes[index - WINDOW]) + 1;
            hash = hash.wrapping_sub(gone.wrapping_mul(leading));
        }
        if index + 1 >= WINDOW
            && let Some(answer) = at(index + 1 - WINDOW, hash)
        {
            return Some(answer);
        }
    }
    None
}
