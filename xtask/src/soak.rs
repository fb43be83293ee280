//! `soak`: the fault campaign of the durable store, seed after seed, until enough faults were injected.

mod panics;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::faults::{Tally, Violation, run_seed};
use rayon::prelude::*;
use thiserror::Error;

use crate::cli::{SoakArea, SoakArgs};
use crate::failure::Failure;
use crate::output;
use crate::simulate::size_pool;

/// Most seeds between two looks at the total. How many there are follows from the faults so far, and so from the
/// seeds alone: neither the threads nor the clock decide which seeds are run.
const MOST_SEEDS: u64 = 256;

const TEMPLATE: &str = "{bar:24} {percent:>3}% · {eta} left · {human_pos} of {human_len} faults";

/// A fault that was answered wrongly.
#[derive(Debug, Error)]
pub(crate) enum SoakError {
    /// The ledger showed what must not be.
    #[error("{0}; to repeat it: `cargo xtask soak ledger --seed {seed} --faults 1`", seed = .0.seed)]
    Violation(Violation),
    /// The ledger panicked.
    #[error(
        "seed {seed}: {said}; to repeat it: `cargo xtask soak ledger --seed {seed} --faults 1`"
    )]
    Panic {
        /// The seed.
        seed: u64,
        /// Message and place of the panic.
        said: String,
    },
}

