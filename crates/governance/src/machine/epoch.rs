//! The epoch machine's own entries: opened, cut, aggregated, signed off.

use std::collections::BTreeSet;

use federation_proto::entry::{
    Absence, AbsenceReason, AggregatedUpdate, ApplySignoff, EpochCut, EpochOpened, UpdateRef,
};
use federation_proto::{Digest, FederatedEpoch, LogicalTime};
use ledger::Ledger;

use super::refusal::same;
use super::{EpochBase, MachineState, OrderedCommitment, Phase, Place, Refusal, Rules};
use crate::note;

impl Phase {
    /// Name of the phase, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Open { .. } => "Open",
            Self::Cut { .. } => "Cut",
            Self::Aggregated { .. } => "Aggregated",
        }
    }
}

impl MachineState {
    /// The entry that would open the next epoch, if none is open and the mandate allows one more.
    pub fn next_epoch(&self, rules: &Rules) -> Option<EpochOpened> {
        let next = self.meta.federated_epoch().next();
        let mandate = rules.roster.configuration().mandate;
        let within = mandate.first_epoch <= next && next <= mandate.last_epoch;
        (self.rest.phase == Phase::Idle && within).then(|| EpochOpened {
            federated_epoch: next,
            generation: self.meta.generation(),
            base_state_hash: self.meta.hash(),
            config_digest: rules.roster.digest(),
            policy_hash: rules.policy.digest(),
        })
    }

    pub(super) fn open_epoch(
        &mut self,
        rules: &Rules,
        place: Place,
        opened: &EpochOpened,
    ) -> Result<(), Refusal> {
        self.expect_idle("EpochOpened")?;
        let Some(expected) = self.next_epoch(rules) else {
            let mandate = rules.roster.configuration().mandate;
            let (first, last) = (mandate.first_epoch, mandate.last_epoch);
            return Err(Refusal::Mandate { first, last, got: opened.federated_epoch });
        };
        same("epoch", &expected.federated_epoch, &opened.federated_epoch)?;
        same("generation", &expected.generation, &opened.generation)?;
        same("base_state_hash", &expected.base_state_hash, &opened.base_state_hash)?;
        same("config_digest", &expected.config_digest, &opened.config_digest)?;
        same("policy_hash", &expected.policy_hash, &opened.policy_hash)?;
        if !self.opening_due(rules, place.time) {
            return Err(Refusal::NotDue("EpochOpened"));
        }
        // A state can be the base of several epochs (after a governed rollback): the last one counts.
        self.rest.bases.retain(|base| base.hash != opened.base_state_hash);
        let (epoch, hash) = (opened.federated_epoch, opened.base_state_hash);
        self.rest.bases.push(EpochBase { epoch, hash });
        self.rest.phase = Phase::Open { opened: opened.clone(), opened_at: place.time };
        Ok(())
    }

    /// Whether an epoch may open at `time`: the first waits for the whole roster or the join window; later
    /// ones open at once.
    pub fn opening_due(&self, rules: &Rules, time: LogicalTime) -> bool {
        let everybody = || {
            let mut participants = rules.roster.participants().iter();
            participants.all(|site| self.session_of(&site.record.fingerprint).is_some())
        };
        let window = rules.policy.document().admission.join_window_ms;
        let passed = self.started_at().is_some_and(|started| time.millis_since(started) >= window);
        self.meta.federated_epoch() > FederatedEpoch::ZERO || passed || everybody()
    }

    /// Whether the open epoch may be cut at `time`: every site with a session has committed for it, or the
    /// window has passed.
    pub fn cut_due(&self, rules: &Rules, time: LogicalTime) -> bool {
        let Phase::Open { opened, opened_at } = &self.rest.phase else {
            return false;
        };
        let epoch = opened.federated_epoch;
        let mut sessions = self.rest.sessions.values();
        let window = rules.policy.document().epoch.window_ms;
        time.millis_since(*opened_at) >= window
            || sessions
                .all(|site| !site.is_open(epoch) || self.has_committed_for(&site.node, epoch))
    }

    /// Whether a cut at `time` is due and has enough organisations.
    pub fn may_be_cut(&self, rules: &Rules, time: LogicalTime) -> bool {
        let minimum = rules.policy.document().epoch.minimum_organisations;
        self.waiting_organisations(rules) >= minimum as usize && self.cut_due(rules, time)
    }

