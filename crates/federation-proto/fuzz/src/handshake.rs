//! Both halves of the handshake, driven by the input as a program: the laws are those of the crate's own tests.

#[path = "../../tests/it/operations.rs"]
mod operations;

/// The operations of a program that gets all the way.
pub fn straight() -> &'static [&'static [u8]] {
    &operations::STRAIGHT
}

/// Runs the input as a program of handshake operations.
pub fn check(input: &[u8]) {
    operations::run(input);
}
