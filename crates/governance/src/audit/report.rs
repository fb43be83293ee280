//! What an audit found: one verdict a check, with file, place and both values.

use core::fmt;
use std::collections::BTreeMap;

use super::checks::{Check, PERMITTED_GAPS};
use super::terms::Terms;
use crate::trust::RootOfTrust;

/// Most findings kept of one check; the rest is counted.
const MAX_FINDINGS: u64 = 16;

/// Longest value shown, in characters.
const MAX_VALUE_CHARS: usize = 160;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ran and everything held.
    Pass,
    /// Something did not hold.
    Fail,
    /// It could not run, because of something that failed under another check.
    NotRun,
    /// This verifier or the policy does not cover it.
    NotCovered,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// File it is about.
    pub file: String,
    /// JSON pointer, line or other place in the file; empty for the whole file.
    pub at: String,
    /// What had to be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) at: String,
}

impl Place {
    pub(super) fn file(file: &str) -> Self {
        Self { file: file.to_owned(), at: String::new() }
    }

    pub(super) fn at(file: &str, at: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at: at.into() }
    }

    /// A place below this one.
    pub(super) fn below(&self, step: impl fmt::Display) -> Self {
        Self { file: self.file.clone(), at: format!("{}/{step}", self.at) }
    }
}

/// Collects what checks find. Every check counts what it compared: none that compared nothing passes.
#[derive(Debug, Default)]
pub(super) struct Results {
    compared: BTreeMap<Check, u64>,
    failed: BTreeMap<Check, u64>,
    findings: Vec<Finding>,
    blocked: BTreeMap<Check, &'static str>,
    notes: BTreeMap<Check, String>,
}

impl Results {
    /// Something held.
    pub(super) fn pass(&mut self, check: Check) {
        *self.compared.entry(check).or_default() += 1;
    }

    /// Something did not hold.
    pub(super) fn fail(
        &mut self,
        check: Check,
        place: &Place,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) {
        self.pass(check);
        let count = self.failed.entry(check).or_default();
        *count += 1;
        if *count <= MAX_FINDINGS {
            // File names are an author's choice as much as values are.
            let (file, at) = (harmless(&place.file), harmless(&place.at));
            let (expected, found) = (shorten(&expected), shorten(&found));
            self.findings.push(Finding { check, file, at, expected, found });
        }
    }

    /// Compares two values.
    pub(super) fn same<T: PartialEq + fmt::Display>(
        &mut self,
        check: Check,
        place: &Place,
        expected: &T,
        found: &T,
    ) -> bool {
        if expected == found {
            self.pass(check);
        } else {
            self.fail(check, place, expected, found);
        }
        expected == found
    }

    /// Something must hold that has no two values to show.
    pub(super) fn holds(
        &mut self,
        check: Check,
        place: &Place,
        holds: bool,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> bool {
        if holds {
            self.pass(check);
        } else {
            self.fail(check, place, expected, found);
        }
        holds
    }

    /// Some checks cannot run at all, or not to their end.
    pub(super) fn block(&mut self, checks: &[Check], why: &'static str) {
        for check in checks {
            self.blocked.entry(*check).or_insert(why);
        }
    }

    /// A remark on a check that does not change its verdict.
    pub(super) fn note(&mut self, check: Check, note: impl Into<String>) {
        self.notes.insert(check, note.into());
    }

    /// Everything that did not hold, in the order of discovery.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    pub(super) fn into_report(
        self,
        trust: &RootOfTrust,
        terms: Option<Terms>,
        strict: bool,
    ) -> Report {
        let anything_failed = !self.failed.is_empty();
        let line = |check: &Check| {
            let failed = self.failed.get(check).copied().unwrap_or(0);
            let compared = self.compared.get(check).copied().unwrap_or(0);
            let gap = PERMITTED_GAPS.iter().find(|(gap, _)| gap == check);
            let blocked = self.blocked.get(check);
            let (verdict, note) = match (gap, blocked) {
                _ if failed > 0 => (Verdict::Fail, self.notes.get(check).cloned()),
                (Some((_, why)), _) => (Verdict::NotCovered, Some((*why).to_owned())),
                // Not to have run is excused only by what failed.
                (None, Some(why)) if anything_failed => (Verdict::NotRun, Some((*why).to_owned())),
                (None, _) if compared == 0 && anything_failed => {
                    (Verdict::NotRun, Some("nothing was there to compare".to_owned()))
                }
                (None, Some(why)) => (Verdict::Fail, Some((*why).to_owned())),
                (None, None) if compared == 0 => {
                    (Verdict::Fail, Some("nothing was there to compare".to_owned()))
                }
                (None, None) => (Verdict::Pass, self.notes.get(check).cloned()),
            };
            CheckLine { check: *check, verdict, compared, failed, note: note.unwrap_or_default() }
        };
        Report {
            root: trust.statement(),
            terms,
            checks: Check::ALL.iter().map(line).collect(),
            findings: self.findings,
            strict,
        }
    }
}

