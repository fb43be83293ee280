//! Reading a key file: opened first, judged by what was opened, and only then read.

use std::path::Path;

use federation_proto::keys::{
    DecryptionKey, KeyFile, KeyFileError, KeyRole, MAX_KEY_FILE, SecretKey,
};
use zeroize::Zeroizing;

use crate::KeyStoreError;

/// What was read, and how much of it; one byte more than a key file shows one that is too long.
type Buffer = Zeroizing<[u8; MAX_KEY_FILE + 1]>;

/// Reads the key of a file, of whatever kind.
pub fn load(path: &Path) -> Result<KeyFile, KeyStoreError> {
    let mut buffer = Buffer::new([0; MAX_KEY_FILE + 1]);
    let length = disk::read(path, &mut buffer)?;
    let bytes = buffer.get(..length).unwrap_or_default();
    KeyFile::parse(bytes).map_err(refused(path))
}

/// Reads the signing key of role `R`.
pub fn load_signing<R: KeyRole>(path: &Path) -> Result<SecretKey<R>, KeyStoreError> {
    load(path)?.into_signing().map_err(refused(path))
}

/// Reads a decryption key.
pub fn load_decryption(path: &Path) -> Result<DecryptionKey, KeyStoreError> {
    load(path)?.into_decryption().map_err(refused(path))
}

fn refused(path: &Path) -> impl Fn(KeyFileError) -> KeyStoreError {
    let path = path.to_path_buf();
    move |cause| KeyStoreError::Refused { path: path.clone(), cause }
}

#[cfg(unix)]
mod disk {
    use std::fs::File;
    use std::io::{self, ErrorKind, Read as _};
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use federation_proto::keys::{KeyFileError, MAX_KEY_FILE, check_mode};
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;

    use super::{Buffer, refused};
    use crate::KeyStoreError;

    /// The number of bytes read into the buffer.
    pub(super) fn read(path: &Path, buffer: &mut Buffer) -> Result<usize, KeyStoreError> {
        let mut file = open(path)?;
        judge(path, &file)?;
        let failed = |cause| KeyStoreError::Read { path: path.to_path_buf(), cause };
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
        Ok(length)
    }

    /// Follows no link in the last place, and waits for nobody at a pipe.
    fn open(path: &Path) -> Result<File, KeyStoreError> {
        let owned = || path.to_path_buf();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => Ok(File::from(descriptor)),
            Err(Errno::NOENT) => Err(KeyStoreError::Missing { path: owned() }),
            // Also said of a loop further up; then what is named is a link as well.
            Err(Errno::LOOP | Errno::MLINK) => Err(KeyStoreError::Link { path: owned() }),
            // A socket.
            Err(Errno::NXIO) => Err(KeyStoreError::NotAFile { path: owned() }),
            Err(cause) => Err(KeyStoreError::Read { path: owned(), cause: io::Error::from(cause) }),
        }
    }

    /// Judges the open file, not the path, which may mean another file by now.
    fn judge(path: &Path, file: &File) -> Result<(), KeyStoreError> {
        let owned = || path.to_path_buf();
        let found =
            file.metadata().map_err(|cause| KeyStoreError::Read { path: owned(), cause })?;
        if !found.is_file() {
            return Err(KeyStoreError::NotAFile { path: owned() });
        }
        let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
        if owner != user {
            return Err(KeyStoreError::Owner { path: owned(), owner, user });
        }
        check_mode(found.mode()).map_err(refused(path))?;
        if found.len() > MAX_KEY_FILE as u64 {
            let length = usize::try_from(found.len()).unwrap_or(usize::MAX);
            return Err(refused(path)(KeyFileError::TooLarge { length, limit: MAX_KEY_FILE }));
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod disk {
    use std::path::Path;

    use super::Buffer;
    use crate::KeyStoreError;

    pub(super) fn read(path: &Path, _: &mut Buffer) -> Result<usize, KeyStoreError> {
        Err(KeyStoreError::Unsupported { path: path.to_path_buf() })
    }
}
