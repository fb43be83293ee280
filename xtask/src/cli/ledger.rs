//! Arguments of `ledger`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use federation_proto::keys::Cosigner;
use ledger::NoteKey;

use super::{Format, counted, number};

/// Most witnesses that can be asked for: a note has room for no more lines.
const MAX_WITNESSES: u64 = ledger::note::MAX_SIGNATURES as u64;

/// Arguments of `ledger`.
#[derive(Debug, Args)]
#[command(
    long_about = "Shows, proves, verifies and carries about a ledger: that of a run's artifacts, or one in a store \
        file, which is opened read-only unless the command writes it. Signatures are checked against the log keys \
        of the genesis that the root of trust vouches for; without --root-of-trust that is the synthetic one, whose \
        keys are published. What the votes in the blocks prove, `compliance` says.",
    after_long_help = "Examples:\n  \
        cargo xtask ledger show --block 12\n  \
        cargo xtask ledger prove --block 12 --entry 0 --out block12.proof\n  \
        cargo xtask ledger verify --proof block12.proof\n  \
        cargo xtask ledger import --store ledger.redb\n  \
        cargo xtask ledger verify --store ledger.redb --anchor artifacts/merkle/meta_M5.merk\n  \
        cargo xtask ledger anchor --restart restarted.redb\n  \
        cargo xtask ledger tiles --out target/tiles\n  \
        cargo xtask ledger cosign --help\n\n\
        Exit status: 0 done, and everything that was checked holds; 1 something does not, or this machine failed; \
        2 bad usage, or a file named on the command line is unusable; 3 cannot decide (the root of trust or this \
        machine is at fault, not the ledger); 130 interrupted. No file is ever overwritten, but for state, sidecar \
        and checkpoint, which are replaced whole."
)]
pub(crate) struct LedgerArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: LedgerCommand,
}

/// The commands of `ledger`.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show head, size and last anchor, or one block
    Show(ShowArgs),
    /// Prove a block, or an entry, under the newest signed checkpoint
    Prove(ProveArgs),
    /// Read and check everything, or one proof
    Verify(VerifyArgs),
    /// Show and verify an anchor: the rollback point; restart a store from it
    Anchor(AnchorArgs),
    /// Cosign an anchor's checkpoint as a witness
    Cosign(CosignArgs),
    /// Take the ledger of artifacts into a store, which is made or continued
    Import(ImportArgs),
    /// Write the flat files of a store's ledger
    Export(ExportArgs),
    /// Bring a store of an older format up to date
    Migrate(MigrateArgs),
    /// Write the history tree as static files for any file server
    Tiles(TilesArgs),
}

/// Where the ledger is.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// A run's directory [default: artifacts/ of the workspace]
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    pub(crate) artifacts: Option<PathBuf>,
    /// A store file, instead of artifacts
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
    /// Who must have signed.
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Who must have signed.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Governors to trust, instead of the compiled-in synthetic ones
    #[arg(long, value_name = "FILE")]
    pub(crate) root_of_trust: Option<PathBuf>,
    /// The genesis that names the log keys [default: that of the artifacts]
    #[arg(long, value_name = "FILE")]
    pub(crate) genesis: Option<PathBuf>,
}

/// Arguments of `ledger show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Where the ledger is.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Show this block instead
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, value_parser = counted)]
    pub(crate) block: Option<u64>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Arguments of `ledger prove`.
