//! Anchors: C2SP proofs that a sign-off, and with it a meta state, stands in a log that a quorum signed.

use federation_proto::codec::Canonical;
use federation_proto::{Digest, FederatedEpoch};
use ledger::{Anchor, AnchorError, CheckpointError, NoteError, ProofError, QuorumError};
use meta_core::meta_state::MetaState;

use super::LoadedArtifacts;
use super::checks::Check;
use super::ground::Ground;
use super::ledger::{Chain, HeadClaim};
use super::report::{Place, Results};
use crate::artifact::replay::{AppliedEpoch, Replay};
use crate::artifact::{
    ANCHOR, ANCHOR_HISTORY, AnchorExtra, blob_path, derive_log_digest, epoch_anchor_path,
};

/// Checks the anchor of every applied epoch and the last one. The heads they claim come back.
pub(super) fn check(
    set: &LoadedArtifacts,
    chain: &Chain,
    ground: &Ground,
    replay: Option<&Replay>,
    found: &mut Results,
) -> Vec<HeadClaim> {
    let mut heads = Vec::new();
    let mut last = None;
    let history = set.files.range(ANCHOR_HISTORY.to_owned()..);
    let paths = history.map(|(path, _)| path).take_while(|path| path.starts_with(ANCHOR_HISTORY));
    for path in paths {
        let epoch = replay.and_then(|replay| epoch_of(replay, path));
        last = check_anchor(set, path, chain, ground, epoch, &mut heads, found);
    }
    // Without a replay nobody knows the epochs; the file names still do.
    let epoch = replay.and_then(|replay| replay.epochs.last());
    let newest = check_anchor(set, ANCHOR, chain, ground, epoch, &mut heads, found);
    if let (Some(last), Some(newest)) = (last, newest) {
        let place = Place::file(ANCHOR);
        found.same(Check::MerkleRoot, &place, &last, &newest);
    }
    for epoch in replay.iter().flat_map(|replay| &replay.epochs) {
        let path = epoch_anchor_path(epoch.aggregated.federated_epoch);
        if !set.files.contains_key(&path) {
            found.fail(Check::IncompleteRun, &Place::file(&path), "the epoch's anchor", "none");
        }
        check_state_blob(set, epoch, found);
    }
    heads
}

fn epoch_of<'r>(replay: &'r Replay, path: &str) -> Option<&'r AppliedEpoch> {
    let named = |epoch: FederatedEpoch| epoch_anchor_path(epoch) == path;
    replay.epochs.iter().find(|epoch| named(epoch.aggregated.federated_epoch))
}

/// Checks one anchor file; its digest comes back.
fn check_anchor(
    set: &LoadedArtifacts,
    path: &str,
    chain: &Chain,
    ground: &Ground,
    epoch: Option<&AppliedEpoch>,
    heads: &mut Vec<HeadClaim>,
    found: &mut Results,
) -> Option<Digest> {
    let place = Place::file(path);
    let Some(bytes) = set.files.get(path) else {
        found.fail(Check::IncompleteRun, &place, "an anchor", "none");
        return None;
    };
    let anchor = match Anchor::parse(bytes) {
        Ok(anchor) => anchor,
        Err(cause) => {
            found.fail(anchor_check(&cause), &place, "an anchor", cause);
            return None;
        }
    };
    found.pass(Check::Encoding);
    let claimed = anchor.claimed_checkpoint();
    heads.push(HeadClaim {
        place: Place::at(path, "checkpoint"),
        size: claimed.size(),
        root: derive_log_digest(&claimed.root()),
    });
    check_leaf(&anchor, path, chain, ground, epoch, found);
    Some(Digest::of_blob(bytes))
}

