//! Rules against a naive oracle in `i128`, and the properties that make votes possible.

use federation_proto::Digest;
use federation_proto::keys::PublicKey;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::genome::{GeneKind, GeneSpec, ScaleBlock};

const GENES: usize = 3;
/// Most steps that the gate lets pass: the range of the genes below, in steps, and one.
const LIMIT: i16 = 2001;
const SCALES: [u8; GENES] = [10, 10, 3];

fn schema() -> GenomeSchema {
    let block = |name: &str, scale_log2| ScaleBlock { name: name.into(), scale_log2 };
    let gene = |name: &str, scale: u8, block| GeneSpec {
        name: name.into(),
        kind: GeneKind::Continuous,
        min: -1000 << scale,
        max: 1000 << scale,
        start: 0,
        block,
    };
    let genes = vec![gene("a", 10, 0), gene("b", 10, 0), gene("c", 3, 1)];
    GenomeSchema::new("aggregation-test", 1, vec![block("wide", 10), block("fine", 3)], genes)
        .unwrap()
}

/// One owned input: node seed, organisation number, staleness, coordinates.
type Input = (u8, u8, u8, [i16; GENES]);

fn names() -> Vec<Name> {
    (0..=255_u8).map(|number| Name::new(format!("org-{number}")).unwrap()).collect()
}

fn fingerprint(seed: u8) -> NodeFingerprint {
    PublicKey::from_bytes(*Digest::of_blob(&[seed]).as_bytes())
}

fn aggregate(rule: AggregationRule, inputs: &[Input]) -> Result<Vec<i32>, AggregationError> {
    let names = names();
    let contributions: Vec<_> = inputs
        .iter()
        .map(|(node, organisation, staleness, coordinates)| Contribution {
            node_fingerprint: fingerprint(*node),
            organisation: &names[usize::from(*organisation)],
            staleness: *staleness,
            coordinates,
        })
        .collect();
    aggregate_meta_updates(&schema(), rule, &contributions)
}

fn coordinates() -> impl Strategy<Value = [i16; GENES]> {
    prop::array::uniform3(prop_oneof![-LIMIT..=LIMIT, -3..=3_i16])
}

/// Inputs with distinct nodes, several of which may share an organisation.
fn inputs() -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec((0..9_u8, 0..3_u8, coordinates()), 1..12).prop_map(|list| {
        let numbered = list.into_iter().enumerate();
        numbered.map(|(node, (org, staleness, c))| (node as u8, org, staleness, c)).collect()
    })
}

