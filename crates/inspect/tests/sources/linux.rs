//! A real kernel: Linux 7.2.13 with PTDUMP_DEBUGFS, built and booted by `cargo xtask guest`, and
//! stopped after it had printed its own tables. Its linear map is in blocks, with holes for code
//! and for KFENCE.
//!
//! `linux/linux-7.2.13.txt` is its `kernel_page_tables`, and `linux-7.2.13.snapshot` what was read
//! of the stopped machine's memory. Where the fixmap starts is nowhere in it, and was given as the
//! text has it.

use std::path::PathBuf;

use blockmap_inspect::{Outputs, Overrides, SourceSpec, dump::Style, open};

const OWN: &str = include_str!("linux/linux-7.2.13.txt");

fn path(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sources/linux").join(name);
    path.to_str().unwrap().to_owned()
}

fn dumped(name: &str, expected: Outputs) -> String {
    let source: SourceSpec = path(name).parse().unwrap();
    let inspected = open(&source, &Overrides::default()).unwrap();
    assert_eq!(inspected.outputs, expected);
    let reader = inspected.reader();
    let markers = inspected.markers();
    let mut text = String::new();
    let style = Style { mair: inspected.dump_mair(), markers: &markers };
    inspected.trees[0].tree(&reader).ptdump(style, &mut text).unwrap();
    text
}

#[test]
fn what_is_read_is_what_the_kernel_prints_of_itself() {
    assert_eq!(dumped("linux-7.2.13.snapshot", Outputs::Known), OWN);
}

#[test]
fn what_the_kernel_prints_is_read_as_it_was_printed() {
    assert_eq!(dumped("linux-7.2.13.txt", Outputs::Invented), OWN);
}

#[test]
fn a_real_kernel_is_described_by_what_it_wrote_down() {
    let source: SourceSpec = path("linux-7.2.13.snapshot").parse().unwrap();
    let inspected = open(&source, &Overrides::default()).unwrap();
    let linux = inspected.linux.as_ref().unwrap();
    assert_eq!(linux.release(), "7.2.13");
    let geometry = inspected.trees[0].geometry;
    assert_eq!((geometry.input_bits(), geometry.root_level().number()), (52, -1));
    let reader = inspected.reader();
    let tree = inspected.trees[0].tree(&reader);
    assert_eq!(tree.stat().tables(), 24);
    assert!(tree.wx().passed());
}
