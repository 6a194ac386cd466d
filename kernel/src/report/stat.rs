//! What a map is made of, and what its tables take.

use core::fmt;

use blockmap::dump::{Size, Stat};
use blockmap::vmsa::Level;

use crate::frames::{Counts, FRAME_BYTES};

/// Prints a map's statistics and the frames' states, a line for each kind of thing.
#[derive(Clone, Copy, Debug)]
pub struct StatText<'a> {
    /// What the map is made of.
    pub map: &'a Stat,
    /// The frames of all memory.
    pub frames: Counts,
}

impl fmt::Display for StatText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.map.sizes().filter(|one| one.count != 0) {
            let kind = if one.size.run.is_some() { "runs" } else { "leaves" };
            let name = (kind, Size::of(one.size.bytes()));
            line(f, name, one.count, one.bytes)?;
        }
        let tables = |level: &Level| self.map.level(*level).tables;
        let levels = Level::ALL.into_iter().skip_while(|level| tables(level) == 0);
        let below: u64 = levels.skip(1).map(|level| tables(&level)).sum();
        line(f, ("tables", "below the root"), below, below.saturating_mul(FRAME_BYTES))?;
        writeln!(f, "  TLB entries that hold it all: {}", self.map.tlb_entries())?;
        if self.map.invalid_bytes() != 0 {
            writeln!(f, "  present but invalid: {}", Size::of(self.map.invalid_bytes()))?;
        }
        if self.map.misprogrammed != 0 {
            writeln!(f, "  misprogrammed contiguous runs: {}", self.map.misprogrammed)?;
        }
        let Counts { free, used, table, reserved } = self.frames;
        for (state, count) in
            [("free", free), ("used", used), ("tables", table), ("reserved", reserved)]
        {
            line(f, ("frames", state), count, count.saturating_mul(FRAME_BYTES))?;
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    (kind, name): (&str, impl fmt::Display),
    count: u64,
    bytes: u64,
) -> fmt::Result {
    // Columns of text are padded by their own length, which only a formatter knows.
    let width = {
        let mut counted = Counted(0);
        fmt::write(&mut counted, format_args!("  {kind} {name}"))?;
        write!(f, "  {kind} {name}")?;
        counted.0
    };
    let gap = 24_usize.saturating_sub(width);
    writeln!(f, "{:gap$}{count:>12}  {}", "", Size::of(bytes))
}

/// Counts the bytes that are written to it.
struct Counted(usize);

impl fmt::Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::convert::Infallible;
    use std::string::ToString;

    use blockmap::dump::{ReadTable, Tree};
    use blockmap::machine::PhysAddr;
    use blockmap::vmsa::{Access, Attributes, Geometry, MemoryIndex, Shareability};

    use super::*;

    const GEOMETRY: Geometry = Geometry::KERNEL_4K_48;
    const ROOT: PhysAddr = PhysAddr::new(0x1000);
    const BELOW: PhysAddr = PhysAddr::new(0x2000);

    /// A root whose first entry leads to a table of three blocks.
    struct ThreeBlocks;

    impl ReadTable for ThreeBlocks {
        type Error = Infallible;

        fn entries(
            &self,
            table: PhysAddr,
            first: u16,
            words: &mut [u64],
        ) -> Result<(), Infallible> {
            let attributes = Attributes {
                memory: MemoryIndex::new(0).unwrap(),
                shareability: Shareability::Inner,
                access: Access::ReadWrite,
            };
            for (index, word) in (u64::from(first)..).zip(words) {
                let output = PhysAddr::new(index << 30);
                *word = match (table, index) {
                    (ROOT, 0) => GEOMETRY.table_word(BELOW),
                    (BELOW, 1..4) => {
                        GEOMETRY.leaf_word(Level::L1, output, GEOMETRY.meaning(attributes))
                    }
                    _ => 0,
                };
            }
            Ok(())
        }
    }

    #[test]
    fn the_map_and_the_frames_have_a_line_for_each_kind() {
        let map = Tree::new(GEOMETRY, ROOT, &ThreeBlocks).stat();
        let frames = Counts { free: 512, used: 1, table: 2, reserved: 3 };
        let text = StatText { map: &map, frames }.to_string();
        assert_eq!(
            text,
            "  leaves 1G                        3  3G\n\
             \x20 tables below the root            1  4K\n\
             \x20 TLB entries that hold it all: 3\n\
             \x20 frames free                    512  2M\n\
             \x20 frames used                      1  4K\n\
             \x20 frames tables                    2  8K\n\
             \x20 frames reserved                  3  12K\n"
        );
    }
}
