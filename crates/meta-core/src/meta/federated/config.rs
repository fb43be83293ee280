//! What a federation agrees on before it evolves together.

use std::collections::BTreeSet;

use federation_proto::entry::AggregationRule;
use federation_proto::genesis::Roster;
use thiserror::Error;

use crate::genome::GenomeSchema;
use crate::optimizer::EvolutionSettings;

/// Largest useful bound on staleness: beyond 15 halvings an `i16` delta is zero.
pub const MAX_STALENESS: u8 = 15;

/// The plain settings; [`FederationConfig::validate`] makes them usable.
#[derive(Clone, Debug)]
pub struct FederationConfig {
    /// Which genome evolves.
    pub schema: GenomeSchema,
    /// How updates become one.
    pub rule: AggregationRule,
    /// Most epochs between an update's base and the epoch it enters.
    pub max_staleness: u8,
    /// Size and pace of the local cycles.
    pub evolution: EvolutionSettings,
}

/// Settings that fit each other and the roster.
#[derive(Clone, Debug)]
pub struct ValidFederationConfig(FederationConfig);

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The bound on staleness lets updates in that count nothing.
    #[error("max_staleness({found}) must be <= {limit}")]
    Staleness {
        /// The setting.
        found: u8,
        /// [`MAX_STALENESS`].
        limit: u8,
    },
    /// Even with every organisation of the roster present the rule could not be applied.
    #[error("2 * trim({trim}) must be < organisations of the roster({organisations})")]
    Trim {
        /// Lying organisations that the rule tolerates.
        trim: u16,
        /// Organisations with a participant.
        organisations: usize,
    },
    /// Nobody takes part.
    #[error("the roster has no participant")]
    NoParticipant,
}

impl FederationConfig {
    /// Checks the settings against each other and the roster.
    ///
    /// The evolution settings are each site's own budget; [`evolve`](crate::optimizer::evolve) refuses
    /// impossible ones.
    ///
    /// # Errors
    /// Any variant of [`ConfigError`].
    pub fn validate(self, roster: &Roster) -> Result<ValidFederationConfig, ConfigError> {
        let (found, limit) = (self.max_staleness, MAX_STALENESS);
        if found > limit {
            return Err(ConfigError::Staleness { found, limit });
        }
        let participants = roster.participants().iter();
        let organisations: BTreeSet<_> =
            participants.map(|participant| &participant.record.organisation).collect();
        let organisations = organisations.len();
        if organisations == 0 {
            return Err(ConfigError::NoParticipant);
        }
        match self.rule {
            AggregationRule::TrimmedMean { trim } | AggregationRule::NnmTrimmedMean { trim }
                if 2 * usize::from(trim) >= organisations =>
            {
                Err(ConfigError::Trim { trim, organisations })
            }
            _ => Ok(ValidFederationConfig(self)),
        }
    }
}

impl ValidFederationConfig {
    /// Which genome evolves.
    #[must_use]
    pub const fn schema(&self) -> &GenomeSchema {
        &self.0.schema
    }

    /// How updates become one.
    #[must_use]
    pub const fn rule(&self) -> AggregationRule {
        self.0.rule
    }

    /// Most epochs between an update's base and the epoch it enters.
    #[must_use]
    pub const fn max_staleness(&self) -> u8 {
        self.0.max_staleness
    }

    /// Size and pace of the local cycles.
    #[must_use]
    pub const fn evolution(&self) -> &EvolutionSettings {
        &self.0.evolution
    }
}
