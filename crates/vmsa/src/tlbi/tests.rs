//! Operands: every field where it belongs, in every geometry, and ranges that cover what they must.

use blockmap_machine::VirtRange;
use proptest::prelude::*;

use super::*;
use crate::Half;

extern crate std;
use std::vec::Vec;

/// One geometry of each regime, half, granule, format and input size.
fn geometries() -> impl Iterator<Item = Geometry> {
    Geometry::every().filter(|geometry| geometry.output_bits() == 48)
}

fn operations() -> impl Iterator<Item = Operation> {
    let asids = [None, Some(0), Some(1), Some(0x5aa5), Some(0xffff)];
    let hints = Level::ALL.map(Some).into_iter().chain([None]);
    hints.flat_map(move |hint| {
        asids.into_iter().flat_map(move |asid| {
            [Reach::LastLevel, Reach::AllLevels].into_iter().flat_map(move |reach| {
                [Scope::ThisCpu, Scope::EveryCpu].map(|scope| Operation {
                    scope,
                    reach,
                    asid: asid.map(Asid::new),
                    hint,
                })
            })
        })
    })
}

/// The half's ends, its middle, and each address bit on its own.
fn addresses(geometry: Geometry) -> impl Iterator<Item = VirtAddr> {
    let (lowest, highest) = geometry.inputs();
    (0..geometry.input_bits())
        .map(move |bit| VirtAddr::new(lowest.value() | 1 << bit))
        .chain([lowest, highest])
}

fn family(regime: Regime) -> TlbiFamily {
    match regime {
        Regime::El1And0 | Regime::El2And0 => TlbiFamily::E1,
        Regime::El2 => TlbiFamily::E2,
        Regime::El3 => TlbiFamily::E3,
    }
}

/// The ASID that a decoder sees for an operation that asked for `asid`.
fn asid_seen(regime: Regime, asid: Option<Asid>) -> Option<Asid> {
    match regime {
        Regime::El1And0 | Regime::El2And0 => asid,
        Regime::El2 => Some(Asid::new(0)),
        Regime::El3 => None,
    }
}

#[test]
fn a_by_address_operand_says_what_was_asked_and_nothing_else() {
    for geometry in geometries() {
        for operation in operations() {
            for address in addresses(geometry) {
                let instruction = geometry.invalidation_of_address(address, operation);
                let hint = operation.hint.filter(|level| geometry.leaf_size(*level).is_some());
                let said = Invalidation {
                    family: family(geometry.regime()),
                    scope: operation.scope,
                    target: Target::Address(AddressTarget {
                        reach: operation.reach,
                        asid: asid_seen(geometry.regime(), operation.asid),
                        hint: hint.map_or(Hint::Any, |at| Hint::Leaf(geometry.granule(), at)),
                        address: address.align_down(1 << 12),
                    }),
                };
                assert_eq!(decode(instruction), said, "{geometry:?} {operation:?}");
            }
        }
    }
}

#[test]
fn the_fields_of_a_by_address_operand_are_disjoint() {
    const ASID: u64 = 0xffff << 48;
    const TTL: u64 = 0xf << 44;
    const PAGE: u64 = (1 << 44) - 1;
    let plain = Operation::broadcast(Reach::AllLevels);
    for geometry in geometries() {
        let (_, highest) = geometry.inputs();
        let page = geometry.invalidation_of_address(highest, plain).operand;
        assert_eq!(page & !PAGE, 0, "the sign leaks");
        for level in Level::ALL {
            let hinted = Operation { hint: Some(level), ..plain };
            let operand = geometry.invalidation_of_address(VirtAddr::new(0), hinted).operand;
            assert_eq!(operand & !TTL, 0);
        }
        let asid = Operation { asid: Some(Asid::new(0xffff)), ..plain };
        let operand = geometry.invalidation_of_address(VirtAddr::new(0), asid).operand;
        let has_asids = geometry.regime().has_unprivileged();
        assert_eq!(operand, if has_asids { ASID } else { 0 });
    }
}

