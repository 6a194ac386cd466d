//! Memory mapped in areas of its own: it is there, it is made of blocks where it can be, and nothing of
//! it is left when it is gone.

use blockmap_verify::machine::{Booted, Config};

use super::{answers, twelve_gib};

/// Where areas begin.
const AREAS: &str = "0xffff800100000000";

#[test]
fn an_area_can_be_written_and_is_gone_when_it_is_freed() {
    let script = format!(
        "stat; ptdump; vmap 3; poke {AREAS} 0x1234; peek {AREAS}; poke 0xffff800100003000 1; \
         vunmap {AREAS}; purge; peek {AREAS}; vunmap {AREAS}; stat; ptdump"
    );
    let booted = twelve_gib(&script);
    answers(&booted, "vmap 3", "0xffff800100000000+0x3000");
    answers(&booted, &format!("peek {AREAS}"), "0xffff800100000000: 0x0000000000001234");
    let guard = booted.answer("poke 0xffff800100003000 1");
    assert!(guard.starts_with("fault: translation fault"), "{guard}");
    let peeked: Vec<&str> = booted.answers(&format!("peek {AREAS}")).collect();
    assert!(peeked[1].starts_with("fault: translation fault"), "{}", peeked[1]);
    let freed: Vec<&str> = booted.answers(&format!("vunmap {AREAS}")).collect();
    assert_eq!(freed, ["done\n", "refused: no area starts at 0xffff800100000000\n"]);
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!(after.frames["used"], before.frames["used"]);
    assert_eq!(
        after.frames["free"] + after.frames["tables"],
        before.frames["free"] + before.frames["tables"]
    );
}

#[test]
fn two_mib_of_an_area_are_a_block() {
    let booted = twelve_gib("vmap 512; walk 0xffff800100000000; vmap 513; walk 0xffff800100800000");
    let walk = booted.answer("walk 0xffff800100000000");
    assert!(walk.contains(", 2M block, rw-, EL0 ---"), "{walk}");
    answers(&booted, "vmap 513", "0xffff800100400000+0x201000");
}

#[test]
fn memory_that_is_not_there_is_refused_and_nothing_is_lost() {
    let script = "stat; ptdump; vmap 0; vmap 300000; vmap 0xffffffffffffffff; stat; ptdump";
    let booted = Booted::run(&Config::new("1G").monitor(script)).succeeded();
    answers(&booted, "vmap 0", "refused: 0 bytes are not a number of pages above 0");
    let short = booted.answer("vmap 300000");
    assert!(
        short.starts_with("refused: ") && short.ends_with("bytes of memory are not free\n"),
        "{short}"
    );
    let absurd = booted.answer("vmap 0xffffffffffffffff");
    assert!(absurd.starts_with("refused: "), "{absurd}");
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!(after.frames["used"], before.frames["used"]);
}

#[test]
fn an_area_that_the_tables_have_no_memory_for_is_not_there() {
    for left in 0..2 {
        let options = format!("fail-tables={left}");
        let config =
            Config::new("12G").options(&options).monitor("stat; ptdump; vmap 3; stat; ptdump");
        let booted = Booted::run(&config).succeeded();
        let refusal = format!("refused: 2 translation tables are needed and {left} can be had");
        assert!(booted.answer("vmap 3").starts_with(&refusal), "{}", booted.console);
        let [before, after] = booted.dumps().try_into().unwrap();
        assert_eq!(after, before);
        let [before, after] = booted.stats().try_into().unwrap();
        assert_eq!(after.frames["used"], before.frames["used"]);
    }
}

/// Free memory is written by whoever gets it: what can't be written through the linear map must not
/// come back to the allocator.
#[test]
fn a_frame_that_was_narrowed_in_the_linear_map_stays_used() {
    let found = twelve_gib("vmap 1; walk 0xffff800100000000");
    let walked = found.line_with("0xffff800100000000 -> 0x");
    let (_, output) = walked.split_once("-> 0x").unwrap();
    let output = u64::from_str_radix(output.split(',').next().unwrap(), 16).unwrap();
    let linear = format!("{:#x}", 0xffff_0000_0000_0000 + output - (1 << 30));
    let script = format!("stat; vmap 1; ro {linear} 1; vunmap {AREAS}; purge; stat");
    let booted = twelve_gib(&script);
    answers(&booted, &format!("vunmap {AREAS}"), "done");
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!(after.frames["used"], before.frames["used"] + 1);
}
