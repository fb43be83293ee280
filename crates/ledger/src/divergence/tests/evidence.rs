//! What is offered as evidence convicts before the protocol's own judge, and honest nodes are not
//! accused.

use federation_proto::evidence::{Conviction, Evidence, EvidenceError, InForce, Offence};
use federation_proto::genesis::{
    Configuration, GovernorRecord, Mandate, Roster, Thresholds, ValidatorRecord,
};
use federation_proto::heartbeat::Heartbeat;
use federation_proto::keys::{DecryptionKey, Identity, KeyRole};
use federation_proto::{
    FederatedEpoch, LogicalTime, Name, PublicKey, SecretKey, Signed, SigningContext, Verified,
};

use super::recovery::Damaged;
use super::*;

fn secret<R: KeyRole>(owner: &str) -> SecretKey<R> {
    SecretKey::synthetic("divergence", owner)
}

fn public<R: KeyRole>(owner: &str) -> PublicKey<R> {
    secret(owner).public()
}

fn roster() -> Roster {
    let name = |text: &str| Name::new(text).unwrap();
    let validator = |owner: &str| ValidatorRecord {
        name: name(owner),
        fingerprint: public(owner),
        consensus_key: public(owner),
        log_key: public(owner),
        encryption_key: DecryptionKey::synthetic("divergence", owner).public(),
        organisation: name("org"),
        region: name("eu-north"),
    };
    let governor = GovernorRecord {
        name: name("governor"),
        organisation: name("org-g"),
        document_key: public("governor"),
        admission_key: public("governor"),
        note_key: public("governor"),
    };
    let configuration = Configuration {
        number: 0,
        validators: ["a", "b", "c", "d"].map(validator).into(),
        participants: Vec::new(),
        governors: vec![governor],
        witnesses: Vec::new(),
        readers: Vec::new(),
        thresholds: Thresholds { document: 1, admission: 1, apply: 1 },
        mandate: Mandate { first_epoch: FederatedEpoch::ZERO, last_epoch: FederatedEpoch::ZERO },
        policy_hash: Digest::ZERO,
        artifact_key: public("artifacts"),
    };
    configuration.validate().unwrap()
}

fn context() -> SigningContext {
    SigningContext { federation_id: federation("divergence"), config_digest: roster().digest() }
}

/// What a node says of itself, signed and verified.
fn heartbeat(node: &str, number: u64, ledger: LedgerSummary) -> Verified<Heartbeat> {
    let key = secret::<Identity>(node);
    let body = Heartbeat {
        node_fingerprint: key.public(),
        federated_epoch: FederatedEpoch::ZERO,
        number,
        timestamp: LogicalTime::ZERO,
        ledger,
        state_hash: Digest::of_blob(&ledger.size.to_le_bytes()),
    };
    let verifier = key.public().check().unwrap();
    Signed::sign(body, &key, &context()).verify(&verifier, &context()).unwrap()
}

fn verdict(
    evidence: &Evidence,
    certified_root: impl Fn(u64) -> Option<Digest>,
) -> Result<Conviction, EvidenceError> {
    let (roster, context) = (roster(), context());
    evidence.verify(&[InForce { roster: &roster, context }], certified_root)
}

fn diverged(node: &str, size: u64) -> Result<Conviction, EvidenceError> {
    let offence = Offence::Divergence { size };
    Ok(Conviction { node_fingerprint: public(node), offence })
}

fn head_at(tree: &HistoryTree, size: u64) -> LedgerSummary {
    summary(size, tree.root_at(size).unwrap())
}

#[test]
fn two_stories_of_one_node_convict_it() {
    let (one, other) = (tree(9, |_| false), tree(9, |h| h >= 4));
    let first = heartbeat("d", 1, head_at(&one, 7));
    let evidence = conflicting(&first, &heartbeat("d", 2, head_at(&other, 7))).unwrap();
    assert_eq!(verdict(&evidence, |_| None), diverged("d", 7));
    // It grew, it went on saying the same, it is another node, they part later: no evidence.
    for (node, head) in [
        ("d", head_at(&one, 9)),
        ("d", head_at(&one, 7)),
        ("c", head_at(&other, 7)),
        ("d", head_at(&other, 3)),
    ] {
        assert_eq!(conflicting(&first, &heartbeat(node, 3, head)), None);
    }
}

#[test]
fn a_head_that_is_not_the_certified_one_convicts_at_every_size_up_to_the_checkpoint() {
    let (own, other) = (tree(12, |_| false), tree(12, |h| h >= 4));
    let certified = certify(&own, 10);
    let root = |size| certified_root(&log(&own), &certified, size).unwrap();
    for size in 0..=12 {
        assert_eq!(divergent(&heartbeat("c", size, head_at(&own, size)), root), None);
        let evidence = divergent(&heartbeat("d", size, head_at(&other, size)), root);
        if (4..=10).contains(&size) {
            assert_eq!(verdict(&evidence.unwrap(), root), diverged("d", size));
        } else {
            // The same blocks so far, or nothing certified yet.
            assert_eq!(evidence, None, "{size}");
        }
    }
}

#[test]
fn a_store_that_the_checkpoint_contradicts_or_outgrows_certifies_nothing() {
    let (own, other) = (tree(12, |h| h >= 9), tree(12, |_| false));
    let certified = certify(&other, 10);
    assert_eq!(certified_root(&log(&own), &certified, 5), Ok(None));
    let short = tree(9, |_| false);
    assert_eq!(certified_root(&log(&short), &certified, 5), Ok(None));
    // Whoever holds such a store accuses nobody.
    let root = |size| certified_root(&log(&own), &certified, size).unwrap();
    assert_eq!(divergent(&heartbeat("c", 1, head_at(&other, 10)), root), None);
}

/// The root of the whole may hide a subtree that another size needs.
#[test]
fn a_damaged_store_certifies_no_wrong_root() {
    let whole = tree(30, |_| false);
    let certified = certify(&whole, 28);
    let heads: Vec<_> = (0..=28).map(|size| heartbeat("c", 1, head_at(&whole, size))).collect();
    let subtrees =
        (0..5_u32).flat_map(|level| (0..30_u64 >> level).map(move |index| (level, index)));
    let mut certifies = 0;
    for at in subtrees {
        let replaced = Some(LogHash::EMPTY_ROOT);
        let damaged = Damaged { tree: whole.clone(), at, replaced };
        for honest in &heads {
            let size = honest.ledger.size;
            let root = certified_root(&OwnLog::new(&damaged, 30), &certified, size).unwrap();
            assert_eq!(divergent(honest, |_| root), None, "{at:?} {size}");
            certifies += usize::from(root.is_some());
        }
    }
    assert!(certifies > 500, "{certifies}");
}
