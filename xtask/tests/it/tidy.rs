//! Taste, executable: how files begin, how long they get, and what never stands in them.

use std::collections::BTreeSet;

use crate::tree;

/// A file longer than this has more than one idea.
const MOST_LINES: usize = 600;

/// Never in a crate, not even in its tests: unfinished work, tests that cannot fail, ambient randomness.
const BANNED_EVERYWHERE: [&str; 12] = [
    "todo!(",
    "unimplemented!(",
    "dbg!(",
    "#[ignore",
    "should_panic",
    "thread_rng",
    "OsRng",
    "StdRng",
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "unsafe extern",
];

/// Never in a crate's shipped code: clocks, and containers whose order differs between runs.
const BANNED_IN_SOURCE: [&str; 4] = ["Instant::now", "SystemTime::now", "HashMap", "HashSet"];

/// Never in a crate's shipped code, nor in the command line's: what is shown goes through one place.
const BANNED_PRINTS: [&str; 4] = ["println!(", "print!(", "eprintln!(", "eprint!("];

/// Never in a comment: promises, and examples that nobody compiles.
const BANNED_IN_COMMENTS: [&str; 3] = ["FIXME", "XXX", "```ignore"];

/// Names that say nothing of what is inside.
const BANNED_NAMES: [&str; 3] = ["utils.rs", "helpers.rs", "manager.rs"];

/// The one `mod.rs`: the RFC names this path.
const PERMITTED_MOD: &str = "crates/meta-core/src/meta/federated/mod.rs";

/// Beginnings of paths that exist on one machine only. Spelled in two halves, so that this file is clean.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/")];

/// What is wrong with one file, by its path and text.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found: Vec<String> = lines_with(text, &MACHINE_PATHS)
        .map(|(number, what)| format!("{path}:{number}: machine path {what}"))
        .collect();
    let is_code = path.starts_with("crates/") || path.starts_with("xtask/");
    if !is_code || !path.ends_with(".rs") {
        return found;
    }
    if !text.starts_with("//!") {
        found.push(format!("{path}: does not begin with //!"));
    }
    let length = text.lines().count();
    if length > MOST_LINES {
        found.push(format!("{path}: {length} lines, at most {MOST_LINES}"));
    }
    found.extend(name_complaint(path));
    if path.starts_with("crates/") || path.starts_with("xtask/src/") {
        found.extend(banned(path, text));
    }
    found
}

fn name_complaint(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_tests = path.contains("/tests/");
    let bad_mod = name == "mod.rs" && path != PERMITTED_MOD && !in_tests;
    (bad_mod || BANNED_NAMES.contains(&name)).then(|| format!("{path}: a file named {name}"))
}

fn banned(path: &str, text: &str) -> Vec<String> {
    let comments = keep_lines(text, |line| line.contains("//"));
    let code = keep_lines(text, |line| !line.trim_start().starts_with("//"));
    let mut hits: Vec<_> = lines_with(&comments, &BANNED_IN_COMMENTS)
        .chain(lines_with(&code, &BANNED_EVERYWHERE))
        .collect();
    let is_source = path.starts_with("crates/") && path.contains("/src/");
    let shipped = without_tests(path, &code);
    if is_source {
        hits.extend(lines_with(&shipped, &BANNED_IN_SOURCE));
    }
    if is_source || path.starts_with("xtask/src/") {
        hits.extend(prints(&shipped));
    }
    hits.sort_unstable();
    hits.into_iter().map(|(number, what)| format!("{path}:{number}: {what}")).collect()
}

/// The macros that print, each as a whole word.
fn prints(text: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    let hits = lines_with(text, &BANNED_PRINTS);
    hits.filter(move |(number, what)| {
        let line = text.lines().nth(number - 1).unwrap_or_default();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut found = line.match_indices(what);
        found.any(|(at, _)| !line[..at].ends_with(is_part))
    })
}

/// The text with all other lines blanked, so that line numbers stay.
fn keep_lines(text: &str, keep: impl Fn(&str) -> bool) -> String {
    let kept: Vec<&str> = text.lines().map(|line| if keep(line) { line } else { "" }).collect();
    kept.join("\n")
}

/// The part of a source file that ships. Tests stand last, in `mod tests`, or in a file `tests.rs`.
fn without_tests(path: &str, text: &str) -> String {
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return String::new();
    }
    match text.find("\n#[cfg(test)]\nmod tests") {
        Some(end) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

fn lines_with<'t>(
    text: &'t str,
    needles: &'t [&'static str],
) -> impl Iterator<Item = (usize, &'static str)> + 't {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let hits = needles.iter().filter(move |needle| line.contains(**needle));
        hits.map(move |needle| (index + 1, *needle))
    })
}

