//! Updates: the blobs against their commitments, the alignment and the aggregate recomputed from them.

use std::collections::BTreeMap;

use federation_proto::codec::Canonical;
use federation_proto::entry::{DiscardReason, UpdateRef};
use federation_proto::handshake::TransportRecord;
use federation_proto::update::{MetaUpdate, SealedPayload, UpdateCommitment};
use federation_proto::{Digest, Signed};
use ledger::export;
use meta_core::delta::{DeltaPayload, PayloadError};

use super::LoadedArtifacts;
use super::checks::Check;
use super::ground::Ground;
use super::ledger::block_place;
use super::report::{Place, Results};
use crate::artifact::replay::{AggregationPoint, AppliedEpoch, Replay};
use crate::artifact::{RUN, blob_path, transport_text};
use crate::epoch_result::{self, EpochResult};
use crate::machine::Rules;

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

/// Every committed update of every cut: stored, signed by its author, and what the commitment says.
pub(super) fn check_updates(
    replay: &Replay,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    found: &mut Results,
) {
    let rules = replay.executor.rules();
    for epoch in &replay.epochs {
        for ordered in &epoch.commitments {
            let commitment = &ordered.commitment;
            let place = Place::file(&blob_path(&commitment.blob));
            let Some(bytes) = blobs.get(&commitment.blob) else {
                let expected = format!("the update committed in block {}", ordered.height);
                found.fail(Check::UpdateHash, &place, expected, "no such blob");
                found.fail(Check::IncompleteRun, &place, "a blob that the ledger names", "none");
                continue;
            };
            check_update(rules, epoch, commitment, bytes, &place, found);
        }
        found.pass(Check::EpochMonotonic);
    }
}

/// An author may commit rubbish, and then alignment discards it for that: only what was taken must be sound.
fn check_update(
    rules: &Rules,
    epoch: &AppliedEpoch,
    commitment: &UpdateCommitment,
    bytes: &[u8],
    place: &Place,
    found: &mut Results,
) {
    let discarded = discard_reason(epoch, commitment);
    let excused = matches!(
        discarded,
        Some(DiscardReason::InvalidPayload | DiscardReason::IncompatibleSchema)
    );
    let fault = inspect(rules, commitment, bytes);
    match fault {
        None => {
            found.pass(Check::UpdateHash);
            found.pass(Check::Numeric);
        }
        Some(_) if excused => found.pass(Check::UpdateHash),
        Some(UpdateFault { check, expected, shown }) => found.fail(check, place, expected, shown),
    }
}

fn discard_reason(epoch: &AppliedEpoch, commitment: &UpdateCommitment) -> Option<DiscardReason> {
    let update = UpdateRef {
        node_fingerprint: commitment.node_fingerprint,
        cycle: commitment.cycle,
        update_hash: commitment.update_hash,
    };
    let discarded = &epoch.aggregated.alignment.discarded;
    discarded.iter().find(|discarded| discarded.update == update).map(|discarded| discarded.reason)
}

struct UpdateFault {
    check: Check,
    expected: String,
    shown: String,
}

