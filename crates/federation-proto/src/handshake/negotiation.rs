//! What both sides can do, or every reason why they cannot work together.

use core::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::attestation::{AttestationDemand, AttestationLevel};
use super::hello::FederationHello;
use super::version::{Capability, CapabilityVersion, SoftwareVersion, WireVersions};
use crate::bounded;
use crate::codec::canonical;
use crate::counters::FederatedEpoch;
use crate::digest::Digest;
use crate::ids::{FederationId, SessionId};
use crate::keys::Admission;
use crate::limits;
use crate::name::Name;
use crate::signing::{Domain, Signed, SignedBody};

/// What a federation demands of a hello.
#[derive(Clone, Debug)]
pub struct Requirements<'a> {
    /// This federation.
    pub federation_id: FederationId,
    /// Its committee.
    pub validator_set_hash: Digest,
    /// What it runs.
    pub software_version: SoftwareVersion,
    /// Wire formats it reads and writes.
    pub wire_versions: WireVersions,
    /// Capabilities without which nobody joins, in strictly increasing order of names.
    pub required: &'a [Capability],
    /// Capabilities it uses where a node offers them, in strictly increasing order of names.
    pub optional: &'a [Capability],
    /// What a node's machine must prove.
    pub attestation: AttestationDemand,
}

/// What both sides can do. There is one answer to a hello, so every governor gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The newest wire format of both.
    pub wire_version: u8,
    /// Every required capability and every optional one on offer, in the version the federation speaks.
    pub capabilities: Vec<Capability>,
    /// What is proven about the node's machine.
    pub attested: AttestationLevel,
}

/// One reason why a node cannot join.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Incompatibility {
    /// Another federation.
    #[error("hello is for federation {got}, this is {expected}")]
    Federation {
        /// This federation.
        expected: FederationId,
        /// The one named.
        got: FederationId,
    },
    /// Another committee.
    #[error("hello names validator set {got}, this is {expected}: follow the ledger first")]
    ValidatorSet {
        /// This committee.
        expected: Digest,
        /// The one named.
        got: Digest,
    },
    /// Too far from the current epoch: an old recording, or a node that lags.
    #[error(
        "hello is of epoch {got}, the federation is in epoch {current}: follow the ledger first"
    )]
    Epoch {
        /// The current epoch.
        current: FederatedEpoch,
        /// The one named.
        got: FederatedEpoch,
    },
    /// The software versions break with each other.
    #[error(
        "node runs {got}, the federation runs {expected}: semantic versioning calls them incompatible"
    )]
    Software {
        /// What the federation runs.
        expected: SoftwareVersion,
        /// What the node runs.
        got: SoftwareVersion,
    },
    /// No common wire format.
    #[error("node speaks wire formats {got}, the federation speaks {expected}: none in common")]
    Wire {
        /// What the federation speaks.
        expected: WireVersions,
        /// What the node speaks.
        got: WireVersions,
    },
    /// A required capability is not on offer.
    #[error("required capability {0} is not offered")]
    MissingCapability(Capability),
    /// A required capability is on offer in a version that does not serve.
    #[error("required capability {required} is offered as {name}@{offered}, which does not serve it", name = required.name)]
    CapabilityVersion {
        /// What is needed.
        required: Capability,
        /// What is on offer.
        offered: CapabilityVersion,
    },
    /// The capabilities are not in strictly increasing order of names.
    #[error("capability {0} is out of order or repeated")]
    CapabilityOrder(Name),
    /// Too many capabilities.
    #[error("{got} capabilities, the limit is {}", limits::CAPABILITIES)]
    TooManyCapabilities {
        /// How many.
        got: u32,
    },
    /// The node's machine does not prove enough.
    #[error("the federation demands {demanded}, proven is: {proven} (offered: {offered})")]
    Attestation {
        /// What is demanded.
        demanded: AttestationDemand,
        /// What the hello offers.
        offered: AttestationLevel,
        /// What was proven.
        proven: AttestationLevel,
    },
    /// The hello follows another session than the node's last one on the ledger.
    #[error(
        "hello follows session {got}, the node's last one is {expected}: follow the ledger first"
    )]
    PreviousSession {
        /// The last session on the ledger.
        expected: SessionId,
        /// The one named.
        got: SessionId,
    },
}

/// Every reason at once, so that an operator mends all of them in one go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncompatibilityReport(#[serde(deserialize_with = "reasons")] Vec<Incompatibility>);

/// A refusal without a reason would tell an operator nothing.
fn reasons<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Incompatibility>, D::Error> {
    let reasons = bounded::list::<_, _, { limits::REASONS }>(deserializer)?;
    if reasons.is_empty() {
        Err(D::Error::custom("a report without a reason"))
    } else {
        Ok(reasons)
    }
}

impl IncompatibilityReport {
    /// The report with one more reason.
    pub(super) fn with(mut self, reason: Incompatibility) -> Self {
        self.0.push(reason);
        self
    }

