//! Reading a run for an audit: read-only, bounded, and never through a link or a pipe.
//!
//! What an artifact's author can cause (a link, a FIFO, a file of 10 GiB, a file without read permission)
//! becomes a value that the audit judges. What only this machine can cause is an error, and the audit cannot
//! decide. Nothing is opened before its kind and size are known, and only the manifest, what it lists and
//! what the layout knows is opened at all: everything else below the root is reported by its name.

mod wanted;

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use governance::artifact::{
    LoadProblem, LoadProblemKind, LoadedArtifacts, MANIFEST, MAX_FILE_BYTES, MAX_FILES,
    MAX_TOTAL_BYTES,
};
use thiserror::Error;

use crate::output;
use crate::publish::MARKER;
use wanted::Wanted;

/// Deepest nesting below the root; the layout needs five.
const MAX_DEPTH: usize = 10;

/// The machine refused to show what is there.
#[derive(Debug, Error)]
#[error("cannot read {}: {cause}", .path.display())]
pub(crate) struct LoadError {
    path: PathBuf,
    cause: io::Error,
}

/// How much an audit may read.
#[derive(Clone, Copy, Debug)]
struct Limits {
    file_bytes: u64,
    files: usize,
    total_bytes: u64,
    /// Of files that no manifest vouches for: enough to say what is wrong with an honest run whose manifest
    /// is lost, and no way to make an audit expensive.
    unlisted_bytes: u64,
}

const LIMITS: Limits = Limits {
    file_bytes: MAX_FILE_BYTES,
    files: MAX_FILES,
    total_bytes: MAX_TOTAL_BYTES,
    unlisted_bytes: 64 << 20,
};

/// Reads a run below a directory, and names what else is there. A directory that is not there reads as
/// empty: the audit of nothing fails.
pub(crate) fn load(root: &Path) -> Result<LoadedArtifacts, LoadError> {
    load_within(root, LIMITS)
}

fn load_within(root: &Path, limits: Limits) -> Result<LoadedArtifacts, LoadError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(cause) if is_absence(&cause) => return Ok(LoadedArtifacts::default()),
        // No author of a run decides whether the directory it was put into can be listed.
        Err(cause) => return Err(LoadError { path: root.to_path_buf(), cause }),
    };
    let mut loader = Loader {
        root,
        limits,
        wanted: Wanted::default(),
        entries: 0,
        bytes: 0,
        unlisted: 0,
        full: false,
        loaded: LoadedArtifacts::default(),
    };
    loader.read_manifest()?;
    loader.visit_entries("", entries, 0)?;
    Ok(loader.loaded)
}

struct Loader<'d> {
    root: &'d Path,
    limits: Limits,
    wanted: Wanted,
    /// Entries of directories looked at.
    entries: usize,
    /// Bytes read.
    bytes: u64,
    /// Of these, bytes of files that the manifest does not list.
    unlisted: u64,
    /// Whether the limit of entries was reached, and reported.
    full: bool,
    loaded: LoadedArtifacts,
}

