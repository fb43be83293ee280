//! The crates form layers: each uses only those before it, and exactly those ARCHITECTURE.md shows.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::tree;

/// The layers from the bottom up.
const ORDER: [&str; 8] = [
    "federation-proto",
    "ledger",
    "consensus-pbft",
    "meta-core",
    "governance",
    "simulator",
    "key-store",
    "xtask",
];

/// Crate → the crates of the workspace that it uses.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The arrows of the workspace: those that ship, and those that only tests follow.
struct Arrows {
    shipped: Graph,
    tested: Graph,
}

fn present() -> Arrows {
    let metadata = MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .manifest_path(tree::root().join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".into()])
        .exec()
        .expect("cargo metadata");
    let packages = metadata.workspace_packages();
    let members: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let (mut shipped, mut tested) = (Graph::new(), Graph::new());
    for package in &packages {
        let name = package.name.to_string();
        shipped.entry(name.clone()).or_default();
        for dependency in &package.dependencies {
            if dependency.path.is_none() || !members.contains(dependency.name.as_str()) {
                continue;
            }
            let graph = match dependency.kind {
                DependencyKind::Development => &mut tested,
                _ => &mut shipped,
            };
            let uses = graph.entry(name.clone()).or_default();
            uses.insert(dependency.name.clone());
        }
    }
    Arrows { shipped, tested }
}

/// Every arrow that does not point to an earlier layer. `what` names the kind of arrow.
fn wrong_arrows(what: &str, graph: &Graph) -> Vec<String> {
    let place = |name: &str| ORDER.iter().position(|layer| *layer == name);
    let mut wrong = Vec::new();
    for (from, uses) in graph {
        let Some(here) = place(from) else {
            wrong.push(format!("{from} has no layer"));
            continue;
        };
        for to in uses {
            if place(to).is_none_or(|there| there >= here) {
                wrong.push(format!("{what} {from} → {to} does not point down"));
            }
        }
    }
    wrong
}

/// Where the shipped arrows and the documented ones differ.
fn differences(shipped: &Graph, documented: &Graph) -> Vec<String> {
    let flat = |graph: &Graph| -> BTreeSet<String> {
        let arrows = graph
            .iter()
            .flat_map(|(from, uses)| uses.iter().map(move |to| format!("{from} → {to}")));
        arrows.chain(graph.keys().cloned()).collect()
    };
    let (present, written) = (flat(shipped), flat(documented));
    let undocumented =
        present.difference(&written).map(|arrow| format!("{arrow}: present, not in the table"));
    let stale =
        written.difference(&present).map(|arrow| format!("{arrow}: in the table, not present"));
    undocumented.chain(stale).collect()
}

/// Reads the table between the markers: `| crate | uses |`, the uses separated by commas, `–` for none.
fn documented(text: &str) -> Result<Graph, String> {
    let table = text
        .split_once("<!-- edges:begin -->")
        .and_then(|(_, rest)| rest.split_once("<!-- edges:end -->"))
        .map(|(table, _)| table)
        .ok_or("no <!-- edges:begin --> … <!-- edges:end -->")?;
    let mut graph = Graph::new();
    let rows = table.lines().filter(|line| !line.trim().is_empty());
    for (number, line) in rows.enumerate() {
        let cells = tree::cells(line).ok_or_else(|| format!("not a table row: {line}"))?;
        let [name, uses] = cells.as_slice() else {
            return Err(format!("{} cells, 2 wanted: {line}", cells.len()));
        };
        // The first two rows are the header and its rule.
        if number == 0 || tree::is_rule(&cells) {
            continue;
        }
        let plain = |cell: &str| cell.trim().trim_matches('`').to_owned();
        let uses = uses.split(',').map(plain);
        let uses = uses.filter(|used| !used.is_empty() && used != "–").collect();
        if graph.insert(plain(name), uses).is_some() {
            return Err(format!("{name} has two rows"));
        }
    }
    Ok(graph)
}

fn graph(arrows: &[(&str, &[&str])]) -> Graph {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    arrows.iter().map(|(from, uses)| ((*from).to_owned(), owned(uses))).collect()
}

#[test]
fn every_arrow_points_down() {
    let Arrows { shipped, tested } = present();
    let members: Vec<&str> = shipped.keys().map(String::as_str).collect();
    let mut layers = ORDER.to_vec();
    layers.sort_unstable();
    assert_eq!(members, layers, "the workspace and the layers differ");
    let mut wrong = wrong_arrows("dependency", &shipped);
    wrong.extend(wrong_arrows("dev-dependency", &tested));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_documented_arrows_are_the_present_ones() {
    let Some(text) = tree::text("ARCHITECTURE.md") else { panic!("ARCHITECTURE.md is not UTF-8") };
    let documented = documented(&text).unwrap_or_else(|error| panic!("ARCHITECTURE.md: {error}"));
    let differences = differences(&present().shipped, &documented);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn wrong_arrows_are_named() {
    let wrong = graph(&[
        ("federation-proto", &[]),
        ("ledger", &["federation-proto", "governance"]),
        ("meta-core", &["meta-core"]),
        ("simulator", &["elsewhere"]),
        ("stray", &["ledger"]),
    ]);
    let expected = [
        "dependency ledger → governance does not point down",
        "dependency meta-core → meta-core does not point down",
        "dependency simulator → elsewhere does not point down",
        "stray has no layer",
    ];
    assert_eq!(wrong_arrows("dependency", &wrong), expected);
}

#[test]
fn a_table_is_read_and_compared() {
    let text = "## Present edges\n<!-- edges:begin -->\n\
        | crate | uses |\n|---|---|\n\
        | `federation-proto` | – |\n\
        | `ledger` | `federation-proto` |\n\
        | `consensus-pbft` | `federation-proto`, `ledger` |\n\
        <!-- edges:end -->\n| other | table |\n";
    let mut table = documented(text).expect("a good table");
    let expected = graph(&[
        ("federation-proto", &[]),
        ("ledger", &["federation-proto"]),
        ("consensus-pbft", &["federation-proto", "ledger"]),
    ]);
    assert_eq!(table, expected);
    assert_eq!(differences(&expected, &table), Vec::<String>::new());

    table.insert("ledger".into(), BTreeSet::from(["meta-core".into()]));
    table.remove("federation-proto");
    let named = [
        "federation-proto: present, not in the table",
        "ledger → federation-proto: present, not in the table",
        "ledger → meta-core: in the table, not present",
    ];
    assert_eq!(differences(&expected, &table), named);
}

#[test]
fn a_broken_table_is_refused() {
    assert!(documented("no markers").is_err());
    let rows = |rows: &str| format!("<!-- edges:begin -->\n{rows}<!-- edges:end -->");
    assert!(documented(&rows("| a | b |\n|---|---|\n| x | y | z |\n")).is_err());
    assert!(documented(&rows("| a | b |\n|---|---|\nprose\n")).is_err());
    assert!(documented(&rows("| a | b |\n|---|---|\n| x | – |\n| x | – |\n")).is_err());
}
