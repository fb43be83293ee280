//! `ledger tiles`: the history tree as static files, brought from one signed checkpoint to the next.

use std::fs;
use std::io;
use std::path::Path;

use federation_proto::Height;
use federation_proto::codec::Canonical as _;
use ledger::VerifiedCheckpoint;
use ledger::durable::DurableError;
use ledger::note::{MAX_NOTE_BYTES, Note};
use ledger::tiles::{self, CHECKPOINT};

use super::LedgerError;
use super::facts::Facts;
use super::ground::Ground;
use super::source::Source;
use crate::cli::{Format, TilesArgs};
use crate::failure::Failure;
use crate::files;
use crate::workspace;

pub(super) fn run(args: &TilesArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.source.trust, args.source.artifacts.as_deref())?;
    let source = Source::open(&args.source, &ground, None)?;
    let (path, anchor) = source
        .newest_anchor()
        .ok_or_else(|| LedgerError::NoAnchor { place: source.place.clone() })?;
    let size = verified(path, anchor.note(), &ground)?.checkpoint().size();
    let since = published(&args.out, &source, &ground, size)?;
    let tree = source.ledger.history();
    let leaf = |index: u64| -> Result<Vec<u8>, DurableError> {
        let height = Height::new(index.saturating_add(1));
        Ok(source.ledger.block(height)?.header.to_canonical())
    };
    let failed = |cause| LedgerError::Tiles { place: source.place.clone(), cause };
    let mut written = 0_u64;
    // The checkpoint comes last, and each file is durable before the next one: a reader never meets a checkpoint
    // before its tiles.
    for file in tiles::publish(&tree, leaf, since, anchor.note()).map_err(failed)? {
        let (path, bytes) = file.map_err(failed)?;
        write(&args.out.join(path), &bytes)?;
        written += 1;
    }
    let mut facts = Facts::default();
    facts.say("ledger", source.ledger.ledger_id());
    facts.say("from", &source.place);
    facts.say("size before", since);
    facts.say("size", size);
    facts.say("files", written);
    facts.say("written", workspace::shown(&args.out));
    facts.show("tiles", Some(&ground.trust), Format::Human)
}

fn verified(path: &str, note: &Note, ground: &Ground) -> Result<VerifiedCheckpoint, LedgerError> {
    let keys = &ground.keys;
    VerifiedCheckpoint::verify(note, keys.origin(), keys.keys(), keys.quorum())
        .map_err(|cause| LedgerError::Checkpoint { path: path.to_owned(), cause })
}

/// Size of the tree that the directory holds already, 0 for a new one. It must be an earlier one of this history.
fn published(out: &Path, source: &Source, ground: &Ground, size: u64) -> Result<u64, Failure> {
    let unsuitable = |reason: &str| LedgerError::Unsuitable {
        path: workspace::shown(out),
        reason: reason.to_owned(),
    };
    let path = out.join(CHECKPOINT);
    if path.symlink_metadata().is_err_and(|cause| cause.kind() == io::ErrorKind::NotFound) {
        return match fs::read_dir(out) {
            // Tiles without a checkpoint are what a killed process leaves.
            Ok(mut entries) => match entries.all(|entry| is_tile_folder(&entry)) {
                true => Ok(0),
                false => Err(unsuitable("it holds other things and no checkpoint").into()),
            },
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(cause) => Err(unsuitable(&cause.to_string()).into()),
        };
    }
    let bytes = files::read(&path, MAX_NOTE_BYTES as u64)?;
    let shown = workspace::shown(&path);
    let note = match Note::parse(&bytes) {
        Ok(note) => note,
        Err(cause) => return Err(LedgerError::Note { path: shown, cause }.into()),
    };
    let before = verified(&shown, &note, ground)?;
    if before.checkpoint().size() > size {
        let found = before.checkpoint().size();
        let reason =
            format!("it holds {found} leaves already, the newest signed checkpoint {size}");
        return Err(unsuitable(&reason).into());
    }
    let same = source.ledger.check_known(before.checkpoint());
    same.map_err(|cause| LedgerError::Durable { path: shown, cause })?;
    Ok(before.checkpoint().size())
}

fn is_tile_folder(entry: &io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == "tile")
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let written = match path.parent() {
        Some(parent) => fs::create_dir_all(parent),
        None => Ok(()),
    };
    written
        .and_then(|()| files::replace(path, bytes))
        .map_err(|cause| LedgerError::Replace { path: workspace::shown(path), cause })
}
