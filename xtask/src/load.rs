//! Reading a run for an audit: read-only, bounded, and never through a link or a pipe.
//!
//! What an artifact's author can cause (a link, a FIFO, a file of 10 GiB, a file without read permission)
//! becomes a value that the audit judges. What only this machine can cause is an error, and the audit cannot
//! decide. Nothing is opened before its kind and size are known.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use governance::artifact::{
    LoadProblem, LoadProblemKind, LoadedArtifacts, MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES,
    SCOPE,
};
use thiserror::Error;

use crate::publish::MARKER;

/// Deepest nesting below the root; the layout needs four.
const MAX_DEPTH: usize = 8;

/// The machine refused to show what is there.
#[derive(Debug, Error)]
#[error("cannot read {path}: {cause}")]
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
}

const LIMITS: Limits =
    Limits { file_bytes: MAX_FILE_BYTES, files: MAX_FILES, total_bytes: MAX_TOTAL_BYTES };

/// Reads the places of the layout below a directory. A directory that is not there reads as empty: the
/// audit of nothing fails.
pub(crate) fn load(root: &Path) -> Result<LoadedArtifacts, LoadError> {
    load_within(root, LIMITS)
}

fn load_within(root: &Path, limits: Limits) -> Result<LoadedArtifacts, LoadError> {
    let mut loader =
        Loader { root, limits, entries: 0, bytes: 0, loaded: LoadedArtifacts::default() };
    for place in SCOPE {
        let place = place.trim_end_matches('/');
        if loader.way_is_real(place)? {
            loader.visit(place, 0)?;
        }
    }
    Ok(loader.loaded)
}

struct Loader<'d> {
    root: &'d Path,
    limits: Limits,
    entries: usize,
    bytes: u64,
    loaded: LoadedArtifacts,
}