#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    /// Where the ledger is.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The block
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, value_parser = counted)]
    pub(crate) block: u64,
    /// An entry of it, from 0: also writes FILE.entry, its proof, and FILE.item, the entry itself
    #[arg(
        long,
        value_name = "I",
        requires = "out",
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u32>(text, 0..=u32::MAX.into()),
    )]
    pub(crate) entry: Option<u32>,
    /// The file to create [default: the proof goes to standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `ledger verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Where the ledger is.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// An anchor kept elsewhere: the ledger must hold at least its checkpoint
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    pub(crate) anchor: Option<PathBuf>,
    /// Verify this proof or anchor file alone, without a ledger
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub(crate) proof: Option<PathBuf>,
    /// The block file whose header is proved, where the proof does not carry it
    #[arg(long, value_name = "FILE", requires = "proof")]
    pub(crate) block_file: Option<PathBuf>,
    /// Proof of an entry of the proved block
    #[arg(long, value_name = "FILE", requires = "proof", requires = "item")]
    pub(crate) entry: Option<PathBuf>,
    /// The entry itself
    #[arg(long, value_name = "FILE", requires = "entry")]
    pub(crate) item: Option<PathBuf>,
    /// Cosignatures of the checkpoint [default with --witness: the one beside the artifacts' anchor]
    #[arg(long, value_name = "FILE", requires = "witness")]
    pub(crate) sidecar: Option<PathBuf>,
    /// A witness to count, as NAME+ID+KEY; may be repeated
    #[arg(long, value_name = "VKEY")]
    pub(crate) witness: Vec<NoteKey<Cosigner>>,
    /// How many of them must have cosigned
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u16>(text, 1..=MAX_WITNESSES),
    )]
    pub(crate) witness_quorum: u16,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Arguments of `ledger anchor`.
#[derive(Debug, Args)]
pub(crate) struct AnchorArgs {
    /// The anchor file [default: the last one of the artifacts]
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// A run's directory [default: artifacts/ of the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Who must have signed.
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Create a store that begins after the anchored block
    #[arg(long, value_name = "FILE")]
    pub(crate) restart: Option<PathBuf>,
    /// How to show the result
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// Arguments of `ledger cosign`.
#[derive(Debug, Args)]
#[command(
    long_about = "Cosigns the checkpoint of an anchor as a witness: one that runs outside the federation, and that \
        anybody may ask what it saw. It cosigns only what the quorum signed and what extends the checkpoint it \
        cosigned last, which it keeps in --state, on disk before the cosignature leaves. Without that file the \
        first checkpoint is taken as it comes, so never lose it. One cosigning at a time goes on with one key.",
    after_long_help = "Examples:\n  \
        cargo xtask key create --role cosigner --out witness.key\n  \
        cargo xtask ledger cosign --key witness.key --name example.org/witness \
        --state witness.state --time $(date +%s)\n  \
        cargo xtask ledger verify --witness VKEY    VKEY as cosign shows it\n\n\
        Exit status: 0 cosigned, 1 the checkpoint is refused or this machine failed, 2 bad usage, or a key, state \
        or sidecar that cannot be used."
)]
pub(crate) struct CosignArgs {
    /// The witness's key file, of role cosigner
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Name of the key in notes, such as example.org/witness
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// The anchor file [default: the last one of the artifacts]
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// Now, in seconds since 1970
    #[arg(
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        value_parser = |text: &str| number::<u64>(text, 1..=ledger::note::MAX_TIMESTAMP),
    )]
    pub(crate) time: u64,
    /// The checkpoint that was cosigned last; made with the first
    #[arg(long, value_name = "FILE")]
    pub(crate) state: PathBuf,
    /// The sidecar to make or add to [default: the one beside the artifacts' anchor]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Where the ledger is, for the proof that it only grew.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Arguments of `ledger import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The store file to make or continue
    #[arg(long, value_name = "FILE")]
    pub(crate) store: PathBuf,
    /// A run's directory [default: artifacts/ of the workspace]
    #[arg(long, value_name = "DIR")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Who must have signed.
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Arguments of `ledger export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The store file
    #[arg(long, value_name = "FILE")]
    pub(crate) store: PathBuf,
    /// The directory to make
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Arguments of `ledger migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The store file
    #[arg(long, value_name = "FILE")]
    pub(crate) store: PathBuf,
}

/// Arguments of `ledger tiles`.
#[derive(Debug, Args)]
pub(crate) struct TilesArgs {
    /// Where the ledger is.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The directory to make, or to bring up to the newest signed checkpoint
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}
