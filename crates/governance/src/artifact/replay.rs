//! Replaying a ledger through the one execution path, keeping what every epoch did.

use federation_proto::entry::{AggregatedUpdate, ApplySignoff, EpochCut, EpochOpened};
use federation_proto::handshake::{SessionOpened, TransportRecord};
use federation_proto::update::UpdateCommitment;
use federation_proto::{Batch, Digest, Height, LedgerEntry, SequenceNumber};
use ledger::BlockHeader;
use meta_core::meta_state::MetaState;

use crate::executor::{ExecutionError, Executor};
use crate::machine::{MachineState, OrderedCommitment, Rules, StateRootParts};

/// An applied epoch, as the ledger tells it.
#[derive(Clone, Debug)]
pub(crate) struct AppliedEpoch {
    pub(crate) opened: EpochOpened,
    pub(crate) opened_at: Height,
    pub(crate) cut: EpochCut,
    pub(crate) cut_at: Height,
    /// Everything ordered for the cut, by ledger position.
    pub(crate) commitments: Vec<OrderedCommitment>,
    pub(crate) aggregated: AggregatedUpdate,
    pub(crate) aggregated_at: Height,
    pub(crate) signoff: ApplySignoff,
    pub(crate) signoff_at: Height,
    /// Header of the block with the sign-off.
    pub(crate) header: BlockHeader,
    pub(crate) meta: MetaState,
    pub(crate) parts: StateRootParts,
}

/// A session, as the ledger tells it.
#[derive(Clone, Debug)]
pub(crate) struct TakenSession {
    pub(crate) opened: SessionOpened,
    pub(crate) header: BlockHeader,
}

/// The state right before an aggregate, and the aggregate: what an auditor recomputes.
#[derive(Clone, Debug)]
pub(crate) struct AggregationPoint {
    pub(crate) state: MachineState,
    pub(crate) aggregated: AggregatedUpdate,
    pub(crate) height: Height,
}

/// What of the running epoch was seen so far.
#[derive(Clone, Debug, Default)]
struct Running {
    opened: Option<(EpochOpened, Height)>,
    cut: Option<(EpochCut, Height, Vec<OrderedCommitment>)>,
    aggregated: Option<(AggregatedUpdate, Height)>,
}

/// A ledger being replayed.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) executor: Executor,
    pub(crate) epochs: Vec<AppliedEpoch>,
    pub(crate) sessions: Vec<TakenSession>,
    /// Every channel that a session had, from its opening and its moves, with the block that says so.
    pub(crate) channels: Vec<(Height, TransportRecord)>,
    pub(crate) aggregations: Vec<AggregationPoint>,
    pending: Vec<OrderedCommitment>,
    running: Running,
}

