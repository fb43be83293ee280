//! Borders: where one configuration ends and the next begins.
//!
//! ```text
//!          the application's checkpoint      q CHECKPOINTs name
//!          at B names the next               one next configuration
//! votes up to H ────────▶ votes up to B ─────────────▶ retired: serves B, votes for nothing
//!                                                          ┆ HandedOver: the driver makes
//!                                                          ▼ the replica of the next committee
//!                                                      view 0, h = B
//! ```
//!
//! An application lets nothing be voted for behind what may lead to a border (see [`crate::Application`]). So nothing
//! can be decided beyond B before a quorum reached B with one result, and nothing that the old committee said
//! is ever missing in the new one. Its messages are worth nothing there: every signature binds the configuration.
//!
//! No patience runs at B, for no primary could do anything; the CHECKPOINTs that are missing come by
//! [`Input::Resend`], and whoever missed B gets what it lacks from the retired ones.

use federation_proto::SequenceNumber;

use super::Replica;
use super::pool::Pool;
use super::view_change::Changes;
use crate::effect::Input;
use crate::message::ConsensusMessage;
use crate::rejection::Rejection;

impl Replica {
    /// The border, once it is stable: this replica votes for nothing any more, but serves whoever missed it.
    pub fn retired_at(&self) -> Option<SequenceNumber> {
        let statement = self.checkpoints.stable()?.statement;
        statement.next.map(|_| statement.sequence)
    }

    /// What a retired replica takes: who stands where, and the answers of its disk.
    pub(super) fn admit_retired(&self, input: &Input) -> Result<(), Rejection> {
        match (self.retired_at(), input) {
            (None, _)
            | (
                Some(_),
                Input::Message(ConsensusMessage::Status(_))
                | Input::Persisted(_)
                | Input::Wake
                | Input::Resend,
            ) => Ok(()),
            (Some(border), Input::Request(_) | Input::Message(_) | Input::Transferred(_)) => {
                Err(Rejection::Retired { border })
            }
        }
    }

    /// Our application reached the border: nothing lies beyond it for this configuration.
    pub(super) fn reach_border(&mut self, border: SequenceNumber) {
        self.log.end_at(border);
        self.checkpoints.end_at(border);
        if self.active {
            self.timer.stop();
        }
    }

    /// The border is stable: what is kept is what others may still lack.
    pub(super) fn retire(&mut self, border: SequenceNumber) {
        self.reach_border(border);
        self.log.keep_decided(border);
        self.timer.stop();
        self.changes = Changes::default();
        // Every request is signed for the configuration that is over.
        self.pool = Pool::default();
        self.entered = None;
        self.transfer = None;
    }
}
