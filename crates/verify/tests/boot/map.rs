//! The map that a booted machine has: the largest leaves, on the fewest tables.

use blockmap_dump::Size;
use blockmap_verify::console::{Dump, LINEAR};
use blockmap_verify::machine::{Booted, Config};

use crate::{GIB, MIB, RAM, twelve_gib};

/// Where QEMU loads the image, and so where its alias begins in the linear map.
const IMAGE: u64 = LINEAR + 2 * MIB;

const IMAGE_AT_LINK: u64 = 0xffff_8000_8000_0000;

/// Boots a machine with `memory`, and gives its tables below the root and its dump.
fn booted(config: Config) -> (u64, Dump) {
    let booted = Booted::run(&config.monitor("stat; ptdump")).succeeded();
    let [stat] = &*booted.stats() else { panic!("{}", booted.console) };
    assert_eq!(stat.count("misprogrammed contiguous runs"), 0);
    booted.says(&format!("linear map: {0} tables below the root, {0} planned", stat.tables()));
    let [dump] = booted.dumps().try_into().unwrap();
    (stat.tables(), dump)
}

/// Sees that the first GiB is all there, read-only exactly where the image's constants and code
/// are, and nowhere in a smaller leaf than that asks for.
fn check_first_gib(dump: &Dump) {
    let lines: Vec<_> = dump.mapped().filter(|line| line.start < LINEAR + GIB).collect();
    assert_eq!(lines.iter().map(|line| line.bytes).sum::<u64>(), GIB);
    let aliased = dump.mapped().filter(|line| line.start >= IMAGE_AT_LINK && line.says("ro"));
    let read_only: u64 = aliased.map(|line| line.bytes).sum();
    assert!((64 << 10..2 * MIB).contains(&read_only), "{read_only:#x}");
    let rest = 2 * MIB - read_only;
    let expected = [
        format!("{LINEAR:#018x} 2M PMD {RAM} BLK UXN MEM/NORMAL"),
        format!("{IMAGE:#018x} {} PTE ro NX SHD AF CON UXN MEM/NORMAL", Size::of(read_only)),
        format!("{:#018x} {} PTE {RAM} CON UXN MEM/NORMAL", IMAGE + read_only, Size::of(rest)),
        format!("{:#018x} 28M PMD {RAM} BLK UXN MEM/NORMAL", LINEAR + 4 * MIB),
        format!("{:#018x} 992M PMD {RAM} CON BLK UXN MEM/NORMAL", LINEAR + 32 * MIB),
    ];
    assert_eq!(dump.linear(0, GIB), expected);
}

#[test]
fn twelve_gib_are_one_line_of_blocks_behind_the_first_gib() {
    let (tables, dump) = booted(Config::new("12G"));
    assert_eq!(tables, 3);
    check_first_gib(&dump);
    let rest = "0xffff000040000000 11G PUD RW NX SHD AF BLK UXN MEM/NORMAL";
    assert_eq!(dump.linear(GIB, 12 * GIB), [rest]);
    assert_eq!(dump.check, "Checked W+X mappings: passed, no W+X pages found");
}

#[test]
fn the_line_of_blocks_has_the_columns_that_linux_prints() {
    let booted = twelve_gib("ptdump linear");
    let line = "0xffff000040000000-0xffff000300000000          11G PUD       RW NX SHD AF        BLK UXN    MEM/NORMAL\n";
    assert!(booted.answer("ptdump linear").contains(line));
}

#[test]
fn one_gib_is_the_first_gib_alone() {
    let (tables, dump) = booted(Config::new("1G"));
    assert_eq!(tables, 3);
    check_first_gib(&dump);
    assert_eq!(dump.linear(GIB, GIB << 17), [""; 0]);
}

#[test]
fn a_machine_may_have_hardly_any_memory() {
    let (tables, dump) = booted(Config::new("8M"));
    assert_eq!(tables, 3);
    assert_eq!(
        dump.linear(4 * MIB, GIB),
        ["0xffff000000400000 4M PMD RW NX SHD AF BLK UXN MEM/NORMAL"]
    );
}