/// One check's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckLine {
    /// The check.
    pub check: Check,
    /// Its verdict.
    pub verdict: Verdict,
    /// Comparisons made.
    pub compared: u64,
    /// Comparisons that did not hold.
    pub failed: u64,
    /// A remark; why it did not run or is not covered.
    pub note: String,
}

/// A finished audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    root: String,
    terms: Option<Terms>,
    checks: Vec<CheckLine>,
    findings: Vec<Finding>,
    strict: bool,
}

impl Report {
    /// What the audit rests on: the first line of every report.
    pub fn root_of_trust(&self) -> &str {
        &self.root
    }

    /// What the founders agreed on; `None` without a readable genesis. It is the genesis that was given:
    /// whether the root of trust founded it, the checks say.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// Every check in order.
    pub fn checks(&self) -> &[CheckLine] {
        &self.checks
    }

    /// Everything that does not hold, in the order of discovery.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The verdict of a check.
    pub fn verdict(&self, check: Check) -> Verdict {
        let line = self.checks.iter().find(|line| line.check == check);
        line.map_or(Verdict::NotRun, |line| line.verdict)
    }

    /// The checks with a verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &CheckLine> {
        self.checks.iter().filter(move |line| line.verdict == verdict)
    }

    /// Whether the run complies: nothing failed, something passed and, when strict, nothing is uncovered.
    pub fn passed(&self) -> bool {
        let none = |verdict| self.with(verdict).next().is_none();
        let covered = !self.strict || none(Verdict::NotCovered);
        none(Verdict::Fail) && none(Verdict::NotRun) && !none(Verdict::Pass) && covered
    }

    /// Exit code of a command that shows the report: 0 or 1. A verifier that could not even begin (no usable
    /// root of trust) has no report and exits with [`CANNOT_DECIDE`].
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.passed())
    }
}

/// Exit code when the verifier's own inputs are unusable.
pub const CANNOT_DECIDE: u8 = 3;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::NotRun => "NOT RUN",
            Self::NotCovered => "NOT COVERED",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, expected, found, .. } = self;
        let separator = if at.is_empty() { "" } else { " " };
        write!(f, "{file}{separator}{at}: expected {expected}, found {found}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.root)?;
        match &self.terms {
            Some(terms) => writeln!(f, "{terms}")?,
            None => writeln!(f, "Committee: unknown, no usable genesis")?,
        }
        for line in &self.checks {
            let CheckLine { check, verdict, compared, failed, note } = line;
            write!(f, "{verdict:<11}  {:<26} [{}]", check.id(), check.row())?;
            match verdict {
                Verdict::Pass => write!(f, " {compared} compared")?,
                Verdict::Fail => write!(f, " {failed} of {compared} failed")?,
                Verdict::NotRun | Verdict::NotCovered => {}
            }
            let separator = if note.is_empty() { "" } else { " - " };
            writeln!(f, "{separator}{note}")?;
            for finding in self.findings.iter().filter(|finding| finding.check == *check) {
                writeln!(f, "             {finding}")?;
            }
        }
        let count = |verdict| self.with(verdict).count();
        write!(
            f,
            "{}: {} passed, {} failed, {} not run, {} not covered",
            if self.passed() { "PASS" } else { "FAIL" },
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::NotRun),
            count(Verdict::NotCovered),
        )?;
        let mut separator = "; NOT COVERED: ";
        for line in self.with(Verdict::NotCovered) {
            write!(f, "{separator}{} ({})", line.check.id(), line.check.row())?;
            separator = ", ";
        }
        writeln!(f)
    }
}

