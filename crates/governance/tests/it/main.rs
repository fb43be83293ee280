//! The federation from outside: what is ordered, what every agent does with it, and what nobody accepts.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod epoch_result;
mod executor;
mod federation;
mod fixture;
mod follower;
mod governor;
mod machine;
mod participant;
mod validator;
