//! `debug_pagealloc=on`: what is free is not there, and what is taken is there before it is used.

use blockmap_verify::console::Stat;
use blockmap_verify::machine::{Booted, Config};

use crate::judged::accepted_of;
use crate::none_is_lost;

const ON: &str = "debug_pagealloc=on";
/// Somewhere in memory that nobody has.
const FREE: &str = "0xffff000005555000";

fn config(options: &str, script: &str) -> Config {
    Config::new("256M").cpus(2).options(&format!("{ON} {options}")).monitor(script)
}

/// Bytes that are free, as `stat` has them.
fn free_bytes(stat: &Stat) -> String {
    format!("{}K", stat.frames["free"] * 4)
}

#[test]
fn what_is_free_faults_and_what_is_taken_does_not() {
    for options in ["", "size-change=quiesce", "rodata=off"] {
        let script = format!(
            "stat; ptdump linear; peek {FREE}; poke {FREE} 7; ro {FREE} 1; peek {FREE}; \
             secret 3; guard on; guard alloc 8; load on 1; churn 20 100; vmap 700; \
             hotremove 0x47000000 0x3000; hotadd 0x47000000 0x3000; peek 0xffff000007000000; \
             load off 1; secret free 1; stat; heal all; ptdump linear"
        );
        let booted =
            Booted::run(&config(&format!("{options} guard-pool=late"), &script)).succeeded();
        let [before, after] = booted.stats().try_into().unwrap();
        assert_eq!(before.map["present but invalid"], free_bytes(&before), "{}", booted.console);
        let peeks: Vec<&str> = booted.answers(&format!("peek {FREE}")).collect();
        assert!(peeks[0].starts_with("fault: translation fault, level 3, read"), "{}", peeks[0]);
        let free = "refused: the frame at 0x45555000 is free, and what is free is not mapped: take it \
                    first\n";
        assert_eq!(booted.answer(&format!("ro {FREE} 1")), free);
        assert_eq!(peeks[1], peeks[0]);
        let gone = booted.answer("peek 0xffff000007000000");
        assert!(gone.starts_with("fault: translation fault, level 3, read"), "{gone}");
        for command in ["hotremove 0x47000000 0x3000", "hotadd 0x47000000 0x3000", "secret free 1"]
        {
            assert_eq!(booted.answer(command), "done\n", "{}", booted.console);
        }
        let relieved = booted.answer("load off 1");
        assert!(relieved.contains("accesses, 0 of them wrong"), "{relieved}");
        // What is free, and the pool but for the object that is taken.
        let pool = (512 - 1) * 4;
        let invalid = format!("{}K", after.frames["free"] * 4 + pool);
        assert_eq!(after.map["present but invalid"], invalid, "{}", booted.console);
        let [before, after] = booted.dumps().try_into().unwrap();
        let blocks = |word: &str| after.bytes_that_say(&[word]) + before.bytes_that_say(&[word]);
        assert_eq!((blocks("PMD"), blocks("PUD")), (0, 0));
    }
}

#[test]
fn what_comes_back_vanishes_again() {
    let script = "stat; ptdump linear; vmap 3; secret 2; secret 1 9; share 3; secret free 2; \
                  vunmap 0xffff800100000000 reset; purge; secret free 1; share free 1; stat; \
                  ptdump linear";
    let booted = Booted::run(&config("", script)).succeeded();
    let [before, after] = booted.stats().try_into().unwrap();
    none_is_lost(&before, &after);
    assert_eq!(before.map["present but invalid"], free_bytes(&before));
    assert_eq!(after.map["present but invalid"], free_bytes(&after));
}

#[test]
fn pages_that_come_and_go_are_judged() {
    let script = "vmap 3; secret 2; vunmap 0xffff800100000000; ro 0xffff000005555000 3; churn 2; secret free 1";
    let booted = accepted_of(config("trace=2097152", ""), "pagealloc", script);
    assert!(booted.answer("secret 2").starts_with("secret 1: "), "{}", booted.console);
}
