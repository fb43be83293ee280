//! More than f liars had two batches committed: who is named, and that nobody else ever is.
//!
//! `PRISM_FORENSICS_SEEDS=FROM..TO` chooses other runs of the last test.

use std::collections::BTreeSet;

use consensus_pbft::{
    AuditError, Commit, CommitCertificate, Committee, Equivocation, EvidenceError, NewView,
    PrePrepare, Prepare, PreparedCertificate, ViewChange, Vote, audit,
};
use federation_proto::codec::Canonical as _;
use federation_proto::{Digest, SequenceNumber, Signed, View};

use crate::federation::{committee, committee_of, consensus_key, genesis, id};
use crate::seeds::{Dice, for_seeds};
use crate::twins::{Schedule, random_identities, twins};

/// Sequence number of the conflict.
const AT: SequenceNumber = SequenceNumber::new(1);

fn digest(name: &str) -> Digest {
    Digest::of_blob(name.as_bytes())
}

/// COMMITs of these replicas.
fn committed(on: &Committee, view: u64, name: &str, by: &[usize]) -> CommitCertificate {
    let (view, digest) = (View::new(view), digest(name));
    let vote = |index: &usize| {
        let body = Commit { view, sequence: AT, digest, replica: id(*index) };
        let signature = *Signed::sign(body, &consensus_key(*index), on.context()).signature();
        Vote { replica: id(*index), signature }
    };
    CommitCertificate { view, sequence: AT, digest, votes: by.iter().map(vote).collect() }
}

/// The primary's PRE-PREPARE and PREPAREs of these backups.
fn prepared(on: &Committee, view: u64, name: &str, by: &[usize]) -> PreparedCertificate {
    let (view, digest) = (View::new(view), digest(name));
    let primary = usize::from(on.primary(view).get());
    let body = PrePrepare { view, sequence: AT, digest, replica: id(primary) };
    let vote = |index: &usize| {
        let body = Prepare { view, sequence: AT, digest, replica: id(*index) };
        let signature = *Signed::sign(body, &consensus_key(*index), on.context()).signature();
        Vote { replica: id(*index), signature }
    };
    PreparedCertificate {
        pre_prepare: Signed::sign(body, &consensus_key(primary), on.context()),
        votes: by.iter().map(vote).collect(),
    }
}

/// The NEW-VIEW that follows from VIEW-CHANGEs of these replicas, with these certificates.
fn new_view(
    on: &Committee,
    view: u64,
    by: &[(usize, Option<&PreparedCertificate>)],
) -> Signed<NewView> {
    let view = View::new(view);
    let primary = usize::from(on.primary(view).get());
    let change = |(index, prepared): &(usize, Option<&PreparedCertificate>)| {
        let prepared = prepared.iter().map(|prepared| (*prepared).clone()).collect();
        let body = ViewChange { view, stable: None, prepared, replica: id(*index) };
        Signed::sign(body, &consensus_key(*index), on.context())
    };
    let latest = by.iter().filter_map(|(_, prepared)| *prepared);
    let latest = latest.max_by_key(|prepared| prepared.claimed().view);
    let again = latest.map(|prepared| {
        let body = PrePrepare { view, replica: id(primary), ..*prepared.claimed() };
        Signed::sign(body, &consensus_key(primary), on.context())
    });
    let body = NewView {
        view,
        view_changes: by.iter().map(change).collect(),
        pre_prepares: again.into_iter().collect(),
        replica: id(primary),
    };
    Signed::sign(body, &consensus_key(primary), on.context())
}

/// Whom the evidence names. Each piece travels as bytes and convinces somebody who knows only the committee.
fn named(evidence: &[Equivocation], n: usize) -> Vec<usize> {
    let named = evidence.iter().map(|evidence| {
        let read = Equivocation::from_canonical(&evidence.to_canonical()).expect("canonical");
        usize::from(read.verify(&committee(n)).expect("evidence").get())
    });
    named.collect()
}

#[test]
fn trap_19_one_view_two_batches_names_whoever_committed_twice() {
    let on = committee(4);
    let (a, b) = (committed(&on, 0, "a", &[0, 1, 2]), committed(&on, 0, "b", &[0, 1, 3]));
    let guilty = audit(&on, &a, &b, &[]).expect("a conflict");
    assert_eq!(named(&guilty, 4), [0, 1]);
    assert_eq!(audit(&on, &b, &a, &[]).map(|guilty| named(&guilty, 4)), Ok(vec![0, 1]));
}

