//! Several operations timed in turns, so that whatever else the machine does hits all of them alike.

use std::time::{Duration, Instant};

use super::{BarOf, Reference, Row};

/// Rounds of which the median is told, where one takes well below a second.
pub(super) const ROUNDS: usize = 201;
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
pub(super) fn measure(rounds: usize, operations: &mut [Operation<'_>]) -> Vec<Vec<f64>> {
    let repetitions: Vec<u32> = operations.iter_mut().map(calibrate).collect();
    let mut times: Vec<Vec<f64>> = operations.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
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

/// One operation beside another one of the same rounds, or one value beside another: what a row tells.
pub(super) struct Comparison<'a> {
    pub(super) area: &'static str,
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) values: &'a [f64],
    pub(super) reference: String,
    pub(super) references: &'a [f64],
    pub(super) bar: Option<f64>,
    pub(super) bar_of: BarOf,
}

impl Comparison<'_> {
    pub(super) fn row(self) -> Row {
        let Self { values, references, bar, bar_of, .. } = self;
        // One value alone has no smallest and no spread.
        let least = |values: &[f64]| (values.len() > 1).then(|| quantile(values, 0.0));
        let (value, median) = (quantile(values, 0.5), quantile(references, 0.5));
        let spread = quantile(references, 0.9) - quantile(references, 0.1);
        let ratio = median_ratio(values, references);
        let limited = match bar_of {
            BarOf::Value => value,
            BarOf::Ratio => ratio,
        };
        Row {
            area: self.area,
            name: self.name,
            value,
            least: least(values),
            unit: self.unit,
            reference: Reference {
                name: self.reference,
                value: median,
                least: least(references),
                noise: (references.len() > 1).then_some(spread / median),
            },
            ratio,
            bar,
            bar_of,
            meets_bar: bar.map(|bar| limited <= bar),
        }
    }
}

/// The value that a share of all values does not exceed; 0 where there are none.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * share).round() as usize).copied().unwrap_or(0.0)
}

/// The median of what one operation takes of another's time in the same round.
fn median_ratio(values: &[f64], references: &[f64]) -> f64 {
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
    fn a_bar_limits_the_value_or_the_ratio() {
        let row = |values, references, bar_of| {
            let (name, reference) = ("ours".to_owned(), "theirs".to_owned());
            let (area, unit, bar) = ("none", "µs", Some(2.0));
            Comparison { area, name, unit, values, reference, references, bar, bar_of }.row()
        };
        let (ours, theirs) = (&[3.0, 4.0, 5.0][..], &[2.0, 4.0, 4.0][..]);
        let by_value = row(ours, theirs, BarOf::Value);
        assert_eq!(
            (by_value.value, by_value.least, by_value.meets_bar),
            (4.0, Some(3.0), Some(false))
        );
        let by_ratio = row(ours, theirs, BarOf::Ratio);
        assert_eq!((by_ratio.ratio, by_ratio.meets_bar), (1.25, Some(true)));
        assert_eq!((by_ratio.reference.least, by_ratio.reference.noise), (Some(2.0), Some(0.5)));
        let single = row(&[1.0], &[4.0], BarOf::Value);
        assert_eq!((single.ratio, single.least, single.reference.noise), (0.25, None, None));
    }

    #[test]
    fn slower_work_takes_longer() {
        let sum = |most: u64| move || (0..most).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let mut operations: [Operation<'_>; 2] =
            [Box::new(repeated(sum(500))), Box::new(repeated(sum(5_000)))];
        let times = measure(ROUNDS, &mut operations);
        assert!(median_ratio(&times[1], &times[0]) > 3.0);
        assert!(times.iter().all(|times| times.len() == ROUNDS));
    }
}
