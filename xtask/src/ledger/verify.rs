//! `ledger verify`: everything of a ledger, or one proof without a ledger.

use std::path::Path;

use federation_proto::BatchItem;
use federation_proto::codec::Canonical;
use ledger::durable::DurableError;
use ledger::witness::SIDECAR;
use ledger::{BlockFile, BlockHeader, EntryProof, Sidecar, VerifiedCheckpoint};
use serde::de::DeserializeOwned;

use super::LedgerError;
use super::facts::Facts;
use super::ground::{self, Ground};
use super::proof::{self, Proved};
use super::source::Source;
use crate::cli::VerifyArgs;
use crate::failure::Failure;
use crate::files;
use crate::workspace;

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.source.trust, args.source.artifacts.as_deref())?;
    let mut facts = Facts::default();
    let checkpoint = match &args.proof {
        Some(path) => Some(one_proof(args, path, &ground, &mut facts)?),
        None => everything(args, &ground, &mut facts)?,
    };
    if !args.witness.is_empty() {
        let none = || LedgerError::NoAnchor { place: "the ledger".to_owned() };
        witnesses(args, &checkpoint.ok_or_else(none)?, &mut facts)?;
    }
    facts.say("verdict", "everything above holds");
    facts.show("verify", Some(&ground.trust), args.format)
}

/// Reads every block, entry, certificate, blob and anchor. The newest checkpoint that a quorum signed comes back.
fn everything(
    args: &VerifyArgs,
    ground: &Ground,
    facts: &mut Facts,
) -> Result<Option<VerifiedCheckpoint>, Failure> {
    let known = args.anchor.as_deref().map(proof::read).transpose()?;
    let known = known.map(|(path, anchor)| proof::check(&path, &anchor, None, &ground.keys));
    let mut newest = known.transpose()?.map(|known| known.checkpoint);
    let known = newest.as_ref().map(VerifiedCheckpoint::checkpoint);
    let mut source = Source::open(&args.source, ground, known)?;
    facts.say("ledger", source.ledger.ledger_id());
    facts.say("place", &source.place);
    let verified = match source.ledger.verify() {
        Ok(verified) => verified,
        Err(DurableError::Store(cause)) => {
            // A store names its page; opened anew, it tells which block is there.
            let first = Source::open(&args.source, ground, None)?.first_unreadable();
            return Err(first.unwrap_or_else(|| source.failed(cause.into())).into());
        }
        Err(other) => return Err(source.failed(other).into()),
    };
    for (path, anchor) in &source.anchors {
        let proved = proof::check(path, anchor, None, &ground.keys)?;
        check_history(path, &proved, &source)?;
        let size = proved.checkpoint.checkpoint().size();
        if newest.as_ref().is_none_or(|newest| newest.checkpoint().size() <= size) {
            newest = Some(proved.checkpoint);
        }
    }
    facts.say("size", source.ledger.size());
    facts.say("root", source.ledger.root().map_err(|cause| source.failed(cause))?);
    facts.say("blocks", verified.blocks);
    facts.say("entries", verified.entries);
    facts.say("checkpoints", verified.certificates);
    facts.say("blobs", verified.blobs);
    facts.say("anchors", source.anchors.len());
    match &newest {
        None => facts.say("signed by", "nobody: there is no anchor to compare with"),
        Some(newest) => {
            proof::describe_checkpoint(newest.checkpoint(), facts);
            proof::describe_signers(newest.signers(), &ground.keys, facts);
        }
    }
    Ok(newest)
}

/// An anchor's checkpoint and block are those of this history.
fn check_history(path: &str, proved: &Proved, source: &Source) -> Result<(), LedgerError> {
    let of_anchor = |cause| LedgerError::Durable { path: path.to_owned(), cause };
    let ledger = &source.ledger;
    ledger.check_known(proved.checkpoint.checkpoint()).map_err(of_anchor)?;
    let height = proved.header.height;
    let own = if height == ledger.base().height {
        ledger.base().id
    } else {
        ledger.block(height).map_err(of_anchor)?.header.id()
    };
    let found = proved.header.id();
    if own != found {
        let (expected, found) = (own.to_string(), found.to_string());
        let path = path.to_owned();
        return Err(LedgerError::Differs { path, what: "the anchored block", expected, found });
    }
    Ok(())
}

fn one_proof(
    args: &VerifyArgs,
    path: &Path,
    ground: &Ground,
    facts: &mut Facts,
) -> Result<VerifiedCheckpoint, Failure> {
    let (path, anchor) = proof::read(path)?;
    let block = args.block_file.as_deref().map(decode::<BlockFile>).transpose()?;
    let header = block.map(|block| block.header);
    let proved = proof::check(&path, &anchor, header, &ground.keys)?;
    proof::describe(&proved, &ground.keys, facts);
    if let (Some(entry), Some(item)) = (&args.entry, &args.item) {
        let (proof, item) = (decode::<EntryProof>(entry)?, decode::<BatchItem>(item)?);
        let path = workspace::shown(entry);
        same_block(&path, &proved.header, &proof.header)?;
        proof
            .verify(&item, ground.keys.ledger_id(), proved.checkpoint.checkpoint())
            .map_err(|cause| LedgerError::Entry { path, cause })?;
        facts.say("entry", format!("{}: {}", proof.entry.index, item.entry().kind()));
    }
    Ok(proved.checkpoint)
}

fn same_block(path: &str, expected: &BlockHeader, found: &BlockHeader) -> Result<(), LedgerError> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = (expected.id().to_string(), found.id().to_string());
    Err(LedgerError::Differs { path: path.to_owned(), what: "the block", expected, found })
}

fn decode<T: Canonical + DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = files::read(path, T::MAX_BYTES as u64)?;
    let of_file = |cause| LedgerError::Codec { path: workspace::shown(path), cause };
    Ok(T::from_canonical(&bytes).map_err(of_file)?)
}

/// Counts the distinct witnesses that cosigned the checkpoint.
fn witnesses(
    args: &VerifyArgs,
    checkpoint: &VerifiedCheckpoint,
    facts: &mut Facts,
) -> Result<(), Failure> {
    let beside = || ground::directory(args.source.artifacts.as_deref()).join(SIDECAR);
    let path = args.sidecar.clone().unwrap_or_else(beside);
    let bytes = files::read(&path, ledger::note::MAX_NOTE_BYTES as u64)?;
    let path = workspace::shown(&path);
    let verified = Sidecar::parse(&bytes)
        .and_then(|sidecar| sidecar.verify(checkpoint, &args.witness, args.witness_quorum.into()));
    let times = verified.map_err(|cause| LedgerError::Sidecar { path, cause })?;
    let (found, all) = (times.len(), args.witness.len());
    facts.say("cosigned by", format!("{found} of {all} witnesses"));
    let named = times.iter().map(|(key, time)| {
        let witness = args.witness.iter().find(|witness| witness.public() == *key);
        format!("{} at {time}", witness.map_or("?", |witness| witness.name()))
    });
    facts.list("witnesses", named);
    Ok(())
}
