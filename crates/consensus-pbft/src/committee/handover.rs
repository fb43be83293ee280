//! Handovers: how a committee names the one that follows it, for whoever knows the first one only.
//!
//! ```text
//! genesis ─▶ committee 0 ──▶ committee 1 ──▶ committee 2 …
//!                 │ q signatures   │ q signatures
//!                 └ border 1, next └ border 2, next
//! ```

use federation_proto::codec::Canonical;
use federation_proto::genesis::{Agreement, Configuration, Roster, RosterError};
use federation_proto::{SequenceNumber, SigningContext, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Committee, CommitteeError};
use crate::certificate::{CertificateError, CheckpointCertificate};

/// One link of the chain of committees. It proves itself to whoever knows the committee before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The configuration that takes over.
    pub configuration: Configuration,
    /// What its committee tolerates. The outgoing committee signed this too: it is part of the digest it named.
    pub agreement: Agreement,
    /// The outgoing committee's certificate of the border, which names the configuration's digest.
    pub certificate: CheckpointCertificate,
}

/// Why a handover hands nothing over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandoverError {
    /// The certificate is not the outgoing committee's.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certified checkpoint is an ordinary one.
    #[error("the checkpoint at sequence {sequence} names no next configuration")]
    NoBorder {
        /// The checkpoint.
        sequence: SequenceNumber,
    },
    /// The border is not above the one at which the outgoing committee took over.
    #[error("the border {border} is not above {base}, where the outgoing committee began")]
    Order {
        /// The border.
        border: SequenceNumber,
        /// Where the outgoing committee began.
        base: SequenceNumber,
    },
    /// Successive configurations count up by exactly one, so that none comes back and makes old signatures good again.
    #[error("configuration number {found}, the next is {expected}")]
    Number {
        /// The next number.
        expected: u64,
        /// The one given.
        found: u32,
    },
    /// The configuration is unusable.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The configuration is not the one that was named, or makes no committee.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
}

impl Canonical for Handover {
    const NAME: &'static str = "Handover";
    const MAX_BYTES: usize = limits::GENESIS + ledger::block::MAX_CERTIFICATE_BYTES + 1;
}

impl Handover {
    /// The committee that took over from `outgoing`.
    ///
    /// # Errors
    /// Any variant of [`HandoverError`].
    pub fn verify(&self, outgoing: &Committee) -> Result<Committee, HandoverError> {
        let roster = self.configuration.clone().validate_as(self.agreement)?;
        outgoing.succeed(&self.certificate, &roster)
    }
}

impl Committee {
    /// The committee of `roster`, which takes over at the border that this one certified.
    ///
    /// # Errors
    /// Any variant of [`HandoverError`] but that of a roster.
    pub fn succeed(
        &self,
        certificate: &CheckpointCertificate,
        roster: &Roster,
    ) -> Result<Self, HandoverError> {
        let (border, base) = (certificate.statement.sequence, self.base);
        if border <= base {
            return Err(HandoverError::Order { border, base });
        }
        let named = certificate.statement.next;
        let config_digest = named.ok_or(HandoverError::NoBorder { sequence: border })?;
        certificate.verify(self)?;
        let (expected, found) = (u64::from(self.number) + 1, roster.configuration().number);
        if u64::from(found) != expected {
            return Err(HandoverError::Number { expected, found });
        }
        let context = SigningContext { config_digest, ..self.context };
        Ok(Self { base: border, ..Self::new(roster, context, &self.origin)? })
    }

    /// The newest committee, if every handover follows from the one before: all that an auditor needs beside
    /// the committee of the genesis.
    ///
    /// # Errors
    /// The position of the first handover that does not follow, from 0, and why.
    pub fn newest(genesis: Self, handovers: &[Handover]) -> Result<Self, (usize, HandoverError)> {
        handovers.iter().enumerate().try_fold(genesis, |committee, (position, handover)| {
            handover.verify(&committee).map_err(|cause| (position, cause))
        })
    }
}
