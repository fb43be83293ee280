//! `ledger anchor`: the point to which a federation can return, shown, verified and restarted from.

use std::fs;
use std::path::Path;

use federation_proto::Digest;
use federation_proto::codec::Canonical as _;
use governance::artifact::{ANCHOR, RUN};
use ledger::Anchor;
use ledger::durable::{DurableError, DurableLedger};
use ledger::export::BLOBS;
use meta_core::meta_state::MetaState;

use super::LedgerError;
use super::facts::Facts;
use super::ground::{self, Ground};
use super::proof::{self, Proved};
use super::source;
use crate::cli::AnchorArgs;
use crate::failure::Failure;
use crate::load;
use crate::workspace;

pub(super) fn run(args: &AnchorArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.trust, args.artifacts.as_deref())?;
    let (path, anchor) = read(args.anchor.as_deref(), args.artifacts.as_deref())?;
    let proved = proof::check(&path, &anchor, None, &ground.keys)?;
    let mut facts = Facts::default();
    facts.say("anchor", &path);
    proof::describe(&proved, &ground.keys, &mut facts);
    let block = format!("block {} of {}", proved.header.height, proved.header.ledger_id);
    facts.say("rollback", block);
    if let Some(parts) = proved.parts {
        let blob = state_blob(&ground::directory(args.artifacts.as_deref()), parts.meta_state)?;
        facts.say("its state", blob.as_deref().unwrap_or("not among the blobs of the artifacts"));
    }
    if let Some(store) = &args.restart {
        restart(store, (&path, &anchor), &proved, &ground)?;
        facts.say("restarted", workspace::shown(store));
    }
    facts.show("anchor", Some(&ground.trust), args.format)
}

/// The anchor file that was named, or the last one of the artifacts.
pub(super) fn read(
    named: Option<&Path>,
    artifacts: Option<&Path>,
) -> Result<(String, Anchor), Failure> {
    match named {
        Some(path) => proof::read(path),
        None => proof::read(&ground::directory(artifacts).join(ANCHOR)),
    }
}

/// The blob of the meta state with this hash, if the artifacts have it.
fn state_blob(artifacts: &Path, hash: Digest) -> Result<Option<String>, Failure> {
    let files = load::load(artifacts)?.files;
    let is_wanted = |(path, bytes): &(&String, &Vec<u8>)| {
        path.strip_prefix(RUN).is_some_and(|name| name.starts_with(BLOBS))
            && MetaState::from_canonical(bytes).is_ok_and(|state| state.hash() == hash)
    };
    Ok(files.iter().find(is_wanted).map(|(path, _)| path.clone()))
}

/// Makes a store without a block, that goes on after the anchored one. A store that cannot be finished is not left
/// behind.
fn restart(
    path: &Path,
    (named, anchor): (&str, &Anchor),
    proved: &Proved,
    ground: &Ground,
) -> Result<(), LedgerError> {
    let keys = &ground.keys;
    let leaf = proved.header.to_canonical();
    let frontier = anchor
        .frontier(&leaf, keys.origin(), keys.keys(), keys.quorum())
        .map_err(|cause| LedgerError::Anchor { path: named.to_owned(), cause })?;
    let of_store =
        |cause: DurableError| LedgerError::Durable { path: workspace::shown(path), cause };
    let store = source::create(path).map_err(|cause| of_store(cause.into()))?;
    let begun = DurableLedger::create_at(store, &proved.header, frontier).map(drop);
    begun.map_err(of_store).inspect_err(|_| drop(fs::remove_file(path)))
}
