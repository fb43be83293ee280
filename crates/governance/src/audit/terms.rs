//! What the founders agreed on, shown at the head of a report: a weak policy that is well signed passes every
//! check, so the reader must see it.

use core::fmt;
use std::collections::BTreeSet;

use federation_proto::entry::AggregationRule;
use federation_proto::genesis::{Configuration, Thresholds};
use federation_proto::quorum;

use crate::artifact::rule_text;
use crate::policy::Policy;

/// Committee, thresholds and aggregation of a federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Validators, n.
    pub validators: usize,
    /// Validators that may lie, f.
    pub faulty: usize,
    /// Votes that decide, q.
    pub quorum: usize,
    /// Distinct organisations of the validators.
    pub validator_organisations: usize,
    /// Governors; each is of another organisation.
    pub governors: usize,
    /// How many governors must agree on what.
    pub thresholds: Thresholds,
    /// How updates become one; `None` when there is no policy that the genesis pins.
    pub aggregation: Option<AggregationTerms>,
}

/// How updates become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationTerms {
    /// The rule with its parameter.
    pub rule: AggregationRule,
    /// Oldest base that counts, in epochs.
    pub max_staleness: u8,
    /// Fewest organisations whose updates make a cut.
    pub minimum_organisations: u32,
}

impl Terms {
    /// The terms of a configuration and, if there is one, of the policy that it pins.
    pub(super) fn new(configuration: &Configuration, policy: Option<&Policy>) -> Self {
        let validators = &configuration.validators;
        let organisations: BTreeSet<_> = validators.iter().map(|one| &one.organisation).collect();
        let n = validators.len();
        Self {
            validators: n,
            faulty: quorum::max_faulty(n),
            quorum: quorum::quorum(n),
            validator_organisations: organisations.len(),
            governors: configuration.governors.len(),
            thresholds: configuration.thresholds,
            aggregation: policy.map(|policy| AggregationTerms {
                rule: policy.rule(),
                max_staleness: policy.document().aggregation.max_staleness,
                minimum_organisations: policy.document().epoch.minimum_organisations,
            }),
        }
    }
}

impl AggregationTerms {
    /// The rule as the plan names it, with its parameter.
    pub fn rule_text(&self) -> String {
        rule_text(self.rule)
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { validators, faulty, quorum, validator_organisations, governors, .. } = self;
        let Thresholds { document, admission, apply } = self.thresholds;
        write!(
            f,
            "Committee: n={validators} f={faulty} q={quorum}, {validator_organisations} validator \
             organisations; thresholds: document {document}, admission {admission}, apply {apply} of \
             {governors} governors; aggregation: "
        )?;
        match &self.aggregation {
            Some(aggregation) => aggregation.fmt(f),
            None => f.write_str("unknown, no policy that the genesis pins"),
        }
    }
}

impl fmt::Display for AggregationTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_staleness, minimum_organisations, .. } = self;
        let rule = self.rule_text();
        write!(
            f,
            "{rule} of at least {minimum_organisations} organisations, staleness at most {max_staleness}"
        )
    }
}
