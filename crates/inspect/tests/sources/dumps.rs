//! Dumps in ELF and compressed, flattened or not, and snapshots.

use std::io::Write;

use blockmap_inspect::{Inspected, Overrides, SourceSpec, open};
use flate2::{Compression, write::ZlibEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use crate::image::{BASE, Image, Temporary, vmcoreinfo};
use crate::raw::{LINEAR, dump};

/// A number where it belongs.
fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

/// A note as in ELF.
fn note(name: &str, content: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    let mut note = Vec::new();
    note.extend(length(name.len() + 1));
    note.extend(length(content.len()));
    note.extend([0; 4]);
    note.extend(name.as_bytes());
    note.resize(12 + (name.len() + 1).next_multiple_of(4), 0);
    note.extend(content);
    note.resize(note.len().next_multiple_of(4), 0);
    note
}

/// A dump in ELF: notes, then memory, which is also there a second time as an image.
pub(crate) fn elf(image: &Image) -> Vec<u8> {
    let mut notes = note("CORE", &[7; 13]);
    notes.extend(note("VMCOREINFO", vmcoreinfo().as_bytes()));
    let memory = 0x1000_u64.next_multiple_of(0x1000) + 0x1000;
    let held = u64::try_from(image.bytes.len()).unwrap();
    let segments = [
        (4_u32, 0x200, 0, u64::try_from(notes.len()).unwrap(), 0),
        (1, memory + 0x1000, BASE + 0x1000, 0x1000, 0x1000),
        (1, memory, BASE, held, held + 0x1000),
        (1, 0, u64::MAX, 0x1000, 0x1000),
    ];
    let mut bytes = vec![0; usize::try_from(memory).unwrap()];
    put(&mut bytes, 0, b"\x7fELF\x02\x01\x01");
    put(&mut bytes, 18, &183_u16.to_le_bytes());
    put(&mut bytes, 32, &64_u64.to_le_bytes());
    put(&mut bytes, 54, &56_u16.to_le_bytes());
    put(&mut bytes, 56, &4_u16.to_le_bytes());
    for ((kind, offset, physical, file, all), at) in segments.into_iter().zip((64..).step_by(56)) {
        put(&mut bytes, at, &kind.to_le_bytes());
        put(&mut bytes, at + 8, &u64::to_le_bytes(offset));
        put(&mut bytes, at + 24, &u64::to_le_bytes(physical));
        put(&mut bytes, at + 32, &u64::to_le_bytes(file));
        put(&mut bytes, at + 40, &u64::to_le_bytes(all));
    }
    put(&mut bytes, 0x200, &notes);
    bytes.extend(&image.bytes);
    bytes
}

/// A frame, compressed in the way of this number, and the flags that say so.
fn packed(frame: &[u8], way: usize) -> (u32, Vec<u8>) {
    match way % 5 {
        0 => (0, frame.to_vec()),
        1 => {
            let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(frame).unwrap();
            (1, packer.finish().unwrap())
        }
        2 => (2, lzokay::compress::compress(frame).unwrap()),
        3 => (4, snap::raw::Encoder::new().compress_vec(frame).unwrap()),
        _ => (0x20, compress_to_vec(frame, CompressionLevel::Fastest)),
    }
}

/// A compressed dump of those frames that are not all zeros, each compressed in another way.
pub(crate) fn kdump(image: &Image) -> Vec<u8> {
    const FRAME: usize = 4096;
    let frames = usize::try_from(BASE).unwrap() / FRAME + image.bytes.len() / FRAME;
    let bitmap_blocks = frames.div_ceil(8).div_ceil(FRAME);
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let mut bytes = vec![0; FRAME * (2 + 2 * bitmap_blocks)];
    put(&mut bytes, 0, b"KDUMP   ");
    put(&mut bytes, 8, &number(6));
    put(&mut bytes, 428, &number(FRAME));
    put(&mut bytes, 432, &number(1));
    put(&mut bytes, 436, &number(2 * bitmap_blocks));
    let (mut descriptors, mut contents) = (Vec::new(), Vec::new());
    let kept: Vec<_> = image
        .bytes
        .chunks(FRAME)
        .enumerate()
        .filter(|(_, frame)| frame.iter().any(|byte| *byte != 0))
        .collect();
    let info = vmcoreinfo();
    let first = bytes.len() + 24 * kept.len();
    for (way, (index, frame)) in kept.into_iter().enumerate() {
        let at = usize::try_from(BASE).unwrap() / FRAME + index;
        for map in 0..2 {
            bytes[FRAME * (2 + map * bitmap_blocks) + at / 8] |= 1 << (at % 8);
        }
        let (flags, content) = packed(frame, way);
        descriptors.extend(u64::try_from(first + contents.len()).unwrap().to_le_bytes());
        descriptors.extend(number(content.len()));
        descriptors.extend(flags.to_le_bytes());
        descriptors.extend([0; 8]);
        contents.extend(content);
    }
    put(&mut bytes, FRAME + 32, &u64::try_from(first + contents.len()).unwrap().to_le_bytes());
    put(&mut bytes, FRAME + 40, &u64::try_from(info.len()).unwrap().to_le_bytes());
    bytes.extend(descriptors);
    bytes.extend(contents);
    bytes.extend(info.as_bytes());
    bytes
}

/// The same in pieces, the header twice and out of order.
pub(crate) fn flattened(bytes: &[u8]) -> Vec<u8> {
    let mut flat = b"makedumpfile\0\0\0\0".to_vec();
    flat.resize(4096, 0);
    let mut add = |offset: usize, piece: &[u8]| {
        flat.extend(u64::try_from(offset).unwrap().to_be_bytes());
        flat.extend(u64::try_from(piece.len()).unwrap().to_be_bytes());
        flat.extend(piece);
    };
    add(0, &[0xff; 6000]);
    for (number, piece) in bytes.chunks(5000).enumerate().skip(1) {
        add(5000 * number, piece);
    }
    add(0, &bytes[..5000]);
    flat.extend([0xff; 16]);
    flat
}

/// What is found in a file with these bytes.
pub(crate) fn inspect(name: &str, bytes: &[u8]) -> Inspected {
    let file = Temporary::new(name, bytes);
    let spec: SourceSpec = file.path().display().to_string().parse().unwrap();
    open(&spec, &Overrides::default()).unwrap()
}

#[test]
fn a_dump_in_elf_says_where_its_memory_is() {
    let mut image = Image::linux();
    // It is in a note, and need not be in memory.
    image.write(BASE + 0x5000, b"nothing");
    let inspected = inspect("elf", &elf(&image));
    assert!(dump(&inspected).starts_with(LINEAR), "{}", dump(&inspected));
    assert_eq!(inspected.linux.unwrap().release(), "7.2.13-small");
}

#[test]
fn a_compressed_dump_has_the_frames_that_were_kept() {
    let bytes = kdump(&Image::linux());
    let flat = flattened(&bytes);
    for (name, bytes) in [("kdump", bytes), ("flat", flat)] {
        let inspected = inspect(name, &bytes);
        assert!(dump(&inspected).starts_with(LINEAR), "{}", dump(&inspected));
        assert_eq!(inspected.memory.ranges().len(), 2, "{:?}", inspected.memory.ranges());
    }
}

#[test]
fn a_snapshot_has_all_that_a_dump_needs() {
    let first = inspect("elf-2", &elf(&Image::linux()));
    let snapshot = first.snapshot();
    assert!(snapshot.len() < 8192, "{} bytes", snapshot.len());
    let second = inspect("snapshot", &snapshot);
    assert_eq!(dump(&second), dump(&first));
    assert_eq!((&second.linux, &second.areas), (&first.linux, &first.areas));
    let third = inspect("snapshot-2", &second.snapshot());
    assert_eq!(dump(&third), dump(&first));
}
