//! Evidence of misbehaviour: self-contained, so that any auditor reaches the same verdict years later.
//!
//! Behind or ahead is not divergence, malformed is rejection, silent is suspension: none of them is evidence.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::batch::Request;
use crate::bounded::Bytes;
use crate::codec::{Canonical, CodecError, canonical};
use crate::counters::{Cycle, Generation};
use crate::digest::Digest;
use crate::entry::{DiscardReason, LedgerEntry, UpdateRef};
use crate::genesis::Roster;
use crate::heartbeat::Heartbeat;
use crate::keys::{Identity, NodeFingerprint};
use crate::limits;
use crate::signing::{SignatureError, Signed, SignedBody, SigningContext};
use crate::update::UpdateCommitment;

/// The canonical bytes of a `Signed<Request>` that carries an update commitment. They stay bytes here: a
/// request holds an entry and an entry may hold evidence, and a type that contains itself has no bounded depth.
pub type RequestBytes = Bytes<{ 2 * limits::COMMITMENT }>;

/// What proves that a node misbehaved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// Two commitments of one (node, generation, cycle) to different updates, bases or predecessors, each in its
    /// signed request.
    ConflictingCommitments {
        /// One.
        first: RequestBytes,
        /// The other.
        second: RequestBytes,
    },
    /// Two heartbeats with one ledger size and two roots, or two states.
    ConflictingHeartbeats {
        /// One.
        first: Signed<Heartbeat>,
        /// The other.
        second: Signed<Heartbeat>,
    },
    /// A heartbeat whose root is not the certified root of its size.
    DivergentHeartbeat(Signed<Heartbeat>),
    /// A committed update that does not hold what its commitment says, judged by whoever can open it.
    InvalidUpdate {
        /// The update.
        update: UpdateRef,
        /// Its stored bytes.
        blob: Digest,
        /// What is wrong with it.
        reason: DiscardReason,
    },
    /// Two votes of one validator that exclude each other, in the consensus crate's form.
    ConflictingVotes(Bytes<{ limits::EVIDENCE }>),
}

canonical! {
    Evidence => limits::EVIDENCE + (64 << 10),
}

/// Why evidence proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// It does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A signature fails.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Its author is not in the roster.
    #[error("evidence against {0}, which is not in the roster")]
    UnknownNode(NodeFingerprint),
    /// The request carries something else than a commitment of its author.
    #[error("request {0} carries no update commitment of its author")]
    NoCommitment(&'static str),
    /// The two statements can both be true.
    #[error("the two statements do not contradict each other")]
    NoConflict,
    /// No certified root is known for this size.
    #[error("no certified root is known for size {0}")]
    UnknownSize(u64),
    /// It convicts somebody else than the quarantine names.
    #[error("quarantine of {named}, the evidence convicts {convicted}")]
    OtherNode {
        /// Who is to be stopped.
        named: NodeFingerprint,
        /// Who did it.
        convicted: NodeFingerprint,
    },
    /// Other crates judge this kind.
    #[error("this kind is judged by {0}")]
    JudgedElsewhere(&'static str),
}

/// A proven misdeed: of whom, and which. Two pieces of evidence for one misdeed give equal convictions, so nobody
/// is tried twice for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conviction {
    /// Who.
    pub node_fingerprint: NodeFingerprint,
    /// What.
    pub offence: Offence,
}

/// What a node did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// Two different updates in one cycle.
    Equivocation {
        /// Generation of both.
        generation: Generation,
        /// Cycle of both.
        cycle: Cycle,
    },
    /// A ledger, or the state after it, that is not the others' or not its own of a moment ago.
    Divergence {
        /// Size of the ledger.
        size: u64,
    },
}

/// A configuration that was in force, with what signatures under it are bound to. The two statements of one
/// offence may stand on either side of a border, so evidence is judged under all of them.
#[derive(Clone, Copy, Debug)]
pub struct InForce<'a> {
    /// Its members.
    pub roster: &'a Roster,
    /// What its signatures are bound to.
    pub context: SigningContext,
}

