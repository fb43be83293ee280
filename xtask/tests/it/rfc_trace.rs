//! docs/rfc-trace.md: every row of the RFC, where it is built, how to run it, and the test that would fail.

use std::collections::BTreeMap;

use governance::audit::{Check, PERMITTED_GAPS};

use crate::tree;

/// Groups of rows and how many each has. The design card is the single row H.
const GROUPS: [(char, u32); 7] =
    [('A', 9), ('B', 9), ('C', 6), ('D', 10), ('E', 6), ('F', 3), ('G', 4)];

/// Marks a row that is not (wholly) built.
const NOT_COVERED: &str = "NOT COVERED";

fn row_ids() -> Vec<String> {
    let numbered = GROUPS.iter().flat_map(|(group, count)| {
        let ids = 1..=*count;
        ids.map(move |number| format!("{group}{number}"))
    });
    numbered.chain(["H".to_owned()]).collect()
}

/// The commands of `cargo xtask`.
const XTASKS: [&str; 9] =
    ["simulate", "compliance", "key", "ledger", "bench", "fuzz", "soak", "mutants", "ci"];

/// Nothing stands in this cell.
const NONE: &str = "–";

/// What is wrong with a trace. `text` reads a file of the tree, `exists` says whether a path is there.
fn complaints(
    trace: &str,
    exists: impl Fn(&str) -> bool,
    text: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<String, usize> = row_ids().into_iter().map(|id| (id, 0)).collect();
    for line in trace.lines() {
        let Some(cells) = tree::cells(line) else {
            continue;
        };
        if cells.first() == Some(&"row") || tree::is_rule(&cells) {
            continue;
        }
        let [id, _sentence, path, command, check, test] = cells.as_slice() else {
            found.push(format!("{} cells, 6 wanted: {line}", cells.len()));
            continue;
        };
        match seen.get_mut(*id) {
            Some(count) => *count += 1,
            None => found.push(format!("{id} is no row of the RFC")),
        }
        let (paths, tests) = (tree::quoted(path), tree::quoted(test));
        let is_covered = !path.contains(NOT_COVERED);
        if is_covered && (paths.is_empty() || tests.is_empty()) {
            found.push(format!("{id} names no path or no test"));
        }
        let gone = paths.iter().filter(|path| !exists(path));
        found.extend(gone.map(|path| format!("{id}: {path} does not exist")));
        let unknown = list(command).filter(|command| !is_command(command, &exists));
        found.extend(unknown.map(|command| format!("{id}: no command {command}")));
        found.extend(list(check).filter_map(check_complaint).map(|what| format!("{id}: {what}")));
        let untested = tests.iter().filter(|test| !is_test(test, &text));
        found.extend(untested.map(|test| format!("{id}: no test {test}")));
    }
    let wrong = seen.iter().filter(|(_, count)| **count != 1);
    found.extend(wrong.map(|(id, count)| format!("{id} stands {count} times")));
    found
}

/// The entries of a cell; none for a dash.
fn list(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(", ").map(str::trim).filter(|entry| *entry != NONE)
}

/// Whether this is, between backticks, a command that somebody can type at the root of the repository.
fn is_command(command: &str, exists: impl Fn(&str) -> bool) -> bool {
    let words = command.strip_prefix('`').and_then(|command| command.strip_suffix('`'));
    let words: Vec<&str> = words.unwrap_or_default().split(' ').collect();
    let is_crate = |name: &str| exists(&format!("crates/{name}/Cargo.toml"));
    match words.as_slice() {
        ["cargo", "xtask", name, ..] => XTASKS.contains(name),
        ["cargo", "test", "-p", name] => is_crate(name) || *name == "xtask",
        ["cargo", "run", "-p", name, "--example", example] => {
            exists(&format!("crates/{name}/examples/{example}.rs"))
        }
        [script, ..] => script.starts_with("scripts/") && exists(script),
        [] => false,
    }
}

/// What is wrong with one entry of the check column: it is `all`, or an id of the audit, marked as not
/// covered exactly when the audit says so.
fn check_complaint(entry: &str) -> Option<String> {
    if entry == "all" {
        return None;
    }
    let suffix = format!(" ({NOT_COVERED})");
    let bare = entry.strip_suffix(suffix.as_str());
    let id = tree::quoted(bare.unwrap_or(entry)).concat();
    let check = Check::ALL.iter().find(|check| check.id() == id);
    let Some(check) = check.filter(|_| bare.unwrap_or(entry) == format!("`{id}`")) else {
        return Some(format!("no check {entry}"));
    };
    let is_gap = PERMITTED_GAPS.iter().any(|(gap, _)| gap == check);
    match (is_gap, bare.is_some()) {
        (true, false) => Some(format!("{id} is {NOT_COVERED} in the audit")),
        (false, true) => Some(format!("{id} is covered by the audit")),
        _ => None,
    }
}

