//! Frames cut out of streams, and a conformance suite that catches every way to be wrong.

mod mutants;
mod streams;