#[test]
fn trap_19_across_views_names_whoever_forgot_what_it_committed_to() {
    let on = committee(4);
    // Replicas 0 and 1 committed to a in view 0 and said nothing of it when view 1 began.
    let (a, b) = (committed(&on, 0, "a", &[0, 1, 2]), committed(&on, 1, "b", &[0, 1, 3]));
    let free = new_view(&on, 1, &[(0, None), (1, None), (3, None)]);
    let guilty = audit(&on, &b, &a, &[free]).expect("a conflict");
    assert_eq!(named(&guilty, 4), [0, 1]);
    assert!(guilty.iter().all(|guilt| matches!(guilt, Equivocation::Forgotten { .. })));
    // With an older certificate for the other batch, as with none.
    let a = committed(&on, 1, "a", &[0, 1, 2]);
    let b = committed(&on, 2, "b", &[0, 1, 3]);
    let old = prepared(&on, 0, "b", &[1, 3]);
    let again = new_view(&on, 2, &[(0, None), (1, None), (3, Some(&old))]);
    assert_eq!(audit(&on, &a, &b, &[again]).map(|guilty| named(&guilty, 4)), Ok(vec![0, 1]));
}

#[test]
fn trap_19_across_views_names_whoever_accepted_both_in_the_earlier_one() {
    let on = committee(4);
    let (a, b) = (committed(&on, 0, "a", &[0, 1, 2]), committed(&on, 1, "b", &[0, 1, 3]));
    let other = prepared(&on, 0, "b", &[1, 3]);
    // Nobody forgot: who committed to a shows a certificate of that view, for b.
    let changes = [(0, Some(&other)), (1, Some(&other)), (3, Some(&other))];
    let guilty = audit(&on, &a, &b, &[new_view(&on, 1, &changes)]).expect("a conflict");
    assert_eq!(named(&guilty, 4), [0, 1]);
    assert!(matches!(
        &guilty[..],
        [Equivocation::AssignedOther { .. }, Equivocation::AcceptedOther { .. }]
    ));
}

#[test]
fn trap_19_the_lie_is_found_views_below_where_it_took_effect() {
    let on = committee(4);
    let a = committed(&on, 0, "a", &[0, 1, 2]);
    // View 1 began without a, prepared b; views 2 and 6 settled b; it was committed in view 6.
    let one = new_view(&on, 1, &[(0, None), (1, None), (3, None)]);
    let in_one = prepared(&on, 1, "b", &[0, 3]);
    let two = new_view(&on, 2, &[(0, Some(&in_one)), (2, None), (3, Some(&in_one))]);
    let in_two = prepared(&on, 2, "b", &[0, 3]);
    let six = new_view(&on, 6, &[(0, Some(&in_two)), (2, None), (3, Some(&in_two))]);
    let b = committed(&on, 6, "b", &[0, 2, 3]);
    let chain = [six.clone(), one.clone(), two.clone()];
    assert_eq!(audit(&on, &a, &b, &chain).map(|guilty| named(&guilty, 4)), Ok(vec![0, 1]));
    // Without one link nothing is decided.
    for (view, kept) in [(6, [&one, &two]), (2, [&one, &six]), (1, [&two, &six])] {
        let view = View::new(view);
        let undecided = AuditError::Undecided { view, sequence: AT, digest: b.digest };
        assert_eq!(audit(&on, &a, &b, &kept.map(Clone::clone)), Err(undecided));
    }
}

#[test]
fn trap_19_what_proves_nothing_names_nobody() {
    let on = committee(4);
    let (a, b) = (committed(&on, 0, "a", &[0, 1, 2]), committed(&on, 1, "b", &[0, 1, 3]));
    assert!(matches!(audit(&on, &a, &a, &[]), Err(AuditError::NoConflict { .. })));
    let foreign = committee_of(genesis(4, "elsewhere", 0));
    assert!(matches!(audit(&foreign, &a, &b, &[]), Err(AuditError::Certificate(_))));
    // NEW-VIEWs that would accuse the wrong ones, were they believed: unsigned, below a quorum, or settling a.
    let good = new_view(&on, 1, &[(0, None), (1, None), (3, None)]);
    let unsigned = Signed::from_parts(good.claimed().clone(), *free_of(&on).signature());
    let few = new_view(&on, 1, &[(0, None), (2, None)]);
    let settles = prepared(&on, 0, "a", &[1, 2]);
    let settles = new_view(&on, 1, &[(0, Some(&settles)), (2, None), (3, None)]);
    let undecided = AuditError::Undecided { view: b.view, sequence: AT, digest: b.digest };
    assert_eq!(audit(&on, &a, &b, &[unsigned, few, settles]), Err(undecided));
}

