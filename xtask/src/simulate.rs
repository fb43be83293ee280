//! `simulate`: scenario and seed in, signed artifacts and a table out.

mod progress;
mod report;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use rayon::ThreadPoolBuilder;
use simulator::{FederationSimulator, SimulationError};

use crate::cli::{Format, SimulateArgs};
use crate::failure::Failure;
use crate::output;
use crate::publish::Publication;
use crate::workspace;
use progress::ProgressLine;
use report::Report;
use source::Source;

/// The scenario of the reference run, which is committed in `artifacts/`.
pub(crate) const REFERENCE_SCENARIO: &str = "baseline";
/// The seed of the reference run. Any other would do; this one is written down.
pub(crate) const REFERENCE_SEED: u64 = 5;

pub(crate) fn run(args: &SimulateArgs) -> Result<ExitCode, Failure> {
    if let Some(threads) = args.threads {
        size_pool(threads)?;
    }
    let source = Source::load(&args.scenario, args.epochs)?;
    let out = args.out.clone().unwrap_or_else(|| default_place(&source, args.seed));
    let publication = Publication::reserve(&out)?;
    let progress = ProgressLine::new(args.quiet);
    let founded = FederationSimulator::new(source.scenario.clone(), args.seed, &source.files);
    let simulator = founded.map_err(|cause| match cause {
        SimulationError::Workloads(cause) => {
            Failure::Workloads { scenario: args.scenario.clone(), cause }
        }
        other => Failure::Simulation(other),
    })?;
    let finished = simulator.run(&mut |step| progress.show(&step));
    progress.finish();
    let finished = finished?;
    let outcome = publication.publish(&finished.artifacts)?;
    let report = Report {
        run: &finished,
        scenario: source.scenario.document().name.as_str(),
        seed: args.seed,
        place: &out,
        outcome,
    };
    let text = match (args.format, args.quiet) {
        (Format::Json, _) => report.to_json(),
        (Format::Human, true) => format!("{}\n", report.compliance_command()),
        (Format::Human, false) => report.to_text(output::width()),
    };
    output::write(&text).map_err(Failure::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// The reference run is written in place; everything else has a directory that says what it is.
fn default_place(source: &Source, seed: u64) -> PathBuf {
    let name = source.scenario.document().name.as_str();
    match source.other_epochs {
        None if source.builtin && name == REFERENCE_SCENARIO && seed == REFERENCE_SEED => {
            workspace::artifacts()
        }
        None => workspace::simulation(&format!("{name}-seed{seed}")),
        Some(epochs) => workspace::simulation(&format!("{name}-seed{seed}-epochs{epochs}")),
    }
}

/// Sizes the pool that everything parallel runs in. The number of threads never changes a byte.
pub(crate) fn size_pool(threads: u16) -> Result<(), Failure> {
    let pool = ThreadPoolBuilder::new().num_threads(usize::from(threads));
    pool.build_global().map_err(|cause| Failure::Threads { threads, cause })
}
