//! The meta state: the genome everybody starts the next epoch from, and where it comes from.
//!
//! A state names its predecessor and the alignment that led from there to here, so a chain of states is
//! the lineage of every update that was ever accepted. The hash of the aggregate itself cannot stand in
//! the state, because the aggregate names the state it leads to.

use federation_proto::codec::Canonical;
use federation_proto::entry::{AggregatedUpdate, AlignmentRecord};
use federation_proto::{Digest, FederatedEpoch, Generation, HashDomain};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::genome::{Genome, GenomeError, GenomeSchema, MAX_GENES};

/// The federation's shared genome with its lineage.
///
/// Decoded bytes may hold anything; [`MetaState::genome`] is where values are checked against a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaState {
    federated_epoch: FederatedEpoch,
    generation: Generation,
    schema_digest: Digest,
    values: Vec<i32>,
    previous_state: Digest,
    alignment: Digest,
}

/// Why an aggregate does not lead on from a state. The state is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApplyError {
    /// The aggregate is of an epoch that this state is already past.
    #[error("aggregate of epoch {update}, must be above the state's epoch {state}")]
    Epoch {
        /// Epoch of the state.
        state: FederatedEpoch,
        /// Epoch of the aggregate.
        update: FederatedEpoch,
    },
    /// A rollback lies between.
    #[error("aggregate of generation {update}, the state is of generation {state}")]
    Generation {
        /// Generation of the state.
        state: Generation,
        /// Generation of the aggregate.
        update: Generation,
    },
    /// The aggregate starts from another state.
    #[error("aggregate starts from state {update}, this is {state}")]
    BaseState {
        /// Hash of this state.
        state: Digest,
        /// Base named by the aggregate.
        update: Digest,
    },
    /// The state belongs to another schema.
    #[error("state of schema {state}, applied under schema {schema}")]
    Schema {
        /// Schema of the state.
        state: Digest,
        /// Schema given.
        schema: Digest,
    },
    /// Values or changes do not have the shape of the schema.
    #[error(transparent)]
    Genome(#[from] GenomeError),
    /// The successor is another state than the aggregate claims.
    #[error("aggregate leads to state {computed}, it claims {stated}")]
    NewState {
        /// Hash of the successor.
        computed: Digest,
        /// Hash that the aggregate states.
        stated: Digest,
    },
}

impl MetaState {
    /// The state before the first epoch: the untuned genome of the schema.
    #[must_use]
    pub fn initial(schema: &GenomeSchema) -> Self {
        Self {
            federated_epoch: FederatedEpoch::ZERO,
            generation: Generation::ZERO,
            schema_digest: Digest::from_bytes(schema.digest()),
            values: Genome::start(schema).values().to_vec(),
            previous_state: Digest::ZERO,
            alignment: Digest::ZERO,
        }
    }

    /// The state's identity.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest::of(HashDomain::MetaState, &self.to_canonical())
    }

    /// Epoch whose aggregate made it; 0 before the first.
    #[must_use]
    pub const fn federated_epoch(&self) -> FederatedEpoch {
        self.federated_epoch
    }

    /// Rollback generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Schema of its genome.
    #[must_use]
    pub const fn schema_digest(&self) -> Digest {
        self.schema_digest
    }

    /// Values of its genome, Q8.24, as they stand; [`Self::genome`] checks them.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    /// Hash of the state before, zero for the first.
    #[must_use]
    pub const fn previous_state(&self) -> Digest {
        self.previous_state
    }

    /// Hash of the alignment record of the updates that made it, zero for the first.
    #[must_use]
    pub const fn alignment(&self) -> Digest {
        self.alignment
    }

    /// The genome, if it is one of `schema`.
    ///
    /// # Errors
    /// [`ApplyError::Schema`] or [`ApplyError::Genome`].
    pub fn genome(&self, schema: &GenomeSchema) -> Result<Genome, ApplyError> {
        let (state, schema_digest) = (self.schema_digest, Digest::from_bytes(schema.digest()));
        if state != schema_digest {
            let schema = schema_digest;
            return Err(ApplyError::Schema { state, schema });
        }
        Ok(Genome::from_values(schema, self.values.clone())?)
    }

    /// The state that a change of every gene (Q8.24) leads to, for those who compute the aggregate and do
    /// not have its hash yet. Integer genes round to whole numbers, half-even; bounds clamp.
    ///
    /// # Errors
    /// [`ApplyError::Epoch`], [`ApplyError::Schema`] or [`ApplyError::Genome`].
    pub fn preview(
        &self,
        schema: &GenomeSchema,
        epoch: FederatedEpoch,
        alignment: &AlignmentRecord,
        delta: &[i32],
    ) -> Result<Self, ApplyError> {
        if epoch <= self.federated_epoch {
            return Err(ApplyError::Epoch { state: self.federated_epoch, update: epoch });
        }
        let base = self.genome(schema)?;
        let (expected, found) = (schema.dimension(), delta.len());
        if expected != found {
            return Err(GenomeError::Length { expected, found }.into());
        }
        let changed = base.values().iter().zip(delta);
        let changed: Vec<i64> = changed.map(|(v, d)| i64::from(*v) + i64::from(*d)).collect();
        let genome = Genome::clamped(schema, &changed)?;
        Ok(Self {
            federated_epoch: epoch,
            generation: self.generation,
            schema_digest: self.schema_digest,
            values: genome.values().to_vec(),
            previous_state: self.hash(),
            alignment: alignment.hash(),
        })
    }

    /// The state after an aggregate, if the aggregate starts here and leads where it says.
    ///
    /// Whether the aggregate was decided and signed off is the caller's to know.
    ///
    /// # Errors
    /// Any variant of [`ApplyError`].
    pub fn apply_update(
        &self,
        schema: &GenomeSchema,
        update: &AggregatedUpdate,
    ) -> Result<Self, ApplyError> {
        if update.generation != self.generation {
            let (state, update) = (self.generation, update.generation);
            return Err(ApplyError::Generation { state, update });
        }
        if update.federated_epoch <= self.federated_epoch {
            let (state, update) = (self.federated_epoch, update.federated_epoch);
            return Err(ApplyError::Epoch { state, update });
        }
        let state = self.hash();
        if update.base_state_hash != state {
            let update = update.base_state_hash;
            return Err(ApplyError::BaseState { state, update });
        }
        let next =
            self.preview(schema, update.federated_epoch, &update.alignment, &update.delta)?;
        let (computed, stated) = (next.hash(), update.new_state_hash);
        if computed != stated {
            return Err(ApplyError::NewState { computed, stated });
        }
        Ok(next)
    }
}

