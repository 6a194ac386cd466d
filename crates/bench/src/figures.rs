//! Figures of `docs/performance.md`, found by the names of their table, row and column.

use thiserror::Error;

/// Why a figure is not there. What is drawn is chosen by name: whoever renames a row names it here too.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Missing {
    /// No heading begins so.
    #[error("performance.md has no table \"{0}\": name it as it is named now")]
    Table(String),
    /// The table has no such column.
    #[error("performance.md, \"{table}\": no column \"{column}\"")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The table has no such row.
    #[error("performance.md, \"{table}\": no row \"{row}\": name it as it is named now")]
    Row {
        /// The table.
        table: String,
        /// The row.
        row: String,
    },
    /// There is something else than a number.
    #[error("performance.md, \"{table}\", \"{row}\": \"{cell}\" is no number")]
    Number {
        /// The table.
        table: String,
        /// The row.
        row: String,
        /// What there is.
        cell: String,
    },
}

/// A row of a table: the title that its heading has before the options of the machine, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'n> {
    /// The table's title.
    pub table: &'n str,
    /// The row's name; of two alike the first is meant.
    pub name: &'n str,
}

/// The figure that `row` has in `column`.
///
/// # Errors
/// See [`Missing`].
pub fn figure(page: &str, row: Row<'_>, column: &str) -> Result<u64, Missing> {
    let (table, name) = (row.table.to_owned(), row.name.to_owned());
    let titled = |line: &str| {
        line.strip_prefix("## ").is_some_and(|title| title.split(": `").next() == Some(row.table))
    };
    let mut lines = page.lines().skip_while(|line| !titled(line));
    if lines.next().is_none() {
        return Err(Missing::Table(table));
    }
    let mut rows = lines
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<&str>>());
    let place = rows.next().and_then(|heading| heading.iter().position(|cell| *cell == column));
    let Some(place) = place else {
        return Err(Missing::Column { table, column: column.to_owned() });
    };
    let Some(cells) = rows.find(|cells| cells.get(1) == Some(&row.name)) else {
        return Err(Missing::Row { table, row: name });
    };
    let cell = cells.get(place).copied().unwrap_or_default();
    let number = cell.replace(',', "").parse();
    number.map_err(|_| Missing::Number { table, row: name, cell: cell.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\n## live: `-cpu max`\n\n| what | instructions | Linux |\n\
                        |---|---|---|\n| a page | 1,200 |  |\n\n## live, too: `-cpu max`\n\n\
                        | what | parked |\n|---|---|\n| a page | 7 |\n";

    #[test]
    fn a_figure_is_that_of_its_table_row_and_column() {
        let live = Row { table: "live", name: "a page" };
        let too = Row { table: "live, too", name: "a page" };
        assert_eq!(figure(PAGE, live, "instructions"), Ok(1200));
        assert_eq!(figure(PAGE, too, "parked"), Ok(7));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let said = |table, name, column| {
            figure(PAGE, Row { table, name }, column).unwrap_err().to_string()
        };
        assert!(said("dead", "a page", "Linux").contains("no table \"dead\""));
        assert!(said("live", "a page", "parked").contains("no column \"parked\""));
        assert!(said("live", "two pages", "Linux").contains("no row \"two pages\""));
        assert!(said("live", "a page", "Linux").contains("\"\" is no number"));
    }
}
