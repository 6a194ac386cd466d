//! Translation tables that anybody may have written.

use std::convert::Infallible;

use blockmap::dump::{ReadTable, Style, Tree};
use blockmap::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap::vmsa::{Geometry, Mair};

use crate::fields::Fields;

/// How many tables are entered: enough for every way down, few enough for hundreds of trees a
/// second.
const MOST_TABLES: u64 = 6;

/// Memory that repeats the input for ever.
struct Repeated<'a>(&'a [u8]);

impl Repeated<'_> {
    fn word(&self, number: u64) -> u64 {
        let mut words = self.0.chunks(8);
        let count = u64::try_from(words.len().max(1)).unwrap_or(1);
        let number = usize::try_from(number % count).unwrap_or(0);
        let bytes = words.nth(number).unwrap_or_default();
        bytes.iter().rfold(0, |word, byte| word << 8 | u64::from(*byte))
    }
}

impl ReadTable for Repeated<'_> {
    type Error = Infallible;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Infallible> {
        // Tables that are a page apart begin at different words.
        let start = (table.value() >> 12).wrapping_mul(3).wrapping_add(u64::from(first));
        for (number, word) in (0..).zip(words) {
            *word = self.word(start.wrapping_add(number));
        }
        Ok(())
    }
}

/// Reads the tables in every way. Each reading ends, and every address is in it once.
pub(crate) fn feed(input: &[u8]) {
    let mut fields = Fields::new(input);
    let Some(geometry) = fields.geometry() else { return };
    let (root, address) = (PhysAddr::new(fields.word() & !0xfff), VirtAddr::new(fields.word()));
    let part = VirtRange::new(VirtAddr::new(fields.word()), fields.word());
    let reader = Repeated(fields.rest());
    let tree = Tree::new(geometry, root, &reader).with_most_tables(MOST_TABLES);
    every_address_once(geometry, tree);
    if let Some(part) = part {
        tree.within(part).runs().for_each(drop);
    }
    let stat = tree.stat();
    assert!(stat.tables() <= MOST_TABLES, "{stat:?}");
    let walk = tree.walk(address);
    assert!(walk.steps().count() <= 5, "a walk of more than five levels");
    let _text = walk.described(Mair::KERNEL).to_string();
    let _passed = tree.wx().passed();
    let mut text = String::new();
    let style = Style { mair: Mair::KERNEL, markers: &[] };
    assert!(tree.ptdump(style, &mut text).is_ok(), "a string takes everything");
}

/// Runs follow each other from the half's first address to its last.
fn every_address_once(geometry: Geometry, tree: Tree<'_, Repeated<'_>>) {
    let (lowest, highest) = geometry.inputs();
    let mut next = Some(lowest);
    for run in tree.runs() {
        assert_eq!(Some(run.range.start()), next, "{run:?}");
        next = run.range.last().checked_add(1);
    }
    assert_eq!(next, highest.checked_add(1));
}
