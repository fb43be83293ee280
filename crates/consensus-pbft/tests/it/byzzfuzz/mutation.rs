//! Another message in the place of a real one: one field changed to a near value or to another real one, signed again
//! where the liar has the key.

use std::collections::BTreeMap;

use consensus_pbft::{
    CheckpointCertificate, CommitCertificate, ConsensusMessage, Decided, PreparedCertificate,
    Proposal, ReplicaId, ViewChange, Vote,
};
use federation_proto::keys::Consensus;
use federation_proto::{Batch, Digest, SequenceNumber, Signed, SignedBody, SigningContext, View};

use crate::federation::{consensus_key, id, memoised_committee};
use crate::seeds::Dice;

/// What a liar may put in a message, because somebody said it.
pub(super) struct Mutator {
    n: usize,
    context: SigningContext,
    batches: BTreeMap<Digest, (SequenceNumber, Batch)>,
    changes: Vec<Signed<ViewChange>>,
    prepared: Vec<PreparedCertificate>,
    stable: Vec<CheckpointCertificate>,
    committed: Vec<CommitCertificate>,
}

/// View and sequence number that a message is about, zero where it has none.
pub(super) fn place(message: &ConsensusMessage) -> (u64, u64) {
    let view = match message {
        ConsensusMessage::Proposal(proposal) => proposal.pre_prepare.claimed().view,
        ConsensusMessage::Prepare(vote) => vote.claimed().view,
        ConsensusMessage::Commit(vote) => vote.claimed().view,
        ConsensusMessage::ViewChange(change) => change.claimed().view,
        ConsensusMessage::NewView(new_view) => new_view.claimed().view,
        ConsensusMessage::Status(status) => status.claimed().view,
        ConsensusMessage::Checkpoint(_)
        | ConsensusMessage::Decided(_)
        | ConsensusMessage::Batch(_)
        | ConsensusMessage::Stable(_) => View::ZERO,
    };
    (view.get(), message.claimed_sequence().map_or(0, SequenceNumber::get))
}

/// One up or one down.
fn near(dice: &mut Dice, number: u64) -> u64 {
    if dice.chance(50) { number + 1 } else { number.saturating_sub(1) }
}

fn near_view(dice: &mut Dice, view: View) -> View {
    View::new(near(dice, view.get()))
}

fn near_sequence(dice: &mut Dice, sequence: SequenceNumber) -> SequenceNumber {
    SequenceNumber::new(near(dice, sequence.get()))
}

/// One of them dropped, twice there, or in the place of another.
fn bend_list<T: Clone>(dice: &mut Dice, list: &mut Vec<T>) {
    if list.is_empty() {
        return;
    }
    let (at, other) = (dice.below(list.len() as u64) as usize, dice.pick(list).clone());
    match dice.below(3) {
        0 => drop(list.remove(at)),
        1 => list.insert(at, list[at].clone()),
        _ => list[at] = other,
    }
}

/// Votes dropped, doubled or replaced, or one under another name.
fn bend_votes(dice: &mut Dice, n: usize, votes: &mut Vec<Vote>) {
    if votes.is_empty() || dice.chance(70) {
        return bend_list(dice, votes);
    }
    let at = dice.below(votes.len() as u64) as usize;
    votes[at].replica = id(dice.below(n as u64) as usize);
}

/// View, sequence number, digest and replica of a slot's vote: one of them bent.
macro_rules! bend_slot_vote {
    ($self:ident, $dice:ident, $body:ident) => {
        match $dice.below(4) {
            0 => $body.view = near_view($dice, $body.view),
            1 => $body.sequence = near_sequence($dice, $body.sequence),
            2 => $body.digest = $self.other_batch($dice).0,
            _ => $body.replica = $self.anybody($dice),
        }
    };
}

impl Mutator {
    pub(super) fn new(n: usize) -> Self {
        Self {
            n,
            context: *memoised_committee(n).context(),
            batches: BTreeMap::new(),
            changes: Vec::new(),
            prepared: Vec::new(),
            stable: Vec::new(),
            committed: Vec::new(),
        }
    }

