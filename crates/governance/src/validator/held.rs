//! Requests that were seen and are not ordered yet, and since when: what a cut may no longer leave out, and what
//! patience runs for.
//!
//! Every validator relays a commitment it sees for the first time, so the primary has what backups hold and
//! the grace of the withheld rule measures the primary's will, not one site's lost frame.

use std::collections::BTreeMap;

use federation_proto::{
    Batch, BatchItem, Digest, LedgerEntry, LogicalTime, NodeFingerprint, Request, Signed, limits,
};

/// Waiting requests by the digest of their canonical bytes.
#[derive(Debug, Default)]
pub(super) struct HeldRequests {
    requests: BTreeMap<Digest, Held>,
}

#[derive(Debug)]
struct Held {
    since: LogicalTime,
    request: Signed<Request>,
}

/// The name of a signed request, over its canonical bytes.
pub(super) fn request_digest(request: &Signed<Request>) -> Digest {
    use federation_proto::codec::Canonical as _;
    Digest::of_blob(&request.to_canonical())
}

impl HeldRequests {
    /// Holds an admissible request; says whether it is new here.
    pub(super) fn hold(&mut self, now: LogicalTime, request: &Signed<Request>) -> bool {
        let digest = request_digest(request);
        if self.requests.contains_key(&digest) || self.requests.len() >= limits::BATCH_ITEMS {
            return false;
        }
        self.requests.insert(digest, Held { since: now, request: request.clone() });
        true
    }

    /// Since when a request waits here.
    pub(super) fn since(&self, digest: &Digest) -> Option<LogicalTime> {
        self.requests.get(digest).map(|held| held.since)
    }

    /// How many commitments of a node wait here, one of them apart.
    pub(super) fn of_node_without(&self, node: &NodeFingerprint, apart: &Digest) -> usize {
        let counted = |(digest, held): &(&Digest, &Held)| {
            let request = held.request.claimed();
            let commits = matches!(request.entry, LedgerEntry::UpdateCommitment(_));
            commits && request.node_fingerprint == *node && *digest != apart
        };
        self.requests.iter().filter(counted).count()
    }

    /// What has waited longer than `grace_ms` at `now`, with its waiting time in milliseconds.
    pub(super) fn overdue(
        &self,
        now: LogicalTime,
        grace_ms: u64,
    ) -> impl Iterator<Item = (&Signed<Request>, u64)> {
        let waiting = move |held: &Held| now.millis_since(held.since);
        let overdue = self.requests.values().filter(move |held| waiting(held) > grace_ms);
        overdue.map(move |held| (&held.request, waiting(held)))
    }

    /// Forgets what a batch ordered, then what is admissible no more.
    pub(super) fn settle(&mut self, batch: &Batch, admissible: impl Fn(&Signed<Request>) -> bool) {
        for item in &batch.items {
            if let BatchItem::Request(request) = item {
                self.requests.remove(&request_digest(request));
            }
        }
        self.requests.retain(|_, held| admissible(&held.request));
    }
}