impl Evidence {
    /// What the evidence proves. `certified_root` gives the certified root of a ledger size.
    pub fn verify(
        &self,
        in_force: &[InForce<'_>],
        certified_root: impl Fn(u64) -> Option<Digest>,
    ) -> Result<Conviction, EvidenceError> {
        match self {
            Self::ConflictingCommitments { first, second } => {
                let first = commitment(first, "one", in_force)?;
                let second = commitment(second, "two", in_force)?;
                let (generation, cycle) = (first.generation, first.cycle);
                let one_cycle = first.node_fingerprint == second.node_fingerprint
                    && (generation, cycle) == (second.generation, second.cycle);
                // Another base or predecessor under the same hash forks the site's chain of updates too. The same
                // update signed again, for another session or epoch, is a retry.
                let update =
                    |c: &UpdateCommitment| (c.update_hash, c.base_state_hash, c.previous_update);
                if !one_cycle || update(&first) == update(&second) {
                    return Err(EvidenceError::NoConflict);
                }
                let offence = Offence::Equivocation { generation, cycle };
                Ok(Conviction { node_fingerprint: first.node_fingerprint, offence })
            }
            Self::ConflictingHeartbeats { first, second } => {
                let first = heartbeat(first, in_force)?;
                let second = heartbeat(second, in_force)?;
                if !first.contradicts(&second) {
                    return Err(EvidenceError::NoConflict);
                }
                Ok(diverged(&first))
            }
            Self::DivergentHeartbeat(signed) => {
                let heartbeat = heartbeat(signed, in_force)?;
                let size = heartbeat.ledger.size;
                let root = certified_root(size).ok_or(EvidenceError::UnknownSize(size))?;
                if heartbeat.ledger.root == root {
                    return Err(EvidenceError::NoConflict);
                }
                Ok(diverged(&heartbeat))
            }
            Self::InvalidUpdate { .. } => Err(EvidenceError::JudgedElsewhere("meta-core")),
            Self::ConflictingVotes(_) => Err(EvidenceError::JudgedElsewhere("consensus-pbft")),
        }
    }
}

fn diverged(heartbeat: &Heartbeat) -> Conviction {
    let offence = Offence::Divergence { size: heartbeat.ledger.size };
    Conviction { node_fingerprint: heartbeat.node_fingerprint, offence }
}

/// The statement, if its claimed author signed it under some configuration in which it was a member.
fn authentic<T: SignedBody<Role = Identity> + Clone>(
    signed: &Signed<T>,
    node: &NodeFingerprint,
    in_force: &[InForce<'_>],
) -> Result<T, EvidenceError> {
    let mut refusal = EvidenceError::UnknownNode(*node);
    for InForce { roster, context } in in_force {
        let Some(key) = roster.identity(node) else { continue };
        match signed.clone().verify(key, context) {
            Ok(verified) => return Ok(verified.into_body()),
            Err(cause) => refusal = cause.into(),
        }
    }
    Err(refusal)
}

fn heartbeat(
    signed: &Signed<Heartbeat>,
    in_force: &[InForce<'_>],
) -> Result<Heartbeat, EvidenceError> {
    authentic(signed, &signed.claimed().node_fingerprint, in_force)
}

fn commitment(
    bytes: &RequestBytes,
    which: &'static str,
    in_force: &[InForce<'_>],
) -> Result<UpdateCommitment, EvidenceError> {
    let signed = Signed::<Request>::from_canonical(bytes.as_slice())?;
    let request = authentic(&signed, &signed.claimed().node_fingerprint, in_force)?;
    match request.entry {
        LedgerEntry::UpdateCommitment(commitment)
            if commitment.node_fingerprint == request.node_fingerprint =>
        {
            Ok(*commitment)
        }
        _ => Err(EvidenceError::NoCommitment(which)),
    }
}
