//! Creating a key file: whole or not at all, and never over another.
//!
//! The text is written and synced under a temporary name in the same directory, with mode 0600 from its first
//! moment. A hard link then gives it its name: that is one step, and unlike a rename it fails where the name is
//! taken. Whoever is killed in between leaves a file `.prism-key-*` that only its owner can read.

use std::path::Path;

use federation_proto::keys::{KeyFile, KeyKind};
use zeroize::Zeroizing;

use crate::KeyStoreError;

/// Draws a key of this kind from the operating system and writes it to a new file.
pub fn create(path: &Path, kind: KeyKind) -> Result<KeyFile, KeyStoreError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(KeyStoreError::Entropy)?;
    let key = KeyFile::from_seed(kind, secret);
    store(path, &key)?;
    Ok(key)
}

/// Writes a key that is there already to a new file.
pub fn store(path: &Path, key: &KeyFile) -> Result<(), KeyStoreError> {
    disk::write_new(path, key.to_text().as_bytes())
}

#[cfg(unix)]
mod disk {
    use std::fs::{self, File, OpenOptions};
    use std::io::{self, ErrorKind, Write as _};
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::{Path, PathBuf};

    use crate::KeyStoreError;

    /// A file under a name that nobody knows, removed when it is not placed.
    struct Temporary {
        path: PathBuf,
        placed: bool,
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            if !self.placed {
                // The error that led here is the one to report.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
        let owned = || path.to_path_buf();
        let failed = |cause| KeyStoreError::Write { path: owned(), cause };
        if path.file_name().is_none() {
            return Err(KeyStoreError::NoName { path: owned() });
        }
        // The link below decides; this spares the disk what cannot succeed, and names a dangling link too.
        if fs::symlink_metadata(path).is_ok() {
            return Err(KeyStoreError::Exists { path: owned() });
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let number = getrandom::u64().map_err(KeyStoreError::Entropy)?;
        let temporary = parent.join(format!(".prism-key-{number:016x}"));
        let mut file = open_new(&temporary).map_err(failed)?;
        let mut temporary = Temporary { path: temporary, placed: false };
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::hard_link(&temporary.path, path).map_err(|cause| match cause.kind() {
            ErrorKind::AlreadyExists => KeyStoreError::Exists { path: owned() },
            _ => failed(cause),
        })?;
        temporary.placed = true;
        fs::remove_file(&temporary.path)
            .map_err(|cause| KeyStoreError::Leftover { path: temporary.path.clone(), cause })?;
        File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(|cause| KeyStoreError::Unsynced { path: owned(), cause })
    }

    /// `O_EXCL`: an existing name, even of a link, is an error.
    fn open_new(path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }
}

#[cfg(not(unix))]
mod disk {
    use std::path::Path;

    use crate::KeyStoreError;

    pub(super) fn write_new(path: &Path, _: &[u8]) -> Result<(), KeyStoreError> {
        Err(KeyStoreError::Unsupported { path: path.to_path_buf() })
    }
}
