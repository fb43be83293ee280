//! Both halves of the handshake, driven by the input as a program: the laws are those of the crate's own tests.

#[path = "../../tests/it/operations.rs"]
mod operations;

/// Runs the input as a program of handshake operations.
pub fn check(input: &[u8]) {
    let _ = operations::run(input);
}
