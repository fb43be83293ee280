//! The messages of a view change, and those that bring a replica up to date [OSDI '99 §4.4, §5.2].

use federation_proto::codec::Canonical;
use federation_proto::keys::Consensus;
use federation_proto::signing::Domain;
use federation_proto::{Batch, Digest, SequenceNumber, Signed, SignedBody, View, limits};
use serde::{Deserialize, Serialize};

use crate::certificate::{CheckpointCertificate, CommitCertificate, PreparedCertificate};
use crate::committee::ReplicaId;

use super::PrePrepare;

/// Longest VIEW-CHANGE in bytes: a checkpoint certificate, and a prepared certificate for each sequence number of
/// the window.
pub const VIEW_CHANGE_BYTES: usize = 2 << 20;

/// Longest NEW-VIEW in bytes: the VIEW-CHANGEs of a quorum. [`Replica::new`](crate::Replica::new) refuses a window
/// with which they could be longer.
pub const NEW_VIEW_BYTES: usize = limits::BATCH;

/// Most batches that one STATUS asks for.
pub const MAX_WANTED: usize = 16;

/// A replica leaves its view for a later one, and says what the later one must respect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChange {
    /// The view it wants.
    pub view: View,
    /// Its stable checkpoint, the proof of *n* and *C* in the paper; none at the beginning.
    pub stable: Option<CheckpointCertificate>,
    /// *P*: what it prepared above that, in the order of the sequence numbers, of the latest view each.
    pub prepared: Vec<PreparedCertificate>,
    /// Who.
    pub replica: ReplicaId,
}

/// The primary of a view begins it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// *V*: VIEW-CHANGEs of a quorum for it, in the order of the replicas.
    pub view_changes: Vec<Signed<ViewChange>>,
    /// *O*: what follows from them, a PRE-PREPARE for each sequence number, in order.
    pub pre_prepares: Vec<Signed<PrePrepare>>,
    /// The primary.
    pub replica: ReplicaId,
}

/// Where a replica stands. Whoever is further answers with what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its view.
    pub view: View,
    /// Whether it takes part in it, rather than waiting for its NEW-VIEW.
    pub active: bool,
    /// Its stable checkpoint.
    pub stable: SequenceNumber,
    /// Last executed sequence number.
    pub executed: SequenceNumber,
    /// Batches that it has the digest of only, at most [`MAX_WANTED`].
    pub wanted: Vec<(SequenceNumber, Digest)>,
    /// Who.
    pub replica: ReplicaId,
}

/// A batch with the proof of its place: good in any view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The proof.
    pub certificate: CommitCertificate,
    /// The batch.
    pub batch: Batch,
}

/// A batch that somebody wants; its digest says whether it is the right one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedBatch {
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// The batch.
    pub batch: Batch,
}

macro_rules! signed {
    ($($body:ident => $limit:expr),+ $(,)?) => {$(
        impl Canonical for $body {
            const NAME: &'static str = stringify!($body);
            const MAX_BYTES: usize = $limit;
        }
        impl SignedBody for $body {
            const DOMAIN: Domain = Domain::$body;
            type Role = Consensus;
        }
    )+};
}
signed! {
    ViewChange => VIEW_CHANGE_BYTES,
    NewView => NEW_VIEW_BYTES,
    Status => 1 << 10,
}
