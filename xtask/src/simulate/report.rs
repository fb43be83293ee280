//! What a finished run says for itself.

use std::fmt::Write as _;
use std::path::Path;

use governance::artifact::EvaluationRow;
use serde_json::{Value, json};
use simulator::SimulationRun;

use crate::output;
use crate::publish::Outcome;
use crate::workspace;

/// Everything there is to say.
#[derive(Debug)]
pub(super) struct Report<'r> {
    pub(super) run: &'r SimulationRun,
    pub(super) scenario: &'r str,
    pub(super) seed: u64,
    /// Where the artifacts are, as people know the place.
    pub(super) place: &'r Path,
    pub(super) outcome: Outcome,
}

impl Report<'_> {
    /// The command that audits exactly what was written.
    pub(super) fn compliance_command(&self) -> String {
        let command = "cargo xtask compliance --phase M5";
        if self.place == workspace::artifacts() {
            return command.to_owned();
        }
        format!("{command} --artifacts {}", workspace::quoted(self.place))
    }

    /// For people.
    pub(super) fn to_text(&self, width: u16) -> String {
        let mut text = format!("Scenario {}, seed {}\n\n", self.scenario, self.seed);
        for epoch in &self.run.epochs {
            let _ = writeln!(
                text,
                "epoch {}: {} updates aligned, {} discarded, aggregate {}",
                epoch.epoch, epoch.aligned, epoch.discarded, epoch.aggregated_hash
            );
        }
        for view in &self.run.views {
            let _ = writeln!(
                text,
                "view {}: primary {} since {} ms of logical time",
                view.view, view.primary, view.since
            );
        }
        let _ = write!(
            text,
            "\nHeld-out cost in permille of the published TabuCol default (lower is better)\n{}\n{}\n\n",
            self.table(width),
            self.run.evaluation.sentence
        );
        let _ = writeln!(
            text,
            "{} frames, {} bytes and {} ms of logical time; trace {}",
            self.run.frames, self.run.bytes, self.run.logical_time, self.run.trace
        );
        let place = workspace::shown(self.place);
        let _ = match self.outcome {
            Outcome::Unchanged => {
                writeln!(text, "{place} holds exactly this run already: nothing was written")
            }
            Outcome::Written { files, removed: 0 } => {
                writeln!(text, "{files} files written to {place}")
            }
            Outcome::Written { files, removed } => {
                writeln!(
                    text,
                    "{files} files written to {place}, {removed} of the run before removed"
                )
            }
        };
        let _ = writeln!(text, "Audit it: {}", self.compliance_command());
        text
    }

    /// Genomes down; across, their mean and their families. A narrow terminal shows only the means.
    fn table(&self, width: u16) -> String {
        let rows = &self.run.evaluation.rows;
        let families = rows.first().map(|row| row.families.as_slice()).unwrap_or_default();
        // A blank lets a name wrap: eight families then fit into the 100 columns of a pipe.
        let names: Vec<String> =
            families.iter().map(|cost| cost.family.replace('_', " ")).collect();
        let names = names.iter().map(String::as_str);
        let header: Vec<&str> = ["genome", "all families"].into_iter().chain(names).collect();
        let line = |row: &EvaluationRow| -> Vec<String> {
            let costs = row.families.iter().map(|cost| cost.cost_permille);
            let costs = [row.cost_permille].into_iter().chain(costs).map(|cost| cost.to_string());
            [row.label.clone()].into_iter().chain(costs).collect()
        };
        let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
        if output::narrowest(&header, &lines) <= width {
            return output::table(&header, &lines, width);
        }
        let means = lines.into_iter().map(|line| line.into_iter().take(2).collect());
        output::table(&["genome", "all families"], &means.collect::<Vec<_>>(), width)
    }

    /// For programs: one document. 64-bit integers are strings, as in the artifacts.
    pub(super) fn to_json(&self) -> String {
        let epochs: Vec<Value> = self
            .run
            .epochs
            .iter()
            .map(|epoch| {
                json!({
                    "epoch": epoch.epoch.to_string(),
                    "aligned": epoch.aligned,
                    "discarded": epoch.discarded,
                    "aggregated_update_hash": epoch.aggregated_hash.to_string(),
                    "state_hash": epoch.state_hash.to_string(),
                })
            })
            .collect();
        let views = self.run.views.iter().map(|view| {
            json!({
                "view": view.view.to_string(),
                "primary": view.primary.as_str(),
                "since_ms": view.since.to_string(),
            })
        });
        let views: Vec<Value> = views.collect();
        let (files_written, files_removed) = match self.outcome {
            Outcome::Unchanged => (0, 0),
            Outcome::Written { files, removed } => (files, removed),
        };
        let document = json!({
            "schema": "prism-federation/simulate",
            "schema_version": 1,
            "scenario": self.scenario,
            "seed": self.seed.to_string(),
            "epochs": epochs,
            "views": views,
            "evaluation": self.run.evaluation,
            "network": {
                "frames": self.run.frames.to_string(),
                "bytes": self.run.bytes.to_string(),
                "logical_ms": self.run.logical_time.to_string(),
                "trace": self.run.trace.to_string(),
            },
            "artifacts": {
                "directory": self.place.to_string_lossy(),
                "files": self.run.artifacts.len(),
                "files_written": files_written,
                "files_removed": files_removed,
            },
            "compliance": self.compliance_command(),
        });
        format!("{document:#}\n")
    }
}
