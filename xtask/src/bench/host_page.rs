//! The page of what the engine costs on a host, and the same as JSON.

use serde_json::json;

use super::host::Figure;
use super::table::grouped;

/// The library that the others are beside.
const OURS: &str = "blockmap";

/// The page's text.
pub(super) fn page(figures: &[Figure]) -> String {
    let mut subjects: Vec<&str> = Vec::new();
    for figure in figures {
        let shared = figures.iter().filter(|other| other.work == figure.work).count() > 1;
        if shared && !subjects.contains(&&*figure.subject) {
            subjects.push(&figure.subject);
        }
    }
    let (shared, own): (Vec<&Figure>, Vec<&Figure>) =
        figures.iter().partition(|figure| !others(figures, figure).is_empty());
    let mut page = String::from(INTRODUCTION);
    page += &["\n| what | for one | ", &subjects.join(" | "), " | aim |\n"].concat();
    page += &["|---|---|", &"---|".repeat(subjects.len()), "---|\n"].concat();
    for figure in shared.iter().filter(|figure| figure.subject == OURS) {
        let others = others(figures, figure);
        let of = |subject: &&str| {
            let found = others.iter().chain([figure]).find(|other| other.subject == *subject);
            found.map_or("none".to_owned(), |found| rounded(found.each()))
        };
        let cells: Vec<String> = subjects.iter().map(of).collect();
        let aim = figure.aim.map_or(String::new(), |aim| format!("≤ {}", grouped(aim)));
        page += &line(&[&figure.work, &figure.unit, &cells.join(" | "), &aim]);
    }
    page += OWN;
    page += "| what | who | for one | how many | instructions each |\n|---|---|---|---|---|\n";
    for figure in own {
        let Figure { work, subject, unit, units, .. } = figure;
        let (units, each) = (grouped(*units), rounded(figure.each()));
        page += &line(&[work, subject, unit, &units, &each]);
    }
    page
}

fn line(cells: &[&str]) -> String {
    ["| ", &cells.join(" | "), " |\n"].concat()
}

/// The figures of others for the same work.
fn others<'f>(figures: &'f [Figure], figure: &Figure) -> Vec<&'f Figure> {
    let is_other = |other: &&Figure| other.work == figure.work && other.subject != figure.subject;
    figures.iter().filter(is_other).collect()
}

/// Whole instructions where there are many, a tenth where there are few.
fn rounded(each: f64) -> String {
    if each < 100.0 {
        return format!("{each:.1}");
    }
    format!("{each:.0}").parse().map_or_else(|_| format!("{each:.0}"), grouped)
}

/// The figures for programs.
pub(super) fn json(figures: &[Figure]) -> String {
    let all = figures.iter().map(|figure| {
        json!({
            "work": figure.work,
            "subject": figure.subject,
            "unit": figure.unit,
            "units": figure.units,
            "instructions": figure.instructions,
            "aim": figure.aim,
        })
    });
    serde_json::Value::Array(all.collect()).to_string()
}

const INTRODUCTION: &str = "\
# Performance on a host

Written by `cargo xtask bench host`: instructions of x86-64 that callgrind counts, for the engine as
a library, on its platform for hosts, and for other libraries on the same work. Each row is done once
before it is counted, and what came of it is compared with what every address must translate to, and
whether it can be written: random addresses, and all edges. `--time` has criterion measure time instead,
which no figure here is of.

All are built alike: optimised, without checks of sums. They do not do alike. The engine's figure has
the plan with its checks, locks, the reserve, and every effect told to a listener that ignores it;
the other libraries change tables that nobody uses, in place, and invalidate nothing here. `none`: the
library refuses, having nothing that splits a block. `aarch64-paging` has no question for one address,
and walks a page's range instead; its tables come from the system's allocator. Tables of the other two
come from a list of free frames.

A walk is asked how many bytes valid leaves map. Other libraries visit each leaf; the engine's reader gives
runs of leaves that say the same and follow each other, and reads and compares their words many at a time.

Three rows miss their aims. One page out of a block: a third of the instructions fill tables, two of 512
entries for the first page out of a GiB and one for most others. The rest is spread over the plan (a walk,
checks, which leaves are cut, how many tables that takes) and the commit's effects, some ten, each told to the
listener; no part of it is more than an eighth. A translation: what is left of a level is the
entry's index, whether the entry is a table, where its word is among the host's tables, and that it is one
of them. A library that takes an address for a pointer has no such check, and takes 8 instructions.
";

const OWN: &str = "
## What has no peer

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_column_for_each_library_and_none_where_it_refuses() {
        let figure = |work: &str, subject: &str, instructions| Figure {
            work: work.to_owned(),
            subject: subject.to_owned(),
            unit: "page".to_owned(),
            units: 10,
            instructions,
            aim: None,
        };
        let figures = [
            figure("map", OURS, 10_000),
            figure("split", OURS, 55),
            figure("map", "a", 20_000),
            figure("map", "b", 30),
            figure("split", "b", 66),
            figure("fold", OURS, 70),
        ];
        let page = page(&figures);
        for line in [
            "| what | for one | blockmap | a | b | aim |",
            "| map | page | 1,000 | 2,000 | 3.0 |  |",
            "| split | page | 5.5 | none | 6.6 |  |",
            "| fold | blockmap | page | 10 | 7.0 |",
        ] {
            assert!(page.lines().any(|held| held == line), "{line}\n{page}");
        }
    }
}
