//! What the commands print.

use std::fs;

use blockmap_dump::vmsa::machine::{PhysAddr, VirtAddr};
use blockmap_dump::vmsa::{Geometry, Level, bits};
use serde_json::Value;

use crate::image::Image;
use crate::linux::{self, BLOCKS, PAGES, REPAINTED};
use crate::run::{blockmap, file, json, text};

#[test]
fn a_dump_is_what_linux_printed() {
    for (dump, name) in [(BLOCKS, "dump-1.ram"), (PAGES, "dump-2.ram"), (REPAINTED, "dump-3.ram")] {
        let printed = text(&["dump", &linux::source(dump, name)]);
        for (ours, theirs) in printed.lines().zip(dump.lines()) {
            assert_eq!(ours, theirs);
        }
        assert!(printed == dump, "one is longer than the other");
    }
}

#[test]
fn a_map_in_blocks_is_counted_with_what_breaks_it() {
    let source = linux::source(BLOCKS, "stat.ram");
    let lines = text(&["stat", &source]);
    // Linux's count of its own lines: see the statistics of the same dump in `blockmap-dump`.
    assert!(lines.contains("DirectMap1G:    11534336 kB\n"), "{lines}");
    assert!(lines.contains("1 broken by  5.37 MiB  r-- normal  also mapped in: image"), "{lines}");
    let (status, document) = json(&["stat", &source]);
    assert_eq!((status, &document["schema"]), (0, &"blockmap.stat/1".into()));
    let parts = document["parts"].as_array().unwrap();
    let linear = parts.iter().find(|part| part["name"] == "linear").unwrap();
    assert_eq!(linear["tlb_entries"], 11 + 31 + 14 + 41 + 4);
    assert_eq!(linear["tables"], 5);
    assert_eq!(document["loss"]["tlb_entries_uniform"], 12);
    let (_, document) = json(&["stat", &linux::source(PAGES, "stat-pages.ram")]);
    let loss = &document["loss"];
    assert_eq!((&loss["block_bytes"], &loss["tlb_entries_joined"]), (&0.into(), &101.into()));
    assert_eq!(loss["sizes"][0]["joinable"], 11);
}

