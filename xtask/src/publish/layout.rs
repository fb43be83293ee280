//! Which paths a run owns, and what may stand where they go.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use governance::artifact::{MANIFEST, MANIFEST_SIGNATURE, SCOPE};

use super::{PublishError, stage_error};

/// There while files are being swapped. Lists what the run being swapped in consists of.
pub(crate) const MARKER: &str = "mec/M5/INCOMPLETE";

/// Manifests and markers longer than this are not read: nothing of theirs is removed then.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Whether a run may write or remove this path: relative, plain, and of the layout.
pub(super) fn owns(path: &str) -> bool {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let tidy = !path.contains("//") && !path.contains("/./") && !path.ends_with(['/', '.']);
    let inside = |place: &str| match place.strip_suffix('/') {
        Some(_) => path.starts_with(place),
        None => path == place,
    };
    plain && tidy && SCOPE.iter().any(|place| inside(place))
}

/// The directory's real path. Its parent is made, it itself is not: a whole run is moved there at once.
pub(super) fn resolve(out: &Path) -> Result<PathBuf, PublishError> {
    let unsuitable = |reason| PublishError::Unsuitable { path: out.to_path_buf(), reason };
    match fs::metadata(out) {
        Ok(found) if !found.is_dir() => return Err(unsuitable("it is not a directory")),
        Ok(_) => return out.canonicalize().map_err(stage_error(out)),
        Err(cause) if cause.kind() == ErrorKind::NotADirectory => {
            return Err(unsuitable("a file stands where a directory above it would be"));
        }
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(stage_error(out)(cause)),
        Err(_) if out.is_symlink() => return Err(unsuitable("it is a broken symbolic link")),
        Err(_) => {}
    }
    let name = out.file_name().ok_or_else(|| unsuitable("it has no name"))?;
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(|cause| match cause.kind() {
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            unsuitable("a file stands where a directory above it would be")
        }
        _ => stage_error(parent)(cause),
    })?;
    Ok(parent.canonicalize().map_err(stage_error(parent))?.join(name))
}

/// Whether the places of the layout are free or hold what a run could have put there.
pub(super) fn check(out: &Path) -> Result<(), PublishError> {
    if out.file_name().is_none() || out.parent().is_none() {
        return Err(PublishError::Unsuitable {
            path: out.to_path_buf(),
            reason: "a staging directory must fit beside it",
        });
    }
    if holds_other_things(out) {
        let reason = "it holds other things and no run";
        return Err(PublishError::Unsuitable { path: out.to_path_buf(), reason });
    }
    SCOPE
        .iter()
        .try_for_each(|place| check_place(out, place.trim_end_matches('/'), place.ends_with('/')))
}

/// Whether a directory has something in it and is not a run's: what is written there could pass no audit.
fn holds_other_things(out: &Path) -> bool {
    let is_run = [MANIFEST, MARKER].iter().any(|path| out.join(path).exists());
    let mut entries = fs::read_dir(out).into_iter().flatten().flatten();
    let of_layout = |name: &OsStr| {
        let mut firsts = SCOPE.iter().filter_map(|place| place.split('/').next());
        firsts.any(|first| name == first)
    };
    !is_run && entries.any(|entry| !of_layout(&entry.file_name()))
}

/// Whether a file may go here: real directories above it, and at most a regular file in its place.
pub(super) fn check_target(out: &Path, path: &str) -> Result<(), PublishError> {
    check_place(out, path, false)
}

fn check_place(out: &Path, path: &str, may_be_directory: bool) -> Result<(), PublishError> {
    let mut place = out.to_path_buf();
    let mut parts = Path::new(path).iter().peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let Ok(found) = fs::symlink_metadata(&place) else {
            return Ok(());
        };
        let wants_file = parts.peek().is_none() && !may_be_directory;
        let fits = if wants_file { found.is_file() } else { found.is_dir() };
        if !fits {
            let reason = match (found.is_symlink(), wants_file) {
                (true, _) => "it is a symbolic link",
                (false, true) => "it is not a regular file",
                (false, false) => "it is not a directory",
            };
            return Err(PublishError::Unsuitable { path: place, reason });
        }
    }
    Ok(())
}

/// Files that the run before this one consisted of, by its manifest, and those that an interrupted swap may
/// have placed, by its marker. Both come from disk, so only paths of the layout count.
pub(super) fn listed(out: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Some(text) = read_list(&out.join(MANIFEST)) {
        found.extend([MANIFEST, MANIFEST_SIGNATURE].map(str::to_owned));
        found.extend(manifest_paths(&text));
    }
    if let Some(text) = read_list(&out.join(MARKER)) {
        found.extend(text.lines().map(str::to_owned));
    }
    found.retain(|path| owns(path) && path != MARKER);
    found
}

fn read_list(path: &Path) -> Option<String> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_file() || found.len() > MAX_LIST_BYTES {
        return None;
    }
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_LIST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The paths in a manifest of any version: older runs are replaced too.
pub(crate) fn manifest_paths(text: &str) -> Vec<String> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        return Vec::new();
    };
    let files = value.get("files").and_then(serde_json::Value::as_array);
    let path = |file: &serde_json::Value| Some(file.get("path")?.as_str()?.to_owned());
    files.into_iter().flatten().filter_map(path).collect()
}

/// Name of the staging directory beside a run's directory.
pub(super) fn staging_name(name: &OsStr) -> std::ffi::OsString {
    let mut staging = name.to_os_string();
    staging.push(".staging");
    staging
}
