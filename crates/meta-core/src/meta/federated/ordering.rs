//! What the ledger hands back, and the checks that make it worth anything.

use consensus_pbft::{CheckpointCertificate, Committee};
use federation_proto::entry::{AggregatedUpdate, ApplySignoff, EpochCut, EpochOpened, UpdateRef};
use federation_proto::{Digest, FederatedEpoch, Generation, LedgerEntry};
use rayon::prelude::*;
use thiserror::Error;

use crate::alignment::{
    CertifiedLog, CertifiedLogError, FederatedUpdate, LedgerPosition, LedgerRecord, RecordError,
    UpdateContext, VerifyError,
};

/// A committed update as the ledger returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedUpdate {
    /// The exact committed bytes of the signed update.
    pub blob: Vec<u8>,
    /// Its commitment.
    pub record: LedgerRecord,
}

/// A closed epoch: every entry with its place in one certified log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedEpoch {
    /// Certifies the log that covers the cut.
    pub checkpoint: CheckpointCertificate,
    /// The `EpochOpened` entry.
    pub opened: LedgerRecord,
    /// The `EpochCut` entry.
    pub cut: LedgerRecord,
    /// Every commitment that the cut includes, in any order.
    pub updates: Vec<OrderedUpdate>,
}

/// A closed epoch whose every part was verified; only [`OrderedEpoch::verify`] makes one.
#[derive(Debug)]
pub struct VerifiedEpoch {
    opened: EpochOpened,
    cut: EpochCut,
    cut_position: LedgerPosition,
    updates: Vec<FederatedUpdate>,
}

/// The decision of an epoch under one certified log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Certifies the log that covers the sign-off.
    pub checkpoint: CheckpointCertificate,
    /// The `AggregatedUpdate` entry.
    pub aggregated: LedgerRecord,
    /// The `ApplySignoff` entry.
    pub signoff: LedgerRecord,
}

/// An aggregate that was decided, equals our own and was signed off: the only thing a node applies.
/// Only [`Decision::verify`] makes one.
#[derive(Clone, Debug)]
pub struct ApprovedAggregate {
    aggregated: AggregatedUpdate,
    signoff: ApplySignoff,
}

/// Why a closed epoch is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OrderingError {
    /// No certified log.
    #[error("epoch: {0}")]
    Log(#[from] CertifiedLogError),
    /// `EpochOpened` or `EpochCut` is not proven.
    #[error("epoch: {0}")]
    Record(#[from] RecordError),
    /// Another epoch was opened than the nodes worked for.
    #[error("epoch {expected:?} was announced, the ledger opened {found:?}")]
    OtherEpoch {
        /// The epoch that the nodes worked for.
        expected: Box<EpochOpened>,
        /// The epoch on the ledger.
        found: Box<EpochOpened>,
    },
    /// The cut closes another epoch.
    #[error(
        "cut of epoch {found}, generation {found_generation}; epoch {expected}, generation {expected_generation} is open"
    )]
    OtherCut {
        /// Open epoch.
        expected: FederatedEpoch,
        /// Its generation.
        expected_generation: Generation,
        /// Epoch of the cut.
        found: FederatedEpoch,
        /// Generation of the cut.
        found_generation: Generation,
    },
    /// An entry stands after the cut of its epoch.
    #[error("{what} at {found:?} must stand before the cut at {cut:?}")]
    OutOfOrder {
        /// Which entry.
        what: &'static str,
        /// Its position.
        found: LedgerPosition,
        /// Position of the cut.
        cut: LedgerPosition,
    },
    /// A committed update was not handed over as committed.
    #[error(transparent)]
    Update(#[from] VerifyError),
    /// The updates handed over are not those that the cut includes.
    #[error(
        "the cut includes {included} updates, {found} were handed over; first difference: {difference:?}"
    )]
    Incomplete {
        /// Updates in the cut.
        included: usize,
        /// Updates handed over.
        found: usize,
        /// First update that only one of the two has.
        difference: Option<UpdateRef>,
    },
}