#[test]
fn a_walk_ends_in_a_finding_where_nothing_is_mapped() {
    let source = linux::source(BLOCKS, "walk.ram");
    let done = blockmap(&["walk", &source, "0xffff000040001234"]);
    assert_eq!(done.status, 0, "{}", done.errors);
    assert!(done.text.contains("-> 0x80001234, 1G block, rw-, EL0 ---"), "{}", done.text);
    let (status, document) = json(&["walk", &source, "0xffff0000007d0000", "0x1000"]);
    assert_eq!(status, 1);
    let [gone, lower] = &document["walks"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!(gone["why"], "invalid at level 3, but present");
    assert_eq!(gone["steps"].as_array().unwrap().len(), 4);
    assert_eq!(lower["why"], "in neither half");
}

#[test]
fn a_filter_and_output_addresses_narrow_a_dump() {
    let source = linux::source(BLOCKS, "filter.ram");
    let lines = text(&["dump", &source, "--filter", "ro x", "--phys"]);
    let outputs: Vec<_> = lines.lines().skip(1).filter_map(|line| line.get(38..56)).collect();
    assert_eq!(outputs, ["0x0000000040210000", "0x0000000040400000", "0x0000000040600000"]);
    let linear = text(&["dump", &source, "--region", "linear", "--filter", "PUD"]);
    assert_eq!(linear.lines().count(), 2, "{linear}");
    let (_, document) = json(&["dump", &source, "--region", "fixmap"]);
    assert_eq!(document["leaves"][0]["bytes"], 1 << 20);
    assert_eq!(document["leaves"][0]["region"], "fixmap");
    let image = text(&["dump", &source, "--region", "image", "--filter", "x"]);
    assert!(image.contains("0xffff800080010000-"), "{image}");
}

#[test]
fn errors_say_what_was_tried_and_what_to_do() {
    let missing = blockmap(&["stat", "no-such-file@0x40000000"]);
    assert_eq!(missing.status, 2);
    assert!(missing.errors.contains("cannot read tables from no-such-file"), "{}", missing.errors);
    let region = blockmap(&["dump", &linux::source(BLOCKS, "error.ram"), "--filter", "wx"]);
    assert_eq!(region.status, 2);
    assert!(region.errors.contains("`wx` is in no line of a dump"), "{}", region.errors);
}

#[test]
fn a_plan_costs_what_linux_was_measured_to_cost() {
    let (status, document) = json(&["plan", "12G@0x40000000", "--granule", "4k"]);
    assert_eq!(status, 0);
    let pages = &document["costs"][1];
    // Linux 7.3 with 12 GiB in pages: 1 + 12 + 6144 tables, 24,628 KiB.
    assert_eq!((&pages["tables"], &pages["table_bytes"]), (&6157.into(), &(24_628 << 10).into()));
    let (_, document) = json(&["plan", "256G@0x40000000", "--granule", "4k"]);
    let saved = document["costs"][1]["table_bytes"].as_u64().unwrap() >> 20;
    assert!((490..520).contains(&saved), "about 500 MiB: {saved}");
    let (_, document) =
        json(&["plan", "1G@0", "--cpu", "AmpereOne", "--cpu", "Neoverse N1", "--granule", "4k"]);
    assert_eq!(document["boot"]["mode"], "repainted");
}

#[test]
fn a_trace_that_breaks_a_rule_is_a_finding() {
    let trace = |folder: &str, name: &str| {
        format!("{}/../crates/verify/{folder}/{name}.trace", env!("CARGO_MANIFEST_DIR"))
    };
    let (status, document) = json(&["check", &trace("illegal", "publish-after-fill")]);
    assert_eq!(status, 1);
    assert_eq!(document["verdicts"][0]["rule"], "publish-after-fill");
    let (status, document) = json(&["check", &trace("legal", "publish-after-fill"), "--explore"]);
    assert_eq!((status, &document["passed"]), (0, &true.into()));
}

/// What stays writable in the linear map under `rodata=noalias`: code that was loaded.
fn with_open_code(name: &str) -> String {
    let mut image = linux::rebuilt(BLOCKS);
    let code = bits::VALID | bits::READ_ONLY | bits::ACCESSED | bits::UXN | 0b11 << 8;
    image.map(Level::L3, (0xffff_8000_0013_d000, 2 << 20), 0x43e0_0000, code);
    image.map(Level::L3, (0xffff_8000_0053_d000, 8 << 10), 0x44b8_e000, code);
    image.save(&file(name))
}

#[test]
fn a_usual_boot_passes_an_audit_with_remarks() {
    let done = blockmap(&["audit", &linux::source(BLOCKS, "audit.ram")]);
    assert_eq!((done.status, &*done.errors), (0, ""), "{}", done.text);
    let first: Vec<_> = done.text.split_whitespace().take(7).collect();
    let expected = ["note", "ro-alias", "1", "MiB", "r--", "0xffffffffff5fe000", "(fixmap)"];
    assert_eq!(first, expected, "{}", done.text);
    assert!(done.text.contains("5.37 MiB read-only, 0 B writable"), "{}", done.text);
    let strict = blockmap(&["audit", &linux::source(BLOCKS, "audit-strict.ram"), "--strict"]);
    assert_eq!(strict.status, 1, "{}", strict.text);
}

#[test]
fn code_that_is_writable_through_the_linear_map_is_found() {
    let source = with_open_code("open.ram");
    let (status, document) = json(&["audit", &source]);
    assert_eq!((status, &document["denied"]), (1, &2.into()));
    let found: Vec<_> = document["findings"].as_array().unwrap().iter().take(2).collect();
    let seen = found.iter().map(|found| {
        let alias = found["alias"]["start"].as_str().unwrap();
        (found["kind"].as_str().unwrap(), found["bytes"].as_u64().unwrap(), alias)
    });
    let expected =
        [("x-alias", 2 << 20, "0xffff000003e00000"), ("x-alias", 8 << 10, "0xffff000004b8e000")];
    assert!(seen.eq(expected), "{found:?}");
    let (status, _) = json(&["audit", &source, "--deny", "wx"]);
    assert_eq!(status, 0, "Linux's own check passes");
    let done = blockmap(&["audit", &source, "--sarif"]);
    let sarif: Value = serde_json::from_str(&done.text).unwrap();
    assert_eq!((done.status, &sarif["version"]), (1, &"2.1.0".into()));
    let errors = sarif["runs"][0]["results"].as_array().unwrap();
    assert_eq!(errors.iter().filter(|result| result["level"] == "error").count(), 2);
}

#[test]
fn a_repainted_map_differs_from_one_in_blocks_by_its_splits() {
    let (blocks, repainted) =
        (linux::source(BLOCKS, "before.ram"), linux::source(REPAINTED, "after.ram"));
    let (status, document) = json(&["diff", &blocks, &repainted]);
    assert_eq!(status, 1);
    let changes = document["changes"].as_array().unwrap();
    let split = |change: &&Value| change["kind"] == "split" && change["before"]["size"] == 1 << 30;
    let [gib] = &changes.iter().filter(split).collect::<Vec<_>>()[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(gib["bytes"], 11_u64 << 30);
    assert_eq!(
        (&document["before"]["tables"], &document["after"]["tables"]),
        (&18.into(), &6170.into())
    );
    let same = blockmap(&["diff", &blocks, &blocks]);
    assert_eq!((same.status, &*same.text), (0, "the same: 12.1 GiB mapped\n"));
}

#[test]
fn a_snapshot_is_read_as_the_machine_it_was_made_of() {
    let (source, path) = (linux::source(BLOCKS, "snap.ram"), file("blocks.snap"));
    let (status, document) = json(&["snap", &source, "-o", &path, "--force"]);
    assert_eq!((status, &document["trees"]), (0, &1.into()));
    assert_eq!(text(&["dump", &path]), BLOCKS);
    assert_eq!(blockmap(&["diff", &source, &path]).status, 0);
    let again = blockmap(&["snap", &source, "-o", &path]);
    assert_eq!(again.status, 2);
    assert!(again.errors.contains("--force"), "{}", again.errors);
}

#[test]
fn the_text_of_a_kernel_is_a_source() {
    let path = file("kernel_page_tables.txt");
    fs::write(&path, BLOCKS).unwrap();
    assert_eq!(text(&["dump", &path]), BLOCKS);
    assert!(text(&["stat", &path]).contains("DirectMap1G:    11534336 kB"));
    let source = linux::source(BLOCKS, "text.ram");
    let done = blockmap(&["diff", &path, &source]);
    assert_eq!(done.status, 0, "{}", done.text);
    // Of a real kernel, whose words and tables say more than its text.
    let fixture = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/inspect/tests/sources/linux");
        format!("{folder}/linux-7.2.13.{name}")
    };
    let done = blockmap(&["diff", &fixture("snapshot"), &fixture("txt")]);
    assert_eq!(done.status, 0, "{}", done.text);
    let audit = blockmap(&["audit", &path]);
    assert_eq!(audit.status, 2);
    assert!(audit.errors.contains("no output addresses"), "{}", audit.errors);
}

#[test]
fn without_a_word_of_linux_the_lower_half_is_the_linear_map() {
    let mut image = Image::new(Geometry::KERNEL_4K_48);
    let data = bits::VALID | bits::ACCESSED | bits::UXN | bits::PXN | 0b11 << 8;
    image.map(Level::L1, (linux::LINEAR, 2 << 30), 1 << 30, data);
    image.map(Level::L3, (0xffff_8000_0000_0000, 4096), 5 << 30, data);
    let (root, source) = (image.root().to_string(), image.save(&file("plain.ram")));
    let arguments = ["stat", &source, "--root", &root, "--granule", "4k", "--va-bits", "48"];
    let (status, document) = json(&arguments);
    assert_eq!((status, &document["parts"][0]["name"]), (0, &"linear".into()));
    assert_eq!(document["parts"][0]["mapped_bytes"], 2_u64 << 30);
    assert_eq!(document["loss"]["tlb_entries"], 2);
    let done = blockmap(&["stat", &source]);
    assert_eq!(done.status, 2);
    assert!(done.errors.contains("--root"), "{}", done.errors);
}

#[test]
fn what_could_not_be_read_is_neither_the_same_nor_sound() {
    let mut image = Image::new(Geometry::KERNEL_4K_48);
    let lost = Geometry::KERNEL_4K_48.table_word(PhysAddr::new(0x7000_0000_0000));
    let table = image.table_at(Level::L1, VirtAddr::new(linux::LINEAR));
    image.set(table, 3, lost);
    let (root, source) = (image.root().to_string(), image.save(&file("lost.ram")));
    let found = ["--root", &root, "--granule", "4k", "--va-bits", "48"];
    let diff = blockmap(&[&["diff", &source, &source], &found[..]].concat());
    assert_eq!(diff.status, 1, "{}", diff.text);
    assert!(diff.text.starts_with("not compared: 2 stretches"), "{}", diff.text);
    let (status, document) = json(&[&["audit", &source], &found[..]].concat());
    assert_eq!((status, &document["findings"][0]["kind"]), (1, &"unread".into()));
    let dump = blockmap(&[&["dump", &source], &found[..]].concat());
    assert!(dump.text.contains("SKIPPED table 0x700000000000"), "{}", dump.text);
}

#[test]
fn pictures_of_blocks_and_of_pages_have_nothing_in_common() {
    let (blocks, pages) = (linux::source(BLOCKS, "map-1.ram"), linux::source(PAGES, "map-2.ram"));
    let (blocks_text, pages_text) = (text(&["map", &blocks]), text(&["map", &pages]));
    for lines in [&blocks_text, &pages_text] {
        assert!(lines.lines().skip(1).all(|line| line.chars().count() <= 80), "{lines}");
    }
    let row = |lines: &str| lines.lines().nth(4).unwrap().to_owned();
    assert!(row(&blocks_text).ends_with(&"█".repeat(64)), "{blocks_text}");
    assert!(row(&pages_text).ends_with(&"·".repeat(64)), "{pages_text}");
    for end in ["svg", "html"] {
        let path = file(&format!("map.{end}"));
        assert_eq!(text(&["map", &blocks, "-o", &path]), "");
        let picture = fs::read_to_string(&path).unwrap();
        assert!(picture.contains("prefers-color-scheme:dark"), "{picture}");
        assert!(!picture.contains("{{"), "a place of the page was left empty");
    }
    let done = blockmap(&["map", &blocks, "-o", "map.png"]);
    assert_eq!(done.status, 2);
    assert!(done.errors.contains("neither in .svg nor in .html"), "{}", done.errors);
}

#[test]
fn man_pages_and_completions_are_written() {
    let folder = file("man");
    let completions = text(&["manual", "--man", &folder, "--completions", "bash"]);
    assert!(completions.contains("_blockmap()"), "{completions}");
    let page = fs::read_to_string(format!("{folder}/blockmap-plan.1")).unwrap();
    assert!(page.contains("512G@0x80000000"), "{page}");
}
