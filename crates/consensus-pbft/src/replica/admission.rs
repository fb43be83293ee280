//! What every message must satisfy before its content is looked at: cheap checks first, then the signature.

use federation_proto::keys::Consensus;
use federation_proto::{SequenceNumber, Signed, SignedBody, Verified, View};

use super::Replica;
use super::attention::Costly;
use super::outbox::Pending;
use crate::committee::{Committee, Member, ReplicaId};
use crate::effect::Effects;
use crate::evidence::Equivocation;
use crate::rejection::Rejection;
use crate::safety::SafetyRecord;

impl Replica {
    /// The sender is another member of the committee.
    pub(super) fn admit_sender(&self, replica: ReplicaId) -> Result<(), Rejection> {
        self.member(replica)?;
        if replica == self.id {
            return Err(Rejection::FromSelf { replica });
        }
        Ok(())
    }

    /// The message is of the view this replica is in.
    pub(super) fn admit_view(&self, view: View) -> Result<(), Rejection> {
        if view != self.view {
            return Err(Rejection::WrongView { found: view, own: self.view });
        }
        if !self.active {
            return Err(Rejection::ViewNotEntered { view });
        }
        Ok(())
    }

    /// The sequence number is one of which messages are held.
    pub(super) fn admit_sequence(&self, sequence: SequenceNumber) -> Result<(), Rejection> {
        let (low, limit) = (self.log.low, self.log.limit());
        if sequence <= low {
            return Err(Rejection::BelowWatermark { sequence, low });
        }
        if sequence > limit {
            return Err(Rejection::AboveWatermark { sequence, limit });
        }
        Ok(())
    }

    /// Strict verification under the one key that may have signed.
    pub(super) fn authenticate<B: SignedBody<Role = Consensus>>(
        &self,
        replica: ReplicaId,
        message: Signed<B>,
    ) -> Result<Verified<B>, Rejection> {
        authenticate(&self.committee, replica, message)
    }

    pub(super) fn member(&self, replica: ReplicaId) -> Result<&Member, Rejection> {
        member(&self.committee, replica)
    }

    /// Makes a lie durable; it is reported when it is. Of a replica that lies all the time not every lie is kept.
    pub(super) fn accuse<R>(&mut self, evidence: Equivocation, effects: &mut Effects<R>) {
        let liar = evidence.claimed_replica();
        if self.attention.admit(liar, Costly::Lie).is_err() {
            return;
        }
        self.attention.spend(liar, Costly::Lie);
        let evidence = Box::new(evidence);
        let record = SafetyRecord::Evidence(evidence.clone());
        self.outbox.persist(record, Pending::Evidence(evidence), effects);
    }
}

/// As the method: for checks that need no replica.
pub(super) fn authenticate<B: SignedBody<Role = Consensus>>(
    committee: &Committee,
    replica: ReplicaId,
    message: Signed<B>,
) -> Result<Verified<B>, Rejection> {
    let key = member(committee, replica)?.consensus_key();
    message
        .verify(key, committee.context())
        .map_err(|cause| Rejection::BadSignature { replica, cause })
}

/// The member of that id.
pub(super) fn member(committee: &Committee, replica: ReplicaId) -> Result<&Member, Rejection> {
    let size = committee.size();
    committee.member(replica).ok_or(Rejection::UnknownReplica { replica, size })
}
