//! Governance statements: every field is signed, and a word said about one thing is no word about another.

use std::fmt::Debug;

use federation_proto::bounded::Bytes;
use federation_proto::codec::Canonical;
use federation_proto::evidence::Evidence;
use federation_proto::genesis::Configuration;
use federation_proto::governed::{
    FederatedRollback, GovernancePinned, LedgerPin, PinnedAction, PolicyChange, QuarantineOpened,
    QuarantineReview, Reason, ReviewVerdict, RosterChange,
};
use federation_proto::handshake::SoftwareVersion;
use federation_proto::keys::Document;
use federation_proto::signing::{Domain, SignatureError};
use federation_proto::{
    Digest, Endorsed, Generation, HashDomain, Height, LedgerBlockId, SignedBody, VerifyingKey,
};

use super::policy::policy_change;
use super::{change, next, pin};
use crate::fixture::{self, GOVERNORS, changed};
use crate::signing::bound_to_everything;

fn reason(text: &str) -> Reason {
    Reason::new(text).expect("a short reason")
}

fn pinned() -> GovernancePinned {
    GovernancePinned {
        action: PinnedAction::DocumentPublish,
        document: fixture::name("charter"),
        version: SoftwareVersion { major: 1, minor: 0, patch: 0 },
        digest: fixture::digest("charter"),
        pin: pin(),
    }
}

fn opened() -> QuarantineOpened {
    QuarantineOpened {
        federated_epoch: fixture::epoch(4),
        node_fingerprint: fixture::public("site-1"),
        evidence: Evidence::ConflictingVotes(Bytes::default()),
    }
}

fn review() -> QuarantineReview {
    QuarantineReview {
        opened: opened().hash(),
        node_fingerprint: fixture::public("site-1"),
        verdict: ReviewVerdict::Uphold,
        reason: reason("two heartbeats"),
        pin: pin(),
    }
}

fn rollback() -> FederatedRollback {
    FederatedRollback {
        federated_epoch: fixture::epoch(9),
        generation: Generation::new(1),
        anchor_block: fixture::ledger_block_id(),
        anchor_height: Height::new(5),
        state_hash: fixture::digest("state 3"),
        reason: reason("poisoned"),
        pin: pin(),
    }
}

/// Every way to change one field of where a statement stands.
fn changed_pins() -> Vec<(&'static str, LedgerPin)> {
    changed!(pin() => LedgerPin {
        previous_note: Digest::ZERO,
        head_size: 8,
        head_root: fixture::digest("root 8"),
    })
}

