//! The codec's laws: nothing is lost, every field has its own bits, and words agree.

use blockmap_machine::PhysAddr;
use proptest::prelude::*;

use super::*;
use crate::{Access, Attributes, Format, Granule, Half, MemoryIndex, Regime, Shareability, bits};

extern crate std;
use std::string::String;
use std::sync::LazyLock;
use std::vec::Vec;

/// One geometry of each regime, granule and format, with the most levels. Both halves have the
/// same descriptors.
fn geometries() -> &'static [Geometry] {
    static FOUND: LazyLock<Vec<Geometry>> = LazyLock::new(find_geometries);
    &FOUND
}

fn find_geometries() -> Vec<Geometry> {
    Geometry::every()
        .filter(|geometry| geometry.half() == Half::Lower)
        .filter(|geometry| {
            let most = match geometry.format() {
                Format::Base => 48,
                Format::Lpa | Format::Lpa2 => 52,
            };
            (geometry.input_bits(), geometry.output_bits()) == (most, most)
        })
        .collect()
}

/// Every field of either kind of descriptor, by its highest and lowest bit, and the parts of the
/// address that some format or level treats differently.
const FIELDS: [(u32, u32); 30] = [
    (0, 0),
    (1, 1),
    (4, 2),
    (5, 5),
    (6, 6),
    (7, 7),
    (9, 8),
    (10, 10),
    (11, 11),
    (13, 12),
    (15, 14),
    (16, 16),
    (20, 17),
    (24, 21),
    (28, 25),
    (29, 29),
    (35, 30),
    (38, 36),
    (41, 39),
    (47, 42),
    (49, 48),
    (50, 50),
    (51, 51),
    (52, 52),
    (53, 53),
    (54, 54),
    (58, 55),
    (60, 59),
    (62, 61),
    (63, 63),
];

/// Every value of a field, in place.
fn values((high, low): (u32, u32)) -> impl Iterator<Item = u64> {
    (0..1_u64 << (high - low + 1)).map(move |value| value << low)
}

fn check_word(geometry: Geometry, level: Level, word: u64) {
    let descriptor = geometry.decode(level, word);
    assert_eq!(
        geometry.encode(level, descriptor),
        Some(word),
        "{word:#018x} at {level} of {geometry:?}: {descriptor:?}"
    );
    let kind = geometry.kind(level, word);
    match descriptor {
        Descriptor::Invalid(kept) => {
            assert_eq!((kind, kept), (Kind::Invalid, word));
            assert_eq!(word & bits::VALID, 0);
        }
        Descriptor::Reserved(kept) => {
            assert_eq!((kind, kept), (Kind::Reserved, word));
            assert_eq!(word & 0b11, 0b01);
        }
        Descriptor::Table(table) => {
            assert_eq!(kind, Kind::Table);
            assert_eq!(table.next, geometry.table_address(word));
            assert!(table.next.is_aligned(geometry.page_bytes()));
        }
        Descriptor::Leaf(leaf) => {
            let expected = match leaf.validity {
                Validity::Valid => Kind::Leaf,
                Validity::PresentInvalid => Kind::PresentInvalid,
            };
            assert_eq!(kind, expected);
            assert_eq!(leaf.output, geometry.leaf_output(level, word));
            assert!(leaf.output.is_aligned(geometry.span_bytes(level)));
        }
    }
}

