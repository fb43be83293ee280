//! The command line.

mod ledger;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use federation_proto::keys::KeyKind;
use federation_proto::{Digest, FederationId, Name};
use governance::audit::ExpectedHead;
use simulator::scenario::MAX_EPOCHS;

pub(crate) use ledger::{
    AnchorArgs, CosignArgs, ExportArgs, ImportArgs, LedgerArgs, LedgerCommand, MigrateArgs,
    ProveArgs, ShowArgs, SourceArgs, TilesArgs, TrustArgs, VerifyArgs,
};

/// Most worker threads; more never helped anybody.
const MAX_THREADS: u64 = 1024;

/// A day; longer is a job for a machine of its own.
const MAX_FUZZ_SECONDS: u64 = 86_400;

/// Federated evolution, from one directory: run it, audit it, measure it, test it.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    after_help = "Start with `cargo xtask simulate`, then `cargo xtask compliance --phase M5`."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a federation and write its signed artifacts
    Simulate(SimulateArgs),
    /// Audit a run's artifacts offline: recompute everything, believe nothing
    Compliance(ComplianceArgs),
    /// Show, prove, verify and carry about a ledger
    Ledger(LedgerArgs),
    /// Create, show and rotate key files
    Key(KeyArgs),
    /// Measure an area against its reference, in the same process
    Bench(BenchArgs),
    /// Inject faults into the durable store until a number of them is reached
    Soak(SoakArgs),
    /// Feed the decoders what nobody would send, with nightly and cargo-fuzz
    Fuzz(FuzzArgs),
    /// Put known errors into a copy of the consensus core; its tests must find each
    Mutants(MutantsArgs),
    /// The test command: everything that must hold before a change lands
    Ci(CiArgs),
}

/// How to show a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

/// Arguments of `simulate`.
#[derive(Debug, Args)]
#[command(
    long_about = "Runs a federation in simulation: sites learn on private workloads, validators order and \
        recompute, governors sign off, epoch after epoch. Everything follows from the scenario and the seed, \
        whatever the number of threads. The run ends with a table of held-out cost and signed artifacts.\n\n\
        The reference run (scenario baseline, default seed and epochs) is written in place to artifacts/, \
        where it is committed. Any other run goes to target/simulations/.",
    after_long_help = "Examples:\n  \
        cargo xtask simulate                           the reference run, to artifacts/\n  \
        cargo xtask simulate --seed 7 --epochs 2       to target/simulations/\n  \
        cargo xtask simulate --scenario my.toml        your own scenario\n  \
        cargo xtask simulate --format json --quiet     one document, for a program\n\n\
        Exit status: 0 done, 1 the run failed or could not be written, 2 bad usage or scenario, \
        130 interrupted. An interrupted or failed run leaves the run before it as it was."
)]
pub(crate) struct SimulateArgs {
    /// A built-in scenario, or a TOML file (with a '/' or ending in .toml)
    #[arg(long, value_name = "NAME|FILE", default_value = crate::simulate::REFERENCE_SCENARIO)]
    pub(crate) scenario: String,
    /// Decides everything that is random
    #[arg(
        long,
        value_name = "N",
        default_value_t = crate::simulate::REFERENCE_SEED,
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u64>(text, 0..=u64::MAX),
    )]
    pub(crate) seed: u64,
    /// Federated epochs, instead of the scenario's own number
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u64>(text, 1..=MAX_EPOCHS),
    )]
    pub(crate) epochs: Option<u64>,
    /// Where to write, instead of the default place
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// No progress; for people, only the compliance command
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Worker threads; never changes a byte of the result [default: one a core]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u16>(text, 1..=MAX_THREADS),
    )]
    pub(crate) threads: Option<u16>,
}

/// Reads a decimal number; what is none, or lies outside, is answered with the range.
fn number<T: TryFrom<u64>>(text: &str, range: RangeInclusive<u64>) -> Result<T, String> {
    let value = text.parse().ok().filter(|value| range.contains(value));
    let wanted = || format!("a whole number in {}..={} is wanted", range.start(), range.end());
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(wanted)
}

/// The phases that can be audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Federated meta-evolution
    #[value(name = "M5")]
    M5,
}

