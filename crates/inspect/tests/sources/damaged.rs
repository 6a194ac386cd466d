//! Sources that were damaged: every one ends in an error or in what is left, soon.

use blockmap_inspect::{OpenError, Overrides, SourceSpec, open};
use proptest::prelude::*;
use std::sync::OnceLock;

use crate::dumps::{elf, flattened, kdump};
use crate::image::{BASE, Image, Temporary};

/// Files of every kind, small enough to be damaged often.
fn sources() -> &'static [(String, Vec<u8>)] {
    static SOURCES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    SOURCES.get_or_init(made)
}

fn made() -> Vec<(String, Vec<u8>)> {
    let image = Image::linux();
    let bytes = kdump(&image);
    let snapshot = crate::dumps::inspect("to-damage", &elf(&image)).snapshot();
    let text = "---[ A ]---\n\
        0xffff000000000000-0xffff000000001000           4K PTE       ro NX SHD AF            UXN    MEM/NORMAL\n\
        0xffff000000001000-0xffff000000200000        2044K PTE\n";
    let named = |name: &str, bytes: Vec<u8>| (name.to_owned(), bytes);
    vec![
        named("raw", image.bytes.clone()),
        named("elf", elf(&image)),
        named("flat", flattened(&bytes)),
        named("kdump", bytes),
        named("snapshot", snapshot),
        named("text", text.into()),
    ]
}

/// Opens a file and reads all that it has; an error has to say something.
fn read_all(name: &str, bytes: &[u8]) {
    let file = Temporary::new(&format!("damaged-{name}"), bytes);
    let base = if name == "raw" { format!("@{BASE:#x}") } else { String::new() };
    let spec: SourceSpec = format!("{}{base}", file.path().display()).parse().unwrap();
    match open(&spec, &Overrides::default()) {
        Ok(inspected) => {
            let reader = inspected.reader();
            for found in &inspected.trees {
                let stat = found.tree(&reader).stat();
                assert!(stat.tables() <= found.most_tables);
            }
        }
        Err(error) => assert!(error.to_string().len() > 10),
    }
}

#[test]
fn a_file_may_end_anywhere() {
    for (name, bytes) in sources() {
        let mut length = bytes.len();
        while length > 0 {
            length -= length.div_ceil(6);
            read_all(name, &bytes[..length]);
        }
    }
}

#[test]
fn an_empty_file_and_one_of_nothing_known_are_told_apart() {
    let error = |bytes: &[u8]| {
        let file = Temporary::new("nothing", bytes);
        let spec: SourceSpec = file.path().display().to_string().parse().unwrap();
        open(&spec, &Overrides::default()).unwrap_err()
    };
    assert!(matches!(error(b""), OpenError::Empty(_)));
    assert!(matches!(error(b"what is this"), OpenError::Unknown(_)));
    assert!(matches!(error(b"\x7fELF"), OpenError::Format { .. }));
    let missing = open(&"no-such-file".parse().unwrap(), &Overrides::default()).unwrap_err();
    assert!(matches!(missing, OpenError::File { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Some bytes changed: headers most of all, since little else is in the first ones.
    #[test]
    fn bytes_may_be_anything(
        which in 0..6_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..12),
    ) {
        let (name, mut bytes) = sources()[which].clone();
        for (index, place, value) in changes {
            let within = [64, 8192, bytes.len()][usize::from(place)].min(bytes.len());
            bytes[index.index(within)] = value;
        }
        read_all(&name, &bytes);
    }

    /// Tables of random words, which lead anywhere, themselves included.
    #[test]
    fn tables_may_be_anything(words in proptest::collection::vec(any::<u64>(), 64), seed in any::<u64>()) {
        let mut image = Image::linux();
        for (number, word) in (0_u64..).zip(&words) {
            let table = crate::image::ROOT + (seed.rotate_left(u32::try_from(number).unwrap()) % 4) * 0x1000;
            let inside = BASE + (word >> 12) % 1024 * 0x1000;
            let entry = if number % 2 == 0 { *word } else { inside | 3 };
            image.store(table + 8 * (word % 512), entry);
        }
        read_all("raw", &image.bytes);
        read_all("elf", &elf(&image));
    }
}
