//! The policy document: what every node of the federation obeys.
//!
//! `policy.toml` is hashed over its exact bytes; that digest is the `policy_hash` of the configuration, of
//! every accept and of every epoch. Parsing is strict: an unknown field is an error, not a surprise.

use federation_proto::entry::AggregationRule;
use federation_proto::handshake::Capability;
use federation_proto::{Digest, HashDomain, Name, limits};
use meta_core::meta::federated::MAX_STALENESS;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The shipped policy of the built-in scenarios.
pub const BASELINE_POLICY: &str = include_str!("../policies/baseline.toml");

/// Largest policy file in bytes.
pub const MAX_POLICY_BYTES: usize = 64 << 10;

/// A policy as written. [`Policy::parse`] makes the checked form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Format version, 1.
    pub schema_version: u32,
    /// Readable name.
    pub name: Name,
    /// Who may join.
    pub admission: AdmissionPolicy,
    /// When an epoch opens and closes.
    pub epoch: EpochPolicy,
    /// How updates become one.
    pub aggregation: AggregationPolicy,
    /// What updates must prove.
    pub proof: ProofPolicy,
    /// Who may read payloads.
    pub payload: PayloadPolicy,
    /// Ordering.
    pub consensus: ConsensusPolicy,
}

/// Who may join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionPolicy {
    /// Capabilities without which nobody joins, as `name@major.minor`, in strictly increasing order of names.
    pub required_capabilities: Vec<Capability>,
    /// Epochs a session lasts.
    pub session_epochs: u64,
    /// How long the first epoch waits for expected sites, in milliseconds of agreed time.
    pub join_window_ms: u64,
}

/// When an epoch opens and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochPolicy {
    /// Milliseconds of agreed time after which a cut no longer waits for absent sites.
    pub window_ms: u64,
    /// A backup refuses a cut that leaves out a commitment it has held for this many milliseconds.
    pub commitment_grace_ms: u64,
    /// Fewest organisations whose updates make a cut.
    pub minimum_organisations: u32,
    /// Most commitments of one node that wait for one cut.
    pub maximum_commitments_per_node: u32,
}

/// How updates become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregationPolicy {
    /// The robust rule.
    pub rule: RuleName,
    /// Lying organisations the rule tolerates (0 for `mean` and `median`).
    pub trim: u16,
    /// Oldest base that counts, in epochs.
    pub max_staleness: u8,
}

/// Names of the robust rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// Arithmetic mean.
    Mean,
    /// Coordinate-wise median.
    Median,
    /// Trimmed mean.
    TrimmedMean,
    /// Nearest-neighbour mixing, then trimmed mean.
    NnmTrimmedMean,
}

/// What updates must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofPolicy {
    /// The demanded tier.
    pub requirement: ProofRequirement,
}

/// Proof tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofRequirement {
    /// No proof: compliance reports the proof rows as NOT COVERED.
    None,
}

/// Who may read payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadPolicy {
    /// Confidentiality of payloads on their way.
    pub confidentiality: Confidentiality,
}

/// Payload confidentiality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidentiality {
    /// Validators, auditors and whoever relays see the deltas (never the workloads).
    Clear,
}

/// Ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsensusPolicy {
    /// Largest difference between a proposal's time and a backup's clock, in milliseconds.
    pub max_clock_drift_ms: u64,
    /// A checkpoint at least every so many blocks (and at every step of the epoch machine).
    pub checkpoint_interval: u64,
}

/// A checked policy with the digest of its exact bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    document: PolicyDocument,
    digest: Digest,
    source: String,
}

/// Why a policy is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Too long.
    #[error("policy has {length} bytes, the limit is {MAX_POLICY_BYTES}")]
    TooLarge {
        /// Its length.
        length: usize,
    },
    /// Not UTF-8.
    #[error("policy is not UTF-8 text")]
    NotText,
    /// Not TOML of this shape; the reason names line and field.
    #[error("policy: {0}")]
    Malformed(String),
    /// Another format version.
    #[error("policy schema_version {0} is not supported (1 is)")]
    Version(u32),
    /// A value outside its range.
    #[error("policy {field} is {value}, must be {expected}")]
    Range {
        /// Dotted name of the field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// Capabilities out of order.
    #[error("policy admission.required_capabilities is not sorted without repetition")]
    CapabilityOrder,
}

