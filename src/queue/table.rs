//! Rows for people and for pipes.

use std::io::IsTerminal;

use comfy_table::{CellAlignment, Table, presets};

use super::print;
use crate::failure::Outcome;

/// Aligned columns with a heading for a person, values between tabs for a pipe. The first
/// `texts` columns are texts, the others numbers.
pub fn print_rows(
    heading: &[&str],
    texts: usize,
    rows: impl Iterator<Item = Vec<String>>,
) -> Outcome {
    if !std::io::stdout().is_terminal() {
        let lines: String = rows.map(|row| row.join("\t") + "\n").collect();
        return print(lines.as_bytes());
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if !heading.is_empty() {
        table.set_header(heading);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(texts) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    print(format!("{table}\n").as_bytes())
}

/// Bytes on one line: text as it is, with what would break the line escaped.
pub fn one_line(bytes: &[u8]) -> String {
    let escape = |character: char| match character {
        '\n' | '\t' | '\r' | '\\' => character.escape_default().to_string(),
        character if character.is_control() => character.escape_default().to_string(),
        character => character.to_string(),
    };
    String::from_utf8_lossy(bytes).chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line(b"a\tb\nc\\ \x1b[1m"), "a\\tb\\nc\\\\ \\u{1b}[1m");
        assert_eq!(one_line("grün".as_bytes()), "grün");
        assert_eq!(one_line(&[0xff]), "\u{fffd}");
    }
}
