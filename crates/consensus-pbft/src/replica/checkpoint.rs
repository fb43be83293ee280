//! Checkpoints: agreement on results, and what may be forgotten once they are stable [OSDI '99 §4.3].
//!
//! A checkpoint is *stable* for us when q replicas signed one statement **and** we executed up to it with the
//! same result. Certified but not yet executed, it waits; executed with another result, we are the faulty one.

use std::collections::BTreeMap;

use federation_proto::{SequenceNumber, Signature, Signed, Verified};

use super::Replica;
use super::log::FirstVote;
use super::outbox::Pending;
use crate::application::Application;
use crate::certificate::{CheckpointCertificate, CheckpointVote};
use crate::committee::ReplicaId;
use crate::effect::{Effect, Effects};
use crate::evidence::Equivocation;
use crate::message::{Checkpoint, CheckpointStatement};
use crate::rejection::{Fault, Rejection};
use crate::safety::SafetyRecord;

/// CHECKPOINTs from the last stable one on.
#[derive(Clone, Debug, Default)]
pub(super) struct Checkpoints {
    votes: BTreeMap<SequenceNumber, BTreeMap<ReplicaId, FirstVote<Checkpoint>>>,
    /// What we reached, durable or not.
    pub(super) own: BTreeMap<SequenceNumber, CheckpointStatement>,
    stable: Option<CheckpointCertificate>,
    /// The highest certificate that came whole, if it is above the stable one.
    certified: Option<CheckpointCertificate>,
    /// What our application reached before a crash, and our CHECKPOINT is lost.
    pub(super) lost: Option<(CheckpointStatement, Signature)>,
}

impl Checkpoints {
    /// A verified certificate came whole.
    pub(super) fn learn(&mut self, certificate: CheckpointCertificate) {
        let sequence = |known: &CheckpointCertificate| known.statement.sequence;
        let highest = self.stable.iter().chain(&self.certified).map(sequence).max();
        if highest.is_none_or(|highest| certificate.statement.sequence > highest) {
            self.certified = Some(certificate);
        }
    }

    pub(super) fn stable(&self) -> Option<&CheckpointCertificate> {
        self.stable.as_ref()
    }

    pub(super) fn insert(&mut self, checkpoint: Verified<Checkpoint>) {
        let (sequence, replica) = (checkpoint.statement.sequence, checkpoint.replica);
        let (vote, accused) = (checkpoint, false);
        let votes = self.votes.entry(sequence).or_default();
        votes.entry(replica).or_insert(FirstVote { vote, accused });
    }

    /// The held CHECKPOINTs of one replica, in order.
    pub(super) fn by(&self, replica: ReplicaId) -> impl Iterator<Item = &Verified<Checkpoint>> {
        self.votes.values().filter_map(move |votes| votes.get(&replica)).map(|entry| &entry.vote)
    }

    pub(super) fn sequences(&self) -> impl Iterator<Item = SequenceNumber> {
        self.votes.keys().copied()
    }

    /// CHECKPOINTs that are held.
    pub(super) fn count(&self) -> usize {
        self.votes.values().map(BTreeMap::len).sum()
    }

    fn get(&self, sequence: SequenceNumber, replica: ReplicaId) -> Option<&FirstVote<Checkpoint>> {
        self.votes.get(&sequence)?.get(&replica)
    }

    /// The certificate at a sequence number, if a quorum signed one statement there.
    fn certificate(&self, at: SequenceNumber, quorum: usize) -> Option<CheckpointCertificate> {
        let votes = self.votes.get(&at).filter(|votes| votes.len() >= quorum)?;
        let mut tally: BTreeMap<CheckpointStatement, usize> = BTreeMap::new();
        for entry in votes.values() {
            let count = tally.entry(entry.vote.statement).or_default();
            *count = count.saturating_add(1);
        }
        let (statement, _) = tally.into_iter().find(|(_, count)| *count >= quorum)?;
        let votes = votes
            .values()
            .map(|entry| &entry.vote)
            .filter(|vote| vote.statement == statement)
            .map(|vote| CheckpointVote {
                replica: vote.replica,
                signature: *vote.as_signed().signature(),
                note_signature: vote.note_signature,
            })
            .collect();
        Some(CheckpointCertificate { statement, votes })
    }

    /// Nothing lies beyond the border.
    pub(super) fn end_at(&mut self, border: SequenceNumber) {
        self.votes.split_off(&border.next());
    }

    /// Forgets what is below a stable checkpoint. Its own votes stay: others may still need ours.
    pub(super) fn collect_garbage(&mut self, stable: CheckpointCertificate) {
        let sequence = stable.statement.sequence;
        self.votes = self.votes.split_off(&sequence);
        self.own = self.own.split_off(&sequence);
        self.certified.take_if(|certified| certified.statement.sequence <= sequence);
        self.stable = Some(stable);
    }
}

