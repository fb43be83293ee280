//! Staying up to date: where we stand, and what others send to whoever is behind [OSDI '99 §5.2].
//!
//! Votes are sent again by their authors, so they may come too late or never, and they are of one view. A decided batch
//! with its proof is good in every view, a stable checkpoint says where the ledger has to be asked, and a NEW-VIEW
//! takes whoever missed it to the present view.

use federation_proto::{SequenceNumber, Signed, Verified};

use super::Replica;
use super::attention::Costly;
use super::log::Held;
use super::normal_case::measure;
use crate::application::Application;
use crate::certificate::{CheckpointCertificate, CommitCertificate};
use crate::effect::{Effect, Effects};
use crate::message::{ConsensusMessage, Decided, MAX_WANTED, Status, WantedBatch};
use crate::rejection::Rejection;

/// Most decided batches in answer to one STATUS.
const MAX_ANSWERS: usize = 16;

/// Most bytes of batches in answer to one STATUS, decided ones and wanted ones, but at least one batch.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A batch in answer to a STATUS.
enum Answer<'a> {
    Decided(&'a CommitCertificate, &'a Held),
    Wanted(SequenceNumber, &'a Held),
}

impl Answer<'_> {
    fn held(&self) -> &Held {
        match self {
            Self::Decided(_, held) | Self::Wanted(_, held) => held,
        }
    }

    fn into_message(self) -> ConsensusMessage {
        let batch = self.held().batch.clone();
        match self {
            Self::Decided(certificate, _) => {
                let certificate = certificate.clone();
                ConsensusMessage::Decided(Box::new(Decided { certificate, batch }))
            }
            Self::Wanted(sequence, _) => {
                ConsensusMessage::Batch(Box::new(WantedBatch { sequence, batch }))
            }
        }
    }
}

impl Replica {
    /// Tells the others where we stand.
    pub(super) fn send_status<R>(&mut self, effects: &mut Effects<R>) {
        self.attention.renew();
        let missing = self.log.slots.iter().filter_map(|(sequence, slot)| {
            let digest = slot.proposal.as_ref()?.pre_prepare.digest;
            slot.batch().is_none().then_some((*sequence, digest))
        });
        let body = Status {
            view: self.view,
            active: self.active && !self.rejoining,
            stable: self.log.low,
            executed: self.log.executed,
            wanted: missing.take(MAX_WANTED).collect(),
            replica: self.id,
        };
        let status = Verified::signed_by_us(body, &self.key, self.committee.context());
        effects.push(Effect::Broadcast(ConsensusMessage::Status(status.into_signed())));
        if let Some(target) = self.transfer.clone() {
            effects.push(Effect::Transfer(Box::new(target)));
        }
    }

    /// Somebody says where it stands: it gets what it lacks, once between two of our own.
    pub(super) fn on_status<R>(
        &mut self,
        status: Signed<Status>,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let to = status.claimed().replica;
        self.admit_sender(to)?;
        self.attention.admit(to, Costly::Status)?;
        let (found, limit) = (status.claimed().wanted.len(), MAX_WANTED);
        if found > limit {
            return Err(Rejection::TooManyWanted { found, limit });
        }
        let status = self.authenticate(to, status)?;
        self.attention.spend(to, Costly::Status);
        let mut send = |message| effects.push(Effect::Send { to, message });
        let behind = status.view < self.view || (status.view == self.view && !status.active);
        if let Some(entered) = self.entered.as_ref().filter(|_| behind) {
            send(ConsensusMessage::NewView(entered.clone()));
        }
        if status.stable < self.log.low
            && let Some(stable) = self.checkpoints.stable()
        {
            send(ConsensusMessage::Stable(Box::new(stable.clone())));
        }
        let decided = self.log.slots.range(status.executed.next()..).filter_map(|(_, slot)| {
            let certificate = slot.decided.as_ref()?;
            Some(Answer::Decided(certificate, slot.batches.get(&certificate.digest)?))
        });
        let wanted = status.wanted.iter().filter_map(|(sequence, digest)| {
            let held = self.log.slots.get(sequence)?.batches.get(digest)?;
            Some(Answer::Wanted(*sequence, held))
        });
        let mut bytes = 0_usize;
        for answer in decided.take(MAX_ANSWERS).chain(wanted) {
            let length = answer.held().bytes;
            if bytes > 0 && bytes.saturating_add(length) > MAX_ANSWER_BYTES {
                break;
            }
            bytes = bytes.saturating_add(length);
            send(answer.into_message());
        }
        Ok(())
    }