/// Text of an artifact on one line: nothing of it may steer a terminal or pass for a line of the report.
fn harmless(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "\u{fffd}")
}

fn shorten(value: &impl fmt::Display) -> String {
    let clean = harmless(&value.to_string());
    match clean.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None if clean.is_empty() => "\"\"".to_owned(),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(results: Results, strict: bool) -> Report {
        let trust = RootOfTrust::synthetic().expect("the shipped root");
        results.into_report(&trust, None, strict)
    }

    fn everything_compared() -> Results {
        let mut results = Results::default();
        Check::ALL.iter().for_each(|check| results.pass(*check));
        results
    }

    #[test]
    fn zero_checks_is_no_pass() {
        let empty = report(Results::default(), false);
        assert!(!empty.passed());
        assert_eq!(empty.verdict(Check::Quorum), Verdict::Fail);
        assert_eq!(empty.exit_code(), 1);
    }

    #[test]
    fn gaps_are_listed_and_strict_refuses_them() {
        let lenient = report(everything_compared(), false);
        assert!(lenient.passed());
        let last = lenient.to_string().lines().last().map(str::to_owned).unwrap_or_default();
        assert!(last.contains("zk:proof_valid (D3)") && last.contains("waiver:* (D1)"), "{last}");
        assert!(!report(everything_compared(), true).passed());
    }

    #[test]
    fn what_did_not_run_is_excused_only_by_a_failure() {
        let mut results = everything_compared();
        results.block(&[Check::StateRecomputed], "the ledger does not replay");
        assert_eq!(report(results, false).verdict(Check::StateRecomputed), Verdict::Fail);
        let mut results = everything_compared();
        results.block(&[Check::StateRecomputed], "the ledger does not replay");
        results.fail(Check::Quorum, &Place::at("f", "/x"), 3, 2);
        let report = report(results, false);
        assert_eq!(report.verdict(Check::StateRecomputed), Verdict::NotRun);
        assert_eq!(report.verdict(Check::Quorum), Verdict::Fail);
        assert!(report.to_string().contains("f /x: expected 3, found 2"));
        assert!(!report.passed());
    }

    #[test]
    fn values_cannot_steer_a_terminal_and_are_shortened() {
        let mut results = Results::default();
        let found = "\u{1b}[2J".repeat(200);
        results.fail(Check::Schema, &Place::file("f"), "x", found);
        let report = report(results, false);
        let found = &report.findings()[0].found;
        assert!(!found.contains('\u{1b}') && found.chars().count() <= MAX_VALUE_CHARS + 1);
    }

    #[test]
    fn file_names_cannot_forge_a_line_of_the_report() {
        let mut results = Results::default();
        let name = "mec/M5/a\nPASS: 35 passed, 0 failed\n\u{1b}[2J";
        results.fail(Check::Unlisted, &Place::at(name, "/b\nPASS: c"), "no file", "a file");
        let shown = report(results, false).to_string();
        assert!(!shown.contains('\u{1b}'));
        assert!(!shown.lines().any(|line| line.starts_with("PASS:")), "{shown}");
    }

    #[test]
    fn an_empty_value_is_seen() {
        let mut results = Results::default();
        results.fail(Check::Schema, &Place::file("f"), "x", "");
        assert_eq!(report(results, false).findings()[0].found, "\"\"");
    }

    #[test]
    fn ids_are_unique() {
        let ids: std::collections::BTreeSet<_> =
            Check::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(ids.len(), Check::ALL.len());
    }
}
