//! Which types are being read, from the outermost to the innermost.
//!
//! A type that contains itself has no bounded depth: whoever writes the bytes chooses how deep the reader
//! goes. A drawn value visits every type that a read one does, so the stack shows one that stands in itself.

use std::any::type_name;

/// What was seen of the stack while a value was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stack {
    /// Most types within each other.
    pub(crate) deepest: usize,
    /// A type that stood within itself.
    pub(crate) repeated: Option<&'static str>,
}

impl Stack {
    /// Adds what another value showed.
    pub(super) fn merge(&mut self, other: Self) {
        self.deepest = self.deepest.max(other.deepest);
        self.repeated = self.repeated.or(other.repeated);
    }

    /// Notes that a type is being read within others. It is known by its visitor, whose name holds the
    /// parameters of the type: a `Signed<BlobReceipt>` may well stand within a `Signed<Request>`.
    pub(super) fn enter<V>(&mut self, open: &mut Vec<&'static str>) {
        let name = type_name::<V>();
        if open.contains(&name) {
            self.repeated = Some(name);
        }
        open.push(name);
        self.deepest = self.deepest.max(open.len());
    }
}
