//! What of a directory is worth reading: what its manifest lists, and what a run of any kind may hold.

use std::collections::BTreeSet;

use governance::artifact::{
    ANCHOR, ANCHOR_HISTORY, EVALUATION, GENESIS, GOVERNANCE_LOG, MANIFEST, MANIFEST_SIGNATURE,
    PLAN, POLICY, RUN, SCOPE,
};
use ledger::witness::SIDECAR;

use crate::publish::manifest_paths;

/// Files of a run that have one name.
const DOCUMENTS: [&str; 8] =
    [MANIFEST, MANIFEST_SIGNATURE, PLAN, EVALUATION, POLICY, GENESIS, ANCHOR, GOVERNANCE_LOG];

/// The paths that a manifest lists. Whether it is to be believed, the audit says.
#[derive(Debug, Default)]
pub(super) struct Wanted(BTreeSet<String>);

impl Wanted {
    /// Nothing is listed in what is no manifest.
    pub(super) fn listed_in(manifest: &[u8]) -> Self {
        let text = core::str::from_utf8(manifest).unwrap_or_default();
        Self(manifest_paths(text).into_iter().filter(|path| is_printable(path)).collect())
    }

    pub(super) fn lists(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}

/// Whether a run has a file of this name, whatever its manifest says.
pub(super) fn is_of_the_layout(path: &str) -> bool {
    DOCUMENTS.contains(&path) || is_block(path) || is_blob(path) || is_anchor(path)
}

/// Whether a file may stand beside a run without belonging to it: the cosignatures of the last anchor come later, from
/// others, and `ledger verify` judges them.
pub(super) fn is_beside_a_run(path: &str) -> bool {
    path == SIDECAR
}

/// Whether this path, or one below it, belongs to a run.
pub(super) fn leads_to_a_run(path: &str) -> bool {
    let directory = format!("{path}/");
    SCOPE.iter().any(|place| {
        let inside = place.ends_with('/') && directory.starts_with(place);
        *place == path || place.starts_with(&directory) || inside
    })
}

fn is_block(path: &str) -> bool {
    let name = path.strip_prefix(RUN).and_then(|path| path.strip_prefix("ledger/blocks/"));
    name.and_then(|name| name.strip_suffix(".blk")).is_some_and(is_plain_name)
}

fn is_blob(path: &str) -> bool {
    let name = path.strip_prefix(RUN).and_then(|path| path.strip_prefix("ledger/blobs/"));
    name.is_some_and(is_plain_name)
}

fn is_anchor(path: &str) -> bool {
    let name = path.strip_prefix(ANCHOR_HISTORY);
    name.and_then(|name| name.strip_suffix(".merk")).is_some_and(is_plain_name)
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A name that would have to be escaped to be shown is nobody's honest file: it is reported, never read.
fn is_printable(path: &str) -> bool {
    crate::output::visible(path) == path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_known_and_nothing_else() {
        let blob = format!("mec/M5/ledger/blobs/{}", "0".repeat(64));
        let numbered = ["merkle/history/meta_M5.000001.merk", "mec/M5/ledger/blocks/00000000.blk"];
        for path in DOCUMENTS.into_iter().chain(numbered).chain([blob.as_str()]) {
            assert!(is_of_the_layout(path) && leads_to_a_run(path), "{path}");
        }
        for path in
            ["", "mec/M5/x", "mec/M5/ledger/blobs/a/b", "merkle/x.merk", "mec/M5/policy.tom"]
        {
            assert!(!is_of_the_layout(path), "{path}");
        }
        for path in ["mec", "mec/M5", "mec/M5/x", "merkle", "META-GOVERNANCE-LOG.md"] {
            assert!(leads_to_a_run(path), "{path}");
        }
        for path in ["me", "mec/M4", "mec/M55", "merklex", "META-GOVERNANCE-LOG.md.bak"] {
            assert!(!leads_to_a_run(path), "{path}");
        }
        assert!(is_beside_a_run("witness/meta_M5.cosigned"));
        for path in ["witness", "witness/x", "witness/meta_M5.cosigned/x", "merkle/meta_M5.merk"] {
            assert!(!is_beside_a_run(path), "{path}");
        }
    }

    #[test]
    fn only_printable_paths_of_a_manifest_are_listed() {
        let wanted = Wanted::listed_in(br#"{"files":[{"path":"a"},{"path":"b\u001b"},{"no":1}]}"#);
        assert!(wanted.lists("a") && !wanted.lists("b\u{1b}") && !wanted.lists("c"));
        assert!(!Wanted::listed_in(b"\xff").lists("a"));
    }
}
