//! Images of RAM with translation tables in them, made entry by entry.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_dump::vmsa::{Geometry, Kind, Level};

/// Where RAM begins.
pub(crate) const RAM: u64 = 0x4000_0000;

/// RAM that holds tables, and text in places.
pub(crate) struct Image {
    geometry: Geometry,
    tables: BTreeMap<u64, Vec<u64>>,
    root: u64,
    next: u64,
    texts: Vec<(u64, String)>,
}

impl Image {
    /// RAM with an empty root table, 128 MiB in; other tables follow it.
    pub(crate) fn new(geometry: Geometry) -> Self {
        let root = RAM + (128 << 20);
        let mut image =
            Self { geometry, tables: BTreeMap::new(), root, next: root, texts: Vec::new() };
        image.add_table();
        image
    }

    /// Where the root table is.
    pub(crate) fn root(&self) -> u64 {
        self.root
    }

    fn add_table(&mut self) -> u64 {
        let table = self.next;
        self.tables.insert(table, vec![0; usize::from(self.geometry.granule().entries())]);
        self.next += self.geometry.page_bytes();
        table
    }

    /// The table of `level` on the way to `input`; those that are missing are made.
    pub(crate) fn table_at(&mut self, level: Level, input: VirtAddr) -> u64 {
        let (mut table, mut at) = (self.root, self.geometry.root_level());
        while at != level {
            let index = usize::from(self.geometry.index(at, input));
            let word = self.tables[&table][index];
            table = if self.geometry.kind(at, word) == Kind::Table {
                self.geometry.table_address(word).value()
            } else {
                let next = self.add_table();
                let word = self.geometry.table_word(PhysAddr::new(next));
                self.tables.get_mut(&table).unwrap()[index] = word;
                next
            };
            at = at.next().unwrap();
        }
        table
    }

    /// Stores an entry.
    pub(crate) fn set(&mut self, table: u64, index: u16, word: u64) {
        self.tables.get_mut(&table).unwrap()[usize::from(index)] = word;
    }

    /// Stores the leaves of `level` for `bytes` bytes that lead to `output` and the bytes after it.
    pub(crate) fn map(
        &mut self,
        level: Level,
        (input, bytes): (u64, u64),
        output: u64,
        meaning: u64,
    ) {
        let step = self.geometry.span_bytes(level);
        for offset in (0..bytes).step_by(usize::try_from(step).unwrap()) {
            let input = VirtAddr::new(input + offset);
            let word = self.geometry.leaf_word(level, PhysAddr::new(output + offset), meaning);
            let table = self.table_at(level, input);
            self.set(table, self.geometry.index(level, input), word);
        }
    }

    /// Puts text into RAM.
    pub(crate) fn write(&mut self, at: u64, text: String) {
        self.texts.push((at, text));
    }

    /// Writes the image, which is sparse, and gives the source that names it.
    pub(crate) fn save(&self, path: &str) -> String {
        let file = File::create(path).unwrap();
        file.set_len(self.next - RAM + 4096).unwrap();
        for (table, words) in &self.tables {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            file.write_all_at(&bytes, table - RAM).unwrap();
        }
        for (at, text) in &self.texts {
            file.write_all_at(text.as_bytes(), at - RAM).unwrap();
        }
        format!("{path}@{RAM:#x}")
    }
}
