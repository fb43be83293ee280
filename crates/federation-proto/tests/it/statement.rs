//! Statements about keys: forged, half signed, replayed, and bent to another role.

use federation_proto::codec::Canonical;
use federation_proto::keys::{
    Consensus, Document, Identity, KeyError, KeyFile, KeyFileError, KeyKind, KeyRole, PublicKey,
    SecretKey,
};
use federation_proto::signing::{Domain, SignatureError};
use federation_proto::statement::{
    KeyRevocation, KeyRotation, RevocationReason, RotateError, RotatedKey, RotationError,
    RotationTerms, SignedRotation,
};
use federation_proto::{Endorsed, RotationNumber, Signature, SigningContext, VerifyingKey};

use crate::fixture::{self, changed};

type Rotation = SignedRotation<Consensus>;

fn old() -> SecretKey<Consensus> {
    fixture::secret("validator-1")
}

fn new() -> SecretKey<Consensus> {
    fixture::secret("validator-1 new")
}

fn stranger() -> SecretKey<Consensus> {
    fixture::secret("stranger")
}

fn current() -> VerifyingKey<Consensus> {
    old().public().check().expect("a good key")
}

fn rotation() -> KeyRotation<Consensus> {
    fixture::rotation("validator-1")
}

fn signatures(
    rotation: &KeyRotation<Consensus>,
    context: &SigningContext,
) -> (Signature, Signature) {
    let signed = SignedRotation::sign(rotation.clone(), &old(), &new(), context);
    let (by_old, by_new) = signed.signatures();
    (*by_old, *by_new)
}

fn judge(rotation: Rotation) -> Result<(), RotationError> {
    rotation.verify(&current(), &fixture::context()).map(|_| ())
}

fn invalid(key: &PublicKey<Consensus>) -> SignatureError {
    SignatureError::Invalid { what: "KeyRotation", key: key.to_string() }
}

#[test]
fn a_rotation_that_both_keys_signed_gives_the_new_key() {
    let signed = SignedRotation::sign(rotation(), &old(), &new(), &fixture::context());
    let verified = signed.verify(&current(), &fixture::context()).expect("both signed");
    assert_eq!(*verified, rotation());
    assert_eq!(verified.new_key().public(), new().public());
}

#[test]
fn every_changed_field_is_refused_by_name() {
    let (by_old, by_new) = signatures(&rotation(), &fixture::context());
    let name = fixture::name;
    let fields = changed!(rotation() => KeyRotation {
        role: KeyKind::Identity,
        holder: name("validator-2"),
        old_key: stranger().public(),
        new_key: stranger().public(),
        from_epoch: fixture::epoch(10),
        number: RotationNumber::new(3),
    });
    for (field, forged) in fields {
        let error = judge(SignedRotation::from_parts(forged, by_old, by_new)).expect_err(field);
        let expected = match field {
            "role" => {
                RotationError::Role { stated: KeyKind::Identity, expected: KeyKind::Consensus }
            }
            "old_key" => RotationError::NotCurrent {
                holder: name("validator-1"),
                role: KeyKind::Consensus,
                stated: stranger().public().to_string(),
                current: old().public().to_string(),
            },
            _ => RotationError::OldSignature(invalid(&old().public())),
        };
        assert_eq!(error, expected, "{field}");
    }
}

#[test]
fn one_signature_is_not_enough() {
    let (by_old, by_new) = signatures(&rotation(), &fixture::context());
    let preimage = fixture::context().preimage(Domain::KeyRotation, &rotation().to_canonical());
    let foreign = stranger().sign_raw(&preimage);
    let judge = |by_old, by_new| {
        judge(SignedRotation::from_parts(rotation(), by_old, by_new)).expect_err("refused")
    };
    let no_authority = RotationError::OldSignature(invalid(&old().public()));
    let no_possession = RotationError::NewSignature(invalid(&new().public()));
    for by_other in [by_old, foreign] {
        assert_eq!(judge(by_old, by_other), no_possession);
    }
    for by_other in [by_new, foreign] {
        assert_eq!(judge(by_other, by_new), no_authority);
    }
    assert_eq!(judge(by_new, by_old), no_authority);
    let mut unreduced = by_old.to_bytes();
    unreduced[63] |= 0xe0;
    let error = judge(Signature::from_bytes(&unreduced), by_new);
    let what = "KeyRotation";
    assert_eq!(error, RotationError::OldSignature(SignatureError::NotReduced { what }));
}