    pub(super) fn learn(&mut self, message: &ConsensusMessage) {
        match message {
            ConsensusMessage::Proposal(Proposal { pre_prepare, batch }) => {
                let claimed = pre_prepare.claimed();
                let known = (claimed.sequence, batch.clone());
                self.batches.entry(claimed.digest).or_insert(known);
            }
            ConsensusMessage::ViewChange(change) if !self.changes.contains(change) => {
                self.changes.push((**change).clone());
                self.prepared.extend(change.claimed().prepared.iter().cloned());
                self.stable.extend(change.claimed().stable.iter().cloned());
            }
            ConsensusMessage::Decided(decided)
                if !self.committed.contains(&decided.certificate) =>
            {
                self.committed.push(decided.certificate.clone());
            }
            ConsensusMessage::Stable(stable) if !self.stable.contains(stable) => {
                self.stable.push((**stable).clone());
            }
            _ => {}
        }
    }

    /// Another message of the same kind, near the real one.
    pub(super) fn mutate(
        &self,
        dice: &mut Dice,
        liar: usize,
        message: ConsensusMessage,
    ) -> ConsensusMessage {
        match message {
            ConsensusMessage::Proposal(mut proposal) => {
                if dice.chance(40) {
                    // Another batch, with its digest or without.
                    let (digest, batch) = self.other_batch(dice);
                    proposal.batch = batch;
                    if dice.chance(50) {
                        let mut body = *proposal.pre_prepare.claimed();
                        body.digest = digest;
                        proposal.pre_prepare = self.sign(liar, body);
                    }
                } else {
                    let mut body = *proposal.pre_prepare.claimed();
                    bend_slot_vote!(self, dice, body);
                    proposal.pre_prepare = self.sign(liar, body);
                }
                ConsensusMessage::Proposal(proposal)
            }
            ConsensusMessage::Prepare(vote) => {
                let mut body = *vote.claimed();
                bend_slot_vote!(self, dice, body);
                ConsensusMessage::Prepare(self.sign(liar, body))
            }
            ConsensusMessage::Commit(vote) => {
                let mut body = *vote.claimed();
                bend_slot_vote!(self, dice, body);
                ConsensusMessage::Commit(self.sign(liar, body))
            }
            ConsensusMessage::Checkpoint(vote) => {
                let mut body = *vote.claimed();
                let statement = &mut body.statement;
                match dice.below(4) {
                    0 => statement.sequence = near_sequence(dice, statement.sequence),
                    1 => statement.state_root = Digest::ZERO,
                    2 => statement.log_size = near(dice, statement.log_size),
                    _ => body.replica = self.anybody(dice),
                }
                ConsensusMessage::Checkpoint(self.sign(liar, body))
            }
            ConsensusMessage::ViewChange(change) => {
                let mut body = change.claimed().clone();
                self.bend_view_change(dice, liar, &mut body);
                ConsensusMessage::ViewChange(Box::new(self.sign(liar, body)))
            }
            ConsensusMessage::NewView(new_view) => {
                let mut body = new_view.claimed().clone();
                match dice.below(4) {
                    0 => body.view = near_view(dice, body.view),
                    1 => bend_list(dice, &mut body.view_changes),
                    2 => bend_list(dice, &mut body.pre_prepares),
                    _ => self.replace_view_change(dice, liar, &mut body.view_changes),
                }
                ConsensusMessage::NewView(Box::new(self.sign(liar, body)))
            }
            ConsensusMessage::Status(status) => {
                let mut body = status.claimed().clone();
                match dice.below(5) {
                    0 => body.view = near_view(dice, body.view),
                    1 => body.active = !body.active,
                    2 => body.stable = near_sequence(dice, body.stable),
                    3 => body.executed = near_sequence(dice, body.executed),
                    _ => {
                        let wanted = self.other_batch(dice).0;
                        body.wanted.push((body.executed.next(), wanted));
                    }
                }
                ConsensusMessage::Status(self.sign(liar, body))
            }
            answer => self.mutate_answer(dice, answer),
        }
    }

