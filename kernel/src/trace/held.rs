//! What tables held before the first effect: without it a trace that begins late means nothing.

use blockmap::dump::{Found, ReadTable, Tree};
use blockmap::machine::{PhysAddr, Span};
use blockmap::vmsa::{Geometry, Kind};

use super::{Record, Recording};

/// Neighbouring entries that hold an arithmetic progression, as an effect that fills them would
/// leave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which entries.
    pub span: Span,
    /// What the first one holds.
    pub value: u64,
    /// What each has more than the one before it, modulo 2^64.
    pub step: u64,
}

/// How many entries are read at once.
const CHUNK: u16 = 16;

/// The smallest page there is.
const PAGE_BYTES: u64 = 4096;

impl Held {
    /// The same with the entry after it, if that goes on with `word`.
    fn with(self, word: u64) -> Option<Self> {
        let Self { span, value, step } = self;
        let count = u64::from(span.count);
        let step = if count == 1 { word.wrapping_sub(value) } else { step };
        let goes_on = word == value.wrapping_add(step.wrapping_mul(count));
        let span = Span { count: span.count.saturating_add(1), ..span };
        // Leaves differ by an address. Any two words have a difference, which says nothing.
        (goes_on && step % PAGE_BYTES == 0).then_some(Self { span, value, step })
    }
}

impl Recording<'_> {
    /// Records what the tables of `tree` hold: before anything else of a recording that did not
    /// begin with the first table. Nobody changes them meanwhile.
    pub fn add_tables<R: ReadTable>(&self, tree: Tree<'_, R>, reader: &R) {
        let geometry = tree.geometry();
        self.add_table(geometry, tree.root(), reader);
        for entry in tree.entries() {
            if let Found::Word { word, kind: Kind::Table } = entry.found {
                self.add_table(geometry, geometry.table_address(word), reader);
            }
        }
    }

    /// Records what one table holds. What can't be read is left out.
    fn add_table<R: ReadTable>(&self, geometry: Geometry, table: PhysAddr, reader: &R) {
        let mut run: Option<Held> = None;
        for first in (0..geometry.granule().entries()).step_by(usize::from(CHUNK)) {
            let mut words = [0; 16];
            if reader.entries(table, first, &mut words).is_err() {
                break;
            }
            for (index, word) in (first..).zip(words) {
                let alone =
                    Held { span: Span { table, first: index, count: 1 }, value: word, step: 0 };
                run = Some(match run {
                    None => alone,
                    Some(run) => run.with(word).unwrap_or_else(|| {
                        self.add(Record::Held(run));
                        alone
                    }),
                });
            }
        }
        if let Some(run) = run {
            self.add(Record::Held(run));
        }
    }
}
