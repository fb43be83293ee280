//! What a replica is after a crash: what it had said, and no more.
//!
//! The safety log gives back every record whose vote may have left, in order; the ledger what was executed. From them a
//! replica takes up its view, its votes and its prepared certificates, so it repeats itself and never contradicts
//! itself. What it only knew, others send again.

use std::collections::BTreeMap;

use federation_proto::keys::{Consensus, SecretKey};
use federation_proto::{Batch, Digest, LogicalTime, SequenceNumber, Signature, Signed, View};
use thiserror::Error;

use super::attention::Costly;
use super::log::{Accepted, Held, Stage};
use super::new_view::floor;
use super::normal_case::measure;
use super::{Replica, ReplicaError};
use crate::certificate::{CertificateError, CheckpointCertificate, PreparedCertificate, Vote};
use crate::committee::{Committee, ReplicaId};
use crate::message::{CheckpointStatement, Commit, Decided, PrePrepare, Prepare, Proposal};
use crate::rejection::{OversizedBatch, Rejection};
use crate::safety::SafetyRecord;
use crate::settings::ValidSettings;

/// What survived.
#[derive(Clone, Debug, Default)]
pub struct Restart {
    /// The last stable checkpoint; none before the first.
    pub stable: Option<CheckpointCertificate>,
    /// The last sequence number whose batch the application has executed, durably. Beyond a border it was for later
    /// configurations.
    pub executed: SequenceNumber,
    /// Decided batches above the stable checkpoint, as far as the ledger has them: for others that lack them.
    pub decided: Vec<Decided>,
    /// What the application reached at its last checkpoint, as [`Execution`](crate::Execution) gave it, if that is
    /// above the stable one: our CHECKPOINT may be lost, and at a border, or where an application waits for the
    /// certificate, no later one would do instead.
    pub reached: Option<(CheckpointStatement, Signature)>,
    /// The records of this configuration's safety log, in the order in which they were written.
    pub records: Vec<SafetyRecord>,
}

/// Why what survived makes no replica. It must not vote then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestartError {
    /// No replica could be made with these keys and settings.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The stable checkpoint is not proved.
    #[error("stable checkpoint: {0}")]
    Stable(CertificateError),
    /// The application has not executed up to the stable checkpoint.
    #[error("executed {executed}, the stable checkpoint is {stable}")]
    Executed {
        /// What was executed.
        executed: SequenceNumber,
        /// The stable checkpoint.
        stable: SequenceNumber,
    },
    /// The application's last checkpoint is above what it executed.
    #[error("executed {executed}, the application's last checkpoint is {reached}")]
    Reached {
        /// What was executed.
        executed: SequenceNumber,
        /// The checkpoint.
        reached: SequenceNumber,
    },
    /// A record is not of this replica, or of another federation or configuration.
    #[error("record {number} ({kind}): {cause}")]
    Record {
        /// Its position, from 1.
        number: usize,
        /// Its kind.
        kind: &'static str,
        /// What is wrong.
        cause: Box<Rejection>,
    },
    /// A COMMIT whose assignment no earlier record has.
    #[error("record {number}: a COMMIT of sequence {sequence} without its assignment")]
    NoAssignment {
        /// Its position, from 1.
        number: usize,
        /// Its sequence number.
        sequence: SequenceNumber,
    },
    /// A batch is too large.
    #[error(transparent)]
    Batch(#[from] OversizedBatch),
}

/// What the records say, by view and sequence number.
#[derive(Default)]
struct Said {
    assigned: BTreeMap<(View, SequenceNumber), Signed<PrePrepare>>,
    prepares: BTreeMap<(View, SequenceNumber), Signed<Prepare>>,
    commits: BTreeMap<(View, SequenceNumber), Signed<Commit>>,
    prepared: BTreeMap<SequenceNumber, PreparedCertificate>,
    batches: BTreeMap<(SequenceNumber, Digest), Batch>,
    /// The last view in which we took part, and the last that we wanted.
    took_part: View,
    wanted: View,
}