/// What is wrong with an update, by the commitment, its author's key and the schema.
fn inspect(rules: &Rules, commitment: &UpdateCommitment, bytes: &[u8]) -> Option<UpdateFault> {
    let fault = |check, expected: &str, shown: String| {
        Some(UpdateFault { check, expected: expected.to_owned(), shown })
    };
    let signed = match Signed::<MetaUpdate>::from_canonical(bytes) {
        Ok(signed) => signed,
        Err(cause) => return fault(Check::UpdateHash, "a signed update", cause.to_string()),
    };
    let claimed = signed.claimed();
    if let Err(field) = commitment.check_matches(claimed, bytes) {
        let expected = format!("the update committed as {}", commitment.update_hash);
        return fault(Check::UpdateHash, &expected, format!("another {field}"));
    }
    let Some(author) = rules.roster.participant(&claimed.node_fingerprint) else {
        let shown = claimed.node_fingerprint.to_string();
        return fault(Check::RosterEpoch, "a participant of the roster", shown);
    };
    if !signed.signature().has_reduced_s() {
        let shown = signed.signature().to_string();
        return fault(Check::SigCanonical, "a reduced scalar", shown);
    }
    let update = match signed.verify(&author.identity, &rules.context) {
        Ok(update) => update,
        Err(cause) => return fault(Check::SigStrict, "its author's signature", cause.to_string()),
    };
    let SealedPayload::Clear(frame) = &update.payload;
    match DeltaPayload::open(frame, &update.update_hash, &rules.schema) {
        Ok(_) => None,
        Err(cause @ PayloadError::Delta(_)) => {
            fault(Check::Numeric, "a delta within the schema's bounds", cause.to_string())
        }
        Err(cause) => fault(Check::UpdateHash, "the committed delta", cause.to_string()),
    }
}

/// Alignment and aggregate of every decided epoch, recomputed from the blobs.
pub(super) fn check_aggregates(
    replay: &Replay,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    found: &mut Results,
) {
    for point in &replay.aggregations {
        let AggregationPoint { state, aggregated, height } = point;
        let at = |field: &str| block_place(*height, &format!("/AggregatedUpdate/{field}"));
        let (rules, ledger) = (replay.executor.rules(), replay.executor.ledger());
        match epoch_result::compute(rules, ledger, state, blobs) {
            EpochResult::Aggregated(own, _) => {
                let alignment = (own.alignment.hash(), aggregated.alignment.hash());
                found.same(Check::AlignmentProofs, &at("alignment"), &alignment.0, &alignment.1);
                let hashes = (own.hash(), aggregated.hash());
                found.same(Check::AggregateRecomputed, &at("hash"), &hashes.0, &hashes.1);
                let genes = own.delta.iter().zip(&aggregated.delta).enumerate();
                for (gene, (own, stated)) in genes.filter(|(_, (own, stated))| own != stated) {
                    let place = at(&format!("delta/{gene}"));
                    found.fail(Check::AggregateRecomputed, &place, own, stated);
                }
                let states = (own.new_state_hash, aggregated.new_state_hash);
                found.same(Check::StateRecomputed, &at("new_state_hash"), &states.0, &states.1);
            }
            EpochResult::Missing(missing) => {
                for blob in missing {
                    let place = Place::file(&blob_path(&blob));
                    found.fail(
                        Check::IncompleteRun,
                        &place,
                        "a blob that the ledger names",
                        "none",
                    );
                }
                let blocked = [Check::AlignmentProofs, Check::AggregateRecomputed];
                found.block(&blocked, "a blob of the cut is missing");
            }
            EpochResult::NotInCut => {
                let expected = "a cut before the aggregate";
                found.fail(Check::AggregateRecomputed, &at("hash"), expected, "none");
            }
            EpochResult::Unaggregatable(cause) => {
                let expected = "a cut that can be aggregated";
                found.fail(Check::AggregateRecomputed, &at("hash"), expected, cause);
            }
        }
    }
}

/// Sessions say how their channel was secured: in a synthetic run there is no network.
pub(super) fn check_sessions(replay: &Replay, ground: &Ground, found: &mut Results) {
    for session in &replay.sessions {
        let transport = &session.opened.statement.claimed().transport;
        let place = block_place(session.header.height, "/SessionOpened/statement/transport");
        let in_process = *transport == TransportRecord::InProcess;
        let expected = if ground.synthetic { "in-process" } else { "quic with TLS 1.3" };
        let holds = in_process == ground.synthetic;
        found.holds(Check::SessionTransport, &place, holds, expected, transport_text(transport));
    }
    if ground.synthetic {
        let note = "recorded as in-process: a simulated run has no network to secure";
        found.note(Check::SessionTransport, note);
    }
}
