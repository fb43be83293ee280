//! The offline audit: recomputes everything, believes nothing.
//!
//! ```text
//! load ─▶ genesis, roster, rules ─▶ blocks and votes ─▶ replay ─▶ expectations ─▶ compare
//!         (root of trust)                                          plan, anchors, log, manifest
//! ```
//!
//! The root of trust endorses the genesis, the genesis names roster and policy, the roster's votes certify
//! the ledger, and everything else follows from the ledger by the same code that validators run. A check
//! that fails never stops another that can still run; one that cannot run says so and is no pass.
//!
//! No I/O happens here: an edge loads the files (and reports what it could not load) and shows the report.

mod alignment;
mod anchors;
mod checks;
mod governance;
mod ground;
mod ledger;
mod log_keys;
mod manifest;
mod plan;
mod report;
mod terms;
mod updates;
mod votes;

#[cfg(test)]
mod tests;

use federation_proto::Digest;
use meta_core::genome::GenomeSchema;
use thiserror::Error;

pub use checks::{Check, PERMITTED_GAPS};
pub use log_keys::{GenesisRefused, LogKeys};
pub use report::{CANNOT_DECIDE, CheckLine, Finding, Report, Verdict};
pub use terms::{AggregationTerms, Terms};

use self::report::{Place, Results};
use crate::artifact::evaluation::EvaluationDifference;
use crate::artifact::{self, LoadedArtifacts};
use crate::trust::RootOfTrust;

/// What the caller of an audit decides.
#[derive(Clone, Debug, Default)]
pub struct AuditOptions {
    /// Genome schemas that this verifier knows; the genesis pins one of them.
    pub schemas: Vec<GenomeSchema>,
    /// A head that the caller saw before: the ledger must extend it.
    pub expect_head: Option<ExpectedHead>,
    /// Whether any gap is a failure.
    pub strict: bool,
    /// Whether a synthetic root of trust is a failure.
    pub require_live: bool,
}

/// A log head seen before, written `SIZE:ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedHead {
    /// Blocks.
    pub size: u64,
    /// RFC 6962 root, hexadecimal in text.
    pub root: Digest,
}

/// Why a text is no expected head.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is not SIZE:ROOT with a decimal size and 64 lowercase hexadecimal characters")]
pub struct ExpectedHeadError {
    /// The text.
    pub text: String,
}

impl core::str::FromStr for ExpectedHead {
    type Err = ExpectedHeadError;

    fn from_str(text: &str) -> Result<Self, ExpectedHeadError> {
        let parse = || {
            let (size, root) = text.split_once(':')?;
            Some(Self { size: size.parse().ok()?, root: root.parse().ok()? })
        };
        parse().ok_or_else(|| ExpectedHeadError { text: text.to_owned() })
    }
}

/// Audits a run.
pub fn audit(set: &LoadedArtifacts, trust: &RootOfTrust, options: &AuditOptions) -> Report {
    let mut results = Results::default();
    let found = &mut results;
    manifest::check_loading(set, found);
    let documents = ground::read_documents(set, found);
    let ground = ground::establish(&documents, trust, options, found);
    manifest::check_manifest(set, &documents, ground.as_ref(), found);
    let Some(ground) = ground else {
        check_evaluation(&documents, None, found);
        found.block(ledger::NEED_GENESIS, "no usable genesis: nothing says who must have signed");
        return results.into_report(trust, None, options.strict);
    };
    let chain = ledger::read(set, &ground, found);
    let mut book = votes::VoteBook::default();
    let certified = votes::check_blocks(&chain, &ground, &mut book, found);
    let replayed = ledger::replay(&chain, &ground, found);
    let plan = documents.plan.as_ref();
    let passed = votes::check_plan(plan, &ground, certified, &mut book, found);
    if let Some(replayed) = &replayed {
        let replay = &replayed.replay;
        let blobs = updates::read_blobs(set, found);
        updates::check_updates(replay, &blobs, found);
        alignment::check_aggregates(replay, &blobs, found);
        alignment::check_sessions(replay, &ground, found);
        governance::check_log(set, &ground, replay, found);
        if replayed.complete {
            manifest::check_complete(set, replay, found);
        }
    } else {
        found.block(ledger::NEED_REPLAY, "the ledger cannot be replayed without roster and policy");
    }
    let replay = replayed.as_ref().map(|replayed| &replayed.replay);
    let mut heads = anchors::check(set, &chain, &ground, replay, found);
    heads.extend(plan.into_iter().flat_map(plan::heads));
    ledger::check_heads(&chain, &documents, heads, options, found);
    plan::check(&documents, &chain, &ground, replayed.as_ref(), passed, found);
    check_evaluation(&documents, replayed.as_ref(), found);
    results.into_report(trust, Some(ground.terms()), options.strict)
}

/// The figures are signed with the manifest; nothing in the ledger lets an auditor measure again. How many
/// epochs they come after, the ledger says.
fn check_evaluation(
    documents: &ground::Documents,
    replayed: Option<&ledger::Replayed>,
    found: &mut Results,
) {
    let place = Place::file(artifact::EVALUATION);
    if let Some(evaluation) = &documents.evaluation {
        found.pass(Check::EvaluationAttested);
        if let Some(EvaluationDifference { field, expected, found: got }) =
            evaluation.first_difference()
        {
            found.fail(Check::EvaluationAttested, &Place::at(&place.file, field), expected, got);
        }
        if let Some(replayed) = replayed.filter(|replayed| replayed.complete) {
            let applied = replayed.replay.epochs.len() as u64;
            found.same(
                Check::EvaluationAttested,
                &place.below("epochs"),
                &applied,
                &evaluation.epochs,
            );
        }
        let note = "consistent in itself and signed by the artifact key; the measured costs are not recomputed";
        found.note(Check::EvaluationAttested, note);
    } else {
        found.fail(Check::EvaluationAttested, &place, "a readable evaluation", "none");
    }
}
