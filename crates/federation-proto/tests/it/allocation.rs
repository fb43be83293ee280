//! No allocation larger than the bytes at hand justify: a length is a claim, and memory is given for what came.
//!
//! The counting allocator is `allocation-counter`'s: it counts per thread, so the other tests do not disturb.

use std::fmt::Write as _;

use federation_proto::batch::BatchItem;
use federation_proto::codec::Canonical;
use federation_proto::entry::{EpochCut, LedgerEntry};
use federation_proto::{FederatedEpoch, Generation, limits};

use crate::survey::{self, Survey};
use crate::trace::{Kind, varint};
use crate::wire_types::Reading;

/// Bytes of memory that one byte of input may lead to. The dearest is a batch of the shortest items: six bytes of
/// input become the 320 of a `BatchItem`, the list doubles when it is full, and while it moves both copies live,
/// which makes 160 a byte. How far that goes is limited by the most items of a batch, not by its size.
const FACTOR: usize = 192;

/// Bytes of memory that even a short input may lead to: the first places of a few nested lists.
const ALWAYS: usize = 8 << 10;

/// Lengths that are claimed. The largest a varint can say, what a careless reader would reserve a mebibyte or
/// more for, and one that is just beyond what came.
const CLAIMS: [u64; 6] = [u64::MAX, 1 << 62, u32::MAX as u64, 1 << 24, 1 << 16, 255];

/// How much stands behind the claim.
const BEHIND: [usize; 4] = [0, 1, 40, usize::MAX];

/// The most memory held at one time while these bytes are read, and whether they were refused.
fn peak(survey: &Survey, bytes: &[u8]) -> (usize, bool) {
    let mut refused = false;
    let measured = allocation_counter::measure(|| {
        refused = matches!((survey.wire.read)(bytes), Reading::Refused(_));
    });
    (usize::try_from(measured.bytes_max).expect("an amount of memory"), refused)
}

fn justified(input: usize) -> usize {
    FACTOR * input + ALWAYS
}

/// The worst case of a type that breaks the law.
struct Excess {
    peak: usize,
    input: usize,
    what: String,
}

fn worst(excesses: impl Iterator<Item = Excess>) -> Option<Excess> {
    excesses.max_by_key(|excess| excess.peak)
}

fn report(broken: &[(&str, Excess)]) -> String {
    let mut text = String::new();
    for (name, Excess { peak, input, what }) in broken {
        writeln!(text, "{name}: {peak} bytes for {input} of input, {what}").expect("a String");
    }
    text
}

/// Every length of every drawn value, replaced by a claim with little behind it.
fn claims(survey: &Survey) -> impl Iterator<Item = (Vec<u8>, String)> + '_ {
    survey.covering.iter().flat_map(|(seed, drawn)| {
        let lengths = drawn.trace.leaves.iter().filter(|leaf| leaf.kind == Kind::Length);
        lengths.flat_map(move |leaf| {
            let (before, after) =
                (&drawn.canonical[..leaf.range.start], &drawn.canonical[leaf.range.end..]);
            CLAIMS.iter().flat_map(move |claim| {
                BEHIND.iter().map(move |behind| {
                    let behind = &after[..after.len().min(*behind)];
                    let input = [before, &varint(u128::from(*claim)), behind].concat();
                    (input, format!("seed {seed}, {} claims {claim}", leaf.path))
                })
            })
        })
    })
}

#[test]
fn a_claimed_length_reserves_nothing() {
    let mut broken = Vec::new();
    for survey in survey::all() {
        let excesses = claims(survey).filter_map(|(input, what)| {
            let (peak, _) = peak(survey, &input);
            (peak > justified(input.len())).then_some(Excess { peak, input: input.len(), what })
        });
        broken.extend(worst(excesses).map(|excess| (survey.wire.name, excess)));
    }
    assert!(broken.is_empty(), "more memory than {FACTOR}·n + {ALWAYS}:\n{}", report(&broken));
}

