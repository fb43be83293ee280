//! Writing a run: staged beside its place, synced, and swapped in with the manifest last.
//!
//! A run is many files, and no file system swaps many files at once. So everything is first written and
//! synced in `<out>.staging`, on the same file system; until then a full disk, Ctrl-C or a kill changes
//! nothing. Then `mec/M5/INCOMPLETE` appears, the files are renamed into place, files that only the run
//! before had are removed, the manifest follows, and the marker goes last. Whoever is killed in between
//! leaves the marker, which every audit refuses by name and the next run repairs.
//!
//! Only paths of the layout are touched, and of these only files that a manifest or a marker lists. What
//! somebody else put there stays, for the audit to name.

mod layout;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use governance::artifact::{ArtifactSet, MANIFEST, MANIFEST_SIGNATURE, RUN};
use thiserror::Error;

use crate::interrupt;
use staging::Staging;

pub(crate) use layout::{MARKER, manifest_paths};

/// Why a run cannot be written.
#[derive(Debug, Error)]
pub(crate) enum PublishError {
    /// The place cannot be a run's directory.
    #[error("{path} cannot be written: {reason}; name another directory with --out")]
    Unsuitable {
        /// What is in the way.
        path: PathBuf,
        /// Why it is.
        reason: &'static str,
    },
    /// A file of the run has a path outside the layout: a defect of this program.
    #[error("{0:?} is not a path of the artifact layout")]
    Layout(String),
    /// Another process writes there now.
    #[error("another run is writing to {0} now; wait for it or name another directory with --out")]
    Busy(PathBuf),
    /// The staging directory has things in it that no run put there.
    #[error("{0} is not a staging directory of a run; move it away or name another --out")]
    ForeignStaging(PathBuf),
    /// The file system refused, and the old run is untouched.
    #[error("cannot write {path}: {cause}; nothing was changed")]
    Stage {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The file system refused in the middle of the swap.
    #[error(
        "cannot replace {path}: {cause}; the directory is marked INCOMPLETE, run again to repair it"
    )]
    Swap {
        /// Where.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// What writing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every byte was there already.
    Unchanged,
    /// Files were written.
    Written {
        /// Files written.
        files: usize,
        /// Files of the run before that were removed.
        removed: usize,
    },
}

/// A directory reserved for a run that is still being computed.
#[derive(Debug)]
pub(crate) struct Publication {
    out: PathBuf,
    staging: Staging,
}

/// What has to change so that the directory holds exactly the new run.
struct Changes<'r> {
    write: BTreeMap<&'r str, &'r [u8]>,
    remove: BTreeSet<String>,
    repair: bool,
}

impl Publication {
    /// Checks the place and reserves it, before a minute is spent on computing what cannot be written.
    pub(crate) fn reserve(out: &Path) -> Result<Self, PublishError> {
        let out = layout::resolve(out)?;
        layout::check(&out)?;
        let staging = Staging::create(&out)?;
        Ok(Self { out, staging })
    }

    /// Makes the directory hold exactly this run; `files` is keyed by path below it.
    pub(crate) fn publish(mut self, files: &ArtifactSet) -> Result<Outcome, PublishError> {
        if let Some(path) = files.keys().find(|path| !layout::owns(path)) {
            return Err(PublishError::Layout(path.clone()));
        }
        let changes = changes(&self.out, files)?;
        if changes.write.is_empty() && changes.remove.is_empty() && !changes.repair {
            return Ok(Outcome::Unchanged);
        }
        for (path, bytes) in &changes.write {
            self.staging.write(path, bytes)?;
        }
        let outcome =
            Outcome::Written { files: changes.write.len(), removed: changes.remove.len() };
        if self.staging.move_whole(&self.out)? {
            return Ok(outcome);
        }
        let listed: String = files.keys().map(|path| format!("{path}\n")).collect();
        self.staging.write(MARKER, listed.as_bytes())?;
        self.staging.sync()?;
        // From the first rename to the last, Ctrl-C waits: it is a matter of milliseconds.
        let swapping = interrupt::hold();
        self.swap(&changes)?;
        drop(swapping);
        Ok(outcome)
    }