/// The changes of a body, and of its pin field by field.
fn and_pins<T>(
    mut changed: Vec<(&'static str, T)>,
    with_pin: impl Fn(LedgerPin) -> T,
) -> Vec<(&'static str, T)> {
    changed.extend(changed_pins().into_iter().map(|(field, pin)| (field, with_pin(pin))));
    changed
}

#[test]
fn pinned_documents_are_bound() {
    let body = pinned();
    let changed = changed!(body.clone() => GovernancePinned {
        action: PinnedAction::ProtocolApprove,
        document: fixture::name("runbook"),
        version: SoftwareVersion { major: 1, minor: 0, patch: 1 },
        digest: fixture::digest("another"),
        pin: LedgerPin { head_size: 0, ..pin() },
    });
    let changed = and_pins(changed, |pin| GovernancePinned { pin, ..pinned() });
    bound_to_everything(&body, changed, &[]);
}

#[test]
fn reviews_are_bound() {
    let body = review();
    let mut changed = changed!(body.clone() => QuarantineReview {
        opened: fixture::digest("another"),
        node_fingerprint: fixture::public("site-2"),
        verdict: ReviewVerdict::Release,
        reason: reason(""),
        pin: LedgerPin { head_size: 0, ..pin() },
    });
    changed.push(("verdict", QuarantineReview { verdict: ReviewVerdict::Evict, ..review() }));
    let changed = and_pins(changed, |pin| QuarantineReview { pin, ..review() });
    bound_to_everything(&body, changed, &[]);
}

#[test]
fn rollbacks_are_bound() {
    let body = rollback();
    let changed = changed!(body.clone() => FederatedRollback {
        federated_epoch: fixture::epoch(10),
        generation: Generation::new(2),
        anchor_block: LedgerBlockId::new(Digest::ZERO),
        anchor_height: Height::new(6),
        state_hash: fixture::digest("state 4"),
        reason: reason("poisoned."),
        pin: LedgerPin { head_size: 0, ..pin() },
    });
    let changed = and_pins(changed, |pin| FederatedRollback { pin, ..rollback() });
    bound_to_everything(&body, changed, &[]);
}

#[test]
fn roster_changes_are_bound() {
    let body = change();
    let changed = changed!(body.clone() => RosterChange {
        previous: fixture::digest("another"),
        configuration: Configuration { number: 2, ..next() },
        pin: LedgerPin { head_size: 0, ..pin() },
    });
    let changed = and_pins(changed, |pin| RosterChange { pin, ..change() });
    bound_to_everything(&body, changed, &[]);
}

#[test]
fn policy_changes_are_bound() {
    let body = policy_change();
    let changed = changed!(body.clone() => PolicyChange {
        previous: fixture::digest("another"),
        policy: Bytes::new(b"policy 2".to_vec()).expect("a short policy"),
        pin: LedgerPin { head_size: 0, ..pin() },
    });
    let changed = and_pins(changed, |pin| PolicyChange { pin, ..policy_change() });
    bound_to_everything(&body, changed, &[]);
}

/// A configuration in a change is bound in every field: its digest is what the next signatures hang on.
#[test]
fn configurations_are_bound() {
    let mut members = next();
    members.validators.swap(0, 1);
    let changed = changed!(next() => Configuration {
        number: 2,
        validators: members.validators,
        participants: Vec::new(),
        governors: fixture::configuration().governors,
        witnesses: Vec::new(),
        readers: Vec::new(),
        thresholds: fixture::configuration().thresholds,
        mandate: federation_proto::genesis::Mandate {
            last_epoch: fixture::epoch(99),
            ..next().mandate
        },
        policy_hash: Digest::ZERO,
        artifact_key: fixture::public("another"),
    });
    for (field, other) in &changed {
        assert_ne!(other.digest(), next().digest(), "{field}");
    }
    let changed = changed.into_iter();
    let changed =
        changed.map(|(field, configuration)| (field, RosterChange { configuration, ..change() }));
    bound_to_everything(&change(), changed.collect(), &[]);
}

fn permitted() -> Vec<VerifyingKey<Document>> {
    let check = |owner| fixture::public::<Document>(owner).check().expect("a good key");
    GOVERNORS.map(check).into()
}

/// The domains of governance, as the registry has them.
const DOMAINS: [Domain; 5] = [
    Domain::RosterChange,
    Domain::PolicyChange,
    Domain::GovernancePinned,
    Domain::QuarantineReview,
    Domain::Rollback,
];

/// Endorsements over the very bytes of `body`, made under every domain of governance: one is good.
fn endorsed_in_one_domain<T: SignedBody<Role = Document> + Clone + PartialEq + Debug>(
    body: &T,
    domain: Domain,
) {
    let (context, permitted) = (fixture::context(), permitted());
    for other in DOMAINS {
        let preimage = context.preimage(other, &body.to_canonical());
        let genuine = Endorsed::sign(body.clone(), &GOVERNORS.map(fixture::secret), &context);
        let mut endorsements = genuine.endorsements().to_vec();
        for endorsement in &mut endorsements {
            let owner = GOVERNORS
                .into_iter()
                .find(|owner| fixture::public::<Document>(owner) == endorsement.key);
            let key = fixture::secret::<Document>(owner.expect("a governor"));
            endorsement.signature = key.sign_raw(&preimage);
        }
        let verdict = Endorsed::from_parts(body.clone(), endorsements);
        let verdict = verdict.verify(&permitted, GOVERNORS.len(), &context).map(|_| ());
        match verdict {
            Ok(()) => assert_eq!(other, domain),
            Err(SignatureError::Invalid { what, .. }) => {
                assert_eq!(what, T::NAME);
                assert_ne!(other, domain);
            }
            Err(refusal) => panic!("{refusal}"),
        }
    }
}

#[test]
fn an_endorsement_of_one_thing_is_worthless_for_another() {
    endorsed_in_one_domain(&change(), Domain::RosterChange);
    endorsed_in_one_domain(&policy_change(), Domain::PolicyChange);
    endorsed_in_one_domain(&pinned(), Domain::GovernancePinned);
    endorsed_in_one_domain(&review(), Domain::QuarantineReview);
    endorsed_in_one_domain(&rollback(), Domain::Rollback);
}

#[test]
fn a_quarantine_is_named_by_all_that_it_says() {
    let hash = opened().hash();
    assert_eq!(hash, Digest::of(HashDomain::Quarantine, &opened().to_canonical()));
    let changed = changed!(opened() => QuarantineOpened {
        federated_epoch: fixture::epoch(5),
        node_fingerprint: fixture::public("site-2"),
        evidence: Evidence::ConflictingVotes(Bytes::new(vec![0]).expect("short")),
    });
    for (field, other) in changed {
        assert_ne!(other.hash(), hash, "{field}");
    }
}
