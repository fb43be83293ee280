//! The mutants: what others got wrong, and what each rule of the protocol is there for.

use super::MutantsError;

/// One error, and the tests that must find it.
#[derive(Debug)]
pub(super) struct Mutant {
    pub(super) name: &'static str,
    /// Below the crate.
    pub(super) file: &'static str,
    /// Stands exactly once in the file.
    pub(super) old: &'static str,
    pub(super) new: &'static str,
    /// Which tests judge it: a part of their names.
    pub(super) filter: &'static str,
}

impl Mutant {
    /// The file with the error in it.
    ///
    /// # Errors
    /// [`MutantsError::Text`] unless the text stands there once.
    pub(super) fn change(&self, present: &str) -> Result<String, MutantsError> {
        let found = present.matches(self.old).count();
        if found != 1 {
            return Err(MutantsError::Text { name: self.name, file: self.file, found });
        }
        Ok(present.replacen(self.old, self.new, 1))
    }
}

pub(super) const MUTANTS: [Mutant; 20] = [
    Mutant {
        name: "weakest-certificate",
        file: "src/replica/new_view.rs",
        old: "if claimed.view > known.view {",
        new: "if claimed.view < known.view {",
        filter: "model::",
    },
    Mutant {
        name: "prepare-quorum-short",
        file: "src/replica/log.rs",
        old: "1 + self.prepares.count(proposal.pre_prepare.digest) >= quorum",
        new: "2 + self.prepares.count(proposal.pre_prepare.digest) >= quorum",
        filter: "model::",
    },
    Mutant {
        name: "commit-quorum-short",
        file: "src/replica/log.rs",
        old: "self.commits.count(proposal.pre_prepare.digest) >= quorum",
        new: "1 + self.commits.count(proposal.pre_prepare.digest) >= quorum",
        filter: "model::",
    },
    Mutant {
        name: "certificates-unvalidated",
        file: "src/replica/view_change.rs",
        old: ".verify(committee)\n            .map_err(|cause| ViewChangeFault::Prepared",
        new: ".verify(committee)\n            .or(Ok(()))\n            .map_err(|cause| ViewChangeFault::Prepared",
        filter: "model::",
    },
    Mutant {
        name: "high-watermark-off-by-one",
        file: "src/replica/log.rs",
        old: "self.within(self.low.get().saturating_add(self.window))",
        new: "self.within(self.low.get().saturating_add(self.window + 1))",
        filter: "checkpoints::",
    },
    Mutant {
        name: "limit-off-by-one",
        file: "src/replica/log.rs",
        old: "self.within(self.high().get().saturating_add(self.window))",
        new: "self.within(self.high().get().saturating_add(self.window + 1))",
        filter: "flips::",
    },
    Mutant {
        name: "low-watermark-off-by-one",
        file: "src/replica/admission.rs",
        old: "if sequence <= low {",
        new: "if sequence < low {",
        filter: "checkpoints::",
    },
    Mutant {
        name: "garbage-off-by-one",
        file: "src/replica/log.rs",
        old: "self.slots.split_off(&stable.next())",
        new: "self.slots.split_off(&stable)",
        filter: "checkpoints::",
    },
    Mutant {
        name: "persist-not-awaited",
        file: "src/replica/normal_case.rs",
        old: "        self.outbox.persist(record, Pending::Prepare(prepare), effects);",
        new: "        let early = ConsensusMessage::Prepare(prepare.as_signed().clone());\n        \
              effects.push(Effect::Broadcast(early));\n        \
              self.outbox.persist(record, Pending::Prepare(prepare), effects);",
        filter: "model::",
    },
    Mutant {
        name: "view-not-monotone",
        file: "src/replica/new_view.rs",
        old: "if view < own || (view == own && self.active && !self.rejoining) {",
        new: "if view == own && self.active && !self.rejoining {",
        filter: "view_change::trap_9",
    },
    Mutant {
        name: "null-instead-of-prepared",
        file: "src/replica/new_view.rs",
        old: "latest.get(&sequence).map_or_else(null, |prepared| prepared.digest)",
        new: "null()",
        filter: "model::",
    },
    Mutant {
        name: "certificates-left-out",
        file: "src/replica/view_change.rs",
        old: "let prepared = slots.filter_map(|slot| slot.prepared.clone()).collect();",
        new: "let prepared = slots.filter_map(|_| None).collect();",
        filter: "model::",
    },
    Mutant {
        name: "new-view-unchecked",
        file: "src/replica/new_view.rs",
        old: "if *signed.claimed() != (PrePrepare { view, sequence, digest, replica }) {",
        new: "if false && *signed.claimed() != (PrePrepare { view, sequence, digest, replica }) {",
        filter: "model::",
    },
    Mutant {
        name: "floor-left-out",
        file: "src/replica/normal_case.rs",
        old: "None if sequence <= self.floor => {",
        new: "None if sequence < SequenceNumber::ZERO => {",
        filter: "view_change::whoever_is_behind",
    },
    Mutant {
        name: "join-at-f",
        file: "src/replica/view_change.rs",
        old: "if later.len() > self.committee.max_faulty()",
        new: "if later.len() >= self.committee.max_faulty()",
        filter: "model::",
    },
    Mutant {
        name: "checkpoint-quorum-short",
        file: "src/replica/checkpoint.rs",
        old: "find(|(_, count)| *count >= quorum)",
        new: "find(|(_, count)| *count + 1 >= quorum)",
        filter: "checkpoints::",
    },
    Mutant {
        name: "primary-counts-twice",
        file: "src/replica/normal_case.rs",
        old: "if replica == self.committee.primary(self.view) {",
        new: "if false && replica == self.committee.primary(self.view) {",
        filter: "flips::",
    },
    Mutant {
        name: "voter-counts-twice",
        file: "src/certificate.rs",
        old: "if !keys.insert(member.consensus_key().public()) {",
        new: "if keys.insert(member.consensus_key().public()) && false {",
        filter: "certificates::",
    },
    Mutant {
        name: "restart-forgets-its-view-change",
        file: "src/replica/restart.rs",
        old: "self.view = said.took_part.max(said.wanted);",
        new: "self.view = said.took_part;",
        filter: "model::",
    },
    Mutant {
        name: "restart-forgets-what-it-prepared",
        file: "src/replica/restart.rs",
        old: "self.log.slot_mut(sequence).prepared = Some(prepared);",
        new: "drop(prepared);",
        filter: "model::",
    },
];
