//! What an operator may choose, and the bounds that follow from it.

use federation_proto::limits;
use thiserror::Error;

/// Sizes of a replica's bounded structures. Window and intervals must be equal on all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Sequence numbers between the low and the high watermark, L. The application's checkpoint interval K
    /// must be at most half of it, or a log whose replica lost one checkpoint fills before the next [OSDI '99 §4.3].
    pub window: u64,
    /// Sequence numbers in flight at once: proposed, prepared and committed while the one before the first of them is
    /// the last executed. Replicas may differ; the smallest among a quorum sets the pace.
    pub pipeline_depth: u64,
    /// Most requests that wait.
    pub pool_requests: usize,
    /// Most bytes of requests that wait.
    pub pool_bytes: usize,
    /// Most requests of one client that wait, so that no client takes the room of all others.
    pub client_requests: usize,
    /// Most bytes of requests of one client that wait.
    pub client_bytes: usize,
    /// Most bytes of batches held for sequence numbers beyond the next one to execute. A primary proposes ahead only
    /// while one more batch of any length has room, or others would refuse what it sends.
    pub early_batch_bytes: usize,
    /// Milliseconds that a backup waits for what is due before it leaves the view; and, once a quorum has left, for
    /// the NEW-VIEW.
    pub view_timeout: u64,
    /// Milliseconds to which that grows, twice with each view that brings nothing. It falls back with the first batch
    /// that is executed.
    pub max_view_timeout: u64,
}

/// Largest window. Every slot of two windows may hold votes of every replica.
pub const MAX_WINDOW: u64 = 4096;

/// Why settings are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The window is empty, too small for any checkpoint interval, or too large to hold.
    #[error("window {window} must be between 2 and {MAX_WINDOW}")]
    Window {
        /// The value.
        window: u64,
    },
    /// Nothing could be in flight, or something beyond the high watermark.
    #[error("pipeline_depth {depth} must be at least 1 and at most the window {window}")]
    PipelineDepth {
        /// The value.
        depth: u64,
        /// Its limit.
        window: u64,
    },
    /// No request could wait.
    #[error("pool_requests must be at least 1")]
    PoolRequests,
    /// The largest request would never fit.
    #[error("pool_bytes {bytes} must be at least the {} bytes of one entry", limits::ENTRY)]
    PoolBytes {
        /// The value.
        bytes: usize,
    },
    /// No request of any client could wait.
    #[error("client_requests must be at least 1")]
    ClientRequests,
    /// The largest request of a client would never fit.
    #[error("client_bytes {bytes} must be at least the {} bytes of one entry", limits::ENTRY)]
    ClientBytes {
        /// The value.
        bytes: usize,
    },
    /// The largest batch could not arrive early.
    #[error("early_batch_bytes {bytes} must be at least the {} bytes of one batch", limits::BATCH)]
    EarlyBatchBytes {
        /// The value.
        bytes: usize,
    },
    /// A view would end before it began, or the back-off would shrink.
    #[error("view_timeout {timeout} must be at least 1 and at most max_view_timeout {max}")]
    ViewTimeout {
        /// The value.
        timeout: u64,
        /// Its limit.
        max: u64,
    },
}

/// Settings that were checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidSettings(Settings);

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: 128,
            // A batch has four things before it: its way out, PREPARE, COMMIT, execution. So many in flight keep each
            // of them busy; more would wait, and be carried along by every view change.
            pipeline_depth: 4,
            pool_requests: 4096,
            pool_bytes: 4 * limits::BATCH,
            client_requests: 512,
            client_bytes: limits::BATCH,
            early_batch_bytes: 2 * limits::BATCH,
            view_timeout: 4_000,
            max_view_timeout: 128_000,
        }
    }
}

impl Settings {
    /// Checks the relations between the values.
    ///
    /// # Errors
    /// The first value that is refused.
    pub fn validate(self) -> Result<ValidSettings, SettingsError> {
        if !(2..=MAX_WINDOW).contains(&self.window) {
            return Err(SettingsError::Window { window: self.window });
        }
        if !(1..=self.window).contains(&self.pipeline_depth) {
            let (depth, window) = (self.pipeline_depth, self.window);
            return Err(SettingsError::PipelineDepth { depth, window });
        }
        if self.pool_requests == 0 {
            return Err(SettingsError::PoolRequests);
        }
        if self.pool_bytes < limits::ENTRY {
            return Err(SettingsError::PoolBytes { bytes: self.pool_bytes });
        }
        if self.client_requests == 0 {
            return Err(SettingsError::ClientRequests);
        }
        if self.client_bytes < limits::ENTRY {
            return Err(SettingsError::ClientBytes { bytes: self.client_bytes });
        }
        if self.early_batch_bytes < limits::BATCH {
            return Err(SettingsError::EarlyBatchBytes { bytes: self.early_batch_bytes });
        }
        if self.view_timeout == 0 || self.view_timeout > self.max_view_timeout {
            let (timeout, max) = (self.view_timeout, self.max_view_timeout);
            return Err(SettingsError::ViewTimeout { timeout, max });
        }
        Ok(ValidSettings(self))
    }
}

impl ValidSettings {
    /// The values.
    pub fn get(&self) -> &Settings {
        &self.0
    }
}
