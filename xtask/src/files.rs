//! Single files: read within a limit, made once, or replaced whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::interrupt;

/// Reads a regular file; a pipe or device of that name would keep the command waiting.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |reason: String| Failure::Input { path: PathBuf::from(path), reason };
    let found = fs::metadata(path).map_err(|cause| unreadable(cause.to_string()))?;
    if !found.is_file() {
        return Err(unreadable("it is not a regular file".to_owned()));
    }
    if found.len() > limit {
        return Err(unreadable(format!("{} bytes, the limit is {limit}", found.len())));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|cause| unreadable(cause.to_string()))?;
    Ok(bytes)
}

/// Makes a file that is not there yet, whole or not at all. It is durable when this returns.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _whole = interrupt::hold();
    let mut file = File::create_new(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // Best effort: what cannot be removed is named by the error.
    let written = written.inspect_err(|_| drop(fs::remove_file(path)));
    written.and_then(|()| sync_directory(path))
}

/// Puts a file in the place of the one before, if there is one: a reader meets the old bytes or the new ones.
/// They are durable when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _whole = interrupt::hold();
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let staged = path.with_file_name(name);
    // What a killed process left there, or a link that would lead the bytes elsewhere.
    match fs::remove_file(&staged) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let written = File::create_new(&staged).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let placed = written.and_then(|()| fs::rename(&staged, path));
    let placed = placed.inspect_err(|_| drop(fs::remove_file(&staged)));
    placed.and_then(|()| sync_directory(path))
}

/// A name is durable only with the directory that has it.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_created_once_and_replaced_whole() {
        let desk = tempfile::tempdir().expect("a directory");
        let path = desk.path().join("file");
        create(&path, b"one").expect("made");
        let again = create(&path, b"two").expect_err("there already");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("there"), b"one");
        fs::write(desk.path().join("file.new"), "left by a killed process").expect("writable");
        replace(&path, b"three").expect("replaced");
        assert_eq!(fs::read(&path).expect("there"), b"three");
        let names = fs::read_dir(desk.path()).expect("a directory").count();
        assert_eq!(names, 1, "something was left behind");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let desk = tempfile::tempdir().expect("a directory");
        let (mine, path) = (desk.path().join("mine"), desk.path().join("file"));
        fs::write(&mine, "mine").expect("writable");
        std::os::unix::fs::symlink(&mine, desk.path().join("file.new")).expect("a link");
        std::os::unix::fs::symlink(&mine, &path).expect("a link");
        replace(&path, b"new").expect("replaced");
        assert_eq!(fs::read(&mine).expect("there"), b"mine");
        assert_eq!(fs::read(&path).expect("there"), b"new");
    }
}
