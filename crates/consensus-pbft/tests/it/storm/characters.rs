//! Liars by name. Each runs a correct replica and bends what it says.

use consensus_pbft::{ConsensusMessage, Proposal, ViewChange};
use federation_proto::codec::Canonical as _;
use federation_proto::{Signed, SigningContext, View};

use crate::federation::{batch, consensus_key, id, memoised_committee};
use crate::seeds::Dice;
use crate::sim::Way;

/// What a liar does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Character {
    /// Says nothing.
    Silent,
    /// As primary it tells the halves of the committee two things; its other votes are honest.
    Equivocator,
    /// Flips bits of what it says.
    Forger,
    /// Says again what it said in views that are over, and wants views that nobody else wants.
    StaleView,
    /// Says everything many times, and old things again.
    Flooder,
    /// Speaks to one replica only.
    Selective,
}

impl Character {
    pub(super) const ALL: [Self; 6] = [
        Self::Silent,
        Self::Equivocator,
        Self::Forger,
        Self::StaleView,
        Self::Flooder,
        Self::Selective,
    ];
}

/// A liar and what it remembers.
pub(super) struct Liar {
    character: Character,
    index: usize,
    context: SigningContext,
    said: Vec<ConsensusMessage>,
}

impl Liar {
    /// In a committee of n.
    pub(super) fn new(character: Character, index: usize, n: usize) -> Self {
        let context = *memoised_committee(n).context();
        Self { character, index, context, said: Vec::new() }
    }

    /// What it says to one replica where an honest one says `way.message`.
    pub(super) fn says(&mut self, dice: &mut Dice, way: &Way<'_>) -> Vec<ConsensusMessage> {
        let honest = way.message.clone();
        if self.said.last() != Some(&honest) {
            self.said.push(honest.clone());
        }
        match self.character {
            Character::Silent => Vec::new(),
            Character::Equivocator => match &honest {
                ConsensusMessage::Proposal(proposal) if way.to % 2 == 1 => {
                    vec![self.other_proposal(proposal)]
                }
                _ => vec![honest],
            },
            Character::Forger => {
                let mut bytes = honest.to_canonical();
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
                ConsensusMessage::from_canonical(&bytes).into_iter().chain([honest]).collect()
            }
            Character::StaleView => {
                let old = dice.pick(&self.said).clone();
                vec![honest, old, self.view_change(dice.below(2_000))]
            }
            Character::Flooder => {
                let old = |_| dice.pick(&self.said).clone();
                (0..3).map(old).chain([honest]).collect()
            }
            Character::Selective if way.to == usize::from(self.index == 0) => vec![honest],
            Character::Selective => Vec::new(),
        }
    }

    /// Another batch in the same place, the same whenever it is asked.
    fn other_proposal(&self, proposal: &Proposal) -> ConsensusMessage {
        let context = &self.context;
        let mut claimed = *proposal.pre_prepare.claimed();
        let batch = batch(context, &[1 + claimed.sequence.get() % 12]);
        claimed.digest = batch.digest(context, claimed.sequence);
        let pre_prepare = Signed::sign(claimed, &consensus_key(self.index), context);
        ConsensusMessage::Proposal(Proposal { pre_prepare, batch })
    }

    fn view_change(&self, view: u64) -> ConsensusMessage {
        let context = &self.context;
        let (view, replica) = (View::new(view), id(self.index));
        let change = ViewChange { view, stable: None, prepared: Vec::new(), replica };
        let change = Signed::sign(change, &consensus_key(self.index), context);
        ConsensusMessage::ViewChange(Box::new(change))
    }
}
