//! A new policy: one configuration later, and nothing else is different.

use federation_proto::bounded::{Bytes, TooLong};
use federation_proto::codec::Canonical;
use federation_proto::genesis::{Configuration, Roster};
use federation_proto::governed::{PolicyChange, SuccessionError};
use federation_proto::keys::Document;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, Endorsed, HashDomain, SigningContext, limits};

use super::{pin, roster};
use crate::fixture::{self, GOVERNORS};

const SIDE: &str = "governors";

pub(crate) fn policy_change() -> PolicyChange {
    change(fixture::configuration().digest(), b"policy two")
}

fn change(previous: Digest, policy: &[u8]) -> PolicyChange {
    let policy = Bytes::new(policy.to_vec()).expect("a short policy");
    PolicyChange { previous, policy, pin: pin() }
}

pub(super) fn endorse(
    change: PolicyChange,
    by: &[&str],
    context: &SigningContext,
) -> Endorsed<PolicyChange> {
    let keys: Vec<_> = by.iter().map(|owner| fixture::secret::<Document>(owner)).collect();
    Endorsed::sign(change, &keys, context)
}

fn context_of(roster: &Roster) -> SigningContext {
    SigningContext { config_digest: roster.digest(), ..fixture::context() }
}

fn verdict(
    change: &Endorsed<PolicyChange>,
    current: &Roster,
) -> Result<Configuration, SuccessionError> {
    let next = change.succeed(current, &context_of(current))?;
    Ok(next.configuration().clone())
}

fn refused(cause: SignatureError) -> Result<Configuration, SuccessionError> {
    Err(SuccessionError::Signature { side: SIDE, cause })
}

#[test]
fn a_policy_changes_number_and_hash_only() {
    let current = roster();
    let endorsed = endorse(policy_change(), &GOVERNORS, &fixture::context());
    let next = endorsed.succeed(&current, &fixture::context()).expect("a good change");
    let expected = Configuration {
        number: 1,
        policy_hash: Digest::of(HashDomain::Policy, b"policy two"),
        ..fixture::configuration()
    };
    assert_eq!(next.configuration(), &expected);
    assert_eq!(next.digest(), expected.digest());
    assert_ne!(next.digest(), current.digest());
}

#[test]
fn policies_follow_each_other() {
    let genesis = roster();
    let first = endorse(policy_change(), &GOVERNORS, &fixture::context());
    let one = first.succeed(&genesis, &fixture::context()).expect("a good change");
    let body = change(one.digest(), b"policy three");
    let second = endorse(body.clone(), &GOVERNORS, &context_of(&one));
    let two = verdict(&second, &one).expect("a good change");
    let hash = Digest::of(HashDomain::Policy, b"policy three");
    assert_eq!((two.number, two.policy_hash), (2, hash));

    // Neither counts twice or out of order.
    let previous = |expected: Digest, got: Digest| Err(SuccessionError::Previous { expected, got });
    assert_eq!(verdict(&first, &one), previous(one.digest(), genesis.digest()));
    assert_eq!(verdict(&second, &genesis), previous(genesis.digest(), one.digest()));
    // Said while the first configuration was in force, it is not said under the second.
    let early = endorse(body, &GOVERNORS, &fixture::context());
    let invalid = verdict(&early, &one);
    let Err(SuccessionError::Signature { side: SIDE, cause }) = invalid else {
        panic!("{invalid:?}")
    };
    assert!(matches!(cause, SignatureError::Invalid { what: "PolicyChange", .. }));
}

#[test]
fn the_same_policy_again_is_another_configuration() {
    let first = endorse(policy_change(), &GOVERNORS, &fixture::context());
    let one = first.succeed(&roster(), &fixture::context()).expect("a good change");
    let again = change(one.digest(), b"policy two");
    let two = verdict(&endorse(again, &GOVERNORS, &context_of(&one)), &one).expect("a change");
    assert_eq!(two.policy_hash, one.configuration().policy_hash);
    assert_ne!(two.digest(), one.digest());
}

#[test]
fn too_few_governors_change_no_policy() {
    for valid in 0..3 {
        let endorsed = endorse(policy_change(), &GOVERNORS[..valid], &fixture::context());
        let below = SignatureError::BelowThreshold { what: "PolicyChange", valid, needed: 3 };
        assert_eq!(verdict(&endorsed, &roster()), refused(below));
    }
}

#[test]
fn a_stranger_changes_no_policy() {
    let by = [&GOVERNORS[..], &["governor-d"]].concat();
    let endorsed = endorse(policy_change(), &by, &fixture::context());
    let key = fixture::public::<Document>("governor-d").to_string();
    let unknown = SignatureError::UnknownKey { what: "PolicyChange", key };
    assert_eq!(verdict(&endorsed, &roster()), refused(unknown));
}

#[test]
fn endorsements_of_a_policy_are_worthless_elsewhere() {
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let endorsed = endorse(policy_change(), &GOVERNORS, &elsewhere);
        let verdict = verdict(&endorsed, &roster());
        let Err(SuccessionError::Signature { side: SIDE, cause }) = verdict else {
            panic!("{verdict:?}")
        };
        assert!(matches!(cause, SignatureError::Invalid { what: "PolicyChange", .. }));
    }
}

#[test]
fn the_last_configuration_keeps_its_policy() {
    let last = Configuration { number: u32::MAX, ..fixture::configuration() };
    let last = last.validate().expect("a good roster");
    let endorsed = endorse(change(last.digest(), b"policy two"), &GOVERNORS, &context_of(&last));
    assert_eq!(verdict(&endorsed, &last), Err(SuccessionError::Exhausted(u32::MAX)));
}

#[test]
fn the_longest_policy_is_said_and_no_longer_one() {
    let long = endorse(
        change(fixture::configuration().digest(), &vec![0xff; limits::POLICY]),
        &GOVERNORS,
        &fixture::context(),
    );
    assert_eq!(Endorsed::<PolicyChange>::from_canonical(&long.to_canonical()), Ok(long));
    let longer = Bytes::<{ limits::POLICY }>::new(vec![0; limits::POLICY + 1]);
    assert_eq!(longer, Err(TooLong { length: limits::POLICY + 1, limit: limits::POLICY }));
}
