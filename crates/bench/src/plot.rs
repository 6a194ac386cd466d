//! The plots: table memory against RAM, TLB misses over maps, cost of changes beside Linux.

use crate::figures::{Missing, Row, figure};
use crate::reach::{Map, Misses, Pattern};
use crate::scaling::Size;
use crate::svg::{Anchor, Axis, Drawing, Steps};
use crate::tlb::Core;

/// Table memory against RAM, in blocks and in pages.
#[must_use]
pub fn tables(sizes: &[Size]) -> String {
    let mut drawing = Drawing::new(
        (720, 400),
        "Table memory of the linear map",
        "KiB of translation tables against GiB of memory, pages of 4 KiB; both axes logarithmic",
    );
    let across = Axis { steps: Steps::Logarithmic, values: (1.0, 4096.0), places: (90.0, 570.0) };
    let up = Axis { steps: Steps::Logarithmic, values: (4.0, 16e6), places: (350.0, 70.0) };
    let labels = [(4.0, "4 KiB"), (64.0, "64 KiB"), (1024.0, "1 MiB"), (16384.0, "16 MiB")];
    for (value, label) in labels.into_iter().chain([(262_144.0, "256 MiB"), (4_194_304.0, "4 GiB")])
    {
        let y = up.place(value);
        drawing.line("grid", &[(90.0, y), (570.0, y)]);
        drawing.text((82.0, y + 4.0), Anchor::End, ("faint", label));
    }
    for size in sizes {
        let label = match size.gib {
            tib if tib >= 1024 => format!("{} TiB", tib / 1024),
            gib => format!("{gib} GiB"),
        };
        drawing.text((across.place(float(size.gib)), 372.0), Anchor::Middle, ("faint", &label));
    }
    let in_pages: fn(&Size) -> u64 = |size| size.tables_in_pages;
    let kinds = [("b", "in pages", in_pages), ("a", "in blocks", |size| size.tables_in_blocks)];
    for (class, name, tables) in kinds {
        let point =
            |size: &Size| (across.place(float(size.gib)), up.place(4.0 * float(tables(size))));
        let points: Vec<(f64, f64)> = sizes.iter().map(point).collect();
        drawing.line(&format!("line {class}"), &points);
        for point in &points {
            drawing.dot(&format!("f{class}"), *point);
        }
        if let (Some((x, y)), Some(last)) = (points.last(), sizes.last()) {
            let label = format!("{name}: {}", amount(4 * tables(last)));
            drawing.text((x + 10.0, y + 4.0), Anchor::Start, (&format!("f{class}"), &label));
        }
    }
    drawing.finish()
}

/// Walks over each map, in percent of those over the map in pages: a panel for each core, a line for
/// each pattern.
#[must_use]
pub fn reach(maps: &[Map], misses: &[(Core, Pattern, Vec<Misses>)]) -> String {
    let mut drawing = Drawing::new(
        (980, 470),
        "TLB misses over the linear map: before, after splits, after healing",
        "table walks in percent of those over a map in pages; 128 GiB, modelled; N out: N random pages made read-only in 1 GiB blocks",
    );
    let mut cores: Vec<Core> = misses.iter().map(|(core, _, _)| *core).collect();
    cores.dedup();
    for (number, core) in (0_u32..).zip(&cores) {
        let left = 60.0 + f64::from(number) * 480.0;
        drawing.text((left, 80.0), Anchor::Start, ("title", core.name));
        grid(&mut drawing, left, maps);
        let of_core = misses.iter().filter(|(other, _, _)| other.name == core.name);
        for ((class, row), (_, pattern, found)) in
            [("a", 0), ("b", 1), ("c", 2)].into_iter().zip(of_core)
        {
            pattern_line(&mut drawing, (class, left, row), *pattern, found);
        }
    }
    drawing.finish()
}

/// The vertical axis of a panel.
const PERCENT: Axis = Axis { steps: Steps::Linear, values: (0.0, 100.0), places: (410.0, 170.0) };

/// Which of the maps is the one in pages.
const IN_PAGES: usize = 1;

/// Where a map stands in its panel; the one in pages is the measure, and stands nowhere.
fn columns(count: usize) -> impl Iterator<Item = (f64, usize)> {
    let shown = (0..count).filter(|number| *number != IN_PAGES);
    (0_u32..).zip(shown).map(|(place, number)| (35.0 + f64::from(place) * 68.0, number))
}

fn grid(drawing: &mut Drawing, left: f64, maps: &[Map]) {
    for value in [0_u32, 25, 50, 75, 100] {
        let y = PERCENT.place(value.into());
        drawing.line("grid", &[(left, y), (left + 410.0, y)]);
        drawing.text((left - 8.0, y + 4.0), Anchor::End, ("faint", &format!("{value} %")));
    }
    for (x, number) in columns(maps.len()) {
        let (name, below) = match maps.get(number) {
            _ if number == 0 => ("blocks".to_owned(), ""),
            _ if number + 1 == maps.len() => ("healed".to_owned(), ""),
            map => (grouped(map.map_or(0, |map| map.splits)), "out"),
        };
        drawing.text((left + x, 432.0), Anchor::Middle, ("faint", &name));
        drawing.text((left + x, 448.0), Anchor::Middle, ("faint", below));
    }
}