    /// Organisations with a commitment that waits.
    pub fn waiting_organisations(&self, rules: &Rules) -> usize {
        let nodes = self.rest.pending.iter().map(|ordered| ordered.commitment.node_fingerprint);
        let participants = nodes.filter_map(|node| rules.roster.participant(&node));
        let organisations: BTreeSet<_> =
            participants.map(|participant| &participant.record.organisation).collect();
        organisations.len()
    }

    fn expect_idle(&self, entry: &'static str) -> Result<(), Refusal> {
        match &self.rest.phase {
            Phase::Idle => Ok(()),
            other => Err(Refusal::Phase { entry, phase: other.name() }),
        }
    }

    /// The cut that the state determines: everything ordered, and everybody who is absent.
    pub fn next_cut(&self, rules: &Rules) -> Option<EpochCut> {
        let Phase::Open { opened, .. } = &self.rest.phase else {
            return None;
        };
        let mut included: Vec<UpdateRef> = self.rest.pending.iter().map(update_ref).collect();
        included.sort_unstable();
        let present: BTreeSet<_> = included.iter().map(|update| update.node_fingerprint).collect();
        let mut absent: Vec<Absence> = rules
            .roster
            .participants()
            .iter()
            .map(|participant| participant.record.fingerprint)
            .filter(|node| !present.contains(node))
            .map(|node_fingerprint| {
                let reason = match self.session_of(&node_fingerprint) {
                    Some(_) => AbsenceReason::NoCommitment,
                    None => AbsenceReason::NoSession,
                };
                Absence { node_fingerprint, reason }
            })
            .collect();
        absent.sort_unstable();
        Some(EpochCut {
            federated_epoch: opened.federated_epoch,
            generation: opened.generation,
            included,
            absent,
        })
    }

    pub(super) fn cut_epoch(
        &mut self,
        rules: &Rules,
        place: Place,
        cut: &EpochCut,
    ) -> Result<(), Refusal> {
        let Phase::Open { opened, .. } = &self.rest.phase else {
            return Err(Refusal::Phase { entry: "EpochCut", phase: self.rest.phase.name() });
        };
        let opened = opened.clone();
        let needed = rules.policy.document().epoch.minimum_organisations;
        let got = self.waiting_organisations(rules);
        if got < needed as usize {
            return Err(Refusal::TooFewOrganisations { needed, got });
        }
        let expected = self.next_cut(rules);
        if expected.as_ref() != Some(cut) {
            let show = |cut: &EpochCut| format!("{cut:?}");
            return Err(Refusal::Mismatch {
                what: "cut",
                expected: expected.as_ref().map(show).unwrap_or_default(),
                got: show(cut),
            });
        }
        if !self.cut_due(rules, place.time) {
            return Err(Refusal::NotDue("EpochCut"));
        }
        let commitments = core::mem::take(&mut self.rest.pending);
        self.rest.phase = Phase::Cut { opened, cut: cut.clone(), commitments };
        Ok(())
    }

    pub(super) fn aggregate(
        &mut self,
        rules: &Rules,
        place: Place,
        aggregated: &AggregatedUpdate,
    ) -> Result<(), Refusal> {
        let Phase::Cut { opened, cut, .. } = &self.rest.phase else {
            return Err(Refusal::Phase {
                entry: "AggregatedUpdate",
                phase: self.rest.phase.name(),
            });
        };
        same("epoch", &opened.federated_epoch, &aggregated.federated_epoch)?;
        same("generation", &opened.generation, &aggregated.generation)?;
        let (expected, got) = (rules.policy.rule(), aggregated.rule);
        if expected != got {
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            return Err(Refusal::Mismatch { what: "rule", expected, got });
        }
        let record = &aggregated.alignment;
        let taken = record.aligned.iter().map(|aligned| aligned.update);
        let left = record.discarded.iter().map(|discarded| discarded.update);
        let mut covered: Vec<UpdateRef> = taken.chain(left).collect();
        covered.sort_unstable();
        if covered != cut.included {
            let (expected, got) = (cut.included.len().to_string(), covered.len().to_string());
            return Err(Refusal::Mismatch {
                what: "updates accounted for by the alignment",
                expected,
                got,
            });
        }
        // Proves that base, shape and resulting state fit; the state itself moves with the sign-off.
        self.meta.apply_update(&rules.schema, aggregated)?;
        let aggregated = Box::new(aggregated.clone());
        self.rest.phase = Phase::Aggregated { aggregated, height: place.height };
        Ok(())
    }

