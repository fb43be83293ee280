//! What a command found out: lines for people, one document for programs.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use governance::trust::RootOfTrust;
use serde_json::{Map, Value, json};

use crate::cli::Format;
use crate::failure::Failure;
use crate::output;

/// Columns of a line before its value.
const NAME: usize = 14;

/// Named values in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Facts {
    facts: Vec<(&'static str, Fact)>,
}

#[derive(Debug)]
enum Fact {
    One(String),
    Many(Vec<String>),
    Counts(BTreeMap<&'static str, u64>),
}

impl Facts {
    /// A value of its own line.
    pub(super) fn say(&mut self, name: &'static str, value: impl Display) {
        self.facts.push((name, Fact::One(output::visible(&value.to_string()))));
    }

    /// Values, one a line.
    pub(super) fn list(&mut self, name: &'static str, values: impl Iterator<Item = String>) {
        self.facts.push((name, Fact::Many(values.map(|value| output::visible(&value)).collect())));
    }

    /// A table of how many there are of what.
    pub(super) fn count(&mut self, name: &'static str, counts: BTreeMap<&'static str, u64>) {
        self.facts.push((name, Fact::Counts(counts)));
    }

    /// Writes everything to standard output, after the root of trust that it rests on.
    pub(super) fn show(
        &self,
        command: &str,
        trust: Option<&RootOfTrust>,
        format: Format,
    ) -> Result<(), Failure> {
        let trust = trust.map(RootOfTrust::statement);
        let text = match format {
            Format::Human => self.to_text(trust.as_deref(), output::width()),
            Format::Json => self.to_json(command, trust.as_deref()),
        };
        output::write(&text).map_err(Failure::Output)
    }

    fn to_text(&self, trust: Option<&str>, width: u16) -> String {
        let mut text = String::new();
        if let Some(trust) = trust {
            let _ = writeln!(text, "{}", output::visible(trust));
        }
        for (name, fact) in &self.facts {
            let _ = match fact {
                Fact::One(value) => writeln!(text, "{name:NAME$}{value}"),
                Fact::Many(values) => {
                    let names = std::iter::once(*name).chain(std::iter::repeat(""));
                    let lines = names.zip(values);
                    lines
                        .into_iter()
                        .try_for_each(|(name, value)| writeln!(text, "{name:NAME$}{value}"))
                }
                Fact::Counts(counts) => {
                    let row =
                        |(what, count): (&&str, &u64)| vec![(*what).to_owned(), count.to_string()];
                    let rows: Vec<Vec<String>> = counts.iter().map(row).collect();
                    text.push_str(&output::table(&[name, "number"], &rows, width));
                    Ok(())
                }
            };
        }
        text
    }

    /// Numbers may have 64 bits, so they are strings, as in the artifacts.
    fn to_json(&self, command: &str, trust: Option<&str>) -> String {
        let mut document = Map::new();
        document.insert("schema".to_owned(), json!(format!("prism-federation/ledger-{command}")));
        document.insert("schema_version".to_owned(), json!(1));
        document.insert("root_of_trust".to_owned(), json!(trust));
        for (name, fact) in &self.facts {
            let value = match fact {
                Fact::One(value) => json!(value),
                Fact::Many(values) => json!(values),
                Fact::Counts(counts) => {
                    let counts = counts.iter().map(|(what, count)| (*what, count.to_string()));
                    json!(counts.collect::<BTreeMap<_, _>>())
                }
            };
            document.insert(name.replace(' ', "_"), value);
        }
        format!("{:#}\n", Value::Object(document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.say("state root", "a\u{1b}[2J");
        facts.list("signers", ["one", "two"].map(str::to_owned).into_iter());
        facts.count("entries", BTreeMap::from([("UpdateCommitment", u64::MAX)]));
        facts
    }

    #[test]
    fn people_read_lines_and_tables_that_fit() {
        for width in [44, 100] {
            let text = facts().to_text(Some("trust"), width);
            let begin = "trust\nstate root    a\\u{1b}[2J\nsigners       one\n              two\n";
            assert!(text.starts_with(begin), "{text}");
            assert!(text.contains("UpdateCommitment") && text.contains("18446744073709551615"));
            let widest = text.lines().skip(4).map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= 45), "{text}");
        }
    }

    #[test]
    fn programs_read_one_document() {
        let document: Value = serde_json::from_str(&facts().to_json("show", None)).expect("JSON");
        assert_eq!(document["schema"], "prism-federation/ledger-show");
        assert_eq!(document["state_root"], "a\\u{1b}[2J");
        assert_eq!(document["signers"], json!(["one", "two"]));
        assert_eq!(document["entries"]["UpdateCommitment"], u64::MAX.to_string());
        assert_eq!(document["root_of_trust"], Value::Null);
    }
}
