//! A deterministic simulator of whole federations.
//!
//! ```text
//! scenario (TOML) ─▶ founding ─▶ world ◀─▶ ordering (OrderingPort) ◀─▶ federated_meta_cycle ─▶ artifacts
//!                                 │ one event queue, a network, disks
//!                                 └ validators, sites' agents, governors' desks
//! ```
//!
//! One seed decides everything: the same scenario and seed give the same frames and the same artifacts,
//! byte for byte, whatever the machine, the build profile and the number of threads.
#![forbid(unsafe_code)]

pub mod evaluation;
pub mod federation;
pub mod founding;
pub mod keys;
mod ordering;
pub mod scenario;
mod watched;
mod world;

pub use federation::{
    EpochReport, FederationSimulator, Progress, SimulationError, SimulationRun, ViewReport,
};
pub use ordering::PortError;
pub use world::{NodeView, WorldError};