impl Canonical for MetaState {
    const NAME: &'static str = "MetaState";
    // A Q8.24 value has at most five bytes; counters and digests fit the rest.
    const MAX_BYTES: usize = 5 * MAX_GENES + 256;
}

#[cfg(test)]
mod tests {
    use federation_proto::entry::AggregationRule;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::schema;
    use crate::genome::q824;

    fn aggregate(base: &MetaState, epoch: u64, delta: Vec<i32>) -> AggregatedUpdate {
        let federated_epoch = FederatedEpoch::new(epoch);
        let alignment = AlignmentRecord::default();
        let next = base.preview(&schema(), federated_epoch, &alignment, &delta).unwrap();
        AggregatedUpdate {
            federated_epoch,
            generation: base.generation(),
            base_state_hash: base.hash(),
            alignment,
            rule: AggregationRule::Mean,
            delta,
            new_state_hash: next.hash(),
        }
    }

    #[test]
    fn an_aggregate_leads_on_and_names_its_lineage() {
        let first = MetaState::initial(&schema());
        let update = aggregate(&first, 1, vec![-5, 3 * q824::ONE / 2]);
        let next = first.apply_update(&schema(), &update).unwrap();
        // 1.5 goes to the even 2.
        assert_eq!(next.values(), [-5, 2 * q824::ONE]);
        assert_eq!(next.previous_state(), first.hash());
        assert_eq!(next.alignment(), update.alignment.hash());
        assert_eq!(next.hash(), update.new_state_hash);
        assert_eq!(MetaState::from_canonical(&next.to_canonical()), Ok(next));
    }

    #[test]
    fn what_does_not_follow_is_refused_with_both_values() {
        let first = MetaState::initial(&schema());
        let good = aggregate(&first, 3, vec![1, 0]);
        let next = first.apply_update(&schema(), &good).unwrap();
        let refuse = |state: &MetaState, change: &dyn Fn(&mut AggregatedUpdate)| {
            let mut bent = good.clone();
            change(&mut bent);
            state.apply_update(&schema(), &bent).unwrap_err()
        };
        let (three, two) = (FederatedEpoch::new(3), FederatedEpoch::new(2));
        assert_eq!(refuse(&next, &|_| ()), ApplyError::Epoch { state: three, update: three });
        assert_eq!(
            refuse(&next, &|u| u.federated_epoch = two),
            ApplyError::Epoch { state: three, update: two }
        );
        assert_eq!(
            refuse(&first, &|u| u.generation = Generation::new(1)),
            ApplyError::Generation { state: Generation::ZERO, update: Generation::new(1) }
        );
        assert_eq!(
            refuse(&first, &|u| u.base_state_hash = Digest::ZERO),
            ApplyError::BaseState { state: first.hash(), update: Digest::ZERO }
        );
        assert_eq!(
            refuse(&first, &|u| u.new_state_hash = Digest::ZERO),
            ApplyError::NewState { computed: next.hash(), stated: Digest::ZERO }
        );
        assert!(matches!(refuse(&first, &|u| u.delta = vec![2, 0]), ApplyError::NewState { .. }));
        assert!(matches!(
            refuse(&first, &|u| u.alignment.aligned = vec![aligned()]),
            ApplyError::NewState { .. }
        ));
        assert_eq!(
            refuse(&first, &|u| u.delta = vec![1]),
            ApplyError::Genome(GenomeError::Length { expected: 2, found: 1 })
        );
    }

    fn aligned() -> federation_proto::entry::AlignedUpdate {
        federation_proto::entry::AlignedUpdate {
            update: federation_proto::entry::UpdateRef {
                node_fingerprint: federation_proto::keys::PublicKey::from_bytes([1; 32]),
                cycle: federation_proto::Cycle::new(1),
                update_hash: Digest::ZERO,
            },
            staleness: 0,
        }
    }

    proptest! {
        /// Whatever is decided, the next state is legal: it loads as a genome again.
        #[test]
        fn every_successor_is_legal(deltas in prop::collection::vec(any::<[i32; 2]>(), 1..6)) {
            let mut state = MetaState::initial(&schema());
            for (epoch, delta) in (1..).zip(deltas) {
                let update = aggregate(&state, epoch, delta.to_vec());
                state = state.apply_update(&schema(), &update).unwrap();
                prop_assert!(state.genome(&schema()).is_ok());
            }
        }
    }
}
