//! `bench`: one area at a time, each row beside a reference measured in the same process.

mod area_simulate;
mod cpu;

use std::process::ExitCode;

use meta_core::genome::SchemaError;
use serde::Serialize;
use simulator::SimulationError;
use simulator::evaluation::EvaluationError;
use simulator::scenario::{ScenarioError, WorkloadsError};
use thiserror::Error;

use crate::cli::{BenchArgs, Format};
use crate::failure::{FAILED, Failure, USAGE};
use crate::output;

/// The areas: name, what is measured, and how.
const AREAS: [Area; 1] = [Area {
    name: "simulate",
    summary: "CPU time of the federation beside the workload it carries",
    measure: area_simulate::measure,
}];

struct Area {
    name: &'static str,
    summary: &'static str,
    measure: fn() -> Result<Vec<Row>, BenchError>,
}

/// One measured value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The area.
    pub(crate) area: &'static str,
    /// What was measured.
    pub(crate) name: &'static str,
    /// The value.
    pub(crate) value: f64,
    /// Unit of value, reference and bar.
    pub(crate) unit: &'static str,
    /// What it stands beside, measured in the same run.
    pub(crate) reference: Reference,
    /// Value by reference.
    pub(crate) ratio: f64,
    /// The value must not exceed this.
    pub(crate) bar: f64,
    /// Whether it does not.
    pub(crate) meets_bar: bool,
}

/// A limit or a peer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reference {
    /// What it is.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: f64,
}

impl Row {
    fn new(
        (area, name, unit): (&'static str, &'static str, &'static str),
        value: f64,
        reference: Reference,
        bar: f64,
    ) -> Self {
        let ratio = value / reference.value;
        Self { area, name, value, unit, reference, ratio, bar, meets_bar: value <= bar }
    }
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    /// No such area.
    #[error("no bench area {name:?}; there are: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The measured scenario is refused: a defect of this program.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Its workloads are.
    #[error(transparent)]
    Workloads(#[from] WorkloadsError),
    /// Its genome schema is.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The measured run failed.
    #[error("the measured run failed: {0}")]
    Simulation(#[from] SimulationError),
    /// The reference failed.
    #[error("the reference failed: {0}")]
    Evaluation(#[from] EvaluationError),
    /// A row cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl BenchError {
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Unknown { .. }) { USAGE } else { FAILED }
    }
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let text = match &args.area {
        None => list(args.format)?,
        Some(name) => {
            let rows = measure(name)?;
            match args.format {
                Format::Human => to_table(&rows, output::width()),
                Format::Json => to_lines(&rows)?,
            }
        }
    };
    output::write(&text).map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(name: &str) -> Result<Vec<Row>, BenchError> {
    let area = AREAS.iter().find(|area| area.name == name);
    let unknown = || BenchError::Unknown {
        name: name.to_owned(),
        known: AREAS.iter().map(|area| area.name).collect::<Vec<_>>().join(", "),
    };
    (area.ok_or_else(unknown)?.measure)()
}

fn list(format: Format) -> Result<String, BenchError> {
    let line = |area: &Area| match format {
        Format::Human => Ok(format!("{:<12} {}\n", area.name, area.summary)),
        Format::Json => {
            let line = serde_json::json!({ "area": area.name, "summary": area.summary });
            Ok(format!("{}\n", serde_json::to_string(&line)?))
        }
    };
    AREAS.iter().map(line).collect()
}

fn to_lines(rows: &[Row]) -> Result<String, BenchError> {
    rows.iter().map(|row| Ok(format!("{}\n", serde_json::to_string(row)?))).collect()
}

fn to_table(rows: &[Row], width: u16) -> String {
    let header = ["measured", "value", "unit", "reference", "value", "ratio", "bar", "met"];
    let cells = |row: &Row| {
        let met = if row.meets_bar { "yes" } else { "NO" };
        vec![
            row.name.to_owned(),
            format!("{:.3}", row.value),
            row.unit.to_owned(),
            row.reference.name.to_owned(),
            format!("{:.3}", row.reference.value),
            format!("{:.3}", row.ratio),
            format!("≤ {}", row.bar),
            met.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    output::table(&header, &rows, width)
}
