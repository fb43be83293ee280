//! Genome schemas: what each gene means, which values are legal, how coarse a shared delta is.
//!
//! A schema is part of the federation's agreed configuration. Its digest stands in every genome, so a
//! value can never be read under another meaning.

use std::collections::BTreeSet;

use super::q824;

/// Most genes a schema may have.
pub const MAX_GENES: usize = 4096;
/// Most scale blocks a schema may have (a gene names its block with a `u8`).
pub const MAX_BLOCKS: usize = 256;
/// Longest name of a schema, block or gene, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// Largest block scale: one delta step of 2³⁰ is 64.0.
pub const MAX_SCALE_LOG2: u8 = 30;
/// Most delta steps between a gene's bounds, so that any legal difference fits an `i16`.
pub const MAX_STEPS: i64 = i16::MAX as i64;

/// Domain tag of the schema digest.
const DIGEST_CONTEXT: &str = "PRISM meta-core genome schema v1";

/// Which values a gene may take inside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneKind {
    /// Every Q8.24 value.
    Continuous,
    /// Whole numbers only.
    Integer,
}

/// One gene: a named, bounded parameter in Q8.24.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneSpec {
    /// Unique name: `a-z`, `0-9`, `_`, `-`, `.`.
    pub name: String,
    /// Which values are legal between the bounds.
    pub kind: GeneKind,
    /// Least legal value.
    pub min: i32,
    /// Greatest legal value.
    pub max: i32,
    /// Value of the untuned genome.
    pub start: i32,
    /// Index of the gene's scale block.
    pub block: u8,
}

/// Genes of one order of magnitude, whose shared deltas have the same step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleBlock {
    /// Unique name, same alphabet as gene names.
    pub name: String,
    /// One delta step is 2^`scale_log2` in Q8.24.
    pub scale_log2: u8,
}

/// Why a schema was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No genes, or too many.
    #[error("schema has {found} genes: must be between 1 and {limit}")]
    GeneCount {
        /// Genes given.
        found: usize,
        /// [`MAX_GENES`].
        limit: usize,
    },
    /// No scale blocks, or too many.
    #[error("schema has {found} scale blocks: must be between 1 and {limit}")]
    BlockCount {
        /// Blocks given.
        found: usize,
        /// [`MAX_BLOCKS`].
        limit: usize,
    },
    /// A name is empty, too long or outside the alphabet.
    #[error("name {name:?}: must be 1 to {limit} bytes of a-z, 0-9, '_', '-', '.'")]
    Name {
        /// The refused name.
        name: String,
        /// [`MAX_NAME_BYTES`].
        limit: usize,
    },
    /// Two genes, or two blocks, share a name.
    #[error("name {name:?} is used twice")]
    DuplicateName {
        /// The repeated name.
        name: String,
    },
    /// A block's step is larger than any gene range.
    #[error("block {block:?}: scale_log2({scale_log2}) must be <= {limit}")]
    Scale {
        /// Block name.
        block: String,
        /// Its scale.
        scale_log2: u8,
        /// [`MAX_SCALE_LOG2`].
        limit: u8,
    },
    /// A gene names a block that does not exist.
    #[error("gene {gene:?}: block({block}) must be < number of blocks({blocks})")]
    UnknownBlock {
        /// Gene name.
        gene: String,
        /// Block index given.
        block: u8,
        /// Blocks in the schema.
        blocks: usize,
    },
    /// The bounds do not enclose the start value.
    #[error("gene {gene:?}: min({min}) <= start({start}) <= max({max}) must hold")]
    Order {
        /// Gene name.
        gene: String,
        /// Least value.
        min: i32,
        /// Start value.
        start: i32,
        /// Greatest value.
        max: i32,
    },
    /// A difference between legal values would not fit an `i16` delta.
    #[error(
        "gene {gene:?}: (max - min) >> scale_log2({scale_log2}) = {steps} must be <= {limit} steps"
    )]
    TooManySteps {
        /// Gene name.
        gene: String,
        /// Scale of its block.
        scale_log2: u8,
        /// Steps between the bounds.
        steps: i64,
        /// [`MAX_STEPS`].
        limit: i64,
    },
    /// An integer gene has a bound or start that is no whole number.
    #[error("integer gene {gene:?}: {value} (Q8.24) is not a whole number")]
    NotWhole {
        /// Gene name.
        gene: String,
        /// The offending value.
        value: i32,
    },
}

/// A validated genome schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenomeSchema {
    name: String,
    version: u32,
    blocks: Vec<ScaleBlock>,
    genes: Vec<GeneSpec>,
    digest: [u8; 32],
}

