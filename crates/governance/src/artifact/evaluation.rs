//! `evaluation.json`: what the federation learnt, measured on workloads that no site trained on.
//!
//! The measured costs are signed, not recomputable from the ledger: the held-out instances are not part of
//! it. An audit says so. Everything else in the table follows from them, and an audit rebuilds it: the means,
//! the row of the lone sites' mean, the order of the rows and the sentence ([`Evaluation::first_difference`]).

use core::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::json::{self, Document, text};

/// What a label of a lone site ends with.
const ALONE: &str = " alone";

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
    /// One row a compared genome, in the order of [`RowKind`]; lone sites in the order of the scenario.
    pub rows: Vec<EvaluationRow>,
    /// The result in one sentence, for people.
    pub sentence: String,
}

/// Which genome a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The untuned genome that everybody started from.
    Start,
    /// What one site reached with the same budget and nobody's help.
    Alone,
    /// The mean of all [`RowKind::Alone`] rows; no genome of its own, and not measured.
    AloneMean,
    /// The federation's genome.
    Federated,
    /// The solver's published parameters.
    Published,
}

impl RowKind {
    /// Label of the row; a lone site's begins with its name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "start genome",
            Self::Alone => "alone",
            Self::AloneMean => "sites alone, mean",
            Self::Federated => "federated",
            Self::Published => "published TabuCol default",
        }
    }
}

/// Cost of one genome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRow {
    /// Which genome.
    pub kind: RowKind,
    /// The same for people.
    pub label: String,
    /// Mean cost over the families, rounded down, in permille of the published solver's work.
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
    /// Cost in permille of the published solver's work.
    pub cost_permille: u32,
}

/// The first place where a table is not what follows from its measured costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationDifference {
    /// Where, such as `rows[3].cost_permille`.
    pub field: String,
    /// What follows from the measured costs.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl EvaluationRow {
    /// The row of any genome but a lone site's.
    pub fn new(kind: RowKind, families: Vec<FamilyCost>) -> Self {
        Self::labelled(kind, kind.label().to_owned(), families)
    }

    /// The row of what one site reached alone.
    pub fn alone(site: &str, families: Vec<FamilyCost>) -> Self {
        Self::labelled(RowKind::Alone, format!("{site}{ALONE}"), families)
    }

    fn labelled(kind: RowKind, label: String, families: Vec<FamilyCost>) -> Self {
        let cost_permille = floor_mean(families.iter().map(|family| family.cost_permille));
        Self { kind, label, cost_permille, families }
    }

    fn rebuilt(&self) -> Self {
        let families = self.families.clone();
        match self.kind.label() {
            _ if self.kind == RowKind::Alone => {
                let site = self.label.strip_suffix(ALONE).unwrap_or(&self.label);
                Self::alone(site, families)
            }
            label => Self::labelled(self.kind, label.to_owned(), families),
        }
    }
}

impl Document for Evaluation {
    const SCHEMA: &'static str = "prism-federation/evaluation";
    const VERSION: u32 = 1;
    const MAX_BYTES: usize = 1 << 20;
}

impl Evaluation {
    /// A table after a number of epochs, from its measured rows: they are put in their order, the mean of
    /// the lone sites is added, and the sentence is drawn from the figures.
    pub fn new(epochs: u64, measured: Vec<EvaluationRow>) -> Self {
        let (schema, schema_version) = (Self::SCHEMA.to_owned(), Self::VERSION);
        let mut rows = measured;
        rows.retain(|row| row.kind != RowKind::AloneMean);
        rows.extend(alone_mean(&rows));
        // Stable, so the lone sites keep their order.
        rows.sort_by_key(|row| row.kind);
        let sentence = sentence(&rows);
        Self { schema, schema_version, epochs, rows, sentence }
    }

    /// The table that follows from this one's measured costs, sites' names and number of epochs.
    #[must_use]
    pub fn rebuild(&self) -> Self {
        Self::new(self.epochs, self.rows.iter().map(EvaluationRow::rebuilt).collect())
    }