fn check_leaf(
    anchor: &Anchor,
    path: &str,
    chain: &Chain,
    ground: &Ground,
    epoch: Option<&AppliedEpoch>,
    found: &mut Results,
) {
    let place = Place::at(path, "extra");
    let extra = match AnchorExtra::from_canonical(anchor.extra().unwrap_or_default()) {
        Ok(extra) => extra,
        Err(cause) => {
            found.fail(Check::Encoding, &place, "header and state root parts", cause);
            return;
        }
    };
    if let Some(committee) = &ground.committee {
        let keys: Vec<_> =
            committee.members().iter().map(|member| member.note_key().clone()).collect();
        let origin = committee.origin().as_str();
        let leaf = extra.header.to_canonical();
        match anchor.verify(&leaf, origin, &keys, committee.quorum()) {
            Ok(verified) => {
                found.pass(Check::MerkleInclusion);
                found.pass(Check::MerkleRoot);
                found.pass(Check::Quorum);
                // Whoever reads the note believes all of its lines.
                let lines = anchor.note().signatures().len();
                let strangers = lines.saturating_sub(verified.signers().len());
                let expected = "log keys of the roster only";
                let shown = format!("{strangers} of {lines} signature lines by others");
                let place = Place::at(path, "checkpoint");
                found.holds(Check::RosterEpoch, &place, strangers == 0, expected, shown);
            }
            Err(cause) => {
                let expected = "a proof under a head that a quorum of log keys signed";
                found.fail(anchor_check(&cause), &Place::file(path), expected, cause);
            }
        }
    }
    // The parts are bound to the proven header by its state root, the header to this ledger by its id.
    let root = extra.parts.root();
    found.same(Check::StateRecomputed, &place, &extra.header.state_root_after, &root);
    let height = extra.header.height;
    let index = Place::at(path, "index");
    found.same(Check::MerkleInclusion, &index, &height.get().saturating_sub(1), &anchor.index());
    if let Some(block) = chain.ledger.block(height) {
        found.same(Check::MerkleRoot, &place, &block.header.id(), &extra.header.id());
    } else if chain.whole {
        let blocks = format!("a block of this ledger of {}", chain.ledger.head().height);
        found.fail(Check::MerkleRoot, &place, blocks, height);
    }
    if let Some(epoch) = epoch {
        found.same(Check::MerkleRoot, &place, &epoch.header.id(), &extra.header.id());
        let state = (epoch.parts.meta_state, extra.parts.meta_state);
        found.same(Check::StateRecomputed, &place, &state.0, &state.1);
    }
}

/// The state that an anchor names is kept, and its bytes hash to what the anchor proves.
fn check_state_blob(set: &LoadedArtifacts, epoch: &AppliedEpoch, found: &mut Results) {
    let bytes = epoch.meta.to_canonical();
    let path = blob_path(&Digest::of_blob(&bytes));
    let place = Place::file(&path);
    let Some(stored) = set.files.get(&path) else {
        found.fail(Check::IncompleteRun, &place, "the state that an anchor names", "none");
        return;
    };
    match MetaState::from_canonical(stored) {
        Ok(state) => {
            found.same(Check::StateRecomputed, &place, &epoch.parts.meta_state, &state.hash());
        }
        Err(cause) => {
            let expected = format!("meta state {}", epoch.parts.meta_state);
            found.fail(Check::StateRecomputed, &place, expected, cause);
        }
    }
}

/// The check that a refusal of an anchor belongs to.
fn anchor_check(cause: &AnchorError) -> Check {
    match cause {
        AnchorError::TooLarge { .. } => Check::Size,
        AnchorError::Proof(ProofError::RootMismatch { .. }) => Check::MerkleRoot,
        AnchorError::Proof(_) | AnchorError::PathLine { .. } => Check::MerkleInclusion,
        AnchorError::Checkpoint(CheckpointError::Note(note))
        | AnchorError::Checkpoint(CheckpointError::Quorum(QuorumError::Note(note))) => match note {
            NoteError::BadSignature { .. } => Check::SigStrict,
            NoteError::DuplicateSignature { .. } => Check::VoterUnique,
            NoteError::NoTrustedSignature { .. } => Check::RosterEpoch,
            _ => Check::Encoding,
        },
        AnchorError::Checkpoint(CheckpointError::Quorum(_)) => Check::Quorum,
        AnchorError::Checkpoint(CheckpointError::OtherOrigin { .. }) => Check::MerkleRoot,
        AnchorError::Note(NoteError::DuplicateSignature { .. }) => Check::VoterUnique,
        _ => Check::Encoding,
    }
}
