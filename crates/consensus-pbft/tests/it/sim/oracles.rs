//! What must hold in every simulated run. None of it asks a replica what it thinks.

use std::collections::{BTreeMap, BTreeSet};

use consensus_pbft::{CommitCertificate, ConsensusMessage, Equivocation, EvidenceError};
use federation_proto::SequenceNumber;
use federation_proto::codec::Canonical as _;

use super::{Instance, Network, Sim};
use crate::federation::id;

impl<N: Network> Sim<N> {
    /// Whether an instance may do anything.
    pub(crate) fn lies(&self, index: usize) -> bool {
        self.config.liars.contains(&self.instances[index].identity)
    }

    /// At most f liars: safety and liveness are promised.
    pub(crate) fn is_tolerated(&self) -> bool {
        self.config.liars.len() <= self.committee.max_faulty()
    }

    pub(crate) fn honest(&self) -> impl Iterator<Item = &Instance> {
        (0..self.instances.len()).filter(|index| !self.lies(*index)).map(|i| &self.instances[i])
    }

    /// Every honest instance has executed every request.
    pub(crate) fn is_done(&self) -> bool {
        self.honest().all(|instance| instance.app.has_all(self.config.requests))
    }

    /// Agreement and exactly-once order, from what the applications saw; then liveness.
    pub(crate) fn check(&self) {
        let mut decided = BTreeMap::new();
        for instance in &self.instances {
            for (position, (sequence, batch, certificate)) in (1..).zip(&instance.app.history) {
                assert_eq!(sequence.get(), position, "a gap or a repetition");
                assert_eq!(certificate.sequence, *sequence, "another's certificate");
                let first = decided.entry(position).or_insert((batch, certificate.digest));
                assert_eq!(*first, (batch, certificate.digest), "two batches at {position}");
            }
            let numbers = instance.app.executed_numbers();
            let distinct: BTreeSet<_> = numbers.iter().collect();
            assert_eq!(distinct.len(), numbers.len(), "executed twice");
        }
        self.check_own_words();
        assert!(self.is_done(), "not everything was executed: {:#?}", self.summary());
    }

    /// One batch at one sequence number, with a proof, at once when it is decided.
    pub(super) fn check_decided(
        &mut self,
        index: usize,
        sequence: SequenceNumber,
        certificate: &CommitCertificate,
    ) {
        certificate.verify(&self.committee).expect("a proof");
        let app = &self.instances[index].app;
        // One input may decide several.
        let place = (sequence.get() - 1) as usize;
        let (at, batch, proof) = app.history.get(place).expect("executed first");
        assert_eq!((*at, proof), (sequence, certificate), "a gap or a repetition");
        let digest = batch.digest(self.committee.context(), sequence);
        assert_eq!(digest, certificate.digest, "the proof is of another batch");
        let first = *self.decided.entry(sequence.get()).or_insert(digest);
        assert!(first == digest || !self.is_tolerated(), "two batches at {sequence}");
    }

    /// Evidence convinces whoever knows the committee, and accuses nobody honest.
    pub(crate) fn check_evidence(&self, evidence: &Equivocation) {
        let bytes = evidence.to_canonical();
        let read = Equivocation::from_canonical(&bytes).expect("canonical");
        let accused = read.verify(&self.committee).expect("proof of a lie");
        let accused = usize::from(accused.get());
        assert!(self.config.liars.contains(&accused), "{accused} is honest: {evidence:?}");
    }

    /// One state never says two things in one place, crashes or not.
    pub(super) fn check_one_voice(&mut self, index: usize, message: &ConsensusMessage) {
        let place = match message {
            ConsensusMessage::Proposal(proposal) => {
                let body = proposal.pre_prepare.claimed();
                (message.kind(), body.view.get(), body.sequence.get())
            }
            ConsensusMessage::Prepare(vote) => {
                (message.kind(), vote.claimed().view.get(), vote.claimed().sequence.get())
            }
            ConsensusMessage::Commit(vote) => {
                (message.kind(), vote.claimed().view.get(), vote.claimed().sequence.get())
            }
            ConsensusMessage::Checkpoint(vote) => {
                (message.kind(), 0, vote.claimed().statement.sequence.get())
            }
            ConsensusMessage::ViewChange(change) => {
                (message.kind(), change.claimed().view.get(), 0)
            }
            ConsensusMessage::NewView(new_view) => {
                (message.kind(), new_view.claimed().view.get(), 0)
            }
            _ => return,
        };
        let said = &mut self.instances[index].said;
        let first = said.entry(place).or_insert_with(|| message.clone());
        assert_eq!(first, message, "instance {index} says two things at {place:?}");
    }

    /// Nothing that one state ever said is evidence against it.
    fn check_own_words(&self) {
        for instance in &self.instances {
            let commits = instance.said.values().filter_map(|message| match message {
                ConsensusMessage::Commit(commit) => Some(commit),
                _ => None,
            });
            for committed in commits {
                for message in instance.said.values() {
                    let committed = committed.clone();
                    let evidence = match message {
                        ConsensusMessage::ViewChange(change) => {
                            Equivocation::Forgotten { committed, change: change.clone() }
                        }
                        ConsensusMessage::Prepare(accepted) => {
                            Equivocation::AcceptedOther { accepted: accepted.clone(), committed }
                        }
                        ConsensusMessage::Proposal(proposal) => {
                            let assigned = proposal.pre_prepare.clone();
                            Equivocation::AssignedOther { assigned, committed }
                        }
                        _ => continue,
                    };
                    let replica = id(instance.identity);
                    let innocent = Err(EvidenceError::NoConflict { replica });
                    assert_eq!(evidence.verify(&self.committee), innocent);
                }
            }
        }
    }

    fn summary(&self) -> Vec<String> {
        let line = |instance: &Instance| {
            let state = instance.replica.as_ref().map(|replica| {
                let (view, active) = (replica.view().get(), replica.is_active());
                let (executed, low) = (replica.executed().get(), replica.watermarks().0.get());
                let (waiting, halted) = (replica.waiting_requests(), replica.is_halted());
                format!(
                    "view {view} active {active} executed {executed} low {low} \
                     waiting {waiting} halted {halted}"
                )
            });
            let (identity, numbers) = (instance.identity, instance.app.executed_numbers().len());
            let liar = self.config.liars.contains(&identity);
            format!("{identity} liar {liar}: {state:?}, {numbers} requests")
        };
        self.instances.iter().map(line).collect()
    }
}