#[test]
fn a_rotation_is_worthless_elsewhere() {
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let (by_old, by_new) = signatures(&rotation(), &elsewhere);
        let error = judge(SignedRotation::from_parts(rotation(), by_old, by_new));
        assert_eq!(error, Err(RotationError::OldSignature(invalid(&old().public()))));
    }
    // The rotation back is another statement: the signatures of this one are not worth anything for it.
    let (by_old, by_new) = signatures(&rotation(), &fixture::context());
    let back = KeyRotation { old_key: new().public(), new_key: old().public(), ..rotation() };
    let back = SignedRotation::from_parts(back, by_new, by_old);
    let in_force = new().public().check().expect("a good key");
    let error = back.verify(&in_force, &fixture::context()).map(|_| ());
    assert_eq!(error, Err(RotationError::OldSignature(invalid(&new().public()))));
}

#[test]
fn keys_that_are_the_same_unusable_or_not_in_force_are_refused() {
    let sign = |rotation| SignedRotation::sign(rotation, &old(), &new(), &fixture::context());
    let same = sign(KeyRotation { new_key: old().public(), ..rotation() });
    let (holder, role) = (fixture::name("validator-1"), KeyKind::Consensus);
    assert_eq!(judge(same), Err(RotationError::SameKey { holder, role }));
    // Under a key of small order any message has a signature.
    let mut point = [0; 32];
    point[0] = 1;
    let new_key = PublicKey::from_bytes(point);
    let weak = sign(KeyRotation { new_key, ..rotation() });
    let cause = KeyError::SmallOrder;
    assert_eq!(judge(weak), Err(RotationError::NewKey { key: new_key.to_string(), cause }));
    let in_force = new().public().check().expect("a good key");
    let late = sign(rotation()).verify(&in_force, &fixture::context()).map(|_| ());
    assert!(matches!(late, Err(RotationError::NotCurrent { .. })), "{late:?}");
}