impl Replica {
    /// A CHECKPOINT arrived.
    pub(super) fn on_checkpoint<R>(
        &mut self,
        checkpoint: Signed<Checkpoint>,
        effects: &mut Effects<R>,
    ) -> Result<(), Rejection> {
        let claimed = *checkpoint.claimed();
        let (replica, sequence) = (claimed.replica, claimed.statement.sequence);
        self.admit_sender(replica)?;
        self.admit_sequence(sequence)?;
        match self.checkpoints.get(sequence, replica) {
            None => {
                let vote = self.authenticate(replica, checkpoint)?;
                let text = vote.statement.note_text(&self.committee)?;
                if !self.member(replica)?.signed_note(&text, &vote.note_signature) {
                    return Err(Rejection::BadNoteSignature { replica });
                }
                self.checkpoints.insert(vote);
                Ok(())
            }
            Some(first) if first.vote.statement == claimed.statement => {
                Err(Rejection::Duplicate { replica, sequence })
            }
            Some(first) => {
                if !first.accused {
                    let first = Box::new(first.vote.as_signed().clone());
                    let second = self.authenticate(replica, checkpoint)?.into_signed();
                    let second = Box::new(second);
                    let votes = self.checkpoints.votes.entry(sequence).or_default();
                    if let Some(entry) = votes.get_mut(&replica) {
                        entry.accused = true;
                    }
                    self.accuse(Equivocation::Checkpoint { first, second }, effects);
                }
                Err(Rejection::Conflict { replica, sequence })
            }
        }
    }

    /// Our application reached a checkpoint.
    pub(super) fn make_checkpoint<R>(
        &mut self,
        statement: CheckpointStatement,
        note_signature: Signature,
        effects: &mut Effects<R>,
    ) -> Result<(), Fault> {
        let CheckpointStatement { sequence, next, .. } = statement;
        let text = statement.note_text(&self.committee)?;
        let own = self.committee.member(self.id);
        if !own.is_some_and(|own| own.signed_note(&text, &note_signature)) {
            return Err(Fault::NoteSignature { sequence });
        }
        self.checkpoints.own.insert(sequence, statement);
        let body = Checkpoint { statement, replica: self.id, note_signature };
        let checkpoint = Verified::signed_by_us(body, &self.key, self.committee.context());
        let record = SafetyRecord::Checkpoint(checkpoint.as_signed().clone());
        self.outbox.persist(record, Pending::Checkpoint(checkpoint), effects);
        if next.is_some() {
            self.reach_border(sequence);
        }
        Ok(())
    }

    /// Votes once more for what was reached before a crash, if the vote did not survive it: at a border no later
    /// checkpoint would do instead.
    pub(super) fn repeat_checkpoint<R>(&mut self, effects: &mut Effects<R>) -> Result<(), Fault> {
        let low = self.log.low;
        match self.checkpoints.lost.take().filter(|(statement, _)| statement.sequence > low) {
            Some((statement, note)) => self.make_checkpoint(statement, note, effects),
            None => Ok(()),
        }
    }

    /// Moves the watermarks to the first certified checkpoint that we have executed; whether there was one.
    pub(super) fn stabilise<A: Application>(
        &mut self,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) -> Result<bool, Fault> {
        let (low, executed) = (self.log.low, self.log.executed);
        let quorum = self.committee.quorum();
        let reached = |sequence: &SequenceNumber| *sequence > low && *sequence <= executed;
        let counted = self.checkpoints.sequences().filter(reached);
        let whole = self.checkpoints.certified.iter();
        let whole = whole.filter(|certificate| reached(&certificate.statement.sequence)).cloned();
        let certificate = counted
            .filter_map(|sequence| self.checkpoints.certificate(sequence, quorum))
            .chain(whole)
            .next();
        let Some(certificate) = certificate else {
            return Ok(false);
        };
        let stable = certificate.statement.sequence;
        let own = self.checkpoints.own.get(&stable).copied();
        // A result from before a restart was compared by whoever opened the ledger.
        let unknown = own.is_none() && stable <= self.log.restored;
        if own != Some(certificate.statement) && !unknown {
            let own = own.map(Box::new);
            let certificate = Box::new(certificate);
            return Err(Fault::Diverged { own, certificate });
        }
        self.make_stable(certificate, app, effects);
        Ok(true)
    }

    /// A certified checkpoint that we have executed: what lies below it is settled, and at a border everything is.
    pub(super) fn make_stable<A: Application>(
        &mut self,
        certificate: CheckpointCertificate,
        app: &A,
        effects: &mut Effects<A::Refusal>,
    ) {
        let CheckpointStatement { sequence, next, .. } = certificate.statement;
        match next {
            None => self.log.collect_garbage(sequence),
            Some(_) => self.retire(sequence),
        }
        self.checkpoints.collect_garbage(certificate.clone());
        // What became inadmissible while it waited would otherwise fill the pool for ever.
        self.pool.retain(|_, request| app.check_request(request).is_ok());
        effects.push(Effect::StableCheckpoint(certificate));
        if let Some(next) = next {
            effects.push(Effect::HandedOver { border: sequence, next });
        }
    }
}