/// Why a decision is not believed. Nothing is applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecisionError {
    /// No certified log.
    #[error("decision: {0}")]
    Log(#[from] CertifiedLogError),
    /// The aggregate or its sign-off is not proven.
    #[error("decision: {0}")]
    Record(#[from] RecordError),
    /// Another aggregate was decided than we computed: we, or a quorum, cannot be trusted.
    #[error("aggregate {decided} was decided, ours is {own}")]
    OtherAggregate {
        /// Hash of our aggregate.
        own: Digest,
        /// Hash of the decided one.
        decided: Digest,
    },
    /// Cut, aggregate and sign-off do not follow each other.
    #[error("cut at {cut:?}, aggregate at {aggregated:?}, sign-off at {signoff:?}: must increase")]
    OutOfOrder {
        /// Position of the cut.
        cut: LedgerPosition,
        /// Position of the aggregate.
        aggregated: LedgerPosition,
        /// Position of the sign-off.
        signoff: LedgerPosition,
    },
    /// The sign-off is for something else.
    #[error("the sign-off does not name the decided aggregate: its {0} differs")]
    OtherSignoff(&'static str),
}

impl OrderedEpoch {
    /// Verifies certificate, entries, order, and every update; the updates in parallel, in their order.
    ///
    /// # Errors
    /// Any variant of [`OrderingError`].
    pub fn verify(
        &self,
        announced: &EpochOpened,
        committee: &Committee,
        context: &UpdateContext<'_>,
    ) -> Result<VerifiedEpoch, OrderingError> {
        let log = CertifiedLog::from_certificate(&self.checkpoint, committee)?;
        let (opened, opened_at) = self.opened.entry(&log, "EpochOpened", |entry| match entry {
            LedgerEntry::EpochOpened(opened) => Some(opened),
            _ => None,
        })?;
        if opened != announced {
            let (expected, found) = (Box::new(announced.clone()), Box::new(opened.clone()));
            return Err(OrderingError::OtherEpoch { expected, found });
        }
        let (cut, cut_at) = self.cut.entry(&log, "EpochCut", |entry| match entry {
            LedgerEntry::EpochCut(cut) => Some(cut),
            _ => None,
        })?;
        let expected = (opened.federated_epoch, opened.generation);
        if (cut.federated_epoch, cut.generation) != expected {
            return Err(OrderingError::OtherCut {
                expected: expected.0,
                expected_generation: expected.1,
                found: cut.federated_epoch,
                found_generation: cut.generation,
            });
        }
        let verify = |ordered: &OrderedUpdate| {
            FederatedUpdate::verify(&ordered.blob, &ordered.record, &log, context)
        };
        let updates: Vec<_> = self.updates.par_iter().map(verify).collect();
        let updates = updates.into_iter().collect::<Result<Vec<_>, _>>()?;
        check_order(opened_at, cut_at, &updates)?;
        check_complete(cut, &updates)?;
        Ok(VerifiedEpoch {
            opened: opened.clone(),
            cut: cut.clone(),
            cut_position: cut_at,
            updates,
        })
    }
}

/// Commitments made since the epoch before may stand before this epoch's opening; none after the cut.
fn check_order(
    opened: LedgerPosition,
    cut: LedgerPosition,
    updates: &[FederatedUpdate],
) -> Result<(), OrderingError> {
    let positions = updates.iter().map(|update| ("UpdateCommitment", update.position()));
    let late = positions.chain([("EpochOpened", opened)]).find(|(_, position)| *position >= cut);
    match late {
        Some((what, found)) => Err(OrderingError::OutOfOrder { what, found, cut }),
        None => Ok(()),
    }
}

fn check_complete(cut: &EpochCut, updates: &[FederatedUpdate]) -> Result<(), OrderingError> {
    let mut found: Vec<UpdateRef> = updates.iter().map(FederatedUpdate::reference).collect();
    found.sort_unstable();
    let mut included = cut.included.clone();
    included.sort_unstable();
    if found == included {
        return Ok(());
    }
    let common = found.iter().zip(&included).take_while(|(a, b)| a == b).count();
    let difference = included.get(common).or_else(|| found.get(common)).copied();
    let (included, found) = (included.len(), found.len());
    Err(OrderingError::Incomplete { included, found, difference })
}

impl VerifiedEpoch {
    /// How it began.
    #[must_use]
    pub const fn opened(&self) -> &EpochOpened {
        &self.opened
    }

    /// How it was closed.
    #[must_use]
    pub const fn cut(&self) -> &EpochCut {
        &self.cut
    }

    /// Where it was closed.
    #[must_use]
    pub const fn cut_position(&self) -> LedgerPosition {
        self.cut_position
    }

    /// The committed updates, for alignment.
    #[must_use]
    pub fn into_updates(self) -> Vec<FederatedUpdate> {
        self.updates
    }
}

impl Decision {
    /// Verifies certificate, entries and order, and compares the decided aggregate with our `own` one.
    ///
    /// The note signatures inside the sign-off are governance's to verify; here a quorum vouches for them,
    /// because validators execute a sign-off only when it is valid.
    ///
    /// # Errors
    /// Any variant of [`DecisionError`].
    pub fn verify(
        &self,
        own: &AggregatedUpdate,
        cut: LedgerPosition,
        committee: &Committee,
    ) -> Result<ApprovedAggregate, DecisionError> {
        let log = CertifiedLog::from_certificate(&self.checkpoint, committee)?;
        let (decided, aggregated_at) =
            self.aggregated.entry(&log, "AggregatedUpdate", |entry| match entry {
                LedgerEntry::AggregatedUpdate(decided) => Some(decided.as_ref()),
                _ => None,
            })?;
        let (signoff, signoff_at) =
            self.signoff.entry(&log, "ApplySignoff", |entry| match entry {
                LedgerEntry::ApplySignoff(signoff) => Some(signoff),
                _ => None,
            })?;
        if decided != own {
            let (own, decided) = (own.hash(), decided.hash());
            return Err(DecisionError::OtherAggregate { own, decided });
        }
        if cut >= aggregated_at || aggregated_at >= signoff_at {
            let (aggregated, signoff) = (aggregated_at, signoff_at);
            return Err(DecisionError::OutOfOrder { cut, aggregated, signoff });
        }
        let agreements = [
            ("epoch", signoff.federated_epoch == own.federated_epoch),
            ("generation", signoff.generation == own.generation),
            ("aggregate hash", signoff.aggregated_hash == own.hash()),
            ("state hash", signoff.new_state_hash == own.new_state_hash),
        ];
        match agreements.iter().find(|(_, agrees)| !agrees) {
            Some((what, _)) => Err(DecisionError::OtherSignoff(what)),
            None => Ok(ApprovedAggregate { aggregated: own.clone(), signoff: signoff.clone() }),
        }
    }
}

impl ApprovedAggregate {
    /// What was decided.
    #[must_use]
    pub const fn aggregated(&self) -> &AggregatedUpdate {
        &self.aggregated
    }

    /// Who let it take effect.
    #[must_use]
    pub const fn signoff(&self) -> &ApplySignoff {
        &self.signoff
    }
}
