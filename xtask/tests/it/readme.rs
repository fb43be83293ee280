//! README.md shows the reference run's table, and no other.

use std::fmt::Write as _;

use serde_json::Value;

use crate::tree;

const BEGIN: &str = "<!-- table:begin -->\n";
const END: &str = "<!-- table:end -->";

/// One row a genome: its label, its mean over all families, then each family, in permille.
fn table(evaluation: &Value) -> Option<String> {
    let rows = evaluation["rows"].as_array()?;
    let families = rows.first()?["families"].as_array()?;
    let names: Vec<&str> =
        families.iter().map(|family| family["family"].as_str()).collect::<Option<_>>()?;
    let mut text = format!("| genome | all families | {} |\n", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(names.len() + 1));
    for row in rows {
        let _ = write!(text, "| {} | {} |", row["label"].as_str()?, row["cost_permille"].as_u64()?);
        let costs = row["families"].as_array()?;
        for (index, name) in names.iter().enumerate() {
            let cost = costs.get(index).filter(|cost| cost["family"].as_str() == Some(name))?;
            let _ = write!(text, " {} |", cost["cost_permille"].as_u64()?);
        }
        text.push('\n');
    }
    Some(text)
}

/// What stands between the markers, when each stands once.
fn between(readme: &str) -> Option<&str> {
    let (_, rest) = readme.split_once(BEGIN)?;
    let (inside, after) = rest.split_once(END)?;
    let again = after.contains(END) || rest.contains(BEGIN);
    (!again).then_some(inside)
}

#[test]
fn the_table_is_the_reference_run() {
    let evaluation = tree::text("artifacts/mec/M5/evaluation.json").expect("text");
    let evaluation: Value = serde_json::from_str(&evaluation).expect("JSON");
    let expected = table(&evaluation).expect("rows with a label and the same families each");
    let readme = tree::text("README.md").expect("text");
    let shown = between(&readme).expect("one table:begin and one table:end, each on its own line");
    assert!(
        shown == expected,
        "README.md shows another table than artifacts/mec/M5/evaluation.json; put this between \
         table:begin and table:end:\n\n{expected}"
    );
}

#[test]
fn a_table_has_a_row_a_genome_and_a_column_a_family() {
    let family = |name: &str, cost: u64| serde_json::json!({"family": name, "cost_permille": cost});
    let row = |label: &str, families: [Value; 2]| serde_json::json!({"label": label, "cost_permille": 2, "families": families, "kind": "x"});
    let good = row("a", [family("queen", 1), family("latin", 3)]);
    let swapped = row("b", [family("latin", 3), family("queen", 1)]);
    let expected =
        "| genome | all families | queen | latin |\n|---|---:|---:|---:|\n| a | 2 | 1 | 3 |\n";
    let evaluation = |rows: &[&Value]| serde_json::json!({ "rows": rows });
    assert_eq!(table(&evaluation(&[&good])).as_deref(), Some(expected));
    assert_eq!(table(&evaluation(&[&good, &swapped])), None);
    assert_eq!(table(&evaluation(&[])), None);
    let twice = format!("{BEGIN}a\n{END}\n");
    assert_eq!(between(&twice), Some("a\n"));
    assert_eq!((between(&twice.repeat(2)), between("TABLE")), (None, None));
}
