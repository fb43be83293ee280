//! What can go wrong with a key file, in one line that names it and says what to do.

use std::io;
use std::path::{Path, PathBuf};

use federation_proto::keys::KeyFileError;
use thiserror::Error;

/// Why a key file was not created or not read.
#[derive(Debug, Error)]
pub enum KeyStoreError {
    /// Something has this name already.
    #[error("{} exists and a key is never overwritten; name another file", shown(path))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The path ends in no file name.
    #[error("{} names no file; name one in an existing directory", shown(path))]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// Nothing has this name.
    #[error("there is no key file {}; create it, or name another", shown(path))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link: where it leads can change between two looks at it.
    #[error("{} is a symbolic link; name the key file itself", shown(path))]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A directory, pipe or device.
    #[error("{} is not a regular file; name a key file", shown(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another user could replace the key at any time.
    #[error("{} belongs to user {owner} and this is user {user}; chown it to {user}", shown(path))]
    Owner {
        /// The file.
        path: PathBuf,
        /// Numeric id of its owner.
        owner: u32,
        /// Numeric id of this process.
        user: u32,
    },
    /// No key file, another kind of key, or one that others can read.
    #[error("{}: {cause}", shown(path))]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: KeyFileError,
    },
    /// The system refused to read.
    #[error("cannot read {}: {cause}", shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The system refused to write. There is no new key.
    #[error("cannot write {}: {cause}; no key was created", shown(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The key was created, and its temporary name is still there.
    #[error(
        "the key was created, but {} is a second name of it: remove that ({cause})",
        shown(path)
    )]
    Leftover {
        /// The temporary name.
        path: PathBuf,
        /// Why it is still there.
        cause: io::Error,
    },
    /// The key was created, but the directory may forget it when the power fails.
    #[error("{} was created, but may not outlast a power failure: {cause}", shown(path))]
    Unsynced {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes: {0}; no key was created")]
    Entropy(getrandom::Error),
    /// This system does not say who may read a file.
    #[error(
        "key files need the owners and permissions of Unix; move {} to such a system",
        shown(path)
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
    },
}

/// The path on one line: what would break it, or steer a terminal, is escaped.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}
