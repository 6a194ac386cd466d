//! Words of hardware: descriptors, TLB maintenance operands, control registers, syndromes.

use blockmap::machine::{Invalidate, Tlbi, VirtAddr, VirtRange};
use blockmap::vmsa::tlbi::{Target, decode};
use blockmap::vmsa::{
    Asid, Geometry, Level, Mair, MemoryIndex, Operation, Reach, Regime, Scope, Tcr,
};
use blockmap_kernel::witness::Trap;

use crate::fields::Fields;

/// What decodes must encode to the same word again; what an operand covers must be what was asked.
pub(crate) fn feed(input: &[u8]) {
    let mut fields = Fields::new(input);
    match fields.byte() % 4 {
        0 => descriptors(&mut fields),
        1 => operands(&mut fields),
        2 => ranges(&mut fields),
        _ => registers(&mut fields),
    }
}

fn descriptors(fields: &mut Fields<'_>) {
    let Some(geometry) = fields.geometry() else { return };
    let level = fields.one_of(&Level::ALL);
    let (old, new) = (fields.word(), fields.word());
    let said = geometry.decode(level, old);
    assert_eq!(geometry.encode(level, said), Some(old), "{geometry:?} {level:?} {said:?}");
    let _demand = geometry.demand(level, old, new);
}

fn operands(fields: &mut Fields<'_>) {
    let Some(geometry) = fields.geometry() else { return };
    let (op, operand) = (fields.one_of(Tlbi::ALL), fields.word());
    if let Target::Range(range) = decode(Invalidate { op, operand }).target {
        let _covered = range.covered(geometry.format());
    }
}

fn ranges(fields: &mut Fields<'_>) {
    let Some(geometry) = fields.geometry() else { return };
    let operation = Operation {
        scope: fields.one_of(&[Scope::EveryCpu, Scope::ThisCpu]),
        reach: fields.one_of(&[Reach::LastLevel, Reach::AllLevels]),
        asid: fields.one_of(&[None, Some(Asid::new(0xffff))]),
        hint: fields.one_of(&[None, Some(Level::L1), Some(Level::L2), Some(Level::L3)]),
    };
    let start = VirtAddr::new(fields.word());
    let bytes = fields.word() >> (fields.byte() % 64);
    // More take more instructions than anybody would give.
    let bytes = bytes.min(geometry.range_invalidation_limit().saturating_mul(4));
    let Some(range) = VirtRange::new(start, bytes) else { return };
    let mut covered: Vec<VirtRange> = Vec::new();
    for instruction in geometry.invalidations_of_range(range, operation) {
        covered.push(match decode(instruction).target {
            Target::Range(target) => match target.covered(geometry.format()) {
                Some(covered) => covered,
                None => panic!("{instruction} covers nothing of {range}"),
            },
            Target::Address(target) => page(geometry, target.address),
            Target::Everything | Target::Asid(_) => panic!("{instruction} for {range}"),
        });
    }
    covers(geometry, range, &covered);
}

/// The page that an invalidation by address is about.
fn page(geometry: Geometry, address: VirtAddr) -> VirtRange {
    let start = address.align_down(geometry.page_bytes());
    VirtRange::new(start, geometry.page_bytes()).unwrap_or_else(|| panic!("{address}"))
}

/// Checks that what of `range` the half translates is covered without a gap, and nothing outside
/// the half.
fn covers(geometry: Geometry, range: VirtRange, covered: &[VirtRange]) {
    let (lowest, highest) = geometry.inputs();
    let (first, last) = (range.start().max(lowest), range.last().min(highest));
    if first > last {
        return assert!(covered.is_empty(), "{range} is outside the half");
    }
    let mut next = Some(first);
    for part in covered {
        assert!(next.is_some_and(|next| part.start() <= next), "a gap at {next:?} in {range}");
        assert!(part.start() >= lowest && part.last() <= highest, "{part} leaves the half");
        next = part.last().checked_add(1);
    }
    assert!(next.is_none_or(|next| next > last), "{range} ends behind {next:?}");
}

fn registers(fields: &mut Fields<'_>) {
    let (regime, word) = (fields.one_of(&Regime::ALL), fields.word());
    match Tcr::decode(regime, word) {
        Ok(tcr) => assert_eq!(tcr.encode(), Ok(word), "{tcr:?}"),
        Err(error) => assert!(!error.to_string().is_empty(), "an error without words"),
    }
    let mair = Mair::new(word);
    for (index, byte) in (0..8).filter_map(MemoryIndex::new).zip(word.to_le_bytes()) {
        assert_eq!(mair.memory_type(index).byte(), byte, "{mair:?}");
    }
    let _trap = Trap::of(word);
}