pub(crate) fn run(args: &SoakArgs) -> Result<ExitCode, Failure> {
    let SoakArea::Ledger = args.area;
    if let Some(threads) = args.threads {
        size_pool(threads)?;
    }
    let progress = progress_line(args.faults);
    let ended = campaign(args.seed, args.faults, one_seed, &progress);
    progress.finish_and_clear();
    let (seeds, tally) = ended?;
    output::write(&report(args.seed, seeds, &tally, output::width())).map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs consecutive seeds until enough faults were injected. The number of seeds comes back, and what they came to;
/// or what the first bad one found, by its number.
fn campaign(
    first: u64,
    faults: u64,
    run: impl Fn(u64) -> Result<Tally, SoakError> + Sync,
    progress: &ProgressBar,
) -> Result<(u64, Tally), SoakError> {
    let (mut seeds, mut total) = (0_u64, Tally::default());
    while total.faults() < faults {
        let wanted = faults - total.faults();
        // About as many as are missing: one to begin with, and the last round overshoots by little.
        let each = total.faults().checked_div(seeds).unwrap_or(faults).max(1);
        let round = wanted.div_ceil(each).min(MOST_SEEDS);
        let ended: Vec<Result<Tally, SoakError>> = (0..round)
            .into_par_iter()
            .map(|index| {
                let ended = run(first.wrapping_add(seeds).wrapping_add(index));
                progress.inc(ended.as_ref().map_or(0, Tally::faults));
                ended
            })
            .collect();
        for tally in ended {
            total.add(&tally?);
        }
        seeds = seeds.saturating_add(round);
    }
    Ok((seeds, total))
}

fn one_seed(seed: u64) -> Result<Tally, SoakError> {
    match panics::caught(|| run_seed(seed)) {
        Ok(ended) => ended.map_err(SoakError::Violation),
        Err(said) => Err(SoakError::Panic { seed, said }),
    }
}

/// The line on a terminal; hidden where nobody watches.
fn progress_line(faults: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(faults), ProgressDrawTarget::stderr());
    // The template is a constant: a malformed one would only cost its looks.
    let style = ProgressStyle::with_template(TEMPLATE);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A wrong answer ends the campaign, so that a report with any other number than zero in that column is never made.
fn report(first: u64, seeds: u64, tally: &Tally, width: u16) -> String {
    let row = |what: &str, faults: u64, refused: u64| {
        let whole = faults.saturating_sub(refused);
        let numbers = [faults, whole, refused, 0].map(|number| number.to_string());
        [what.to_owned()].into_iter().chain(numbers).collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = tally
        .0
        .iter()
        .map(|(kind, (faults, refused))| row(&kind.to_string(), *faults, *refused))
        .collect();
    let refused = tally.0.values().map(|(_, refused)| refused).sum();
    rows.push(row("all", tally.faults(), refused));
    let header = ["fault", "injected", "ledger whole", "typed error", "wrong"];
    let table = output::table(&header, &rows, width);
    let last = first.wrapping_add(seeds.saturating_sub(1));
    format!("{table}Seeds {first} to {last}: no fault was answered wrongly\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ledger::faults::Kind;

    use super::*;

    fn tally(faults: u64) -> Tally {
        Tally([(Kind::Full, (faults, 1))].into())
    }

    #[test]
    fn seeds_are_consecutive_and_the_same_whatever_the_threads() {
        let run_with = |threads: usize| {
            let seen = Mutex::new(Vec::new());
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let ended = pool.install(|| {
                let run = |seed: u64| {
                    seen.lock().expect("no panic").push(seed);
                    Ok(tally(1 + seed % 7))
                };
                campaign(u64::MAX - 3, 1_000, run, &ProgressBar::hidden()).expect("no violation")
            });
            let mut seen = seen.into_inner().expect("no panic");
            seen.sort_unstable_by_key(|seed| seed.wrapping_add(4));
            (ended, seen)
        };
        let ((seeds, total), seen) = run_with(1);
        assert!((1_000..2_000).contains(&total.faults()), "{}", total.faults());
        let expected = (0..seeds).map(|index| (u64::MAX - 3).wrapping_add(index));
        assert!(seen.iter().copied().eq(expected), "{seen:?}");
        for threads in [2, 5] {
            assert_eq!(run_with(threads), ((seeds, total.clone()), seen.clone()));
        }
    }

    #[test]
    fn one_fault_is_one_seed() {
        let run = |seed| if seed == 7 { Ok(tally(4_000)) } else { panic!("seed {seed}") };
        let (seeds, total) = campaign(7, 1, run, &ProgressBar::hidden()).expect("no violation");
        assert_eq!((seeds, total.faults()), (1, 4_000));
    }

    #[test]
    fn the_first_bad_seed_is_named_with_the_command_that_repeats_it() {
        let violation = |seed| {
            let found = "an older ledger".to_owned();
            SoakError::Violation(Violation { seed, kind: Kind::LostWrite, at: 9, found })
        };
        let run = |seed| if seed < 20 { Ok(tally(1)) } else { Err(violation(seed)) };
        let ended = campaign(0, 1_000, run, &ProgressBar::hidden()).expect_err("a violation");
        assert_eq!(
            ended.to_string(),
            "seed 20, lost write at 9: an older ledger; to repeat it: \
             `cargo xtask soak ledger --seed 20 --faults 1`"
        );
        let panicked = SoakError::Panic { seed: 3, said: "panicked at x.rs:1".to_owned() };
        assert!(panicked.to_string().contains("--seed 3 --faults 1"));
    }

    #[test]
    fn the_table_counts_every_kind_and_all() {
        let tally = Tally([(Kind::Full, (10, 3)), (Kind::Truncation, (5, 5))].into());
        let narrow = report(4, 2, &tally, 40);
        let widest = narrow.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 50), "{narrow}");
        let text = report(4, 2, &tally, 100);
        let numbers = |what: &str| {
            let line = text.lines().find(|line| line.contains(what)).expect("a line");
            line.split(|c: char| !c.is_ascii_digit())
                .filter(|part| !part.is_empty())
                .map(|part| part.parse().expect("a number"))
                .collect::<Vec<u64>>()
        };
        assert_eq!(numbers("full disk"), [10, 7, 3, 0]);
        assert_eq!(numbers("all "), [15, 7, 8, 0]);
        assert!(text.ends_with("Seeds 4 to 5: no fault was answered wrongly\n"), "{text}");
    }
}
