//! Anchors and proofs as files: which header they prove, and whether they do.

use std::collections::BTreeSet;
use std::path::Path;

use federation_proto::codec::Canonical as _;
use federation_proto::keys::{LogCheckpoint, PublicKey};
use governance::artifact::AnchorExtra;
use governance::audit::LogKeys;
use governance::machine::StateRootParts;
use ledger::anchor::MAX_ANCHOR_BYTES;
use ledger::{Anchor, BlockHeader, Checkpoint, VerifiedCheckpoint};

use super::LedgerError;
use super::facts::Facts;
use crate::failure::Failure;
use crate::files;
use crate::workspace;

/// A block that a quorum's checkpoint proves.
#[derive(Debug)]
pub(super) struct Proved {
    pub(super) header: BlockHeader,
    /// Of the state after the block, where the proof has them.
    pub(super) parts: Option<StateRootParts>,
    pub(super) checkpoint: VerifiedCheckpoint,
}

/// Reads an anchor or proof file; its name as a person would type it comes back too.
pub(super) fn read(path: &Path) -> Result<(String, Anchor), Failure> {
    let bytes = files::read(path, MAX_ANCHOR_BYTES as u64)?;
    let path = workspace::shown(path);
    match Anchor::parse(&bytes) {
        Ok(anchor) => Ok((path, anchor)),
        Err(cause) => Err(LedgerError::Anchor { path, cause }.into()),
    }
}

/// Verifies a proof of the header that was brought along, or else of the one that the proof carries: an anchor of
/// a run carries it with the parts of its state root, a proof of ours alone.
pub(super) fn check(
    path: &str,
    anchor: &Anchor,
    header: Option<BlockHeader>,
    keys: &LogKeys,
) -> Result<Proved, LedgerError> {
    let named = || path.to_owned();
    let extra = AnchorExtra::from_canonical(anchor.extra().unwrap_or_default()).ok();
    let carried = || BlockHeader::from_canonical(anchor.extra().unwrap_or_default()).ok();
    let header = header.or(extra.map(|extra| extra.header)).or_else(carried);
    let header = header.ok_or_else(|| LedgerError::NoHeader { path: named() })?;
    let leaf = header.to_canonical();
    let checkpoint = anchor
        .verify(&leaf, keys.origin(), keys.keys(), keys.quorum())
        .map_err(|cause| LedgerError::Anchor { path: named(), cause })?;
    if header.ledger_id != keys.ledger_id() {
        let (expected, found) = (keys.ledger_id(), header.ledger_id);
        return Err(LedgerError::OtherLedger { path: named(), expected, found });
    }
    // The header is proved, so what it says of the state is.
    let parts = extra.map(|extra| extra.parts);
    if let Some(root) =
        parts.map(|parts| parts.root()).filter(|root| *root != header.state_root_after)
    {
        let (expected, found) = (header.state_root_after.to_string(), root.to_string());
        return Err(LedgerError::Differs {
            path: named(),
            what: "the state root",
            expected,
            found,
        });
    }
    Ok(Proved { header, parts, checkpoint })
}

/// What a verified proof says.
pub(super) fn describe(proved: &Proved, keys: &LogKeys, facts: &mut Facts) {
    let header = &proved.header;
    facts.say("block", header.height);
    facts.say("id", header.id());
    facts.say("epoch", header.epoch);
    describe_checkpoint(proved.checkpoint.checkpoint(), facts);
    describe_signers(proved.checkpoint.signers(), keys, facts);
    facts.say("state root", header.state_root_after);
    if let Some(parts) = proved.parts {
        facts.say("meta state", parts.meta_state);
    }
}

/// Origin, size and root.
pub(super) fn describe_checkpoint(checkpoint: &Checkpoint, facts: &mut Facts) {
    facts.say("origin", checkpoint.origin());
    facts.say("signed size", checkpoint.size());
    facts.say("signed root", checkpoint.root());
}

/// How many and who.
pub(super) fn describe_signers(
    signers: &BTreeSet<PublicKey<LogCheckpoint>>,
    keys: &LogKeys,
    facts: &mut Facts,
) {
    let (found, all, quorum) = (signers.len(), keys.keys().len(), keys.quorum());
    facts.say("signed by", format!("{found} of {all} log keys, the quorum is {quorum}"));
    let names: BTreeSet<_> = signers.iter().filter_map(|key| keys.validator(key)).collect();
    facts.list("signers", names.into_iter().map(ToString::to_string));
}