/// Arguments of `compliance`.
#[derive(Debug, Args)]
#[command(
    long_about = "Audits the artifacts of a run, offline and read-only: manifest, signatures, ledger, \
        proofs, votes, alignment, aggregate, states, sign-offs. Everything is recomputed. Every check \
        prints one line: PASS, FAIL with file, place and both values, NOT RUN, or NOT COVERED where this \
        verifier has no machinery yet.\n\n\
        Without --root-of-trust the governors compiled into this program are trusted; their keys are \
        published, so such a verdict proves consistency, not authorship.",
    after_long_help = "Examples:\n  \
        cargo xtask compliance --phase M5\n  \
        cargo xtask compliance --phase M5 --artifacts target/simulations/baseline-seed7\n  \
        cargo xtask compliance --phase M5 --format json | jq '.checks[] | select(.verdict != \"PASS\")'\n\n\
        Exit status: 0 every covered check passed, 1 the artifacts fail, 2 bad usage, 3 cannot decide \
        (the root of trust or this machine is at fault, not the artifacts)."
)]
pub(crate) struct ComplianceArgs {
    /// The phase to audit: M5
    #[arg(long, value_name = "PHASE", ignore_case = true)]
    pub(crate) phase: Phase,
    /// The run's directory [default: artifacts/ of the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Governors to trust, instead of the compiled-in synthetic ones
    #[arg(long, value_name = "FILE")]
    pub(crate) root_of_trust: Option<PathBuf>,
    /// How to show the report
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Fail where a check is not covered
    #[arg(long)]
    pub(crate) strict: bool,
    /// The ledger head that must be there, as a checkpoint states it: catches an older complete run
    #[arg(long, value_name = "SIZE:ROOT")]
    pub(crate) expect_head: Option<ExpectedHead>,
    /// Fail unless the root of trust is live
    #[arg(long)]
    pub(crate) require_live: bool,
}

/// Arguments of `key`.
#[derive(Debug, Args)]
#[command(
    long_about = "Makes and shows key files: four lines of text that only their owner may read. A secret is drawn \
        from the operating system and never shown, and no file is overwritten. A rotation is a statement \
        that both keys sign, worth something in one federation and configuration only.",
    after_long_help = "Examples:\n  \
        cargo xtask key create --role identity --out identity.key\n  \
        cargo xtask key show identity.key\n  \
        cargo xtask key rotate --help\n\n\
        Exit status: 0 done, 1 this machine failed, 2 bad usage or an unusable key file."
)]
pub(crate) struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// The commands of `key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key file
    Create {
        /// The job of the key, such as identity or consensus
        #[arg(long, value_name = "ROLE")]
        role: KeyKind,
        /// The file to create
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show role and public key of a key file
    Show {
        /// The key file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Sign the rotation of a key with the old key and the new one
    Rotate(RotateArgs),
}

/// Arguments of `key rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The job of both keys
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: KeyKind,
    /// Whose keys they are, by the name in the roster
    #[arg(long, value_name = "NAME")]
    pub(crate) holder: Name,
    /// File of the key in force
    #[arg(long, value_name = "FILE")]
    pub(crate) old: PathBuf,
    /// File of the key that takes its place
    #[arg(long, value_name = "FILE")]
    pub(crate) new: PathBuf,
    /// The federation's id, 64 hexadecimal characters
    #[arg(long, value_name = "ID")]
    pub(crate) federation: FederationId,
    /// Digest of the configuration in force, 64 hexadecimal characters
    #[arg(long, value_name = "DIGEST")]
    pub(crate) config: Digest,
    /// First epoch of the new key
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = counted)]
    pub(crate) from_epoch: u64,
    /// Which rotation of this holder and role it is, from 1
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = counted)]
    pub(crate) number: u64,
    /// The file to create for the statement, in its canonical bytes
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