#[test]
fn every_pair_of_fields_survives_at_every_level_of_every_geometry() {
    for &geometry in geometries() {
        for level in Level::ALL {
            for (index, first) in FIELDS.iter().enumerate() {
                for second in &FIELDS[index + 1..] {
                    for a in values(*first) {
                        for b in values(*second) {
                            check_word(geometry, level, a | b);
                            check_word(geometry, level, !(a | b));
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn every_word_survives(word in any::<u64>(), index in any::<prop::sample::Index>()) {
        for level in Level::ALL {
            check_word(*index.get(geometries()), level, word);
        }
    }
}

/// The name of every field in which two descriptors of the same kind differ, as `Debug` prints it.
fn differing(one: Descriptor, other: Descriptor) -> Vec<String> {
    let lines = |descriptor| -> Vec<_> {
        let text = std::format!("{descriptor:#?}");
        // Fields are at the second depth; what is deeper belongs to the field above it.
        text.lines().fold(Vec::new(), |mut fields, line| {
            if line.starts_with("        ") && !line.starts_with("         ") && line.contains(':')
            {
                fields.push(String::from(line.trim()));
            } else if let Some(last) = fields.last_mut() {
                last.push_str(line.trim());
            }
            fields
        })
    };
    let pairs = lines(one).into_iter().zip(lines(other));
    pairs
        .filter(|(one, other)| one != other)
        .map(|(one, _)| one.split(':').next().map(Into::into).unwrap_or_default())
        .collect()
}

/// Which field each bit of a word belongs to.
fn owners(geometry: Geometry, level: Level, word: u64) -> Vec<(u32, String)> {
    // The two lowest bits say what kind of descriptor it is.
    (2..64)
        .map(|bit| {
            let plain = geometry.decode(level, word);
            let other = geometry.decode(level, word | 1 << bit);
            let fields = differing(plain, other);
            let [field] = &fields[..] else {
                panic!("bit {bit} of {word:#x} at {level}: {fields:?}");
            };
            (bit, field.clone())
        })
        .collect()
}

fn check_owners(owners: &[(u32, String)], expected: &[(u32, u32, &str)]) {
    for (bit, field) in owners {
        let named = expected.iter().find(|(high, low, _)| (low..=high).contains(&bit));
        let (_, _, name) = named.unwrap_or(&(0, 0, "residue"));
        assert_eq!(field, name, "bit {bit}");
    }
}

const LEAF_OF_EL1: [(u32, u32, &str); 18] = [
    (63, 63, "ignored"),
    (62, 59, "hardware"),
    (58, 55, "software"),
    (54, 53, "execution"),
    (52, 52, "contiguity"),
    (51, 51, "dirty"),
    (50, 50, "branches"),
    (11, 11, "asids"),
    (10, 10, "accessed"),
    (7, 7, "stores"),
    (6, 6, "unprivileged"),
    (5, 5, "space"),
    (4, 2, "memory"),
    (9, 8, "sharing"),
    (47, 30, "output"),
    (16, 16, "caching"),
    (29, 17, "residue"),
    (15, 12, "residue"),
];

#[test]
fn each_bit_of_a_level_1_block_belongs_to_one_field() {
    let geometry = Geometry::KERNEL_4K_48;
    check_owners(&owners(geometry, Level::L1, 0b01), &LEAF_OF_EL1);
}

#[test]
fn each_bit_of_a_page_belongs_to_one_field() {
    let mut expected = LEAF_OF_EL1;
    expected[14] = (47, 12, "output");
    let owners = owners(Geometry::KERNEL_4K_48, Level::L3, 0b11);
    check_owners(&owners, &expected);
}

#[test]
fn each_bit_of_an_el2_lpa2_block_belongs_to_one_field() {
    let of_el2 =
        Geometry::new((Regime::El2, Half::Lower), (Granule::Kib4, Format::Lpa2), 52, 52).unwrap();
    let mut expected = LEAF_OF_EL1;
    expected[3] = (54, 54, "execution");
    expected[4] = (52, 52, "residue");
    expected[7] = (11, 11, "residue");
    expected[13] = (9, 8, "output");
    expected[14] = (49, 39, "output");
    check_owners(&owners(of_el2, Level::L0, 0b01), &expected);
}

#[test]
fn each_bit_of_a_table_belongs_to_one_field() {
    let mut expected = [
        (63, 63, "space"),
        (62, 62, "stores"),
        (61, 61, "unprivileged"),
        (60, 59, "execution"),
        (58, 51, "ignored"),
        (47, 12, "next"),
        (11, 11, "ignored"),
        (10, 10, "accessed"),
        (9, 2, "ignored"),
        (0, 0, ""),
        (0, 0, ""),
    ];
    let kernel = Geometry::KERNEL_4K_48;
    check_owners(&owners(kernel, Level::L2, 0b11), &expected);

    let half = (Regime::El3, Half::Lower);
    let of_el3 = Geometry::new(half, (Granule::Kib64, Format::Lpa), 52, 52).unwrap();
    expected[2] = (61, 61, "residue");
    expected[3] = (60, 60, "execution");
    expected[9] = (59, 59, "residue");
    check_owners(&owners(of_el3, Level::L2, 0b11), &expected);
}

fn unprivileged_of_kernel(geometry: Geometry) -> Unprivileged {
    if geometry.regime().has_unprivileged() { Unprivileged::Denied } else { Unprivileged::Allowed }
}

#[test]
fn what_a_mapping_is_made_of_reads_back_as_that() {
    let accesses = [
        (Access::ReadOnly, Stores::Denied, Execution::Nobody),
        (Access::ReadWrite, Stores::Allowed, Execution::Nobody),
        (Access::ReadExecute, Stores::Denied, Execution::PrivilegedOnly),
        (Access::ReadWriteExecute, Stores::Allowed, Execution::PrivilegedOnly),
    ];
    let shareabilities = [Shareability::Non, Shareability::Outer, Shareability::Inner];
    for &geometry in geometries() {
        let single = !geometry.regime().has_unprivileged();
        for (access, stores, execution) in accesses {
            for shareability in shareabilities {
                for index in 0..8 {
                    let memory = MemoryIndex::new(index).unwrap();
                    let attributes = Attributes { memory, shareability, access };
                    let meaning = geometry.meaning(attributes);
                    let output = PhysAddr::new(geometry.span_bytes(Level::L2) * 3);
                    let word = geometry.leaf_word(Level::L2, output, meaning);
                    let Descriptor::Leaf(leaf) = geometry.decode(Level::L2, word) else {
                        panic!("not a leaf");
                    };
                    let execution = if single && execution == Execution::PrivilegedOnly {
                        Execution::Everyone
                    } else {
                        execution
                    };
                    let unprivileged = unprivileged_of_kernel(geometry);
                    let sharing = match geometry.format() {
                        Format::Lpa2 => Sharing::ByControl,
                        Format::Base | Format::Lpa => Sharing::Is(shareability),
                    };
                    assert_eq!(
                        leaf,
                        Leaf {
                            validity: Validity::Valid,
                            output,
                            memory,
                            sharing,
                            space: OutputSpace::Own,
                            stores,
                            unprivileged,
                            execution,
                            branches: BranchTargets::Any,
                            accessed: AccessFlag::Set,
                            dirty: DirtyTracking::BySoftware,
                            asids: Asids::Every,
                            contiguity: Contiguity::Single,
                            caching: BlockCaching::Usual,
                            software: 0,
                            hardware: 0,
                            ignored: Bit::Clear,
                            residue: 0,
                        }
                    );
                    assert_eq!(geometry.leaf_meaning(word), meaning);
                }
            }
        }
    }
}

#[test]
fn a_descriptor_that_has_no_room_is_refused() {
    let geometry = Geometry::KERNEL_4K_48;
    let Descriptor::Leaf(leaf) = geometry.decode(Level::L1, 0x0000_0000_4000_0401) else {
        panic!("not a leaf");
    };
    let encode = |level, leaf| geometry.encode(level, Descriptor::Leaf(leaf));
    assert_eq!(encode(Level::L1, leaf), Some(0x0000_0000_4000_0401));
    assert_eq!(encode(Level::L0, leaf), None);
    let unaligned = PhysAddr::new(0x4020_0000);
    let far = PhysAddr::new(1 << 48);
    for output in [unaligned, far] {
        assert_eq!(encode(Level::L1, Leaf { output, ..leaf }), None);
    }
    let software = 16;
    assert_eq!(encode(Level::L1, Leaf { software, ..leaf }), None);
    let sharing = Sharing::ByControl;
    assert_eq!(encode(Level::L1, Leaf { sharing, ..leaf }), None);
    let Descriptor::Table(table) = geometry.decode(Level::L1, 0b11) else {
        panic!("not a table");
    };
    assert_eq!(geometry.encode(Level::L3, Descriptor::Table(table)), None);
    assert_eq!(geometry.encode(Level::L3, Descriptor::Invalid(1)), None);
}
