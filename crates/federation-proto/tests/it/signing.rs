//! Signatures: bound to every field, domain, key, federation and configuration.

use std::fmt::Debug;

use federation_proto::batch::Request;
use federation_proto::codec::Canonical;
use federation_proto::entry::{EpochOpened, LedgerEntry};
use federation_proto::envelope::{Envelope, PayloadKind};
use federation_proto::genesis::{Configuration, FederationKind, Genesis};
use federation_proto::handshake::FederationAccept;
use federation_proto::keys::{Admission, Consensus, Document, Identity, KeyKind};
use federation_proto::lane::Lane;
use federation_proto::signing::{Domain, Endorsement, SignatureError};
use federation_proto::statement::KeyRotation;
use federation_proto::update::{BlobReceipt, MetaUpdate, SealedPayload};
use federation_proto::{
    Cycle, Digest, Endorsed, Generation, LaneSequence, LedgerBlockId, LogicalTime, RotationNumber,
    SecretKey, SessionId, Signature, Signed, SignedBody, SigningContext, Verified, VerifyingKey,
};

use crate::domains;
use crate::fixture::{self, changed};

fn invalid<T: SignedBody>(key: &VerifyingKey<T::Role>) -> SignatureError {
    SignatureError::Invalid { what: T::NAME, key: key.public().to_string() }
}

