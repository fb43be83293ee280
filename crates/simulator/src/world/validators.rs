//! The validators of a world: their lives, their disks, and the driver's law.

use consensus_pbft::{ReplicaId, Settings};
use federation_proto::{LogicalTime, Name};
use governance::validator::{
    DurableRecord, DurableToken, Validator, ValidatorEffect, ValidatorInput, ValidatorKeys,
};

use super::disk::Disk;
use super::{Event, HEARTBEAT_MS, RESEND_MS, World, WorldError};
use crate::scenario::{Crash, Faults, Network as Delays, Scenario};

impl World {
    pub(super) fn settle_validators(&mut self, scenario: &Scenario) -> Result<(), WorldError> {
        for (index, spec) in (0u16..).zip(&scenario.document().validators) {
            let name = &spec.name;
            let validator = Validator::new(
                self.founding.committee.clone(),
                ReplicaId::new(index),
                self.validator_keys(name),
                self.settings,
                self.founding.executor(),
            )?;
            self.validator_names.push(name.clone());
            self.validators.insert(name.clone(), validator);
            let wake = Event::Wake { validator: name.clone(), again: true };
            self.queue.schedule(LogicalTime::new(HEARTBEAT_MS), wake);
        }
        // Without faulty validators no frame is lost, so nothing needs to be said again.
        for validator in self.validator_names.iter().filter(|_| !self.faulty.is_empty()) {
            let resend = Event::Resend { validator: validator.clone() };
            self.queue.schedule(LogicalTime::new(RESEND_MS), resend);
        }
        Ok(())
    }

    fn validator_keys(&self, name: &Name) -> ValidatorKeys {
        let owner = name.as_str();
        ValidatorKeys {
            identity: self.keys.key(owner),
            consensus: self.keys.key(owner),
            log: self.keys.key(owner),
        }
    }

    pub(super) fn schedule_crashes(&mut self, faults: &Faults) {
        for Crash { validator, at_ms, back_ms } in &faults.crashed_validators {
            self.disks.insert(validator.clone(), Disk::default());
            let crash = Event::Crash { validator: validator.clone() };
            self.queue.schedule(LogicalTime::new(*at_ms), crash);
            if let Some(back_ms) = back_ms {
                let back = Event::Return { validator: validator.clone() };
                self.queue.schedule(LogicalTime::new(*back_ms), back);
            }
        }
    }

    /// What is not durable is lost, and nothing reaches the validator until it is back.
    pub(super) fn crash(&mut self, name: &Name) {
        self.validators.remove(name);
        if let Some(disk) = self.disks.get_mut(name) {
            disk.crash();
        }
    }

    /// The validator goes on from its disk.
    pub(super) fn come_back(&mut self, name: &Name) -> Result<(), WorldError> {
        let (Some(disk), Some(index)) =
            (self.disks.get(name), self.validator_names.iter().position(|known| known == name))
        else {
            return Ok(());
        };
        let restored = Validator::restore(
            self.founding.committee.clone(),
            ReplicaId::new(u16::try_from(index).unwrap_or(u16::MAX)),
            self.validator_keys(name),
            self.settings,
            self.founding.executor(),
            disk.survived(),
        );
        let restored = restored.map_err(|cause| WorldError::Restore {
            validator: name.clone(),
            cause: Box::new(cause),
        })?;
        self.validators.insert(name.clone(), restored);
        let life = self.lives.entry(name.clone()).or_default();
        *life = life.saturating_add(1);
        self.tell_validator(name, ValidatorInput::Resend)
    }

    pub(super) fn tell_validator(
        &mut self,
        name: &Name,
        input: ValidatorInput,
    ) -> Result<(), WorldError> {
        let now = self.now();
        let Some(validator) = self.validators.get_mut(name) else { return Ok(()) };
        for effect in validator.handle(now, input) {
            match effect {
                ValidatorEffect::Persist { token, record } => self.persist(name, token, record),
                ValidatorEffect::Send(outgoing) => self.send(name, &outgoing),
                ValidatorEffect::WakeAt(at) => {
                    let wake = Event::Wake { validator: name.clone(), again: false };
                    self.queue.schedule(at, wake);
                }
                ValidatorEffect::EnteredView(view) => {
                    self.views.entry(view).or_insert(now);
                }
                ValidatorEffect::Refused(refusal) if refusal.is_late_vote() => {}
                ValidatorEffect::Refused(refusal) => {
                    self.refusals.push(format!("{now} ms {name}: {refusal}"));
                }
                ValidatorEffect::Evidence(evidence) => {
                    self.refusals.push(format!("{now} ms {name}: evidence {evidence:?}"));
                }
                ValidatorEffect::Halt(cause) => {
                    let (validator, cause) = (name.clone(), cause.to_string());
                    return Err(WorldError::Halted { validator, at: now, cause });
                }
            }
        }
        Ok(())
    }

    pub(super) fn life(&self, name: &Name) -> u32 {
        self.lives.get(name).copied().unwrap_or_default()
    }

    fn persist(&mut self, name: &Name, token: DurableToken, record: DurableRecord) {
        if let Some(disk) = self.disks.get_mut(name) {
            disk.write(token, record);
        }
        // Nothing waits for a certificate, so nothing is said when it is there.
        if !matches!(token, DurableToken::Checkpoint(_)) {
            let (validator, life) = (name.clone(), self.life(name));
            let at = self.network.write(self.queue.now());
            self.queue.schedule(at, Event::Durable { validator, life, token });
        }
    }
}

/// Patience that no honest validator strains: the longest way of a request to its execution is some ten times over
/// the slowest link and onto the slowest disk (relayed, behind another batch, with a blob that has to be fetched).
pub(super) fn patience(delays: &Delays) -> Settings {
    let settings = Settings::default();
    let link = delays.same_region_ms[1].max(delays.cross_region_ms[1]);
    let view_timeout = settings.view_timeout.max(16 * (link + delays.disk_ms[1]));
    Settings { view_timeout, ..settings }
}
