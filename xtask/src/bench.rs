//! `bench`: one area at a time, each row beside a reference measured in the same process.

mod area_consensus;
mod area_ledger;
mod area_proto;
mod area_simulate;
mod cpu;
mod memory;
mod rounds;

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
const AREAS: [Area; 4] = [
    Area {
        name: "simulate",
        summary: "CPU time of the federation beside the workload it carries",
        measure: area_simulate::measure,
    },
    Area {
        name: "proto",
        summary: "envelopes beside the Ed25519 primitive on a message of the same length",
        measure: area_proto::measure,
    },
    Area {
        name: "ledger",
        summary: "the history tree beside other implementations, the durable ledger beside plain redb",
        measure: area_ledger::measure,
    },
    Area {
        name: "consensus",
        summary: "CPU time of all replicas a block beside the signatures it needs",
        measure: area_consensus::measure,
    },
];

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
    pub(crate) name: String,
    /// The value.
    pub(crate) value: f64,
    /// The smallest of the rounds, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) least: Option<f64>,
    /// Unit of value and reference.
    pub(crate) unit: &'static str,
    /// What it stands beside, measured in the same run.
    pub(crate) reference: Reference,
    /// Value by reference.
    pub(crate) ratio: f64,
    /// What must not be exceeded; `None` where nothing is promised.
    pub(crate) bar: Option<f64>,
    /// What the bar limits.
    pub(crate) bar_of: BarOf,
    /// Whether the bar is met.
    pub(crate) meets_bar: Option<bool>,
}

/// What a bar limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BarOf {
    /// The value, in its unit.
    Value,
    /// The ratio.
    Ratio,
}

/// A limit or a peer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reference {
    /// What it is.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: f64,
    /// The smallest of the rounds, where there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) least: Option<f64>,
    /// How far the rounds of the reference itself lie apart, 10th to 90th percentile by median: what this
    /// machine's other work adds. A ratio nearer to its bar than this decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) noise: Option<f64>,
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
    /// A measured value cannot be made: a defect of this program.
    #[error("cannot make what is measured: {0}")]
    Subject(String),
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
    const HEADER: [&str; 10] =
        ["measured", "value", "min", "reference", "value", "min", "ratio", "bar", "met", "noise"];
    let number = |value: f64| format!("{value:.2}");
    let cells = |row: &Row| {
        let met = row.meets_bar.map(|met| if met { "yes" } else { "NO" }.to_owned());
        let bar = row.bar.map(|bar| match row.bar_of {
            BarOf::Value => format!("≤ {bar} {}", row.unit),
            BarOf::Ratio => format!("ratio ≤ {bar}"),
        });
        let Reference { name, value, least, noise } = &row.reference;
        let cells = [
            Some(format!("{}, {}", row.name, row.unit)),
            Some(number(row.value)),
            row.least.map(number),
            Some(name.clone()),
            Some(number(*value)),
            least.map(number),
            Some(format!("{:.3}", row.ratio)),
            bar,
            met,
            noise.map(|noise| format!("{:.0} %", noise * 100.0)),
        ];
        cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned())).to_vec()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    output::table(&HEADER, &rows, width)
}
