//! Successions: a new roster or policy takes over only where governors of both sides said exactly this, here.

mod binding;
mod policy;

use federation_proto::genesis::{Configuration, GovernorRecord, Roster, RosterError, Thresholds};
use federation_proto::governed::{LedgerPin, RosterChange, RosterChanged, SuccessionError};
use federation_proto::keys::{Document, KeyError};
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, Endorsed, SigningContext};

use crate::fixture::{self, GOVERNORS};

const OUTGOING: &str = "outgoing governors";
const INCOMING: &str = "incoming governors";

pub(crate) fn pin() -> LedgerPin {
    LedgerPin {
        previous_note: fixture::digest("note"),
        head_size: 7,
        head_root: fixture::digest("root 7"),
    }
}

fn roster() -> Roster {
    fixture::configuration().validate().expect("a good roster")
}

fn governor(owner: &str) -> GovernorRecord {
    GovernorRecord {
        name: fixture::name(owner),
        organisation: fixture::name(&format!("org-{owner}")),
        document_key: fixture::public(owner),
        admission_key: fixture::public(owner),
        note_key: fixture::public(owner),
    }
}

/// The next configuration: governor-d sits in the place of governor-c, and two of three are enough.
fn next() -> Configuration {
    let mut next = Configuration { number: 1, ..fixture::configuration() };
    next.governors[2] = governor("governor-d");
    next.thresholds.document = 2;
    next
}

pub(crate) fn change() -> RosterChange {
    RosterChange { previous: fixture::configuration().digest(), configuration: next(), pin: pin() }
}

/// The governors of the next roster.
const SUCCESSORS: [&str; 3] = [GOVERNORS[0], GOVERNORS[1], "governor-d"];

fn endorse(change: &RosterChange, by: &[&str], context: &SigningContext) -> Endorsed<RosterChange> {
    let keys: Vec<_> = by.iter().map(|owner| fixture::secret::<Document>(owner)).collect();
    Endorsed::sign(change.clone(), &keys, context)
}

/// A change with the endorsements of these outgoing and these incoming governors.
fn changed_by(change: &RosterChange, outgoing: &[&str], incoming: &[&str]) -> RosterChanged {
    let context = fixture::context();
    RosterChanged {
        outgoing: endorse(change, outgoing, &context),
        incoming: endorse(change, incoming, &context).endorsements().to_vec(),
    }
}

/// A change that everybody signed who could.
fn signed_by_all(change: &RosterChange) -> RosterChanged {
    changed_by(change, &GOVERNORS, &SUCCESSORS)
}

fn verdict(changed: &RosterChanged) -> Result<Digest, SuccessionError> {
    changed.succeed(&roster(), &fixture::context()).map(|roster| roster.digest())
}

fn below(side: &'static str, valid: usize, needed: usize) -> SuccessionError {
    let cause = SignatureError::BelowThreshold { what: "RosterChange", valid, needed };
    SuccessionError::Signature { side, cause }
}

fn unknown(side: &'static str, owner: &str) -> SuccessionError {
    let key = fixture::public::<Document>(owner).to_string();
    let cause = SignatureError::UnknownKey { what: "RosterChange", key };
    SuccessionError::Signature { side, cause }
}

/// Whether it is the refusal of a signature of one side.
fn invalid(verdict: &Result<Digest, SuccessionError>, expected: &str) -> bool {
    let Err(SuccessionError::Signature { side, cause: SignatureError::Invalid { what, .. } }) =
        verdict
    else {
        return false;
    };
    *side == expected && *what == "RosterChange"
}

#[test]
fn both_sides_put_the_next_roster_in_place() {
    let changed = signed_by_all(&change());
    let next_roster = changed.succeed(&roster(), &fixture::context()).expect("a good change");
    assert_eq!(next_roster.configuration(), &next());
    assert_eq!(next_roster.digest(), next().digest());
    // Two of the three incoming governors are enough for them; the outgoing ones all had to sign.
    assert_eq!(verdict(&changed_by(&change(), &GOVERNORS, &SUCCESSORS[1..])), Ok(next().digest()));
}

