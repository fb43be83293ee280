//! Who is to blame when two batches were committed in one place.
//!
//! Two commit certificates for one sequence number need more than f liars, and then nothing can be promised but this:
//! at least f+1 of them are *named*, each by two messages of its own that no correct replica signs both of, so
//! nobody who kept to the protocol is ever accused. Source: Sheng et al., *BFT Protocol Forensics*, CCS '21, for PBFT
//! with signatures.
//!
//! ```text
//! certificates of one view v     q ∩ q replicas committed twice                                 Commit
//! certificates of views v < w    the NEW-VIEW of w let the other batch in, for ...
//!   no VIEW-CHANGE in it has a certificate of v or later                     q ∩ q forgot it    Forgotten
//!   one has a certificate of v, for the other batch                          q ∩ q accepted it  AcceptedOther, AssignedOther
//!   one has a certificate of u, v < u < w                                    the same question for u
//! ```
//!
//! What must be kept: the commit certificate of every block, and the NEW-VIEW of every view in which one was decided or
//! prepared ([`Replica::new_view`](crate::Replica::new_view)). Any correct replica that voted in a view has its NEW-VIEW, so
//! while one signer of each certificate in the chain is correct, its archive is enough. Without that NEW-VIEW a conflict
//! across views stays [undecided](AuditError::Undecided): votes alone do not say whether their authors or the view's
//! primary lied.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::{Digest, SequenceNumber, Signed, View};
use thiserror::Error;

use crate::certificate::{CertificateError, CommitCertificate, PreparedCertificate, Vote};
use crate::committee::{Committee, ReplicaId};
use crate::evidence::Equivocation;
use crate::message::{Commit, NewView, PrePrepare, Prepare, ViewChange};
use crate::replica::{check_new_view, floor};
use crate::settings::MAX_WINDOW;

/// Why nobody is named.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// One of the certificates proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificates may both stand.
    #[error(
        "sequence {first} with {first_digest} and sequence {second} with {second_digest} do not conflict"
    )]
    NoConflict {
        /// Sequence number of the first.
        first: SequenceNumber,
        /// Its batch.
        first_digest: Digest,
        /// Sequence number of the second.
        second: SequenceNumber,
        /// Its batch.
        second_digest: Digest,
    },
    /// No valid NEW-VIEW of this view that lets the batch in is among the kept ones: the first link that is missing.
    #[error("undecided: no NEW-VIEW of view {view} that lets {digest} in at sequence {sequence}")]
    Undecided {
        /// The view.
        view: View,
        /// The sequence number.
        sequence: SequenceNumber,
        /// The batch accepted there.
        digest: Digest,
    },
}

/// Names at least f+1 of those who let two batches be committed at one sequence number, in replica order: each with
/// evidence that [verifies](Equivocation::verify) alone. `kept` holds NEW-VIEWs from anybody's archive, in any order;
/// nothing about them is trusted.
///
/// # Errors
/// Any variant of [`AuditError`].
pub fn audit(
    committee: &Committee,
    first: &CommitCertificate,
    second: &CommitCertificate,
    kept: &[Signed<NewView>],
) -> Result<Vec<Equivocation>, AuditError> {
    first.verify(committee)?;
    second.verify(committee)?;
    if first.sequence != second.sequence || first.digest == second.digest {
        return Err(AuditError::NoConflict {
            first: first.sequence,
            first_digest: first.digest,
            second: second.sequence,
            second_digest: second.digest,
        });
    }
    let (earlier, later) =
        if first.view <= second.view { (first, second) } else { (second, first) };
    let commits = commits_of(earlier);
    if earlier.view == later.view {
        let twice = commits_of(later).into_iter().filter_map(|(replica, second)| {
            let first = commits.get(&replica)?.clone();
            Some(Equivocation::Commit { first, second })
        });
        return Ok(twice.collect());
    }
    descend(committee, &commits, earlier, (later.view, later.digest), kept)
}

