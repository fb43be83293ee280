//! Evidence about the machine a node runs on, carried opaque: its verifiers live elsewhere.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::bounded::Bytes;
use crate::digest::Digest;
use crate::limits;

/// What a node offers as evidence about its machine. Its hello's
/// [`attestation_binding`](super::FederationHello::attestation_binding) stands in the quote's report data, so
/// that a quote is worthless in another hello.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attestation {
    /// None.
    None,
    /// The digest of what it runs, as it says itself: useful against mistakes, worthless against lies.
    SoftwareMeasurement(Digest),
    /// An Intel TDX quote.
    TdxQuote(Bytes<{ limits::QUOTE }>),
    /// An AMD SEV-SNP attestation report.
    SevSnpReport(Bytes<{ limits::QUOTE }>),
}

/// What a piece of evidence can prove. Quotes of two makers are different things, not more and less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestationLevel {
    /// Nothing.
    None,
    /// What the node says about itself.
    Software,
    /// What a TDX module says about the node.
    Tdx,
    /// What an SEV-SNP processor says about the node.
    SevSnp,
}

impl fmt::Display for AttestationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Software => "software measurement",
            Self::Tdx => "TDX quote",
            Self::SevSnp => "SEV-SNP report",
        })
    }
}

impl Attestation {
    /// What the evidence would prove, were it verified.
    pub const fn level(&self) -> AttestationLevel {
        match self {
            Self::None => AttestationLevel::None,
            Self::SoftwareMeasurement(_) => AttestationLevel::Software,
            Self::TdxQuote(_) => AttestationLevel::Tdx,
            Self::SevSnpReport(_) => AttestationLevel::SevSnp,
        }
    }
}

/// What a federation demands of a node's machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestationDemand {
    /// Nothing.
    #[default]
    None,
    /// At least a software measurement.
    Software,
    /// A quote of secure hardware, of whichever kind.
    Hardware,
}

impl AttestationDemand {
    /// Whether a *proven* level is enough.
    pub const fn is_met_by(self, proven: AttestationLevel) -> bool {
        match self {
            Self::None => true,
            Self::Software => !matches!(proven, AttestationLevel::None),
            Self::Hardware => matches!(proven, AttestationLevel::Tdx | AttestationLevel::SevSnp),
        }
    }
}

impl fmt::Display for AttestationDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Software => "a software measurement",
            Self::Hardware => "a hardware quote",
        })
    }
}
