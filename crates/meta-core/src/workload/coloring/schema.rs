//! The tunable genes of the TabuCol solver and the three genomes one starts from.

use super::tabucol::TabuParameters;
use crate::genome::q824::{ONE, ratio};
use crate::genome::{
    GeneKind, GeneSpec, Genome, GenomeError, GenomeSchema, ScaleBlock, SchemaError,
};

/// One row of the gene table; `published` is the value of the published algorithm.
struct Row {
    name: &'static str,
    kind: GeneKind,
    min: i32,
    max: i32,
    start: i32,
    published: i32,
    block: u8,
}

/// Fractions and slopes up to 2: one delta step is 2⁻¹³.
const FINE: u8 = 0;
/// Tenures in iterations: one delta step is 2⁻⁹.
const TENURE: u8 = 1;
/// Powers of two: one delta step is 2⁻¹¹.
const LOG: u8 = 2;

const fn row(name: &'static str, range: (i32, i32), start: i32, published: i32, block: u8) -> Row {
    let (min, max) = range;
    Row { name, kind: GeneKind::Continuous, min, max, start, published, block }
}

/// Genes in the order of [`TabuParameters::from_values`].
///
/// The start values are those of a plausible but untuned hand: a short fixed tenure, frequent restarts
/// from far away, some random moves. The published ones are Galinier & Hao's (1999): dynamic tenure with
/// α = 0.6 and A = 10, a random start, no restarts, no random moves, every move examined.
const ROWS: [Row; 9] = [
    row("tenure_slope", (0, 2 * ONE), ratio(1, 10), ratio(3, 5), FINE),
    row("tenure_range", (0, 40 * ONE), 2 * ONE, 10 * ONE, TENURE),
    row("tenure_base", (0, 40 * ONE), 4 * ONE, 0, TENURE),
    row("dsatur_kept", (0, ONE), 0, 0, FINE),
    row("greedy_fill", (0, ONE), 0, 0, FINE),
    row("vertices_examined", (ratio(1, 20), ONE), ratio(3, 10), ONE, FINE),
    row("random_move", (0, ratio(1, 4)), ratio(1, 100), 0, FINE),
    row("patience_log2", (0, 12 * ONE), 4 * ONE, 12 * ONE, LOG),
    row("perturbed", (0, ONE), ratio(1, 2), 0, FINE),
];

/// The colouring schema.
///
/// # Errors
/// None in practice: a test holds the table to the schema's rules. The signature keeps this free of panics.
pub fn schema() -> Result<GenomeSchema, SchemaError> {
    let block = |name: &str, scale_log2| ScaleBlock { name: name.to_owned(), scale_log2 };
    let blocks = vec![block("fine", 11), block("tenure", 15), block("log2", 13)];
    let genes = ROWS.iter().map(|row| GeneSpec {
        name: row.name.to_owned(),
        kind: row.kind,
        min: row.min,
        max: row.max,
        start: row.start,
        block: row.block,
    });
    GenomeSchema::new("coloring", 1, blocks, genes.collect())
}

/// The published TabuCol (Galinier & Hao 1999) as a genome.
///
/// # Errors
/// [`GenomeError`] when `schema` is not [`schema`]'s.
pub fn published_default(schema: &GenomeSchema) -> Result<Genome, GenomeError> {
    Genome::from_values(schema, ROWS.iter().map(|row| row.published).collect())
}

impl TabuParameters {
    /// The published algorithm's parameters.
    #[must_use]
    pub fn published() -> Self {
        Self::from_values(&ROWS.each_ref().map(|row| row.published))
    }

    /// Reads gene values in schema order; genes that are not given keep 0.
    pub(super) fn from_values(values: &[i32]) -> Self {
        let gene = |index: usize| i64::from(values.get(index).copied().unwrap_or(0));
        Self {
            tenure_slope: gene(0),
            tenure_range: gene(1),
            tenure_base: gene(2),
            dsatur_kept: gene(3),
            greedy_fill: gene(4),
            vertices_examined: gene(5),
            random_move: gene(6),
            patience_log2: gene(7),
            perturbed: gene(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_obeys_the_schema_rules() {
        let schema = schema().unwrap();
        let published = published_default(&schema).unwrap();
        let text = published.render(&schema).unwrap();
        assert!(
            text.starts_with("tenure_slope = 0.6\ntenure_range = 10\ntenure_base = 0\n"),
            "{text}"
        );
        assert_eq!(TabuParameters::from_values(published.values()), TabuParameters::published());
    }
}