    /// What nobody signs as a whole.
    fn mutate_answer(&self, dice: &mut Dice, message: ConsensusMessage) -> ConsensusMessage {
        match message {
            ConsensusMessage::Decided(mut decided) => {
                let Decided { certificate, batch } = &mut *decided;
                match dice.below(5) {
                    0 => certificate.sequence = near_sequence(dice, certificate.sequence),
                    1 => certificate.view = near_view(dice, certificate.view),
                    2 => *batch = self.other_batch(dice).1,
                    3 if !self.committed.is_empty() => {
                        *certificate = dice.pick(&self.committed).clone();
                    }
                    _ => bend_votes(dice, self.n, &mut certificate.votes),
                }
                ConsensusMessage::Decided(decided)
            }
            ConsensusMessage::Batch(mut wanted) => {
                if dice.chance(50) {
                    wanted.batch = self.other_batch(dice).1;
                } else {
                    wanted.sequence = near_sequence(dice, wanted.sequence);
                }
                ConsensusMessage::Batch(wanted)
            }
            ConsensusMessage::Stable(mut stable) => {
                if dice.chance(50) {
                    bend_list(dice, &mut stable.votes);
                } else {
                    let sequence = &mut stable.statement.sequence;
                    *sequence = near_sequence(dice, *sequence);
                }
                ConsensusMessage::Stable(stable)
            }
            signed => signed,
        }
    }

    fn bend_view_change(&self, dice: &mut Dice, liar: usize, change: &mut ViewChange) {
        match dice.below(7) {
            0 => change.view = near_view(dice, change.view),
            1 => bend_list(dice, &mut change.prepared),
            2 if !change.prepared.is_empty() => {
                let at = dice.below(change.prepared.len() as u64) as usize;
                bend_votes(dice, self.n, &mut change.prepared[at].votes);
            }
            // A certificate of an earlier view, or of another replica.
            3 if !self.prepared.is_empty() => {
                let other = dice.pick(&self.prepared).clone();
                let sequence = other.claimed().sequence;
                change.prepared.retain(|own| own.claimed().sequence != sequence);
                change.prepared.push(other);
                change.prepared.sort_by_key(|own| own.claimed().sequence);
            }
            4 => change.stable = self.stable.first().cloned().filter(|_| dice.chance(50)),
            // Another batch, as if of the view just before, with the votes for the real one.
            5 if !change.prepared.is_empty() => {
                let at = dice.below(change.prepared.len() as u64) as usize;
                let mut body = *change.prepared[at].claimed();
                body.view = View::new(change.view.get().saturating_sub(1));
                body.digest = self.other_batch(dice).0;
                change.prepared[at].pre_prepare = self.sign(liar, body);
            }
            // Everything forgotten.
            _ => change.prepared.clear(),
        }
    }

    /// One VIEW-CHANGE of a NEW-VIEW is another that was sent for that view, or the liar's own with less in it. What
    /// follows from them is not worked out again.
    fn replace_view_change(
        &self,
        dice: &mut Dice,
        liar: usize,
        changes: &mut [Signed<ViewChange>],
    ) {
        let at = dice.below(changes.len() as u64) as usize;
        let Some(old) = changes.get_mut(at) else { return };
        if usize::from(old.claimed().replica.get()) == liar {
            let mut body = old.claimed().clone();
            self.bend_view_change(dice, liar, &mut body);
            *old = self.sign(liar, body);
        } else if !self.changes.is_empty() {
            *old = dice.pick(&self.changes).clone();
        }
    }

    /// Some batch that was proposed, and its digest where it was.
    fn other_batch(&self, dice: &mut Dice) -> (Digest, Batch) {
        let known: Vec<_> = self.batches.iter().collect();
        if known.is_empty() {
            let batch = crate::federation::batch(&self.context, &[1]);
            return (batch.digest(&self.context, SequenceNumber::new(1)), batch);
        }
        let (digest, (_, batch)) = dice.pick(&known);
        (**digest, batch.clone())
    }

    fn anybody(&self, dice: &mut Dice) -> ReplicaId {
        id(dice.below(self.n as u64) as usize)
    }

    /// Signed by the liar, whoever it says it is.
    fn sign<B: SignedBody<Role = Consensus>>(&self, liar: usize, body: B) -> Signed<B> {
        Signed::sign(body, &consensus_key(liar), &self.context)
    }
}
