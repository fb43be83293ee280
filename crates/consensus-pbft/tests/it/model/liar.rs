//! The Byzantine replica: everything it says, as far as it knows how by then. What it withholds does not arrive.
//!
//! As primary it proposes two batches at every sequence number, and begins its view from any quorum of VIEW-CHANGEs, or
//! with what does not follow from them. It votes for everything. Its VIEW-CHANGEs name nothing, or one certificate each:
//! an old one, the latest, or a forged one.

use std::collections::BTreeMap;
use std::sync::Arc;

use consensus_pbft::{
    Commit, Committee, ConsensusMessage, NewView, PrePrepare, Prepare, PreparedCertificate,
    Proposal, ReplicaId, ViewChange, Vote,
};
use federation_proto::keys::{Consensus, SecretKey};
use federation_proto::{Batch, LogicalTime, SequenceNumber, Signed, SignedBody, View};

use super::Scope;
use super::local::Said;
use super::message::is_forged;
use crate::federation::{batch, committee, consensus_key, id};

pub(super) struct Liar {
    scope: Scope,
    committee: Committee,
    id: ReplicaId,
    key: SecretKey<Consensus>,
}

impl Liar {
    pub(super) fn new(index: usize, scope: Scope) -> Self {
        Self { scope, committee: committee(4), id: id(index), key: consensus_key(index) }
    }

    /// What it says follows from messages like this one.
    pub(super) fn minds(&self, message: &ConsensusMessage) -> bool {
        let begins = || self.views().skip(1).any(|view| self.committee.primary(view) == self.id);
        match message {
            ConsensusMessage::Proposal(_)
            | ConsensusMessage::NewView(_)
            | ConsensusMessage::Prepare(_) => true,
            ConsensusMessage::ViewChange(_) => begins(),
            _ => false,
        }
    }

    /// What it can say knowing all this.
    pub(super) fn repertoire(&self, heard: &[Arc<ConsensusMessage>]) -> Said {
        let assigned = assigned(heard);
        let mut said = self.proposals();
        said.extend(assigned.iter().flat_map(|own| self.votes(own.claimed())));
        said.extend(self.view_changes(&assigned, heard));
        said.extend(self.new_views(heard));
        said
    }

    fn sign<B: SignedBody<Role = Consensus>>(&self, body: B) -> Signed<B> {
        Signed::sign(body, &self.key, self.committee.context())
    }

    fn views(&self) -> impl Iterator<Item = View> {
        (0..=self.scope.views).map(View::new)
    }

    /// Two batches at every sequence number of every view of its own.
    fn proposals(&self) -> Said {
        let own = self.views().filter(|view| self.committee.primary(*view) == self.id);
        let places =
            own.flat_map(|view| (1..=self.scope.sequences as u64).map(move |at| (view, at)));
        let both = places.flat_map(|(view, at)| [(view, at, 80 + at), (view, at, 90 + at)]);
        both.map(|(view, at, number)| {
            let (sequence, batch) = (SequenceNumber::new(at), self.batch(number));
            let pre_prepare = self.assign(view, sequence, &batch);
            ConsensusMessage::Proposal(Proposal { pre_prepare, batch })
        })
        .collect()
    }

    fn batch(&self, number: u64) -> Batch {
        batch(self.committee.context(), &[number])
    }

    fn assign(&self, view: View, sequence: SequenceNumber, batch: &Batch) -> Signed<PrePrepare> {
        let digest = batch.digest(self.committee.context(), sequence);
        self.sign(PrePrepare { view, sequence, digest, replica: self.id })
    }

    /// It prepares and commits whatever anybody assigns.
    fn votes(&self, assigned: &PrePrepare) -> Said {
        let PrePrepare { view, sequence, digest, .. } = *assigned;
        let replica = self.id;
        let commit = self.sign(Commit { view, sequence, digest, replica });
        let prepare = self.sign(Prepare { view, sequence, digest, replica });
        let mut said = vec![ConsensusMessage::Commit(commit)];
        if self.committee.primary(view) != self.id {
            said.push(ConsensusMessage::Prepare(prepare));
        }
        said
    }

    /// What it would rather have in a place.
    fn instead(&self, planned: &PrePrepare) -> Signed<PrePrepare> {
        let at = planned.sequence;
        self.assign(planned.view, at, &self.batch(80 + at.get()))
    }

    fn view_changes(
        &self,
        assigned: &[Signed<PrePrepare>],
        heard: &[Arc<ConsensusMessage>],
    ) -> Said {
        let mut said = Vec::new();
        for view in self.views().skip(1) {
            let earlier = assigned.iter().filter(|own| own.claimed().view < view);
            let certificates = earlier.map(|own| self.certificate(own, heard));
            let choices = certificates.map(|certificate| vec![certificate]).chain([Vec::new()]);
            said.extend(choices.map(|prepared| {
                let change = ViewChange { view, stable: None, prepared, replica: self.id };
                ConsensusMessage::ViewChange(Box::new(self.sign(change)))
            }));
        }
        said
    }

