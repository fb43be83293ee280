//! The durable ledger on a disk: entries a second, opening after a crash, reading everything.
//!
//! The bars are times, set on two shared cores and a real disk; the same bytes in plain redb show what the disk
//! and the database are worth, and what checking costs.

mod opening;
mod plain;
mod subject;
mod throughput;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::trees::{refused, rows};
use crate::bench::{BenchError, Row};
use crate::workspace;

pub(super) fn measure() -> Result<Vec<Row>, BenchError> {
    let folder = Folder::new()?;
    let mut rows = throughput::measure(&folder)?;
    rows.extend(opening::measure(&folder)?);
    Ok(rows)
}

/// Where the stores lie while they are measured, among the build's own files.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self, BenchError> {
        let path = workspace::root().join("target/bench-ledger");
        // What an interrupted run left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(refused)?;
        Ok(Self { path })
    }

    /// A file that is not there yet.
    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        let _ = fs::remove_file(&path);
        path
    }

    /// What a crash leaves of a file that is open: its bytes at this moment. They are on the disk, or the first
    /// sync of whoever opens them would wait for all of them.
    fn crash_image(&self, open: &Path) -> Result<PathBuf, BenchError> {
        let path = self.fresh("crashed");
        fs::copy(open, &path).map_err(refused)?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(refused)?;
        Ok(path)
    }

    /// The kind of file system, as the system calls it.
    fn file_system(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let here = fs::canonicalize(&self.path).unwrap_or_default();
        let places = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        });
        let under = places.filter(|(place, _)| here.starts_with(place));
        let nearest = under.max_by_key(|(place, _)| place.len());
        nearest.map_or("an unknown file system", |(_, kind)| kind).to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
