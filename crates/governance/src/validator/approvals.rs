//! Governors' signatures on a sign-off, collected until the threshold.

use std::collections::BTreeMap;

use federation_proto::entry::ApplySignoff;
use federation_proto::keys::{GovernanceNote, PublicKey};
use federation_proto::signing::Endorsement;
use thiserror::Error;

use crate::machine::{Phase, Rules};
use crate::note;

type Signatures = BTreeMap<PublicKey<GovernanceNote>, Endorsement<GovernanceNote>>;

/// Approvals of the aggregate that waits for its sign-off.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// Sign-offs without signatures, each with the signatures on it. Bounded by the number of governors.
    drafts: Vec<(ApplySignoff, Signatures)>,
}

/// Why an approval was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApprovalRefusal {
    /// Not the note key of a governor.
    #[error("{0} is not the note key of a governor")]
    UnknownKey(PublicKey<GovernanceNote>),
    /// The signature fails.
    #[error("approval by {0} does not verify")]
    Signature(PublicKey<GovernanceNote>),
    /// It carries signatures of others already.
    #[error("an approval is a draft with one signature beside it")]
    NotADraft,
    /// Nothing waits for it.
    #[error("no aggregate waits for this sign-off")]
    NothingWaits,
}

impl Approvals {
    /// Takes one governor's signature. The governor's latest word replaces its earlier one.
    pub(super) fn take(
        &mut self,
        rules: &Rules,
        phase: &Phase,
        draft: ApplySignoff,
        endorsement: Endorsement<GovernanceNote>,
    ) -> Result<(), ApprovalRefusal> {
        if !draft.signatures.is_empty() {
            return Err(ApprovalRefusal::NotADraft);
        }
        let key = endorsement.key;
        let mut governors = rules.roster.governors().iter();
        let governor = governors
            .find(|governor| governor.record.note_key == key)
            .ok_or(ApprovalRefusal::UnknownKey(key))?;
        let waits = match phase {
            Phase::Aggregated { aggregated, .. } => aggregated.hash() == draft.aggregated_hash,
            // A fast governor may sign before this validator has executed the aggregate.
            Phase::Cut { cut, .. } => cut.federated_epoch == draft.federated_epoch,
            _ => false,
        };
        if !waits {
            return Err(ApprovalRefusal::NothingWaits);
        }
        let text = note::apply_text(rules.federation_id(), &draft);
        if !governor.note.verify_raw(text.as_bytes(), &endorsement.signature) {
            return Err(ApprovalRefusal::Signature(key));
        }
        for (_, signatures) in &mut self.drafts {
            signatures.remove(&key);
        }
        self.drafts.retain(|(_, signatures)| !signatures.is_empty());
        match self.drafts.iter_mut().find(|(known, _)| *known == draft) {
            Some((_, signatures)) => {
                signatures.insert(key, endorsement);
            }
            None => self.drafts.push((draft, BTreeMap::from([(key, endorsement)]))),
        }
        Ok(())
    }

    /// A sign-off with exactly the needed number of signatures, lowest keys first.
    pub(super) fn complete(&self, needed: usize) -> Option<ApplySignoff> {
        let (draft, signatures) =
            self.drafts.iter().find(|(_, signatures)| signatures.len() >= needed)?;
        let signatures = signatures.values().take(needed).cloned().collect();
        Some(ApplySignoff { signatures, ..draft.clone() })
    }

    pub(super) fn clear(&mut self) {
        self.drafts.clear();
    }
}