/// Any other NEW-VIEW of view 1's primary.
fn free_of(on: &Committee) -> Signed<NewView> {
    new_view(on, 1, &[(1, None), (2, None), (3, None)])
}

/// What a correct replica may well have signed convicts nobody.
#[test]
fn trap_19_a_view_change_that_respects_the_commit_is_no_evidence() {
    let on = committee(4);
    let a = committed(&on, 1, "a", &[0, 1, 2]);
    let innocent = EvidenceError::NoConflict { replica: id(0) };
    let accuse = |view: u64, certificate: Option<&PreparedCertificate>| {
        let changes = new_view(&on, view, &[(0, certificate)]).claimed().view_changes.clone();
        let body = Commit { view: a.view, sequence: AT, digest: a.digest, replica: id(0) };
        let committed = Signed::from_parts(body, a.votes[0].signature);
        Equivocation::Forgotten { committed, change: Box::new(changes[0].clone()) }.verify(&on)
    };
    assert_eq!(accuse(2, None), Ok(id(0)));
    assert_eq!(accuse(2, Some(&prepared(&on, 0, "a", &[1, 2]))), Ok(id(0)));
    // Of the view itself, or of a later one for whatever that settled.
    assert_eq!(accuse(2, Some(&prepared(&on, 1, "a", &[0, 2]))), Err(innocent.clone()));
    assert_eq!(accuse(3, Some(&prepared(&on, 2, "b", &[0, 1]))), Err(innocent.clone()));
    // It was on its way to the view in which it committed.
    assert_eq!(accuse(1, None), Err(innocent));
}

/// f+1 and more identities have twins, schedules are random. Whenever two honest archives disagree, at least f+1
/// are named, and nobody who is honest.
#[test]
fn trap_19_f_and_one_twins_are_named_whenever_they_get_two_batches_committed() {
    let mut kinds = BTreeSet::new();
    let is_default =
        for_seeds("PRISM_FORENSICS_SEEDS", "forensics::trap_19_f_and_one", 0..150, |seed| {
            let mut dice = Dice(seed);
            let n = *dice.pick(&[4, 4, 7]);
            let f = (n - 1) / 3;
            let count = f + 1 + dice.below(f as u64) as usize;
            let twinned = random_identities(&mut dice, n, count);
            let rounds = 2 + dice.below(6);
            let schedule = Schedule::random(&mut dice, rounds, n + count, 2);
            let mut sim = twins(n, &twinned, dice, schedule);
            sim.config.calm = 20_000;
            sim.run();
            let archives = sim.honest().flat_map(|honest| honest.archive.iter().cloned());
            let kept: Vec<_> = archives.collect();
            let certificates: Vec<_> = sim
                .honest()
                .flat_map(|honest| honest.app.history.iter().map(|(.., c)| c))
                .collect();
            for first in &certificates {
                for second in &certificates {
                    if first.sequence != second.sequence || first.digest == second.digest {
                        continue;
                    }
                    let guilty = audit(&sim.committee, first, second, &kept).expect("decided");
                    guilty.iter().for_each(|evidence| sim.check_evidence(evidence));
                    let named: BTreeSet<_> =
                        guilty.iter().map(Equivocation::claimed_replica).collect();
                    assert!(named.len() > f, "{named:?} of {twinned:?}");
                    kinds.extend(guilty.iter().map(kind));
                }
            }
        });
    assert!(!is_default || kinds == BTreeSet::from(["forgotten", "twice"]), "{kinds:?}");
}

fn kind(evidence: &Equivocation) -> &'static str {
    match evidence {
        Equivocation::Commit { .. } => "twice",
        Equivocation::Forgotten { .. } => "forgotten",
        _ => "accepted",
    }
}
