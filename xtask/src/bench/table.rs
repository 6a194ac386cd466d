//! Figures as a page, as JSON, and compared with those of before.

use serde_json::json;

use super::row::{BOOTS, Figures, Row};

/// The page's text.
pub(super) fn page(rows: &[(&Row, Figures)]) -> String {
    let mut page = String::from(
        "# Performance\n\n\
         Written by `cargo xtask bench kernel`, on 12 GiB and one CPU. QEMU counts instructions: each\n\
         takes a nanosecond and a cycle, the kernel reads its cycle counter, and two runs are alike.\n\
         An instruction here is an instruction, whatever it does: invalidations and barriers cost far\n\
         more on silicon, so they are counted by themselves. Linux's figures, of 7.3.4, were counted in\n\
         the same way; they have the change of a view in vmalloc's range as well, which these have not.\n\
         What the frame allocator does is part of each row: taking tables, and, where free frames lose\n\
         rights, noting that they are not free.\n\n\
         Of some 970 instructions for a page that is a page, 205 are the allocator's (seeing that the\n\
         page holds no table, and noting that it is not free), 255 are terms, locks and readers, 95 the\n\
         walk, 70 the question whether the range may change, 70 barriers and invalidation with the look\n\
         whether they are recorded, and 270 the checks of range and leaf, the store, and the command. Of\n\
         some 9,000 for a page out of 1 GiB, 2,300 fill two tables, 1,800 move plans of 200 bytes from\n\
         function to function, 1,600 are the allocator's, 1,300 the plan's own, 1,000 terms, locks, readers\n\
         and the reserve of tables; the rest is the commit, checks and the command. The change is planned\n\
         twice there, because the first plan finds no tables in reserve. What stands between these rows and\n\
         what is aimed for (300 and 2,000): in the first, that terms, locks and readers are three atomic\n\
         words, each taken and given back, and that the allocator's tree is read twice; in the second, the\n\
         moves and the second plan. A page that becomes invalid or valid is the first row again. Of 1 GiB in\n\
         pages each entry is compared before the first is stored, and of what becomes valid each is looked\n\
         at again afterwards, whether it may be executed: 8 and 11 instructions for a page, where 6 are aimed\n\
         for. What a repaint takes is mostly the fill of its tables, and their allocation.\n",
    );
    let mut rest = rows;
    for boot in &BOOTS {
        let (now, later) = rest.split_at(boot.rows.len().min(rest.len()));
        rest = later;
        let asked = format!("`-cpu {}` `{}`", boot.cpu, boot.options).replace(" ``", "");
        page += &["\n## ", boot.name, ": ", &asked, "\n\n"].concat();
        page += "| what | instructions | Linux | parked | entries | TLBI | DSB | ISB | tables |\n";
        page += "|---|---|---|---|---|---|---|---|---|\n";
        for (row, figures) in now {
            page += &line(row, figures);
        }
    }
    page
}

fn line(row: &Row, figures: &Figures) -> String {
    let Figures { instructions, parked, effects } = figures;
    let parked = parked.map_or(String::new(), grouped);
    let effects = effects.map_or([const { String::new() }; 6], |all| all.map(grouped));
    let [entries, tlbi, dsb, isb, _, tables] = effects;
    let (name, linux, instructions) = (row.name, row.linux, grouped(*instructions));
    format!(
        "| {name} | {instructions} | {linux} | {parked} | {entries} | {tlbi} | {dsb} | {isb} | \
         {tables} |\n"
    )
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
    let boots = BOOTS.iter().flat_map(|boot| boot.rows.iter().map(|_| boot.name));
    let all = boots.zip(rows).map(|(boot, (row, figures))| {
        json!({
            "machine": boot,
            "row": row.name,
            "instructions": figures.instructions,
            "parked": figures.parked,
            "entries, TLBI, DSB, ISB, caches, tables": figures.effects,
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