impl Replica {
    /// The replica that crashed, as far as it matters to anybody else.
    ///
    /// # Errors
    /// Any variant of [`RestartError`].
    pub fn restore(
        committee: Committee,
        id: ReplicaId,
        key: SecretKey<Consensus>,
        settings: ValidSettings,
        restart: Restart,
    ) -> Result<Self, RestartError> {
        let mut replica = Self::new(committee, id, key, settings)?;
        replica.restore_ledger(restart.stable, restart.executed, restart.decided)?;
        let mut said = Said::default();
        for (number, record) in (1..).zip(restart.records) {
            let kind = record.kind();
            let bad = |cause| RestartError::Record { number, kind, cause: Box::new(cause) };
            match record {
                SafetyRecord::PrePrepare(proposal) => said.assign(proposal),
                SafetyRecord::Prepare { proposal, prepare } => {
                    said.assign(proposal);
                    let claimed = prepare.claimed();
                    said.prepares.insert((claimed.view, claimed.sequence), prepare);
                }
                // What it rests on may be cut already.
                SafetyRecord::Commit { commit, .. }
                    if commit.claimed().sequence <= replica.log.low => {}
                SafetyRecord::Commit { prepares, commit } => {
                    said.commit(number, &prepares, commit)?
                }
                SafetyRecord::Checkpoint(checkpoint) => {
                    let checkpoint = replica.authenticate(id, checkpoint).map_err(bad)?;
                    let statement = checkpoint.statement;
                    if statement.sequence >= replica.log.low {
                        replica.checkpoints.own.insert(statement.sequence, statement);
                        replica.checkpoints.insert(checkpoint);
                    }
                }
                SafetyRecord::ViewChange(change) => {
                    let change = replica.authenticate(id, *change).map_err(bad)?;
                    said.wanted = said.wanted.max(change.view);
                    replica.changes.0.insert(id, change);
                }
                SafetyRecord::NewView(new_view) => {
                    let new_view = replica.authenticate(id, *new_view).map_err(bad)?;
                    said.took_part = said.took_part.max(new_view.view);
                    for pre_prepare in &new_view.pre_prepares {
                        let claimed = pre_prepare.claimed();
                        let place = (claimed.view, claimed.sequence);
                        said.assigned.insert(place, pre_prepare.clone());
                    }
                    replica.entered = Some(Box::new(new_view.into_signed()));
                }
                // The driver has it, and it accuses somebody else.
                SafetyRecord::Evidence(evidence) => {
                    replica.attention.spend(evidence.claimed_replica(), Costly::Lie);
                }
            }
        }
        replica.restore_view(&said);
        replica.restore_checkpoint(restart.reached)?;
        replica.restore_votes(said)?;
        replica.compared = false;
        Ok(replica)
    }

    fn restore_ledger(
        &mut self,
        stable: Option<CheckpointCertificate>,
        executed: SequenceNumber,
        decided: Vec<Decided>,
    ) -> Result<(), RestartError> {
        if let Some(stable) = stable {
            stable.verify(&self.committee).map_err(RestartError::Stable)?;
            self.log.low = stable.statement.sequence;
            self.checkpoints.collect_garbage(stable);
        }
        if executed < self.log.low {
            return Err(RestartError::Executed { executed, stable: self.log.low });
        }
        self.log.executed = executed;
        self.log.restored = executed;
        for Decided { certificate, batch } in decided {
            let sequence = certificate.sequence;
            if sequence > self.log.low && sequence <= executed {
                let bytes = measure(&batch)?;
                let slot = self.log.slot_mut(sequence);
                slot.batches.insert(certificate.digest, Held { batch, bytes });
                slot.decided = Some(certificate);
            }
        }
        Ok(())
    }

    /// Takes up what the application reached, and the border if it is one: nothing is voted for beyond it.
    fn restore_checkpoint(
        &mut self,
        reached: Option<(CheckpointStatement, Signature)>,
    ) -> Result<(), RestartError> {
        let retired = self.retired_at();
        let said = |sequence: &SequenceNumber| self.checkpoints.own.contains_key(sequence);
        let lost = reached.filter(|(statement, _)| {
            let open = retired.is_none() && statement.sequence > self.log.low;
            open && !said(&statement.sequence)
        });
        if let Some((statement, _)) = &lost
            && statement.sequence > self.log.executed
        {
            let (executed, reached) = (self.log.executed, statement.sequence);
            return Err(RestartError::Reached { executed, reached });
        }
        let own = self.checkpoints.own.values().chain(lost.iter().map(|(statement, _)| statement));
        let border = own.filter(|own| own.next.is_some()).map(|own| own.sequence).min();
        if let Some(border) = border {
            self.reach_border(border);
        }
        if let Some(border) = retired {
            self.retire(border);
        }
        // What the application did beyond it was for later configurations.
        let high = self.log.border.unwrap_or(self.log.executed);
        self.log.executed = self.log.executed.min(high);
        self.log.restored = self.log.executed;
        self.checkpoints.lost = lost;
        Ok(())
    }

