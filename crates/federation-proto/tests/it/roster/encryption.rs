//! Whom payloads are encrypted to, and whose identity is known: the members beside those who sign.

use std::sync::Arc;

use federation_proto::genesis::{Configuration, ReaderRecord, RosterError, WitnessRecord};
use federation_proto::keys::{
    Cosigner, EncryptionKey, EncryptionKeyError, Identity, KeyError, SignatureMemo,
};
use federation_proto::{NodeFingerprint, PublicKey};

use super::{ENCRYPTION, refusal, slots, with_key};
use crate::fixture;

/// Encryption keys that must not be used, with the reason [RFC 7748 §5, §6.1].
fn weak() -> Vec<([u8; 32], EncryptionKeyError)> {
    let bytes = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let order_eight = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let order_eight: EncryptionKey = order_eight.parse().expect("64 hexadecimal characters");
    let mut top_bit = *fixture::reader("validator-1").public().as_bytes();
    top_bit[31] |= 0x80;
    vec![
        ([0; 32], EncryptionKeyError::SmallOrder),
        (bytes(1, 0, 0), EncryptionKeyError::SmallOrder),
        (bytes(0xec, 0xff, 0x7f), EncryptionKeyError::SmallOrder),
        (*order_eight.as_bytes(), EncryptionKeyError::SmallOrder),
        // p and p + 1 are second spellings of 0 and 1; the top bit would be ignored.
        (bytes(0xed, 0xff, 0x7f), EncryptionKeyError::NotCanonical),
        (bytes(0xee, 0xff, 0x7f), EncryptionKeyError::NotCanonical),
        (top_bit, EncryptionKeyError::NotCanonical),
    ]
}

#[test]
fn weak_encryption_keys_are_refused_wherever_they_stand() {
    let slots = slots().into_iter().enumerate().filter(|(_, (_, role, _))| *role == ENCRYPTION);
    let slots: Vec<_> = slots.collect();
    assert_eq!(slots.len(), 4 + 1);
    for (at, (owner, ..)) in slots {
        for (bytes, cause) in weak() {
            let key = EncryptionKey::from_bytes(bytes);
            let expected = RosterError::WeakEncryptionKey { owner: owner.clone(), key, cause };
            assert_eq!(refusal(with_key(at, bytes)), expected);
        }
    }
}

/// A key pair that signs must not also decrypt: what one use leaks is spent in the other.
#[test]
fn a_signing_key_is_no_encryption_key() {
    let cases = [
        *fixture::public::<Identity>("site-1").as_bytes(),
        *fixture::public::<Cosigner>("witness-1").as_bytes(),
        *fixture::reader("validator-2").public().as_bytes(),
    ];
    for bytes in cases {
        let mut configuration = fixture::configuration();
        configuration.readers[0].encryption_key = EncryptionKey::from_bytes(bytes);
        let key = EncryptionKey::from_bytes(bytes).to_string();
        let expected = RosterError::SharedKey { owner: "auditor-1".into(), key };
        assert_eq!(refusal(configuration), expected);
    }
}

#[test]
fn an_identity_stands_for_one_member() {
    // A site under a second name, and a validator that also takes part.
    for owner in ["site-1", "validator-1"] {
        let mut configuration = fixture::configuration();
        configuration.participants[3].fingerprint = fixture::public(owner);
        let key = fixture::public::<Identity>(owner).to_string();
        let expected = RosterError::SharedKey { owner: "site-4".into(), key };
        assert_eq!(refusal(configuration), expected);
    }
}

#[test]
fn witnesses_and_readers_have_usable_keys() {
    let mut configuration = fixture::configuration();
    let bytes = [0xff; 32];
    configuration.witnesses[0].cosigner_key = PublicKey::from_bytes(bytes);
    let refused = refusal(configuration);
    let RosterError::WeakKey { owner, role, cause, .. } = refused else { panic!("{refused}") };
    assert_eq!((owner.as_str(), role), ("witness-1", "cosigner"));
    assert!(matches!(cause, KeyError::NotAPoint | KeyError::NotCanonical));
}

