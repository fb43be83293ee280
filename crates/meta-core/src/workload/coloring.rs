//! Graph colouring: tune a tabu search to the graphs a site holds.
//!
//! The genome is the parameter vector of [`tabucol`]; an evaluation solves every instance once and sums
//! the work, in permille of what the published solver needs. Everything here is integer arithmetic.

pub mod dimacs;
pub mod dsatur;
pub mod families;
pub mod generators;
pub mod graph;
pub mod instance;
mod schema;
pub mod tabucol;

#[cfg(test)]
mod tests;

pub use families::{Family, FamilyError, Split};
pub use instance::{Instance, InstanceError};
pub use schema::{published_default, schema};

use crate::genome::{Genome, GenomeSchema, SchemaError};
use crate::rng::Stream;
use crate::workload::{Evaluation, Workload, WorkloadError};
use tabucol::TabuParameters;

/// A set of colouring instances that genomes are scored on.
#[derive(Debug, Clone)]
pub struct ColoringWorkload {
    schema: GenomeSchema,
    instances: Vec<Instance>,
}

impl ColoringWorkload {
    /// A workload over the given instances.
    ///
    /// # Errors
    /// Those of [`schema()`].
    pub fn new(instances: Vec<Instance>) -> Result<Self, SchemaError> {
        Ok(Self { schema: schema()?, instances })
    }

    /// The instances, in evaluation order.
    #[must_use]
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }
}

impl Workload for ColoringWorkload {
    fn schema(&self) -> &GenomeSchema {
        &self.schema
    }

    fn evaluate(&self, genome: &Genome, trial_seed: u64) -> Result<Evaluation, WorkloadError> {
        if !genome.belongs_to(&self.schema) {
            return Err(WorkloadError::SchemaMismatch {
                workload: self.schema.name().to_owned(),
                expected: self.schema.digest(),
                found: genome.schema_digest(),
            });
        }
        let parameters = TabuParameters::from_values(genome.values());
        let seed = trial_seed.to_le_bytes();
        let runs = self.instances.iter().enumerate().map(|(index, instance)| {
            let mut stream = Stream::new("coloring/trial", &[&seed, &(index as u64).to_le_bytes()]);
            instance.evaluate(&parameters, &mut stream)
        });
        Ok(runs.fold(Evaluation::default(), Evaluation::plus))
    }
}