impl GenomeSchema {
    /// Validates the parts and computes the digest.
    ///
    /// # Errors
    /// The first rule of [`SchemaError`] that the parts break.
    pub fn new(
        name: &str,
        version: u32,
        blocks: Vec<ScaleBlock>,
        genes: Vec<GeneSpec>,
    ) -> Result<Self, SchemaError> {
        check_name(name)?;
        check_blocks(&blocks)?;
        check_genes(&genes, &blocks)?;
        let mut schema = Self { name: name.to_owned(), version, blocks, genes, digest: [0; 32] };
        schema.digest = blake3::derive_key(DIGEST_CONTEXT, &schema.canonical_bytes());
        Ok(schema)
    }

    /// Name of the workload family the genome belongs to.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Version of the meaning of the genes.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Scale blocks in index order.
    #[must_use]
    pub fn blocks(&self) -> &[ScaleBlock] {
        &self.blocks
    }

    /// Genes in index order.
    #[must_use]
    pub fn genes(&self) -> &[GeneSpec] {
        &self.genes
    }

    /// Number of genes.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.genes.len()
    }

    /// `scale_log2` of a gene's block; `None` when there is no such gene.
    #[must_use]
    pub fn scale_log2(&self, gene: usize) -> Option<u8> {
        let spec = self.genes.get(gene)?;
        self.blocks.get(usize::from(spec.block)).map(|block| block.scale_log2)
    }

    /// BLAKE3 of the canonical bytes under a domain tag of its own.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The unique byte form: fixed-width little-endian integers, strings prefixed by their length.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_text(&mut bytes, &self.name);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            put_text(&mut bytes, &block.name);
            bytes.push(block.scale_log2);
        }
        bytes.extend_from_slice(&(self.genes.len() as u32).to_le_bytes());
        for gene in &self.genes {
            put_text(&mut bytes, &gene.name);
            bytes.push(match gene.kind {
                GeneKind::Continuous => 0,
                GeneKind::Integer => 1,
            });
            for value in [gene.min, gene.max, gene.start] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
            bytes.push(gene.block);
        }
        bytes
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn check_name(name: &str) -> Result<(), SchemaError> {
    let legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(legal) {
        return Err(SchemaError::Name { name: name.to_owned(), limit: MAX_NAME_BYTES });
    }
    Ok(())
}

fn check_unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), SchemaError> {
    let mut seen = BTreeSet::new();
    for name in names {
        check_name(name)?;
        if !seen.insert(name) {
            return Err(SchemaError::DuplicateName { name: name.to_owned() });
        }
    }
    Ok(())
}

fn check_blocks(blocks: &[ScaleBlock]) -> Result<(), SchemaError> {
    if blocks.is_empty() || blocks.len() > MAX_BLOCKS {
        return Err(SchemaError::BlockCount { found: blocks.len(), limit: MAX_BLOCKS });
    }
    check_unique(blocks.iter().map(|block| block.name.as_str()))?;
    match blocks.iter().find(|block| block.scale_log2 > MAX_SCALE_LOG2) {
        Some(block) => Err(SchemaError::Scale {
            block: block.name.clone(),
            scale_log2: block.scale_log2,
            limit: MAX_SCALE_LOG2,
        }),
        None => Ok(()),
    }
}

fn check_genes(genes: &[GeneSpec], blocks: &[ScaleBlock]) -> Result<(), SchemaError> {
    if genes.is_empty() || genes.len() > MAX_GENES {
        return Err(SchemaError::GeneCount { found: genes.len(), limit: MAX_GENES });
    }
    check_unique(genes.iter().map(|gene| gene.name.as_str()))?;
    genes.iter().try_for_each(|gene| check_gene(gene, blocks))
}

fn check_gene(gene: &GeneSpec, blocks: &[ScaleBlock]) -> Result<(), SchemaError> {
    let Some(block) = blocks.get(usize::from(gene.block)) else {
        return Err(SchemaError::UnknownBlock {
            gene: gene.name.clone(),
            block: gene.block,
            blocks: blocks.len(),
        });
    };
    if gene.min > gene.start || gene.start > gene.max {
        return Err(SchemaError::Order {
            gene: gene.name.clone(),
            min: gene.min,
            start: gene.start,
            max: gene.max,
        });
    }
    let steps = (i64::from(gene.max) - i64::from(gene.min)) >> block.scale_log2;
    if steps > MAX_STEPS {
        return Err(SchemaError::TooManySteps {
            gene: gene.name.clone(),
            scale_log2: block.scale_log2,
            steps,
            limit: MAX_STEPS,
        });
    }
    let values = [gene.min, gene.max, gene.start];
    match values.into_iter().find(|&value| !q824::is_whole(value)) {
        Some(value) if gene.kind == GeneKind::Integer => {
            Err(SchemaError::NotWhole { gene: gene.name.clone(), value })
        }
        _ => Ok(()),
    }
}
