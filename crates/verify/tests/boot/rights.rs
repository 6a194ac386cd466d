//! Rights that are taken away are gone, from TLBs too; rights that are given are there.

use blockmap_verify::machine::{Booted, Config};

use crate::MIB;

/// The first address that commands change here.
const START: u64 = 0xffff_0001_7bff_f000;

/// Stores to addresses inside and just outside of `pages` pages from [`START`] on, so that a TLB
/// has them; makes the pages read-only, then invalid, then what they were; and stores again after
/// each. Sees which of the stores fault.
fn check(config: Config, pages: u64) {
    let end = START + pages * 4096;
    let inside = [START, START + (pages / 2) * 4096, end - 8];
    let outside = [START - 8, end];
    let stores = |value: u64| {
        let all = inside.iter().chain(&outside);
        let commands: Vec<_> = all.map(|address| format!("poke {address:#x} {value}; ")).collect();
        commands.concat()
    };
    let range = format!("{START:#x} {pages}");
    let script = format!(
        "{}ro {range}; {}invalid {range}; {}valid {range}; {}rw {range}; {}",
        stores(1),
        stores(2),
        stores(3),
        stores(4),
        stores(5)
    );
    let booted = Booted::run(&config.monitor(&script)).succeeded();
    for (value, fault) in
        [(1, ""), (2, "permission"), (3, "translation"), (4, "permission"), (5, "")]
    {
        for address in inside {
            let answer = booted.answer(&format!("poke {address:#x} {value}"));
            let expected = if fault.is_empty() {
                format!("{address:#x} = {value:#018x}")
            } else {
                format!("fault: {fault} fault, level ")
            };
            assert!(answer.starts_with(&expected), "{answer}");
        }
        for address in outside {
            let answer = booted.answer(&format!("poke {address:#x} {value}"));
            assert_eq!(answer, format!("{address:#x} = {value:#018x}\n"));
        }
    }
}

/// One page; a few, which are invalidated one by one; and more than that pays for, ragged at both
/// ends, over the edge of a GiB.
const SIZES: [u64; 3] = [1, 40, (66 * MIB + 8192) >> 12];

#[test]
fn rights_come_and_go_with_range_invalidation() {
    for pages in SIZES {
        check(Config::new("12G"), pages);
    }
}

#[test]
fn rights_come_and_go_with_invalidation_by_address() {
    for pages in SIZES {
        check(Config::new("12G").cpu("cortex-a57"), pages);
    }
}

#[test]
fn a_cpu_that_was_refused_an_instruction_fetches_it_once_it_may() {
    let page = "0xffff000155555000";
    let run = format!("exec {page}");
    let script = format!(
        "poke {page} 0xd65f03c0d2800020; ro {page} 1; {run}; x {page} 1; {run}; nx {page} 1; \
         rw {page} 1; poke {page} 0xd65f03c0d2800040; ro {page} 1; x {page} 1; {run}"
    );
    let booted = Booted::run(&Config::new("12G").monitor(&script)).succeeded();
    let answers: Vec<&str> = booted.answers(&run).collect();
    assert!(answers[0].starts_with("fault: permission fault, level 3, execute"), "{}", answers[0]);
    assert_eq!(answers[1], format!("{page} returned 0x0000000000000001\n"));
    assert_eq!(answers[2], format!("{page} returned 0x0000000000000002\n"));
}
