//! Files: what was found, what the manifest names, what the ledger needs.

use std::collections::BTreeSet;

use federation_proto::Digest;
use federation_proto::codec::Canonical;

use super::checks::Check;
use super::ground::{Documents, Ground};
use super::report::{Place, Results};
use crate::artifact::replay::Replay;
use crate::artifact::{
    ANCHOR, EVALUATION, GENESIS, GOVERNANCE_LOG, LoadProblemKind, LoadedArtifacts, MANIFEST,
    MANIFEST_SIGNATURE, MAX_FILE_BYTES, MAX_FILES, Manifest, PLAN, POLICY, SCOPE, blob_path,
    block_path, epoch_anchor_path, manifest,
};

/// What the edge could not load, and the names and sizes of what it could.
pub(super) fn check_loading(set: &LoadedArtifacts, found: &mut Results) {
    for problem in &set.problems {
        let place = Place::file(&problem.path);
        match &problem.kind {
            LoadProblemKind::Symlink => {
                found.fail(Check::Path, &place, "a regular file", "a symbolic link");
            }
            LoadProblemKind::NotRegular => {
                found.fail(Check::Path, &place, "a regular file", "a FIFO, socket or device");
            }
            LoadProblemKind::Path => {
                found.fail(Check::Path, &place, "a plain path below the root", "another");
            }
            LoadProblemKind::TooLarge { length } => {
                let expected = format!("at most {MAX_FILE_BYTES} bytes");
                found.fail(Check::Size, &place, expected, length);
            }
            LoadProblemKind::TooMany => {
                found.fail(Check::Size, &place, "a run within the limits", "more files or bytes");
            }
            LoadProblemKind::Unreadable(cause) => {
                found.fail(Check::IncompleteRun, &place, "a readable file", cause);
            }
            LoadProblemKind::Foreign => {
                found.fail(Check::Unlisted, &place, "nothing: no manifest lists it", "a file");
            }
            LoadProblemKind::Staging => {
                let expected = "a writer that came to its end";
                found.fail(
                    Check::IncompleteRun,
                    &place,
                    expected,
                    "a leftover of an interrupted one",
                );
            }
        }
    }
    let count = set.files.len();
    let limit = format!("at most {MAX_FILES} files");
    found.holds(Check::Size, &Place::file("."), count <= MAX_FILES, limit, count);
    for (path, bytes) in &set.files {
        let place = Place::file(path);
        found.holds(Check::Path, &place, is_plain(path), "a plain path below the root", path);
        let length = bytes.len() as u64;
        let limit = format!("at most {MAX_FILE_BYTES} bytes");
        found.holds(Check::Size, &place, length <= MAX_FILE_BYTES, limit, length);
    }
}

/// Whether a path stays below the root and inside the scope of a run, with no second spelling.
pub(super) fn is_plain(path: &str) -> bool {
    let plain = |part: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !part.is_empty() && part != "." && part != ".." && part.chars().all(legal)
    };
    let in_scope = |scope: &str| match scope.strip_suffix('/') {
        Some(_) => path.starts_with(scope),
        None => path == scope,
    };
    path.len() <= 256 && path.split('/').all(plain) && SCOPE.iter().any(|scope| in_scope(scope))
}

/// The manifest against the files, and its signature.
pub(super) fn check_manifest(
    set: &LoadedArtifacts,
    documents: &Documents,
    ground: Option<&Ground>,
    found: &mut Results,
) {
    let Some(record) = &documents.manifest else {
        let place = Place::file(MANIFEST);
        found.fail(Check::Manifest, &place, "a readable manifest", "none");
        found.block(&[Check::Unlisted], "no manifest says what belongs to the run");
        return;
    };
    check_signature(set, ground, found);
    if let Some(ground) = ground {
        // Another federation's manifest: two runs were mixed.
        let place = Place::at(MANIFEST, "/federation_id");
        let expected = ground.context.federation_id;
        found.same(Check::IncompleteRun, &place, &expected, &record.federation_id);
        let instance = &ground.genesis.claimed().instance;
        let place = Place::at(MANIFEST, "/scenario");
        found.same(Check::Manifest, &place, &instance.to_string(), &record.scenario.instance());
    }
    check_records(set, record, found);
    let listed: BTreeSet<&str> = record.files.iter().map(|file| file.path.as_str()).collect();
    for path in set.files.keys().filter(|path| !is_manifest(path)) {
        let known = listed.contains(path.as_str());
        found.holds(
            Check::Unlisted,
            &Place::file(path),
            known,
            "nothing: no manifest lists it",
            "a file",
        );
    }
}

fn is_manifest(path: &str) -> bool {
    path == MANIFEST || path == MANIFEST_SIGNATURE
}

