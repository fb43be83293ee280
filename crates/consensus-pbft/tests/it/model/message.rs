//! Messages of the model: their names, places and descriptions.

use consensus_pbft::{
    ConsensusMessage, NewView, PreparedCertificate, ReplicaId, ViewChange, WantedBatch,
};
use federation_proto::codec::Canonical as _;

/// Equal for messages that differ in nothing but whose votes prove something.
pub(super) fn name(message: &ConsensusMessage) -> Vec<u8> {
    let text = match message {
        ConsensusMessage::Decided(decided) => {
            format!("{:?}", (decided.certificate.sequence, decided.certificate.digest))
        }
        ConsensusMessage::Stable(stable) => format!("{:?}", stable.statement),
        ConsensusMessage::ViewChange(change) => proved(change.claimed()),
        ConsensusMessage::NewView(new_view) => settled(new_view.claimed()),
        message => return message.to_canonical(),
    };
    format!("{} {text}", message.kind()).into_bytes()
}

fn proved(change: &ViewChange) -> String {
    let prepared: Vec<_> =
        change.prepared.iter().map(|own| (*own.claimed(), is_forged(own))).collect();
    let stable = change.stable.as_ref().map(|stable| stable.statement);
    format!("{:?}", (change.replica, change.view, stable, prepared))
}

fn settled(new_view: &NewView) -> String {
    let changes = || new_view.view_changes.iter().map(|change| change.claimed());
    let stable = changes().filter_map(|change| change.stable.as_ref()).map(|own| own.statement);
    let prepared = || changes().flat_map(|change| &change.prepared);
    let last = prepared().map(|own| own.claimed().sequence).max();
    let proposals: Vec<_> = new_view.pre_prepares.iter().map(|own| *own.claimed()).collect();
    let follows = (stable.max(), last, prepared().any(is_forged));
    // Two plans may end in the same proposals only where both are right, or both are not.
    let latest: Vec<_> = prepared().map(|own| *own.claimed()).collect();
    let is_right = proposals.iter().all(|own| {
        let of = latest.iter().filter(|known| known.sequence == own.sequence);
        of.max_by_key(|known| known.view).is_none_or(|known| known.digest == own.digest)
    });
    format!("{:?}", (new_view.replica, new_view.view, proposals, follows, is_right))
}

/// The liar has only one way to make up a vote.
pub(super) fn is_forged(certificate: &PreparedCertificate) -> bool {
    let copied = certificate.pre_prepare.signature();
    certificate.votes.iter().any(|vote| vote.signature == *copied)
}

/// The batch of a proposal, for whoever asks.
pub(super) fn given(message: &ConsensusMessage) -> Option<ConsensusMessage> {
    let ConsensusMessage::Proposal(proposal) = message else { return None };
    let (sequence, batch) = (proposal.pre_prepare.claimed().sequence, proposal.batch.clone());
    Some(ConsensusMessage::Batch(Box::new(WantedBatch { sequence, batch })))
}

/// Where a correct replica may say one thing only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    kind: &'static str,
    replica: ReplicaId,
    /// [`u64::MAX`] for what is of no view.
    pub(super) view: u64,
    sequence: u64,
    /// It is about a sequence number.
    pub(super) is_vote: bool,
}

/// The place of a message; none for what proves itself.
pub(super) fn place(message: &ConsensusMessage) -> Option<Place> {
    let view = match message {
        ConsensusMessage::Proposal(proposal) => proposal.pre_prepare.claimed().view.get(),
        ConsensusMessage::Prepare(vote) => vote.claimed().view.get(),
        ConsensusMessage::Commit(vote) => vote.claimed().view.get(),
        ConsensusMessage::ViewChange(change) => change.claimed().view.get(),
        ConsensusMessage::NewView(new_view) => new_view.claimed().view.get(),
        _ => u64::MAX,
    };
    let (kind, replica) = (message.kind(), message.claimed_replica()?);
    let (sequence, is_vote) =
        message.claimed_sequence().map_or((0, false), |sequence| (sequence.get(), true));
    Some(Place { kind, replica, view, sequence, is_vote })
}

pub(super) fn describe(message: &ConsensusMessage) -> String {
    let at = place(message);
    let what = match message {
        ConsensusMessage::Proposal(proposal) => {
            format!(" {:?}", crate::toy::numbers(&proposal.batch))
        }
        ConsensusMessage::Decided(decided) => format!(" {:?}", crate::toy::numbers(&decided.batch)),
        ConsensusMessage::ViewChange(change) => {
            let prepared = change.claimed().prepared.iter().map(|prepared| {
                let claimed = prepared.claimed();
                (claimed.view.get(), claimed.sequence.get(), claimed.digest)
            });
            format!(" {:?}", prepared.collect::<Vec<_>>())
        }
        _ => String::new(),
    };
    let at = at.map_or(String::new(), |at| {
        format!(" of {} in view {} at {}", at.replica, at.view, at.sequence)
    });
    format!("{}{at}{what}", message.kind())
}
