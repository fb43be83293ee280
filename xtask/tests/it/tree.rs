//! The repository's files, as the laws read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
        .to_path_buf()
}

/// What fuzzing leaves beside its sources, as `.gitignore` names it.
const FUZZ_OUTPUTS: [&str; 4] = ["target", "corpus", "artifacts", "coverage"];

/// Every file but build outputs and version control, relative to the root, with `/` between the parts, sorted.
pub(crate) fn files() -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a readable directory") {
            let entry = entry.expect("a readable entry");
            let path = entry.path();
            let name = entry.file_name();
            let is_fuzzed =
                directory.ends_with("fuzz") && FUZZ_OUTPUTS.iter().any(|output| name == **output);
            if name == ".git" || (name == "target" && directory == root) || is_fuzzed {
                continue;
            }
            let kind = entry.file_type().expect("a known file type");
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                let relative = path.strip_prefix(&root).expect("a path below the root");
                found.push(relative.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The text of a file, or `None` for a binary one.
pub(crate) fn text(relative: &str) -> Option<String> {
    let bytes = fs::read(root().join(relative));
    let bytes = bytes.unwrap_or_else(|error| panic!("{relative}: {error}"));
    String::from_utf8(bytes).ok()
}

/// The trimmed cells of a row of a markdown table; `None` for any other line.
pub(crate) fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// Whether the cells are the rule under a table's header.
pub(crate) fn is_rule(cells: &[&str]) -> bool {
    cells.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-' || c == ':'))
}

/// What stands between backticks, in order.
pub(crate) fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}