fn pattern_line(
    drawing: &mut Drawing,
    (class, left, row): (&str, f64, u32),
    pattern: Pattern,
    found: &[Misses],
) {
    let pages = found.get(IN_PAGES).map_or(0.0, |pages| pages.walks);
    let point = |(x, number): (f64, usize)| {
        let walks = found.get(number).map_or(0.0, |found| found.walks);
        (left + x, PERCENT.place(walks * 100.0 / pages))
    };
    let points: Vec<(f64, f64)> = columns(found.len()).map(point).collect();
    drawing.line(&format!("line {class}"), &points);
    for point in &points {
        drawing.dot(&format!("f{class}"), *point);
    }
    let label = format!("■ {}: 100 % is {pages:.1} of 1,000", pattern.name());
    let y = 102.0 + f64::from(row) * 20.0;
    drawing.text((left, y), Anchor::Start, (&format!("f{class}"), &label));
}

/// What a change costs here and on Linux, in instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The change.
    pub what: String,
    /// Here.
    pub ours: u64,
    /// On Linux.
    pub linux: u64,
}

/// A table, the row of it that is drawn, and what the drawing calls it.
type Drawn = (&'static str, &'static str, &'static str);

const AREAS: &str = "areas read-only, and the linear map with them";
const PIECES: &str = "areas read-only, in 16 pieces of memory";

/// What is drawn beside Linux.
const DRAWN: [Drawn; 12] = [
    (AREAS, "one page, out of a 1 GiB block", "a page read-only, out of 1 GiB"),
    (AREAS, "out of a 32 MiB run", "out of a run of 32 MiB"),
    (AREAS, "out of a 2 MiB block", "out of 2 MiB"),
    (AREAS, "out of a 64 KiB run", "out of a run of 64 KiB"),
    (AREAS, "already a page", "already a page"),
    ("the linear map alone, sizes change live", "already a page", "a page of the map alone"),
    ("the linear map alone, sizes change live", "1 GiB invalid, a block", "1 GiB of it, a block"),
    ("the linear map alone, in pages", "1 GiB invalid", "1 GiB of it, in pages"),
    (QUIET, "all of 12 GiB repainted in pages", "12 GiB repainted in pages"),
    (PIECES, "64 MiB in blocks", "64 MiB of vmalloc read-only, blocks"),
    (PIECES, "64 MiB in pages", "in pages"),
    (PIECES, "64 MiB in pages freed", "in pages, freed"),
];
const QUIET: &str = "others are parked, this CPU is quiet";

/// The costs that are drawn, out of `performance.md`.
///
/// # Errors
/// One is not there.
pub fn costs(page: &str) -> Result<Vec<Cost>, Missing> {
    let cost = |(table, name, what): Drawn| {
        let row = Row { table, name };
        let ours = figure(page, row, "instructions")?;
        Ok(Cost { what: what.to_owned(), ours, linux: figure(page, row, "Linux")? })
    };
    DRAWN.into_iter().map(cost).collect()
}

/// A pair of bars for each change.
#[must_use]
pub fn beside_linux(costs: &[Cost]) -> String {
    let rows = u32::try_from(costs.len()).unwrap_or(0);
    let mut drawing = Drawing::new(
        (860, 100 + rows * 44),
        "Instructions for one change, here and on Linux 7.3.4",
        "12 GiB, pages of 4 KiB; counted by QEMU; logarithmic",
    );
    drawing.text((330.0, 72.0), Anchor::Start, ("fa", "■ here"));
    drawing.text((400.0, 72.0), Anchor::Start, ("fb", "■ Linux"));
    let across = Axis { steps: Steps::Logarithmic, values: (30.0, 1e8), places: (330.0, 760.0) };
    for (row, cost) in (0_u32..).zip(costs) {
        let y = 86.0 + f64::from(row) * 44.0;
        drawing.text((320.0, y + 19.0), Anchor::End, ("", &cost.what));
        for (class, value, y) in [("fa", cost.ours, y), ("fb", cost.linux, y + 16.0)] {
            let end = across.place(float(value));
            drawing.bar(class, (330.0, y), (end, y + 13.0));
            drawing.text((end + 6.0, y + 11.0), Anchor::Start, ("faint", &grouped(value)));
        }
    }
    drawing.finish()
}

/// A number with a comma after each three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
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

/// KiB in the largest unit that leaves a few digits.
#[must_use]
pub fn amount(kib: u64) -> String {
    match kib {
        kib if kib >= 10 << 20 => format!("{} GiB", kib >> 20),
        kib if kib >= 1 << 20 => format!("{:.1} GiB", float(kib) / 1_048_576.0),
        kib if kib >= 10 << 10 => format!("{} MiB", kib >> 10),
        kib if kib >= 1 << 10 => format!("{:.1} MiB", float(kib) / 1024.0),
        kib => format!("{kib} KiB"),
    }
}

/// A number as the axes take it.
pub(crate) fn float(number: u64) -> f64 {
    let low = u32::try_from(number & 0xffff_ffff).unwrap_or(0);
    let high = u32::try_from(number >> 32).unwrap_or(0);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_beside_linux_is_in_the_page() {
        let page = include_str!("../../../docs/performance.md");
        let costs = costs(page).unwrap();
        assert_eq!(costs.len(), DRAWN.len());
        assert!(costs.iter().all(|cost| cost.ours > 0 && cost.linux > 0), "{costs:?}");
    }

    #[test]
    fn a_row_that_is_not_in_the_page_is_an_error() {
        let page = include_str!("../../../docs/performance.md");
        let renamed = page.replace("| out of a 2 MiB block |", "| out of a block of 2 MiB |");
        let missing = Missing::Row { table: AREAS.to_owned(), row: DRAWN[2].1.to_owned() };
        assert_eq!(costs(&renamed), Err(missing));
    }

    #[test]
    fn amounts_are_in_the_largest_unit_that_fits() {
        let amounts = [8, 2052, 524_800, 8_404_996, 10 << 20].map(amount);
        assert_eq!(amounts, ["8 KiB", "2.0 MiB", "512 MiB", "8.0 GiB", "10 GiB"]);
    }
}