    /// The reasons, at least one.
    pub fn reasons(&self) -> &[Incompatibility] {
        &self.0
    }
}

impl From<Incompatibility> for IncompatibilityReport {
    fn from(reason: Incompatibility) -> Self {
        Self(vec![reason])
    }
}

impl fmt::Display for IncompatibilityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, reason) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl core::error::Error for IncompatibilityReport {}

/// One governor's reasons for refusing a hello. It informs the operator; a node acts on nothing less than an
/// accept of m governors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationRefusal {
    /// The hello that is answered.
    pub hello_hash: Digest,
    /// The epoch of the answer.
    pub epoch: FederatedEpoch,
    /// Why.
    pub report: IncompatibilityReport,
}

canonical! {
    FederationRefusal => limits::ACCEPT,
    Signed<FederationRefusal> => limits::ACCEPT,
}

impl SignedBody for FederationRefusal {
    const DOMAIN: Domain = Domain::Refusal;
    type Role = Admission;
}

/// Whether capabilities stand in their one order; names the first that does not.
pub(super) fn check_order(capabilities: &[Capability]) -> Result<(), Incompatibility> {
    let unordered = capabilities.windows(2).find_map(|pair| match pair {
        [a, b] if a.name >= b.name => Some(b.name.clone()),
        _ => None,
    });
    unordered.map_or(Ok(()), |name| Err(Incompatibility::CapabilityOrder(name)))
}

impl Requirements<'_> {
    /// Checks a hello's content against the current epoch and negotiates. `proven` is what the caller itself
    /// verified about the node's machine; evidence that nobody verified proves nothing.
    pub fn negotiate(
        &self,
        hello: &FederationHello,
        current: FederatedEpoch,
        proven: AttestationLevel,
    ) -> Result<Negotiated, IncompatibilityReport> {
        let mut reasons = Vec::new();
        let (expected, got) = (self.federation_id, hello.federation_id);
        if got != expected {
            reasons.push(Incompatibility::Federation { expected, got });
        }
        let (expected, got) = (self.validator_set_hash, hello.validator_set_hash);
        if got != expected {
            reasons.push(Incompatibility::ValidatorSet { expected, got });
        }
        // One epoch either way: the border may pass while the hello is under way, at either end.
        if hello.federated_epoch.get().abs_diff(current.get()) > 1 {
            reasons.push(Incompatibility::Epoch { current, got: hello.federated_epoch });
        }
        let (expected, got) = (self.software_version, hello.software_version);
        if !expected.is_compatible_with(&got) {
            reasons.push(Incompatibility::Software { expected, got });
        }
        let (expected, got) = (self.wire_versions, hello.wire_versions);
        let wire_version = expected.newest_common(&got);
        if wire_version.is_none() {
            reasons.push(Incompatibility::Wire { expected, got });
        }
        let capabilities = self.take_capabilities(hello, &mut reasons);
        let (demanded, offered) = (self.attestation, hello.attestation.level());
        // Nothing that was not offered can have been proven.
        let attested = if proven == offered { proven } else { AttestationLevel::None };
        if !demanded.is_met_by(attested) {
            reasons.push(Incompatibility::Attestation { demanded, offered, proven });
        }
        match wire_version {
            Some(wire_version) if reasons.is_empty() => {
                Ok(Negotiated { wire_version, capabilities, attested })
            }
            _ => Err(IncompatibilityReport(reasons)),
        }
    }

    /// All of what is required and what is optional and on offer, in the federation's versions.
    fn take_capabilities(
        &self,
        hello: &FederationHello,
        reasons: &mut Vec<Incompatibility>,
    ) -> Vec<Capability> {
        let offered = &hello.supported_capabilities;
        if offered.len() > limits::CAPABILITIES {
            let got = u32::try_from(offered.len()).unwrap_or(u32::MAX);
            reasons.push(Incompatibility::TooManyCapabilities { got });
            return Vec::new();
        }
        if let Err(reason) = check_order(offered) {
            reasons.push(reason);
            return Vec::new();
        }
        let version_of = |name: &Name| {
            offered.iter().find(|capability| capability.name == *name).map(|found| found.version)
        };
        for required in self.required {
            match version_of(&required.name) {
                None => reasons.push(Incompatibility::MissingCapability(required.clone())),
                Some(offered) if !offered.serves(&required.version) => {
                    let required = required.clone();
                    reasons.push(Incompatibility::CapabilityVersion { required, offered });
                }
                Some(_) => {}
            }
        }
        let useful = |wanted: &&Capability| {
            version_of(&wanted.name).is_some_and(|offered| offered.serves(&wanted.version))
        };
        let optional = self.optional.iter().filter(useful);
        let mut taken: Vec<_> = self.required.iter().chain(optional).cloned().collect();
        taken.sort();
        taken.dedup_by(|a, b| a.name == b.name);
        taken
    }
}
