//! `UpdateCommitment`: an update is ordered before anything is aggregated, and only once it is stored.

use federation_proto::update::UpdateCommitment;
use federation_proto::{Digest, FederatedEpoch, NodeFingerprint, Request};

use super::refusal::same;
use super::{MachineState, OrderedCommitment, Phase, Place, Refusal, Rules};

impl MachineState {
    /// Commitments are taken in every phase: one that misses a cut is a stale candidate for the next.
    pub(super) fn commit_update(
        &mut self,
        rules: &Rules,
        place: Place,
        request: &Request,
        commitment: &UpdateCommitment,
    ) -> Result<(), Refusal> {
        let node = commitment.node_fingerprint;
        same("request node", &node, &request.node_fingerprint)?;
        self.check_session(request)?;
        if let Some(session) = self.rest.sessions.get_mut(&request.session_id) {
            session.admit(request.lane, request.sequence)?;
        }
        let current = self.epoch();
        if commitment.federated_epoch > current {
            return Err(Refusal::FutureEpoch { current, got: commitment.federated_epoch });
        }
        let generation = self.meta.generation();
        if commitment.generation != generation {
            let (expected, got) = (generation, commitment.generation);
            return Err(Refusal::Generation { expected, got });
        }
        if !self.rest.bases.iter().any(|base| base.hash == commitment.base_state_hash) {
            return Err(Refusal::UnknownBase(commitment.base_state_hash));
        }
        let repeated = self.has_ordered(&node, &commitment.update_hash)
            || self
                .rest
                .accepted
                .get(&node)
                .is_some_and(|accepted| accepted.update_hash == commitment.update_hash);
        if repeated {
            return Err(Refusal::Repeated(commitment.update_hash));
        }
        let limit = rules.policy.document().epoch.maximum_commitments_per_node;
        let count = self.waiting(&node);
        if count >= limit as usize {
            return Err(Refusal::TooManyCommitments { count, limit });
        }
        check_receipts(rules, commitment)?;
        self.rest.pending.push(OrderedCommitment {
            commitment: commitment.clone(),
            height: place.height,
            index: place.index,
        });
        Ok(())
    }

    /// Commitments of a node that wait for a cut.
    pub(crate) fn waiting(&self, node: &NodeFingerprint) -> usize {
        let of_node = |ordered: &&OrderedCommitment| ordered.commitment.node_fingerprint == *node;
        self.rest.pending.iter().filter(of_node).count()
    }

    /// Whether a node's commitment to this update waits for a cut or stands in the current one.
    pub fn has_ordered(&self, node: &NodeFingerprint, update_hash: &Digest) -> bool {
        let in_cut = match &self.rest.phase {
            Phase::Cut { commitments, .. } => commitments.as_slice(),
            _ => &[],
        };
        let mut all = self.rest.pending.iter().chain(in_cut);
        all.any(|ordered| {
            let commitment = &ordered.commitment;
            commitment.node_fingerprint == *node && commitment.update_hash == *update_hash
        })
    }

    /// Whether a node has committed an update for this epoch; a stale one does not count.
    pub(crate) fn has_committed_for(&self, node: &NodeFingerprint, epoch: FederatedEpoch) -> bool {
        self.rest.pending.iter().any(|ordered| {
            let commitment = &ordered.commitment;
            commitment.node_fingerprint == *node && commitment.federated_epoch == epoch
        })
    }

    /// Whether a request was executed in its session.
    pub fn has_executed(&self, request: &Request) -> bool {
        let session = self.rest.sessions.get(&request.session_id);
        session.is_some_and(|session| session.has_executed(request.lane, request.sequence))
    }

    fn check_session(&self, request: &Request) -> Result<(), Refusal> {
        let open = self.session_of(&request.node_fingerprint).map(|(id, _)| *id);
        if open == Some(request.session_id) {
            Ok(())
        } else {
            Err(Refusal::NoSession(request.session_id))
        }
    }
}

/// Data availability: q distinct validators vouch that they store exactly these bytes.
fn check_receipts(rules: &Rules, commitment: &UpdateCommitment) -> Result<(), Refusal> {
    let needed = rules.roster.quorum();
    let statement = commitment.statement_hash();
    let mut previous: Option<NodeFingerprint> = None;
    for (index, receipt) in commitment.receipts.iter().enumerate() {
        let refuse = |what| Refusal::Receipt { index, what };
        let claimed = receipt.claimed();
        if previous.is_some_and(|previous| previous >= claimed.validator) {
            return Err(refuse("not in strictly increasing order of validators"));
        }
        previous = Some(claimed.validator);
        let validator = rules
            .roster
            .validator(&claimed.validator)
            .ok_or_else(|| refuse("not by a validator of the roster"))?;
        let same_blob = claimed.blob == commitment.blob && claimed.blob_len == commitment.blob_len;
        if !same_blob || claimed.node_fingerprint != commitment.node_fingerprint {
            return Err(refuse("for another update"));
        }
        if claimed.federated_epoch != commitment.federated_epoch {
            return Err(refuse("for another epoch"));
        }
        if claimed.commitment != statement {
            return Err(refuse("for another commitment"));
        }
        receipt.clone().verify(&validator.identity, &rules.context)?;
    }
    let got = commitment.receipts.len();
    if got < needed { Err(Refusal::Receipts { needed, got }) } else { Ok(()) }
}
