//! A log in a file of the operating system: the only I/O of this module.
#![expect(
    clippy::disallowed_methods,
    reason = "votes must be durable before they are sent: this is the disk"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::disk::{Access, Disk, Place};

/// The path of a log. Beside it, under the same name with `.new`, a cut makes its draft.
#[derive(Clone, Debug)]
pub struct LogPath {
    log: PathBuf,
    draft: PathBuf,
}

impl LogPath {
    /// The log at a path whose directory exists.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let log = path.into();
        let mut draft = log.clone().into_os_string();
        draft.push(".new");
        Self { log, draft: draft.into() }
    }

    fn sync_directory(&self) -> io::Result<()> {
        let parent = self.log.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// The open file of a log, locked until it is dropped.
#[derive(Debug)]
pub struct LogFile(File);

impl LogFile {
    /// Locks a file that was opened under a path, for itself or with other readers.
    pub(super) fn lock(file: File, path: &Path, access: Access) -> io::Result<Self> {
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        match access {
            Access::Read => file.try_lock_shared()?,
            Access::Write => file.try_lock()?,
        }
        // Between opening and locking, a cut of another handle may have given the name to another file. A lock
        // on what it left would protect nothing.
        let (locked, named) = (file.metadata()?, fs::metadata(path)?);
        if (locked.dev(), locked.ino()) != (named.dev(), named.ino()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Self(file))
    }
}

impl Disk for LogFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The length is part of what a reader needs and so of what is synced; times are not.
        self.0.sync_data()
    }
}

impl Place for LogPath {
    type File = LogFile;

    fn open(&self, access: Access) -> io::Result<Option<LogFile>> {
        let write = access == Access::Write;
        let file = match OpenOptions::new().read(true).write(write).open(&self.log) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            opened => LogFile::lock(opened?, &self.log, access)?,
        };
        if write {
            match fs::remove_file(&self.draft) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
                _ => self.sync_directory()?,
            }
        }
        Ok(Some(file))
    }

    fn draft(&self) -> io::Result<LogFile> {
        let mut options = OpenOptions::new();
        // Emptied below, when it is ours.
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut draft = LogFile::lock(options.open(&self.draft)?, &self.draft, Access::Write)?;
        draft.set_length(0)?;
        Ok(draft)
    }

    fn publish(&self) -> io::Result<()> {
        fs::rename(&self.draft, &self.log)?;
        self.sync_directory()
    }
}
