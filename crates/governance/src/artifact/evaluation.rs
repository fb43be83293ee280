//! `evaluation.json`: what the federation learnt, measured on workloads that no site trained on.
//!
//! The figures are signed, not recomputable from the ledger: the held-out instances are not part of it. An
//! audit says so. What it can compare is the number of epochs.

use serde::{Deserialize, Serialize};

use super::json::{self, Document, text};

/// The held-out cost table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// [`Document::SCHEMA`].
    pub schema: String,
    /// [`Document::VERSION`].
    pub schema_version: u32,
    /// Epochs applied before the measurement.
    #[serde(with = "text")]
    pub epochs: u64,
    /// One row a compared genome, such as `published-default`, `local-only` and `federated`.
    pub rows: Vec<EvaluationRow>,
    /// The result in one sentence, for people.
    pub sentence: String,
}

/// Cost of one genome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRow {
    /// Which genome.
    pub label: String,
    /// Mean cost over the families, in permille of the published default.
    pub cost_permille: u32,
    /// The cost in every family of instances.
    pub families: Vec<FamilyCost>,
}

/// Cost in one family of instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyCost {
    /// Name of the family.
    pub family: String,
    /// Cost in permille of the published default.
    pub cost_permille: u32,
}

impl Document for Evaluation {
    const SCHEMA: &'static str = "prism-federation/evaluation";
    const VERSION: u32 = 1;
    const MAX_BYTES: usize = 1 << 20;
}

impl Evaluation {
    /// A table after a number of epochs.
    pub fn new(epochs: u64, rows: Vec<EvaluationRow>, sentence: String) -> Self {
        let (schema, schema_version) = (Self::SCHEMA.to_owned(), Self::VERSION);
        Self { schema, schema_version, epochs, rows, sentence }
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        json::render(self)
    }
}
