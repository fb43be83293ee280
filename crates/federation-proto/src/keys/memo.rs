//! Remembering verified signatures, where many nodes share one process.
//!
//! In a simulation every node checks every certificate, as it must, so the same strict verification runs a
//! dozen times over. A memo answers the repetitions. It holds only positive answers, each bound to key,
//! message and signature, so it changes how long a check takes and never what it says. A real node has
//! none: its checks do not repeat across trust boundaries.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::Signature;
use crate::digest::{Digest, HashDomain};

/// Answers kept; then the memo starts anew. 2²⁰ answers take some 50 MiB.
const MAX_ANSWERS: usize = 1 << 20;

/// Verified (key, message, signature) triples, shared by the keys of one simulated world.
#[derive(Debug, Default)]
pub struct SignatureMemo {
    verified: Mutex<BTreeSet<Digest>>,
}

impl SignatureMemo {
    /// The remembered answer, else the answer of `verify`.
    pub(super) fn recall(
        &self,
        key: &[u8; 32],
        message: &[u8],
        signature: &Signature,
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let parts: [&[u8]; 3] = [key, message, &signature.to_bytes()];
        let name = Digest::of_parts(HashDomain::VerifiedSignature, &parts);
        // A panic elsewhere leaves the set whole: every change is one insertion.
        let known = |memo: &Self| {
            memo.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&name)
        };
        if known(self) {
            return true;
        }
        let valid = verify();
        if valid {
            let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.len() >= MAX_ANSWERS {
                verified.clear();
            }
            verified.insert(name);
        }
        valid
    }
}
