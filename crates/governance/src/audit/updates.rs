//! Updates: the blobs against their commitments, and whose fault it is where they disagree.
//!
//! An author may commit rubbish or lie about it. Alignment then leaves its update out, and the run of all the
//! others is as sound as before. So a fault of an update is a finding only where alignment did not say so.

use std::collections::BTreeMap;

use federation_proto::signing::SignatureError;
use federation_proto::{Digest, SessionId};
use ledger::export;
use meta_core::alignment::{
    FederatedUpdate, LedgerPosition, PayloadFault, SessionBinding, UpdateContext,
    dynamic_node_alignment,
};
use meta_core::delta::PayloadError;

use super::LoadedArtifacts;
use super::checks::Check;
use super::report::{Place, Results};
use crate::artifact::replay::{AggregationPoint, Replay};
use crate::artifact::{RUN, blob_path, outcomes};
use crate::epoch_result::{alignment_rules, session_bindings};
use crate::machine::{OrderedCommitment, Phase};

/// Every blob by its true digest; a file that lies about its own name is reported and left out.
pub(super) fn read_blobs(set: &LoadedArtifacts, found: &mut Results) -> BTreeMap<Digest, Vec<u8>> {
    let mut blobs = BTreeMap::new();
    let prefix = format!("{RUN}{}", export::BLOBS);
    let in_folder =
        set.files.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    for (path, bytes) in in_folder {
        let place = Place::file(path);
        let Some(named) = path.strip_prefix(RUN).and_then(export::parse_blob_path) else {
            found.fail(Check::Unlisted, &place, "a blob named by its digest", path);
            continue;
        };
        let digest = Digest::of_blob(bytes);
        if found.same(Check::UpdateHash, &place, &named, &digest) {
            blobs.insert(digest, bytes.clone());
        }
    }
    blobs
}

/// Every committed update: stored, signed by its author, and what the commitment says.
pub(super) fn check_updates(
    replay: &Replay,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    found: &mut Results,
) {
    for point in &replay.aggregations {
        check_cut(replay, point, blobs, found);
    }
    check_unjudged(replay, blobs, found);
    for _ in &replay.epochs {
        found.pass(Check::EpochMonotonic);
    }
}

/// The updates of a cut with a result: a fault is excused where alignment, recomputed, says what was decided.
fn check_cut(
    replay: &Replay,
    point: &AggregationPoint,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    found: &mut Results,
) {
    let Phase::Cut { cut, commitments, .. } = point.state.phase() else {
        // Reported with the aggregate.
        return;
    };
    let (rules, ledger) = (replay.executor.rules(), replay.executor.ledger());
    let sessions = session_bindings(&point.state, ledger);
    let mut updates = Vec::with_capacity(commitments.len());
    for ordered in commitments {
        if !blobs.contains_key(&ordered.commitment.blob) {
            let place = Place::file(&blob_path(&ordered.commitment.blob));
            let expected = format!("the update committed in block {}", ordered.height);
            found.fail(Check::UpdateHash, &place, expected, "no such blob");
            found.fail(Check::IncompleteRun, &place, "a blob that the ledger names", "none");
        }
        updates.push(open(replay, &sessions, ordered, blobs, found));
    }
    let known = updates.iter().flatten().cloned().collect();
    let own = dynamic_node_alignment(&alignment_rules(rules, &point.state, cut), known).record;
    let own = outcomes(&own, commitments);
    let stated = outcomes(&point.aggregated.alignment, commitments);
    for ((update, own), stated) in updates.iter().zip(own).zip(stated) {
        let Some(update) = update else { continue };
        // An update with a fault is never aligned, so the same outcome means that it was discarded.
        let excused = stated.is_some() && stated == own;
        match update.fault().filter(|_| !excused) {
            Some(fault) => report(update, fault, found),
            None => {
                found.pass(Check::UpdateHash);
                found.pass(Check::Numeric);
            }
        }
    }
}

/// Updates that no alignment has judged: only the validators that gave the receipts did, and they take nothing
/// that has a fault. A blob that waits for a cut may be missing; one that is there is no place for anything else.
fn check_unjudged(replay: &Replay, blobs: &BTreeMap<Digest, Vec<u8>>, found: &mut Results) {
    let sessions = session_bindings(replay.executor.state(), replay.executor.ledger());
    for ordered in replay.unjudged() {
        let Some(update) = open(replay, &sessions, ordered, blobs, found) else { continue };
        match update.fault() {
            Some(fault) => report(&update, fault, found),
            None => found.pass(Check::UpdateHash),
        }
    }
}

/// A committed update, if its blob is there.
fn open(
    replay: &Replay,
    sessions: &BTreeMap<SessionId, SessionBinding>,
    ordered: &OrderedCommitment,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    found: &mut Results,
) -> Option<FederatedUpdate> {
    let (rules, ledger) = (replay.executor.rules(), replay.executor.ledger());
    let position = LedgerPosition { height: ordered.height, index: ordered.index };
    let blob = blobs.get(&ordered.commitment.blob)?;
    // A block that was refused is not in the replayed ledger; the refusal is reported.
    let items = &ledger.block(position.height)?.batch.items;
    let item = items.get(usize::try_from(position.index).ok()?)?;
    let (roster, signing, schema) = (&rules.roster, &rules.context, &rules.schema);
    let context = UpdateContext { roster, signing, sessions, schema };
    match FederatedUpdate::from_own_ledger(blob, item, position, &context) {
        Ok(update) => Some(update),
        Err(cause) => {
            let place = Place::file(&blob_path(&ordered.commitment.blob));
            found.fail(Check::UpdateHash, &place, "an update that its author committed", cause);
            None
        }
    }
}

/// A fault that nothing excuses, under the check that it belongs to.
fn report(update: &FederatedUpdate, fault: &PayloadFault, found: &mut Results) {
    let commitment = update.commitment();
    let (check, expected) = match fault {
        PayloadFault::Codec(_) => (Check::UpdateHash, "a signed update".to_owned()),
        PayloadFault::Commitment(_) => {
            (Check::UpdateHash, format!("the update committed as {}", commitment.update_hash))
        }
        PayloadFault::Signature(SignatureError::NotReduced { .. }) => {
            (Check::SigCanonical, "a reduced scalar".to_owned())
        }
        PayloadFault::Signature(_) => (Check::SigStrict, "its author's signature".to_owned()),
        PayloadFault::Session { .. } => (Check::RosterEpoch, "a session of its author".to_owned()),
        PayloadFault::UnexpectedSeal => (Check::UpdateHash, "a payload in clear".to_owned()),
        PayloadFault::UnexpectedProof => (Check::UpdateHash, "no proof".to_owned()),
        PayloadFault::Payload(PayloadError::Delta(_)) => {
            (Check::Numeric, "a delta within the schema's bounds".to_owned())
        }
        PayloadFault::Payload(_) => (Check::UpdateHash, "the committed delta".to_owned()),
    };
    found.fail(check, &Place::file(&blob_path(&commitment.blob)), expected, fault);
}
