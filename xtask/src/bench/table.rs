//! Figures as a page, as JSON, and compared with those of before.

use serde_json::json;

use super::prose::{INTRODUCTION, MISSED};
use super::row::{Figures, Row};
use super::rows::BOOTS;

/// What a column shows of a row.
type Cell = fn(&Row, &Figures) -> String;

/// All columns: one that is empty in every row of a machine is left out there.
const COLUMNS: [(&str, Cell); 13] = [
    ("what", |row, _| row.name.to_owned()),
    ("instructions", |_, figures| shown(figures.instructions)),
    ("allocator's", |_, figures| shown(figures.shares.map(|(frames, _)| frames))),
    ("vmalloc's", |_, figures| shown(figures.shares.map(|(_, areas)| areas))),
    ("aim", |row, _| if row.aim.is_empty() { String::new() } else { format!("≤ {}", row.aim) }),
    ("Linux", |row, _| row.linux.to_owned()),
    ("parked", |_, figures| shown(figures.parked)),
    ("entries", |_, figures| shown(figures.effects[0])),
    ("TLBI", |_, figures| shown(figures.effects[1])),
    ("DSB", |_, figures| shown(figures.effects[2])),
    ("ISB", |_, figures| shown(figures.effects[3])),
    ("tables", |_, figures| shown(figures.effects[5])),
    ("a lock was held", |_, figures| shown(figures.waits)),
];

fn shown(figure: Option<u64>) -> String {
    figure.map_or(String::new(), grouped)
}

/// The page's text.
pub(super) fn page(rows: &[(&Row, Figures)]) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut rest = rows;
    for boot in &BOOTS {
        let (now, later) = rest.split_at(boot.rows().count().min(rest.len()));
        rest = later;
        let asked = format!("`-cpu {}` `{}`", boot.cpu, boot.options).replace(" ``", "");
        page += &["\n## ", boot.name, ": ", &asked, "\n\n"].concat();
        let is_used = |cell: &Cell| now.iter().any(|(row, figures)| !cell(row, figures).is_empty());
        let columns: Vec<_> = COLUMNS.iter().filter(|(_, cell)| is_used(cell)).collect();
        page += &line(columns.iter().map(|(title, _)| (*title).to_owned()));
        page += &["|", &"---|".repeat(columns.len()), "\n"].concat();
        for (row, figures) in now {
            page += &line(columns.iter().map(|(_, cell)| cell(row, figures)));
        }
    }
    page + MISSED
}

fn line(cells: impl Iterator<Item = String>) -> String {
    ["| ", &cells.collect::<Vec<String>>().join(" | "), " |\n"].concat()
}

/// A number with a comma after each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The figures for programs.
pub(super) fn json(rows: &[(&Row, Figures)]) -> String {
    let boots = BOOTS.iter().flat_map(|boot| boot.rows().map(|_| boot.name));
    let all = boots.zip(rows).map(|(boot, (row, figures))| {
        json!({
            "machine": boot,
            "row": row.name,
            "instructions": figures.instructions,
            "the frame allocator's share": figures.shares.map(|(frames, _)| frames),
            "vmalloc's share": figures.shares.map(|(_, areas)| areas),
            "aim": row.aim,
            "Linux": row.linux,
            "parked": figures.parked,
            "entries, TLBI, DSB, ISB, caches, tables": figures.effects,
            "a lock was held": figures.waits,
        })
    });
    serde_json::Value::Array(all.collect()).to_string()
}

/// What is dearer in one page than in an earlier one, by more than 2 %, or is in one of them only.
pub(super) fn dearer(before: &str, now: &str) -> Vec<String> {
    let rows = |page: &str| -> Vec<Vec<String>> {
        let lines = page.lines().filter(|line| line.starts_with("| ") && !line.contains("| what"));
        lines.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    };
    let (before, now) = (rows(before), rows(now));
    if before.len() != now.len() {
        return vec![format!("{} rows, and {} before", now.len(), before.len())];
    }
    let number = |cell: &String| cell.replace(',', "").parse::<f64>().unwrap_or(0.0);
    // What is given to a tenth may be off by half of one.
    let is_dearer = |(before, now): (&String, &String)| number(now) > number(before) * 1.02 + 0.05;
    let pairs = before.iter().zip(&now);
    let found = pairs.filter(|(before, now)| {
        before.get(1) != now.get(1) || before.iter().zip(now.iter()).skip(2).any(is_dearer)
    });
    found
        .map(|(before, now)| format!("{}\n  before:{}", now.join(" | "), before.join(" | ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 64_901_567].map(grouped), ["0", "999", "1,000", "64,901,567"]);
    }

    #[test]
    fn what_costs_more_than_two_percent_more_is_dearer() {
        let page = |figure: &str| format!("| what | n |\n|---|---|\n| a page | {figure} | 5 |\n");
        assert!(dearer(&page("1,000"), &page("1,020")).is_empty());
        assert_eq!(dearer(&page("1,000"), &page("1,021")).len(), 1);
        assert_eq!(dearer(&page("1,000"), "").len(), 1);
        assert!(dearer(&page("5.5"), &page("5.6")).is_empty());
        assert_eq!(dearer(&page("5.5"), &page("5.7")).len(), 1);
    }
}
