//! Certificates: q votes that prove, to anybody who knows the committee, what was decided.
//!
//! A [`CommitCertificate`] proves *order*, a [`CheckpointCertificate`] the *result* of executing it.
//! Both verify standing alone, with strict Ed25519 verification one signature at a time: batch verification
//! accepts signatures that strict verification refuses, and then two auditors may disagree.

use std::collections::BTreeSet;

use federation_proto::codec::Canonical;
use federation_proto::keys::Signature;
use federation_proto::signing::SignatureError;
use federation_proto::{Digest, SequenceNumber, Signed, View};
use ledger::{CheckpointError, Note, NoteError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::committee::{Committee, Member, ReplicaId};
use crate::message::{Checkpoint, CheckpointStatement, Commit, PrePrepare, Prepare};

/// One COMMIT of a certificate; what it says stands in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who voted.
    pub replica: ReplicaId,
    /// Signature of its [`Commit`].
    pub signature: Signature,
}

/// Proof that a batch has its place in the order: COMMITs of q replicas [OSDI '99 §4.2].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitCertificate {
    /// View in which it was decided.
    pub view: View,
    /// The sequence number decided.
    pub sequence: SequenceNumber,
    /// Digest of the batch.
    pub digest: Digest,
    /// Votes, in strictly increasing order of the replicas.
    pub votes: Vec<Vote>,
}

/// One CHECKPOINT of a certificate; its statement stands in the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointVote {
    /// Who voted.
    pub replica: ReplicaId,
    /// Signature of its [`Checkpoint`].
    pub signature: Signature,
    /// Its log key's signature on the C2SP checkpoint text.
    pub note_signature: Signature,
}

/// Proof that a checkpoint is stable: CHECKPOINTs of q replicas [OSDI '99 §4.3].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointCertificate {
    /// The result they agree on.
    pub statement: CheckpointStatement,
    /// Votes, in strictly increasing order of the replicas.
    pub votes: Vec<CheckpointVote>,
}

/// Proof that a batch was *prepared* in a view: its primary's PRE-PREPARE, and PREPAREs of backups that make a quorum
/// with it [OSDI '99 §4.2]. No other batch can have been prepared there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedCertificate {
    /// The primary's assignment.
    pub pre_prepare: Signed<PrePrepare>,
    /// Signatures of [`Prepare`]s for it, in strictly increasing order of the replicas, the primary not among them.
    pub votes: Vec<Vote>,
}

/// Why a certificate proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// A vote by a replica that the committee does not have.
    #[error("vote of unknown replica {replica}: the committee has {size} replicas")]
    UnknownReplica {
        /// Who claims to have voted.
        replica: ReplicaId,
        /// Replicas of the committee.
        size: usize,
    },
    /// A replica, or a public key, votes twice.
    #[error("replica {replica} votes twice")]
    DuplicateVoter {
        /// Who.
        replica: ReplicaId,
    },
    /// Votes are not in the order of their replicas, so this is a second form of another certificate.
    #[error("the vote of replica {replica} stands after that of replica {previous}")]
    Unordered {
        /// The vote out of order.
        replica: ReplicaId,
        /// The one before it.
        previous: ReplicaId,
    },
    /// A vote's signature does not verify strictly for this committee and content.
    #[error("vote of replica {replica}: {cause}")]
    BadSignature {
        /// Whose.
        replica: ReplicaId,
        /// What is wrong.
        cause: SignatureError,
    },
    /// A note signature does not verify strictly under the replica's log key.
    #[error("note signature of replica {replica} does not verify under its log key")]
    BadNoteSignature {
        /// Whose.
        replica: ReplicaId,
    },
    /// Fewer distinct public keys voted than decide.
    #[error("{found} distinct keys voted, the quorum is {needed}")]
    BelowQuorum {
        /// Distinct public keys.
        found: usize,
        /// The quorum.
        needed: usize,
    },
    /// The assignment is not by the primary of its view.
    #[error("replica {replica} assigns, the primary of view {view} is {primary}")]
    NotPrimary {
        /// Who assigned.
        replica: ReplicaId,
        /// The view.
        view: View,
        /// Its primary.
        primary: ReplicaId,
    },
    /// The statement can stand in no C2SP checkpoint.
    #[error(transparent)]
    Statement(#[from] CheckpointError),
    /// The certificate cannot be rendered as a note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Canonical for CommitCertificate {
    const NAME: &'static str = "CommitCertificate";
    const MAX_BYTES: usize = ledger::block::MAX_CERTIFICATE_BYTES;
}

impl Canonical for PreparedCertificate {
    const NAME: &'static str = "PreparedCertificate";
    const MAX_BYTES: usize = ledger::block::MAX_CERTIFICATE_BYTES;
}

impl Canonical for CheckpointCertificate {
    const NAME: &'static str = "CheckpointCertificate";
    const MAX_BYTES: usize = ledger::block::MAX_CERTIFICATE_BYTES;
}

