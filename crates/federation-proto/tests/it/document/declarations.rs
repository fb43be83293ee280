//! Structs and enums as their sources declare them: names, types and what their comments say.
//!
//! It reads what rustfmt writes and no more Rust than that. What it gets wrong shows at once, since the names
//! are compared with those that serde declares.

use std::collections::BTreeMap;

use crate::outside;

/// A field or a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its name.
    pub(super) name: String,
    /// Type of a field, content of a variant.
    pub(super) content: String,
    /// Its documentation.
    pub(super) comment: String,
}

/// A type.
#[derive(Clone, Debug)]
pub(super) struct Declaration {
    /// Its documentation, by paragraphs.
    pub(super) comment: Vec<String>,
    /// Whether it is an enum.
    pub(super) is_enum: bool,
    /// Its fields or variants, in order.
    pub(super) parts: Vec<Part>,
}

/// Every struct with named fields and every enum of the crate.
pub(super) fn all() -> BTreeMap<String, Declaration> {
    outside::sources().iter().flat_map(|source| declarations(source)).collect()
}

fn declarations(source: &str) -> Vec<(String, Declaration)> {
    let mut found = Vec::new();
    let mut comment = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim().to_owned());
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let head = [("pub struct ", false), ("pub enum ", true)];
        let head = head.iter().find_map(|(start, is_enum)| {
            let rest = line.strip_prefix(start)?.strip_suffix(" {")?;
            Some((rest.split('<').next().unwrap_or(rest).to_owned(), *is_enum))
        });
        if let Some((name, is_enum)) = head {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
            let parts = parts(&body, is_enum);
            found.push((name, Declaration { comment: paragraphs(&comment), is_enum, parts }));
        }
        comment.clear();
    }
    found
}

fn paragraphs(lines: &[String]) -> Vec<String> {
    let blocks = lines.split(|line| line.is_empty());
    blocks.map(|block| prose(&block.join(" "))).filter(|block| !block.is_empty()).collect()
}

/// Documentation without the links that only rustdoc follows.
fn prose(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let (name, after) = after.split_once("`]").unwrap_or((after, ""));
        plain.push_str(&format!("{before}`{name}`"));
        rest = match after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}

/// The parts of a body, each a line with its comment above; a variant with fields goes on to its brace.
fn parts(body: &[&str], is_enum: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut comment = Vec::new();
    let mut lines = body.iter();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.trim());
            continue;
        }
        if line.starts_with("#[") && !line.ends_with(']') {
            // An attribute of several lines ends with its bracket alone.
            let is_open = |line: &&&str| !line.trim_end().ends_with(")]");
            lines.by_ref().take_while(is_open).for_each(drop);
            continue;
        }
        if line.is_empty() || line.starts_with("#[") || line.starts_with("//") {
            continue;
        }
        let said = prose(&std::mem::take(&mut comment).join(" "));
        let line = line.trim_end_matches(',');
        let part = |name: &str, content: &str| Part {
            name: name.into(),
            content: content.into(),
            comment: said.clone(),
        };
        if !is_enum {
            let field = line.strip_prefix("pub ").unwrap_or(line);
            let (name, content) = field.split_once(": ").expect("a field has a type");
            parts.push(part(name, content));
        } else if let Some(name) = line.strip_suffix(" {") {
            let inner: Vec<&str> =
                lines.by_ref().take_while(|line| line.trim() != "},").copied().collect();
            let fields = self::parts(&inner, false);
            let shown: Vec<String> =
                fields.iter().map(|field| format!("{}: {}", field.name, field.content)).collect();
            let meanings: Vec<String> = fields
                .iter()
                .filter(|field| !field.comment.is_empty())
                .map(|field| format!("`{}`: {}", field.name, field.comment))
                .collect();
            let said = [vec![said.clone()], meanings].concat().join(" ");
            parts
                .push(Part { comment: said, ..part(name, &format!("{{ {} }}", shown.join(", "))) });
        } else {
            let (name, content) = line.split_once('(').unwrap_or((line, ""));
            parts.push(part(name, content.trim_end_matches(')')));
        }
    }
    parts
}

#[test]
fn a_declaration_is_read() {
    let source = "\
/// What it is: [`Other`](crate::other), see [RFC 1].
///
/// And more.
#[derive(Clone)]
pub enum Choice {
    /// Nothing.
    #[error(
        \"several: lines\",
        1
    )]
    None,
    /// A box.
    Boxed(Box<Thing>),
    /// Two.
    Pair {
        /// Left.
        left: u16,
        right: u16,
    },
}

/// A thing.
pub struct Thing<T> {
    /// A field
    /// of two lines.
    pub first: Vec<T>,
    second: u8,
}
";
    let found = declarations(source);
    let (name, choice) = &found[0];
    assert_eq!((name.as_str(), choice.is_enum), ("Choice", true));
    assert_eq!(choice.comment, ["What it is: `Other`, see [RFC 1].", "And more."]);
    let parts = |declaration: &Declaration| -> Vec<String> {
        let parts = declaration.parts.iter();
        parts.map(|p| format!("{}|{}|{}", p.name, p.content, p.comment)).collect()
    };
    let expected = [
        "None||Nothing.",
        "Boxed|Box<Thing>|A box.",
        "Pair|{ left: u16, right: u16 }|Two. `left`: Left.",
    ];
    assert_eq!(parts(choice), expected);
    let (name, thing) = &found[1];
    assert_eq!(name, "Thing");
    assert_eq!(parts(thing), ["first|Vec<T>|A field of two lines.", "second|u8|"]);
}