impl Replay {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            executor: Executor::new(rules),
            epochs: Vec::new(),
            sessions: Vec::new(),
            channels: Vec::new(),
            aggregations: Vec::new(),
            pending: Vec::new(),
            running: Running::default(),
        }
    }

    /// Executes one block's batch; the header is this replay's own. A null batch makes none.
    pub(crate) fn execute(
        &mut self,
        sequence: SequenceNumber,
        batch: &Batch,
        commit_certificate: &[u8],
    ) -> Result<Option<BlockHeader>, ExecutionError> {
        // Kept even when the machine refuses the batch: then the recomputation shows why.
        let points = self.aggregation_points(batch)?;
        self.aggregations.extend(points);
        let header = self.executor.execute(sequence, batch, commit_certificate.to_vec())?;
        if let Some(header) = &header {
            self.observe(header, batch);
        }
        Ok(header)
    }

    /// The state before every aggregate of a batch: usually the one before the batch.
    fn aggregation_points(&self, batch: &Batch) -> Result<Vec<AggregationPoint>, ExecutionError> {
        let height = self.executor.ledger().head().height.next();
        let mut points = Vec::new();
        for (index, item) in batch.items.iter().enumerate() {
            let LedgerEntry::AggregatedUpdate(aggregated) = item.entry() else { continue };
            let state = match index {
                0 => self.executor.state().clone(),
                _ => {
                    let before = batch.items.iter().take(index).cloned().collect();
                    let before = Batch { items: before, batch_time: batch.batch_time };
                    self.executor.preview(&before)?
                }
            };
            points.push(AggregationPoint {
                state,
                aggregated: aggregated.as_ref().clone(),
                height,
            });
        }
        Ok(points)
    }

    fn observe(&mut self, header: &BlockHeader, batch: &Batch) {
        let height = header.height;
        for (index, item) in (0u32..).zip(&batch.items) {
            match item.entry() {
                LedgerEntry::SessionOpened(opened) => {
                    let opened = opened.as_ref().clone();
                    let channel = opened.statement.claimed().transport.clone();
                    self.channels.push((height, channel));
                    self.sessions.push(TakenSession { opened, header: *header });
                }
                LedgerEntry::SessionResumed(resumed) => {
                    self.channels.push((height, resumed.claimed().transport.clone()));
                }
                LedgerEntry::UpdateCommitment(commitment) => {
                    let commitment: UpdateCommitment = commitment.as_ref().clone();
                    self.pending.push(OrderedCommitment { commitment, height, index });
                }
                LedgerEntry::EpochOpened(opened) => {
                    self.running.opened = Some((opened.clone(), height));
                }
                LedgerEntry::EpochCut(cut) => {
                    // The machine includes everything that waits; so the cut takes it all.
                    let commitments = core::mem::take(&mut self.pending);
                    self.running.cut = Some((cut.clone(), height, commitments));
                }
                LedgerEntry::AggregatedUpdate(aggregated) => {
                    self.running.aggregated = Some((aggregated.as_ref().clone(), height));
                }
                LedgerEntry::ApplySignoff(signoff) => self.close_epoch(header, signoff),
                // What happens to a session later is in the state, and the machine executes nothing else yet.
                _ => {}
            }
        }
    }

    /// The machine accepts a sign-off only after the other three, so all parts are there.
    fn close_epoch(&mut self, header: &BlockHeader, signoff: &ApplySignoff) {
        let Running { opened, cut, aggregated } = core::mem::take(&mut self.running);
        let (Some((opened, opened_at)), Some((cut, cut_at, commitments)), Some(aggregated)) =
            (opened, cut, aggregated)
        else {
            return;
        };
        let (aggregated, aggregated_at) = aggregated;
        let state = self.executor.state();
        self.epochs.push(AppliedEpoch {
            opened,
            opened_at,
            cut,
            cut_at,
            commitments,
            aggregated,
            aggregated_at,
            signoff: signoff.clone(),
            signoff_at: header.height,
            header: *header,
            meta: state.meta().clone(),
            parts: state.root_parts(),
        });
    }

    /// Blobs of the updates of cuts. Validators decide a result only with them, so a run has them.
    pub(crate) fn cut_blobs(&self) -> impl Iterator<Item = Digest> {
        let applied = self.epochs.iter().flat_map(|epoch| &epoch.commitments);
        applied.chain(self.running_cut()).map(|ordered| ordered.commitment.blob)
    }

    /// Blobs of committed updates that wait for a cut. A validator need not have fetched them yet.
    pub(crate) fn waiting_blobs(&self) -> impl Iterator<Item = Digest> {
        self.pending.iter().map(|ordered| ordered.commitment.blob)
    }

    /// Commitments that no alignment has judged yet: of a cut without a result, or waiting for a cut.
    pub(crate) fn unjudged(&self) -> impl Iterator<Item = &OrderedCommitment> {
        let undecided = self.running.aggregated.is_none();
        self.running_cut().filter(move |_| undecided).chain(&self.pending)
    }

    fn running_cut(&self) -> impl Iterator<Item = &OrderedCommitment> {
        self.running.cut.iter().flat_map(|(_, _, commitments)| commitments)
    }
}