impl Loader<'_> {
    /// Whether only directories lead to a place. Anything else in the way is a problem of its own.
    fn way_is_real(&mut self, place: &str) -> Result<bool, LoadError> {
        for (end, _) in place.match_indices('/') {
            let above = place.get(..end).unwrap_or(place);
            match self.look(above)? {
                None => return Ok(false),
                Some(found) if found.is_dir() => {}
                Some(found) => {
                    self.problem(above, kind_of_special(&found));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn visit(&mut self, path: &str, depth: usize) -> Result<(), LoadError> {
        let Some(found) = self.look(path)? else {
            return Ok(());
        };
        if self.entries >= self.limits.files {
            self.problem(path, LoadProblemKind::TooMany);
            return Ok(());
        }
        self.entries += 1;
        if path == MARKER {
            self.problem(path, LoadProblemKind::Staging);
        } else if found.is_dir() && depth < MAX_DEPTH {
            self.visit_directory(path, depth)?;
        } else if found.is_dir() {
            self.problem(path, LoadProblemKind::Path);
        } else if found.is_file() {
            self.read(path, &found)?;
        } else {
            self.problem(path, kind_of_special(&found));
        }
        Ok(())
    }

    fn visit_directory(&mut self, path: &str, depth: usize) -> Result<(), LoadError> {
        let directory = self.root.join(path);
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(cause) => return self.unreadable(path, cause),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|cause| LoadError { path: directory.clone(), cause })?;
            names.push(entry.file_name());
            if names.len() > self.limits.files {
                break;
            }
        }
        // The order of a directory differs between file systems; that of a report must not.
        names.sort();
        for name in names {
            if self.entries >= self.limits.files {
                self.problem(path, LoadProblemKind::TooMany);
                break;
            }
            match name.to_str() {
                Some(name) => self.visit(&format!("{path}/{name}"), depth + 1)?,
                None => {
                    self.entries += 1;
                    let shown = format!("{path}/{}", name.to_string_lossy());
                    self.problem(&shown, LoadProblemKind::Path);
                }
            }
        }
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

    /// Missing permissions and vanished files come with the artifacts; anything else is this machine's.
    fn unreadable(&mut self, path: &str, cause: io::Error) -> Result<(), LoadError> {
        match cause.kind() {
            ErrorKind::PermissionDenied | ErrorKind::NotFound => {
                self.problem(path, LoadProblemKind::Unreadable(cause.to_string()));
                Ok(())
            }
            _ => Err(LoadError { path: self.root.join(path), cause }),
        }
    }

    fn look(&self, path: &str) -> Result<Option<Metadata>, LoadError> {
        let place = self.root.join(path);
        match fs::symlink_metadata(&place) {
            Ok(found) => Ok(Some(found)),
            Err(cause) if is_absence(&cause) => Ok(None),
            Err(cause) => Err(LoadError { path: place, cause }),
        }
    }

    fn problem(&mut self, path: &str, kind: LoadProblemKind) {
        self.loaded.problems.push(LoadProblem { path: path.to_owned(), kind });
    }
}

fn is_absence(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn kind_of_special(found: &Metadata) -> LoadProblemKind {
    if found.is_symlink() { LoadProblemKind::Symlink } else { LoadProblemKind::NotRegular }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, usize)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (path, length) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, vec![b'x'; *length]).expect("a file");
        }
        dir
    }

    fn problems(loaded: &LoadedArtifacts) -> Vec<(&str, &LoadProblemKind)> {
        loaded.problems.iter().map(|problem| (problem.path.as_str(), &problem.kind)).collect()
    }

    #[test]
    fn only_the_layout_is_read() {
        let dir = tree(&[
            ("mec/M5/ledger/blocks/1.blk", 3),
            ("mec/M4/other.json", 3),
            ("META-GOVERNANCE-LOG.md", 2),
            ("merkle/meta_M5.merk", 1),
            ("README.md", 9),
        ]);
        let loaded = load(dir.path()).expect("readable");
        let paths: Vec<&str> = loaded.files.keys().map(String::as_str).collect();
        let expected =
            ["META-GOVERNANCE-LOG.md", "mec/M5/ledger/blocks/1.blk", "merkle/meta_M5.merk"];
        assert_eq!(paths, expected);
        assert!(loaded.problems.is_empty());
    }

    #[test]
    fn a_missing_directory_reads_as_empty() {
        let loaded = load(Path::new("/dev/null/nothing")).expect("no host problem");
        assert!(loaded.files.is_empty() && loaded.problems.is_empty());
    }

    #[test]
    fn limits_stop_the_reading() {
        let dir = tree(&[("mec/M5/a", 5), ("mec/M5/b", 6), ("mec/M5/c", 4), ("mec/M5/d", 4)]);
        let limits = Limits { file_bytes: 5, files: 100, total_bytes: 10 };
        let loaded = load_within(dir.path(), limits).expect("readable");
        assert_eq!(loaded.files.len(), 2);
        let expected = [
            ("mec/M5/b", &LoadProblemKind::TooLarge { length: 6 }),
            ("mec/M5/d", &LoadProblemKind::TooMany),
        ];
        assert_eq!(problems(&loaded), expected);
        let few = Limits { files: 3, ..LIMITS };
        let loaded = load_within(dir.path(), few).expect("readable");
        assert_eq!(loaded.files.len(), 2);
        assert_eq!(problems(&loaded), [("mec/M5", &LoadProblemKind::TooMany)]);
    }

    #[test]
    fn depth_is_bounded_and_the_marker_is_named() {
        let deep = format!("mec/M5/{}x", "d/".repeat(MAX_DEPTH + 1));
        let dir = tree(&[(deep.as_str(), 1), (MARKER, 0)]);
        let loaded = load(dir.path()).expect("readable");
        assert!(loaded.files.is_empty());
        let deepest = format!("mec/M5/{}d", "d/".repeat(MAX_DEPTH - 1));
        let expected =
            [(MARKER, &LoadProblemKind::Staging), (deepest.as_str(), &LoadProblemKind::Path)];
        assert_eq!(problems(&loaded), expected);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        let dir = tree(&[("elsewhere/x", 1)]);
        let link = |target: &str, at: &str| {
            std::os::unix::fs::symlink(dir.path().join(target), dir.path().join(at))
                .expect("a link");
        };
        link("elsewhere", "mec");
        link("elsewhere", "merkle");
        link("elsewhere/x", "META-GOVERNANCE-LOG.md");
        let loaded = load(dir.path()).expect("readable");
        assert!(loaded.files.is_empty());
        let expected = ["mec", "merkle", "META-GOVERNANCE-LOG.md"]
            .map(|path| (path, &LoadProblemKind::Symlink));
        assert_eq!(problems(&loaded), expected);
    }
}