/// A configuration with a second witness and a second reader, so that an order can be seen.
fn two_of_each() -> Configuration {
    let mut configuration = fixture::configuration();
    configuration.witnesses.push(WitnessRecord {
        name: fixture::name("a-witness"),
        organisation: fixture::name("org-w"),
        cosigner_key: fixture::public("a-witness"),
    });
    configuration.readers.push(ReaderRecord {
        name: fixture::name("a-reader"),
        organisation: fixture::name("org-r"),
        encryption_key: fixture::reader("a-reader").public(),
    });
    configuration
}

#[test]
fn payloads_are_encrypted_to_validators_then_readers() {
    let roster = two_of_each().validate().expect("a good roster");
    let owners =
        ["validator-1", "validator-2", "validator-3", "validator-4", "auditor-1", "a-reader"];
    let expected = owners.map(|owner| fixture::reader(owner).recipient());
    assert_eq!(roster.payload_readers(), expected);
    let memo = Arc::new(SignatureMemo::default());
    assert_eq!(roster.memoised(&memo).payload_readers(), expected);

    let mut nobody_else = fixture::configuration();
    nobody_else.readers.clear();
    let roster = nobody_else.validate().expect("a good roster");
    assert_eq!(roster.payload_readers(), expected[..4]);
}

#[test]
fn witnesses_and_readers_stand_in_their_order() {
    let roster = two_of_each().validate().expect("a good roster");
    let names: Vec<_> = roster.witnesses().iter().map(|w| w.record.name.as_str()).collect();
    assert_eq!(names, ["witness-1", "a-witness"]);
    for witness in roster.witnesses() {
        assert_eq!(witness.cosigner.public(), witness.record.cosigner_key);
    }
    let names: Vec<_> = roster.readers().iter().map(|r| r.record.name.as_str()).collect();
    assert_eq!(names, ["auditor-1", "a-reader"]);
    for reader in roster.readers() {
        assert_eq!(reader.encryption.public(), reader.record.encryption_key);
    }
}

#[test]
fn an_identity_is_a_participants_or_a_validators() {
    let roster = two_of_each().validate().expect("a good roster");
    for number in 1..=4 {
        for owner in [format!("site-{number}"), format!("validator-{number}")] {
            let fingerprint: NodeFingerprint = fixture::public(&owner);
            let found = roster.identity(&fingerprint).expect("a member");
            assert_eq!(found.public(), fingerprint, "{owner}");
        }
    }
    for owner in ["site-5", "validator-5", "governor-a", "witness-1", "auditor-1", "artifacts"] {
        assert!(roster.identity(&fixture::public(owner)).is_none(), "{owner}");
    }
    // Other keys of a member are no identities of it.
    let consensus = fixture::public::<federation_proto::keys::Consensus>("validator-1");
    assert!(roster.identity(&PublicKey::from_bytes(*consensus.as_bytes())).is_none());
    let governor = fixture::public::<federation_proto::keys::Document>("governor-a");
    assert!(roster.identity(&PublicKey::from_bytes(*governor.as_bytes())).is_none());
}

/// An update is sealed for all of them at once: one more, and no site could seal anything any more.
#[test]
fn a_roster_has_no_more_readers_than_a_payload() {
    let readers = |count: usize| {
        let mut configuration = fixture::configuration();
        let reader = |number: usize| {
            let owner = format!("reader-{number}");
            ReaderRecord {
                name: fixture::name(&owner),
                organisation: fixture::name("org-r"),
                encryption_key: fixture::reader(&owner).public(),
            }
        };
        configuration.readers = (0..count).map(reader).collect();
        configuration.validate().map(|roster| roster.payload_readers().len())
    };
    let limit = federation_proto::limits::RECIPIENTS;
    // Four validators read, too.
    assert_eq!(readers(limit - 4), Ok(limit));
    let refusal = RosterError::TooManyReaders { got: limit + 1, limit };
    assert_eq!(readers(limit - 3), Err(refusal));
}