/// A signature on `body` is worth something for this body, key, domain, federation and configuration only.
pub(crate) fn bound_to_everything<T>(body: &T, changed: Vec<(&'static str, T)>, constant: &[&str])
where
    T: SignedBody + Clone + PartialEq + Debug,
{
    let (context, key) = (fixture::context(), fixture::secret::<T::Role>("signer"));
    let verifier = key.public().check().expect("a good key");
    let signed = Signed::sign(body.clone(), &key, &context);
    let verified = signed.clone().verify(&verifier, &context);
    assert_eq!(verified.as_deref(), Ok(body));

    for (field, other) in changed {
        // A field whose type has a single value cannot be forged.
        if constant.contains(&field) {
            assert_eq!(&other, body, "{field} can change now: change it here");
            continue;
        }
        assert_ne!(&other, body, "{field} was not changed");
        let forged = Signed::from_parts(other, *signed.signature());
        let verdict = forged.verify(&verifier, &context);
        assert_eq!(verdict, Err(invalid::<T>(&verifier)), "{field}");
    }
    let other_key = fixture::public::<T::Role>("another").check();
    let other_key = other_key.expect("a good key");
    let verdict = signed.clone().verify(&other_key, &context);
    assert_eq!(verdict, Err(invalid::<T>(&other_key)));
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let verdict = signed.clone().verify(&verifier, &elsewhere);
        assert_eq!(verdict, Err(invalid::<T>(&verifier)));
    }
    for (domain, _) in domains::signing() {
        let signature = key.sign_raw(&context.preimage(domain, &body.to_canonical()));
        let verdict = Signed::from_parts(body.clone(), signature).verify(&verifier, &context);
        assert_eq!(verdict.is_ok(), domain == T::DOMAIN, "{domain:?}");
    }
    let raw = key.sign_raw(&body.to_canonical());
    let verdict = Signed::from_parts(body.clone(), raw).verify(&verifier, &context);
    assert_eq!(verdict, Err(invalid::<T>(&verifier)));
}

#[test]
fn hellos_accepts_and_statements_are_bound() {
    bound_to_everything(&fixture::hello(), fixture::changed_hellos(), &[]);
    bound_to_everything(&fixture::accept(), fixture::changed_accepts(), &[]);
    bound_to_everything(&fixture::statement(), fixture::changed_statements(), &[]);
}

#[test]
fn envelopes_are_bound() {
    let changed = changed!(fixture::envelope() => Envelope {
        version: 2,
        origin: fixture::name("site-2"),
        target: fixture::name("site-3"),
        kind: PayloadKind::MetaUpdate,
        lane: Lane::Control,
        sequence: LaneSequence::new(3),
        ack: LaneSequence::new(2),
        timestamp: LogicalTime::new(1_001),
        federated_epoch: fixture::epoch(5),
        node_fingerprint: fixture::public("site-2"),
        session_id: SessionId::new(Digest::ZERO),
        ledger_block_id: LedgerBlockId::new(Digest::ZERO),
        payload: b"another".to_vec(),
    });
    bound_to_everything(&fixture::envelope(), changed, &[]);
}

#[test]
fn updates_are_bound() {
    let changed = changed!(fixture::meta_update() => MetaUpdate {
        federated_epoch: fixture::epoch(5),
        generation: Generation::new(1),
        node_fingerprint: fixture::public("site-2"),
        session_id: SessionId::new(Digest::ZERO),
        ledger_block_id: LedgerBlockId::new(Digest::ZERO),
        cycle: Cycle::new(12),
        previous_update: fixture::digest("another"),
        base_state_hash: fixture::digest("another"),
        update_hash: fixture::digest("another"),
        payload: SealedPayload::Clear(vec![0]),
        proof: fixture::proof(),
    });
    bound_to_everything(&fixture::meta_update(), changed, &[]);
}

#[test]
fn receipts_are_bound() {
    let changed = changed!(fixture::blob_receipt() => BlobReceipt {
        validator: fixture::public("validator-3"),
        node_fingerprint: fixture::public("site-2"),
        federated_epoch: fixture::epoch(5),
        blob: fixture::digest("another"),
        blob_len: 301,
        commitment: fixture::digest("another"),
    });
    bound_to_everything(&fixture::blob_receipt(), changed, &[]);
}

#[test]
fn requests_are_bound() {
    let entry = LedgerEntry::EpochOpened(EpochOpened {
        federated_epoch: fixture::epoch(4),
        generation: Generation::ZERO,
        base_state_hash: Digest::ZERO,
        config_digest: Digest::ZERO,
        policy_hash: Digest::ZERO,
    });
    let changed = changed!(fixture::request() => Request {
        node_fingerprint: fixture::public("site-2"),
        session_id: SessionId::new(Digest::ZERO),
        lane: Lane::Bulk,
        sequence: LaneSequence::new(3),
        entry: entry,
    });
    bound_to_everything(&fixture::request(), changed, &[]);
}

#[test]
fn statements_about_keys_are_bound() {
    let rotation = fixture::rotation::<Consensus>("validator-1");
    let changed = changed!(rotation.clone() => KeyRotation {
        role: KeyKind::Identity,
        holder: fixture::name("validator-2"),
        old_key: fixture::public("validator-2"),
        new_key: fixture::public("validator-2"),
        from_epoch: fixture::epoch(10),
        number: RotationNumber::new(3),
    });
    bound_to_everything(&rotation, changed, &[]);
    bound_to_everything(&fixture::revocation(), fixture::changed_revocations(), &[]);
}

#[test]
fn geneses_are_bound() {
    let next = Configuration { number: 1, ..fixture::configuration() };
    let changed = changed!(fixture::genesis() => Genesis {
        kind: FederationKind::Live,
        instance: fixture::text("another"),
        log_origin: fixture::name("another"),
        schema_digest: Digest::ZERO,
        initial_state_hash: Digest::ZERO,
        configuration: next,
    });
    bound_to_everything(&fixture::genesis(), changed, &[]);
}

#[test]
fn a_key_of_another_role_signs_nothing_here() {
    // Within Rust the role is a type; from outside come only bytes, and the roster says whose they are.
    let context = fixture::context();
    let receipt = fixture::blob_receipt();
    let document = fixture::secret::<Document>("signer");
    let preimage = context.preimage(BlobReceipt::DOMAIN, &receipt.to_canonical());
    let forged = Signed::from_parts(receipt, document.sign_raw(&preimage));
    let identity = fixture::public::<Identity>("signer").check();
    let identity = identity.expect("a good key");
    let verdict = forged.verify(&identity, &context);
    assert_eq!(verdict, Err(invalid::<BlobReceipt>(&identity)));
}

#[test]
fn an_unreduced_scalar_is_named() {
    let (context, key) = (fixture::context(), fixture::secret::<Identity>("signer"));
    let signed = Signed::sign(fixture::blob_receipt(), &key, &context);
    let mut bytes = signed.signature().to_bytes();
    bytes[63] |= 0xe0;
    let forged = Signed::from_parts(fixture::blob_receipt(), Signature::from_bytes(&bytes));
    let verifier = key.public().check().expect("a good key");
    let refusal = SignatureError::NotReduced { what: BlobReceipt::NAME };
    assert_eq!(forged.verify(&verifier, &context), Err(refusal));
}

#[test]
fn the_preimage_is_laid_out_as_documented() {
    let context = SigningContext {
        federation_id: federation_proto::FederationId::new(Digest::from_bytes([0xaa; 32])),
        config_digest: Digest::from_bytes([0xbb; 32]),
    };
    let preimage = context.preimage(Domain::Manifest, b"");
    let mut expected = vec![0xff];
    expected.extend(b"prism1");
    expected.extend([0, 32]);
    expected.extend([0xaa; 32]);
    expected.extend([0xbb; 32]);
    expected.extend(Digest::of_blob(b"").as_bytes());
    assert_eq!(preimage.as_slice(), expected);
    assert!(str::from_utf8(&preimage).is_err());
}

#[test]
fn our_own_body_is_verified_as_others_would() {
    let (context, key) = (fixture::context(), fixture::secret::<Identity>("signer"));
    let ours = Verified::signed_by_us(fixture::blob_receipt(), &key, &context);
    assert_eq!(*ours, fixture::blob_receipt());
    let verifier = key.public().check().expect("a good key");
    let theirs = ours.as_signed().clone().verify(&verifier, &context);
    assert_eq!(theirs, Ok(ours));
}

/// The admission keys of all three governors, in the order of their public keys.
fn admission_keys() -> Vec<SecretKey<Admission>> {
    let mut keys: Vec<_> = fixture::GOVERNORS.map(fixture::secret).into();
    keys.sort_by_key(SecretKey::public);
    keys
}

fn permitted() -> Vec<VerifyingKey<Admission>> {
    admission_keys().iter().map(|key| key.public().check().expect("a good key")).collect()
}

fn endorsements(keys: &[SecretKey<Admission>]) -> Vec<Endorsement<Admission>> {
    let endorsed = Endorsed::sign(fixture::accept(), keys, &fixture::context());
    endorsed.endorsements().to_vec()
}

/// Verification of the accept with these endorsements, two needed.
fn endorse(list: Vec<Endorsement<Admission>>) -> Result<(), SignatureError> {
    let endorsed = Endorsed::from_parts(fixture::accept(), list);
    endorsed
        .verify(&permitted(), 2, &fixture::context())
        .map(|accept| assert_eq!(accept, &fixture::accept()))
}

#[test]
fn enough_governors_endorse_in_whatever_order_they_sign() {
    let mut keys = admission_keys();
    assert_eq!(endorse(endorsements(&keys[..2])), Ok(()));
    assert_eq!(endorse(endorsements(&keys)), Ok(()));
    keys.reverse();
    assert_eq!(endorse(endorsements(&keys)), Ok(()));
}

#[test]
fn too_few_endorsements_are_refused() {
    let keys = admission_keys();
    for valid in 0..2 {
        let refusal = SignatureError::BelowThreshold { what: "FederationAccept", valid, needed: 2 };
        assert_eq!(endorse(endorsements(&keys[..valid])), Err(refusal));
    }
}

#[test]
fn a_threshold_of_zero_still_needs_one() {
    let nobody = Endorsed::<FederationAccept>::from_parts(fixture::accept(), Vec::new());
    let verdict = nobody.verify(&permitted(), 0, &fixture::context());
    assert!(matches!(verdict, Err(SignatureError::BelowThreshold { valid: 0, .. })));
}

#[test]
fn a_key_counts_once_and_in_its_place() {
    let unordered = SignatureError::Unordered { what: "FederationAccept" };
    let mut list = endorsements(&admission_keys()[..1]);
    list.push(list[0].clone());
    assert_eq!(endorse(list), Err(unordered.clone()));
    let mut list = endorsements(&admission_keys());
    list.swap(0, 1);
    assert_eq!(endorse(list), Err(unordered));
}

#[test]
fn a_foreign_endorsement_refuses_the_whole() {
    let foreign = fixture::secret::<Admission>("stranger");
    let mut keys = admission_keys();
    keys.push(fixture::secret("stranger"));
    let refusal =
        SignatureError::UnknownKey { what: "FederationAccept", key: foreign.public().to_string() };
    assert_eq!(endorse(endorsements(&keys)), Err(refusal));
}

#[test]
fn one_bad_signature_refuses_the_whole() {
    for bad in 0..3 {
        let mut list = endorsements(&admission_keys());
        list[bad].signature = list[(bad + 1) % 3].signature;
        let refusal = invalid::<FederationAccept>(&permitted()[bad]);
        assert_eq!(endorse(list), Err(refusal));
    }
}

#[test]
fn endorsements_are_worthless_elsewhere() {
    let endorsed = fixture::endorsed(fixture::accept());
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let verdict = endorsed.verify(&permitted(), 2, &elsewhere);
        assert!(matches!(verdict, Err(SignatureError::Invalid { .. })));
    }
}
