//! `ApplySignoff`: m governors sign exactly one text, about exactly what was decided.

use federation_proto::entry::ApplySignoff;
use federation_proto::keys::{GovernanceNote, Signature};
use federation_proto::{Digest, FederatedEpoch, Generation, LedgerEntry, SecretKey};
use governance::machine::Refusal;
use governance::note;

use crate::fixture::{World, key};

const BOTH: [&str; 2] = ["governor-a", "governor-b"];

/// A good sign-off, bent and then signed by two governors: only its content can be wrong.
fn refused(world: &World, bend: impl Fn(&mut ApplySignoff)) -> Refusal {
    let mut signoff = world.signoff();
    bend(&mut signoff);
    world.refusal_of(LedgerEntry::ApplySignoff(world.signed_off(signoff, &BOTH)))
}

/// A good sign-off whose signatures are bent.
fn refused_signatures(
    world: &World,
    signers: &[&str],
    bend: impl Fn(&mut ApplySignoff),
) -> Refusal {
    let mut signoff = world.signed_off(world.signoff(), signers);
    bend(&mut signoff);
    world.refusal_of(LedgerEntry::ApplySignoff(signoff))
}

fn mismatch(what: &'static str, expected: impl ToString, got: impl ToString) -> Refusal {
    Refusal::Mismatch { what, expected: expected.to_string(), got: got.to_string() }
}

#[test]
fn two_of_three_governors_suffice_and_so_do_all() {
    for governors in [&BOTH[..], &["governor-b", "governor-c"], &crate::fixture::GOVERNORS] {
        let mut world = World::decided();
        let signoff = world.signed_off(world.signoff(), governors);
        world.commit_derived(LedgerEntry::ApplySignoff(signoff));
    }
}

#[test]
fn a_signoff_of_something_else_is_refused() {
    let world = World::decided();
    let (good, zero) = (world.signoff(), Digest::ZERO);
    let refusal = refused(&world, |s| s.federated_epoch = FederatedEpoch::new(2));
    assert_eq!(refusal, mismatch("epoch", 1, 2));
    let refusal = refused(&world, |s| s.generation = Generation::new(1));
    assert_eq!(refusal, mismatch("generation", 0, 1));
    let refusal = refused(&world, |s| s.aggregated_hash = zero);
    assert_eq!(refusal, mismatch("aggregated_hash", good.aggregated_hash, zero));
    let refusal = refused(&world, |s| s.new_state_hash = zero);
    assert_eq!(refusal, mismatch("new_state_hash", good.new_state_hash, zero));
    let refusal = refused(&world, |s| s.pin.previous_note = zero);
    assert_eq!(refusal, mismatch("previous_note", world.state().note_head(), zero));
}

#[test]
fn a_signoff_pins_a_head_between_the_aggregate_and_itself() {
    let mut world = World::decided();
    let decided = world.size();
    world.commit_updates([1], 2);
    let (first, last) = (decided, decided + 1);
    for got in [first - 1, last + 1, 0] {
        let refusal = refused(&world, |s| s.pin.head_size = got);
        assert_eq!(refusal, Refusal::Head { first, last, got });
    }
    let wrong = world.root_at(first);
    let refusal = refused(&world, |s| s.pin.head_root = wrong);
    assert_eq!(refusal, mismatch("head_root", world.root_at(last), wrong));
    for size in [first, last] {
        let mut signoff = world.signoff();
        (signoff.pin.head_size, signoff.pin.head_root) = (size, world.root_at(size));
        let signoff = world.signed_off(signoff, &BOTH);
        let item = federation_proto::BatchItem::Derived(LedgerEntry::ApplySignoff(signoff));
        world.preview(vec![item]).expect("a head in range");
    }
}

#[test]
fn one_governor_is_not_enough() {
    let world = World::decided();
    let refusal = refused_signatures(&world, &["governor-c"], |_| ());
    assert_eq!(refusal, Refusal::SignOff { needed: 2, got: 1 });
    let refusal = refused_signatures(&world, &[], |_| ());
    assert_eq!(refusal, Refusal::SignOff { needed: 2, got: 0 });
}

fn note_key(owner: &str) -> SecretKey<GovernanceNote> {
    key(owner)
}

fn bad_note(owner: &str, what: &'static str) -> Refusal {
    Refusal::NoteSignature { key: note_key(owner).public().to_string(), what }
}

#[test]
fn a_governor_counts_once() {
    let world = World::decided();
    let refusal = refused_signatures(&world, &["governor-a", "governor-a"], |_| ());
    assert_eq!(refusal, bad_note("governor-a", "not in strictly increasing order of keys"));
}

#[test]
fn signatures_stand_in_the_order_of_their_keys() {
    let world = World::decided();
    let mut owners = BOTH;
    owners.sort_by_key(|owner| note_key(owner).public());
    let refusal = refused_signatures(&world, &BOTH, |s| s.signatures.reverse());
    assert_eq!(refusal, bad_note(owners[0], "not in strictly increasing order of keys"));
}

#[test]
fn a_foreign_key_refuses_the_whole() {
    let world = World::decided();
    let all = ["governor-a", "governor-b", "governor-x"];
    let refusal = refused_signatures(&world, &all, |_| ());
    assert_eq!(refusal, bad_note("governor-x", "not the note key of a governor"));
}

#[test]
fn a_signature_on_another_text_does_not_count() {
    let world = World::decided();
    let refusal = refused_signatures(&world, &["governor-a", "governor-b", "governor-c"], |s| {
        for endorsement in &mut s.signatures {
            if endorsement.key == note_key("governor-b").public() {
                endorsement.signature = note_key("governor-b").sign_raw(b"something else");
            }
        }
    });
    assert_eq!(refusal, bad_note("governor-b", "does not verify"));
}

#[test]
fn a_scalar_that_is_not_reduced_is_a_second_form_and_refused() {
    // The group order, little-endian: S + L verifies under lax verification.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let world = World::decided();
    let refusal = refused_signatures(&world, &["governor-a"], |s| {
        let mut bytes = s.signatures[0].signature.to_bytes();
        let mut carry = 0u16;
        for (byte, order) in bytes[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert_eq!(carry, 0);
        s.signatures[0].signature = Signature::from_bytes(&bytes);
    });
    assert_eq!(refusal, bad_note("governor-a", "scalar is not reduced"));
}

#[test]
fn notes_are_chained_over_the_epochs() {
    let mut world = World::decided();
    let federation = world.rules().federation_id();
    assert_eq!(world.state().note_head(), note::first_previous(federation));
    let first = world.signoff();
    world.sign_off();
    let hash = note::note_hash(&note::apply_text(federation, &first));
    assert_eq!(world.state().note_head(), hash);
    world.open_epoch().commit_updates(1..=5, 2).cut_epoch().aggregate();
    assert_eq!(world.signoff().pin.previous_note, hash);
    let refusal = refused(&world, |s| s.pin.previous_note = note::first_previous(federation));
    assert_eq!(refusal, mismatch("previous_note", hash, note::first_previous(federation)));
    world.sign_off();
}
