//! Digests of one fixed federation, pinned. The encodings themselves are pinned by `conformance`.

use federation_proto::{Batch, LogicalTime, SequenceNumber};

use crate::fixture;

#[test]
fn digests_are_pinned() {
    let (genesis, context) = (fixture::genesis(), fixture::context());
    let batch = Batch { batch_time: LogicalTime::new(5), items: Vec::new() };
    let aggregate = fixture::aggregated(federation_proto::entry::AggregationRule::Median);
    let table = [
        ("federation id", genesis.federation_id().digest()),
        ("configuration", genesis.configuration.digest()),
        ("validator set", genesis.configuration.validator_set_hash()),
        ("hello", fixture::hello().hash()),
        ("session id", fixture::session_id().digest()),
        ("certificate", fixture::terms().certificate_hashes[0]),
        ("proof slot", fixture::meta_update().proof.hash()),
        ("alignment", fixture::alignment().hash()),
        ("aggregate", aggregate.hash()),
        ("batch", batch.digest(&context, SequenceNumber::new(1))),
    ];
    let lines: Vec<String> =
        table.iter().map(|(name, digest)| format!("{name:<14} {digest}")).collect();
    insta::assert_snapshot!("digests", lines.join("\n"));
}

#[test]
fn a_batch_digest_is_bound_to_its_place() {
    let batch = Batch { batch_time: LogicalTime::new(5), items: Vec::new() };
    let later = Batch { batch_time: LogicalTime::new(6), ..batch.clone() };
    let (context, one) = (fixture::context(), SequenceNumber::new(1));
    let digests = [
        batch.digest(&context, one),
        batch.digest(&context, one.next()),
        batch.digest(&fixture::other_federation(), one),
        batch.digest(&fixture::other_configuration(), one),
        later.digest(&context, one),
    ];
    for (number, digest) in digests.iter().enumerate() {
        assert!(!digests[..number].contains(digest), "digest {number}");
    }
}
