//! Validators that lie: what they do not hear, and what they say instead.
//!
//! A liar runs the code of an honest validator; its character stands between it and the network.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{ConsensusMessage, PrePrepare, Proposal};
use federation_proto::codec::Canonical;
use federation_proto::keys::{Consensus, Identity};
use federation_proto::{
    LedgerEntry, Name, NodeFingerprint, Request, SecretKey, Signed, SigningContext,
};
use governance::wire::Frame;

use crate::keys::KeyRing;
use crate::scenario::Faults;

/// Who lies how.
#[derive(Debug)]
pub(super) struct Characters {
    context: SigningContext,
    censors: BTreeMap<Name, BTreeSet<NodeFingerprint>>,
    equivocators: BTreeMap<Name, SecretKey<Consensus>>,
}

impl Characters {
    pub(super) fn new(faults: &Faults, keys: &KeyRing, context: SigningContext) -> Self {
        let mut censors: BTreeMap<Name, BTreeSet<NodeFingerprint>> = BTreeMap::new();
        for censor in &faults.censoring_validators {
            let site = keys.key::<Identity>(censor.site.as_str()).public();
            censors.entry(censor.validator.clone()).or_default().insert(site);
        }
        let liars = faults.equivocating_validators.iter();
        let equivocators = liars.map(|name| (name.clone(), keys.key(name.as_str()))).collect();
        Self { context, censors, equivocators }
    }

    /// Whether a validator ignores a frame.
    pub(super) fn ignores(&self, to: &Name, frame: &Frame) -> bool {
        let Some(censored) = self.censors.get(to) else { return false };
        let Frame::Envelope(envelope) = frame else { return false };
        let request = Signed::<Request>::from_canonical(&envelope.claimed().payload);
        request.is_ok_and(|request| {
            let request = request.claimed();
            matches!(request.entry, LedgerEntry::UpdateCommitment(_))
                && censored.contains(&request.node_fingerprint)
        })
    }

    /// What a validator tells all but one of the others instead of a frame of its own: the same sequence number for
    /// a batch that is a millisecond younger.
    pub(super) fn contradiction(&self, from: &Name, frame: &Frame) -> Option<Frame> {
        let key = self.equivocators.get(from)?;
        let Frame::Consensus(message) = frame else { return None };
        let ConsensusMessage::Proposal(own) = &**message else { return None };
        let mut batch = own.batch.clone();
        batch.batch_time = batch.batch_time.plus_millis(1);
        let claimed = *own.pre_prepare.claimed();
        let digest = batch.digest(&self.context, claimed.sequence);
        let pre_prepare = Signed::sign(PrePrepare { digest, ..claimed }, key, &self.context);
        let other = ConsensusMessage::Proposal(Proposal { pre_prepare, batch });
        Some(Frame::Consensus(Box::new(other)))
    }
}