/// What a crate lacks as a whole, by the paths of all files and the text of some.
fn lacking(files: &[String], text: impl Fn(&str) -> String) -> Vec<String> {
    let crates: BTreeSet<&str> = files
        .iter()
        .filter_map(|path| path.strip_prefix("crates/"))
        .filter_map(|path| path.split_once('/'))
        .map(|(name, _)| name)
        .collect();
    let mut found = Vec::new();
    for name in crates {
        let readme = format!("crates/{name}/README.md");
        if !files.contains(&readme) {
            found.push(format!("{readme} is missing"));
        }
        let below = |place: &str| {
            let prefix = format!("crates/{name}/{place}/");
            files.iter().filter(move |path| path.starts_with(&prefix) && path.ends_with(".rs"))
        };
        if below("examples").next().is_none() {
            found.push(format!("crates/{name}/examples/ has no example"));
        }
        let has_tests = |path: &String| text(path).contains("#[test]");
        if !below("tests").chain(below("src")).any(has_tests) {
            found.push(format!("crates/{name} has no test"));
        }
        let library = format!("crates/{name}/src/lib.rs");
        if !files.contains(&library) {
            found.push(format!("{library} is missing"));
        } else if !text(&library).contains("\n#![forbid(unsafe_code)]\n") {
            found.push(format!("{library}: no #![forbid(unsafe_code)]"));
        }
    }
    found
}

#[test]
fn every_file_is_tidy() {
    let mut found = Vec::new();
    for path in tree::files() {
        if let Some(text) = tree::text(&path) {
            found.extend(complaints(&path, &text));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_crate_is_whole() {
    let found = lacking(&tree::files(), |path| tree::text(path).unwrap_or_default());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_ban_catches() {
    let path = "crates/x/src/lib.rs";
    let bans = BANNED_EVERYWHERE.iter().chain(&BANNED_IN_SOURCE);
    for ban in bans {
        let text = format!("//! Doc.\nfn f() {{ {ban}) }}\n");
        assert_eq!(complaints(path, &text), [format!("{path}:2: {ban}")]);
        let comment = format!("//! Doc.\n// Says why there is no {ban}.\n");
        assert!(complaints(path, &comment).is_empty(), "{ban}");
    }
    for ban in BANNED_IN_COMMENTS {
        let text = format!("//! Doc.\nfn f() {{}} // {ban}\n");
        assert_eq!(complaints(path, &text), [format!("{path}:2: {ban}")]);
    }
    for ban in MACHINE_PATHS {
        let expected = [format!("docs/x.md:1: machine path {ban}")];
        assert_eq!(complaints("docs/x.md", &format!("see {ban}x")), expected);
    }
}

#[test]
fn only_examples_and_tests_print() {
    for (path, expected) in [
        ("crates/x/src/a.rs", 1),
        ("xtask/src/a.rs", 1),
        ("crates/x/examples/a.rs", 0),
        ("crates/x/src/a/tests.rs", 0),
    ] {
        for print in BANNED_PRINTS {
            let text = format!("//! Doc.\nfn f() {{ {print}\"x\") }}\n");
            assert_eq!(complaints(path, &text).len(), expected, "{path}: {print}");
        }
    }
}

#[test]
fn tests_may_hash_and_edges_may_know_the_time() {
    let text =
        "//! Doc.\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use std::collections::HashMap;\n}\n";
    assert!(complaints("crates/x/src/a.rs", text).is_empty());
    let early =
        format!("{text}\nfn g() {{}}").replace("fn f() {}", "use std::collections::HashMap;");
    let expected = ["crates/x/src/a.rs:2: HashMap"];
    assert_eq!(complaints("crates/x/src/a.rs", &early), expected);
    let clock = "//! Doc.\nfn f() { Instant::now(); }\n";
    assert!(complaints("xtask/src/main.rs", clock).is_empty());
    let unfinished = "//! Doc.\nfn f() { todo!() }\n";
    assert_eq!(complaints("xtask/src/main.rs", unfinished).len(), 1);
    assert_eq!(complaints("crates/x/tests/it/main.rs", unfinished).len(), 1);
}

#[test]
fn shape_and_names_are_checked() {
    let good = "//! Doc.\n";
    assert!(complaints("crates/x/src/a.rs", good).is_empty());
    assert_eq!(complaints("crates/x/src/a.rs", "fn f() {}\n").len(), 1);
    let long = good.repeat(MOST_LINES + 1);
    let expected = ["crates/x/src/a.rs: 601 lines, at most 600"];
    assert_eq!(complaints("crates/x/src/a.rs", &long), expected);
    assert!(complaints("crates/x/src/a.rs", &good.repeat(MOST_LINES)).is_empty());
    for name in BANNED_NAMES.iter().chain(&["mod.rs"]) {
        let path = format!("crates/x/src/{name}");
        let expected = [format!("{path}: a file named {name}")];
        assert_eq!(complaints(&path, good), expected);
    }
    assert!(complaints(PERMITTED_MOD, good).is_empty());
    assert!(complaints("crates/x/tests/common/mod.rs", good).is_empty());
}

#[test]
fn a_crate_that_lacks_something_is_named() {
    let files = ["crates/a/src/lib.rs", "crates/a/README.md", "crates/b/x.rs"].map(String::from);
    let expected = [
        "crates/a/examples/ has no example",
        "crates/a has no test",
        "crates/a/src/lib.rs: no #![forbid(unsafe_code)]",
        "crates/b/README.md is missing",
        "crates/b/examples/ has no example",
        "crates/b has no test",
        "crates/b/src/lib.rs is missing",
    ];
    assert_eq!(lacking(&files, |_| "//! Doc.\n".into()), expected);
    let safe = "//! Doc.\n#![forbid(unsafe_code)]\n#[test]\n";
    let whole = ["crates/a/src/lib.rs", "crates/a/README.md", "crates/a/examples/show.rs"];
    assert!(lacking(&whole.map(String::from), |_| safe.into()).is_empty());
}
