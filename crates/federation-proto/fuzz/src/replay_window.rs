//! A window takes and refuses what a set of all positions ever taken says.
//!
//! The input is a list of operations of nine bytes: what to do, and a number. Most of the ways to read the
//! number lead near the window, where the mistakes are.

use std::collections::BTreeSet;

use federation_proto::LaneSequence;
use federation_proto::replay::ReplayWindow;

/// Runs the operations on a window and on a set.
pub fn check(input: &[u8]) {
    let (mut window, mut taken) = (ReplayWindow::default(), BTreeSet::<u64>::new());
    let (operations, _) = input.as_chunks::<9>();
    for [what, number @ ..] in operations {
        let number = u64::from_le_bytes(*number);
        let next = taken.last().map_or(0, |highest| highest + 1);
        let position = match what & 3 {
            0 => number,
            1 => next.saturating_add(number % 80),
            2 => next.saturating_sub(number % 80),
            _ => u64::MAX - number % 80,
        };
        let reach = (what & 4 != 0).then_some(u64::from(what >> 3) * 4);

        let near = reach.is_none_or(|reach| position < next || position - next < reach);
        let young = position >= next || next - position <= ReplayWindow::WIDTH;
        let expected = near && young && position != u64::MAX && taken.insert(position);
        let at = LaneSequence::new(position);
        let before = window;
        let admitted = match reach {
            Some(reach) => window.admit_within(at, reach),
            None => {
                let said = window.check(at);
                let done = window.admit(at);
                assert_eq!(said, done, "{at}: said one thing and did another");
                done
            }
        };
        assert_eq!(admitted.is_ok(), expected, "{at} with reach {reach:?} in {before:?}");
        assert!(expected || window == before, "{at}: a refusal changed {before:?} to {window:?}");
        assert!(!expected || window.has_taken(at), "{at}: not remembered in {window:?}");
    }
}
