//! What holds after every step, checked in debug builds and in simulation.

use super::Replica;
use super::log::{Accepted, Slot, Stage};
use super::outbox::Pending;

impl Replica {
    /// Stops a debug build at the first broken invariant. Release builds check nothing.
    pub(super) fn check_invariants(&self) {
        let at = (self.id, self.log.executed);
        debug_assert!(self.watermarks_enclose(), "watermarks of {at:?}");
        debug_assert!(self.slots_are_sound(), "slots of {at:?}");
        debug_assert!(self.assignments_are_contiguous(), "assignments of {at:?}");
        debug_assert!(self.unsent_votes_do_not_count(), "outbox of {at:?}");
        debug_assert!(self.checkpoints_are_sound(), "checkpoints of {at:?}");
        debug_assert!(self.pool.is_consistent(self.settings.get()), "pool of {at:?}");
        debug_assert!(self.outbox.is_consistent(), "tokens of {at:?}");
    }

    fn watermarks_enclose(&self) -> bool {
        let log = &self.log;
        // Invariant: h <= executed <= H, and the stable checkpoint is h.
        let stable = self.checkpoints.stable();
        let stable = stable.map_or(self.committee.base(), |c| c.statement.sequence);
        log.low <= log.executed && log.executed <= log.high() && stable == log.low
    }

    fn slots_are_sound(&self) -> bool {
        let (log, primary) = (&self.log, self.committee.primary(self.view));
        log.slots.iter().all(|(sequence, slot)| {
            // Invariant: only sequence numbers in (h, H + L] are held, none beyond a border; below a stable border only
            // what is decided.
            let served = self.retired_at().is_some() && slot.decided.is_some();
            let held = (*sequence > log.low || served) && *sequence <= log.limit();
            // Invariant: the primary has no PREPARE, its PRE-PREPARE is its vote.
            let primary_once = slot.prepares.of(primary).is_none();
            // Invariant: a proof of order is of its own slot, and what is assigned again is what it proves.
            let decided = slot.decided.as_ref().is_none_or(|decided| decided.sequence == *sequence);
            // Invariant: beyond what is in flight, and so beyond H, we have not voted, but to begin a view or before a
            // restart.
            let unvoted = |proposal: &Accepted| {
                let before = primary == self.id || *sequence <= log.voted;
                proposal.stage == Stage::Received || (proposal.exempt && before)
            };
            // Invariant: what we were asked about has nothing unknown before it.
            let known = |proposal: &Accepted| {
                proposal.stage == Stage::Received
                    || proposal.exempt
                    || log.ahead(*sequence).is_some()
            };
            let proposal = slot.proposal.as_ref();
            let in_order = (*sequence <= log.last().min(log.high())
                || proposal.is_none_or(unvoted))
                && proposal.is_none_or(known);
            // Invariant: whoever waits for a NEW-VIEW takes part in no view.
            let waits = self.active || slot.proposal.is_none();
            held && primary_once && decided && in_order && waits && self.own_votes_are_earned(slot)
        })
    }

    fn assignments_are_contiguous(&self) -> bool {
        // Invariant: above what its NEW-VIEW settled and what is executed, a primary's assignments have no hole, and
        // only the last may not be durable.
        let log = &self.log;
        let first = log.executed.max(self.floor).next();
        let assigned = log.slots.range(first..).filter_map(|(sequence, slot)| {
            let proposal = slot.proposal.as_ref()?;
            Some((sequence.get(), proposal.stage))
        });
        let mut before = Stage::PrepareSent;
        !self.is_primary()
            || assigned.zip(first.get()..).all(|((sequence, stage), expected)| {
                sequence == expected && core::mem::replace(&mut before, stage) != Stage::Preparing
            })
    }

    fn own_votes_are_earned(&self, slot: &Slot) -> bool {
        let Some(proposal) = &slot.proposal else {
            return slot.prepares.of(self.id).is_none() && slot.commits.of(self.id).is_none();
        };
        let digest = proposal.pre_prepare.digest;
        let (prepare, commit) = (slot.prepares.of(self.id), slot.commits.of(self.id));
        // Invariant: our votes name the proposal we accepted, and their stage has been reached.
        let prepare_fits = prepare.is_none_or(|entry| {
            entry.vote.digest == digest && proposal.stage >= Stage::PrepareSent
        });
        // Invariant: a COMMIT of ours follows only a prepared certificate.
        let commit_fits = commit
            .is_none_or(|entry| entry.vote.digest == digest && proposal.stage == Stage::CommitSent);
        // After a restart the certificate stands for the PREPAREs.
        let certified = slot.prepared.as_ref().map(|prepared| *prepared.claimed());
        let prepared = proposal.stage < Stage::Committing
            || slot.is_prepared(self.committee.quorum())
            || certified == Some(*proposal.pre_prepare);
        prepare_fits && commit_fits && prepared
    }

    fn unsent_votes_do_not_count(&self) -> bool {
        // Invariant: a vote whose record is not durable stands in no table, so no certificate holds it.
        self.outbox.pending().all(|pending| match pending {
            Pending::Proposal(assigned) => {
                let proposal = self.log.proposal(assigned.sequence);
                let same = proposal.filter(|proposal| *proposal.pre_prepare == *assigned);
                same.is_none_or(|proposal| proposal.stage == Stage::Preparing)
            }
            Pending::Prepare(prepare) => {
                let slot = self.log.slots.get(&prepare.sequence);
                let own = slot.and_then(|slot| slot.prepares.of(self.id));
                own.is_none_or(|own| own.vote.view != prepare.view)
            }
            Pending::Commit(commit) => {
                let slot = self.log.slots.get(&commit.sequence);
                let own = slot.and_then(|slot| slot.commits.of(self.id));
                own.is_none_or(|own| own.vote.view != commit.view)
            }
            Pending::ViewChange(change) => {
                self.changes.0.get(&self.id).is_none_or(|own| own.view != change.view)
            }
            Pending::NewView(new_view) => !self.active || self.view != new_view.view,
            Pending::Checkpoint(checkpoint) => {
                let sequence = checkpoint.statement.sequence;
                self.checkpoints.by(self.id).all(|own| own.statement.sequence != sequence)
            }
            Pending::Evidence(_) => true,
        })
    }

    fn checkpoints_are_sound(&self) -> bool {
        let (low, limit, executed) = (self.log.low, self.log.limit(), self.log.executed);
        // Invariant: CHECKPOINTs are held from the stable one to H + L; our own are of what we executed.
        let mut sequences = self.checkpoints.sequences();
        sequences.all(|sequence| sequence >= low && sequence <= limit)
            && self.checkpoints.own.keys().all(|sequence| *sequence >= low && *sequence <= executed)
    }
}
