//! Where things lie: the workspace root and the default directories below it.

use std::path::{Path, PathBuf};

use crate::output;

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
    output::visible(&typed(path))
}

fn typed(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let relative = path.strip_prefix(&here).unwrap_or(path);
    let text = relative.to_string_lossy();
    if text.is_empty() { ".".to_owned() } else { text.into_owned() }
}

/// The same, quoted for a shell where it needs to be.
pub(crate) fn quoted(path: &Path) -> String {
    let text = typed(path);
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.starts_with('-') && text.chars().all(plain) {
        return text;
    }
    let text = if text.starts_with('-') { format!("./{text}") } else { text };
    if output::visible(&text) == text {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // Only this kind of quotes can spell what must not be printed.
    let spell = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    format!("$'{}'", text.bytes().map(spell).collect::<String>())
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
        assert_eq!(quoted(Path::new("a\u{1b}'\n")), r"$'a\033\'\012'");
        assert_eq!(shown(Path::new("a\u{1b}'\n")), r"a\u{1b}'\n");
    }

    #[test]
    fn the_root_is_the_directory_above_this_package() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(Some(root().as_path()), package.parent());
    }
}
