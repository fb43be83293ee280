//! Several operations timed in turns, so that whatever else the machine does hits all of them alike.

use std::time::{Duration, Instant};

/// Rounds of which the median is told.
const ROUNDS: usize = 201;
/// About how long an operation is repeated within one round.
const TURN: Duration = Duration::from_micros(400);
/// Repetitions at most, however fast an operation is.
const MAX_REPETITIONS: u32 = 100_000;

/// Something to be timed: it repeats itself and says how long that took, without its preparations.
pub(super) type Operation<'a> = Box<dyn FnMut(u32) -> Duration + 'a>;

/// Times a number of repetitions of something that needs no preparation.
pub(super) fn repeated<T>(mut act: impl FnMut() -> T) -> impl FnMut(u32) -> Duration {
    move |repetitions| {
        let start = Instant::now();
        for _ in 0..repetitions {
            std::hint::black_box(act());
        }
        start.elapsed()
    }
}

/// Microseconds of one repetition, round by round, in the order of the operations.
pub(super) fn measure(operations: &mut [Operation<'_>]) -> Vec<Vec<f64>> {
    let repetitions: Vec<u32> = operations.iter_mut().map(calibrate).collect();
    let mut times: Vec<Vec<f64>> = operations.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        let turns = operations.iter_mut().zip(&repetitions).zip(&mut times);
        for ((operation, repetitions), times) in turns {
            let time = operation(*repetitions).as_secs_f64();
            times.push(time * 1e6 / f64::from(*repetitions));
        }
    }
    times
}

/// Repetitions that take about one turn.
fn calibrate(operation: &mut Operation<'_>) -> u32 {
    let mut repetitions = 1;
    while operation(repetitions) < TURN && repetitions < MAX_REPETITIONS {
        repetitions *= 2;
    }
    repetitions
}

/// The value that a share of all values does not exceed; 0 where there are none.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

/// The median of what one operation takes of another's time in the same round.
pub(super) fn median_ratio(values: &[f64], references: &[f64]) -> f64 {
    let ratios: Vec<f64> = values.iter().zip(references).map(|(v, r)| v / r).collect();
    quantile(&ratios, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_in_order() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 3.0, 5.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(median_ratio(&[2.0, 9.0, 4.0], &[1.0, 3.0, 4.0]), 2.0);
    }

    #[test]
    fn slower_work_takes_longer() {
        let sum = |most: u64| move || (0..most).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let mut operations: [Operation<'_>; 2] =
            [Box::new(repeated(sum(500))), Box::new(repeated(sum(5_000)))];
        let times = measure(&mut operations);
        assert!(median_ratio(&times[1], &times[0]) > 3.0);
        assert!(times.iter().all(|times| times.len() == ROUNDS));
    }
}