#[test]
fn what_one_range_instruction_is_enough_for_takes_that_one() {
    let kernel = Geometry::KERNEL_4K_48;
    let limit = kernel.range_invalidation_limit() / kernel.page_bytes();
    let by = |pages: u64| {
        let start = VirtAddr::new(0xffff_0010_0000_3000);
        let range = VirtRange::new(start, pages * kernel.page_bytes()).unwrap();
        let all: Vec<_> = kernel.invalidate_range(range, Reach::LastLevel).collect();
        (kernel.invalidate_range_by_one(range, Reach::LastLevel), all)
    };
    let few = (2..200).chain((8..21).flat_map(|bit| (1 << bit) - 1..(1 << bit) + 2));
    for pages in few.chain([limit]) {
        let (one, all) = by(pages);
        assert_eq!(one.as_slice(), all, "{pages} pages");
    }
    assert_eq!([1, limit + 1].map(|pages| by(pages).0), [None, None]);
}

#[test]
fn operands_of_the_kernel_map_are_as_worked_out_by_hand() {
    let kernel = Geometry::KERNEL_4K_48;
    let address = VirtAddr::new(0xffff_0001_5555_5000);
    let one = kernel.invalidate_address(address, Reach::LastLevel);
    assert_eq!((one.op, one.operand), (Tlbi::Vaale1is, 0x0000_0ff0_0015_5555));
    let all = kernel.invalidate_all();
    assert_eq!((all.op, all.operand), (Tlbi::Vmalle1is, 0));

    let operand = |geometry: Geometry, start: u64, bytes| {
        let range = VirtRange::new(VirtAddr::new(start), bytes).unwrap();
        let found: Vec<_> = geometry
            .invalidate_range(range, Reach::AllLevels)
            .map(|instruction| (instruction.op.mnemonic(), instruction.operand))
            .collect();
        found
    };
    // 512 pages: eight units of 64.
    assert_eq!(operand(kernel, 0xffff_0000_0000_0000, 2 << 20), [("rvaae1is", 0x5390_0000_0000)]);
    // One page needs no range form.
    assert_eq!(operand(kernel, 0xffff_0000_0000_0000, 1), [("vaae1is", 0x0ff0_0000_0000)]);
    // The last three pages: four, from one page lower.
    assert_eq!(operand(kernel, 0xffff_ffff_ffff_d000, 0x3000), [("rvaae1is", 0x409f_ffff_fffc)]);
    // With LPA2 the base is in units of 64 KiB.
    let half = (Regime::El1And0, Half::Upper);
    let wide = Geometry::new(half, (Granule::Kib4, Format::Lpa2), 52, 52).unwrap();
    assert_eq!(operand(wide, 0xfff0_0000_0001_1000, 0x2000), [("rvaae1is", 0x4090_0000_0001)]);
}

#[test]
fn every_instruction_reads_back_by_name() {
    let zero = |op| decode(Invalidate { op, operand: 0 });
    for (index, op) in Tlbi::ALL.iter().enumerate() {
        let said = zero(*op);
        let name = op.mnemonic();
        assert_eq!(name.ends_with("is"), said.scope == Scope::EveryCpu);
        let is_range = matches!(said.target, Target::Range(_));
        assert_eq!(name.starts_with('r'), is_range);
        assert!(Tlbi::ALL[index + 1..].iter().all(|next| zero(*next) != said));
    }
    for geometry in geometries() {
        for scope in [Scope::ThisCpu, Scope::EveryCpu] {
            let all = decode(geometry.invalidation_of_all(scope));
            assert_eq!((all.scope, all.target), (scope, Target::Everything));
            assert_eq!(all.family, family(geometry.regime()));
            let asid = Asid::new(0x8001);
            let one = geometry.invalidation_of_asid(asid, scope).map(decode);
            let said = one.map(|one| (one.family, one.scope, one.target));
            let has_asids = geometry.regime().has_unprivileged();
            let want = (TlbiFamily::E1, scope, Target::Asid(asid));
            assert_eq!(said, has_asids.then_some(want));
        }
    }
}

