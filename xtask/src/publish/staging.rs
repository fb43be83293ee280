//! The staging directory: where a run lies until all of it is on disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::{PublishError, layout, parents, stage_error, swap_error};
use crate::interrupt;

/// Locked while its process lives; tells a killed run's remains from a directory of somebody else's.
const LOCK: &str = "lock";
/// The staged run.
const RUN: &str = "run";

/// A reserved staging directory; removed when dropped.
#[derive(Debug)]
pub(super) struct Staging {
    root: PathBuf,
    directories: BTreeSet<PathBuf>,
    _lock: File,
}

impl Staging {
    /// Reserves the directory beside `out`, and clears what a killed run left there.
    pub(super) fn create(out: &Path) -> Result<Self, PublishError> {
        let mut unfinished = interrupt::hold();
        let root = out.with_file_name(layout::staging_name(out.file_name().unwrap_or_default()));
        match fs::create_dir(&root) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                return Err(stage_error(&root)(cause));
            }
            Ok(()) => {}
            Err(_) => recognise(&root)?,
        }
        let path = root.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(stage_error(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PublishError::Busy(out.to_path_buf())),
            Err(TryLockError::Error(cause)) => return Err(stage_error(&path)(cause)),
        }
        // The guard must go before the value whose drop takes it, so nothing fails between the two.
        clear(&root, out).inspect_err(|_| drop(fs::remove_dir_all(&root)))?;
        *unfinished = Some(root.clone());
        Ok(Self { root, directories: BTreeSet::new(), _lock: lock })
    }

    /// Where a file of the run is staged.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(RUN).join(path)
    }

    /// Writes and syncs one file.
    pub(super) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), PublishError> {
        let _whole = interrupt::hold();
        let target = self.path(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(stage_error(parent))?;
        }
        let written = File::create_new(&target).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(stage_error(&target))?;
        self.directories.extend(parents(path));
        Ok(())
    }

    /// Syncs every directory of the staged run.
    pub(super) fn sync(&self) -> Result<(), PublishError> {
        let run = self.root.join(RUN);
        for directory in self.directories.iter().map(|dir| run.join(dir)).chain([run.clone()]) {
            let synced = File::open(&directory).and_then(|directory| directory.sync_all());
            synced.map_err(stage_error(&directory))?;
        }
        Ok(())
    }

    /// Moves the run to a place where nothing is yet, all at once. False when something is there.
    pub(super) fn move_whole(&self, out: &Path) -> Result<bool, PublishError> {
        if fs::symlink_metadata(out).is_ok() {
            return Ok(false);
        }
        self.sync()?;
        let _whole = interrupt::hold();
        fs::rename(self.root.join(RUN), out).map_err(stage_error(out))?;
        if let Some(parent) = out.parent() {
            let synced = File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(swap_error(parent))?;
        }
        Ok(true)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let mut unfinished = interrupt::hold();
        // Best effort: the next run clears what could not be removed.
        let _ = fs::remove_dir_all(&self.root);
        *unfinished = None;
    }
}

/// Whether a directory that is already there is one that a run left.
fn recognise(root: &Path) -> Result<(), PublishError> {
    let foreign = || PublishError::ForeignStaging(root.to_path_buf());
    let is_directory = fs::symlink_metadata(root).is_ok_and(|found| found.is_dir());
    if !is_directory {
        return Err(foreign());
    }
    let names = fs::read_dir(root).and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<BTreeSet<_>>>()
    });
    let names = names.map_err(stage_error(root))?;
    let known = names.iter().all(|name| name == LOCK || name == RUN);
    let locked = fs::symlink_metadata(root.join(LOCK)).is_ok_and(|found| found.is_file());
    if known && (names.is_empty() || locked) { Ok(()) } else { Err(foreign()) }
}

/// Makes an empty place for the run. A rename cannot cross file systems, so that is refused here.
fn clear(root: &Path, out: &Path) -> Result<(), PublishError> {
    let run = root.join(RUN);
    match fs::remove_dir_all(&run) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(stage_error(&run)(cause)),
        _ => {}
    }
    fs::create_dir(&run).map_err(stage_error(&run))?;
    if device(out).is_some_and(|theirs| device(root) != Some(theirs)) {
        let (path, reason) = (out.to_path_buf(), "it is a mount point, and nothing fits beside it");
        return Err(PublishError::Unsuitable { path, reason });
    }
    Ok(())
}

#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).ok().map(|found| found.dev())
}

/// Elsewhere the rename itself has to say so.
#[cfg(not(unix))]
fn device(_path: &Path) -> Option<u64> {
    None
}
