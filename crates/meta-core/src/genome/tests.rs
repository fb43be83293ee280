//! Tests of schema rules and genome construction.

use super::*;
use proptest::prelude::*;

fn gene(name: &str, kind: GeneKind, min: i32, start: i32, max: i32) -> GeneSpec {
    GeneSpec { name: name.to_owned(), kind, min, max, start, block: 0 }
}

fn block(name: &str, scale_log2: u8) -> ScaleBlock {
    ScaleBlock { name: name.to_owned(), scale_log2 }
}

fn small() -> GenomeSchema {
    let genes = vec![
        gene("slope", GeneKind::Continuous, 0, q824::ratio(1, 4), 2 * q824::ONE),
        gene("span", GeneKind::Integer, -3 * q824::ONE, 0, 40 * q824::ONE),
    ];
    GenomeSchema::new("small", 1, vec![block("all", 15)], genes).unwrap()
}

fn refusal(blocks: Vec<ScaleBlock>, genes: Vec<GeneSpec>) -> SchemaError {
    GenomeSchema::new("s", 1, blocks, genes).unwrap_err()
}

#[test]
fn schema_errors_name_both_sides() {
    let one = q824::ONE;
    let ok = gene("a", GeneKind::Continuous, 0, 0, one);
    assert_eq!(
        refusal(vec![block("b", 10)], vec![]),
        SchemaError::GeneCount { found: 0, limit: 4096 }
    );
    assert_eq!(refusal(vec![], vec![ok.clone()]), SchemaError::BlockCount { found: 0, limit: 256 });
    let many = (0..=MAX_GENES).map(|i| gene(&format!("g{i}"), GeneKind::Continuous, 0, 0, 1));
    assert!(matches!(
        refusal(vec![block("b", 10)], many.collect()),
        SchemaError::GeneCount { found: 4097, .. }
    ));
    assert_eq!(
        refusal(vec![block("b", 10)], vec![ok.clone(), ok.clone()]),
        SchemaError::DuplicateName { name: "a".into() }
    );
    assert!(matches!(refusal(vec![block("B", 10)], vec![ok.clone()]), SchemaError::Name { .. }));
    assert!(matches!(refusal(vec![block("b", 31)], vec![ok.clone()]), SchemaError::Scale { .. }));
    let mut lost = ok.clone();
    lost.block = 1;
    assert_eq!(
        refusal(vec![block("b", 10)], vec![lost]),
        SchemaError::UnknownBlock { gene: "a".into(), block: 1, blocks: 1 }
    );
    assert_eq!(
        refusal(vec![block("b", 10)], vec![gene("a", GeneKind::Continuous, 2, 1, 3)]),
        SchemaError::Order { gene: "a".into(), min: 2, start: 1, max: 3 }
    );
    assert_eq!(
        refusal(vec![block("b", 9)], vec![ok]),
        SchemaError::TooManySteps { gene: "a".into(), scale_log2: 9, steps: 32_768, limit: 32_767 }
    );
    assert_eq!(
        refusal(vec![block("b", 10)], vec![gene("a", GeneKind::Integer, 0, 5, one)]),
        SchemaError::NotWhole { gene: "a".into(), value: 5 }
    );
}

#[test]
fn every_field_reaches_the_digest() {
    let base = small();
    let mut digests = vec![base.digest()];
    let rebuild = |name: &str, version, blocks: &[ScaleBlock], genes: &[GeneSpec]| {
        GenomeSchema::new(name, version, blocks.to_vec(), genes.to_vec()).unwrap().digest()
    };
    digests.push(rebuild("other", 1, base.blocks(), base.genes()));
    digests.push(rebuild("small", 2, base.blocks(), base.genes()));
    digests.push(rebuild("small", 1, &[block("all", 16)], base.genes()));
    digests.push(rebuild("small", 1, &[block("any", 15)], base.genes()));
    let edits: [fn(&mut GeneSpec); 5] = [
        |g| g.name = "tilt".into(),
        |g| g.kind = GeneKind::Integer,
        |g| g.min = -q824::ONE,
        |g| g.max = q824::ONE,
        |g| g.start = q824::ONE,
    ];
    for edit in edits {
        let mut genes = base.genes().to_vec();
        genes[0].start = 0;
        digests.push(rebuild("small", 1, base.blocks(), &genes));
        digests.dedup();
        edit(&mut genes[0]);
        digests.push(rebuild("small", 1, base.blocks(), &genes));
    }
    let total = digests.len();
    digests.sort_unstable();
    digests.dedup();
    // `start = 0` occurs before each of the five edits and counts once.
    assert_eq!((total, digests.len()), (15, 11));
}

#[test]
fn genome_errors_name_both_sides() {
    let schema = small();
    assert_eq!(
        Genome::from_values(&schema, vec![0]),
        Err(GenomeError::Length { expected: 2, found: 1 })
    );
    assert_eq!(
        Genome::from_values(&schema, vec![-1, 0]),
        Err(GenomeError::OutOfBounds {
            gene: "slope".into(),
            min: 0,
            value: -1,
            max: 2 * q824::ONE
        })
    );
    assert_eq!(
        Genome::from_values(&schema, vec![0, 7]),
        Err(GenomeError::NotWhole { gene: "span".into(), value: 7 })
    );
}

#[test]
fn rendering_is_readable_and_bound_to_the_schema() {
    let schema = small();
    let genome = Genome::from_values(&schema, vec![q824::ratio(5, 4), 7 * q824::ONE]).unwrap();
    assert_eq!(genome.render(&schema).unwrap(), "slope = 1.25\nspan = 7\n");
    let other =
        GenomeSchema::new("small", 2, schema.blocks().to_vec(), schema.genes().to_vec()).unwrap();
    assert!(!genome.belongs_to(&other));
    assert_eq!(genome.render(&other), None);
}

proptest! {
    #[test]
    fn clamped_is_always_legal_and_leaves_legal_values(a in any::<i64>(), b in any::<i64>()) {
        let schema = small();
        let genome = Genome::clamped(&schema, &[a, b]).unwrap();
        let again = Genome::from_values(&schema, genome.values().to_vec()).unwrap();
        prop_assert_eq!(&again, &genome);
        let wide: Vec<i64> = genome.values().iter().map(|&v| i64::from(v)).collect();
        prop_assert_eq!(Genome::clamped(&schema, &wide).unwrap(), genome);
    }
}
