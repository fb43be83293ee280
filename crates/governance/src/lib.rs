//! Governance of a federation: policy, the replicated state machine, the nodes' protocol agents, and the
//! offline audit.
//!
//! ```text
//! policy ─┐
//! note ───┼─▶ machine ─▶ executor ─┬─▶ validator   (PBFT application: proposes, judges, executes)
//!         │                        ├─▶ follower ─┬─▶ participant (a site's agent)
//!         │                        │             └─▶ governor    (admission and sign-off desk)
//!         │                        └─▶ audit      (replays and compares)
//! ```
//!
//! Everything is sans-IO: frames, time and acknowledgements come in as inputs, effects leave as values.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod audit;
pub mod epoch_result;
pub mod executor;
pub mod follower;
pub mod governance_log;
pub mod governor;
pub mod machine;
pub mod note;
pub mod participant;
pub mod policy;
pub mod trust;
pub mod validator;
pub mod wire;