    pub(super) fn sign_off(
        &mut self,
        rules: &Rules,
        ledger: &Ledger,
        signoff: &ApplySignoff,
    ) -> Result<(), Refusal> {
        let Phase::Aggregated { aggregated, height } = &self.rest.phase else {
            return Err(Refusal::Phase { entry: "ApplySignoff", phase: self.rest.phase.name() });
        };
        same("epoch", &aggregated.federated_epoch, &signoff.federated_epoch)?;
        same("generation", &aggregated.generation, &signoff.generation)?;
        same("aggregated_hash", &aggregated.hash(), &signoff.aggregated_hash)?;
        same("new_state_hash", &aggregated.new_state_hash, &signoff.new_state_hash)?;
        same("previous_note", &self.rest.note_head, &signoff.pin.previous_note)?;
        check_mandate(rules, signoff.federated_epoch)?;
        let (first, last, got) = (height.get(), ledger.head().height.get(), signoff.pin.head_size);
        let root = ledger.history().root_at(got).ok().filter(|_| (first..=last).contains(&got));
        let root = root.ok_or(Refusal::Head { first, last, got })?;
        same("head_root", &Digest::from_bytes(*root.as_bytes()), &signoff.pin.head_root)?;
        let text = note::apply_text(rules.federation_id(), signoff);
        check_note_signatures(rules, signoff, &text)?;
        let meta = self.meta.apply_update(&rules.schema, aggregated)?;
        for aligned in &aggregated.alignment.aligned {
            self.rest.accepted.insert(aligned.update.node_fingerprint, aligned.update);
        }
        self.rest.note_head = note::note_hash(&text);
        self.rest.phase = Phase::Idle;
        self.meta = meta;
        Ok(())
    }
}

/// How a cut names an ordered commitment.
fn update_ref(ordered: &OrderedCommitment) -> UpdateRef {
    UpdateRef {
        node_fingerprint: ordered.commitment.node_fingerprint,
        cycle: ordered.commitment.cycle,
        update_hash: ordered.commitment.update_hash,
    }
}

/// The online keys act only within the standing mandate.
pub(crate) fn check_mandate(rules: &Rules, got: FederatedEpoch) -> Result<(), Refusal> {
    let mandate = rules.roster.configuration().mandate;
    let (first, last) = (mandate.first_epoch, mandate.last_epoch);
    if (first..=last).contains(&got) { Ok(()) } else { Err(Refusal::Mandate { first, last, got }) }
}

/// m distinct organisations, one governor each; a single bad or foreign signature refuses the whole.
fn check_note_signatures(rules: &Rules, signoff: &ApplySignoff, text: &str) -> Result<(), Refusal> {
    let mut organisations = BTreeSet::new();
    let mut previous = None;
    for endorsement in &signoff.signatures {
        let refuse = |what| Refusal::NoteSignature { key: endorsement.key.to_string(), what };
        if previous.is_some_and(|previous| previous >= endorsement.key) {
            return Err(refuse("not in strictly increasing order of keys"));
        }
        previous = Some(endorsement.key);
        let governor = rules
            .roster
            .governors()
            .iter()
            .find(|governor| governor.record.note_key == endorsement.key)
            .ok_or_else(|| refuse("not the note key of a governor"))?;
        if !endorsement.signature.has_reduced_s() {
            return Err(refuse("scalar is not reduced"));
        }
        if !governor.note.verify_raw(text.as_bytes(), &endorsement.signature) {
            return Err(refuse("does not verify"));
        }
        organisations.insert(governor.record.organisation.clone());
    }
    let needed = usize::from(rules.roster.configuration().thresholds.apply);
    let got = organisations.len();
    if got < needed { Err(Refusal::SignOff { needed, got }) } else { Ok(()) }
}
