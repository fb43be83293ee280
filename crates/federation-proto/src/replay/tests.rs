//! Windows and guard against a model that remembers every position, and at the ends of the numbers.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::digest::Digest;
use crate::ids::SessionId;
use crate::lane::Lane;

fn at(position: u64) -> LaneSequence {
    LaneSequence::new(position)
}

fn session(name: &str) -> SessionId {
    SessionId::new(Digest::of_blob(name.as_bytes()))
}

/// A window that remembers everything.
#[derive(Default)]
struct Model {
    taken: BTreeSet<u64>,
}

impl Model {
    /// One above the highest; positions are below u64::MAX, so nothing overflows.
    fn next(&self) -> u64 {
        self.taken.last().map_or(0, |highest| highest + 1)
    }

    fn admit(&mut self, position: u64, reach: Option<u64>) -> bool {
        let next = self.next();
        let near = reach.is_none_or(|reach| position < next || position - next < reach);
        let young = next - next.min(position) <= ReplayWindow::WIDTH;
        near && young && position != u64::MAX && self.taken.insert(position)
    }

    fn has_taken(&self, position: u64) -> bool {
        self.taken.contains(&position) || self.next().saturating_sub(position) > ReplayWindow::WIDTH
    }
}

/// Positions around the window, and around every place where arithmetic could go wrong.
fn positions() -> impl Strategy<Value = Vec<u64>> {
    let position = prop_oneof![
        40 => 0u64..400,
        2 => (u64::MAX - 140)..=u64::MAX,
        1 => (0u32..64).prop_map(|bit| 1 << bit),
        1 => any::<u64>(),
    ];
    prop::collection::vec(position, 1..300)
}

proptest! {
    #[test]
    fn every_position_is_taken_at_most_once(
        positions in positions(),
        reach in prop_oneof![Just(None), (0u64..200).prop_map(Some)],
    ) {
        let (mut window, mut model) = (ReplayWindow::default(), Model::default());
        for position in positions {
            let before = window;
            let taken = match reach {
                None => {
                    let said = window.check(at(position));
                    let done = window.admit(at(position));
                    prop_assert_eq!(said, done);
                    done.is_ok()
                }
                Some(reach) => window.admit_within(at(position), reach).is_ok(),
            };
            prop_assert_eq!(taken, model.admit(position, reach), "{} of {:?}", position, before);
            prop_assert!(taken || window == before, "a refusal changed the window");
            prop_assert_eq!(window.next(), model.next());
            if position != u64::MAX {
                prop_assert_eq!(window.has_taken(at(position)), model.has_taken(position));
            }
        }
    }

    #[test]
    fn guarded_lanes_do_not_mix(
        frames in prop::collection::vec((0usize..3, 0u8..5, 0u64..100), 1..300),
    ) {
        let names = ["a", "b", "c"].map(session);
        let mut guard = ReplayGuard::new(2);
        let mut models: std::collections::BTreeMap<_, Model> = std::collections::BTreeMap::new();
        for name in &names[..2] {
            guard.open(*name).expect("room for two");
        }
        for (name, code, position) in frames {
            let lane = Lane::from_code(code).expect("five lanes");
            let said = guard.check(names[name], lane, at(position));
            let admitted = guard.admit(names[name], lane, at(position));
            prop_assert_eq!(said, admitted);
            let expected =
                name < 2 && models.entry((name, lane)).or_default().admit(position, None);
            prop_assert_eq!(admitted.is_ok(), expected);
        }
    }
}

#[test]
fn an_exact_window_ends_where_it_says() {
    let mut window = ReplayWindow::default();
    let mut admit = |position| window.admit_within(at(position), ReplayWindow::WIDTH);
    assert_eq!(admit(u64::MAX), Err(WindowRefusal::TooFar { got: at(u64::MAX), next: 0 }));
    assert_eq!(admit(64), Err(WindowRefusal::TooFar { got: at(64), next: 0 }));
    assert_eq!(admit(63), Ok(()));
    assert_eq!(admit(0), Ok(()));
    assert_eq!(admit(64), Ok(()));
    assert_eq!(admit(0), Err(WindowRefusal::TooOld { got: at(0), next: 65 }));
    assert_eq!(admit(63), Err(WindowRefusal::Replayed(at(63))));
    assert_eq!(admit(129), Err(WindowRefusal::TooFar { got: at(129), next: 65 }));
    assert_eq!(admit(128), Ok(()));
    assert_eq!(admit(u64::MAX), Err(WindowRefusal::TooFar { got: at(u64::MAX), next: 129 }));
}

