//! `compliance`: reads a run, has it audited, shows the report.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use governance::artifact::{LoadProblemKind, LoadedArtifacts, MANIFEST};
use governance::audit::{AuditOptions, Report, Terms, Verdict, audit};
use meta_core::genome::SchemaError;
use meta_core::workload::coloring;
use serde_json::{Value, json};

use crate::cli::{ComplianceArgs, Format, Phase};
use crate::failure::Failure;
use crate::load::load;
use crate::output;
use crate::trust;
use crate::workspace;

pub(crate) fn run(args: &ComplianceArgs) -> Result<ExitCode, Failure> {
    let Phase::M5 = args.phase;
    let trust = trust::root_of_trust(args.root_of_trust.as_deref())?;
    let root = args.artifacts.clone().unwrap_or_else(workspace::artifacts);
    check_root(&root)?;
    let set = load(&root)?;
    if holds_no_run(&set) {
        output::note(&format!(
            "{}: no {MANIFEST}, so no run to audit; `cargo xtask simulate` makes one",
            workspace::shown(&root)
        ));
    }
    let options = AuditOptions {
        schemas: known_schemas()?,
        expect_head: args.expect_head,
        strict: args.strict,
        require_live: args.require_live,
    };
    let report = audit(&set, &trust, &options);
    let text = match args.format {
        Format::Human => report.to_string(),
        Format::Json => to_json(&report, &root),
    };
    output::write(&text).map_err(Failure::ReportOutput)?;
    Ok(ExitCode::from(report.exit_code()))
}

/// A mistyped path is said in one line, not in a report of fifty failures.
pub(crate) fn check_root(root: &Path) -> Result<(), Failure> {
    let reason = match fs::metadata(root) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "is not a directory",
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => "does not exist",
        // The loader says what this machine cannot do.
        Err(_) => return Ok(()),
    };
    Err(Failure::NoArtifacts { path: workspace::shown(root), reason })
}

/// Whether there is nothing to audit, rather than something that is wrong.
fn holds_no_run(set: &LoadedArtifacts) -> bool {
    let foreign = |kind: &LoadProblemKind| *kind == LoadProblemKind::Foreign;
    !set.files.contains_key(MANIFEST) && set.problems.iter().all(|problem| foreign(&problem.kind))
}

/// The genome schemas of the workloads that ship; a genesis that pins another one cannot be replayed here.
fn known_schemas() -> Result<Vec<meta_core::genome::GenomeSchema>, SchemaError> {
    Ok(vec![coloring::schema()?])
}

/// What the founders agreed on.
fn terms_value(terms: &Terms) -> Value {
    let aggregation = terms.aggregation.map(|aggregation| {
        json!({
            "rule": aggregation.rule_text(),
            "max_staleness": aggregation.max_staleness,
            "minimum_organisations": aggregation.minimum_organisations,
        })
    });
    json!({
        "n": terms.validators,
        "f": terms.faulty,
        "q": terms.quorum,
        "validator_organisations": terms.validator_organisations,
        "governors": terms.governors,
        "document_threshold": terms.thresholds.document,
        "admission_threshold": terms.thresholds.admission,
        "apply_threshold": terms.thresholds.apply,
        "aggregation": aggregation,
    })
}

/// The report as one document, with everything that the text says.
fn to_json(report: &Report, root: &Path) -> String {
    let checks: Vec<Value> = report
        .checks()
        .iter()
        .map(|line| {
            json!({
                "id": line.check.id(),
                "row": line.check.row(),
                "verdict": line.verdict.to_string(),
                "compared": line.compared.to_string(),
                "failed": line.failed.to_string(),
                "note": line.note,
            })
        })
        .collect();
    let findings: Vec<Value> = report
        .findings()
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check.id(),
                "file": finding.file,
                "at": finding.at,
                "expected": finding.expected,
                "found": finding.found,
            })
        })
        .collect();
    let not_covered: Vec<&str> =
        report.with(Verdict::NotCovered).map(|line| line.check.id()).collect();
    let document = json!({
        "schema": "prism-federation/compliance",
        "schema_version": 1,
        "phase": "M5",
        "artifacts": root.to_string_lossy(),
        "root_of_trust": report.root_of_trust(),
        "terms": report.terms().map(terms_value),
        "passed": report.passed(),
        "exit_code": report.exit_code(),
        "checks": checks,
        "findings": findings,
        "not_covered": not_covered,
    });
    format!("{document:#}\n")
}
