//! The kernel's options: each does what it says, and what is no option is named.

use blockmap_verify::console::{Dump, LINEAR};
use blockmap_verify::machine::{Booted, Config};

use crate::GIB;

/// Where the image's code is linked.
const TEXT: u64 = 0xffff_8000_8000_0000;

const PASSED: &str = "Checked W+X mappings: passed, no W+X pages found";

fn boot(options: &str) -> (Booted, Dump, u64) {
    let config = Config::new("12G").options(options).monitor("stat; ptdump");
    let booted = Booted::run(&config).succeeded();
    let [dump] = booted.dumps().try_into().unwrap();
    let tables = booted.stats()[0].tables();
    (booted, dump, tables)
}

/// Bytes of the image's own mapping whose lines have all `words`.
fn of_image(dump: &Dump, words: &[&str]) -> u64 {
    let of_image = |start| (TEXT..TEXT + GIB).contains(&start);
    let lines = dump.lines.iter().filter(|line| of_image(line.start)).cloned().collect();
    Dump { lines, check: String::new() }.bytes_that_say(words)
}

#[test]
fn rodata_on_makes_code_and_constants_read_only_under_both_addresses() {
    let [(_, default, _), (_, on, tables)] = ["", "rodata=on"].map(boot);
    assert_eq!(on, default);
    assert_eq!(tables, 3);
    let (code, constants) = (of_image(&on, &["ro", "x"]), of_image(&on, &["ro", "NX"]));
    assert!(code > 0 && constants > 0);
    assert_eq!(on.bytes_that_say(&["ro"]), 2 * (code + constants));
    assert_eq!(on.bytes_that_say(&["RW", "x"]), 0);
    assert_eq!(on.check, PASSED);
}

#[test]
fn rodata_noalias_leaves_the_linear_map_writable_and_whole() {
    let (_, dump, tables) = boot("rodata=noalias");
    assert_eq!(tables, 1);
    let all = "0xffff000000000000 12G PUD RW NX SHD AF BLK UXN MEM/NORMAL";
    assert_eq!(dump.linear(0, 12 * GIB), [all]);
    assert!(of_image(&dump, &["ro", "x"]) > 0 && of_image(&dump, &["ro", "NX"]) > 0);
    assert_eq!(dump.check, PASSED);
}

#[test]
fn rodata_off_leaves_code_writable_and_the_check_counts_its_pages() {
    let (_, dump, tables) = boot("rodata=off");
    assert_eq!(tables, 1);
    assert_eq!(dump.linear(0, 12 * GIB).len(), 1);
    assert_eq!(dump.bytes_that_say(&["ro"]), 0);
    let code = of_image(&dump, &["RW", "x"]);
    assert_eq!(code, of_image(&boot("").1, &["ro", "x"]));
    let pages = code >> 12;
    let found = format!("FAILED, {pages} W+X pages found, 0 non-UXN pages found");
    assert!(dump.check.starts_with(&format!("Checked W+X mappings: {found}")), "{}", dump.check);
}

#[test]
fn debug_pagealloc_asks_for_pages() {
    let (_, dump, tables) = boot("debug_pagealloc=on rodata=noalias");
    assert_eq!(tables, 6157);
    let linear: Vec<_> =
        dump.mapped().filter(|line| line.start < LINEAR + 12 * GIB).cloned().collect();
    assert_eq!(linear.iter().map(|line| line.bytes).sum::<u64>(), 12 * GIB);
    assert!(linear.iter().all(|line| line.says("PTE") && !line.says("CON")));
    // What is free is not mapped: nearly all of it.
    assert!(dump.bytes_that_say(&["F"]) > 11 * GIB);
}

#[test]
fn memory_is_tagged_where_the_machine_has_tags_and_the_read_only_alias_is_not() {
    let config = Config::new("12G").board("virt,mte=on").monitor("ptdump");
    let booted = Booted::run(&config).succeeded();
    let [dump] = booted.dumps().try_into().unwrap();
    let linear = dump.mapped().filter(|line| line.start < LINEAR + 12 * GIB);
    for line in linear {
        let memory = if line.says("ro") { "MEM/NORMAL" } else { "MEM/NORMAL-TAGGED" };
        assert!(line.says(memory), "{line}");
    }
    assert_eq!(dump.bytes_that_say(&["PUD", "MEM/NORMAL-TAGGED"]), 11 * GIB);
    let (_, untagged, _) = boot("");
    assert_eq!(untagged.bytes_that_say(&["MEM/NORMAL-TAGGED"]), 0);
}

#[test]
fn what_is_no_option_or_no_value_is_named_and_the_boot_goes_on() {
    let options = "color=blue rodata=maybe fail-tables=some quiet=3 rodata";
    let (booted, dump, _) = boot(options);
    let complaints = [
        "color=blue is not an option of this kernel; ignored",
        "rodata=maybe is ignored: rodata takes on, noalias or off",
        "fail-tables=some is ignored: fail-tables takes a number of tables",
        "quiet=3 is ignored: quiet takes no value",
        "rodata is ignored: rodata takes on, noalias or off",
    ];
    let lines: Vec<&str> = booted.lines().take(complaints.len()).collect();
    assert_eq!(lines, complaints.map(|complaint| format!("command line: {complaint}")));
    assert_eq!(dump, boot("").1);
}

#[test]
fn a_quiet_boot_prints_nothing_but_complaints() {
    let config = Config::new("1G").options("quiet color=blue").monitor("cmdline");
    let booted = Booted::run(&config).succeeded();
    let expected = "command line: color=blue is not an option of this kernel; ignored\n\
                    blockmap> cmdline\n\
                    semihosting quiet color=blue -- cmdline; poweroff\n\
                    color=blue is not an option of this kernel; ignored\n\
                    blockmap> poweroff\n";
    assert_eq!(booted.console, expected);
}