/// Goes down the views from where the other batch was accepted to where somebody must have lied to let it in.
fn descend(
    committee: &Committee,
    commits: &BTreeMap<ReplicaId, Signed<Commit>>,
    earlier: &CommitCertificate,
    accepted: (View, Digest),
    kept: &[Signed<NewView>],
) -> Result<Vec<Equivocation>, AuditError> {
    let sequence = earlier.sequence;
    let mut missing = accepted;
    // Ends: every turn takes one place away and adds only places of earlier views, at most one for each NEW-VIEW.
    let mut places = BTreeSet::from([accepted]);
    while let Some((view, digest)) = places.pop_last() {
        missing = (view, digest);
        let here = kept.iter().filter(|new_view| new_view.claimed().view == view);
        for new_view in here {
            let Some(reason) = reason(committee, new_view, sequence, digest) else {
                continue;
            };
            match reason {
                Some(prepared) if prepared.claimed().view > earlier.view => {
                    places.insert((prepared.claimed().view, prepared.claimed().digest));
                }
                Some(prepared) if prepared.claimed().view == earlier.view => {
                    return Ok(accepted_other(commits, prepared));
                }
                _ => return Ok(forgotten(commits, &new_view.claimed().view_changes)),
            }
        }
    }
    let (view, digest) = missing;
    Err(AuditError::Undecided { view, sequence, digest })
}

/// Why a valid NEW-VIEW lets this batch in: the latest certificate for it, or that there is none for the
/// sequence number. Nothing if it does not, or is not valid.
fn reason<'a>(
    committee: &Committee,
    signed: &'a Signed<NewView>,
    sequence: SequenceNumber,
    digest: Digest,
) -> Option<Option<&'a PreparedCertificate>> {
    let new_view = signed.claimed();
    let primary = committee.primary(new_view.view);
    let key = committee.member(primary)?.consensus_key();
    signed.clone().verify(key, committee.context()).ok()?;
    // The window of the committee was smaller; whoever signed more than it allows is caught by what it signed.
    let assigned = check_new_view(new_view, committee, MAX_WINDOW, |_| false).ok()?;
    let changes = new_view.view_changes.iter().map(Signed::claimed);
    let free = sequence > floor(changes.clone());
    let again = assigned.iter().any(|own| (own.sequence, own.digest) == (sequence, digest));
    let prepared = changes.flat_map(|change| &change.prepared);
    let prepared = prepared.filter(|prepared| {
        let claimed = prepared.claimed();
        (claimed.sequence, claimed.digest) == (sequence, digest)
    });
    (free || again).then(|| prepared.max_by_key(|prepared| prepared.claimed().view))
}

/// The COMMITs of a certificate.
fn commits_of(certificate: &CommitCertificate) -> BTreeMap<ReplicaId, Signed<Commit>> {
    let (view, sequence, digest) = (certificate.view, certificate.sequence, certificate.digest);
    let commit = |vote: &Vote| {
        let body = Commit { view, sequence, digest, replica: vote.replica };
        (vote.replica, Signed::from_parts(body, vote.signature))
    };
    certificate.votes.iter().map(commit).collect()
}

/// Those who committed to one batch and accepted or assigned another in the same view.
fn accepted_other(
    commits: &BTreeMap<ReplicaId, Signed<Commit>>,
    prepared: &PreparedCertificate,
) -> Vec<Equivocation> {
    let PrePrepare { view, sequence, digest, replica: primary } = *prepared.claimed();
    let assigned = commits.get(&primary).map(|committed| {
        let (assigned, committed) = (prepared.pre_prepare.clone(), committed.clone());
        (primary, Equivocation::AssignedOther { assigned, committed })
    });
    let accepted = prepared.votes.iter().filter_map(|vote| {
        let committed = commits.get(&vote.replica)?.clone();
        let body = Prepare { view, sequence, digest, replica: vote.replica };
        let accepted = Signed::from_parts(body, vote.signature);
        Some((vote.replica, Equivocation::AcceptedOther { accepted, committed }))
    });
    let named: BTreeMap<_, _> = accepted.chain(assigned).collect();
    named.into_values().collect()
}

/// Those who committed and left it out of their VIEW-CHANGE.
fn forgotten(
    commits: &BTreeMap<ReplicaId, Signed<Commit>>,
    changes: &[Signed<ViewChange>],
) -> Vec<Equivocation> {
    let forgot = changes.iter().filter_map(|change| {
        let committed = commits.get(&change.claimed().replica)?.clone();
        Some(Equivocation::Forgotten { committed, change: Box::new(change.clone()) })
    });
    forgot.collect()
}
