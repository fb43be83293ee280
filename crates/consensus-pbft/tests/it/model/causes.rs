//! What may happen to a replica next, of all that was said.
//!
//! Votes for one thing arrive together: those below a quorum lead to nothing that another replica could see, and the
//! quorum is made of what was said by then. So no vote is offered alone unless it completes something.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus_pbft::ConsensusMessage;
use federation_proto::View;

use super::book::{Cause, MessageId, Seen};

/// The causes worth trying; many lead nowhere.
pub(super) fn causes(
    (local, facts): &Seen,
    said: &[(MessageId, Arc<ConsensusMessage>)],
) -> impl Iterator<Item = Cause> {
    let here = |view: View| facts.active && view.get() == facts.view;
    let next = facts.executed.len() as u64 + 1;
    let (mut single, mut changes) = (Vec::new(), Vec::new());
    let mut votes: BTreeMap<_, Vec<MessageId>> = BTreeMap::new();
    for (id, message) in said {
        let author = message.claimed_replica().map(|replica| usize::from(replica.get()));
        if author == Some(local.index()) {
            continue;
        }
        let arrives = match &**message {
            ConsensusMessage::Prepare(vote) => {
                let vote = vote.claimed();
                if here(vote.view) {
                    votes.entry((0, vote.sequence, vote.digest)).or_default().push(*id);
                }
                false
            }
            ConsensusMessage::Commit(vote) => {
                let vote = vote.claimed();
                if here(vote.view) {
                    votes.entry((1, vote.sequence, vote.digest)).or_default().push(*id);
                }
                false
            }
            ConsensusMessage::Checkpoint(vote) => {
                let statement = vote.claimed().statement;
                if statement.sequence.get() > facts.low {
                    let place = (2, statement.sequence, statement.state_root);
                    votes.entry(place).or_default().push(*id);
                }
                false
            }
            ConsensusMessage::ViewChange(change) => {
                let view = change.claimed().view.get();
                if view > facts.view || (view == facts.view && !facts.active) {
                    changes.push((author, *id));
                }
                false
            }
            ConsensusMessage::Proposal(proposal) => here(proposal.pre_prepare.claimed().view),
            ConsensusMessage::NewView(new_view) => new_view.claimed().view.get() >= facts.view,
            ConsensusMessage::Decided(decided) => {
                local.scope().answers && decided.certificate.sequence.get() == next
            }
            ConsensusMessage::Stable(stable) => stable.statement.sequence.get() > facts.low,
            ConsensusMessage::Batch(_) => facts.active,
            ConsensusMessage::Status(_) => false,
        };
        if arrives {
            single.push(Cause::Heard(vec![*id]));
        }
    }
    single.extend(votes.into_values().map(Cause::Heard));
    single.extend(changes.iter().map(|(_, id)| Cause::Heard(vec![*id])));
    let mut pairs = Vec::new();
    for (place, (author, id)) in changes.iter().enumerate() {
        let others = changes.iter().skip(place + 1).filter(|(other, _)| other != author);
        pairs.extend(others.map(|(_, other)| vec![*id, *other]));
    }
    if facts.view < local.scope().views {
        // Between views, patience runs only once a quorum has left the old one.
        let enough = if facts.active { &[Vec::new()] } else { pairs.as_slice() };
        single.extend(enough.iter().cloned().map(Cause::Patience));
    }
    single.extend(pairs.into_iter().map(Cause::Heard));
    if local.scope().crashes > 0 {
        single.push(Cause::Crash);
    }
    single.into_iter()
}