    /// Whether everything in the table follows from its measured costs.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.first_difference().is_none()
    }

    /// The first place, if any, that does not follow from the measured costs. A table that lacks a genome,
    /// or does not measure all of them on the same families, is not consistent either.
    #[must_use]
    pub fn first_difference(&self) -> Option<EvaluationDifference> {
        self.missing_row().or_else(|| self.other_families()).or_else(|| self.other_figures())
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        json::render(self)
    }

    fn missing_row(&self) -> Option<EvaluationDifference> {
        let count = |kind| self.rows.iter().filter(|row| row.kind == kind).count();
        let one = [RowKind::Start, RowKind::AloneMean, RowKind::Federated, RowKind::Published];
        let wrong = one.into_iter().find(|kind| count(*kind) != 1);
        if let Some(kind) = wrong {
            let expected = format!("one row \"{}\"", kind.label());
            return Some(difference("rows", expected, count(kind)));
        }
        if count(RowKind::Alone) == 0 {
            return Some(difference("rows", "a row for every lone site", 0));
        }
        let mut labels = BTreeSet::new();
        let twice = self.rows.iter().position(|row| !labels.insert(row.label.as_str()))?;
        let label = &self.rows.get(twice)?.label;
        Some(difference(format!("rows[{twice}].label"), "a label of its own", label))
    }

    fn other_families(&self) -> Option<EvaluationDifference> {
        let names = |row: &EvaluationRow| {
            row.families.iter().map(|cost| cost.family.clone()).collect::<Vec<_>>()
        };
        let first = self.rows.first().map(names).unwrap_or_default();
        let distinct: BTreeSet<&String> = first.iter().collect();
        if first.is_empty() || distinct.len() != first.len() {
            let expected = "one or more families, each once";
            return Some(difference("rows[0].families", expected, first.join(", ")));
        }
        let other = self.rows.iter().position(|row| names(row) != first)?;
        let found = self.rows.get(other).map(names).unwrap_or_default();
        let field = format!("rows[{other}].families");
        Some(difference(field, first.join(", "), found.join(", ")))
    }

    fn other_figures(&self) -> Option<EvaluationDifference> {
        let rebuilt = self.rebuild();
        for (index, (found, expected)) in self.rows.iter().zip(&rebuilt.rows).enumerate() {
            let at = |field: &str| format!("rows[{index}].{field}");
            if found.label != expected.label {
                return Some(difference(at("label"), &expected.label, &found.label));
            }
            let costs = found.families.iter().zip(&expected.families);
            for (family, (found, expected)) in costs.enumerate() {
                let (found, expected) = (found.cost_permille, expected.cost_permille);
                if found != expected {
                    let field = at(&format!("families[{family}].cost_permille"));
                    return Some(difference(field, expected, found));
                }
            }
            if found.cost_permille != expected.cost_permille {
                let field = at("cost_permille");
                return Some(difference(field, expected.cost_permille, found.cost_permille));
            }
            if found.kind != expected.kind {
                return Some(difference(at("kind"), expected.kind.label(), found.kind.label()));
            }
        }
        if self.sentence != rebuilt.sentence {
            return Some(difference("sentence", &rebuilt.sentence, &self.sentence));
        }
        (self.schema_version != rebuilt.schema_version)
            .then(|| difference("schema_version", rebuilt.schema_version, self.schema_version))
    }
}

fn difference(
    field: impl Into<String>,
    expected: impl ToString,
    found: impl ToString,
) -> EvaluationDifference {
    let (expected, found) = (expected.to_string(), found.to_string());
    EvaluationDifference { field: field.into(), expected, found }
}

/// The mean, rounded down; 0 of nothing.
fn floor_mean(costs: impl Iterator<Item = u32>) -> u32 {
    let (mut sum, mut count) = (0u64, 0u64);
    for cost in costs {
        sum += u64::from(cost);
        count += 1;
    }
    u32::try_from(sum / count.max(1)).unwrap_or(u32::MAX)
}

/// The mean of the lone sites, family by family; `None` without a lone site.
fn alone_mean(rows: &[EvaluationRow]) -> Option<EvaluationRow> {
    let alone = || rows.iter().filter(|row| row.kind == RowKind::Alone);
    let mean = |(index, first): (usize, &FamilyCost)| {
        let costs = alone().filter_map(|row| row.families.get(index));
        let cost_permille = floor_mean(costs.map(|cost| cost.cost_permille));
        FamilyCost { family: first.family.clone(), cost_permille }
    };
    let families = alone().next()?.families.iter().enumerate().map(mean).collect();
    Some(EvaluationRow::new(RowKind::AloneMean, families))
}