    fn restore_view(&mut self, said: &Said) {
        self.view = said.took_part.max(said.wanted);
        self.active = said.took_part >= said.wanted;
        // Whoever took part in a later view has seen its NEW-VIEW, and needs what it proposed again.
        self.entered.take_if(|own| own.claimed().view != self.view);
        match &self.entered {
            Some(own) => self.floor = floor(own.claimed().view_changes.iter().map(Signed::claimed)),
            None => self.rejoining = self.active && self.view > View::ZERO,
        }
        self.changes.0.retain(|_, change| change.view == self.view && !self.active);
    }

    fn restore_votes(&mut self, said: Said) -> Result<(), RestartError> {
        let (view, low, limit) = (self.view, self.log.low, self.log.limit());
        let held = |sequence: SequenceNumber| sequence > low && sequence <= limit;
        for ((sequence, digest), batch) in said.batches {
            if held(sequence) {
                let bytes = measure(&batch)?;
                self.log.slot_mut(sequence).batches.insert(digest, Held { batch, bytes });
            }
        }
        for (sequence, prepared) in said.prepared {
            if held(sequence) {
                self.log.slot_mut(sequence).prepared = Some(prepared);
            }
        }
        if !self.active {
            return Ok(());
        }
        let bad =
            |kind| move |cause| RestartError::Record { number: 0, kind, cause: Box::new(cause) };
        for ((_, sequence), signed) in said.assigned.range((view, low.next())..) {
            if !held(*sequence) {
                continue;
            }
            let primary = self.committee.primary(view);
            let pre_prepare =
                self.authenticate(primary, signed.clone()).map_err(bad("PRE-PREPARE"))?;
            let (place, mut stage) = ((view, *sequence), Stage::PrepareSent);
            let prepare = said.prepares.get(&place).cloned();
            let commit = said.commits.get(&place).cloned();
            let prepare = prepare.map(|vote| self.authenticate(self.id, vote)).transpose();
            let commit = commit.map(|vote| self.authenticate(self.id, vote)).transpose();
            let (id, slot) = (self.id, self.log.slot_mut(*sequence));
            if let Some(prepare) = prepare.map_err(bad("PREPARE"))? {
                slot.prepares.insert(id, prepare);
            }
            if let Some(commit) = commit.map_err(bad("COMMIT"))? {
                slot.commits.insert(id, commit);
                stage = Stage::CommitSent;
            }
            // We voted for it: it is not judged again.
            let (arrived, exempt, accused) = (LogicalTime::ZERO, true, false);
            slot.proposal = Some(Accepted { pre_prepare, arrived, exempt, accused, stage });
            self.log.voted = *sequence;
        }
        Ok(())
    }
}

impl Said {
    fn assign(&mut self, proposal: Proposal) {
        let claimed = *proposal.pre_prepare.claimed();
        self.took_part = self.took_part.max(claimed.view);
        self.batches.insert((claimed.sequence, claimed.digest), proposal.batch);
        self.assigned.insert((claimed.view, claimed.sequence), proposal.pre_prepare);
    }

    fn commit(
        &mut self,
        number: usize,
        prepares: &[Signed<Prepare>],
        commit: Signed<Commit>,
    ) -> Result<(), RestartError> {
        let (view, sequence) = (commit.claimed().view, commit.claimed().sequence);
        let assigned = self.assigned.get(&(view, sequence));
        let pre_prepare =
            assigned.cloned().ok_or(RestartError::NoAssignment { number, sequence })?;
        let vote = |prepare: &Signed<Prepare>| Vote {
            replica: prepare.claimed().replica,
            signature: *prepare.signature(),
        };
        let prepared =
            PreparedCertificate { pre_prepare, votes: prepares.iter().map(vote).collect() };
        self.prepared.insert(sequence, prepared);
        self.commits.insert((view, sequence), commit);
        Ok(())
    }
}