#[test]
fn the_first_byte_is_the_role() {
    let all = fixture::rotated_keys();
    let numbers: Vec<u8> = all.iter().map(|rotated| rotated.kind().into()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    for rotated in all {
        let mut bytes = rotated.to_canonical();
        let number = u8::from(rotated.kind());
        // The number of the variant, then the role in the signed bytes.
        assert_eq!(bytes[..2], [number, number]);
        assert!(fixture::rotation_verifies(&rotated));
        assert_eq!(rotated.claimed_holder(), &fixture::name("validator-1"));
        // Under another variant the role that was signed gives it away.
        bytes[0] = (number + 1) % 8;
        let moved = RotatedKey::from_canonical(&bytes).expect("the same form");
        assert!(!fixture::rotation_verifies(&moved));
    }
}

fn moved_role<R: KeyRole>(stated: KeyKind) -> Result<(), RotationError> {
    let (old, new) = (fixture::secret::<R>("a"), fixture::secret::<R>("b"));
    let rotation = KeyRotation {
        role: stated,
        holder: fixture::name("a"),
        old_key: old.public(),
        new_key: new.public(),
        from_epoch: fixture::epoch(9),
        number: RotationNumber::new(1),
    };
    let current = old.public().check().expect("a good key");
    let signed = SignedRotation::sign(rotation, &old, &new, &fixture::context());
    signed.verify(&current, &fixture::context()).map(|_| ())
}

#[test]
fn a_role_is_stated_truly() {
    assert_eq!(moved_role::<Identity>(KeyKind::Identity), Ok(()));
    for stated in KeyKind::ALL.into_iter().filter(|kind| *kind != KeyKind::Identity) {
        let expected = KeyKind::Identity;
        assert_eq!(moved_role::<Identity>(stated), Err(RotationError::Role { stated, expected }));
    }
}

#[test]
fn key_files_of_one_role_rotate() {
    let file = |kind, byte: u8| KeyFile::from_seed(kind, [byte; 32].into());
    let terms = || RotationTerms {
        holder: fixture::name("validator-1"),
        from_epoch: fixture::epoch(9),
        number: RotationNumber::new(1),
    };
    let sign = |old, new| RotatedKey::sign(old, new, terms(), &fixture::context());
    for kind in KeyKind::ALL {
        let signed = sign(file(kind, 1), file(kind, 2));
        let by_statement = !matches!(kind, KeyKind::Artifact | KeyKind::Encryption);
        match signed {
            Ok(rotated) => assert!(by_statement && rotated.kind() == kind, "{kind}"),
            Err(error) => {
                assert_eq!(error, RotateError::NotByStatement(kind));
                assert!(!by_statement, "{kind}");
            }
        }
    }
    let (kind, found) = (KeyKind::Consensus, KeyKind::Identity);
    let other = KeyFileError::WrongRole { expected: kind, found };
    assert_eq!(sign(file(kind, 1), file(found, 2)), Err(RotateError::New(other)));
    let same = RotationError::SameKey { holder: terms().holder, role: kind };
    assert_eq!(sign(file(kind, 1), file(kind, 1)), Err(RotateError::Rotation(same)));
}

fn governors() -> Vec<SecretKey<Document>> {
    fixture::GOVERNORS.map(fixture::secret).into()
}

fn judge_revocation(
    revocation: &Endorsed<KeyRevocation>,
    context: &SigningContext,
) -> Result<(), SignatureError> {
    let permitted: Vec<_> =
        governors().iter().map(|key| key.public().check().expect("a good key")).collect();
    revocation.verify(&permitted, 2, context).map(|_| ())
}

#[test]
fn a_revocation_needs_enough_governors_and_every_field() {
    let endorsed = fixture::endorsed_revocation();
    assert_eq!(judge_revocation(&endorsed, &fixture::context()), Ok(()));
    let one = Endorsed::sign(fixture::revocation(), &governors()[..1], &fixture::context());
    let below = SignatureError::BelowThreshold { what: "KeyRevocation", valid: 1, needed: 2 };
    assert_eq!(judge_revocation(&one, &fixture::context()), Err(below));
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let refused = judge_revocation(&endorsed, &elsewhere);
        assert!(matches!(refused, Err(SignatureError::Invalid { .. })), "{refused:?}");
    }
    for (field, forged) in fixture::changed_revocations() {
        let forged = Endorsed::from_parts(forged, endorsed.endorsements().to_vec());
        let refused = judge_revocation(&forged, &fixture::context());
        assert!(matches!(refused, Err(SignatureError::Invalid { .. })), "{field}: {refused:?}");
    }
}

#[test]
fn a_revocation_is_of_one_key_of_one_role_from_one_epoch_on() {
    let revocation = fixture::revocation();
    let key = fixture::public::<Consensus>("validator-1");
    assert!(!revocation.revokes(&key, fixture::epoch(8)));
    assert!(revocation.revokes(&key, fixture::epoch(9)));
    assert!(revocation.revokes(&key, fixture::epoch(10)));
    assert!(!revocation.revokes(&new().public(), fixture::epoch(9)));
    let same_bytes = PublicKey::<Identity>::from_bytes(*key.as_bytes());
    assert!(!revocation.revokes(&same_bytes, fixture::epoch(9)));
    assert_eq!(revocation.reason, RevocationReason::Compromised);
}
