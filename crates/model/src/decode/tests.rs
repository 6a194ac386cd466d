//! Words of kernels, read.

use super::*;

fn leaf(height: u32, word: u64) -> Leaf {
    match Shape::KERNEL_4K_48.decode(height, word) {
        Word::Leaf(leaf) => leaf,
        other @ (Word::Fault | Word::Table { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn a_kernel_block_reads_as_written() {
    let block = leaf(2, 0x0060_0000_8000_0701);
    assert_eq!(block.output, PhysAddr::new(0x8000_0000));
    assert_eq!((block.rights.to_string(), block.memory), ("rw-".to_owned(), 0));
    assert!(block.is_global && !block.is_contiguous && block.shareability == 3);
    assert!(leaf(0, 0x0070_0000_8000_0703).is_contiguous);
    assert_eq!(leaf(2, 0x0040_0000_8000_0781).rights.to_string(), "r-x");
}

#[test]
fn what_faults_is_no_leaf() {
    let shape = Shape::KERNEL_4K_48;
    for (height, word) in [
        (0, 0x8000_0702),           // invalid
        (0, 0x8000_0701),           // reserved: a block of level 3
        (3, 0x8000_0701),           // a block of level 0 without 52-bit descriptors
        (1, 0x0060_0000_8000_0301), // access flag clear
    ] {
        assert_eq!(shape.decode(height, word), Word::Fault, "{word:#x} at {height}");
    }
    let small = Shape { output_bits: 36, ..shape };
    assert_eq!(small.decode(2, 0x0060_0010_0000_0701), Word::Fault);
}

#[test]
fn hardware_updates_what_it_is_told_to() {
    let shape = Shape { updates: Updates::ByHardware, ..Shape::KERNEL_4K_48 };
    let (old, clean) = (0x0060_0000_8000_0301, 0x0068_0000_8000_0781);
    assert_eq!(shape.updated(1, old), Some(old | ACCESSED));
    assert_eq!(shape.updated(1, clean), Some(clean & !READ_ONLY));
    assert_eq!(shape.updated(1, 0x0060_0000_8000_0781), None);
    assert_eq!(Shape::KERNEL_4K_48.updated(1, clean), None);
    let Word::Leaf(leaf) = shape.decode(1, clean) else { panic!() };
    assert_eq!(leaf.rights.to_string(), "rw-");
}

#[test]
fn a_table_denies_what_its_bits_say() {
    let shape = Shape::KERNEL_4K_48;
    let word = 0x4000_1003 | TABLE_READ_ONLY | TABLE_PRIVILEGED_NEVER | TABLE_NO_USER;
    let Word::Table { table, allows } = shape.decode(2, word) else { panic!() };
    assert_eq!((table, allows.to_string()), (PhysAddr::new(0x4000_1000), "r--".to_owned()));
}

#[test]
fn high_output_bits_are_found_where_the_format_has_them() {
    let shape = Shape { format: Format::Lpa2, output_bits: 52, ..Shape::KERNEL_4K_48 };
    let Word::Leaf(leaf) = shape.decode(0, 0x0002_0000_0000_0703) else { panic!() };
    assert_eq!(leaf.output, PhysAddr::new(0x000e_0000_0000_0000));
}
