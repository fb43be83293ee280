//! Key files as an attacker, a tired operator and a full disk leave them.
#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a fixture that cannot be made is a failed test")]

mod create;
mod load;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use key_store::KeyStoreError;
use tempfile::TempDir;

/// A directory of its own for each test.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Names of everything here, sorted.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("readable");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

fn set_mode(path: &Path, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).expect("permissions");
}

/// The whole text of an error: one line, with nothing that a terminal obeys.
#[track_caller]
fn line(error: &KeyStoreError) -> String {
    let text = error.to_string();
    assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    text
}