#[test]
fn a_change_follows_the_configuration_in_force() {
    let expected = fixture::configuration().digest();
    let got = fixture::digest("another configuration");
    let elsewhere = RosterChange { previous: got, ..change() };
    assert_eq!(
        verdict(&signed_by_all(&elsewhere)),
        Err(SuccessionError::Previous { expected, got })
    );
}

/// Signatures are bound to the configuration in force: under another context a verdict would say nothing of it.
#[test]
fn a_change_is_judged_under_the_configuration_in_force() {
    let context = fixture::other_configuration();
    let expected = fixture::configuration().digest();
    let refusal = SuccessionError::Context { expected, got: context.config_digest };
    // Even where every governor signed just this, bound to that other configuration.
    let outgoing = endorse(&change(), &GOVERNORS, &context);
    let incoming = endorse(&change(), &SUCCESSORS, &context).endorsements().to_vec();
    let verdict = RosterChanged { outgoing, incoming }.succeed(&roster(), &context);
    assert_eq!(verdict.map(|roster| roster.digest()), Err(refusal.clone()));
    let policy = policy::endorse(policy::policy_change(), &GOVERNORS, &context);
    let verdict = policy.succeed(&roster(), &context);
    assert_eq!(verdict.map(|roster| roster.digest()), Err(refusal));
}

#[test]
fn a_change_takes_effect_once() {
    let changed = signed_by_all(&change());
    let next_roster = changed.succeed(&roster(), &fixture::context()).expect("a good change");
    let context = SigningContext { config_digest: next_roster.digest(), ..fixture::context() };
    let again = changed.succeed(&next_roster, &context).map(|roster| roster.digest());
    let (expected, got) = (next().digest(), fixture::configuration().digest());
    assert_eq!(again, Err(SuccessionError::Previous { expected, got }));
}

#[test]
fn configurations_count_up_by_one() {
    for got in [0, 2, 3, u32::MAX] {
        let configuration = Configuration { number: got, ..next() };
        let change = RosterChange { configuration, ..change() };
        let expected = SuccessionError::Number { expected: 1, got };
        assert_eq!(verdict(&signed_by_all(&change)), Err(expected));
    }
}

#[test]
fn the_last_number_has_no_successor() {
    let last = Configuration { number: u32::MAX, ..fixture::configuration() };
    let context = SigningContext { config_digest: last.digest(), ..fixture::context() };
    let roster = last.clone().validate().expect("a good roster");
    for number in [0, u32::MAX] {
        let configuration = Configuration { number, ..next() };
        let change = RosterChange { previous: last.digest(), configuration, pin: pin() };
        let outgoing = endorse(&change, &GOVERNORS, &context);
        let incoming = endorse(&change, &SUCCESSORS, &context).endorsements().to_vec();
        let refused = RosterChanged { outgoing, incoming }.succeed(&roster, &context);
        let refused = refused.map(|roster| roster.digest());
        assert_eq!(refused, Err(SuccessionError::Exhausted(u32::MAX)));
    }
}

#[test]
fn too_few_outgoing_governors_replace_nobody() {
    for valid in 0..3 {
        let changed = changed_by(&change(), &GOVERNORS[..valid], &SUCCESSORS);
        assert_eq!(verdict(&changed), Err(below(OUTGOING, valid, 3)));
    }
}

#[test]
fn too_few_incoming_governors_take_nothing_over() {
    for valid in 0..2 {
        let changed = changed_by(&change(), &GOVERNORS, &SUCCESSORS[..valid]);
        assert_eq!(verdict(&changed), Err(below(INCOMING, valid, 2)));
    }
}

/// The threshold of the roster that comes, not of the one that goes, counts the incoming governors.
#[test]
fn incoming_governors_meet_their_own_threshold() {
    let mut configuration = next();
    configuration.governors.push(governor("governor-e"));
    configuration.thresholds = Thresholds { document: 4, ..configuration.thresholds };
    let change = RosterChange { configuration, ..change() };
    let verdict = |incoming: &[&str]| verdict(&changed_by(&change, &GOVERNORS, incoming));
    assert_eq!(verdict(&SUCCESSORS), Err(below(INCOMING, 3, 4)));
    let all = [&SUCCESSORS[..], &["governor-e"]].concat();
    assert_eq!(verdict(&all), Ok(change.configuration.digest()));
}

