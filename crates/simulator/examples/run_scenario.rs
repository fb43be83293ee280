//! Runs a built-in scenario and prints its table: `cargo run --release --example run_scenario -- baseline 1 2`.

use std::collections::BTreeMap;
use std::error::Error;

use simulator::FederationSimulator;
use simulator::scenario::Scenario;

#[expect(
    clippy::disallowed_methods,
    reason = "an example is a program: its arguments are its input"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "baseline".to_owned());
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let mut scenario = Scenario::builtin(&name)?;
    if let Some(epochs) = arguments.next() {
        scenario = scenario.with_epochs(epochs.parse()?)?;
    }
    let simulator = FederationSimulator::new(scenario, seed, &BTreeMap::new())?;
    let run = simulator.run(&mut |progress| {
        eprintln!("{}/{} {}", progress.done, progress.total, progress.what);
    })?;
    for epoch in &run.epochs {
        println!(
            "epoch {} {} aligned, aggregate {}",
            epoch.epoch, epoch.aligned, epoch.aggregated_hash
        );
    }
    for row in &run.evaluation.rows {
        println!("{:>6} {}", row.cost_permille, row.label);
    }
    println!("{}", run.evaluation.sentence);
    println!(
        "{} files, {} frames, {} bytes, trace {}",
        run.artifacts.len(),
        run.frames,
        run.bytes,
        run.trace
    );
    for refusal in run.refusals.iter().take(20) {
        println!("{refusal}");
    }
    Ok(())
}
