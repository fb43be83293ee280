//! The checks by their stable ids, and what this verifier is permitted not to cover.

macro_rules! checks {
    ($($(#[$meta:meta])* $check:ident = $id:literal $row:literal),+ $(,)?) => {
        /// The checks of the audit, in the order of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$meta])* $check,)+
        }

        impl Check {
            /// Every check.
            pub const ALL: &[Self] = &[$(Self::$check,)+];

            /// Its stable id.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$check => $id,)+ }
            }

            /// The requirement row it answers to.
            pub const fn row(self) -> &'static str {
                match self { $(Self::$check => $row,)+ }
            }
        }
    };
}

checks! {
    /// Every file of the run is there, of one run, and nothing is left over from a writer.
    IncompleteRun = "artifact:incomplete_run" "E3",
    /// The manifest is signed and every file is the one it names.
    Manifest = "artifact:manifest" "C6",
    /// Nothing stands there that no manifest or ledger names.
    Unlisted = "artifact:unlisted" "C6",
    /// Paths stay below the root and name regular files.
    Path = "artifact:path" "C6",
    /// Lengths and counts are within limits.
    Size = "artifact:size" "C6",
    /// Every document has its one canonical encoding.
    Encoding = "artifact:encoding" "E2",
    /// Every document has its shape.
    Schema = "artifact:schema" "E2",
    /// Every document has a known version.
    SchemaVersion = "artifact:schema_version" "E2",
    /// The plan is the one that the ledger leads to.
    FederatedPlan = "artifact:federated_plan" "D5",
    /// The policy is the one that genesis, sessions and epochs pin.
    PolicyPinned = "policy:pinned" "A3",
    /// Every key is canonical, torsion-free and has one job.
    WeakKey = "roster:weak_key" "A1",
    /// Everybody who speaks is in the roster, and the root of trust founded it.
    RosterEpoch = "roster:epoch" "A1",
    /// Every signature verifies strictly.
    SigStrict = "sig:strict" "B3",
    /// Every signature has a reduced scalar.
    SigCanonical = "sig:canonical" "B3",
    /// Every decision has its quorum.
    Quorum = "pbft:quorum" "B5",
    /// Nobody votes twice.
    VoterUnique = "pbft:voter_unique" "B5",
    /// Votes are for the view, sequence number and epoch they stand for.
    ViewSeq = "pbft:view_seq" "B5",
    /// Nobody signs two digests for one slot.
    Equivocation = "pbft:equivocation" "B5",
    /// `consensus_passed`, recomputed from the votes.
    ConsensusPassed = "pbft:consensus_passed" "D5",
    /// Every root is the one its leaves lead to.
    MerkleRoot = "merkle:root" "E5",
    /// Every proof verifies.
    MerkleInclusion = "merkle:inclusion" "E5",
    /// The ledger reaches from its first block to the stated head.
    LedgerHead = "ledger:head" "C4",
    /// There is one head at every size.
    LedgerFork = "ledger:fork" "C1",
    /// Epochs follow each other by one.
    EpochMonotonic = "epoch:monotonic" "B4",
    /// Updates are the committed ones.
    UpdateHash = "align:update_hash" "B4",
    /// Every committed update is accounted for, and everybody absent is.
    Coverage = "align:coverage" "B4",
    /// Every number is within its range.
    Numeric = "align:numeric" "B4",
    /// The alignment is the one that the updates lead to.
    AlignmentProofs = "align:proofs" "D2",
    /// The aggregate, recomputed from the updates, is bit-identical.
    AggregateRecomputed = "aggregate:recomputed" "B5",
    /// Every state, recomputed by replay, is the certified one.
    StateRecomputed = "state:recomputed" "B6",
    /// Sessions record how their channel was secured.
    SessionTransport = "session:transport" "A5",
    /// Genesis and sign-offs have their thresholds.
    GovQuorum = "gov:quorum" "D6",
    /// Every note names the one before it, and the log is the ledger's.
    GovChain = "gov:chain" "D4",
    /// Every applied epoch has its FEDERATED_APPLY.
    GovCoverage = "gov:coverage" "D4",
    /// The held-out figures are signed.
    EvaluationAttested = "evaluation:attested" "E3",
    /// The held-out figures, measured again.
    EvaluationRecomputed = "evaluation:recomputed" "E3",
    /// Zero-knowledge proofs verify.
    ZkProofValid = "zk:proof_valid" "D3",
    /// Zero-knowledge proofs are about these updates.
    ZkPublicInputs = "zk:public_inputs" "D3",
    /// No signer is quarantined or revoked.
    QuarantineSigner = "quarantine:signer" "C2",
    /// Attestation quotes verify.
    AttestationQuote = "attestation:quote" "A9",
    /// The protocol document is approved.
    ProtocolApproved = "gov:protocol_approved" "D10",
    /// External governance services confirm.
    GovConfirmations = "gov:confirmations" "D8",
    /// Rollbacks are governed.
    GovRollback = "gov:rollback" "D6",
    /// Waivers are valid, narrow and used.
    Waiver = "waiver:*" "D1",
    /// Telemetry is configured.
    Telemetry = "telemetry:configured" "G3",
}

/// What this verifier does not check, and why. Pinned here: an artifact cannot add to it.
pub const PERMITTED_GAPS: &[(Check, &str)] = &[
    (
        Check::EvaluationRecomputed,
        "the held-out instances are not in the artifacts; re-run the scenario with its seed to compare",
    ),
    (Check::ZkProofValid, "the policy demands no proof and the proof machinery is not built"),
    (Check::ZkPublicInputs, "the policy demands no proof and the proof machinery is not built"),
    (Check::QuarantineSigner, "the ledger has no quarantine entries yet"),
    (Check::AttestationQuote, "hellos carry no quotes yet"),
    (Check::ProtocolApproved, "the ledger has no PROTOCOL_APPROVE entries yet"),
    (Check::GovConfirmations, "no live confirmations in an offline audit"),
    (Check::GovRollback, "the ledger has no FEDERATED_ROLLBACK entries yet"),
    (Check::Waiver, "there are no waivers yet: nothing is waived"),
    (Check::Telemetry, "no deployment in a simulated run"),
];
