//! `ledger show`: the head of a ledger, or one block of it.

use std::collections::BTreeMap;

use federation_proto::Height;
use ledger::VerifiedCheckpoint;

use super::LedgerError;
use super::facts::Facts;
use super::ground::Ground;
use super::proof;
use super::source::Source;
use crate::cli::ShowArgs;
use crate::failure::Failure;

pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let ground = Ground::establish(&args.source.trust, args.source.artifacts.as_deref())?;
    let source = Source::open(&args.source, &ground, None)?;
    let mut facts = Facts::default();
    facts.say("ledger", source.ledger.ledger_id());
    facts.say("place", &source.place);
    match args.block {
        Some(height) => block(&source, Height::new(height), &mut facts)?,
        None => {
            head(&source, &mut facts)?;
            last_anchor(&source, &ground, &mut facts);
        }
    }
    facts.show("show", Some(&ground.trust), args.format)
}

fn head(source: &Source, facts: &mut Facts) -> Result<(), LedgerError> {
    let ledger = &source.ledger;
    let (head, base) = (ledger.head(), ledger.base());
    facts.say("height", head.height);
    facts.say("id", head.id);
    facts.say("sequence", head.sequence);
    facts.say("epoch", head.epoch);
    facts.say("time ms", head.batch_time);
    facts.say("size", ledger.size());
    facts.say("root", ledger.root().map_err(|cause| source.failed(cause))?);
    if base.height > Height::ZERO {
        facts.say("begins after", format!("the anchored block {}", base.height));
    }
    let mut entries = 0;
    for height in (base.height.get() + 1..=ledger.size()).map(Height::new) {
        entries += u64::from(source.block(height)?.header.entries_count);
    }
    facts.say("blocks", ledger.size() - base.height.get());
    facts.say("entries", entries);
    facts.say("blobs", ledger.blobs().map_err(|cause| source.failed(cause))?.len());
    Ok(())
}

/// Whether the last anchor holds is said, not demanded: `verify` demands it.
fn last_anchor(source: &Source, ground: &Ground, facts: &mut Facts) {
    let Some((path, anchor)) = source.newest_anchor() else {
        facts.say("last anchor", "none");
        return;
    };
    let keys = &ground.keys;
    facts.say("last anchor", path);
    proof::describe_checkpoint(anchor.claimed_checkpoint(), facts);
    match VerifiedCheckpoint::verify(anchor.note(), keys.origin(), keys.keys(), keys.quorum()) {
        Ok(verified) => proof::describe_signers(verified.signers(), keys, facts),
        Err(cause) => facts.say("signed by", format!("no quorum: {cause}")),
    }
    facts.say("quorum", keys.quorum());
    // As auditors in other languages read them.
    facts.list("log keys", keys.keys().iter().map(ToString::to_string));
}

fn block(source: &Source, height: Height, facts: &mut Facts) -> Result<(), LedgerError> {
    let block = source.block(height)?;
    let header = &block.header;
    facts.say("height", header.height);
    facts.say("id", header.id());
    facts.say("parent", header.parent);
    facts.say("sequence", header.sequence);
    facts.say("epoch", header.epoch);
    facts.say("time ms", header.batch_time);
    facts.say("configuration", header.config_digest);
    facts.say("batch", header.batch_digest);
    facts.say("state root", header.state_root_after);
    facts.say("entries root", header.entries_root);
    facts.say("certificate", format!("{} bytes", block.commit_certificate.len()));
    let checkpoint = block.checkpoint_certificate.as_ref();
    let checkpoint = checkpoint.map(|bytes| format!("{} bytes", bytes.len()));
    facts.say("checkpoint", checkpoint.as_deref().unwrap_or("none"));
    let mut kinds = BTreeMap::new();
    for item in &block.batch.items {
        *kinds.entry(item.entry().kind()).or_insert(0) += 1;
    }
    facts.count("entries", kinds);
    Ok(())
}
