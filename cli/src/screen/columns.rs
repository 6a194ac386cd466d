//! Text in columns, each as wide as its widest cell.

use std::io::{self, Write};

use anstyle::Style;

/// One cell. Its style is not counted in its width.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
    side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A cell of words: to the left of its column.
#[expect(clippy::needless_pass_by_value, reason = "whatever can be printed is handed over")]
pub(crate) fn plain(text: impl ToString) -> Cell {
    Cell { text: text.to_string(), style: Style::new(), side: Side::Left }
}

/// A cell with a number: to the right of its column.
pub(crate) fn right(text: impl ToString) -> Cell {
    Cell { side: Side::Right, ..plain(text) }
}

impl Cell {
    /// The cell in a style.
    pub(crate) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Rows of cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    rows: Vec<Vec<Cell>>,
}

impl Columns {
    /// Columns with these headings.
    pub(crate) fn headed(headings: impl IntoIterator<Item = Cell>) -> Self {
        let headings = headings.into_iter().map(|cell| cell.style(super::DIM));
        Self { rows: vec![headings.collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the rows, each after `indent` blanks; nothing follows the last cell of a row.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn write(&self, indent: usize, out: &mut dyn Write) -> io::Result<()> {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(width).collect();
        for row in &self.rows {
            let mut blanks = indent;
            for (cell, width) in row.iter().zip(&widths) {
                let room = width - cell.text.chars().count();
                let (before, after) = match cell.side {
                    Side::Left => (0, room),
                    Side::Right => (room, 0),
                };
                if cell.text.is_empty() {
                    blanks += width + 2;
                } else {
                    let (style, text) = (cell.style, &cell.text);
                    write!(out, "{:1$}{style}{text}{style:#}", "", blanks + before)?;
                    blanks = after + 2;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_end_without_blanks() {
        let mut columns = Columns::headed([plain("size"), right("count"), plain("")]);
        columns.row([plain("32M"), right(4), plain("x")]);
        columns.row([plain("1G"), right(123_456), plain("")]);
        let mut text = Vec::new();
        columns.write(1, &mut text).unwrap();
        let text = anstream::adapter::strip_bytes(&text).into_vec();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, " size   count\n 32M        4  x\n 1G    123456\n");
    }
}