/// Says in one sentence what the figures show, whichever way they fall.
fn sentence(rows: &[EvaluationRow]) -> String {
    let cost = |kind| rows.iter().find(|row| row.kind == kind).map(|row| row.cost_permille);
    let Some(federated) = cost(RowKind::Federated) else {
        return "Nothing was measured of a federated genome.".to_owned();
    };
    let alone = || rows.iter().filter(|row| row.kind == RowKind::Alone);
    let beaten = alone().filter(|row| federated < row.cost_permille).count();
    let parts = [
        cost(RowKind::Start).map(|start| against(federated, start, "the untuned start")),
        cost(RowKind::AloneMean).map(|mean| against(federated, mean, "the lone sites' mean")),
        Some(format!("cheaper than {beaten} of {} lone sites", alone().count())),
        cost(RowKind::Published).map(|cost| against(federated, cost, "the published default")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let listed = match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{}, and {last}", others.join(", ")),
        None => return "Nothing was measured beside the federated genome.".to_owned(),
    };
    format!("On instances nobody trained on, the federated genome is {listed}.")
}

/// One comparison, in percent of the other, rounded down.
fn against(federated: u32, other: u32, name: &str) -> String {
    let percent = u64::from(federated.abs_diff(other)) * 100 / u64::from(other.max(1));
    let percent = if percent == 0 { "less than 1%".to_owned() } else { format!("{percent}%") };
    match federated.cmp(&other) {
        Ordering::Less => format!("{percent} cheaper than {name}"),
        Ordering::Equal => format!("as cheap as {name}"),
        Ordering::Greater => format!("{percent} dearer than {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(costs: [u32; 2]) -> Vec<FamilyCost> {
        let cost = |(family, cost_permille): (&str, u32)| FamilyCost {
            family: family.to_owned(),
            cost_permille,
        };
        ["queen", "latin"].into_iter().zip(costs).map(cost).collect()
    }

    fn table(federated: u32) -> Evaluation {
        let rows = vec![
            EvaluationRow::new(RowKind::Published, families([1000, 1000])),
            EvaluationRow::new(RowKind::Federated, families([federated, federated])),
            EvaluationRow::alone("site-b", families([1, 10])),
            EvaluationRow::alone("site-a", families([4000, 4003])),
            EvaluationRow::new(RowKind::Start, families([2000, 2000])),
        ];
        Evaluation::new(7, rows)
    }

    #[test]
    fn a_table_is_ordered_and_means_are_rounded_down_family_by_family() {
        let table = table(1000);
        let shown: Vec<_> =
            table.rows.iter().map(|row| (row.label.as_str(), row.cost_permille)).collect();
        let expected = [
            ("start genome", 2000),
            ("site-b alone", 5),
            ("site-a alone", 4001),
            ("sites alone, mean", 2003),
            ("federated", 1000),
            ("published TabuCol default", 1000),
        ];
        assert_eq!(shown, expected);
        assert_eq!(table.rows[3].families, families([2000, 2006]));
        assert_eq!(table.first_difference(), None);
    }

    #[test]
    fn the_sentence_follows_the_figures_whichever_way_they_fall() {
        let cases = [
            (
                1000,
                "50% cheaper than the untuned start, 50% cheaper than the lone sites' mean, cheaper than 1 of 2 lone sites, and as cheap as the published default.",
            ),
            (
                3000,
                "50% dearer than the untuned start, 49% dearer than the lone sites' mean, cheaper than 1 of 2 lone sites, and 200% dearer than the published default.",
            ),
            (
                5000,
                "150% dearer than the untuned start, 149% dearer than the lone sites' mean, cheaper than 0 of 2 lone sites, and 400% dearer than the published default.",
            ),
            (
                2001,
                "less than 1% dearer than the untuned start, less than 1% cheaper than the lone sites' mean, cheaper than 1 of 2 lone sites, and 100% dearer than the published default.",
            ),
        ];
        for (federated, expected) in cases {
            let sentence = table(federated).sentence;
            assert!(sentence.ends_with(expected), "{federated}: {sentence}");
        }
    }

    #[test]
    fn every_derived_figure_that_was_bent_is_named() {
        type Lie = fn(&mut Evaluation);
        let lies: [(Lie, &str); 12] = [
            (|table| table.rows[0].cost_permille += 1, "rows[0].cost_permille"),
            (|table| table.rows[4].cost_permille -= 1, "rows[4].cost_permille"),
            (|table| table.rows[4].families[0].cost_permille -= 2, "rows[4].cost_permille"),
            (|table| table.rows[3].families[1].cost_permille += 1, "rows[3].families[1]"),
            (|table| table.rows[1].label = "site-b".into(), "rows[1].label"),
            (|table| table.rows[0].label = "best genome".into(), "rows[0].label"),
            (|table| table.rows.swap(4, 5), "rows[4].label"),
            (|table| table.rows.retain(|row| row.kind != RowKind::Start), "rows"),
            (|table| table.rows.retain(|row| row.kind != RowKind::Alone), "rows"),
            (|table| table.rows[2].label = table.rows[1].label.clone(), "rows[2].label"),
            (|table| table.rows[2].families.truncate(1), "rows[2].families"),
            (|table| table.sentence.push('!'), "sentence"),
        ];
        for (index, (lie, field)) in lies.into_iter().enumerate() {
            let mut bent = table(1000);
            lie(&mut bent);
            let difference = bent.first_difference().expect("a difference");
            assert!(difference.field.starts_with(field), "lie {index}: {difference:?}");
            assert_ne!(difference.expected, difference.found, "lie {index}");
            assert!(!bent.is_consistent());
        }
    }

    #[test]
    fn the_text_reads_back_as_the_same_table() {
        let table = table(990);
        let read = json::read::<Evaluation>(table.to_text().as_bytes());
        assert_eq!(read.value, Some(table));
    }
}