/// Whether `file::function` names a test of that file: a function with `#[test]` among its attributes.
fn is_test(test: &str, text: impl Fn(&str) -> Option<String>) -> bool {
    let Some((text, function)) =
        test.rsplit_once("::").and_then(|(file, function)| Some((text(file)?, function)))
    else {
        return false;
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let definition = format!("fn {function}(");
    let definitions = (0..lines.len()).filter(|at| lines[*at].starts_with(&definition));
    definitions.into_iter().any(|at| {
        let above = lines[..at].iter().rev();
        let mut attributes =
            above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        attributes.any(|line| *line == "#[test]")
    })
}

#[test]
fn the_trace_is_true() {
    let trace = tree::text("docs/rfc-trace.md").unwrap_or_default();
    let exists = |path: &str| tree::root().join(path).exists();
    let text = |path: &str| exists(path).then(|| tree::text(path)).flatten();
    let found = complaints(&trace, exists, text);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A trace in which every row is covered, but for the rows given in full.
fn trace_with(rows: &[(&str, &str)]) -> String {
    let mut lines = vec![
        "| row | RFC sentence | path | command | check | test |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for id in row_ids() {
        match rows.iter().find(|(row, _)| *row == id) {
            Some((_, line)) => lines.push((*line).to_owned()),
            None => lines.push(format!("| {id} | s | `a.rs` | – | – | `a.rs::works` |")),
        }
    }
    lines.join("\n")
}

fn judge(trace: &str) -> Vec<String> {
    let text = |path: &str| {
        (path == "a.rs").then(|| "#[test]\n/// Why.\nfn works() {}\n\nfn helper() {}".to_owned())
    };
    complaints(trace, |path| path == "a.rs", text)
}

#[test]
fn a_good_trace_is_accepted() {
    assert_eq!(row_ids().len(), 48);
    assert_eq!(judge(&trace_with(&[])), Vec::<String>::new());
    let gap = [("G4", "| G4 | s | NOT COVERED | – | – | – |")];
    assert_eq!(judge(&trace_with(&gap)), Vec::<String>::new());
    let full = "| A1 | s | `a.rs` | `cargo xtask simulate --seed 7`, `cargo xtask ci` | `sig:strict`, \
                `zk:proof_valid` (NOT COVERED) | `a.rs::works` |";
    assert_eq!(judge(&trace_with(&[("A1", full)])), Vec::<String>::new());
}

#[test]
fn a_false_trace_is_refused() {
    let cases = [
        ("A1", "", "A1 stands 0 times"),
        ("A1", "| A1 | s | – | – | – | `a.rs::works` |", "A1 names no path or no test"),
        ("A1", "| A1 | s | `a.rs` | – | – | – |", "A1 names no path or no test"),
        ("A1", "| A1 | s | `b.rs` | – | – | `a.rs::works` |", "A1: b.rs does not exist"),
        ("A1", "| A1 | s | `a.rs` | – | – | `a.rs::wor` |", "A1: no test a.rs::wor"),
        ("A1", "| A1 | s | `a.rs` | – | – | `b.rs::works` |", "A1: no test b.rs::works"),
        ("A1", "| A1 | s | NOT COVERED | – | – | `a.rs::no` |", "A1: no test a.rs::no"),
        ("A1", "| A1 | s | `a.rs` | – | – | `a.rs::helper` |", "A1: no test a.rs::helper"),
        ("A1", "| A1 | s | `a.rs` | – | `x:y` | `a.rs::works` |", "A1: no check `x:y`"),
        ("A1", "| A1 | s | `a.rs` | – | sig:strict | `a.rs::works` |", "A1: no check sig:strict"),
        (
            "A1",
            "| A1 | s | `a.rs` | – | `sig:strict` (NOT COVERED) | `a.rs::works` |",
            "A1: sig:strict is covered by the audit",
        ),
        (
            "A1",
            "| A1 | s | `a.rs` | – | `zk:proof_valid` | `a.rs::works` |",
            "A1: zk:proof_valid is NOT COVERED in the audit",
        ),
        (
            "A1",
            "| A1 | s | `a.rs` | `cargo xtask polish` | – | `a.rs::works` |",
            "A1: no command `cargo xtask polish`",
        ),
        (
            "A1",
            "| A1 | s | `a.rs` | cargo xtask ci | – | `a.rs::works` |",
            "A1: no command cargo xtask ci",
        ),
        (
            "A1",
            "| A1 | s | `a.rs` | `cargo run -p x --example y` | – | `a.rs::works` |",
            "A1: no command `cargo run -p x --example y`",
        ),
        (
            "A1",
            "| A1 | s | `a.rs` | `scripts/no` | – | `a.rs::works` |",
            "A1: no command `scripts/no`",
        ),
    ];
    for (row, line, expected) in cases {
        assert_eq!(judge(&trace_with(&[(row, line)])), [expected], "{line}");
    }
    let unknown = format!("{}\n| Z1 | s | NOT COVERED | – | – | – |", trace_with(&[]));
    assert_eq!(judge(&unknown), ["Z1 is no row of the RFC"]);
    let twice = format!("{}\n| H | s | NOT COVERED | – | – | – |", trace_with(&[]));
    assert_eq!(judge(&twice), ["H stands 2 times"]);
    let narrow = format!("{}\n| H | s |", trace_with(&[]));
    assert_eq!(judge(&narrow), ["2 cells, 6 wanted: | H | s |"]);
}
