//! docs/rfc-trace.md: every row of the RFC, where it is built, how to run it, and the test that would fail.

use std::collections::BTreeMap;

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
        let [id, _sentence, path, _command, _check, test] = cells.as_slice() else {
            found.push(format!("{} cells, 6 wanted: {line}", cells.len()));
            continue;
        };
        match seen.get_mut(*id) {
            Some(count) => *count += 1,
            None => found.push(format!("{id} is no row of the RFC")),
        }
        let (paths, tests) = (tree::quoted(path), tree::quoted(test));
        if !path.contains(NOT_COVERED) && (paths.is_empty() || tests.is_empty()) {
            found.push(format!("{id} names no path or no test"));
        }
        let gone = paths.iter().filter(|path| !exists(path));
        found.extend(gone.map(|path| format!("{id}: {path} does not exist")));
        let untested = tests.iter().filter(|test| !has_test(test, &text));
        found.extend(untested.map(|test| format!("{id}: no test {test}")));
    }
    let wrong = seen.iter().filter(|(_, count)| **count != 1);
    found.extend(wrong.map(|(id, count)| format!("{id} stands {count} times")));
    found
}

/// Whether `file::function` names a function of that file.
fn has_test(test: &str, text: impl Fn(&str) -> Option<String>) -> bool {
    test.rsplit_once("::").is_some_and(|(file, function)| {
        let definition = format!("fn {function}(");
        text(file).is_some_and(|text| text.contains(&definition))
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
    let text = |path: &str| (path == "a.rs").then(|| "#[test]\nfn works() {}".to_owned());
    complaints(trace, |path| path == "a.rs", text)
}

#[test]
fn a_good_trace_is_accepted() {
    assert_eq!(row_ids().len(), 48);
    assert_eq!(judge(&trace_with(&[])), Vec::<String>::new());
    let gap = [("G4", "| G4 | s | NOT COVERED | – | – | – |")];
    assert_eq!(judge(&trace_with(&gap)), Vec::<String>::new());
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
