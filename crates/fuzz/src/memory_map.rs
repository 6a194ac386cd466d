//! A memory map: any banks, reservations and image; and the plan of the linear map over them.

use blockmap::layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Rodata};
use blockmap::machine::{PhysAddr, PhysRange};
use blockmap::vmsa::Leaves;
use blockmap::vmsa::cpu::Mte;

use crate::fields::Fields;

/// The most ranges of a map: with many more, all time goes into the same few lines.
const MOST_RANGES: u32 = 40;

/// Plans the linear map, and checks that its pieces are the memory that is mapped, once each.
pub(crate) fn feed(input: &[u8]) {
    let mut fields = Fields::new(input);
    let Some(geometry) = fields.geometry() else { return };
    let rodata = fields.one_of(&[Rodata::On, Rodata::NoAlias, Rodata::Off]);
    let leaves = fields.one_of(&[Leaves::Largest, Leaves::Pages]);
    let firmware = firmware(&mut fields);
    let memory = match MemoryMap::new(&firmware, geometry) {
        Ok(memory) => memory,
        Err(error) => return assert!(!error.to_string().is_empty(), "an error without words"),
    };
    let plan = LinearPlan::new(&memory, Paint::of_kernel(rodata, Mte::Missing), leaves);
    let (mut bytes, mut count, mut last) = (0_u64, 0_u64, None);
    for piece in plan.pieces() {
        assert!(last < Some(piece.input), "{piece:?} begins before {last:?}");
        assert_eq!(memory.linear().input(piece.output), Some(piece.input));
        assert!(piece.input.is_aligned(piece.size.bytes()), "{piece:?}");
        assert!(piece.output.is_aligned(piece.size.bytes()), "{piece:?}");
        bytes += piece.bytes();
        count += piece.count * u64::from(piece.size.entries());
        last = Some(piece.last());
    }
    assert_eq!(plan.leaf_counts().total(), count);
    assert_eq!(memory.mapped().map(PhysRange::bytes).sum::<u64>(), bytes);
    assert!(memory.mapped().all(|range| memory.maps(range)));
    assert!(memory.free().all(|range| memory.maps(range)));
    // A leaf has at most four tables above it, the root not counted.
    assert!(plan.table_counts().total() <= 4 * count);
}

fn firmware(fields: &mut Fields<'_>) -> FirmwareMap {
    let mut firmware = FirmwareMap::new();
    let mut at = 0_u64;
    for _ in 0..MOST_RANGES {
        if fields.is_empty() {
            break;
        }
        let kind = fields.byte();
        let (start, bytes) = (place(&mut at, fields), length(fields));
        let range = PhysRange::new(start, bytes);
        // What is refused here is as good as not said.
        let _refused = match kind % 8 {
            0..3 => firmware.add_bank(start, bytes),
            3 => firmware.add_reserved(start, bytes),
            4 => firmware.add_no_map(start, bytes),
            5 => range.map_or(Ok(()), |range| {
                firmware.set_initrd(range);
                Ok(())
            }),
            6 => range.map_or(Ok(()), |range| {
                firmware.set_device_tree(range);
                Ok(())
            }),
            _ => image(start, fields).map_or(Ok(()), |image| {
                firmware.set_image(image);
                Ok(())
            }),
        };
        at = at.wrapping_add(bytes);
    }
    firmware
}

/// Any place, or one near `at`: behind the last range.
fn place(at: &mut u64, fields: &mut Fields<'_>) -> PhysAddr {
    *at = match fields.byte() % 4 {
        0 => *at,
        1 => at.wrapping_add(length(fields)),
        2 => at.wrapping_sub(length(fields)),
        _ => fields.word(),
    };
    PhysAddr::new(*at)
}

/// A number of bytes near a power of two, or any.
fn length(fields: &mut Fields<'_>) -> u64 {
    let (shift, more) = (fields.byte() % 64, fields.byte());
    match shift {
        0 => fields.word(),
        _ => (1_u64 << shift).wrapping_mul(u64::from(more / 4)).wrapping_add(u64::from(more % 4)),
    }
}

fn image(start: PhysAddr, fields: &mut Fields<'_>) -> Option<Image> {
    let part = |fields: &mut Fields<'_>| {
        PhysRange::new(start.checked_add(length(fields))?, length(fields))
    };
    let load = PhysRange::new(start, length(fields))?;
    Some(Image { load, text: part(fields)?, rodata: part(fields)? })
}
