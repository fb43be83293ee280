//! What people and programs read: standard output, the width of a terminal, tables.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

/// Width of a table where no terminal limits it.
const UNLIMITED: u16 = 100;
/// Blanks around the content of a cell.
const PADDING: u16 = 2;
/// Narrower is not a terminal but a mistake.
const NARROWEST: u16 = 20;

/// Writes a whole text. A reader that has seen enough (`| head`) is no error.
pub(crate) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != ErrorKind::BrokenPipe => Err(cause),
        _ => Ok(()),
    }
}

/// Text that comes from elsewhere, such as a file's name: what would steer a terminal, break the line or turn
/// its direction is shown as an escape.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Line separators, and the marks that reorder or hide what is around them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// One line for people, on standard error, whoever listens.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{}", visible(line));
}

/// Columns of the terminal that standard output goes to.
pub(crate) fn width() -> u16 {
    if !io::stdout().is_terminal() {
        return UNLIMITED;
    }
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.or_else(terminal_columns).unwrap_or(80).max(NARROWEST)
}

/// Asks `stty`, which knows without a line of unsafe code here.
#[cfg(unix)]
fn terminal_columns() -> Option<u16> {
    use std::os::fd::AsFd as _;
    use std::process::{Command, Stdio};
    let terminal = io::stdout().as_fd().try_clone_to_owned().ok()?;
    let mut stty = Command::new("stty");
    let asked =
        stty.arg("size").stdin(Stdio::from(terminal)).stderr(Stdio::null()).output().ok()?;
    let size = String::from_utf8(asked.stdout).ok()?;
    size.split_whitespace().nth(1)?.parse().ok().filter(|columns| *columns > 0)
}

#[cfg(not(unix))]
fn terminal_columns() -> Option<u16> {
    None
}

/// Columns of the terminal below which a table would break words.
pub(crate) fn narrowest(header: &[&str], rows: &[Vec<String>]) -> u16 {
    let borders = header.len() + 1;
    let words: u16 = longest_words(header, rows).into_iter().map(|word| word + PADDING).sum();
    words.saturating_add(u16::try_from(borders).unwrap_or(u16::MAX))
}

/// A table whose first column is text and whose others are numbers, wrapped between words while it can be.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], width: u16) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(header.to_vec());
    table.add_rows(rows);
    if narrowest(header, rows) <= width {
        let least = |word| ColumnConstraint::LowerBoundary(Width::Fixed(word + PADDING));
        table.set_constraints(longest_words(header, rows).into_iter().map(least));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| format!("{line}\n")).collect()
}

/// The longest word of every column.
fn longest_words(header: &[&str], rows: &[Vec<String>]) -> Vec<u16> {
    let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
    let of_column = |(index, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| longest(cell));
        u16::try_from(cells.chain([longest(title)]).max().unwrap_or(0)).unwrap_or(u16::MAX)
    };
    header.iter().enumerate().map(of_column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_steers_a_terminal() {
        let hostile = "a\u{1b}[2J\nb\u{202e}c\u{9b}\u{7f}";
        assert_eq!(visible(hostile), "a\\u{1b}[2J\\nb\\u{202e}c\\u{9b}\\u{7f}");
        assert_eq!(visible("Grüße, 世界 'x' \"y\" \\z"), "Grüße, 世界 'x' \"y\" \\z");
    }

    #[test]
    fn a_table_keeps_its_width_and_its_words() {
        let header =
            ["family", "start genome", "each site alone", "federated", "published default"];
        let row = ["gnp_medium", "1812", "1204", "1003", "1000"].map(str::to_owned);
        let rows = [row.to_vec()];
        let least = narrowest(&header, &rows);
        for width in [least, 80, 160] {
            let table = table(&header, &rows, width);
            let widest = table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= usize::from(width), "{width}:\n{table}");
            let words = row.iter().map(String::as_str).chain(["genome", "federated", "published"]);
            assert!(words.into_iter().all(|word| table.contains(word)), "{width}:\n{table}");
        }
    }
}
