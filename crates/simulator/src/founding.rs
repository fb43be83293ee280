//! The genesis of a scenario: roster, mandate and policy, endorsed by the synthetic governors.

use std::sync::Arc;

use consensus_pbft::{Committee, CommitteeError};
use federation_proto::bounded::TextError;
use federation_proto::genesis::{
    Configuration, FederationKind, Genesis, GovernorRecord, Mandate, ParticipantRecord, Thresholds,
    ValidatorRecord,
};
use federation_proto::keys::{Artifact, Document, SignatureMemo};
use federation_proto::name::NameError;
use federation_proto::{Digest, Endorsed, FederatedEpoch, Name, SecretKey};
use governance::artifact::ScenarioRecord;
use governance::executor::Executor;
use governance::machine::{Rules, RulesError};
use meta_core::genome::GenomeSchema;
use meta_core::meta_state::MetaState;
use thiserror::Error;

use crate::keys::KeyRing;
use crate::scenario::{GOVERNORS, Scenario};

/// A founded federation: what every node starts from.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The genesis with its endorsements.
    pub genesis: Endorsed<Genesis>,
    /// What it determines.
    pub rules: Rules,
    /// The committee.
    pub committee: Committee,
}

/// Why a scenario founds no federation.
#[derive(Debug, Error)]
pub enum FoundingError {
    /// A fixed name is refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What names the run is refused.
    #[error("instance: {0}")]
    Instance(#[from] TextError),
    /// Genesis, policy and schema do not fit.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The committee is refused.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
}

impl Founding {
    /// Founds the federation of a scenario and seed.
    pub fn of(
        scenario: &Scenario,
        seed: u64,
        schema: GenomeSchema,
        keys: &KeyRing,
    ) -> Result<Self, FoundingError> {
        let genesis = Genesis {
            kind: FederationKind::Synthetic,
            instance: scenario_record(scenario, seed).instance().parse()?,
            log_origin: Name::new("prism-federation.synthetic-m5")?,
            schema_digest: Digest::from_bytes(schema.digest()),
            initial_state_hash: MetaState::initial(&schema).hash(),
            configuration: configuration(scenario, keys)?,
        };
        let mut rules = Rules::new(&genesis, scenario.policy().clone(), schema)?;
        // Every simulated node checks every signature; the same check is not computed twice.
        rules.roster = rules.roster.memoised(&Arc::new(SignatureMemo::default()));
        let committee = Committee::new(&rules.roster, rules.context, &genesis.log_origin)?;
        let documents: Vec<SecretKey<Document>> =
            GOVERNORS.iter().map(|name| keys.key(name)).collect();
        let genesis = Endorsed::sign(genesis, &documents, &rules.context);
        Ok(Self { genesis, rules, committee })
    }

    /// A node's state before the first block.
    pub fn executor(&self) -> Executor {
        Executor::new(self.rules.clone())
    }
}

/// What is run, as genesis and manifest name it.
pub(crate) fn scenario_record(scenario: &Scenario, seed: u64) -> ScenarioRecord {
    let (name, digest) = (scenario.document().name.to_string(), scenario.digest());
    ScenarioRecord { name, seed, digest }
}

fn configuration(scenario: &Scenario, keys: &KeyRing) -> Result<Configuration, FoundingError> {
    let document = scenario.document();
    let validators = document.validators.iter().map(|validator| {
        let owner = validator.name.as_str();
        ValidatorRecord {
            name: validator.name.clone(),
            fingerprint: keys.key(owner).public(),
            consensus_key: keys.key(owner).public(),
            log_key: keys.key(owner).public(),
            encryption_key: keys.decryption_key(owner).public(),
            organisation: validator.organisation.clone(),
            region: validator.region.clone(),
        }
    });
    let participants = document.sites.iter().map(|site| ParticipantRecord {
        name: site.name.clone(),
        fingerprint: keys.key(site.name.as_str()).public(),
        organisation: site.organisation.clone(),
        region: site.region.clone(),
        role: site.role,
    });
    let governors = GOVERNORS.iter().map(|owner| {
        Ok(GovernorRecord {
            name: Name::new(*owner)?,
            organisation: Name::new(format!("org-{owner}"))?,
            document_key: keys.key(owner).public(),
            admission_key: keys.key(owner).public(),
            note_key: keys.key(owner).public(),
        })
    });
    Ok(Configuration {
        number: 0,
        validators: validators.collect(),
        participants: participants.collect(),
        governors: governors.collect::<Result<_, NameError>>()?,
        witnesses: Vec::new(),
        readers: Vec::new(),
        thresholds: Thresholds { document: 2, admission: 2, apply: 2 },
        mandate: Mandate {
            first_epoch: FederatedEpoch::new(1),
            last_epoch: FederatedEpoch::new(document.epochs),
        },
        policy_hash: scenario.policy().digest(),
        artifact_key: SecretKey::<Artifact>::public(&keys.artifact_key()),
    })
}
