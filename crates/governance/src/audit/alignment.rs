//! What the ledger decided, recomputed from the updates: alignment and aggregate; and how sessions were secured.

use std::collections::BTreeMap;

use federation_proto::Digest;
use federation_proto::handshake::TransportKind;

use super::checks::Check;
use super::ground::Ground;
use super::ledger::block_place;
use super::report::{Place, Results};
use crate::artifact::replay::{AggregationPoint, Replay};
use crate::artifact::{blob_path, transport_text};
use crate::epoch_result::{self, EpochResult};

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

/// Sessions say how their channel was secured: in a synthetic run there is no network, in a live one TLS 1.3.
pub(super) fn check_sessions(replay: &Replay, ground: &Ground, found: &mut Results) {
    for (height, transport) in &replay.channels {
        let place = block_place(*height, "/transport");
        let in_process = transport.kind == TransportKind::InProcess;
        let permitted = transport.check().is_ok();
        let (expected, holds) = if ground.synthetic {
            ("in-process", permitted && in_process)
        } else {
            let expected =
                "quic or zenoh with TLS 1.3 and one of its suites 0x1301, 0x1302, 0x1303";
            (expected, permitted && !in_process)
        };
        found.holds(Check::SessionTransport, &place, holds, expected, transport_text(transport));
    }
    if ground.synthetic {
        let note = "recorded as in-process: a simulated run has no network to secure";
        found.note(Check::SessionTransport, note);
    }
}
