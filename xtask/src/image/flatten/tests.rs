//! ELF files made by hand, good and bad.

use super::*;

const BASE: u64 = 0xffff_8000_8000_0000;

/// An ELF file with a header and these segments: address, bytes in the file.
fn elf(segments: &[(u64, &[u8])]) -> Vec<u8> {
    let count = u16::try_from(segments.len()).unwrap();
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 183, 0, 1, 0, 0, 0]);
    for word in [0_u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64, 56, count, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = 64 + 56 * u64::from(count);
    for (address, bytes) in segments {
        let size = length(bytes);
        file.extend(1_u32.to_le_bytes());
        file.extend(7_u32.to_le_bytes());
        // As much again in memory, zero and not in the file.
        for word in [offset, *address, *address, size, size * 2, 0x1_0000] {
            file.extend(word.to_le_bytes());
        }
        offset += size;
    }
    for (_, bytes) in segments {
        file.extend(*bytes);
    }
    file
}

/// The first segment of a kernel that says it takes `size` bytes.
fn head(size: u64) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[IMAGE_SIZE..IMAGE_SIZE + 8].copy_from_slice(&size.to_le_bytes());
    head[MAGIC.0..MAGIC.0 + 4].copy_from_slice(MAGIC.1);
    head
}

#[test]
fn segments_keep_their_distances_and_gaps_are_zero() {
    let head = head(0x1000);
    let flat = flatten(&elf(&[(BASE + 0x100, b"data"), (BASE, &head)])).unwrap();
    assert_eq!(flat.len(), 0x104);
    assert_eq!(flat[..64], head);
    assert!(flat[64..0x100].iter().all(|byte| *byte == 0));
    assert_eq!(&flat[0x100..], b"data");
}

#[test]
fn a_segment_without_bytes_in_the_file_is_left_out() {
    let flat = flatten(&elf(&[(BASE, &head(0x1000)), (BASE + 0x800, b"")])).unwrap();
    assert_eq!(flat.len(), 64);
}

#[test]
fn what_is_no_kernel_is_refused() {
    let head = head(0x1000);
    let error = |segments: &[(u64, &[u8])]| flatten(&elf(segments)).unwrap_err();
    assert_eq!(error(&[]), FlattenError::Empty);
    assert_eq!(error(&[(BASE, b"text")]), FlattenError::NoHeader);
    assert_eq!(error(&[(BASE, &head), (BASE + 8, b"x")]), FlattenError::Overlap(BASE + 8));
    assert_eq!(error(&[(0, &head), (BASE, b"x")]), FlattenError::TooLarge);
    let small = error(&[(BASE, &head), (BASE + 0x1000, b"x")]);
    let expected = FlattenError::HeaderTooSmall { said: 0x1000, loaded: 0x1001 };
    assert_eq!(small, expected);
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    let whole = elf(&[(BASE, &head(0x1000)), (BASE + 0x100, b"data")]);
    for bytes in 0..whole.len() {
        assert!(flatten(&whole[..bytes]).is_err(), "{bytes}");
    }
}
