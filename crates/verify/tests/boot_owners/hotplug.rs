//! Memory comes in blocks and goes out of the middle of them.

use blockmap_verify::console::Dump;
use blockmap_verify::machine::{Booted, Config};

use crate::{NON_GLOBAL, WAYS, boot, config, means_the_same, none_is_lost};

/// The upper 512 MiB of 4 GiB are absent.
const HOT: &str = "hotplug=0x20000000";
const NEVER: &str = "size-change=never";
const COME: &str = "hotadd 0x120000000 0x20000000";
const GO: &str = "hotremove 0x120000000 0x20000000";
/// A GiB of boot memory and its last 2 MiB, where nothing is.
const INNER: &str = "0xe0001000 0x3000";

#[test]
fn memory_that_is_absent_comes_in_blocks_and_goes_again() {
    for way in WAYS {
        let script = format!(
            "absent; stat; ptdump linear; peek 0xffff0000e0000000; {COME}; absent; stat; ptdump linear; \
             poke 0xffff0000e0000000 5; peek 0xffff0000e0000000; {COME}; {GO}; absent; stat; ptdump linear; \
             peek 0xffff0000fffff000"
        );
        let booted = boot(&format!("{HOT} {way}"), &script);
        let absent: Vec<&str> = booted.answers("absent").collect();
        assert_eq!(absent, ["0x120000000+0x20000000\n", "", "0x120000000+0x20000000\n"]);
        let come: Vec<&str> = booted.answers(COME).collect();
        assert_eq!(come[0], "done\n");
        let there = "refused: 0x120000000+0x20000000 is not absent: hotplug=BYTES keeps memory out, \
                     hotremove takes some away\n";
        assert_eq!(come[1], there);
        let peeks: Vec<&str> = booted.answers("peek 0xffff0000e0000000").collect();
        assert!(peeks[0].starts_with("fault: translation fault"), "{}", peeks[0]);
        assert_eq!(peeks[1], "0xffff0000e0000000: 0x0000000000000005\n");
        let gone = booted.answer("peek 0xffff0000fffff000");
        assert!(gone.starts_with("fault: translation fault"), "{gone}");
        let [without, with, after] = booted.dumps().try_into().unwrap();
        assert_eq!(after, without);
        let blocks = |dump: &Dump| dump.bytes_that_say(&["PMD", "CON"]);
        assert_eq!(blocks(&with) - blocks(&without), 512 << 20);
        let [without, with, after] = booted.stats().try_into().unwrap();
        let pages = (512 << 20) / 4096;
        assert_eq!(without.frames["reserved"], with.frames["reserved"] + pages);
        none_is_lost(&without, &after);
    }
}

#[test]
fn memory_that_is_kept_for_later_begins_above_what_the_machine_stands_on() {
    // Either would begin below the device tree, and the second below the image's end.
    for kept in ["0x1f000000", "0x1ff00000"] {
        let script = "stat; absent; ptdump linear";
        let config = Config::new("512M").options(&format!("hotplug={kept}")).monitor(script);
        let booted = Booted::run(&config).succeeded();
        let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
        let (_, tree) = booted.line_with("device tree at ").split_once("tree at ").unwrap();
        let absent = booted.answer("absent").trim_end();
        let (from, bytes) = absent.split_once('+').unwrap();
        assert!(number(from) > number(tree), "{absent}");
        assert_eq!(number(from) + number(bytes), 0x6000_0000, "{absent}");
        let [stat] = booted.stats().try_into().unwrap();
        let frames: u64 = stat.frames.values().sum();
        assert_eq!(frames, (512 << 20) / 4096, "{:?}", stat.frames);
    }
}