#[test]
fn memory_that_ends_anywhere_has_smaller_leaves_at_its_end_alone() {
    let (tables, dump) = booted(Config::new("2085M"));
    assert_eq!(tables, 5);
    check_first_gib(&dump);
    let expected = [
        "0xffff000040000000 1G PUD RW NX SHD AF BLK UXN MEM/NORMAL",
        "0xffff000080000000 32M PMD RW NX SHD AF CON BLK UXN MEM/NORMAL",
        "0xffff000082000000 4M PMD RW NX SHD AF BLK UXN MEM/NORMAL",
        "0xffff000082400000 1M PTE RW NX SHD AF CON UXN MEM/NORMAL",
    ];
    assert_eq!(dump.linear(GIB, GIB << 17), expected);
}

#[test]
fn two_hundred_fifty_six_gib_are_one_line_of_blocks_behind_the_first_gib() {
    let (tables, dump) = booted(Config::new("256G"));
    // Linux took six.
    assert_eq!(tables, 3);
    check_first_gib(&dump);
    let rest = "0xffff000040000000 255G PUD RW NX SHD AF BLK UXN MEM/NORMAL";
    assert_eq!(dump.linear(GIB, 256 * GIB), [rest]);
}

#[test]
fn four_tebibytes_boot_on_a_host_with_less() {
    let (tables, dump) = booted(Config::new("4T"));
    // One for each 512 GiB, and two for the first GiB.
    assert_eq!(tables, 10);
    check_first_gib(&dump);
    let rest = "0xffff000040000000 4095G PUD RW NX SHD AF BLK UXN MEM/NORMAL";
    assert_eq!(dump.linear(GIB, 4096 * GIB), [rest]);
}

#[test]
fn memory_of_two_numa_nodes_is_mapped_as_if_it_were_of_one() {
    let (tables, dump) = booted(Config::new("12G").nodes(2));
    let (tables_of_one, dump_of_one) = booted(Config::new("12G"));
    assert_eq!((tables, dump), (tables_of_one, dump_of_one));
    // Nodes that do not end on a GiB are no reason for smaller leaves either.
    let (tables, dump) = booted(Config::new("3G").nodes(2));
    assert_eq!(tables, 3);
    let rest = "0xffff000040000000 2G PUD RW NX SHD AF BLK UXN MEM/NORMAL";
    assert_eq!(dump.linear(GIB, 3 * GIB), [rest]);
}

#[test]
fn a_machine_entered_at_el2_gets_the_map_of_one_entered_at_el1() {
    let script = "stat; ptdump";
    let lower = twelve_gib(script);
    let higher = Config::new("12G").board("virt,virtualization=on").monitor(script);
    let higher = Booted::run(&higher).succeeded();
    lower.says("entered at EL1");
    higher.says("entered at EL2");
    assert_eq!(higher.dumps(), lower.dumps());
    assert_eq!(higher.stats()[0].map, lower.stats()[0].map);
}

#[test]
fn two_boots_of_a_machine_are_alike_in_every_entry() {
    let script = "stat; ptdump; walk 0xffff000155555000; ro 0xffff000155555000 1; stat; ptdump; \
                  walk 0xffff000155555000; walk 0xffff800080000000";
    let [first, second] = [twelve_gib(script), twelve_gib(script)];
    assert_eq!(first.console, second.console);
}

#[test]
fn the_image_may_be_loaded_at_any_multiple_of_2_mib() {
    let (_, usual) = booted(Config::new("3G"));
    for offset in [4 * MIB, 30 * MIB, GIB - 2 * MIB, 2 * GIB + 34 * MIB] {
        let config = Config::new("3G").load_offset(offset);
        let (tables, dump) = booted(config);
        let read_only = dump.linear(offset, offset + 1);
        let [line] = &*read_only else { panic!("{read_only:?}") };
        assert!(line.contains(" PTE ro NX SHD AF CON UXN"), "{line}");
        assert_eq!(dump.bytes_that_say(&["ro"]), usual.bytes_that_say(&["ro"]));
        assert_eq!(dump.bytes_that_say(&["x"]), usual.bytes_that_say(&["x"]));
        let linear = dump.mapped().filter(|line| line.start < LINEAR + (GIB << 17));
        assert_eq!(linear.map(|line| line.bytes).sum::<u64>(), 3 * GIB);
        assert_eq!(tables, 3, "{offset:#x}");
    }
}