#[test]
fn a_sliding_window_follows_any_jump() {
    // Every distance at which a shift could go wrong: inside, the width itself, beyond, beyond 32 bits.
    for jump in [1, 2, 63, 64, 65, 1 << 32, (1 << 32) + 1, u64::MAX - 2] {
        let mut window = ReplayWindow::default();
        assert_eq!(window.admit(at(0)), Ok(()));
        assert_eq!(window.admit(at(jump)), Ok(()), "{jump}");
        assert_eq!(window.admit(at(jump)), Err(WindowRefusal::Replayed(at(jump))));
        let old = WindowRefusal::TooOld { got: at(0), next: jump + 1 };
        let expected = if jump < 64 { WindowRefusal::Replayed(at(0)) } else { old };
        assert_eq!(window.admit(at(0)), Err(expected), "{jump}");
        if jump > 1 {
            assert_eq!(window.admit(at(jump - 1)), Ok(()), "{jump}: the one before is still free");
        }
    }
}

#[test]
fn the_last_position_is_never_used_and_nothing_wraps() {
    let mut window = ReplayWindow::default();
    assert_eq!(window.admit(at(u64::MAX)), Err(WindowRefusal::Exhausted));
    assert_eq!(window, ReplayWindow::default());
    assert_eq!(window.admit(at(u64::MAX - 1)), Ok(()));
    assert_eq!(window.next(), u64::MAX);
    for _ in 0..2 {
        assert_eq!(window.admit(at(u64::MAX)), Err(WindowRefusal::Exhausted));
        let within = window.admit_within(at(u64::MAX), 64);
        assert_eq!(within, Err(WindowRefusal::Exhausted));
        let replayed = WindowRefusal::Replayed(at(u64::MAX - 1));
        assert_eq!(window.admit(at(u64::MAX - 1)), Err(replayed));
        assert!(matches!(window.admit(at(0)), Err(WindowRefusal::TooOld { .. })));
    }
    assert_eq!(window.admit(at(u64::MAX - 64)), Ok(()), "the oldest in the window");
    assert!(matches!(window.admit(at(u64::MAX - 65)), Err(WindowRefusal::TooOld { .. })));
}

#[test]
fn its_bytes_are_two_numbers() {
    let mut window = ReplayWindow::default();
    for position in [0, 2, 3] {
        window.admit(at(position)).expect("new");
    }
    // next = 4, seen = 0b1011.
    assert_eq!(postcard::to_stdvec(&window).as_deref(), Ok(&[4, 11][..]));
}

#[test]
fn sessions_are_opened_and_closed_and_limited() {
    let [a, b, c] = ["a", "b", "c"].map(session);
    let (lane, other) = (Lane::Update, Lane::Bulk);
    let mut guard = ReplayGuard::new(2);
    assert_eq!(guard.admit(a, lane, at(0)), Err(ReplayRefusal::UnknownSession(a)));
    guard.open(a).expect("room");
    guard.open(b).expect("room");
    let full = ReplayRefusal::TooManySessions { open: 2, limit: 2 };
    assert_eq!(guard.open(c), Err(full));
    guard.admit(a, lane, at(7)).expect("new");
    assert_eq!(guard.open(a), Err(ReplayRefusal::SessionOpen(a)), "what it took is not forgotten");
    let replayed = ReplayRefusal::Replayed { session_id: a, lane, position: at(7) };
    assert_eq!(guard.admit(a, lane, at(7)), Err(replayed));
    guard.admit(a, other, at(7)).expect("another lane");
    guard.admit(b, lane, at(7)).expect("another session");
    guard.admit(a, lane, at(100)).expect("a jump");
    let old = ReplayRefusal::TooOld { session_id: a, lane, position: at(8), next: 101 };
    assert_eq!(guard.admit(a, lane, at(8)), Err(old));
    let last = ReplayRefusal::Exhausted { session_id: a, lane };
    assert_eq!(guard.admit(a, lane, at(u64::MAX)), Err(last));
    guard.close(&a).expect("open");
    assert_eq!(guard.close(&a), Err(ReplayRefusal::UnknownSession(a)));
    assert_eq!(guard.admit(a, lane, at(200)), Err(ReplayRefusal::UnknownSession(a)));
    guard.open(c).expect("room again");
    assert_eq!(guard.open_sessions(), 2);
    assert_eq!(
        ReplayGuard::new(0).open(a),
        Err(ReplayRefusal::TooManySessions { open: 0, limit: 0 })
    );
}