#[test]
fn what_lies_across_a_leaf_is_split_out_of_it() {
    for way in WAYS.into_iter().chain(NON_GLOBAL) {
        let go = format!("hotremove {INNER}");
        let come = format!("hotadd {INNER}");
        let script = format!(
            "stat; ptdump linear; {go}; stat; ptdump linear; peek 0xffff0000a0000000; \
             peek 0xffff0000a0001000; peek 0xffff0000a0004000; {go}; {come}; stat; ptdump linear"
        );
        let booted = boot(way, &script);
        let went: Vec<&str> = booted.answers(&go).collect();
        assert_eq!(went[0], "done\n", "{way}");
        let twice = "refused: the frame at 0xe0001000 is Reserved: only free memory can go\n";
        assert_eq!(went[1], twice);
        assert_eq!(booted.answer(&come), "done\n");
        let says = |address: &str, text: &str| {
            let answer = booted.answer(&format!("peek {address}"));
            assert!(answer.starts_with(text), "{answer}");
        };
        says("0xffff0000a0000000", "0xffff0000a0000000: 0x");
        says("0xffff0000a0001000", "fault: translation fault, level 3");
        says("0xffff0000a0004000", "0xffff0000a0004000: 0x");
        let [before, _, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &after);
        let [before, _, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
    }
}

#[test]
fn memory_that_somebody_has_stays_and_its_first_frame_is_named() {
    let script = "stat; ptdump linear; secret 1; hotremove 0x40000000 0x100000000; ptdump linear; secret free 1; \
                  hotremove 0x40000800 0x1000; hotremove 0x40000000 0; hotremove 0x10000 0x1000; \
                  hotadd 0x40000001 0x1000; hotadd 0x40000000 0x1000; stat";
    let booted = boot("", script);
    let in_use = booted.answer("hotremove 0x40000000 0x100000000");
    assert!(in_use.starts_with("refused: the frame at 0x4"), "{in_use}");
    assert!(in_use.ends_with("only free memory can go\n"), "{in_use}");
    let says = |command, text: &str| assert_eq!(booted.answer(command), format!("{text}\n"));
    let ragged = "refused: 0x1000 bytes from 0x40000800 on are no whole pages";
    says("hotremove 0x40000800 0x1000", ragged);
    says("hotremove 0x40000000 0", "refused: 0x0 bytes from 0x40000000 on are no whole pages");
    let outside = booted.answer("hotremove 0x10000 0x1000");
    assert!(outside.starts_with("refused: 0x10000"), "{outside}");
    says("hotadd 0x40000001 0x1000", "refused: 0x1000 bytes from 0x40000001 on are no whole pages");
    assert!(booted.answer("hotadd 0x40000000 0x1000").contains("is not absent"));
    let [before, after] = booted.stats().try_into().unwrap();
    none_is_lost(&before, &after);
}

#[test]
fn memory_comes_in_pages_where_the_map_is_in_pages() {
    for (cpu, option) in [("max,midr=0xc00fac30", "debug_pagealloc=on"), ("cortex-a72", NEVER)] {
        let config = config(&format!("{HOT} {option}"), &format!("{COME}; ptdump linear")).cpu(cpu);
        let booted = Booted::run(&config).succeeded();
        assert_eq!(booted.answer(COME), "done\n");
        let [dump] = booted.dumps().try_into().unwrap();
        let last = dump.mapped().last().unwrap();
        assert_eq!(last.start + last.bytes, 0xffff_0001_0000_0000);
        assert!(last.bytes > 512 << 20 && last.says("PTE") && !last.says("CON"), "{last}");
    }
}

#[test]
fn memory_that_the_tables_have_no_memory_for_stays_as_it_is() {
    for (options, command, needed) in [
        ("", "hotremove 0xe0001000 0x3000", 0..2),
        ("hotplug=0x40000000", "hotadd 0x100000000 0x200000", 0..1),
    ] {
        for left in needed {
            let script = format!("stat; ptdump linear; {command}; absent; stat; ptdump linear");
            let booted = boot(&format!("{options} fail-tables={left}"), &script);
            let refused = booted.answer(command);
            assert!(refused.contains("translation tables are needed"), "{refused}");
            let [before, after] = booted.dumps().try_into().unwrap();
            assert_eq!(after, before);
            let [before, after] = booted.stats().try_into().unwrap();
            none_is_lost(&before, &after);
        }
    }
}

#[test]
fn the_image_s_data_can_vanish_from_the_linear_map_and_come_back() {
    for way in WAYS {
        let script = "stat; ptdump linear; dataalias off; ptdump linear; ro 0xffff000155555000 1; cpu off 1; \
                      cpu on 1; vmap 3; dataalias on; stat; ptdump linear";
        let script = script.replace("0xffff000155555000", "0xffff000095555000");
        let booted = boot(way, &script);
        for command in ["dataalias off", "cpu off 1", "cpu on 1", "dataalias on"] {
            assert!(booted.answer(command).ends_with("done\n"), "{command}: {}", booted.console);
        }
        let [before, without, after] = booted.dumps().try_into().unwrap();
        assert!(without.bytes_that_say(&["F"]) > 64 << 10);
        assert_eq!(before.bytes_that_say(&["F"]), 0);
        assert_eq!(after.bytes_that_say(&["F"]), 0);
    }
    let booted = boot("", "ptdump linear; dataalias off; dataalias on; ptdump linear");
    let [before, after] = booted.dumps().try_into().unwrap();
    means_the_same(&before, &after);
}
