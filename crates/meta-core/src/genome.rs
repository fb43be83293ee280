//! Genomes: the parameters a federation evolves, as validated Q8.24 integers.
//!
//! A [`Genome`] can only be made through a [`GenomeSchema`] and carries that schema's digest, so code
//! that holds one need not ask again whether its length and bounds are right.

pub mod q824;
mod schema;

pub use schema::{
    GeneKind, GeneSpec, GenomeSchema, MAX_BLOCKS, MAX_GENES, MAX_NAME_BYTES, MAX_SCALE_LOG2,
    MAX_STEPS, ScaleBlock, SchemaError,
};

#[cfg(test)]
mod tests;

/// Why values do not form a genome of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenomeError {
    /// Not one value a gene.
    #[error("{found} values for a schema of {expected} genes")]
    Length {
        /// Genes in the schema.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value lies outside its gene's bounds.
    #[error("gene {gene:?}: min({min}) <= value({value}) <= max({max}) must hold")]
    OutOfBounds {
        /// Gene name.
        gene: String,
        /// Least legal value.
        min: i32,
        /// The value given.
        value: i32,
        /// Greatest legal value.
        max: i32,
    },
    /// An integer gene was given a fraction.
    #[error("integer gene {gene:?}: {value} (Q8.24) is not a whole number")]
    NotWhole {
        /// Gene name.
        gene: String,
        /// The value given.
        value: i32,
    },
}

/// One legal assignment of values to the genes of a schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Genome {
    schema: [u8; 32],
    values: Vec<i32>,
}

impl Genome {
    /// The schema's untuned genome: every gene at its start value.
    #[must_use]
    pub fn start(schema: &GenomeSchema) -> Self {
        let values = schema.genes().iter().map(|gene| gene.start).collect();
        Self { schema: schema.digest(), values }
    }

    /// Takes values as they are, or refuses them.
    ///
    /// # Errors
    /// The first [`GenomeError`] in gene order.
    pub fn from_values(schema: &GenomeSchema, values: Vec<i32>) -> Result<Self, GenomeError> {
        check_length(schema, values.len())?;
        for (gene, &value) in schema.genes().iter().zip(&values) {
            if value < gene.min || value > gene.max {
                return Err(GenomeError::OutOfBounds {
                    gene: gene.name.clone(),
                    min: gene.min,
                    value,
                    max: gene.max,
                });
            }
            if gene.kind == GeneKind::Integer && !q824::is_whole(value) {
                return Err(GenomeError::NotWhole { gene: gene.name.clone(), value });
            }
        }
        Ok(Self { schema: schema.digest(), values })
    }

    /// Moves every value to the nearest legal one: integer genes round half to even, then bounds clamp.
    ///
    /// Takes `i64` so that a sum of a value and a large delta needs no arithmetic that could wrap.
    ///
    /// # Errors
    /// [`GenomeError::Length`] only.
    pub fn clamped(schema: &GenomeSchema, values: &[i64]) -> Result<Self, GenomeError> {
        check_length(schema, values.len())?;
        let values = schema.genes().iter().zip(values).map(|(gene, &v)| legal_value(gene, v));
        Ok(Self { schema: schema.digest(), values: values.collect() })
    }

    /// Values in gene order, Q8.24.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// Digest of the schema that validated the values.
    #[must_use]
    pub const fn schema_digest(&self) -> [u8; 32] {
        self.schema
    }

    /// Whether this genome was validated by exactly this schema.
    #[must_use]
    pub fn belongs_to(&self, schema: &GenomeSchema) -> bool {
        self.schema == schema.digest()
    }

    /// One line a gene: `name = 1.25`. `None` when the genome belongs to another schema.
    #[must_use]
    pub fn render(&self, schema: &GenomeSchema) -> Option<String> {
        if !self.belongs_to(schema) {
            return None;
        }
        let lines = schema.genes().iter().zip(&self.values);
        Some(lines.map(|(gene, &v)| format!("{} = {}\n", gene.name, q824::to_decimal(v))).collect())
    }
}

fn check_length(schema: &GenomeSchema, found: usize) -> Result<(), GenomeError> {
    let expected = schema.dimension();
    if found == expected { Ok(()) } else { Err(GenomeError::Length { expected, found }) }
}

fn legal_value(gene: &GeneSpec, value: i64) -> i32 {
    let (min, max) = (i64::from(gene.min), i64::from(gene.max));
    // Clamping first keeps the rounding inside i32; the bounds of an integer gene are whole themselves.
    let clamped = value.clamp(min, max);
    let legal = match gene.kind {
        GeneKind::Continuous => clamped,
        GeneKind::Integer => q824::round_to_whole(clamped),
    };
    legal as i32
}
