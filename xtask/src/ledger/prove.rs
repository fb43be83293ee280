//! `ledger prove`: a proof of a block, and of an entry, that anybody verifies without the ledger.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use federation_proto::Height;
use federation_proto::codec::Canonical as _;
use ledger::{Anchor, BlockFile, Checkpoint};

use super::LedgerError;
use super::facts::Facts;
use super::ground::Ground;
use super::proof::{self, Proved};
use super::source::Source;
use crate::cli::{Format, ProveArgs};
use crate::failure::Failure;
use crate::files;
use crate::output;
use crate::workspace;

pub(super) fn run(args: &ProveArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.source.trust, args.source.artifacts.as_deref())?;
    let source = Source::open(&args.source, &ground, None)?;
    let height = Height::new(args.block);
    let block = source.block(height)?;
    let anchor = prove(&source, &block)?;
    let shown = args.out.as_deref().map(workspace::shown);
    let shown = shown.unwrap_or_else(|| "the proof".to_owned());
    // What nobody could verify is not given away.
    let proved = proof::check(&shown, &anchor, None, &ground.keys)?;
    let Some(out) = &args.out else {
        output::note(&ground.trust.statement());
        return output::write(&anchor.to_text()).map_err(Failure::Output);
    };
    let mut made = vec![(out.clone(), anchor.to_text().into_bytes())];
    if let Some(index) = args.entry {
        let checkpoint = proved.checkpoint.checkpoint();
        made.extend(prove_entry(&source, &block, index, checkpoint, out)?);
    }
    write(&made)?;
    let mut facts = Facts::default();
    describe(&proved, &ground, args.entry, &block, &mut facts);
    facts.list("written", made.iter().map(|(path, _)| workspace::shown(path)));
    facts.show("prove", Some(&ground.trust), Format::Human)
}

/// The block under the newest anchor's checkpoint, with its header for whoever has no ledger.
fn prove(source: &Source, block: &BlockFile) -> Result<Anchor, LedgerError> {
    let (_, newest) = source
        .newest_anchor()
        .ok_or_else(|| LedgerError::NoAnchor { place: source.place.clone() })?;
    let (height, size) = (block.header.height, newest.claimed_checkpoint().size());
    if height.get() > size {
        return Err(LedgerError::NotSigned { height, size });
    }
    let extra = Some(block.header.to_canonical());
    let anchor = source.ledger.anchor(height, newest.note().clone(), extra);
    anchor.map_err(|cause| source.failed(cause))
}

/// The proof of an entry and the entry itself, beside the proof of the block.
fn prove_entry(
    source: &Source,
    block: &BlockFile,
    index: u32,
    checkpoint: &Checkpoint,
    out: &Path,
) -> Result<[(PathBuf, Vec<u8>); 2], LedgerError> {
    let proved = source.ledger.prove_entry(block.header.height, index, checkpoint.size());
    let proof = proved.map_err(|cause| source.failed(cause))?;
    let path = beside(out, ".entry");
    let item = usize::try_from(index).ok().and_then(|index| block.batch.items.get(index));
    let item = item.ok_or_else(|| {
        let (expected, found) = (block.batch.items.len().to_string(), index.to_string());
        LedgerError::Differs { path: workspace::shown(&path), what: "the index", expected, found }
    })?;
    proof
        .verify(item, block.header.ledger_id, checkpoint)
        .map_err(|cause| LedgerError::Entry { path: workspace::shown(&path), cause })?;
    Ok([(path, proof.to_canonical()), (beside(out, ".item"), item.to_canonical())])
}

fn beside(out: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(suffix);
    PathBuf::from(name)
}

/// Nothing is written if any of the files is there already.
fn write(made: &[(PathBuf, Vec<u8>)]) -> Result<(), LedgerError> {
    let failed = |path: &Path, cause| LedgerError::Create { path: workspace::shown(path), cause };
    if let Some((path, _)) = made.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(failed(path, std::io::ErrorKind::AlreadyExists.into()));
    }
    made.iter().try_for_each(|(path, bytes)| {
        files::create(path, bytes).map_err(|cause| failed(path, cause))
    })
}

fn describe(
    proved: &Proved,
    ground: &Ground,
    entry: Option<u32>,
    block: &BlockFile,
    facts: &mut Facts,
) {
    proof::describe(proved, &ground.keys, facts);
    let item = entry.and_then(|index| block.batch.items.get(usize::try_from(index).ok()?));
    if let (Some(index), Some(item)) = (entry, item) {
        facts.say("entry", format!("{index}: {}", item.entry().kind()));
    }
}
