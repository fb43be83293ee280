//! Every signing domain and every digest domain, by name.
//!
//! The matches have no wildcard: a new domain does not compile until it stands here, and so in the vectors
//! and the document.

use std::collections::BTreeSet;

use federation_proto::HashDomain;
use federation_proto::signing::Domain;

macro_rules! every {
    ($function:ident: $enum:ident { $($variant:ident),+ $(,)? }) => {
        pub(crate) fn $function() -> Vec<($enum, &'static str)> {
            let name = |domain: $enum| match domain {
                $($enum::$variant => stringify!($variant)),+
            };
            [$($enum::$variant),+].map(|domain| (domain, name(domain))).into()
        }
    };
}

every! {
    signing: Domain {
        Genesis, Hello, Accept, Session, Envelope, MetaUpdate, BlobReceipt, Request, Resumption,
        Heartbeat, Refusal, PrePrepare, Prepare, Commit, Checkpoint, ViewChange, NewView, Status, Manifest, RosterChange,
        PolicyChange, GovernancePinned, QuarantineReview, Rollback, KeyRotation, KeyRevocation,
    }
}

every! {
    digest: HashDomain {
        Genesis, Configuration, ValidatorSet, Policy, Hello, AttestationBinding, Session,
        TransportCertificate, Update, Commitment, Proof, BlockHeader, EntryLeaf, Batch,
        AggregatedUpdate, Alignment, GenomeSchema, MetaState, MachineState, GovernanceNote,
        Quarantine, Scenario, Trace, VerifiedSignature, SyntheticKey, SealStream, SealedKeys,
    }
}

#[test]
fn no_number_or_context_is_used_twice() {
    let numbers: BTreeSet<u16> = signing().iter().map(|(domain, _)| *domain as u16).collect();
    assert_eq!(numbers.len(), signing().len());
    let contexts: BTreeSet<&str> = digest().iter().map(|(domain, _)| domain.context()).collect();
    assert_eq!(contexts.len(), digest().len());
    assert!(contexts.iter().all(|context| context.starts_with("prism1 ")));
}