fn check_records(set: &LoadedArtifacts, record: &Manifest, found: &mut Results) {
    let files = Place::at(MANIFEST, "/files");
    let count = record.files.len();
    let limit = format!("at most {MAX_FILES} files");
    if !found.holds(Check::Size, &files, count <= MAX_FILES, limit, count) {
        return;
    }
    let mut previous: Option<&str> = None;
    for (index, file) in record.files.iter().enumerate() {
        let place = files.below(index);
        let ordered = previous.is_none_or(|previous| previous < file.path.as_str());
        let expected = "paths in increasing order, each once";
        found.holds(Check::Manifest, &place.below("path"), ordered, expected, &file.path);
        previous = Some(&file.path);
        let plain = is_plain(&file.path) && !is_manifest(&file.path);
        let expected = "a plain path below the root";
        found.holds(Check::Path, &place.below("path"), plain, expected, &file.path);
        let limit = format!("at most {MAX_FILE_BYTES} bytes");
        let fits = file.length <= MAX_FILE_BYTES;
        found.holds(Check::Size, &place.below("length"), fits, limit, file.length);
        match set.files.get(&file.path) {
            None => found.fail(Check::IncompleteRun, &place, &file.path, "no such file"),
            Some(bytes) => {
                found.pass(Check::IncompleteRun);
                // The file is named, not the manifest that lists it: it is the file that differs.
                let at = |field: &str| {
                    Place::at(&file.path, format!("{field} in {MANIFEST} {}", place.at))
                };
                let length = bytes.len() as u64;
                found.same(Check::Manifest, &at("length"), &file.length, &length);
                let digest = Digest::of_blob(bytes);
                found.same(Check::Manifest, &at("blake3"), &file.blake3, &digest);
            }
        }
    }
}

fn check_signature(set: &LoadedArtifacts, ground: Option<&Ground>, found: &mut Results) {
    let place = Place::file(MANIFEST_SIGNATURE);
    let Some(file) = set.files.get(MANIFEST_SIGNATURE) else {
        found.fail(Check::IncompleteRun, &place, "the file", "none");
        found.fail(Check::Manifest, &place, "a signature by the artifact key", "none");
        return;
    };
    let Some(signature) = manifest::parse_signature(file) else {
        let expected = "128 hexadecimal characters and a newline";
        found.fail(Check::Encoding, &place, expected, format!("{} bytes", file.len()));
        found.fail(Check::Manifest, &place, "a signature by the artifact key", "none");
        return;
    };
    if !signature.has_reduced_s() {
        found.fail(Check::SigCanonical, &place, "a reduced scalar", signature);
    }
    let roster = ground.and_then(|ground| ground.roster.as_ref().zip(Some(&ground.context)));
    let (Some((roster, context)), Some(text)) = (roster, set.files.get(MANIFEST)) else {
        found.block(&[Check::Manifest], "no roster says who signs manifests");
        return;
    };
    let key = roster.artifact_key();
    let valid = manifest::verify(text, &signature, key, context);
    let expected = format!("a signature of the manifest by artifact key {}", key.public());
    if !found.holds(Check::Manifest, &place, valid, expected, signature) {
        // Which of the two was changed cannot be told, so both are named.
        let expected = format!("the bytes that {MANIFEST_SIGNATURE} signs");
        found.fail(Check::Manifest, &Place::file(MANIFEST), expected, Digest::of_blob(text));
    }
}

/// Every file that the replayed ledger needs, and no other.
pub(super) fn check_complete(set: &LoadedArtifacts, replay: &Replay, found: &mut Results) {
    let fixed =
        [MANIFEST, MANIFEST_SIGNATURE, GENESIS, POLICY, EVALUATION, PLAN, ANCHOR, GOVERNANCE_LOG];
    let mut needed: BTreeSet<String> = fixed.iter().map(ToString::to_string).collect();
    let ledger = replay.executor.ledger();
    needed.extend(ledger.blocks().filter_map(|block| block_path(block.header.height)));
    needed.extend(replay.cut_blobs().map(|blob| blob_path(&blob)));
    for epoch in &replay.epochs {
        needed.insert(blob_path(&Digest::of_blob(&epoch.meta.to_canonical())));
        needed.insert(epoch_anchor_path(epoch.aggregated.federated_epoch));
    }
    for path in &needed {
        let there = set.files.contains_key(path);
        let expected = "a file that the ledger needs";
        found.holds(Check::IncompleteRun, &Place::file(path), there, expected, "none");
    }
    // Allowed, and checked where they are, but not demanded: see `Replay::waiting_blobs`.
    needed.extend(replay.waiting_blobs().map(|blob| blob_path(&blob)));
    for path in set.files.keys() {
        let expected = "nothing: the ledger names no such file";
        found.holds(Check::Unlisted, &Place::file(path), needed.contains(path), expected, "a file");
    }
}
