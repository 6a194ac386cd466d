//! Texts of tables, read back.

use blockmap_inspect::{FormatError, OpenError, Outputs, Overrides, SourceSpec, open};

use crate::dumps::inspect;
use crate::image::Temporary;
use crate::raw::dump;

/// What three running kernels printed.
const LINUX: [&str; 3] = [
    include_str!("../../../dump/tests/reading/linux/ptdump-mode1.txt"),
    include_str!("../../../dump/tests/reading/linux/ptdump-mode2.txt"),
    include_str!("../../../dump/tests/reading/linux/ptdump-mode3.txt"),
];

/// Lines of a kernel with 16 KiB pages and 47 bits.
const SIXTEEN: &str = "\
0xffff800000000000-0xffff800000010000          64K PTE       ro NX SHD AF            UXN    MEM/NORMAL-WT
0xffff800000010000-0xffff800002000000       32704K PTE
0xffff800002000000-0xffff800004000000          32M PMD       RW NX SHD AF        BLK UXN    MAIR/0x00
0xffff800004000000-0xffff801000000000       65472M PMD
0xffff801000000000-0x0000000000000000      131008G PGD
";

#[test]
fn the_text_of_a_kernel_is_read_into_tables_that_print_it_again() {
    for (number, text) in LINUX.into_iter().enumerate() {
        let inspected = inspect(&format!("linux-{number}"), text.as_bytes());
        assert_eq!(dump(&inspected), text);
        assert_eq!(inspected.outputs, Outputs::Invented);
    }
}

#[test]
fn names_behind_lines_are_passed_over() {
    let named = LINUX[0].replace("MEM/NORMAL\n", "MEM/NORMAL  # _text .. _etext+0xfff\n");
    assert_ne!(named, LINUX[0]);
    assert_eq!(dump(&inspect("named", named.as_bytes())), LINUX[0]);
}

#[test]
fn a_snapshot_of_a_text_is_as_good_as_the_text() {
    let inspected = inspect("to-snap", LINUX[0].as_bytes());
    let again = inspect("snapped", &inspected.snapshot());
    assert_eq!((dump(&again).as_str(), again.outputs), (LINUX[0], Outputs::Invented));
}

#[test]
fn the_granule_follows_from_the_sizes() {
    let text = SIXTEEN.replace("MAIR/0x00", "DEVICE/nGnRnE");
    let inspected = inspect("sixteen", text.as_bytes());
    assert_eq!(dump(&inspected), text);
    let geometry = inspected.trees[0].geometry;
    assert_eq!((geometry.page_bytes(), geometry.input_bits()), (0x4000, 47));
}

#[test]
fn a_part_of_a_text_is_a_part_of_the_tables() {
    // The last line is one of leaves: a hole would go on.
    let lines: Vec<&str> = LINUX[0].lines().skip(19).take(41).collect();
    let middle = lines.join("\n");
    let inspected = inspect("part", middle.as_bytes());
    assert!(dump(&inspected).contains(&middle), "{}", dump(&inspected));
}

#[test]
fn lines_that_make_no_sense_are_named() {
    let error = |text: &str| {
        let file = Temporary::new("wrong-text", text.as_bytes());
        let spec: SourceSpec = file.path().display().to_string().parse().unwrap();
        let error = open(&spec, &Overrides::default()).unwrap_err();
        let OpenError::Format { error, .. } = error else { panic!("{error}") };
        error
    };
    let at = |error: FormatError| {
        let FormatError::Line { line, why, .. } = error else { panic!("{error}") };
        (line, why)
    };
    let line = "0xffff000000000000-0xffff000000001000           4K PTE";
    let wrong = |from: &str, to: &str| at(error(&line.replace(from, to)));
    assert_eq!(wrong("4K", "8K"), (1, "a size that is not that of the addresses"));
    assert_eq!(wrong("PTE", "PTD"), (1, "no level"));
    assert_eq!(wrong("PTE", "PTE RWX MEM/NORMAL"), (1, "unknown attributes"));
    assert_eq!(wrong("1000 ", "0000 "), (1, "no addresses"));
    let twice = format!("{line}\n{line}\n");
    assert_eq!(at(error(&twice)), (2, "it begins below the end of the one before"));
    assert!(matches!(error("---[ nothing ]---\n"), FormatError::Short(_)));
    let odd = "0xffff000000000400-0xffff000000000800           1K PTE";
    assert!(matches!(error(odd), FormatError::Unsupported(_)));
}