#[test]
fn a_drawn_value_costs_what_it_is() {
    let mut broken = Vec::new();
    for survey in survey::all() {
        let excesses = survey.covering.iter().filter_map(|(seed, drawn)| {
            let input = drawn.canonical.len();
            let (peak, refused) = peak(survey, &drawn.canonical);
            assert!(!refused, "{}, seed {seed}", survey.wire.name);
            (peak > justified(input)).then(|| Excess { peak, input, what: format!("seed {seed}") })
        });
        broken.extend(worst(excesses).map(|excess| (survey.wire.name, excess)));
    }
    assert!(broken.is_empty(), "more memory than {FACTOR}·n + {ALWAYS}:\n{}", report(&broken));
}

/// As many items as the input has bytes, where an item can be as short as one byte: the densest input.
#[test]
fn a_long_list_costs_what_it_holds() {
    let mut broken = Vec::new();
    for survey in survey::all() {
        let (_, drawn) = &survey.covering[0];
        let lengths = drawn.trace.leaves.iter().filter(|leaf| leaf.kind == Kind::Length);
        let excesses = lengths.flat_map(|leaf| {
            let before = &drawn.canonical[..leaf.range.start];
            // Zeros are numbers, empty lists and first variants; ones are also the shortest texts' lengths,
            // and a digit behind each makes them names.
            let fillings: [&[u8]; 3] = [&[0], &[1], &[1, b'a']];
            fillings.map(|filling| {
                let items = 4096 / filling.len();
                let claim = varint(items as u128);
                let input = [before, &claim, &filling.repeat(items)].concat();
                let (peak, _) = peak(survey, &input);
                Excess { peak, input: input.len(), what: format!("{} of {filling:?}", leaf.path) }
            })
        });
        let excesses = excesses.filter(|excess| excess.peak > justified(excess.input));
        broken.extend(worst(excesses).map(|excess| (survey.wire.name, excess)));
    }
    assert!(broken.is_empty(), "more memory than {FACTOR}·n + {ALWAYS}:\n{}", report(&broken));
}

/// So many of the shortest items that a batch may have: a cut of epoch zero that includes nobody.
fn densest_batch(items: usize) -> (Vec<u8>, usize) {
    let cut = BatchItem::Derived(LedgerEntry::EpochCut(EpochCut {
        federated_epoch: FederatedEpoch::ZERO,
        generation: Generation::ZERO,
        included: Vec::new(),
        absent: Vec::new(),
    }));
    let item = cut.to_canonical();
    assert_eq!(item.len(), 6, "the shortest item");
    let input = [vec![0], varint(items as u128), item.repeat(items)].concat();
    let survey = survey::find("Batch").expect("a canonical type");
    let (peak, refused) = peak(survey, &input);
    assert_eq!(refused, items > limits::BATCH_ITEMS, "{items} items");
    (input, peak)
}

/// The densest list there is, also where it is dearest: one item beyond a power of two, when it has just moved.
#[test]
fn the_densest_list_costs_what_it_holds() {
    for items in [1, 5, 257, 2049, limits::BATCH_ITEMS] {
        let (input, peak) = densest_batch(items);
        assert!(peak <= justified(input.len()), "{items} items: {peak} bytes for {}", input.len());
    }
    // The factor is what it takes and not much more: an item that shrinks should shrink it too.
    let (input, peak) = densest_batch(2049);
    assert!(peak > FACTOR / 2 * input.len(), "{peak} bytes for {}", input.len());
}

/// What is refused for its number of items is refused at the first one too many, however many follow.
#[test]
fn a_list_beyond_its_limit_costs_no_more_than_one_at_it() {
    let (_, most) = densest_batch(limits::BATCH_ITEMS);
    for items in [limits::BATCH_ITEMS + 1, 2 * limits::BATCH_ITEMS + 1, 100_000] {
        let (_, peak) = densest_batch(items);
        assert!(peak <= most + ALWAYS, "{items} items: {peak} bytes, at the limit {most}");
    }
}

#[test]
fn the_measure_measures() {
    let measured = allocation_counter::measure(|| drop(vec![0u8; 1 << 20]));
    assert_eq!(measured.bytes_max, 1 << 20);
    let (peak, refused) = peak(&survey::all()[0], &[]);
    assert!(refused && peak < 1024, "{peak}");
}
