//! The generated parts of the document, between `<!-- begin NAME -->` and `<!-- end -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use federation_proto::limits;

use super::declarations::{self, Declaration, Part};
use crate::draw::Declared;
use crate::survey::{self, Survey};
use crate::trace::Leaf;
use crate::wire_types::{Authority, Drawn};

/// Structs whose few fields are described in the prose.
const BY_HAND: [&str; 3] = ["Signed", "Endorsed", "Signature"];

/// Signed types whose example is worth its length; of the others it would repeat the body's.
const SIGNED_EXAMPLES: [&str; 2] = ["Signed<BlobReceipt>", "Endorsed<FederationAccept>"];

/// The limits of fields: a reader wants numbers.
const FIELD_LIMITS: [(&str, usize); 5] = [
    ("limits::EVIDENCE", limits::EVIDENCE),
    ("limits::INSTANCE", limits::INSTANCE),
    ("limits::POLICY", limits::POLICY),
    ("limits::PROOF", limits::PROOF),
    ("limits::QUOTE", limits::QUOTE),
];

/// The longest example, unless every drawn value is longer.
const LONGEST: usize = 400;

const END: &str = "<!-- end -->";

/// The document with every generated part made anew, and with sections for the types that have none.
pub(super) fn renewed(text: &str) -> String {
    let blocks = blocks();
    let mut renewed = String::new();
    let mut written = BTreeSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix("<!-- begin ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(block) = name.and_then(|name| blocks.get(name)) {
            let old = lines.by_ref().take_while(|line| *line != END);
            drop(old.collect::<Vec<_>>());
            written.extend(name.map(str::to_owned));
            writeln!(renewed, "{line}\n{block}{END}").expect("a String");
            continue;
        }
        let kind = match line {
            "<!-- further messages -->" => Some(true),
            "<!-- further parts -->" => Some(false),
            _ => None,
        };
        if let Some(messages) = kind {
            let is_message = |name: &str| survey::find(name).is_some();
            for (name, block) in &blocks {
                if name != "limits" && is_message(name) == messages && !written.contains(name) {
                    let head = format!("### `{name}`\n\n<!-- begin {name} -->");
                    writeln!(renewed, "{head}\n{block}{END}\n").expect("a String");
                }
            }
        }
        renewed.push_str(line);
        renewed.push('\n');
    }
    renewed
}

/// All generated parts, by name.
fn blocks() -> BTreeMap<String, String> {
    let declarations = declarations::all();
    let mut blocks = BTreeMap::from([("limits".to_owned(), size_limits())]);
    let mut declared = Declared::default();
    for survey in survey::all() {
        declared.merge(&survey.declared);
        blocks.insert(survey.wire.name.to_owned(), message(survey, &declarations));
    }
    let structs = declared.structs.iter().map(|(name, parts)| (*name, parts.len()));
    let enums = declared.enums.iter().map(|(name, parts)| (*name, parts.len()));
    for (name, count) in structs.chain(enums) {
        let Some(declaration) = declarations.get(name) else {
            assert!(BY_HAND.contains(&name), "{name} is not found in the sources");
            continue;
        };
        assert_eq!(
            declaration.parts.len(),
            count,
            "parts of {name} in the sources and on the wire"
        );
        if survey::find(name).is_none() && !BY_HAND.contains(&name) {
            blocks.insert(name.to_owned(), description(declaration));
        }
    }
    for (name, fields) in &declared.structs {
        let parts = declarations.get(*name).map(|declaration| &declaration.parts);
        let names: Vec<&str> = parts.into_iter().flatten().map(|part| part.name.as_str()).collect();
        assert_eq!(names, *fields, "fields of {name} in the sources and on the wire");
    }
    blocks
}

fn size_limits() -> String {
    let mut text = "| type | most bytes |\n|---|---|\n".to_owned();
    for survey in survey::all() {
        let (name, most) = (survey.wire.name, survey.wire.max_bytes);
        writeln!(text, "| `{name}` | {most} |").expect("a String");
    }
    text
}

fn message(survey: &Survey, declarations: &BTreeMap<String, Declaration>) -> String {
    let name = survey.wire.name;
    let mut text = match survey.wire.authority {
        Some(authority) => signed(authority),
        None => declarations.get(name).map(description).unwrap_or_default(),
    };
    if survey.wire.authority.is_none() || SIGNED_EXAMPLES.contains(&name) {
        text.push_str(&example(&survey.telling(LONGEST).1));
    }
    text
}

fn signed(Authority { body, domain, role, threshold, .. }: Authority) -> String {
    let whose = match threshold {
        Some(_) => format!("several keys of role `{role}`"),
        None => format!("one key of role `{role}`"),
    };
    format!("`{body}`, signed by {whose} under domain {}.\n", domain as u16)
}

fn description(declaration: &Declaration) -> String {
    let mut text = declaration.comment.join("\n\n");
    text.push_str("\n\n");
    text.push_str(if declaration.is_enum {
        "| number | variant | content | meaning |\n|---|---|---|---|\n"
    } else {
        "| field | type | meaning |\n|---|---|---|\n"
    });
    for (number, Part { name, content, comment }) in declaration.parts.iter().enumerate() {
        // A box is a matter of memory: it has no bytes.
        let content =
            content.strip_prefix("Box<").and_then(|c| c.strip_suffix('>')).unwrap_or(content);
        let content = with_numbers(content);
        let content = if content.is_empty() { "–".to_owned() } else { format!("`{content}`") };
        let comment = comment.replace('|', "\\|");
        if declaration.is_enum {
            write!(text, "| {number} ").expect("a String");
        }
        writeln!(text, "| `{name}` | {content} | {comment} |").expect("a String");
    }
    text
}

/// A type with the numbers of the limits that it names.
fn with_numbers(content: &str) -> String {
    let numbered = FIELD_LIMITS.iter().fold(content.to_owned(), |content, (name, value)| {
        content.replace(&format!("{{ {name} }}"), &value.to_string())
    });
    assert!(!numbered.contains("limits::"), "a line in FIELD_LIMITS for {numbered}");
    numbered
}

fn example(drawn: &Drawn) -> String {
    let mut text = format!(
        "\nExample, {} bytes:\n\n| offset | bytes | field |\n|---|---|---|\n",
        drawn.canonical.len()
    );
    for Leaf { path, range, .. } in &drawn.trace.leaves {
        let bytes = data_encoding::HEXLOWER.encode(&drawn.canonical[range.clone()]);
        let bytes = if bytes.is_empty() { String::new() } else { format!("`{bytes}`") };
        writeln!(text, "| {} | {bytes} | `{path}` |", range.start).expect("a String");
    }
    text
}
