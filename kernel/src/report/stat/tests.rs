//! The text of a small map's statistics.

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

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Infallible> {
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
    let text = StatText { map: &map, frames, ready: 1 }.to_string();
    assert_eq!(
        text,
        "  leaves 1G                        3  3G\n\
         \x20 tables below the root            1  4K\n\
         \x20 TLB entries that hold it all: 3\n\
         \x20 frames free                    512  2M\n\
         \x20 frames used                      1  4K\n\
         \x20 frames tables                    2  8K\n\
         \x20 frames reserved                  3  12K\n\
         \x20 tables kept ready                1  4K\n"
    );
}
