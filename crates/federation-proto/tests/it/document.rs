//! `docs/protocol/wire-format.md`: what it says of every type is what the code does.
//!
//! The prose is written by people. Between markers stand tables that are made from the sources and from drawn
//! values; a new type gets its section by approving the change.

mod declarations;
mod sections;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use crate::wire_types;
use crate::{domains, lists, outside, survey};
use tables::Table;

const DOCUMENT: &str = "../../docs/protocol/wire-format.md";

/// The document; where a change is being approved, as it will be.
fn text() -> String {
    let text = outside::text(DOCUMENT);
    if outside::approving() { sections::renewed(&text) } else { text }
}

/// The table below a heading of the document.
fn table(heading: &str) -> Table {
    let text = text();
    let found = tables::all(&text).into_iter().find(|table| table.heading == heading);
    found.unwrap_or_else(|| panic!("{DOCUMENT} has no table under {heading}"))
}

#[test]
fn document_is_what_the_code_says() {
    let text = outside::text(DOCUMENT);
    outside::approve(DOCUMENT, &sections::renewed(&text), "document");
}

#[test]
fn document_names_every_signing_domain() {
    let table = table("Signing domains");
    let written: Vec<(String, String)> =
        table.rows.iter().map(|row| (row[0].clone(), tables::plain(&row[1]))).collect();
    let declared: Vec<(String, String)> = domains::signing()
        .iter()
        .map(|(domain, name)| ((*domain as u16).to_string(), (*name).to_owned()))
        .collect();
    assert_eq!(written, declared);
    let rows: BTreeMap<&str, &Vec<String>> =
        table.rows.iter().map(|row| (row[0].as_str(), row)).collect();
    for wire in wire_types::all() {
        let Some(authority) = wire.authority else { continue };
        let row = rows[(authority.domain as u16).to_string().as_str()];
        assert_eq!(tables::plain(&row[2]), authority.body, "body of {}", row[1]);
        assert_eq!(tables::plain(&row[3]), authority.role, "role of {}", row[1]);
    }
    let unbound: Vec<_> = table.rows.iter().filter(|row| row[4].is_empty()).collect();
    assert!(unbound.is_empty(), "bound to no time: {unbound:?}");
}

#[test]
fn document_names_every_digest_domain() {
    let written: Vec<(String, String)> = table("Digest domains")
        .rows
        .iter()
        .map(|row| (tables::plain(&row[0]), tables::plain(&row[1])))
        .collect();
    let declared: Vec<(String, String)> = domains::digest()
        .iter()
        .map(|(domain, name)| ((*name).to_owned(), domain.context().to_owned()))
        .collect();
    assert_eq!(written, declared);
}

#[test]
fn document_names_every_list_limit() {
    let written: Vec<(String, String)> =
        table("Lists").rows.iter().map(|row| (tables::plain(&row[0]), row[1].clone())).collect();
    let limits = lists::LIMITS.map(|(name, limit)| (name.to_owned(), limit.to_string()));
    assert_eq!(written, limits);
}

#[test]
fn document_names_every_small_type() {
    let written: BTreeSet<String> =
        table("Small types").rows.iter().map(|row| tables::plain(&row[0])).collect();
    let declared: BTreeSet<String> = survey::all()
        .iter()
        .flat_map(|survey| survey.declared.newtypes.iter().map(|name| (*name).to_owned()))
        .collect();
    let missing: Vec<_> = declared.difference(&written).collect();
    assert!(missing.is_empty(), "a row under Small types for each of {missing:?}");
}

/// Names in types that need no explanation of ours: Rust's, the roles of keys, and parameters.
const FAMILIAR: [&str; 16] = [
    "Vec",
    "Option",
    "String",
    "Signed",
    "Endorsed",
    "Identity",
    "Consensus",
    "LogCheckpoint",
    "Cosigner",
    "Document",
    "Admission",
    "GovernanceNote",
    "Artifact",
    "Transport",
    "R",
    "P",
];

#[test]
fn document_explains_every_type_once() {
    let text = text();
    let headings: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("### ")).map(tables::plain).collect();
    let once: BTreeSet<&String> = headings.iter().collect();
    assert_eq!(once.len(), headings.len(), "a heading stands twice");
    let small = table("Small types").rows.into_iter().map(|row| tables::plain(&row[0]));
    let small = small.map(|name| name.split('<').next().unwrap_or_default().to_owned());
    let known: BTreeSet<String> =
        headings.iter().cloned().chain(small).chain(FAMILIAR.map(str::to_owned)).collect();
    let mut unknown = BTreeSet::new();
    for table in tables::all(&text) {
        let column = table.columns.iter().position(|name| name == "type" || name == "content");
        let is_declaration = ["field", "number"].contains(&table.columns[0].as_str());
        let (Some(column), true) = (column, is_declaration) else { continue };
        for row in &table.rows {
            let words = row[column].split(|c: char| !c.is_alphanumeric());
            let types = words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase()));
            unknown.extend(types.filter(|word| !known.contains(*word)).map(str::to_owned));
        }
    }
    assert!(unknown.is_empty(), "named and nowhere explained: {unknown:?}");
}

#[test]
fn document_examples_are_encodings_leaf_by_leaf() {
    let text = text();
    let mut seen = BTreeSet::new();
    for table in tables::all(&text) {
        if table.columns != ["offset", "bytes", "field"] {
            continue;
        }
        let name = table.heading.as_str();
        let wire = wire_types::all().into_iter().find(|wire| wire.name == name);
        let wire = wire.unwrap_or_else(|| panic!("an example under {name}, which is no type"));
        let rows: Vec<(usize, Vec<u8>, String)> = table
            .rows
            .iter()
            .map(|row| {
                let offset = row[0].parse().expect("an offset");
                let digits = tables::plain(&row[1]);
                let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes());
                (offset, bytes.expect("hexadecimal"), tables::plain(&row[2]))
            })
            .collect();
        let bytes: Vec<u8> = rows.iter().flat_map(|(_, bytes, _)| bytes.clone()).collect();
        let trace = (wire.retrace)(&bytes);
        let trace = trace.unwrap_or_else(|| panic!("the example of {name} is no value of it"));
        let leaves: Vec<(usize, Vec<u8>, String)> = trace
            .leaves
            .iter()
            .map(|leaf| (leaf.range.start, bytes[leaf.range.clone()].to_vec(), leaf.path.clone()))
            .collect();
        assert_eq!(rows, leaves, "{name}");
        seen.insert(wire.name);
    }
    let missing: Vec<&str> = wire_types::all()
        .iter()
        .filter(|wire| wire.authority.is_none() && !seen.contains(wire.name))
        .map(|wire| wire.name)
        .collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}
