//! Executing ordered batches into blocks: the one path that validators, followers and auditors share.

use federation_proto::{Batch, BatchItem, LedgerBlockId, SequenceNumber, SessionId};
use ledger::{AppendError, BlockHeader, Execution, Ledger, LogHash};
use thiserror::Error;

use crate::machine::{BatchRefusal, MachineState, Rules};

/// The rules, the state and the ledger it was computed from.
#[derive(Clone, Debug)]
pub struct Executor {
    rules: Rules,
    state: MachineState,
    ledger: Ledger,
}

/// Why a committed batch cannot be executed. For a replica this means: halt, something that must agree does not.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ExecutionError {
    /// The state machine refuses the batch.
    #[error(transparent)]
    Refused(#[from] BatchRefusal),
    /// The block does not follow.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Executor {
    /// A federation before its first block.
    pub fn new(rules: Rules) -> Self {
        let ledger = Ledger::new(rules.federation_id());
        let state = MachineState::genesis(&rules);
        Self { rules, state, ledger }
    }

    /// The state after a batch, without executing it.
    pub fn preview(&self, batch: &Batch) -> Result<MachineState, BatchRefusal> {
        self.state.successor(&self.rules, &self.ledger, batch)
    }

    /// The state after one more item of a batch whose items so far led to `state`.
    pub fn extend(
        &self,
        state: &MachineState,
        batch: &Batch,
        item: &BatchItem,
    ) -> Result<MachineState, BatchRefusal> {
        state.extended(&self.rules, &self.ledger, batch, item)
    }

    /// Executes a committed batch: computes the state, builds the block, appends it.
    ///
    /// A null request advances the sequence without a block and returns `None`.
    pub fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        commit_certificate: Vec<u8>,
    ) -> Result<Option<BlockHeader>, ExecutionError> {
        if batch.is_null() {
            return Ok(None);
        }
        let next = self.preview(batch)?;
        let execution = Execution {
            sequence,
            config_digest: self.rules.roster.digest(),
            epoch: next.epoch(),
            state_root_after: next.root(),
        };
        let header = self.ledger.next_header(batch, &execution)?;
        self.ledger.append(header, batch.clone(), commit_certificate)?;
        self.state = next;
        Ok(Some(header))
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The state.
    pub fn state(&self) -> &MachineState {
        &self.state
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger, to attach checkpoint certificates.
    pub fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// The block that opened a node's current session: its `ledger_block_id`.
    pub fn session_block(&self, node: &federation_proto::NodeFingerprint) -> Option<LedgerBlockId> {
        let (_, session) = self.state.session_of(node)?;
        self.ledger.block(session.height).map(|block| block.header.id())
    }

    /// The block that opened a session, open or over.
    pub fn block_of_session(&self, session_id: &SessionId) -> Option<LedgerBlockId> {
        let session = self.state.sessions().get(session_id)?;
        self.ledger.block(session.height).map(|block| block.header.id())
    }

    /// The log root over the first `size` blocks.
    pub fn log_root(&self, size: u64) -> Option<LogHash> {
        self.ledger.history().root_at(size).ok()
    }
}
