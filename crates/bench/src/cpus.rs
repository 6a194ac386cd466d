//! The plot of what CPUs cost: parking them, and changes that they make at once.

use crate::figures::{Missing, Row, figure};
use crate::plot::{float, grouped};
use crate::svg::{Anchor, Axis, Drawing, Steps};

/// Something that was counted with some numbers of CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What.
    pub name: &'static str,
    /// How many CPUs there were, and how much it was.
    pub points: Vec<(u32, u64)>,
}

const PAGE: &str = "one page read-only, out of a 1 GiB block";
/// The tables of changes with others parked, by the number of CPUs.
const PARKED: [(u32, &str); 4] = [
    (1, "others are parked, this CPU is quiet"),
    (2, "2 CPUs, one parked"),
    (4, "4 CPUs, three parked"),
    (8, "8 CPUs, seven parked"),
];
/// The tables of changes at once.
const AT_ONCE: [(u32, &str); 2] =
    [(2, "2 CPUs change rights at once"), (4, "4 CPUs change rights at once")];

/// What is drawn: the rows of `performance.md` that several CPUs take part in.
///
/// # Errors
/// A figure is not there.
pub fn lines(page: &str) -> Result<Vec<Line>, Missing> {
    let line = |name, tables: &[(u32, &str)], row, column| {
        let point = |(cpus, table): &(u32, &str)| {
            Ok((*cpus, figure(page, Row { table, name: row }, column)?))
        };
        Ok(Line { name, points: tables.iter().map(point).collect::<Result<_, Missing>>()? })
    };
    let (own, same) = ("a change, each CPU in slots of its own", "a change, all in the same slot");
    Ok(vec![
        line("a page out of 1 GiB, others parked", &PARKED, PAGE, "instructions")?,
        line("of it, while all are parked", &PARKED, PAGE, "parked")?,
        line("a change beside others' elsewhere", &AT_ONCE, own, "instructions")?,
        line("a change beside others' in its slot", &AT_ONCE, same, "instructions")?,
    ])
}

/// A line for each, against the number of CPUs.
#[must_use]
pub fn plot(lines: &[Line]) -> String {
    let mut drawing = Drawing::new(
        (860, 420),
        "What more CPUs cost",
        "instructions that all CPUs execute for one change, against the number of CPUs; counted by QEMU; both axes logarithmic",
    );
    let across = Axis { steps: Steps::Logarithmic, values: (1.0, 8.0), places: (80.0, 540.0) };
    let up = Axis { steps: Steps::Logarithmic, values: (10.0, 1e5), places: (370.0, 70.0) };
    for value in [10, 100, 1000, 10_000, 100_000] {
        let y = up.place(float(value));
        drawing.line("grid", &[(80.0, y), (540.0, y)]);
        drawing.text((72.0, y + 4.0), Anchor::End, ("faint", &grouped(value)));
    }
    for cpus in [1_u32, 2, 4, 8] {
        let at = (across.place(cpus.into()), 392.0);
        drawing.text(at, Anchor::Middle, ("faint", &cpus.to_string()));
    }
    for ((class, row), line) in (["a", "b", "c", "d"].into_iter().zip(0_u32..)).zip(lines) {
        let place =
            |(cpus, value): &(u32, u64)| (across.place((*cpus).into()), up.place(float(*value)));
        let points: Vec<(f64, f64)> = line.points.iter().map(place).collect();
        drawing.line(&format!("line {class}"), &points);
        for point in &points {
            drawing.dot(&format!("f{class}"), *point);
        }
        let y = 100.0 + f64::from(row) * 46.0;
        let label = format!("■ {}", line.name);
        drawing.text((570.0, y), Anchor::Start, (&format!("f{class}"), &label));
        let values: Vec<String> = line.points.iter().map(|point| grouped(point.1)).collect();
        drawing.text((584.0, y + 18.0), Anchor::Start, ("faint", &values.join(" · ")));
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_rows_that_the_page_has() {
        let lines = lines(include_str!("../../../docs/performance.md")).unwrap();
        let counts: Vec<usize> = lines.iter().map(|line| line.points.len()).collect();
        assert_eq!(counts, [4, 4, 2, 2]);
        let drawn = plot(&lines);
        assert_eq!(drawn.matches("<circle").count(), 12, "a dot for each figure");
    }

    #[test]
    fn a_page_without_a_row_is_refused() {
        assert_eq!(lines("# Performance\n"), Err(Missing::Table(PARKED[0].1.to_owned())));
    }
}
