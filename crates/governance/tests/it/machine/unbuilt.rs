//! What the wire has and the machine does not execute yet: refused by name, whoever brings it.

use federation_proto::bounded::Bytes;
use federation_proto::evidence::Evidence;
use federation_proto::governed::{
    FederatedRollback, GovernancePinned, LedgerPin, PinnedAction, PolicyChange, QuarantineOpened,
    QuarantineReview, ReviewVerdict, RosterChange, RosterChanged,
};
use federation_proto::handshake::SoftwareVersion;
use federation_proto::keys::{Document, Identity, KeyKind, SecretKey};
use federation_proto::signing::{Endorsed, SignedBody};
use federation_proto::statement::{
    KeyRevocation, KeyRotation, RevocationReason, RotatedKey, SignedRotation,
};
use federation_proto::{
    Digest, FederatedEpoch, Generation, Height, Lane, LaneSequence, LedgerBlockId, LedgerEntry,
    Request, RotationNumber,
};
use governance::machine::Refusal;

use crate::fixture::session::signed_by;
use crate::fixture::{World, key, name, node, site};

fn endorsed<T: SignedBody<Role = Document>>(world: &World, body: T) -> Endorsed<T> {
    let keys = ["governor-a", "governor-b", "governor-c"].map(key);
    Endorsed::sign(body, &keys, &world.context())
}

/// One good entry of every kind, signed by those who should.
fn entries(world: &World) -> Vec<LedgerEntry> {
    let pin = LedgerPin { previous_note: Digest::ZERO, head_size: 1, head_root: Digest::ZERO };
    let epoch = FederatedEpoch::new(1);
    let configuration = world.rules().roster.configuration().clone();
    let previous = configuration.digest();
    let (old, new): (SecretKey<Identity>, SecretKey<Identity>) = (key(&site(1)), key("renewed"));
    let rotation = KeyRotation {
        role: KeyKind::Identity,
        holder: name(&site(1)),
        old_key: old.public(),
        new_key: new.public(),
        from_epoch: epoch,
        number: RotationNumber::new(1),
    };
    let quarantine = QuarantineOpened {
        federated_epoch: epoch,
        node_fingerprint: node(1),
        evidence: Evidence::ConflictingVotes(Bytes::default()),
    };
    let reason = "a reason".parse().expect("a short text");
    let review = QuarantineReview {
        opened: quarantine.hash(),
        node_fingerprint: node(1),
        verdict: ReviewVerdict::Release,
        reason,
        pin,
    };
    let rollback = FederatedRollback {
        federated_epoch: epoch,
        generation: Generation::new(1),
        anchor_block: LedgerBlockId::new(Digest::ZERO),
        anchor_height: Height::new(1),
        state_hash: Digest::ZERO,
        reason: review.reason.clone(),
        pin,
    };
    let pinned = GovernancePinned {
        action: PinnedAction::ProtocolApprove,
        document: name("wire-format"),
        version: SoftwareVersion::CURRENT,
        digest: Digest::ZERO,
        pin,
    };
    let roster = endorsed(world, RosterChange { previous, configuration, pin });
    let incoming = roster.endorsements().to_vec();
    let policy = PolicyChange { previous, policy: Bytes::default(), pin };
    let revocation = KeyRevocation {
        role: KeyKind::Identity,
        holder: name(&site(1)),
        key: *old.public().as_bytes(),
        from_epoch: epoch,
        reason: RevocationReason::Compromised,
    };
    let rotation = SignedRotation::sign(rotation, &old, &new, &world.context());
    vec![
        LedgerEntry::GovernancePinned(Box::new(endorsed(world, pinned))),
        LedgerEntry::QuarantineOpened(Box::new(quarantine)),
        LedgerEntry::QuarantineReviewed(Box::new(endorsed(world, review))),
        LedgerEntry::FederatedRollback(Box::new(endorsed(world, rollback))),
        LedgerEntry::RosterChanged(Box::new(RosterChanged { outgoing: roster, incoming })),
        LedgerEntry::PolicyChanged(Box::new(endorsed(world, policy))),
        LedgerEntry::KeyRotated(Box::new(RotatedKey::from(rotation))),
        LedgerEntry::KeyRevoked(Box::new(endorsed(world, revocation))),
    ]
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let world = World::open();
    for entry in entries(&world) {
        let expected = Refusal::NotBuilt(entry.kind());
        assert_eq!(world.refusal_of(entry.clone()), expected, "derived");
        let request = Request {
            node_fingerprint: node(1),
            session_id: world.session(1).0,
            lane: Lane::Governance,
            sequence: LaneSequence::ZERO,
            entry,
        };
        let requested = signed_by(&site(1), request, &world.context());
        assert_eq!(world.refusal(requested), expected, "requested");
    }
}
