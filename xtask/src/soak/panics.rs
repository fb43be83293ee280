//! Panics that somebody catches are not for the reader.
//!
//! redb asserts what no file of its own making can break, and the store turns that into a typed error. Under a
//! campaign of faults it happens all the time. So while work runs here, no panic writes to the terminal; one that
//! nobody below caught comes back with its message and place.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread's panics are caught here.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The last panic of this thread.
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

static HOOK: Once = Once::new();

/// Runs work; a panic of its own thread comes back as one line.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if QUIET.get() {
                LAST.with_borrow_mut(|last| *last = panic.to_string());
            } else {
                others(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let ended = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    ended.map_err(|_| LAST.with_borrow(Clone::clone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_and_a_caught_one_does_not() {
        let said = caught::<()>(|| panic!("first\nsecond")).expect_err("a panic");
        assert!(said.contains("panics.rs") && said.contains("first\nsecond"), "{said}");
        let caught_below = caught(|| catch_unwind(|| panic!("below")).is_err());
        assert_eq!(caught_below, Ok(true));
        assert!(!QUIET.get(), "panics of this thread are shown again");
    }
}