fn counted(text: &str) -> Result<u64, String> {
    number(text, 1..=u64::MAX)
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(
    long_about = "Measures one area against a reference that is measured in the same process: a limit from \
        the design or a peer. Each line says whether the bar was met. Without an area, lists them.",
    after_long_help = "Examples:\n  \
        cargo xtask bench simulate\n  \
        cargo xtask bench simulate --format json | jq .meets_bar\n\n\
        Exit status: 0 measured (whether or not the bar is met), 1 the measurement failed, 2 no such area."
)]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(value_name = "AREA")]
    pub(crate) area: Option<String>,
    /// A table, or one JSON object a line
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// What can be soaked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SoakArea {
    /// The durable ledger on a disk that fails
    Ledger,
}

/// Arguments of `soak`.
#[derive(Debug, Args)]
#[command(
    long_about = "Runs the fault campaign of the durable store over one seed after another: power losses, failed \
        and full disks, lost and misdirected writes, flipped bits, truncations. Every fault must end in the whole \
        ledger or in a typed error. What it comes to follows from the first seed and the number of faults, \
        whatever the number of threads.",
    after_long_help = "Examples:\n  \
        cargo xtask soak ledger\n  \
        cargo xtask soak ledger --faults 20000 --seed 7\n  \
        cargo xtask soak ledger --seed 7 --faults 1    seed 7 and no other: a replay\n\n\
        Exit status: 0 no fault was answered wrongly, 1 one was (with the command that repeats it), 2 bad usage, \
        130 interrupted."
)]
pub(crate) struct SoakArgs {
    /// What to soak
    #[arg(value_name = "AREA")]
    pub(crate) area: SoakArea,
    /// Faults to inject at least; a seed that was begun is finished
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000_000,
        allow_negative_numbers = true,
        value_parser = counted,
    )]
    pub(crate) faults: u64,
    /// The first seed
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u64>(text, 0..=u64::MAX),
    )]
    pub(crate) seed: u64,
    /// Worker threads; never changes the result [default: one a core]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u16>(text, 1..=MAX_THREADS),
    )]
    pub(crate) threads: Option<u16>,
}

/// Arguments of `fuzz`.
#[derive(Debug, Args)]
#[command(
    long_about = "Runs every fuzz target of the wire in turn, each for a while, starting from real encodings. \
        Needs the nightly toolchain and cargo-fuzz, and says so where they are missing. What a target finds \
        lies in crates/federation-proto/fuzz/artifacts, and the run prints how to repeat it.",
    after_long_help = "Examples:\n  \
        cargo xtask fuzz\n  \
        cargo xtask fuzz --seconds 600 decode\n\n\
        Exit status: 0 nothing found, 1 a finding or a missing tool, 2 no such target, 130 interrupted."
)]
pub(crate) struct FuzzArgs {
    /// Run only this target
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// How long each target runs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 30,
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u32>(text, 1..=MAX_FUZZ_SECONDS),
    )]
    pub(crate) seconds: u32,
}

/// Arguments of `mutants`.
#[derive(Debug, Args)]
#[command(
    long_about = "Makes a copy of consensus-pbft below target/, puts one known error of other implementations into it \
        after the other, and runs the tests that must fail for it: the bounded model or a named test. Shows which \
        test killed which error, and fails where one survives, does not compile, or has lost its place in the code.",
    after_long_help = "Examples:\n  \
        cargo xtask mutants\n  \
        cargo xtask mutants --only weakest-certificate\n\n\
        Exit status: 0 all were killed, 1 one survived or could not be judged, 2 no such mutant, 130 interrupted."
)]
pub(crate) struct MutantsArgs {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,
}

/// Arguments of `ci`.
#[derive(Debug, Args)]
#[command(
    long_about = "Runs every stage that must hold before a change lands, prints the time of each, and \
        stops at the first that fails.",
    after_long_help = "Examples:\n  \
        cargo xtask ci\n  \
        cargo xtask ci --list\n  \
        cargo xtask ci --only clippy --only docs\n\n\
        Exit status: 0 all stages passed, 1 a stage failed, 2 no such stage, 130 interrupted."
)]
pub(crate) struct CiArgs {
    /// Run only this stage; may be repeated
    #[arg(long, value_name = "STAGE")]
    pub(crate) only: Vec<String>,
    /// List the stages
    #[arg(long)]
    pub(crate) list: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_examples() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:") && help.contains("Exit status:"), "{help}");
        }
    }
}