impl CommitCertificate {
    /// Checks that at least q distinct public keys of the committee committed to exactly this.
    ///
    /// # Errors
    /// The first vote that is wrong, or [`CertificateError::BelowQuorum`].
    pub fn verify(&self, committee: &Committee) -> Result<(), CertificateError> {
        let voters = self.votes.iter().map(|vote| vote.replica);
        for (vote, member) in self.votes.iter().zip(electorate(committee, voters, None)?) {
            let body = Commit {
                view: self.view,
                sequence: self.sequence,
                digest: self.digest,
                replica: vote.replica,
            };
            Signed::from_parts(body, vote.signature)
                .verify(member.consensus_key(), committee.context())
                .map_err(|cause| CertificateError::BadSignature { replica: vote.replica, cause })?;
        }
        Ok(())
    }
}

impl CheckpointCertificate {
    /// Checks that at least q distinct public keys of the committee executed to exactly this, and that the
    /// log key of each signed the C2SP checkpoint.
    ///
    /// # Errors
    /// The first vote that is wrong, or what is wrong with the whole.
    pub fn verify(&self, committee: &Committee) -> Result<(), CertificateError> {
        let text = self.statement.note_text(committee)?;
        let voters = self.votes.iter().map(|vote| vote.replica);
        for (vote, member) in self.votes.iter().zip(electorate(committee, voters, None)?) {
            let replica = vote.replica;
            let body = Checkpoint {
                statement: self.statement,
                replica,
                note_signature: vote.note_signature,
            };
            Signed::from_parts(body, vote.signature)
                .verify(member.consensus_key(), committee.context())
                .map_err(|cause| CertificateError::BadSignature { replica, cause })?;
            if !member.signed_note(&text, &vote.note_signature) {
                return Err(CertificateError::BadNoteSignature { replica });
            }
        }
        Ok(())
    }

    /// The signed checkpoint of the log: one C2SP note with a line by each voter, in replica order.
    ///
    /// # Errors
    /// [`CertificateError::UnknownReplica`] or what the note refuses; signatures are not checked here.
    pub fn to_note(&self, committee: &Committee) -> Result<Note, CertificateError> {
        let line = |vote: &CheckpointVote| {
            let member = member(committee, vote.replica)?;
            Ok::<_, CertificateError>(member.note_key().line(&vote.note_signature))
        };
        let lines = self.votes.iter().map(line).collect::<Result<_, _>>()?;
        Ok(Note::new(self.statement.note_text(committee)?, lines)?)
    }
}

impl PreparedCertificate {
    /// Checks that the primary of the view assigned the digest and that, with it, at least q distinct public keys of
    /// the committee accepted exactly that.
    ///
    /// # Errors
    /// The first part that is wrong, or [`CertificateError::BelowQuorum`].
    pub fn verify(&self, committee: &Committee) -> Result<(), CertificateError> {
        let PrePrepare { view, sequence, digest, replica } = *self.pre_prepare.claimed();
        let primary = committee.primary(view);
        if replica != primary {
            return Err(CertificateError::NotPrimary { replica, view, primary });
        }
        let bad = |replica| move |cause| CertificateError::BadSignature { replica, cause };
        let key = member(committee, primary)?.consensus_key();
        let voters = self.votes.iter().map(|vote| vote.replica);
        let members = electorate(committee, voters, Some(primary))?;
        self.pre_prepare.clone().verify(key, committee.context()).map_err(bad(primary))?;
        for (vote, member) in self.votes.iter().zip(members) {
            let body = Prepare { view, sequence, digest, replica: vote.replica };
            Signed::from_parts(body, vote.signature)
                .verify(member.consensus_key(), committee.context())
                .map_err(bad(vote.replica))?;
        }
        Ok(())
    }

    /// View, sequence number and digest. Unverified before [`Self::verify`].
    pub fn claimed(&self) -> &PrePrepare {
        self.pre_prepare.claimed()
    }
}

/// The members that `voters` names, if they are strictly increasing and, with `proposer`, whose vote stands elsewhere,
/// at least q distinct public keys.
fn electorate(
    committee: &Committee,
    voters: impl Iterator<Item = ReplicaId>,
    proposer: Option<ReplicaId>,
) -> Result<Vec<&Member>, CertificateError> {
    let mut members: Vec<&Member> = Vec::new();
    let mut keys = BTreeSet::new();
    if let Some(proposer) = proposer {
        keys.insert(member(committee, proposer)?.consensus_key().public());
    }
    for replica in voters {
        let member = member(committee, replica)?;
        if !keys.insert(member.consensus_key().public()) {
            return Err(CertificateError::DuplicateVoter { replica });
        }
        if let Some(previous) = members.last().map(|previous| previous.id())
            && previous > replica
        {
            return Err(CertificateError::Unordered { replica, previous });
        }
        members.push(member);
    }
    if keys.len() < committee.quorum() {
        return Err(CertificateError::BelowQuorum {
            found: keys.len(),
            needed: committee.quorum(),
        });
    }
    Ok(members)
}

fn member(committee: &Committee, replica: ReplicaId) -> Result<&Member, CertificateError> {
    committee
        .member(replica)
        .ok_or(CertificateError::UnknownReplica { replica, size: committee.size() })
}
