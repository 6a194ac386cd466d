//! What is counted: a row for each work and subject.

use blockmap::vmsa::Leaves;

use crate::engine::Engine;
use crate::rate;
use crate::subject::Subject;
use crate::work::{self, Failed, Meter, Starts};

/// A work of one subject.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What is done.
    pub work: &'static str,
    /// Who does it.
    pub subject: &'static str,
    /// What one figure is for.
    pub unit: &'static str,
    /// The most instructions for one that the engine is meant to take, where there is an aim.
    pub aim: Option<u64>,
    /// Prepares the work, has the meter run it, checks what came of it, and says how many units it had.
    pub run: Run,
}

/// See [`Row::run`].
pub type Run = fn(Meter<'_>) -> Result<u64, Failed>;

/// How many works each library is asked for.
const SHARED: usize = 10;

fn rows_of<S: Subject>() -> [Row; SHARED] {
    let row = |work, aim, unit, run: Run| {
        let (subject, aim) = (S::NAME, Some(aim).filter(|aim| *aim > 0));
        Row { work, subject, unit, aim, run }
    };
    [
        row("map 256 GiB in blocks", 0, "map", |meter| {
            work::map::<S>(work::ALL, Leaves::Largest, meter)
        }),
        row("map 255 GiB, ragged at both ends", 20_000, "map", |meter| {
            work::map::<S>(work::RAGGED, Leaves::Largest, meter)
        }),
        row("map 16 GiB in pages", 6, "page", |meter| {
            work::map::<S>(work::IN_PAGES, Leaves::Pages, meter)
        }),
        row("one page read-only, out of 1 GiB blocks", 1400, "page", |meter| {
            work::pages_out_of_blocks::<S>(meter)
        }),
        row("64 MiB read-only, aligned, out of 1 GiB blocks", 0, "range", |meter| {
            work::ranges_read_only::<S>(Leaves::Largest, Starts::Aligned, meter)
        }),
        row("64 MiB read-only, at any page, out of 1 GiB blocks", 14_000, "range", |meter| {
            work::ranges_read_only::<S>(Leaves::Largest, Starts::Anywhere, meter)
        }),
        row("64 MiB read-only, in pages already", 100_000, "range", |meter| {
            work::ranges_read_only::<S>(Leaves::Pages, Starts::Anywhere, meter)
        }),
        row("translate, blocks of 1 GiB", 45, "address", |meter| {
            work::translate::<S>(work::ALL, Leaves::Largest, meter)
        }),
        row("translate, pages", 60, "address", |meter| {
            work::translate::<S>(work::IN_PAGES, Leaves::Pages, meter)
        }),
        row("walk 4 GiB of pages", 12, "leaf", |meter| work::walk::<S>(meter)),
    ]
}

/// What only the engine and what surrounds it are asked for.
fn own() -> [Row; 5] {
    [rate::FOLD, rate::DUMP, rate::INSPECT, rate::EXPLORE, rate::JUDGE]
}

/// Every row: each library's in turn, then what is the project's own.
#[must_use]
pub fn all() -> Vec<Row> {
    let mut rows = rows_of::<Engine>().to_vec();
    #[cfg(bench)]
    {
        use crate::peers::{AarchPaging, Generic, Multiarch};
        rows.extend(rows_of::<AarchPaging>());
        rows.extend(rows_of::<Generic>());
        // It does not split blocks, and refuses what would take that.
        rows.extend(rows_of::<Multiarch>().into_iter().filter(|row| !row.splits()));
    }
    rows.extend(own());
    rows
}

impl Row {
    /// Whether its work makes smaller leaves of large ones.
    #[must_use]
    pub fn splits(&self) -> bool {
        self.work.contains("out of 1 GiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came of a row, and how often its work was run.
    fn run(row: &Row) -> (Result<u64, Failed>, u32) {
        let mut runs = 0;
        let result = (row.run)(&mut |work| {
            runs += 1;
            work();
        });
        (result, runs)
    }

    #[test]
    fn every_row_does_what_it_says() {
        let failed = |row: &Row| {
            let (result, runs) = run(row);
            let units = result.as_ref().is_ok_and(|units| *units > 0);
            (runs != 1 || !units).then_some((row.work, row.subject, runs, result))
        };
        assert_eq!(all().iter().filter_map(failed).collect::<Vec<_>>(), []);
    }

    #[cfg(bench)]
    #[test]
    fn who_does_not_split_refuses_to() {
        let rows = rows_of::<crate::peers::Multiarch>();
        for row in rows.iter().filter(|row| row.splits()) {
            assert!(matches!(run(row).0, Err(Failed::Refused(_))), "{}", row.work);
        }
    }
}
