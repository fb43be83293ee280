//! What became of every committed update of a cut, by its place on the ledger.

use std::collections::{BTreeMap, VecDeque};

use federation_proto::entry::{AlignmentRecord, DiscardReason, UpdateRef};
use federation_proto::update::UpdateCommitment;

use super::plan::AlignmentStatus;
use crate::machine::OrderedCommitment;

/// What became of one committed update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: AlignmentStatus,
    /// Epochs between base and epoch, for an aligned one.
    pub(crate) staleness: Option<u8>,
    /// Why it was left, for a discarded one.
    pub(crate) reason: Option<DiscardReason>,
}

/// What a record says of each of the commitments, which stand in ledger order; `None` where it says nothing.
///
/// A record names updates, not places, and the same update can be committed twice. Alignment judges the first
/// and discards what repeats it as `Duplicate`; so the outcomes of one name belong to its places in ledger
/// order, duplicates last.
pub(crate) fn outcomes(
    record: &AlignmentRecord,
    commitments: &[OrderedCommitment],
) -> Vec<Option<Outcome>> {
    let mut named: BTreeMap<UpdateRef, VecDeque<Outcome>> = BTreeMap::new();
    for aligned in &record.aligned {
        let (status, staleness) = (AlignmentStatus::Aligned, Some(aligned.staleness));
        let outcome = Outcome { status, staleness, reason: None };
        named.entry(aligned.update).or_default().push_back(outcome);
    }
    let repeated = |reason: DiscardReason| reason == DiscardReason::Duplicate;
    let judged = record.discarded.iter().filter(|discarded| !repeated(discarded.reason));
    let repetitions = record.discarded.iter().filter(|discarded| repeated(discarded.reason));
    for discarded in judged.chain(repetitions) {
        let (status, reason) = (AlignmentStatus::Discarded, Some(discarded.reason));
        let outcome = Outcome { status, staleness: None, reason };
        named.entry(discarded.update).or_default().push_back(outcome);
    }
    commitments
        .iter()
        .map(|ordered| named.get_mut(&reference(&ordered.commitment))?.pop_front())
        .collect()
}

/// The name of a committed update in cuts and alignment records.
pub(crate) fn reference(commitment: &UpdateCommitment) -> UpdateRef {
    UpdateRef {
        node_fingerprint: commitment.node_fingerprint,
        cycle: commitment.cycle,
        update_hash: commitment.update_hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use federation_proto::entry::{AlignedUpdate, DiscardedUpdate};
    use federation_proto::{Cycle, Digest, FederatedEpoch, Generation, Height, NodeFingerprint};

    fn ordered(height: u64, update: &[u8]) -> OrderedCommitment {
        let commitment = UpdateCommitment {
            federated_epoch: FederatedEpoch::new(1),
            generation: Generation::new(0),
            node_fingerprint: NodeFingerprint::from_bytes([1; 32]),
            cycle: Cycle::new(1),
            previous_update: Digest::ZERO,
            base_state_hash: Digest::ZERO,
            update_hash: Digest::of_blob(update),
            blob: Digest::of_blob(update),
            blob_len: 1,
            parameter_set: federation_proto::update::ParameterSet::NONE,
            commitment: federation_proto::update::ProofCommitment::default(),
            proof_hash: Digest::ZERO,
            receipts: Vec::new(),
        };
        OrderedCommitment { commitment, height: Height::new(height), index: 0 }
    }

    #[test]
    fn a_repetition_is_the_one_that_was_discarded() {
        let commitments = [ordered(4, b"a"), ordered(5, b"b"), ordered(6, b"a"), ordered(7, b"c")];
        let update = reference(&commitments[0].commitment);
        let other = reference(&commitments[1].commitment);
        let discarded = |update, reason| DiscardedUpdate { update, reason };
        let mut record = AlignmentRecord {
            aligned: vec![AlignedUpdate { update, staleness: 2 }],
            discarded: vec![
                discarded(update, DiscardReason::Duplicate),
                discarded(other, DiscardReason::Stale),
            ],
        };
        let reasons = |record: &AlignmentRecord| -> Vec<_> {
            let found = outcomes(record, &commitments);
            found
                .into_iter()
                .map(|outcome| outcome.map(|one| (one.staleness, one.reason)))
                .collect()
        };
        let left = |reason| Some((None, Some(reason)));
        let (stale, duplicate) = (left(DiscardReason::Stale), left(DiscardReason::Duplicate));
        assert_eq!(reasons(&record), [Some((Some(2), None)), stale, duplicate, None]);
        // Whatever the order of the record: what was judged is the first.
        record.aligned.clear();
        record.discarded.push(discarded(update, DiscardReason::InvalidPayload));
        let invalid = left(DiscardReason::InvalidPayload);
        assert_eq!(reasons(&record), [invalid, stale, duplicate, None]);
    }
}
