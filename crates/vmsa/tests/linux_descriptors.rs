//! Descriptors that running Linux kernels wrote, read by the codec.
//!
//! `linux-descriptors.txt` has one sample of every distinct pattern of attribute bits at each
//! level of two kernel maps, of an arm64 kernel 7.2 with 4 KiB pages and 52-bit addresses.

use blockmap_vmsa::descriptor::{
    AccessFlag, Asids, BlockCaching, BranchTargets, Contiguity, DirtyTracking, Execution, Leaf,
    OutputSpace, Sharing, Stores, Table, Unprivileged, Validity,
};
use blockmap_vmsa::{Descriptor, Format, Geometry, Granule, Half, Level, Regime};

const WORDS: &str = include_str!("linux-descriptors.txt");

/// Software's bit 55: the memory is writable, or was.
const DIRTY: u8 = 1;

fn geometry() -> Geometry {
    let half = (Regime::El1And0, Half::Upper);
    Geometry::new(half, (Granule::Kib4, Format::Lpa2), 52, 52).expect("LPA2 has these sizes")
}

fn words() -> impl Iterator<Item = (Level, u64)> {
    let lines = WORDS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let [_, level, word, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let number: i8 = level.parse().expect("a level");
        let level = Level::ALL.into_iter().find(|level| level.number() == number);
        let hex = word.strip_prefix("0x").expect("a hexadecimal number");
        (level.expect("a level"), u64::from_str_radix(hex, 16).expect("a word"))
    })
}

fn check_table(table: Table) {
    assert_eq!(table.space, OutputSpace::Own);
    assert_eq!(table.stores, Stores::Allowed);
    assert_eq!(table.unprivileged, Unprivileged::Allowed);
    assert_eq!((table.ignored, table.residue), (0, 0));
    assert!(table.next.value() < 0xc000_0000);
}

fn check_leaf(leaf: Leaf) {
    assert_eq!(leaf.validity, Validity::Valid);
    assert_eq!(leaf.sharing, Sharing::ByControl);
    assert_eq!(leaf.space, OutputSpace::Own);
    assert_eq!(leaf.unprivileged, Unprivileged::Denied);
    assert_eq!(leaf.accessed, AccessFlag::Set);
    assert_eq!(leaf.branches, BranchTargets::Any);
    assert_eq!(leaf.asids, Asids::Every);
    assert_eq!(leaf.caching, BlockCaching::Usual);
    assert_eq!((leaf.hardware, leaf.residue), (0, 0));
    // Never writable and executable; the unprivileged level never executes.
    let executable = match leaf.execution {
        Execution::PrivilegedOnly => true,
        Execution::Nobody => false,
        Execution::Everyone | Execution::UnprivilegedOnly => panic!("{leaf:?}"),
    };
    assert!(!executable || leaf.stores == Stores::Denied);
    // A kernel leaf is writable, and marked so that hardware may keep it, or read-only.
    let is_writable = leaf.stores == Stores::Allowed;
    assert_eq!(leaf.dirty == DirtyTracking::ByHardware, is_writable);
    match leaf.memory.value() {
        // Normal, and Normal with tags, are RAM; the dirty bit is software's.
        0 | 1 => assert_eq!((leaf.software, leaf.output.value() >> 30 != 0), (DIRTY, true)),
        // Non-cacheable RAM.
        2 => assert_eq!(leaf.software, DIRTY),
        // Devices: never executable.
        3 | 4 => assert!(!executable),
        other => panic!("no such memory type: {other}"),
    }
}

#[test]
fn every_word_of_a_linux_kernel_map_decodes_and_encodes_back() {
    let geometry = geometry();
    let (mut tables, mut leaves) = (0, 0);
    for (level, word) in words() {
        let descriptor = geometry.decode(level, word);
        assert_eq!(geometry.encode(level, descriptor), Some(word));
        match descriptor {
            Descriptor::Table(table) => {
                tables += 1;
                check_table(table);
            }
            Descriptor::Leaf(leaf) => {
                leaves += 1;
                check_leaf(leaf);
            }
            Descriptor::Invalid(_) | Descriptor::Reserved(_) => {
                panic!("{word:#x} at {level} maps nothing")
            }
        }
    }
    assert_eq!((tables, leaves), (28, 35));
}

#[test]
fn what_single_words_of_the_linear_map_say() {
    let leaf = |level, word| match geometry().decode(level, word) {
        Descriptor::Leaf(leaf) => leaf,
        Descriptor::Table(_) | Descriptor::Invalid(_) | Descriptor::Reserved(_) => {
            panic!("{word:#x}")
        }
    };
    let gib = leaf(Level::L1, 0x00e8_0000_8000_0405);
    assert_eq!(gib.output.value(), 0x8000_0000);
    assert_eq!((gib.memory.value(), gib.stores), (1, Stores::Allowed));
    assert_eq!((gib.execution, gib.contiguity), (Execution::Nobody, Contiguity::Single));
    let run = leaf(Level::L2, 0x00f8_0000_4600_0405);
    assert_eq!((run.output.value(), run.contiguity), (0x4600_0000, Contiguity::Run));
    let text = leaf(Level::L2, 0x00c0_0000_4040_0481);
    assert_eq!((text.stores, text.execution), (Stores::Denied, Execution::PrivilegedOnly));
    let constants = leaf(Level::L3, 0x00d0_0000_4021_0483);
    assert_eq!((constants.stores, constants.contiguity), (Stores::Denied, Contiguity::Run));
    let device = leaf(Level::L2, 0x0068_0040_1000_040d);
    assert_eq!((device.output.value(), device.memory.value()), (0x40_1000_0000, 3));
}
