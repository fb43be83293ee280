//! What never changes under one configuration: keys, policy, schema, and how a node joins.

use federation_proto::genesis::{FederationKind, Genesis, Roster};
use federation_proto::handshake::{
    AdmissionRules, AttestationDemand, Requirements, SoftwareVersion, TransportKind, WireVersions,
};
use federation_proto::{Digest, FederationId, SigningContext};
use meta_core::genome::GenomeSchema;
use meta_core::meta_state::MetaState;

use crate::policy::Policy;

/// What never changes under one configuration.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Checked keys and thresholds.
    pub roster: Roster,
    /// The policy in force.
    pub policy: Policy,
    /// The genome schema.
    pub schema: GenomeSchema,
    /// What every signature is bound to.
    pub context: SigningContext,
    /// C2SP origin of the ledger's checkpoints.
    pub log_origin: String,
    /// Whether its keys mean anything: a synthetic federation has no network, a live one nothing else.
    pub kind: FederationKind,
}

impl Rules {
    /// The federation.
    pub fn federation_id(&self) -> FederationId {
        self.context.federation_id
    }

    /// Puts together what a genesis, its policy and schema determine, checking that they are those it names.
    pub fn new(
        genesis: &Genesis,
        policy: Policy,
        schema: GenomeSchema,
    ) -> Result<Self, RulesError> {
        let configuration = &genesis.configuration;
        if configuration.policy_hash != policy.digest() {
            return Err(RulesError::Policy {
                pinned: configuration.policy_hash,
                given: policy.digest(),
            });
        }
        let given = Digest::from_bytes(schema.digest());
        if genesis.schema_digest != given {
            return Err(RulesError::Schema { pinned: genesis.schema_digest, given });
        }
        let given = MetaState::initial(&schema).hash();
        if genesis.initial_state_hash != given {
            return Err(RulesError::InitialState { pinned: genesis.initial_state_hash, given });
        }
        Ok(Self {
            context: genesis.signing_context(),
            roster: configuration.clone().validate()?,
            policy,
            schema,
            log_origin: genesis.log_origin.to_string(),
            kind: genesis.kind,
        })
    }

    /// Under which rules a node joins.
    pub fn admission(&self) -> AdmissionRules<'_> {
        let admission = &self.policy.document().admission;
        AdmissionRules {
            roster: &self.roster,
            context: &self.context,
            requirements: Requirements {
                federation_id: self.context.federation_id,
                validator_set_hash: self.roster.configuration().validator_set_hash(),
                software_version: SoftwareVersion::CURRENT,
                wire_versions: WireVersions::CURRENT,
                required: &admission.required_capabilities,
                optional: &[],
                attestation: AttestationDemand::None,
            },
            policy_hash: self.policy.digest(),
            transports: match self.kind {
                FederationKind::Synthetic => &[TransportKind::InProcess],
                FederationKind::Live => &[TransportKind::Zenoh, TransportKind::Quic],
            },
            session_epochs: admission.session_epochs,
        }
    }
}

/// Why genesis, policy and schema do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// The configuration pins another policy.
    #[error("genesis pins policy {pinned}, given is {given}")]
    Policy {
        /// Digest in the configuration.
        pinned: Digest,
        /// Digest of the policy given.
        given: Digest,
    },
    /// The genesis pins another schema.
    #[error("genesis pins genome schema {pinned}, given is {given}")]
    Schema {
        /// Digest in the genesis.
        pinned: Digest,
        /// Digest of the schema given.
        given: Digest,
    },
    /// The genesis pins another initial state.
    #[error("genesis pins initial state {pinned}, the schema's is {given}")]
    InitialState {
        /// Hash in the genesis.
        pinned: Digest,
        /// Hash of the schema's initial state.
        given: Digest,
    },
    /// The roster is unusable.
    #[error(transparent)]
    Roster(#[from] federation_proto::genesis::RosterError),
}
