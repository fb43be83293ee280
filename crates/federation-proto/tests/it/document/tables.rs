//! Tables of a Markdown text, each with the heading that it stands under.

/// A table.
pub(super) struct Table {
    /// The text of the nearest heading above it, without backticks.
    pub(super) heading: String,
    /// Its first row.
    pub(super) columns: Vec<String>,
    /// All rows below the rule.
    pub(super) rows: Vec<Vec<String>>,
}

/// A cell's text without backticks and without what makes a bar a part of it.
pub(super) fn plain(cell: &str) -> String {
    cell.trim_matches('`').replace("\\|", "|")
}

fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    // A bar within a cell is written with a backslash.
    let inner = inner.replace("\\|", "\u{0}");
    Some(inner.split('|').map(|cell| cell.trim().replace('\u{0}', "\\|")).collect())
}

/// All tables of a text.
pub(super) fn all(text: &str) -> Vec<Table> {
    let mut tables = Vec::<Table>::new();
    let mut heading = String::new();
    let mut in_table = false;
    for line in text.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().replace('`', "");
        }
        match cells(line) {
            None => in_table = false,
            Some(columns) if !in_table => {
                in_table = true;
                tables.push(Table { heading: heading.clone(), columns, rows: Vec::new() });
            }
            Some(row) => {
                let is_rule = row.iter().all(|cell| cell.chars().all(|c| c == '-' || c == ':'));
                if let (false, Some(table)) = (is_rule, tables.last_mut()) {
                    assert_eq!(row.len(), table.columns.len(), "{line}");
                    table.rows.push(row);
                }
            }
        }
    }
    tables
}

#[test]
fn a_table_belongs_to_its_heading() {
    let text = "# A\n## `B<C>`\n| x | y |\n|---|---|\n| `1` | a\\|b |\n\n| z |\n|---|\n";
    let tables = all(text);
    assert_eq!(tables.len(), 2);
    assert_eq!(tables[0].heading, "B<C>");
    assert_eq!(tables[0].columns, ["x", "y"]);
    assert_eq!(tables[0].rows, [["`1`", "a\\|b"]]);
    assert_eq!(plain(&tables[0].rows[0][1]), "a|b");
}
