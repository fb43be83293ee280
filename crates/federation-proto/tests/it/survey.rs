//! A thousand drawn values of every type, looked at once and shared by all tests of the format.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use federation_proto::Digest;

use crate::draw::Declared;
use crate::trace::Leaf;
use crate::wire_types::{self, Drawn, WireType};

/// Values drawn of every type.
pub(crate) const SEEDS: u64 = 1024;

/// What the drawn values of a type look like.
pub(crate) struct Survey {
    /// The type.
    pub(crate) wire: WireType,
    /// Hash over all encodings: of each its seed, its length and its bytes.
    pub(crate) digest: Digest,
    /// The values, by seed, that show a field or a variant for the first time.
    pub(crate) covering: Vec<(u64, Drawn)>,
    /// The value of fewest bytes.
    pub(crate) shortest: (u64, Drawn),
    /// Every field and what it can be, in the order of the encoding.
    pub(crate) fields: Vec<(String, String)>,
    /// The types in them.
    pub(crate) declared: Declared,
}

impl Survey {
    /// The value that shows most fields in at most so many bytes; the shortest, where every one is longer.
    pub(crate) fn telling(&self, most_bytes: usize) -> &(u64, Drawn) {
        let rank = |drawn: &Drawn| {
            let fits = drawn.canonical.len() <= most_bytes;
            let fields: BTreeSet<String> = drawn.trace.leaves.iter().map(Leaf::field).collect();
            (fits, if fits { fields.len() } else { 0 }, Reverse(drawn.canonical.len()))
        };
        let values = self.covering.iter().chain([&self.shortest]);
        values.max_by_key(|(_, drawn)| rank(drawn)).unwrap_or(&self.shortest)
    }
}

/// All canonical types, surveyed.
pub(crate) fn all() -> &'static [Survey] {
    static ALL: OnceLock<Vec<Survey>> = OnceLock::new();
    ALL.get_or_init(|| wire_types::all().into_iter().map(survey).collect())
}

/// The survey of one type, by its name.
pub(crate) fn find(name: &str) -> Option<&'static Survey> {
    all().iter().find(|survey| survey.wire.name == name)
}

fn survey(wire: WireType) -> Survey {
    let mut encodings = Vec::new();
    let mut covering = Vec::new();
    let mut shortest = (0, (wire.draw)(0));
    let (mut fields, mut declared) = (Vec::new(), Declared::default());
    for seed in 0..SEEDS {
        let drawn = (wire.draw)(seed);
        encodings.extend(seed.to_le_bytes());
        encodings.extend((drawn.canonical.len() as u64).to_le_bytes());
        encodings.extend(&drawn.canonical);
        declared.merge(&drawn.declared);
        if drawn.canonical.len() < shortest.1.canonical.len() {
            shortest = (seed, drawn.clone());
        }
        if merge(&mut fields, &drawn) {
            covering.push((seed, drawn));
        }
    }
    Survey { wire, digest: Digest::of_blob(&encodings), covering, shortest, fields, declared }
}

/// Adds what is new in a value, each field behind the one before it; whether anything was.
fn merge(fields: &mut Vec<(String, String)>, drawn: &Drawn) -> bool {
    let before = fields.len();
    let mut next = 0;
    for leaf in &drawn.trace.leaves {
        let field = (leaf.field(), leaf.kind.label());
        match fields.iter().position(|known| *known == field) {
            Some(at) => next = at + 1,
            None => {
                fields.insert(next, field);
                next += 1;
            }
        }
    }
    fields.len() > before
}

#[test]
fn every_declared_variant_is_drawn() {
    let (mut declared, mut drawn) = (BTreeSet::new(), BTreeSet::new());
    for survey in all() {
        drawn.extend(survey.fields.iter().map(|(_, kind)| kind.clone()));
        for (name, variants) in &survey.declared.enums {
            declared.extend(variants.iter().map(|variant| format!("{name}::{variant}")));
        }
    }
    let missing: Vec<_> = declared.difference(&drawn).collect();
    assert!(missing.is_empty(), "{SEEDS} values show no {missing:?}");
}
