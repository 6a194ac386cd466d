//! What a table tree says, read entry by entry.

use blockmap::{Platform, Space};
use blockmap_machine::{PhysAddr, VirtAddr};
use blockmap_vmsa::{Geometry, Kind, Level, bits};

use crate::reference::Unit;

/// The leaves of a tree, and the tables it is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The leaves, whole contiguous runs as one, in ascending order.
    pub units: Vec<Unit>,
    /// Every table that can be reached, the root included.
    pub tables: Vec<PhysAddr>,
    /// Tables below the root without a single entry.
    pub empty_tables: Vec<PhysAddr>,
    /// Entries that are neither empty, nor a leaf, nor a table.
    pub odd_entries: Vec<(PhysAddr, u16, u64)>,
}

impl Tree {
    /// Reads the whole tree.
    #[must_use]
    pub fn read<P: Platform>(space: &Space<'_, P>) -> Self {
        let mut tree = Self::default();
        let geometry = space.geometry();
        let root = (geometry.root_level(), space.root());
        tree.read_table(space, root, geometry.inputs().0);
        tree
    }

    fn read_table<P: Platform>(
        &mut self,
        space: &Space<'_, P>,
        (level, table): (Level, PhysAddr),
        start: VirtAddr,
    ) {
        let geometry = space.geometry();
        assert!(!self.tables.contains(&table), "{table} is reached twice");
        self.tables.push(table);
        let reader = space.reader();
        let entries = geometry.entries(level);
        let words: Vec<u64> = (0..entries).map(|index| reader.load(table, index)).collect();
        if words.iter().all(|word| *word == 0) && table != space.root() {
            self.empty_tables.push(table);
        }
        let mut index = 0;
        while index < entries {
            let word = words[usize::from(index)];
            let bytes = geometry.span_bytes(level) * u64::from(index);
            let input = start.checked_add(bytes).unwrap();
            index += match geometry.kind(level, word) {
                Kind::Invalid if word == 0 => 1,
                Kind::Table => {
                    let child = (level.next().unwrap(), geometry.table_address(word));
                    self.read_table(space, child, input);
                    1
                }
                Kind::Leaf | Kind::PresentInvalid => {
                    self.read_unit(geometry, (level, input), &words[usize::from(index)..])
                }
                Kind::Invalid | Kind::Reserved => {
                    self.odd_entries.push((table, index, word));
                    1
                }
            };
        }
    }

    /// Reads a leaf or a whole run; a run that is not uniform is odd.
    fn read_unit(&mut self, geometry: Geometry, at: (Level, VirtAddr), words: &[u64]) -> u16 {
        let (level, input) = at;
        let word = words[0];
        let output = geometry.leaf_output(level, word);
        let size = if word & bits::CONTIGUOUS == 0 {
            geometry.leaf_size(level).unwrap()
        } else {
            geometry.run_size(level).unwrap()
        };
        for (offset, other) in (0..size.entries()).zip(words) {
            let bytes = geometry.span_bytes(level) * u64::from(offset);
            let meaning = geometry.leaf_meaning(word) | word & bits::CONTIGUOUS;
            let expected = geometry.leaf_word(level, output.checked_add(bytes).unwrap(), meaning);
            if *other != expected || !input.is_aligned(size.bytes()) {
                self.odd_entries.push((output, offset, *other));
            }
        }
        let meaning = geometry.leaf_meaning(word);
        self.units.push(Unit { input, output, size, meaning });
        size.entries()
    }
}
