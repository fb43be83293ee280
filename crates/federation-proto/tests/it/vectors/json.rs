//! JSON that people read: objects a field a line, short lists on one line.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a file.
pub(super) fn file(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0);
    text.push('\n');
    text
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    let inner = "  ".repeat(depth + 1);
    let close = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push_str("{\n");
            for (number, (name, field)) in fields.iter().enumerate() {
                let comma = if number == 0 { "" } else { ",\n" };
                write!(text, "{comma}{inner}{}: ", Value::from(name.as_str())).expect("a String");
                write_value(text, field, depth + 1);
            }
            write!(text, "\n{close}}}").expect("a String");
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            text.push_str("[\n");
            for (number, item) in items.iter().enumerate() {
                let comma = if number == 0 { "" } else { ",\n" };
                write!(text, "{comma}{inner}").expect("a String");
                write_value(text, item, depth + 1);
            }
            write!(text, "\n{close}]").expect("a String");
        }
        _ => write!(text, "{value}").expect("a String"),
    }
}

#[test]
fn the_text_means_the_value() {
    let value = serde_json::json!({ "a": [1, "two"], "b": [[1], {}], "c": { "d": [], "e": "\"" } });
    let text = file(&value);
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    assert!(text.starts_with("{\n  \"a\": [1,\"two\"],\n"));
}
