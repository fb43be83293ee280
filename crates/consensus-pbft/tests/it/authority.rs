//! Proof of authority: one to three validators that may crash and must not lie.

use consensus_pbft::{
    CertificateError, Commit, CommitCertificate, Committee, CommitteeError, Equivocation, Vote,
};
use federation_proto::genesis::{Agreement, RosterError};
use federation_proto::{Digest, SequenceNumber, Signed, SigningContext, View};

use crate::federation::{consensus_key, id, name};
use crate::terms::{Terms, configuration};

fn certificate(context: &SigningContext, voters: &[usize], digest: Digest) -> CommitCertificate {
    let (view, sequence) = (View::ZERO, SequenceNumber::new(1));
    let vote = |voter: &usize| {
        let body = Commit { view, sequence, digest, replica: id(*voter) };
        let signature = *Signed::sign(body, &consensus_key(*voter), context).signature();
        Vote { replica: id(*voter), signature }
    };
    CommitCertificate { view, sequence, digest, votes: voters.iter().map(vote).collect() }
}

#[test]
fn one_two_or_three_authorities_decide() {
    let plans: [(&[usize], usize); 3] = [(&[0], 1), (&[0, 1], 2), (&[0, 1, 2], 2)];
    for (members, quorum) in plans {
        let mut world = Terms::new(1, &[members]);
        assert_eq!(world.first.agreement(), Agreement::Authority);
        assert_eq!((world.first.quorum(), world.first.max_faulty()), (quorum, 0));
        for number in 1..10 {
            world.request(number);
            world.run(500);
        }
        for member in members {
            assert!((1..10).all(|number| world.executed(*member, number)));
            assert!(world.nodes[*member].posts[&0].stable.is_some());
        }
        world.check_safety();
    }
}

/// Of three one may crash, the primary too. Of two none may, and nothing is lost when it comes back.
#[test]
fn a_crash_costs_three_authorities_nothing_and_two_their_progress() {
    let mut world = Terms::new(1, &[&[0, 1, 2]]);
    world.crash(0);
    world.request(1);
    world.run(20_000);
    assert!(world.executed(1, 1) && world.executed(2, 1));
    assert!(world.replica(0, 1).view() > View::ZERO);
    world.restart(0);
    world.crash(1);
    world.request(2);
    world.run(40_000);
    assert!(world.executed(0, 2) && world.executed(2, 2));
    world.check_safety();

    let mut world = Terms::new(1, &[&[0, 1]]);
    world.crash(1);
    world.request(1);
    world.run(20_000);
    assert!(!world.executed(0, 1));
    world.restart(1);
    world.request(1);
    world.run(40_000);
    assert!(world.executed(0, 1) && world.executed(1, 1));
    world.check_safety();
}

/// One authority alone is its own quorum, through every crash.
#[test]
fn a_single_authority_survives_a_crash_at_any_moment() {
    for moment in 0..60 {
        let mut world = Terms::new(moment, &[&[0]]);
        for number in 1..4 {
            world.request(number);
        }
        world.run(moment);
        world.crash(0);
        world.restart(0);
        for number in 1..6 {
            world.request(number);
            world.run(2_000);
        }
        assert!((1..6).all(|number| world.executed(0, number)), "crash at {moment}");
        world.check_safety();
    }
}

#[test]
fn few_are_no_committee_unless_the_configuration_is_taken_for_one_of_authorities() {
    for members in [&[0][..], &[0, 1], &[0, 1, 2]] {
        let refused = configuration(0, members).validate().map(|roster| roster.digest());
        assert_eq!(refused, Err(RosterError::Validators(members.len())));
    }
    let four = configuration(0, &[0, 1, 2, 3]).validate_as(Agreement::Authority);
    assert_eq!(four.map(|roster| roster.digest()), Err(RosterError::Authorities(4)));
}

/// The kind of agreement is in the digest that every signature binds.
#[test]
fn a_certificate_of_authorities_is_none_of_pbft_and_the_other_way_round() {
    let world = Terms::new(1, &[&[0, 1, 2]]);
    let digest = Digest::of_blob(b"a batch");
    let authority = *world.first.context();
    assert_eq!(certificate(&authority, &[0, 1], digest).verify(&world.first), Ok(()));
    // The same configuration, taken for one of PBFT.
    let roster = &world.terms[0].roster;
    let pbft = SigningContext { config_digest: roster.configuration().digest(), ..authority };
    let verdict = certificate(&pbft, &[0, 1], digest).verify(&world.first);
    assert!(matches!(verdict, Err(CertificateError::BadSignature { .. })), "{verdict:?}");
    let committee = Committee::new(roster, pbft, &name("test.log")).map(|c| c.quorum());
    let (context, own) = (pbft.config_digest, roster.digest());
    assert_eq!(committee, Err(CommitteeError::Configuration { context, roster: own }));
    // Four of the same people are another committee.
    let four = Terms::new(1, &[&[0, 1, 2, 3]]).first;
    let verdict = certificate(&authority, &[0, 1, 2], digest).verify(&four);
    assert!(matches!(verdict, Err(CertificateError::BadSignature { .. })), "{verdict:?}");
}

/// What proof of authority does not promise: one that lies has two histories decided. It can be convicted.
#[test]
fn one_lying_authority_breaks_safety_and_is_named() {
    let committee = Terms::new(1, &[&[0, 1, 2]]).first;
    let (one, other) = (Digest::of_blob(b"one batch"), Digest::of_blob(b"another"));
    let first = certificate(committee.context(), &[0, 1], one);
    let second = certificate(committee.context(), &[0, 2], other);
    assert_eq!((first.verify(&committee), second.verify(&committee)), (Ok(()), Ok(())));
    let commit = |certificate: &CommitCertificate| {
        let CommitCertificate { view, sequence, digest, .. } = *certificate;
        let Vote { replica, signature } = certificate.votes[0];
        Signed::from_parts(Commit { view, sequence, digest, replica }, signature)
    };
    let (first, second) = (commit(&first), commit(&second));
    assert_eq!(Equivocation::Commit { first, second }.verify(&committee), Ok(id(0)));
}

/// A federation begins with authorities, grows into PBFT, and goes back: only as each border's quorum names it.
#[test]
fn authorities_hand_over_to_pbft_and_take_over_again() {
    let plan: [&[usize]; 4] = [&[0], &[0, 1, 2], &[0, 1, 2, 3], &[1, 2]];
    let mut world = Terms::new(1, &plan);
    for (term, members) in plan.iter().enumerate().skip(1) {
        let number = 10 * term as u64;
        world.order(term);
        for number in number..number + 3 {
            world.request(number);
            world.run(500);
        }
        world.run(2_000);
        assert_eq!(world.at_terms(), [term; 4]);
        world.request(number + 5);
        world.run(2_000);
        assert!(members.iter().all(|member| world.executed(*member, number + 5)));
    }
    let kinds = world.nodes[0].chain.iter().map(|handover| handover.agreement);
    let (authority, byzantine) = (Agreement::Authority, Agreement::Byzantine);
    assert_eq!(kinds.collect::<Vec<_>>(), [authority, byzantine, authority]);
    world.check_safety();
}
