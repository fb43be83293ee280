//! State transfer: a validator that the others left behind takes the certified blocks of a peer's ledger [PBFT §5.3].
//!
//! The target is certified, so it does not matter who answers: every answer proves itself ([`CatchUp`]), and every
//! block is executed here. One voter of the certificate is asked at a time, the next one when the replica asks again.
//! Batches may be decided here meanwhile; the blocks are executed only when all are there, so none is executed twice.

use consensus_pbft::{CheckpointCertificate, Committee, Input};
use federation_proto::{LogicalTime, Name};
use ledger::divergence::{Answer, CatchUp, Contradiction, OwnLog, Progress, Question, answer};
use ledger::merkle::history::HistoryError;
use ledger::{BlockFile, NoteKey, VerifiedCheckpoint};

use super::recovery::certificates;
use super::{DurableRecord, DurableToken, HaltCause, Validator, ValidatorEffect, ValidatorRefusal};
use crate::wire::{Frame, Outgoing};

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    target: CheckpointCertificate,
    /// Where it goes on when a peer gave bad certificates.
    start: CatchUp,
    walk: CatchUp,
    /// Proven to lead to the target, so no peer can make them more than the ledger itself.
    blocks: Vec<BlockFile>,
    /// How often somebody was asked in vain.
    attempts: usize,
}

impl Validator {
    /// The replica wants the state of a certified checkpoint, or wants it still.
    pub(super) fn transfer(
        &mut self,
        now: LogicalTime,
        target: CheckpointCertificate,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        let sequence = target.statement.sequence;
        match &mut self.transfer {
            Some(transfer) if transfer.target.statement.sequence == sequence => {
                transfer.attempts = transfer.attempts.saturating_add(1);
            }
            _ => {
                let ledger = self.application.executor().ledger();
                let (size, certified) = (target.statement.log_size, target.statement.log_root);
                if let Ok(own) = ledger.history().root_at(size) {
                    if own == certified {
                        return self.step(now, Input::Transferred(sequence), effects);
                    }
                    let contradiction = Contradiction { size, own, certified };
                    return self.halt(HaltCause::Contradicted(contradiction), effects);
                }
                let frontier = ledger.history().frontier_at(ledger.head().height.get());
                let checkpoint = verified(&target, &self.application.committee);
                // The replica has verified it already, and our own ledger has its own length.
                let walk = frontier.ok().zip(checkpoint);
                let walk = walk.and_then(|(own, checkpoint)| CatchUp::new(own, &checkpoint));
                let Some(walk) = walk else { return };
                let (start, blocks) = (walk.clone(), Vec::new());
                self.transfer = Some(Transfer { target, start, walk, blocks, attempts: 0 });
            }
        }
        self.ask_ledger(effects);
    }

    fn ask_ledger(&self, effects: &mut Vec<ValidatorEffect>) {
        let Some(transfer) = &self.transfer else { return };
        let validators = self.application.executor().rules().roster.validators();
        let name = |index: usize| validators.get(index).map(|node| &node.record.name);
        let voters = transfer.target.votes.iter().map(|vote| usize::from(vote.replica.get()));
        let voters: Vec<&Name> =
            voters.filter(|voter| *voter != self.index).filter_map(name).collect();
        let at = transfer.attempts.checked_rem(voters.len()).unwrap_or(0);
        let (Some(peer), Some(asker)) = (voters.get(at), name(self.index)) else { return };
        if let Some(question) = transfer.walk.question() {
            let frame = Frame::LedgerQuestion { question, asker: asker.clone() };
            effects.push(ValidatorEffect::Send(Outgoing::to_node(peer, frame)));
        }
    }

    /// Answers a validator that asks about our ledger, and nobody else: a question is small and a ledger is not.
    pub(super) fn answer_ledger(
        &self,
        question: &Question,
        asker: &Name,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        let executor = self.application.executor();
        let mut validators = executor.rules().roster.validators().iter();
        if !validators.any(|validator| validator.record.name == *asker) {
            return;
        }
        let ledger = executor.ledger();
        let own = OwnLog::new(ledger.history(), ledger.head().height.get());
        let block = |height| Ok::<_, HistoryError>(ledger.block(height).cloned());
        // A tree in memory has every subtree of its own size.
        if let Ok(answer) = answer(&own, block, question) {
            let frame = Frame::LedgerAnswer(Box::new(answer));
            effects.push(ValidatorEffect::Send(Outgoing::to_node(asker, frame)));
        }
    }

    /// An answer about a ledger, from anybody.
    pub(super) fn take_answer(
        &mut self,
        now: LogicalTime,
        answer: &Answer,
        effects: &mut Vec<ValidatorEffect>,
    ) -> Result<(), ValidatorRefusal> {
        let transfer = self.transfer.as_mut().ok_or(ValidatorRefusal::NoTransfer)?;
        match transfer.walk.handle_answer(answer)? {
            Progress::Extends => {}
            Progress::Contradicted { contradiction, .. } => {
                self.halt(HaltCause::Contradicted(contradiction), effects);
                return Ok(());
            }
            Progress::Blocks(blocks) => {
                for block in blocks {
                    if let Err(cause) = certificates(&self.application.committee, &block) {
                        transfer.walk = transfer.start.clone();
                        transfer.blocks.clear();
                        let (height, cause) = (block.header.height, Box::new(cause));
                        return Err(ValidatorRefusal::Block { height, cause });
                    }
                    transfer.blocks.push(block);
                }
            }
        }
        match self.transfer.take_if(|transfer| transfer.walk.question().is_none()) {
            Some(transfer) => self.take_over(now, transfer, effects),
            None => self.ask_ledger(effects),
        }
        Ok(())
    }

    /// Every block is there: they are executed, and the replica goes on from them.
    fn take_over(
        &mut self,
        now: LogicalTime,
        transfer: Transfer,
        effects: &mut Vec<ValidatorEffect>,
    ) {
        let own = self.application.executor().ledger().head().height;
        for block in transfer.blocks.into_iter().filter(|block| block.header.height > own) {
            let (height, sequence) = (block.header.height, block.header.sequence);
            if let Err(cause) = self.application.repeat(&block) {
                // A quorum certified the result of what we cannot repeat.
                return self.halt(HaltCause::Import { height, cause: Box::new(cause) }, effects);
            }
            effects.push(ValidatorEffect::Persist {
                token: DurableToken::Block(sequence),
                record: DurableRecord::Block(Box::new(block)),
            });
        }
        self.step(now, Input::Transferred(transfer.target.statement.sequence), effects);
    }
}

/// The log's checkpoint in a certificate.
fn verified(target: &CheckpointCertificate, committee: &Committee) -> Option<VerifiedCheckpoint> {
    let keys: Vec<NoteKey<_>> =
        committee.members().iter().map(|member| member.note_key().clone()).collect();
    let note = target.to_note(committee).ok()?;
    VerifiedCheckpoint::verify(&note, committee.origin().as_str(), &keys, committee.quorum()).ok()
}
