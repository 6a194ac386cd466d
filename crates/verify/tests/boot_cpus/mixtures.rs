//! Machines of unlike CPUs on 12 GiB: the map that each mode has, beside Linux's.
//!
//! Linux 7.3 had the same machine, `-cpu max` with other CPUs pretended; its dumps are compared where
//! neither kernel's image is.

use blockmap_verify::console::Dump;
use blockmap_verify::machine::{Booted, Config};

use crate::{ABORTS, all_done};

const GIB: u64 = 1 << 30;
const PAGE: &str = "ro 0xffff000155555000 1; ro 0xffff000155556000 1; rw 0xffff000155556000 1";

/// Both kernels' images lie from here on, and end well before [`AFTER`].
const IMAGE: u64 = 2 << 20;
const AFTER: u64 = 16 << 20;

const LINUX_PAGES: &str = include_str!("../../../dump/tests/reading/linux/ptdump-mode2.txt");
const LINUX_REPAINTED: &str = include_str!("../../../dump/tests/reading/linux/ptdump-mode3.txt");

const X4_R0P3: &str = "cpu.boot.midr=0x410fd823 cpu.boot.bbm=2";
/// Beside it, a Cortex-A720 and two Cortex-A520 that need a break.
const LITTLE: &str = "cpu.1.midr=0x410fd811 cpu.1.bbm=0 cpu.2.midr=0x410fd803 cpu.2.bbm=0 \
                      cpu.3.midr=0x410fd803 cpu.3.bbm=0";
const X4_R0P2: &str = "cpu.boot.midr=0x410fd822 cpu.secondary.midr=0x410fd822";
const A76: &str = "cpu.boot.midr=0x414fd0b1 cpu.boot.bbm=0 cpu.boot.tlb=0 \
                   cpu.secondary.midr=0x414fd0b1 cpu.secondary.bbm=0 cpu.secondary.tlb=0";

/// Boots four such CPUs, which must end up with a strategy, and changes single pages.
fn boot(disguise: &str, choice: &str, strategy: &str) -> Booted {
    let script = format!("strategy; stat; ptdump linear; {PAGE}; stat");
    let config = Config::new("12G").board("virt,virtualization=on").cpu(ABORTS).cpus(4);
    let options = format!("{disguise} size-change={choice}");
    let booted = Booted::run(&config.options(&options).monitor(&script)).succeeded();
    let answer = booted.answer("strategy");
    assert!(answer.starts_with(&format!("{strategy}: ")), "{disguise} {choice}: {answer}");
    assert!(answer.contains("4 CPUs admitted"), "{answer}");
    PAGE.split("; ").for_each(|command| all_done(&booted, &[command]));
    booted
}

/// Sees that memory outside the images is in the leaves that Linux has there.
#[track_caller]
fn check_beside(booted: &Booted, linux: &str) {
    let (ours, linux) = (&booted.dumps()[0], Dump::parse(linux));
    for (start, end) in [(0, IMAGE), (AFTER, 12 * GIB)] {
        let leaves = ours.leaves(start, end);
        assert!(!leaves.is_empty());
        assert_eq!(leaves, linux.leaves(start, end));
    }
}

#[test]
fn mixtures_keep_blocks_and_change_single_pages() {
    let large = format!("{X4_R0P3} {LITTLE}");
    for disguise in [&*large, X4_R0P2, A76, ""] {
        let booted = boot(disguise, "auto", "Quiesce");
        let [before, after] = booted.stats().try_into().unwrap();
        assert_eq!((before.tables(), after.tables()), (3, 5));
        let blocks = [(12 * GIB, "PUD RW NX SHD AF BLK UXN MEM/NORMAL".to_owned())];
        assert_eq!(booted.dumps()[0].leaves(GIB, 12 * GIB), blocks);
    }
}

#[test]
fn a_boot_cpu_that_is_not_quiet_has_pages_as_linux_does_where_sizes_never_change() {
    for disguise in [X4_R0P2, A76, ""] {
        let booted = boot(disguise, "never", "Pages");
        assert_eq!(booted.stats()[0].tables(), 6157);
        check_beside(&booted, LINUX_PAGES);
        assert!(!booted.answer("stat").contains("parking:"), "nothing was ever repainted");
    }
}

#[test]
fn secondaries_that_are_not_quiet_have_the_map_repainted_as_linux_does() {
    let booted = boot(&format!("{X4_R0P3} {LITTLE}"), "never", "Pages");
    check_beside(&booted, LINUX_REPAINTED);
    booted.says("  times 1, given up 0");
}

#[test]
fn without_page_rights_blocks_stay_under_every_option() {
    for choice in ["auto", "live", "quiesce", "never"] {
        let options = format!("rodata=noalias size-change={choice}");
        let config = Config::new("12G").cpu(ABORTS).cpus(2).options(&options).monitor("stat");
        let booted = Booted::run(&config).succeeded();
        let [stat] = booted.stats().try_into().unwrap();
        assert_eq!(stat.tables(), 1, "{choice}: {stat:?}");
        assert_eq!(stat.count("leaves 1G"), 12, "{choice}: {stat:?}");
    }
}

#[test]
fn no_range_is_invalidated_by_one_instruction_once_a_cpu_without_that_is_admitted() {
    let (first, second) = ("nx 0xffff000050000000 5000", "nx 0xffff000054000000 5000");
    let script = format!("trace off; trace on; {first}; cpu on 1; {second}; trace dump");
    let options = format!("{X4_R0P3} cpu.1.bbm=2 cpu.1.midr=0x410fd823 cpu.1.tlb=1");
    let options = format!("{options} maxcpus=1 trace=65536");
    let config = Config::new("2G").board("virt,virtualization=on").cpus(2).options(&options);
    let booted = Booted::run(&config.monitor(&script)).succeeded();
    all_done(&booted, &[first, "cpu on 1", second]);
    let trace = booted.answer("trace dump");
    let (before, after) = trace.split_once(second).expect("the trace names commands");
    assert!(before.contains("\ntlbi r"), "{before}");
    assert!(after.contains("\ntlbi ") && !after.contains("\ntlbi r"), "{after}");
}
