//! A campaign of faults against the durable store: every kind, at every step, and an oracle that knows better.
//!
//! One seed decides a workload (blocks in groups, blobs, retention, anchors, a restoration) and every fault. The
//! workload runs once on a [`Disk`] that records its steps; then each fault is injected into what was recorded,
//! or into a run of its own where the ledger must react, and the ledger is opened on what is left.
//!
//! | fault | what the disk does | what must follow |
//! |---|---|---|
//! | power loss | of the sectors written since the last sync, any survive | an exact state, no older than the last acknowledged |
//! | second loss | the same again while the ledger is opened or closed after a loss | the same |
//! | write error, sync error, full | the step fails; after a failed sync, any sectors survive | that, and poison until reopened |
//! | lost write, misdirected write | the step is acknowledged and synced, and was not done, or done elsewhere | that, or a typed error |
//! | flipped bit, truncation | the bytes change afterwards | that, or a typed error |
//!
//! An older state is never right, an error never where the disk was honest. What opened on an honest disk must also
//! take more blocks, and have all of it when it is opened again. The oracle compares with models made beside the run,
//! out of a ledger in memory; it asks the code under test for nothing but its answers.

mod campaign;
mod disk;
mod oracle;
mod random;
mod workload;

pub use campaign::{Tally, run_seed};
pub use disk::{Disk, Fault, Step};
pub use oracle::{Kind, Violation};