impl Loader<'_> {
    /// The manifest comes first: it says what else is worth reading. Whatever else stands in its place or in
    /// the way to it is met, and reported, on the walk.
    fn read_manifest(&mut self) -> Result<(), LoadError> {
        for (end, _) in MANIFEST.match_indices('/') {
            let above = MANIFEST.get(..end).unwrap_or(MANIFEST);
            if !self.look(above).is_ok_and(|found| found.is_dir()) {
                return Ok(());
            }
        }
        if let Ok(found) = self.look(MANIFEST)
            && found.is_file()
        {
            self.read(MANIFEST, &found)?;
        }
        if let Some(manifest) = self.loaded.files.get(MANIFEST) {
            self.wanted = Wanted::listed_in(manifest);
        }
        Ok(())
    }

    fn visit(&mut self, path: &str, depth: usize) -> Result<(), LoadError> {
        let found = match self.look(path) {
            Ok(found) => found,
            Err(cause) => return self.unreadable(path, cause),
        };
        if path == MARKER {
            self.problem(path, LoadProblemKind::Staging);
        } else if found.is_dir() && depth < MAX_DEPTH {
            match fs::read_dir(self.root.join(path)) {
                Ok(entries) => self.visit_entries(path, entries, depth)?,
                Err(cause) => self.unreadable(path, cause)?,
            }
        } else if found.is_dir() {
            self.problem(path, LoadProblemKind::Path);
        } else if !found.is_file() {
            self.problem(path, kind_of_special(&found));
        } else if path != MANIFEST && !wanted::is_beside_a_run(path) {
            self.read_if_wanted(path, &found)?;
        }
        Ok(())
    }

    /// Visits what a directory holds; the root's own path is empty.
    fn visit_entries(
        &mut self,
        path: &str,
        entries: fs::ReadDir,
        depth: usize,
    ) -> Result<(), LoadError> {
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(cause) => return self.unreadable(path, cause),
            }
            if names.len() > self.limits.files {
                break;
            }
        }
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}/{name}"),
        };
        if names.is_empty() && !path.is_empty() {
            self.problem(&below(""), LoadProblemKind::Foreign);
        }
        // The order of a directory differs between file systems; that of a report must not. What belongs
        // to a run comes first, so that no crowd beside it keeps it from being read.
        names.sort_by_cached_key(|name| {
            let leads = name.to_str().is_some_and(|name| wanted::leads_to_a_run(&below(name)));
            (!leads, name.clone())
        });
        for name in names {
            if self.entries >= self.limits.files {
                self.stop(path);
                break;
            }
            self.entries += 1;
            match name.to_str() {
                Some(name) => self.visit(&below(name), depth + 1)?,
                None => self.problem(&below(&name.to_string_lossy()), LoadProblemKind::Path),
            }
        }
        Ok(())
    }

    fn read_if_wanted(&mut self, path: &str, found: &Metadata) -> Result<(), LoadError> {
        let length = found.len();
        if self.wanted.lists(path) {
            return self.read(path, found);
        }
        let affordable = length <= self.limits.unlisted_bytes.saturating_sub(self.unlisted);
        if wanted::is_of_the_layout(path) && affordable {
            self.unlisted += length;
            return self.read(path, found);
        }
        self.problem(path, LoadProblemKind::Foreign);
        Ok(())
    }

    fn read(&mut self, path: &str, found: &Metadata) -> Result<(), LoadError> {
        let length = found.len();
        if length > self.limits.file_bytes {
            self.problem(path, LoadProblemKind::TooLarge { length });
            return Ok(());
        }
        if length > self.limits.total_bytes.saturating_sub(self.bytes) {
            self.problem(path, LoadProblemKind::TooMany);
            return Ok(());
        }
        let mut bytes = Vec::new();
        // One byte more than was announced: a file that grows meanwhile is not the file that was measured.
        let read = File::open(self.root.join(path))
            .and_then(|file| file.take(length.saturating_add(1)).read_to_end(&mut bytes));
        match read {
            Err(cause) => self.unreadable(path, cause),
            Ok(_) if bytes.len() as u64 != length => {
                let grew = "its length changed while it was read".to_owned();
                self.problem(path, LoadProblemKind::Unreadable(grew));
                Ok(())
            }
            Ok(_) => {
                self.bytes += length;
                self.loaded.files.insert(path.to_owned(), bytes);
                Ok(())
            }
        }
    }

    fn unreadable(&mut self, path: &str, cause: io::Error) -> Result<(), LoadError> {
        if is_the_authors(cause.kind()) {
            self.problem(path, LoadProblemKind::Unreadable(cause.to_string()));
            return Ok(());
        }
        Err(LoadError { path: self.root.join(path), cause })
    }

    fn look(&self, path: &str) -> io::Result<Metadata> {
        fs::symlink_metadata(self.root.join(path))
    }

    /// Once, however many directories are left.
    fn stop(&mut self, path: &str) {
        if !self.full {
            self.full = true;
            self.problem(if path.is_empty() { "." } else { path }, LoadProblemKind::TooMany);
        }
    }

    /// Names come from a disk that anybody may have written: a report shows them, so none steers a terminal.
    fn problem(&mut self, path: &str, kind: LoadProblemKind) {
        self.loaded.problems.push(LoadProblem { path: output::visible(path), kind });
    }
}

/// Whether who made the files can have caused this: permissions, names, and what changes under the reader's
/// hands come with the artifacts; anything else is this machine's.
fn is_the_authors(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::PermissionDenied
            | ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::InvalidFilename
    )
}

fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn kind_of_special(found: &Metadata) -> LoadProblemKind {
    if found.is_symlink() { LoadProblemKind::Symlink } else { LoadProblemKind::NotRegular }
}

#[cfg(test)]
mod tests;
