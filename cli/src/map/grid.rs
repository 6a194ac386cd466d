//! A map as rows of places of equal size. Rows in which nothing is mapped are left out.

use std::collections::BTreeMap;

use blockmap_dump::vmsa::machine::VirtAddr;
use serde::Serialize;

use super::Subject;
use super::look::Look;
use crate::number::Hex;
use crate::survey::Leaves;

/// Rows of places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Grid {
    /// Bytes of a place.
    pub(super) place_bytes: u64,
    /// Places of a row.
    pub(super) columns: u64,
    /// The rows in which anything is mapped, in the order of their addresses.
    pub(super) rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// The address of its first place.
    pub(super) start: Hex,
    /// Its places; none where nothing is mapped.
    pub(super) places: Vec<Option<Look>>,
}

impl Grid {
    /// The grid of `columns` columns, which is a power of two, that shows most of `subject` in at
    /// most `most_rows` rows.
    pub(super) fn new(subject: &Subject<'_>, columns: u64, most_rows: u64) -> Self {
        let leaves = &subject.leaves;
        let mapped: u64 = leaves.iter().map(|leaves| leaves.range.bytes()).sum();
        // No smaller place could do: what is mapped would fill more rows.
        let least = (mapped / (columns * most_rows)).max(subject.survey.geometry.page_bytes());
        let mut place_bytes = least.next_power_of_two();
        while rows_needed(leaves, place_bytes * columns) > most_rows && place_bytes < 1 << 48 {
            place_bytes *= 2;
        }
        let mut rows: BTreeMap<VirtAddr, Vec<Option<Look>>> = BTreeMap::new();
        for one in leaves {
            let look = Look::of(subject.survey.geometry, one);
            let mut at = one.range.start().align_down(place_bytes);
            loop {
                let base = at.align_down(place_bytes * columns);
                let column = at.offset_from(base).map_or(0, |offset| offset / place_bytes);
                let column = usize::try_from(column).unwrap_or_default();
                let width = usize::try_from(columns).unwrap_or_default();
                let row = rows.entry(base).or_insert_with(|| vec![None; width]);
                if let Some(place) = row.get_mut(column) {
                    *place = Some(place.map_or(look, |held| held.with(look)));
                }
                match at.checked_add(place_bytes) {
                    Some(next) if next <= one.range.last() => at = next,
                    Some(_) | None => break,
                }
            }
        }
        let row = |(start, places): (VirtAddr, _)| Row { start: Hex(start.value()), places };
        Self { place_bytes, columns, rows: rows.into_iter().map(row).collect() }
    }
}

/// How many rows of `bytes` bytes have something in them.
fn rows_needed(leaves: &[Leaves], bytes: u64) -> u64 {
    let mut count = 0;
    let mut latest = None;
    for one in leaves {
        let (first, last) = (one.range.start().value() / bytes, one.range.last().value() / bytes);
        let first = if latest == Some(first) { first + 1 } else { first };
        count += (last + 1).saturating_sub(first);
        latest = Some(last);
    }
    count
}
