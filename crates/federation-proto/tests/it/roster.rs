//! Configurations that must not become a roster: one for every reason.

mod encryption;

use federation_proto::codec::Canonical;
use federation_proto::genesis::{Agreement, Configuration, RosterError};
use federation_proto::keys::{EncryptionKey, KeyError, KeyKind, KeyRole, PublicKey};
use federation_proto::quorum;

use crate::fixture;

/// A key of a configuration: whose, in which role, its bytes.
type Slot = (String, &'static str, [u8; 32]);

/// The role of the keys that are X25519's, weak in other ways than those that sign.
const ENCRYPTION: &str = KeyKind::Encryption.name();

/// Visits every key in the order in which validation meets it and stores what `visit` returns.
fn visit_keys(configuration: &mut Configuration, mut visit: impl FnMut(Slot) -> [u8; 32]) {
    fn one<R: KeyRole>(
        owner: &str,
        key: &mut PublicKey<R>,
        visit: &mut impl FnMut(Slot) -> [u8; 32],
    ) {
        *key = PublicKey::from_bytes(visit((owner.into(), R::NAME, *key.as_bytes())));
    }
    fn encryption(owner: &str, key: &mut EncryptionKey, visit: &mut impl FnMut(Slot) -> [u8; 32]) {
        *key = EncryptionKey::from_bytes(visit((owner.into(), ENCRYPTION, *key.as_bytes())));
    }
    for record in &mut configuration.validators {
        one(record.name.as_str(), &mut record.fingerprint, &mut visit);
        one(record.name.as_str(), &mut record.consensus_key, &mut visit);
        one(record.name.as_str(), &mut record.log_key, &mut visit);
        encryption(record.name.as_str(), &mut record.encryption_key, &mut visit);
    }
    for record in &mut configuration.participants {
        one(record.name.as_str(), &mut record.fingerprint, &mut visit);
    }
    for record in &mut configuration.governors {
        one(record.name.as_str(), &mut record.document_key, &mut visit);
        one(record.name.as_str(), &mut record.admission_key, &mut visit);
        one(record.name.as_str(), &mut record.note_key, &mut visit);
    }
    for record in &mut configuration.witnesses {
        one(record.name.as_str(), &mut record.cosigner_key, &mut visit);
    }
    for record in &mut configuration.readers {
        encryption(record.name.as_str(), &mut record.encryption_key, &mut visit);
    }
    one("artifacts", &mut configuration.artifact_key, &mut visit);
}

fn slots() -> Vec<Slot> {
    let mut slots = Vec::new();
    visit_keys(&mut fixture::configuration(), |slot| {
        slots.push(slot.clone());
        slot.2
    });
    slots
}

fn with_key(at: usize, bytes: [u8; 32]) -> Configuration {
    let mut configuration = fixture::configuration();
    let mut number = 0;
    visit_keys(&mut configuration, |(_, _, old)| {
        number += 1;
        if number - 1 == at { bytes } else { old }
    });
    configuration
}

fn refusal(configuration: Configuration) -> RosterError {
    configuration.validate().map(|roster| roster.digest()).expect_err("a bad configuration")
}

#[test]
fn a_good_configuration_becomes_a_roster() {
    let configuration = fixture::configuration();
    let roster = configuration.clone().validate().expect("a good roster");
    assert_eq!(roster.configuration(), &configuration);
    assert_eq!(roster.digest(), configuration.digest());
    let sizes = (roster.validators().len(), roster.participants().len(), roster.governors().len());
    assert_eq!(sizes, (4, 4, 3));
    assert_eq!((roster.witnesses().len(), roster.readers().len()), (1, 1));
    assert_eq!(roster.quorum(), quorum::quorum(4));
    assert_eq!(slots().len(), 4 * 4 + 4 + 3 * 3 + 1 + 1 + 1);

    let site = fixture::public("site-2");
    let found = roster.participant(&site).expect("a participant");
    assert_eq!(found.record.name, fixture::name("site-2"));
    assert!(roster.validator(&site).is_none());
    let validator = fixture::public("validator-3");
    let found = roster.validator(&validator).expect("a validator");
    assert_eq!(found.identity.public(), validator);
    assert!(roster.participant(&validator).is_none());
}

#[test]
fn weak_keys_are_refused_wherever_they_stand() {
    let mut non_canonical = [0xff; 32];
    // y = p + 1, a second encoding of the identity.
    non_canonical[0] = 0xee;
    non_canonical[31] = 0x7f;
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let weak = [
        (off_curve, KeyError::NotAPoint),
        (non_canonical, KeyError::NotCanonical),
        (identity_point, KeyError::SmallOrder),
    ];
    let signing = slots().into_iter().enumerate().filter(|(_, (_, role, _))| *role != ENCRYPTION);
    for (at, (owner, role, _)) in signing {
        for (bytes, cause) in weak {
            let expected = RosterError::WeakKey {
                owner: owner.clone(),
                role,
                key: PublicKey::<()>::from_bytes(bytes).to_string(),
                cause,
            };
            assert_eq!(refusal(with_key(at, bytes)), expected);
        }
    }
}

#[test]
fn no_key_does_two_jobs() {
    let slots = slots();
    for (second, (owner, ..)) in slots.iter().enumerate() {
        for (_, _, first) in &slots[..second] {
            let expected = RosterError::SharedKey {
                owner: owner.clone(),
                key: PublicKey::<()>::from_bytes(*first).to_string(),
            };
            assert_eq!(refusal(with_key(second, *first)), expected);
        }
    }
}

#[test]
fn no_name_stands_twice() {
    fn names(configuration: &mut Configuration) -> Vec<&mut federation_proto::Name> {
        let validators = configuration.validators.iter_mut().map(|r| &mut r.name);
        let participants = configuration.participants.iter_mut().map(|r| &mut r.name);
        let governors = configuration.governors.iter_mut().map(|r| &mut r.name);
        let witnesses = configuration.witnesses.iter_mut().map(|r| &mut r.name);
        let readers = configuration.readers.iter_mut().map(|r| &mut r.name);
        let signers = validators.chain(participants).chain(governors);
        signers.chain(witnesses).chain(readers).collect()
    }
    let count = names(&mut fixture::configuration()).len();
    assert_eq!(count, 4 + 4 + 3 + 1 + 1);
    for second in 1..count {
        for first in 0..second {
            let mut configuration = fixture::configuration();
            let mut names = names(&mut configuration);
            let name = names[first].clone();
            *names[second] = name.clone();
            assert_eq!(refusal(configuration), RosterError::SharedName(name));
        }
    }
}

#[test]
fn thresholds_lie_between_one_and_the_organisations() {
    let cases = ["document", "admission", "apply"];
    for what in cases {
        for needed in [0, 4, u16::MAX] {
            let mut configuration = fixture::configuration();
            let thresholds = &mut configuration.thresholds;
            match what {
                "document" => thresholds.document = needed,
                "admission" => thresholds.admission = needed,
                _ => thresholds.apply = needed,
            }
            let expected = RosterError::Threshold { what, needed, organisations: 3 };
            assert_eq!(refusal(configuration), expected);
        }
    }
}

#[test]
fn an_organisation_has_one_governor() {
    let mut configuration = fixture::configuration();
    let shared = configuration.governors[0].organisation.clone();
    configuration.governors[1].organisation = shared.clone();
    assert_eq!(refusal(configuration), RosterError::SharedOrganisation(shared));
}

#[test]
fn fewer_than_four_validators_are_no_committee() {
    for count in 0..4 {
        let mut configuration = fixture::configuration();
        configuration.validators.truncate(count);
        assert_eq!(refusal(configuration), RosterError::Validators(count));
    }
}

/// Each kind of agreement has its own sizes, and its own digest: whoever takes a committee for the other kind, or
/// its configuration for that of the other kind, has nothing that verifies.
#[test]
fn authority_is_named_and_has_one_to_three() {
    let base = fixture::configuration();
    for count in 1..4 {
        let mut configuration = base.clone();
        configuration.validators.truncate(count);
        let roster = configuration.clone().validate_as(Agreement::Authority).expect("authorities");
        assert_eq!((roster.agreement(), roster.quorum()), (Agreement::Authority, count / 2 + 1));
        assert_eq!(roster.digest(), configuration.digest_as(Agreement::Authority));
        assert_ne!(roster.digest(), configuration.digest());
    }
    for count in [0, 4] {
        let mut configuration = base.clone();
        configuration.validators.truncate(count);
        let refused = configuration.validate_as(Agreement::Authority).map(|roster| roster.digest());
        assert_eq!(refused, Err(RosterError::Authorities(count)));
    }
    let pbft = base.clone().validate().expect("a good roster");
    assert_eq!((pbft.agreement(), pbft.digest()), (Agreement::Byzantine, base.digest()));
}

#[test]
fn a_mandate_does_not_end_before_it_begins() {
    let mut configuration = fixture::configuration();
    configuration.mandate.first_epoch = fixture::epoch(101);
    let expected = RosterError::Mandate { first: fixture::epoch(101), last: fixture::epoch(100) };
    assert_eq!(refusal(configuration), expected);
    let mut one_epoch = fixture::configuration();
    one_epoch.mandate.first_epoch = fixture::epoch(100);
    assert!(one_epoch.validate().is_ok());
}

#[test]
fn the_committee_hash_follows_votes_keys_and_order() {
    let base = fixture::configuration();
    let mut swapped = base.clone();
    swapped.validators.swap(0, 1);
    assert_ne!(swapped.validator_set_hash(), base.validator_set_hash());
    let mut renewed = base.clone();
    renewed.validators[0].consensus_key = fixture::public("validator-9");
    assert_ne!(renewed.validator_set_hash(), base.validator_set_hash());
    let mut policy = base.clone();
    policy.policy_hash = fixture::digest("another");
    assert_eq!(policy.validator_set_hash(), base.validator_set_hash());
    assert_ne!(policy.digest(), base.digest());
}

/// What is refused here could be signed and hashed, and then read back by nobody.
#[test]
fn a_configuration_that_no_reader_would_take_is_no_roster() {
    let record = |index: usize| {
        let owner = format!("v{index}");
        federation_proto::genesis::ValidatorRecord {
            name: fixture::name(&owner),
            fingerprint: fixture::public(&owner),
            consensus_key: fixture::public(&owner),
            log_key: fixture::public(&owner),
            encryption_key: fixture::reader(&owner).public(),
            organisation: fixture::name("org-v"),
            region: fixture::name("here"),
        }
    };
    let limit = federation_proto::limits::VALIDATORS;
    let mut configuration = fixture::configuration();
    configuration.validators = (0..limit).map(record).collect();
    assert!(Configuration::from_canonical(&configuration.to_canonical()).is_ok());
    assert!(configuration.clone().validate().is_ok());
    configuration.validators.push(record(limit));
    assert!(Configuration::from_canonical(&configuration.to_canonical()).is_err());
    let (what, got) = ("validators", limit + 1);
    assert_eq!(refusal(configuration), RosterError::TooMany { what, got, limit });
    let mut configuration = fixture::configuration();
    let limit = federation_proto::limits::PARTICIPANTS;
    configuration.participants = vec![configuration.participants[0].clone(); limit + 1];
    let (what, got) = ("participants", limit + 1);
    assert_eq!(refusal(configuration), RosterError::TooMany { what, got, limit });
}
