//! A federated node whose first failure is kept.
//!
//! The cycle goes on without a node that fails, as a real federation must. A simulation must not: there, a
//! failing site is a defect of the scenario or the code, and its own cause is what people need to read.

use std::sync::{Arc, Mutex, PoisonError};

use federation_proto::{Digest, FederatedEpoch, Name, NodeFingerprint};
use meta_core::meta::federated::{ApprovedAggregate, FederatedNode, SubmittedUpdate};
use meta_core::meta_state::MetaState;

/// The node and the first thing it failed with.
pub(crate) struct WatchedSite<N: FederatedNode> {
    name: Name,
    node: N,
    /// [`FederatedNode::meta_update`] has only a shared reference.
    failure: Mutex<Option<Arc<N::Error>>>,
}

impl<N: FederatedNode> WatchedSite<N> {
    pub(crate) fn new(name: Name, node: N) -> Self {
        Self { name, node, failure: Mutex::new(None) }
    }

    /// Takes out who failed with what, if it did.
    pub(crate) fn failure(&mut self) -> Option<(Name, Arc<N::Error>)> {
        let kept = self.failure.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.take().map(|cause| (self.name.clone(), cause))
    }

    fn kept<T>(&self, outcome: Result<T, N::Error>) -> Result<T, Arc<N::Error>> {
        outcome.map_err(|cause| {
            let cause = Arc::new(cause);
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert_with(|| Arc::clone(&cause));
            cause
        })
    }
}

impl<N: FederatedNode> FederatedNode for WatchedSite<N> {
    type Error = Arc<N::Error>;

    fn node_fingerprint(&self) -> NodeFingerprint {
        self.node.node_fingerprint()
    }

    fn load_meta(&mut self, global: &MetaState) -> Result<(), Self::Error> {
        let outcome = self.node.load_meta(global);
        self.kept(outcome)
    }

    fn run_local_mec_cycle(&mut self, epoch: FederatedEpoch) -> Result<(), Self::Error> {
        let outcome = self.node.run_local_mec_cycle(epoch);
        self.kept(outcome)
    }

    fn meta_update(&self) -> Result<SubmittedUpdate, Self::Error> {
        self.kept(self.node.meta_update())
    }

    fn apply(&mut self, approved: &ApprovedAggregate) -> Result<Digest, Self::Error> {
        let outcome = self.node.apply(approved);
        self.kept(outcome)
    }
}
