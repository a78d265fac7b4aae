//! Output to a terminal: plain lines and tables.
//!
//! Titles and answers come from strangers, so control characters are removed from all that is shown:
//! they could otherwise move the cursor and change what the user sees.

use std::io::{self, Write};

use tracing::Level;

use super::logging;
use crate::model::caption::is_unseen;

/// Prints to stdout. A reader that has left (`antiphon status | head`) is not a failure.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints one line for the operator to stderr, if anybody reads it: why the program did not do what it was told.
pub(super) fn complain(text: &str) {
    logging::complain(&format!("antiphon: {}", printable(text)), Level::ERROR);
}

/// Prints the same for a problem that did not keep the program from its work.
pub(super) fn warn(text: &str) {
    logging::complain(&format!("antiphon: {}", printable(text)), Level::WARN);
}

/// The text with a space for each control character, and nothing that turns the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let seen = text.chars().filter(|&letter| !is_unseen(letter));
    seen.map(plain).collect()
}

/// The text, cut to so many characters; a cut shows as `…`.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// The side of its column at which a cell is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Columns under a head, two spaces between them.
#[derive(Debug)]
pub(super) struct TextTable {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table without rows.
    pub(super) fn new(columns: &[(&str, Side)]) -> Self {
        let head = columns.iter().map(|(title, _)| (*title).to_owned());
        Self {
            sides: columns.iter().map(|(_, side)| *side).collect(),
            rows: vec![head.collect()],
        }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| printable(&cell));
        self.rows.push(cells.collect());
    }

    /// The whole table, a line for each row and no space at the end of a line.
    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let columns = row.iter().zip(&self.sides).zip(&widths);
            let cells = columns.map(|((cell, side), &width)| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let mut table =
            TextTable::new(&[("NAME", Side::Left), ("N", Side::Right), ("X", Side::Left)]);
        table.row(["é".to_owned(), "1".to_owned(), String::new()]);
        table.row(["longer".to_owned(), "10".to_owned(), "x".to_owned()]);
        assert_eq!(table.render(), "NAME     N  X\né        1\nlonger  10  x\n");
    }

    #[test]
    fn nothing_from_outside_moves_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\r\nc\u{9b}d"), "a [2Jb  c d");
    }

    #[test]
    fn a_long_text_is_cut_visibly() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