#[test]
fn a_replaced_governor_signs_on_the_side_it_sat_on() {
    // Who goes has no say among those who come, and the other way round.
    let changed = changed_by(&change(), &GOVERNORS, &GOVERNORS);
    assert_eq!(verdict(&changed), Err(unknown(INCOMING, "governor-c")));
    let changed = changed_by(&change(), &SUCCESSORS, &SUCCESSORS);
    assert_eq!(verdict(&changed), Err(unknown(OUTGOING, "governor-d")));
}

#[test]
fn outgoing_keys_do_not_speak_for_a_wholly_new_government() {
    const NEWCOMERS: [&str; 3] = ["governor-x", "governor-y", "governor-z"];
    let configuration = Configuration { governors: NEWCOMERS.map(governor).into(), ..next() };
    let change = RosterChange { configuration, ..change() };
    let changed = changed_by(&change, &GOVERNORS, &NEWCOMERS);
    assert_eq!(verdict(&changed), Ok(change.configuration.digest()));
    for outgoing in GOVERNORS {
        let changed = changed_by(&change, &GOVERNORS, &[outgoing]);
        assert_eq!(verdict(&changed), Err(unknown(INCOMING, outgoing)));
    }
}

#[test]
fn endorsements_are_worthless_in_another_federation_or_configuration() {
    for elsewhere in [fixture::other_federation(), fixture::other_configuration()] {
        let here = signed_by_all(&change());
        let outgoing = endorse(&change(), &GOVERNORS, &elsewhere);
        let foreign = RosterChanged { outgoing, ..here.clone() };
        assert!(invalid(&verdict(&foreign), OUTGOING));
        let incoming = endorse(&change(), &SUCCESSORS, &elsewhere).endorsements().to_vec();
        let foreign = RosterChanged { incoming, ..here };
        assert!(invalid(&verdict(&foreign), INCOMING));
    }
}

#[test]
fn both_sides_endorse_one_and_the_same_change() {
    let another = RosterChange { pin: LedgerPin { head_size: 8, ..pin() }, ..change() };
    let (one, other) = (signed_by_all(&change()), signed_by_all(&another));
    let mixed = RosterChanged { incoming: other.incoming, ..one.clone() };
    assert!(invalid(&verdict(&mixed), INCOMING));
    let swapped = Endorsed::from_parts(another, one.outgoing.endorsements().to_vec());
    let mixed = RosterChanged { outgoing: swapped, ..one };
    assert!(invalid(&verdict(&mixed), OUTGOING));
}

#[test]
fn an_unusable_roster_does_not_take_over_however_many_signed() {
    let mut small_order = [0; 32];
    small_order[0] = 1;
    let weak = |configuration: &mut Configuration| {
        configuration.participants[0].fingerprint =
            federation_proto::PublicKey::from_bytes(small_order);
    };
    let shared = |configuration: &mut Configuration| {
        configuration.validators[1].log_key = fixture::public("validator-1");
    };
    let committee = |configuration: &mut Configuration| configuration.validators.truncate(3);
    let refused = |spoil: &dyn Fn(&mut Configuration)| {
        let mut change = change();
        spoil(&mut change.configuration);
        match verdict(&signed_by_all(&change)) {
            Err(SuccessionError::Roster(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let expected = RosterError::WeakKey {
        owner: "site-1".into(),
        role: "identity",
        key: Digest::from_bytes(small_order).to_string(),
        cause: KeyError::SmallOrder,
    };
    assert_eq!(refused(&weak), expected);
    let key = fixture::public::<federation_proto::keys::LogCheckpoint>("validator-1").to_string();
    assert_eq!(refused(&shared), RosterError::SharedKey { owner: "validator-2".into(), key });
    assert_eq!(refused(&committee), RosterError::Validators(3));
}