impl Policy {
    /// Parses and checks the exact bytes of a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge { length: bytes.len() });
        }
        let source = core::str::from_utf8(bytes).map_err(|_| PolicyError::NotText)?;
        let document: PolicyDocument = toml::from_str(source)
            .map_err(|cause| PolicyError::Malformed(toml_error(source, &cause)))?;
        document.check()?;
        let digest = Digest::of(HashDomain::Policy, bytes);
        Ok(Self { document, digest, source: source.to_owned() })
    }

    /// The content.
    pub fn document(&self) -> &PolicyDocument {
        &self.document
    }

    /// Digest of the exact bytes: `policy_hash` everywhere.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The exact text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The aggregation rule with its parameters.
    pub fn rule(&self) -> AggregationRule {
        let AggregationPolicy { rule, trim, .. } = self.document.aggregation;
        match rule {
            RuleName::Mean => AggregationRule::Mean,
            RuleName::Median => AggregationRule::Median,
            RuleName::TrimmedMean => AggregationRule::TrimmedMean { trim },
            RuleName::NnmTrimmedMean => AggregationRule::NnmTrimmedMean { trim },
        }
    }
}

/// A TOML error on one line: place, the key that stands there, and the reason.
pub fn toml_error(source: &str, cause: &toml::de::Error) -> String {
    let shown = cause.to_string();
    let place = shown.lines().next().unwrap_or_default();
    let before = cause.span().and_then(|span| source.get(..span.start)).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) => format!("{place}, field {}: {}", key.trim(), cause.message()),
        None => format!("{place}: {}", cause.message()),
    }
}

impl PolicyDocument {
    fn check(&self) -> Result<(), PolicyError> {
        if self.schema_version != 1 {
            return Err(PolicyError::Version(self.schema_version));
        }
        if !self.admission.required_capabilities.is_sorted_by(|a, b| a.name < b.name) {
            return Err(PolicyError::CapabilityOrder);
        }
        let trimming =
            matches!(self.aggregation.rule, RuleName::TrimmedMean | RuleName::NnmTrimmedMean);
        let trim = u64::from(self.aggregation.trim);
        let ranges = [
            (
                "admission.required_capabilities",
                self.admission.required_capabilities.len() as u64,
                0,
                limits::CAPABILITIES as u64,
                "at most 64 of them",
            ),
            ("admission.session_epochs", self.admission.session_epochs, 1, u64::MAX, ">= 1"),
            ("epoch.window_ms", self.epoch.window_ms, 1, u64::MAX, ">= 1"),
            (
                "epoch.minimum_organisations",
                u64::from(self.epoch.minimum_organisations),
                1,
                16_384,
                "1..=16384",
            ),
            (
                "epoch.maximum_commitments_per_node",
                u64::from(self.epoch.maximum_commitments_per_node),
                1,
                64,
                "1..=64",
            ),
            (
                "aggregation.max_staleness",
                u64::from(self.aggregation.max_staleness),
                0,
                u64::from(MAX_STALENESS),
                "0..=15",
            ),
            (
                "consensus.checkpoint_interval",
                self.consensus.checkpoint_interval,
                1,
                1024,
                "1..=1024",
            ),
        ];
        for (field, value, least, most, expected) in ranges {
            if value < least || value > most {
                return Err(PolicyError::Range { field, value, expected });
            }
        }
        if !trimming && trim != 0 {
            let expected = "0 for a rule that does not trim";
            return Err(PolicyError::Range { field: "aggregation.trim", value: trim, expected });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::BASELINE_POLICY as BASELINE;
    use super::*;

    #[test]
    fn the_baseline_policy_parses_and_its_digest_covers_every_byte() {
        let policy = Policy::parse(BASELINE.as_bytes()).expect("the shipped policy");
        let longer = format!("{BASELINE}\n");
        let other = Policy::parse(longer.as_bytes()).expect("a trailing newline is still TOML");
        assert_eq!(policy.document(), other.document());
        assert_ne!(policy.digest(), other.digest());
    }

    #[test]
    fn errors_name_field_and_line() {
        let unknown = BASELINE.replace("window_ms", "windows_ms");
        let error = Policy::parse(unknown.as_bytes()).expect_err("unknown field").to_string();
        assert!(error.contains("windows_ms") && error.contains("line"), "{error}");
        let staleness = BASELINE.replace("max_staleness = 3", "max_staleness = 99");
        assert!(matches!(
            Policy::parse(staleness.as_bytes()),
            Err(PolicyError::Range { field: "aggregation.max_staleness", value: 99, .. })
        ));
        let version = BASELINE.replace("schema_version = 1", "schema_version = 2");
        assert_eq!(Policy::parse(version.as_bytes()), Err(PolicyError::Version(2)));
        let rule = BASELINE.replace("\"nnm_trimmed_mean\"", "\"mean\"");
        assert!(matches!(
            Policy::parse(rule.as_bytes()),
            Err(PolicyError::Range { field: "aggregation.trim", .. })
        ));
    }
}