/// Inputs with one fresh node an organisation.
fn singles(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Input>> {
    prop::collection::vec(coordinates(), count).prop_map(|list| {
        list.into_iter().enumerate().map(|(i, c)| (i as u8, i as u8, 0, c)).collect()
    })
}

fn rules() -> impl Strategy<Value = AggregationRule> {
    prop_oneof![
        Just(AggregationRule::Mean),
        Just(AggregationRule::Median),
        (0..4_u16).prop_map(|trim| AggregationRule::TrimmedMean { trim }),
        (0..4_u16).prop_map(|trim| AggregationRule::NnmTrimmedMean { trim }),
    ]
}

/// n / d, half-even, by comparing distances: nothing in common with `rounding`.
fn oracle_round(n: i128, d: i128) -> i128 {
    let toward_zero = n / d;
    let candidates = [toward_zero - 1, toward_zero, toward_zero + 1];
    let distance = |q: &i128| (n - q * d).abs();
    let least = candidates.iter().map(distance).min().unwrap();
    let nearest: Vec<_> = candidates.into_iter().filter(|q| distance(q) == least).collect();
    if nearest.len() == 1 { nearest[0] } else { *nearest.iter().find(|q| *q % 2 == 0).unwrap() }
}

/// The rules as their papers state them, with rationals over one denominator.
fn oracle(rule: AggregationRule, inputs: &[Input]) -> Vec<i32> {
    let mut sorted = inputs.to_vec();
    sorted.sort_by_key(|input| fingerprint(input.0));
    let mut organisations: Vec<u8> = Vec::new();
    for input in &sorted {
        if !organisations.contains(&input.1) {
            organisations.push(input.1);
        }
    }
    let rows: Vec<Vec<i128>> = organisations
        .iter()
        .map(|organisation| {
            let members: Vec<_> = sorted.iter().filter(|input| input.1 == *organisation).collect();
            let scaled = |gene: usize, input: &&&Input| {
                oracle_round(input.3[gene].into(), 1_i128 << input.2)
            };
            (0..GENES)
                .map(|gene| {
                    let sum = members.iter().map(|input| scaled(gene, &input)).sum();
                    oracle_round(sum, members.len() as i128)
                })
                .collect()
        })
        .collect();
    let n = rows.len();
    let (rows, trim, row_denominator) = match rule {
        AggregationRule::Mean => (rows, 0, 1),
        AggregationRule::Median => (rows, (n - 1) / 2, 1),
        AggregationRule::TrimmedMean { trim } => (rows, usize::from(trim), 1),
        AggregationRule::NnmTrimmedMean { trim } => {
            let trim = usize::from(trim);
            (oracle_mix(&rows, n - trim), trim, (n - trim) as i128)
        }
    };
    (0..GENES)
        .map(|gene| {
            let mut column: Vec<i128> = rows.iter().map(|row| row[gene]).collect();
            column.sort();
            let kept = &column[trim..n - trim];
            let numerator = kept.iter().sum::<i128>() << SCALES[gene];
            oracle_round(numerator, kept.len() as i128 * row_denominator) as i32
        })
        .collect()
}

fn oracle_mix(rows: &[Vec<i128>], count: usize) -> Vec<Vec<i128>> {
    let distance =
        |a: &[i128], b: &[i128]| -> i128 { a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum() };
    rows.iter()
        .map(|centre| {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            // A stable sort: ties stay in the order of fingerprints.
            order.sort_by_key(|&i| distance(centre, &rows[i]));
            (0..GENES).map(|g| order[..count].iter().map(|&i| rows[i][g]).sum()).collect()
        })
        .collect()
}

#[test]
fn preconditions_name_both_values() {
    let inputs: Vec<Input> = (0..4).map(|i| (i, i, 0, [1, 2, 3])).collect();
    for trim in [2, 9] {
        let refused = Err(AggregationError::Trim { trim, organisations: 4 });
        assert_eq!(aggregate(AggregationRule::TrimmedMean { trim }, &inputs), refused);
        assert_eq!(aggregate(AggregationRule::NnmTrimmedMean { trim }, &inputs), refused);
    }
    // Four nodes of one organisation are one voice.
    let one: Vec<Input> = (0..4).map(|i| (i, 0, 0, [1, 2, 3])).collect();
    let refused = AggregationError::Trim { trim: 1, organisations: 1 };
    assert_eq!(aggregate(AggregationRule::TrimmedMean { trim: 1 }, &one), Err(refused));
    assert_eq!(aggregate(AggregationRule::Mean, &[]), Err(AggregationError::Empty));
    let twice = [(1, 0, 0, [0; GENES]), (1, 1, 0, [0; GENES])];
    let refused = AggregationError::RepeatedNode(fingerprint(1));
    assert_eq!(aggregate(AggregationRule::Mean, &twice), Err(refused));
}

#[test]
fn the_gate_refuses_what_no_honest_site_sends() {
    let refused = aggregate(AggregationRule::Median, &[(0, 0, 0, [0, LIMIT + 1, 0])]);
    let cause = DeltaError::OutOfRange { gene: "b".into(), coordinate: 2002, limit: 2001 };
    assert_eq!(refused, Err(AggregationError::Input { node: fingerprint(0), cause }));
    let name = Name::new("org").unwrap();
    let short = Contribution {
        node_fingerprint: fingerprint(0),
        organisation: &name,
        staleness: 0,
        coordinates: &[0, 0],
    };
    let cause = DeltaError::Length { expected: 3, found: 2 };
    assert_eq!(
        aggregate_meta_updates(&schema(), AggregationRule::Mean, &[short]),
        Err(AggregationError::Input { node: fingerprint(0), cause })
    );
}

#[test]
fn known_results() {
    let inputs = [(0, 0, 0, [1, 5, 10]), (1, 1, 0, [2, 5, 20]), (2, 2, 1, [6, 5, 2000])];
    // The stale vector counts half: [3, 2, 1000], since 2.5 goes to the even 2.
    assert_eq!(aggregate(AggregationRule::Mean, &inputs).unwrap(), [2 << 10, 4 << 10, 2747]);
    assert_eq!(aggregate(AggregationRule::Median, &inputs).unwrap(), [2 << 10, 5 << 10, 160]);
    let two = [(0, 0, 0, [1, 0, 0]), (1, 1, 0, [2, 0, 1])];
    assert_eq!(aggregate(AggregationRule::Median, &two).unwrap(), [1536, 0, 4]);
}

proptest! {
    #[test]
    fn rules_equal_their_papers(rule in rules(), inputs in inputs()) {
        match aggregate(rule, &inputs) {
            Ok(result) => prop_assert_eq!(result, oracle(rule, &inputs)),
            Err(AggregationError::Trim { trim, organisations }) => {
                prop_assert!(2 * usize::from(trim) >= organisations);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn order_does_not_matter(rule in rules(), inputs in inputs(), swaps: [Index; 8]) {
        let mut shuffled = inputs.clone();
        for pair in swaps.chunks(2) {
            shuffled.swap(pair[0].index(inputs.len()), pair[1].index(inputs.len()));
        }
        prop_assert_eq!(aggregate(rule, &inputs), aggregate(rule, &shuffled));
    }

    #[test]
    fn threads_do_not_matter(rule in rules(), inputs in inputs()) {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| aggregate(rule, &inputs))
        };
        let alone = on(1);
        prop_assert_eq!(&alone, &on(2));
        prop_assert_eq!(&alone, &on(4));
    }

    /// With `trim` arbitrary liars, every coordinate stays within what honest organisations said.
    #[test]
    fn liars_cannot_leave_the_honest_range(
        honest in singles(3..8), lies in prop::collection::vec(coordinates(), 0..3),
    ) {
        let trim = lies.len() as u16;
        prop_assume!(2 * lies.len() < honest.len() + lies.len());
        let mut inputs = honest.clone();
        inputs.extend(lies.iter().enumerate().map(|(i, c)| (100 + i as u8, 100 + i as u8, 0, *c)));
        for rule in [AggregationRule::TrimmedMean { trim }, AggregationRule::Median] {
            let result = aggregate(rule, &inputs).unwrap();
            for gene in 0..GENES {
                let said = honest.iter().map(|input| i32::from(input.3[gene]) << SCALES[gene]);
                let (least, most) = (said.clone().min().unwrap(), said.max().unwrap());
                prop_assert!(least <= result[gene] && result[gene] <= most);
            }
        }
    }

    /// The mean of single-node organisations is the exact rational, rounded once.
    #[test]
    fn the_mean_is_rounded_once(inputs in singles(1..30)) {
        let result = aggregate(AggregationRule::Mean, &inputs).unwrap();
        let n = inputs.len() as i128;
        for gene in 0..GENES {
            let sum: i128 = inputs.iter().map(|i| i128::from(i.3[gene]) << SCALES[gene]).sum();
            prop_assert_eq!(i128::from(result[gene]), oracle_round(sum, n));
        }
    }

    /// More nodes with the same word give an organisation no more weight.
    #[test]
    fn sites_do_not_multiply_votes(inputs in singles(3..6), copies in 1..5_u8) {
        let mut stuffed = inputs.clone();
        stuffed.extend((0..copies).map(|i| (50 + i, 0, 0, inputs[0].3)));
        for rule in [AggregationRule::Mean, AggregationRule::TrimmedMean { trim: 1 }] {
            prop_assert_eq!(aggregate(rule, &inputs), aggregate(rule, &stuffed));
        }
    }

    /// One liar among four or more moves NNM by no more than honest diversity: here, none at all.
    #[test]
    fn unanimous_honest_organisations_win(word in coordinates(), lie in coordinates(), n in 3..8_u8) {
        let mut inputs: Vec<Input> = (0..n).map(|i| (i, i, 0, word)).collect();
        inputs.push((99, 99, 0, lie));
        let result = aggregate(AggregationRule::NnmTrimmedMean { trim: 1 }, &inputs).unwrap();
        let expected: Vec<i32> = (0..GENES).map(|g| i32::from(word[g]) << SCALES[g]).collect();
        prop_assert_eq!(result, expected);
    }
}