    /// The certificate for an assignment, from the PREPAREs there are; a forged one where they are too few.
    fn certificate(
        &self,
        pre_prepare: &Signed<PrePrepare>,
        heard: &[Arc<ConsensusMessage>],
    ) -> PreparedCertificate {
        let claimed = *pre_prepare.claimed();
        let votes: BTreeMap<ReplicaId, Vote> = heard
            .iter()
            .filter_map(|message| match &**message {
                ConsensusMessage::Prepare(vote) => Some(vote),
                _ => None,
            })
            .filter(|vote| {
                let vote = vote.claimed();
                (vote.view, vote.sequence, vote.digest)
                    == (claimed.view, claimed.sequence, claimed.digest)
            })
            .map(|vote| {
                let replica = vote.claimed().replica;
                (replica, Vote { replica, signature: *vote.signature() })
            })
            .collect();
        let needed = self.committee.quorum() - 1;
        let mut votes: Vec<_> = votes.into_values().take(needed).collect();
        if votes.len() < needed {
            let others = self.committee.members().iter().map(|member| member.id());
            let forged = |replica| Vote { replica, signature: *pre_prepare.signature() };
            let others = others.filter(|other| *other != claimed.replica).take(needed);
            votes = others.map(forged).collect();
        }
        PreparedCertificate { pre_prepare: pre_prepare.clone(), votes }
    }

    /// From every quorum of VIEW-CHANGEs, what follows from them, and what it would rather have.
    fn new_views(&self, heard: &[Arc<ConsensusMessage>]) -> Said {
        let mut said = Vec::new();
        for view in self.views().skip(1).filter(|view| self.committee.primary(*view) == self.id) {
            let changes: Vec<_> = heard
                .iter()
                .filter_map(|message| match &**message {
                    ConsensusMessage::ViewChange(change) => Some((**change).clone()),
                    _ => None,
                })
                .filter(|change| change.claimed().view == view)
                .collect();
            let mut wrong = None;
            for view_changes in quorums(&changes, self.committee.quorum()) {
                let pre_prepares = self.plan(view, &view_changes);
                let replica = self.id;
                // One that does not follow is enough: it is refused whatever it does not follow from.
                let forged =
                    view_changes.iter().flat_map(|own| &own.claimed().prepared).any(is_forged);
                if wrong.is_none() && !forged && !pre_prepares.is_empty() {
                    let instead = pre_prepares.iter().map(|own| self.instead(own.claimed()));
                    let (view_changes, pre_prepares) = (view_changes.clone(), instead.collect());
                    wrong = Some(NewView { view, view_changes, pre_prepares, replica });
                }
                let follows = NewView { view, view_changes, pre_prepares, replica };
                said.push(ConsensusMessage::NewView(Box::new(self.sign(follows))));
            }
            let wrong = wrong.map(|body| Box::new(self.sign(body)));
            said.extend(wrong.map(ConsensusMessage::NewView));
        }
        said
    }

    /// What VIEW-CHANGEs without checkpoints lead to, told again from the paper [OSDI '99 §4.4].
    fn plan(&self, view: View, changes: &[Signed<ViewChange>]) -> Vec<Signed<PrePrepare>> {
        let prepared = changes.iter().flat_map(|change| &change.claimed().prepared);
        let mut latest: BTreeMap<SequenceNumber, PrePrepare> = BTreeMap::new();
        for claimed in prepared.map(|prepared| *prepared.claimed()) {
            let known = latest.entry(claimed.sequence).or_insert(claimed);
            if claimed.view > known.view {
                *known = claimed;
            }
        }
        let last = latest.keys().next_back().map_or(0, |last| last.get());
        let null = Batch { batch_time: LogicalTime::ZERO, items: Vec::new() };
        let of = |at| {
            let sequence = SequenceNumber::new(at);
            match latest.get(&sequence) {
                Some(known) => self.sign(PrePrepare { view, replica: self.id, ..*known }),
                None => self.assign(view, sequence, &null),
            }
        };
        (1..=last).map(of).collect()
    }
}

/// Every assignment that was signed, also those within a NEW-VIEW.
fn assigned(heard: &[Arc<ConsensusMessage>]) -> Vec<Signed<PrePrepare>> {
    let mut all: Vec<Signed<PrePrepare>> = Vec::new();
    for message in heard {
        let some = match &**message {
            ConsensusMessage::Proposal(proposal) => core::slice::from_ref(&proposal.pre_prepare),
            ConsensusMessage::NewView(new_view) => &new_view.claimed().pre_prepares,
            _ => continue,
        };
        for own in some {
            if !all.contains(own) {
                all.push(own.clone());
            }
        }
    }
    all
}

/// All sets of so many VIEW-CHANGEs of different replicas, each in their order.
fn quorums(changes: &[Signed<ViewChange>], needed: usize) -> Vec<Vec<Signed<ViewChange>>> {
    let mut sorted = changes.to_vec();
    sorted.sort_by_key(|change| change.claimed().replica);
    let mut sets: Vec<Vec<Signed<ViewChange>>> = vec![Vec::new()];
    for change in &sorted {
        let replica = change.claimed().replica;
        let fits = |set: &&Vec<Signed<ViewChange>>| {
            let last = set.last().map(|last| last.claimed().replica);
            set.len() < needed && last.is_none_or(|last| last < replica)
        };
        let longer: Vec<_> = sets.iter().filter(fits).cloned().collect();
        sets.extend(longer.into_iter().map(|mut set| {
            set.push(change.clone());
            set
        }));
    }
    sets.retain(|set| set.len() == needed);
    sets
}