/// Checks that a range's instructions cover it, stay in the half, and are as few as promised.
fn check_range(geometry: Geometry, range: VirtRange, operation: Operation) {
    let page = geometry.page_bytes();
    let (lowest, highest) = geometry.inputs();
    let mut next = range.start().align_down(page).value();
    let last = range.last().value();
    let (mut count, mut total) = (0, 0);
    for instruction in geometry.invalidations_of_range(range, operation) {
        let said = decode(instruction);
        assert_eq!(said.family, family(geometry.regime()));
        assert_eq!(said.scope, operation.scope);
        let (covered, reach, asid) = match said.target {
            Target::Address(one) => {
                let covered = VirtRange::new(one.address, page).unwrap();
                (covered, one.reach, one.asid)
            }
            Target::Range(some) => {
                assert_eq!(some.granule, Some(geometry.granule()));
                if let Some(level) = some.hint {
                    assert_eq!(operation.hint, Some(level));
                    let base = some.covered(geometry.format()).unwrap().start();
                    assert!(base.is_aligned(geometry.span_bytes(level)));
                }
                let covered = some.covered(geometry.format()).unwrap();
                (covered, some.reach, some.asid)
            }
            Target::Everything | Target::Asid(_) => panic!("not a range"),
        };
        assert_eq!(reach, operation.reach);
        assert_eq!(asid, asid_seen(geometry.regime(), operation.asid));
        assert!(lowest <= covered.start() && covered.last() <= highest);
        assert!(covered.contains(VirtAddr::new(next)), "a hole");
        total += covered.bytes();
        next = covered.end().value();
        count += 1;
    }
    assert!(next == 0 || next > last, "{geometry:?} {range:?}");
    // Bases are rounded to this; a unit is never larger than what it is a part of.
    let slack = if geometry.format() == Format::Lpa2 { 64 << 10 } else { page };
    let asked = range.bytes() + slack + page;
    assert!(total < 2 * asked, "{total:#x} bytes for {range:?} of {geometry:?}");
    let most = asked.div_ceil(geometry.range_invalidation_limit());
    assert!(count <= most, "{count} instructions, {most} were promised");
}

#[test]
fn a_range_at_either_end_of_a_half_is_covered_and_stays_in_it() {
    for geometry in geometries() {
        let (lowest, highest) = geometry.inputs();
        let page = geometry.page_bytes();
        let most = (3 * geometry.range_invalidation_limit()).min(1 << geometry.input_bits());
        let edges = (0..44).flat_map(|bit| {
            [1_u64 << bit, (1 << bit) - 1, (1 << bit) + 1].map(|pages| pages * page)
        });
        for bytes in edges.filter(|bytes| (1..=most).contains(bytes)) {
            let top = highest.checked_sub(bytes - 1).unwrap();
            for start in [lowest, top] {
                let range = VirtRange::new(start, bytes).unwrap();
                check_range(geometry, range, Operation::broadcast(Reach::AllLevels));
            }
        }
    }
}

#[test]
fn what_the_half_does_not_translate_is_left_out() {
    let range = |start, bytes| VirtRange::new(VirtAddr::new(start), bytes).unwrap();
    let count = |range| {
        let kernel = Geometry::KERNEL_4K_48;
        kernel.invalidate_range(range, Reach::AllLevels).count()
    };
    assert_eq!(count(range(0x1000, 0x10_0000)), 0);
    assert_eq!(count(range(0xfffe_ffff_ffff_0000, 0x1_2000)), 1);
}

proptest! {
    #[test]
    fn any_range_is_covered_by_few_instructions(
        index in any::<prop::sample::Index>(),
        operation in any::<prop::sample::Index>(),
        start in any::<u64>(),
        bits in 0_u32..52,
        bytes in any::<u64>(),
    ) {
        let geometries: Vec<_> = geometries().collect();
        let geometry = *index.get(&geometries);
        let operations: Vec<_> = operations().collect();
        let (lowest, highest) = geometry.inputs();
        let half = (1_u64 << geometry.input_bits()) - 1;
        let start = lowest.value() | start & half;
        let bytes = (bytes & ((1 << bits) - 1)).min(highest.value() - start) + 1;
        let bytes = bytes.min(geometry.range_invalidation_limit() * 9);
        let range = VirtRange::new(VirtAddr::new(start), bytes).unwrap();
        check_range(geometry, range, *operation.get(&operations));
    }
}

#[test]
fn a_range_with_a_hint_keeps_it_only_where_the_base_is_aligned() {
    let range = |start, bytes| VirtRange::new(VirtAddr::new(start), bytes).unwrap();
    let hint = |range| {
        let operation =
            Operation { hint: Some(Level::L2), ..Operation::broadcast(Reach::LastLevel) };
        let mut all = Geometry::KERNEL_4K_48.invalidations_of_range(range, operation);
        let Target::Range(range) = decode(all.next().unwrap()).target else {
            panic!("not a range");
        };
        range.hint
    };
    let base = 0xffff_0000_0000_0000;
    assert_eq!(hint(range(base, 4 << 20)), Some(Level::L2));
    assert_eq!(hint(range(base + 0x1000, 4 << 20)), None);
}
