//! CPU time of this process.

use std::time::Instant;

/// A point in CPU time, or in wall time where the system does not tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// Milliseconds of CPU time of all threads so far.
    Cpu(f64),
    /// The moment.
    Wall(Instant),
}

impl Mark {
    /// Now.
    pub(super) fn now() -> Self {
        cpu_millis().map_or_else(|| Self::Wall(Instant::now()), Self::Cpu)
    }

    /// Milliseconds since this mark.
    pub(super) fn elapsed_ms(self) -> f64 {
        match self {
            Self::Cpu(before) => cpu_millis().map_or(0.0, |now| now - before),
            Self::Wall(before) => before.elapsed().as_secs_f64() * 1_000.0,
        }
    }
}

/// Linux accounts every thread to the nanosecond. The pool's threads live as long as the process, so their
/// sum never shrinks between two marks.
fn cpu_millis() -> Option<f64> {
    let mut nanos = 0u64;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let account = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        nanos += account.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanos as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time() {
        let mark = Mark::now();
        let mut sum = 0u64;
        for number in 0..20_000_000u64 {
            sum = std::hint::black_box(sum ^ number);
        }
        assert!(mark.elapsed_ms() > 0.0, "{sum}");
    }
}
