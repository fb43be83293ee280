//! Requests that wait to be ordered: bounded, for each client too, in order of arrival, each once.

use std::collections::{BTreeMap, BTreeSet};

use federation_proto::codec::Canonical;
use federation_proto::keys::NodeFingerprint;
use federation_proto::{Batch, BatchItem, Digest, Request, Signed, limits};

use crate::rejection::Rejection;
use crate::settings::Settings;

/// The pool. Every replica keeps one, so that a later primary can propose what this one withholds.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    requests: Vec<Signed<Request>>,
    /// Digest and length of each request, in the same order.
    entries: Vec<(Digest, usize)>,
    known: BTreeSet<Digest>,
    bytes: usize,
    clients: BTreeMap<NodeFingerprint, Share>,
}

/// What one client takes of the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    requests: usize,
    bytes: usize,
}

/// A request that there is room for, with its digest and length.
#[derive(Debug)]
pub(super) struct Fitting {
    request: Signed<Request>,
    pub(super) digest: Digest,
    bytes: usize,
}

impl Fitting {
    pub(super) fn request(&self) -> &Signed<Request> {
        &self.request
    }
}

impl Pool {
    /// Whether there is room, asked before the application verifies anything.
    pub(super) fn fit(
        &self,
        request: Signed<Request>,
        settings: &Settings,
    ) -> Result<Fitting, Rejection> {
        let canonical = request.to_canonical();
        let (digest, bytes) = (Digest::of_blob(&canonical), canonical.len());
        if bytes > limits::ENTRY {
            let limit = limits::ENTRY;
            return Err(Rejection::RequestTooLarge { bytes, limit });
        }
        if self.known.contains(&digest) {
            return Err(Rejection::RequestWaits { digest });
        }
        if self.requests.len() >= settings.pool_requests
            || self.bytes.saturating_add(bytes) > settings.pool_bytes
        {
            return Err(Rejection::PoolFull { requests: self.requests.len(), bytes: self.bytes });
        }
        // Whoever claims to be another client gets no further than the application, so it takes nothing of its share.
        let client = request.claimed().node_fingerprint;
        let share = self.clients.get(&client).copied().unwrap_or_default();
        if share.requests >= settings.client_requests
            || share.bytes.saturating_add(bytes) > settings.client_bytes
        {
            let Share { requests, bytes } = share;
            return Err(Rejection::ClientShare { client, requests, bytes });
        }
        Ok(Fitting { request, digest, bytes })
    }

    pub(super) fn add(&mut self, fitting: Fitting) {
        if self.known.insert(fitting.digest) {
            self.bytes = self.bytes.saturating_add(fitting.bytes);
            let client = fitting.request.claimed().node_fingerprint;
            let share = self.clients.entry(client).or_default();
            share.requests = share.requests.saturating_add(1);
            share.bytes = share.bytes.saturating_add(fitting.bytes);
            self.entries.push((fitting.digest, fitting.bytes));
            self.requests.push(fitting.request);
        }
    }

    pub(super) fn requests(&self) -> &[Signed<Request>] {
        &self.requests
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the requests of an executed batch.
    pub(super) fn remove(&mut self, batch: &Batch) {
        let executed: BTreeSet<Digest> = batch
            .items
            .iter()
            .filter_map(|item| match item {
                BatchItem::Request(request) => Some(Digest::of_blob(&request.to_canonical())),
                BatchItem::Derived(_) => None,
            })
            .collect();
        self.retain(|digest, _| !executed.contains(&digest));
    }

    /// Drops every request that `keep` refuses.
    pub(super) fn retain(&mut self, keep: impl Fn(Digest, &Signed<Request>) -> bool) {
        let waiting = core::mem::take(self);
        for (request, (digest, bytes)) in waiting.requests.into_iter().zip(waiting.entries) {
            if keep(digest, &request) {
                self.add(Fitting { request, digest, bytes });
            }
        }
    }

    /// Whether the views of the pool agree and the bounds hold.
    pub(super) fn is_consistent(&self, settings: &Settings) -> bool {
        let bytes: usize = self.entries.iter().map(|(_, bytes)| bytes).sum();
        let mut shares = self.clients.values();
        let shared = |of: fn(&Share) -> usize| self.clients.values().map(of).sum::<usize>();
        let within = shares.all(|share| {
            share.requests <= settings.client_requests && share.bytes <= settings.client_bytes
        });
        self.requests.len() == self.entries.len()
            && self.entries.len() == self.known.len()
            && self.bytes == bytes
            && shared(|share| share.requests) == self.requests.len()
            && shared(|share| share.bytes) == bytes
            && within
            && self.requests.len() <= settings.pool_requests
            && self.bytes <= settings.pool_bytes
    }
}