    /// A decided batch with its proof: it takes its place whatever the view.
    pub(super) fn on_decided(&mut self, decided: Decided) -> Result<(), Rejection> {
        let Decided { certificate, batch } = decided;
        let sequence = certificate.sequence;
        self.admit_sequence(sequence)?;
        let unwanted = Rejection::Unwanted { sequence, digest: certificate.digest };
        let known = self.log.slots.get(&sequence).is_some_and(|slot| slot.decided.is_some());
        if known || sequence <= self.log.executed {
            return Err(unwanted);
        }
        let bytes = measure(&batch)?;
        self.admit_early(sequence, bytes)?;
        let computed = batch.digest(self.committee.context(), sequence);
        if computed != certificate.digest {
            return Err(Rejection::DigestMismatch { claimed: certificate.digest, computed });
        }
        certificate.verify(&self.committee)?;
        let slot = self.log.slot_mut(sequence);
        slot.batches.insert(computed, Held { batch, bytes });
        slot.decided = Some(certificate);
        Ok(())
    }

    /// A batch that a NEW-VIEW proposes again and that we lack.
    pub(super) fn on_batch(&mut self, wanted: WantedBatch) -> Result<(), Rejection> {
        let WantedBatch { sequence, batch } = wanted;
        let lacking = self.log.proposal(sequence).map(|proposal| proposal.pre_prepare.digest);
        let slot = self.log.slots.get_mut(&sequence).filter(|slot| slot.batch().is_none());
        let (Some(slot), Some(wanted)) = (slot, lacking) else {
            return Err(Rejection::NothingLacks { sequence });
        };
        // Only now: whoever sends batches that nobody asked for makes us hash none of them.
        let bytes = measure(&batch)?;
        let digest = batch.digest(self.committee.context(), sequence);
        if digest != wanted {
            return Err(Rejection::Unwanted { sequence, digest });
        }
        slot.batches.insert(digest, Held { batch, bytes });
        Ok(())
    }

    /// The others have forgotten the votes up to here.
    pub(super) fn on_stable<R>(
        &mut self,
        certificate: CheckpointCertificate,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let (sequence, low) = (certificate.statement.sequence, self.log.low);
        if sequence <= low {
            return Err(Rejection::BelowWatermark { sequence, low });
        }
        if let Some(limit) = self.log.border.filter(|border| sequence > *border) {
            return Err(Rejection::AboveWatermark { sequence, limit });
        }
        let target = self.transfer.as_ref().map(|target| target.statement.sequence);
        if let Some(target) = target.filter(|target| sequence <= *target) {
            return Err(Rejection::Transferring { sequence, target });
        }
        certificate.verify(&self.committee)?;
        self.checkpoints.learn(certificate.clone());
        if sequence > self.log.executed {
            self.transfer = Some(certificate.clone());
            effects.push(Effect::Transfer(Box::new(certificate)));
        }
        Ok(())
    }

    /// The application has become what a certified checkpoint says.
    pub(super) fn on_transferred<A: Application>(
        &mut self,
        sequence: SequenceNumber,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<(), Rejection> {
        let asked = self.transfer.take_if(|target| target.statement.sequence == sequence);
        let certificate = asked.ok_or(Rejection::NoTransfer { sequence })?;
        if sequence <= self.log.executed {
            return Ok(());
        }
        self.log.executed = sequence;
        self.make_stable(certificate, app, effects);
        Ok(())
    }
}