    fn swap(&self, changes: &Changes<'_>) -> Result<(), PublishError> {
        self.place(MARKER)?;
        sync_directory(&self.out.join(RUN))?;
        let mut touched = BTreeSet::new();
        let is_last = |path: &str| path == MANIFEST || path == MANIFEST_SIGNATURE;
        for path in changes.write.keys().filter(|path| !is_last(path)) {
            self.place(path)?;
            touched.extend(parents(path));
        }
        for path in &changes.remove {
            let target = self.out.join(path);
            fs::remove_file(&target).map_err(swap_error(&target))?;
            touched.extend(parents(path));
        }
        // Deepest first, so that a directory emptied by its children goes too; others stay by themselves.
        for directory in touched.iter().rev() {
            let directory = self.out.join(directory);
            if fs::remove_dir(&directory).is_err() {
                sync_directory(&directory)?;
            }
        }
        for path in [MANIFEST_SIGNATURE, MANIFEST] {
            if changes.write.contains_key(path) {
                self.place(path)?;
            }
        }
        let phase = self.out.join(RUN);
        sync_directory(&phase)?;
        let marker = self.out.join(MARKER);
        fs::remove_file(&marker).map_err(swap_error(&marker))?;
        sync_directory(&phase)?;
        sync_directory(&self.out)
    }

    fn place(&self, path: &str) -> Result<(), PublishError> {
        let target = self.out.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(swap_error(parent))?;
        }
        fs::rename(self.staging.path(path), &target).map_err(swap_error(&target))
    }
}

/// Makes a directory of the files that `fill` writes, keyed by path below it: all of it appears at once, or nothing.
///
/// # Errors
/// [`PublishError::Unsuitable`] when something is there already, and those of `fill`.
pub(crate) fn whole_directory<E: From<PublishError>>(
    out: &Path,
    fill: impl FnOnce(&mut dyn FnMut(&str, &[u8]) -> Result<(), PublishError>) -> Result<(), E>,
) -> Result<(), E> {
    let unsuitable =
        || PublishError::Unsuitable { path: out.to_path_buf(), reason: "it is there already" };
    if fs::symlink_metadata(out).is_ok() {
        return Err(unsuitable().into());
    }
    let out = layout::resolve(out)?;
    let mut staging = Staging::create(&out)?;
    fill(&mut |path, bytes| staging.write(path, bytes))?;
    if staging.move_whole(&out)? { Ok(()) } else { Err(unsuitable().into()) }
}

fn changes<'r>(out: &Path, files: &'r ArtifactSet) -> Result<Changes<'r>, PublishError> {
    let mut write = BTreeMap::new();
    for (path, bytes) in files {
        layout::check_target(out, path)?;
        if !holds(&out.join(path), bytes) {
            write.insert(path.as_str(), bytes.as_slice());
        }
    }
    let mut remove = BTreeSet::new();
    for path in layout::listed(out) {
        layout::check_target(out, &path)?;
        if !files.contains_key(&path) && out.join(&path).is_file() {
            remove.insert(path);
        }
    }
    layout::check_target(out, MARKER)?;
    let repair = out.join(MARKER).is_file();
    Ok(Changes { write, remove, repair })
}

/// Directories above a path of the layout, as paths below the root.
fn parents(path: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let above = Path::new(path).ancestors().skip(1);
    above.filter(|path| !path.as_os_str().is_empty()).map(Path::to_path_buf)
}

/// Whether a regular file has exactly these bytes.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    let is_candidate = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    is_candidate && fs::read(path).is_ok_and(|found| found == bytes)
}

fn sync_directory(path: &Path) -> Result<(), PublishError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(swap_error(path))
}

fn swap_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError + '_ {
    move |cause| PublishError::Swap { path: path.to_path_buf(), cause }
}

fn stage_error(path: &Path) -> impl FnOnce(io::Error) -> PublishError + '_ {
    move |cause| PublishError::Stage { path: path.to_path_buf(), cause }
}
