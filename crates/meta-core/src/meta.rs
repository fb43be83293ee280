//! Orchestration of meta-evolution.

pub mod federated;
