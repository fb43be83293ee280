//! The event queue: logical time, then the order in which events were scheduled.

use std::collections::BTreeMap;

use federation_proto::LogicalTime;

/// Events by (time, order of scheduling): a total order that depends on nothing else.
#[derive(Debug)]
pub(crate) struct EventQueue<E> {
    now: LogicalTime,
    scheduled: u64,
    events: BTreeMap<(LogicalTime, u64), E>,
}

impl<E> EventQueue<E> {
    pub(crate) fn new() -> Self {
        Self { now: LogicalTime::ZERO, scheduled: 0, events: BTreeMap::new() }
    }

    pub(crate) fn now(&self) -> LogicalTime {
        self.now
    }

    /// Schedules an event; one in the past happens now.
    pub(crate) fn schedule(&mut self, at: LogicalTime, event: E) {
        self.events.insert((at.max(self.now), self.scheduled), event);
        self.scheduled += 1;
    }

    /// The next event; time moves to it.
    pub(crate) fn next(&mut self) -> Option<E> {
        let ((time, _), event) = self.events.pop_first()?;
        self.now = time;
        Some(event)
    }

    /// When the next event happens.
    pub(crate) fn next_time(&self) -> Option<LogicalTime> {
        self.events.first_key_value().map(|((time, _), _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_the_order_of_scheduling_and_time_never_runs_back() {
        let mut queue = EventQueue::new();
        queue.schedule(LogicalTime::new(5), "b");
        queue.schedule(LogicalTime::new(5), "c");
        queue.schedule(LogicalTime::new(1), "a");
        assert_eq!(queue.next(), Some("a"));
        assert_eq!(queue.next(), Some("b"));
        queue.schedule(LogicalTime::new(2), "late");
        assert_eq!(queue.next(), Some("c"));
        assert_eq!((queue.next(), queue.now()), (Some("late"), LogicalTime::new(5)));
        assert_eq!(queue.next(), None);
    }
}
