//! Frames: everything that nodes of a federation say to each other.
//!
//! A frame is untrusted: what it carries is verified by whoever handles it. Consensus and receipts are
//! signed on their own; what sites send in a session travels in MIPP envelopes.

use consensus_pbft::{CheckpointCertificate, CommitCertificate, ConsensusMessage};
use federation_proto::codec::Canonical;
use federation_proto::entry::ApplySignoff;
use federation_proto::envelope::Envelope;
use federation_proto::handshake::{FederationAccept, FederationHello, FederationRefusal};
use federation_proto::keys::{Admission, GovernanceNote};
use federation_proto::signing::Endorsement;
use federation_proto::update::BlobReceipt;
use federation_proto::{Batch, Digest, Lane, Name, SequenceNumber, Signed, limits};
use ledger::divergence::{Answer, Question};
use serde::{Deserialize, Serialize};

/// One message between nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// A site asks to join.
    Hello(Box<Signed<FederationHello>>),
    /// One governor's endorsement of an accept.
    Accept {
        /// The accept, the same from every governor.
        accept: Box<FederationAccept>,
        /// The governor's signature.
        endorsement: Endorsement<Admission>,
    },
    /// One governor's reasons for refusing a hello.
    Refusal(Box<Signed<FederationRefusal>>),
    /// A message of a session.
    Envelope(Box<Signed<Envelope>>),
    /// A validator stores an update.
    Receipt(Box<Signed<BlobReceipt>>),
    /// A vote or proposal among validators.
    Consensus(Box<ConsensusMessage>),
    /// What was ordered, with its proof: whoever executes it gets the same block.
    Ordered(Box<OrderedBatch>),
    /// A certified result.
    Checkpoint(Box<CheckpointCertificate>),
    /// One governor's signature on a sign-off.
    Approval {
        /// The sign-off without signatures.
        signoff: Box<ApplySignoff>,
        /// The governor's note signature.
        endorsement: Endorsement<GovernanceNote>,
    },
    /// A validator lacks a blob.
    BlobRequest {
        /// Its name.
        blob: Digest,
        /// Who asks; the answer goes to this validator alone.
        asker: Name,
    },
    /// The exact stored bytes of a blob.
    Blob(Vec<u8>),
    /// A validator is behind.
    LedgerQuestion {
        /// What it asks.
        question: Question,
        /// Who asks; the answer goes to this validator alone.
        asker: Name,
    },
    /// An answer about a ledger. It proves itself.
    LedgerAnswer(Box<Answer>),
}

/// A batch with the certificate of its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedBatch {
    /// Its sequence number.
    pub sequence: SequenceNumber,
    /// The batch.
    pub batch: Batch,
    /// q COMMIT votes.
    pub certificate: CommitCertificate,
}

impl Canonical for Frame {
    const NAME: &'static str = "Frame";
    const MAX_BYTES: usize = limits::FRAME;
}

impl Frame {
    /// The lane it travels in.
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Hello(_) | Self::Accept { .. } | Self::Refusal(_) => Lane::Control,
            Self::Envelope(_) | Self::Receipt(_) => Lane::Update,
            Self::Consensus(_) => Lane::Consensus,
            Self::Approval { .. } => Lane::Governance,
            Self::Ordered(_)
            | Self::Checkpoint(_)
            | Self::BlobRequest { .. }
            | Self::Blob(_)
            | Self::LedgerQuestion { .. }
            | Self::LedgerAnswer(_) => Lane::Bulk,
        }
    }
}

/// To whom a frame goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// One node of the roster.
    Node(Name),
    /// Every validator but the sender.
    Validators,
    /// Every governor.
    Governors,
}

/// A frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To whom.
    pub to: Recipient,
    /// What.
    pub frame: Frame,
}

impl Outgoing {
    /// A frame for one node.
    pub fn to_node(name: &Name, frame: Frame) -> Self {
        Self { to: Recipient::Node(name.clone()), frame }
    }

    /// A frame for every validator.
    pub fn to_validators(frame: Frame) -> Self {
        Self { to: Recipient::Validators, frame }
    }

    /// A frame for every governor.
    pub fn to_governors(frame: Frame) -> Self {
        Self { to: Recipient::Governors, frame }
    }
}
