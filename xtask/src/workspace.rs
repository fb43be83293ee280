//! Where things lie: the workspace root and the default directories below it.

use std::path::{Path, PathBuf};

/// Reference run, committed with the sources.
const ARTIFACTS: &str = "artifacts";
/// Every other run.
const SIMULATIONS: &str = "target/simulations";

/// The workspace that holds the current directory, or the current directory itself outside of one.
pub(crate) fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let is_root =
        |dir: &&Path| dir.join("Cargo.toml").is_file() && dir.join("xtask/Cargo.toml").is_file();
    here.ancestors().find(is_root).map_or_else(|| here.clone(), Path::to_path_buf)
}

/// Directory of the reference run.
pub(crate) fn artifacts() -> PathBuf {
    root().join(ARTIFACTS)
}

/// Directory of any other run, by a name that says what was run.
pub(crate) fn simulation(name: &str) -> PathBuf {
    root().join(SIMULATIONS).join(name)
}

/// A path as a person would type it: relative to the current directory where that is shorter.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let relative = path.strip_prefix(&here).unwrap_or(path);
    let text = relative.to_string_lossy();
    if text.is_empty() { ".".to_owned() } else { text.into_owned() }
}

/// The same, quoted for a POSIX shell where it needs to be.
pub(crate) fn quoted(path: &Path) -> String {
    let text = shown(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.starts_with('-') && text.chars().all(plain) {
        return text;
    }
    let inner = text.replace('\'', r"'\''");
    if text.starts_with('-') { format!("'./{inner}'") } else { format!("'{inner}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_metacharacters_are_quoted() {
        assert_eq!(quoted(Path::new("a/b-1.2")), "a/b-1.2");
        assert_eq!(quoted(Path::new("a b")), "'a b'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(Path::new("-x")), "'./-x'");
        assert_eq!(quoted(Path::new("$(reboot)")), "'$(reboot)'");
        assert_eq!(quoted(Path::new("")), ".");
    }

    #[test]
    fn the_root_is_the_directory_above_this_package() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(Some(root().as_path()), package.parent());
    }
}
