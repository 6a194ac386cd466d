//! What areas grant, in both views: by what the tables say, and by what faults.

use std::fs;
use std::path::PathBuf;

use blockmap_model::judge::judge;
use blockmap_model::replay::judge_end;
use blockmap_model::text::read;
use blockmap_verify::machine::Config;

use super::{AREA, LIVE, NON_GLOBAL, alias, boot, config, effects, none_is_lost};

/// `mov x0, #42; ret`.
const CODE: &str = "0xd65f03c0d2800540";

/// Where the alias of the first page of the first area is: the same on every boot with these options.
fn first_alias(options: &str, vmap: &str) -> u64 {
    alias(boot(options, &format!("{vmap}; walk {AREA:#x}")).answer(&format!("walk {AREA:#x}")))
}

#[test]
fn two_mib_on_one_physical_run_stay_a_block_in_both_views() {
    let view = first_alias("trace=4096", "vmap 512");
    let script = format!(
        "vmap 512; count on; setmem ro {AREA:#x} 512; setmem rw {AREA:#x} 512; \
         setmem ro {AREA:#x} 512; walk {AREA:#x}; walk {view:#x}; ptdump linear; \
         setmem rox {AREA:#x} 512; setmem nx {AREA:#x} 512; setmem x {AREA:#x} 512; \
         setmem invalid {AREA:#x} 512; setmem valid {AREA:#x} 512"
    );
    let booted = boot("trace=4096", &script);
    let ro: Vec<[u64; 4]> =
        booted.answers(&format!("setmem ro {AREA:#x} 512")).map(effects).collect();
    // Linux 7.3: 513 invalidations and 1,539 barriers. The first splits a block of the alias.
    assert!(ro[0][1] == 2 && ro[0][2] <= 3, "{ro:?}");
    assert_eq!(ro[1], [2, 2, 2, 1]);
    let cost = |change: &str| effects(booted.answer(&format!("setmem {change} {AREA:#x} 512")));
    assert_eq!(cost("rw"), [2, 2, 2, 1]);
    // Two phases, and the caches between them.
    assert_eq!(cost("rox"), [3, 3, 6, 3]);
    assert_eq!(cost("nx"), [1, 1, 2, 1]);
    // The aliases are read-only already.
    assert_eq!(cost("x"), [1, 1, 4, 2]);
    assert_eq!(cost("invalid"), [2, 2, 2, 1]);
    // What was invalid is in no TLB; code is published.
    assert_eq!(cost("valid"), [2, 0, 4, 3]);
    for address in [AREA, view] {
        let walked = booted.answer(&format!("walk {address:#x}"));
        assert!(walked.contains(", 2M block, r--, EL0 ---"), "{walked}");
    }
    let line = format!("{view:#x} 2M PMD ro NX SHD AF BLK UXN MEM/NORMAL-TAGGED");
    let dump = &booted.dumps()[0];
    let found = dump.linear(view & 0xffff_ffff, (view & 0xffff_ffff) + (2 << 20));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("2M PMD ro NX"), "{found:?} is not like {line}");
}

#[test]
fn code_runs_where_it_can_be_written_through_neither_view() {
    for options in ["", "size-change=quiesce"].into_iter().chain(NON_GLOBAL) {
        let view = first_alias(options, "vmap 3");
        let [page, other] = [AREA, view].map(|start| format!("{:#x}", start + 0x1000));
        let script = format!(
            "vmap 3; poke {page} {CODE}; exec {page}; setmem rox {page} 1; exec {page}; \
         poke {page} 1; poke {other} 1; exec {other}; setmem rw {page} 1; setmem nx {page} 1; \
         exec {page}; setmem rw {page} 1; poke {other} 2; peek {page}; ptdump"
        );
        let booted = boot(options, &script);
        let first = |command: &str| -> Vec<String> {
            let line = |answer: &str| answer.lines().next().unwrap_or_default().to_owned();
            booted.answers(command).map(line).collect()
        };
        let no_execute = format!("fault: permission fault, level 3, execute, at {page}");
        let returned = format!("{page} returned 0x000000000000002a");
        assert_eq!(first(&format!("exec {page}")), [no_execute.clone(), returned, no_execute]);
        for address in [&page, &other] {
            let fault = format!("fault: permission fault, level 3, write, at {address}");
            assert_eq!(first(&format!("poke {address} 1")), [fault]);
        }
        assert!(first(&format!("exec {other}"))[0].starts_with("fault: permission fault"));
        let [early, late] = <[String; 2]>::try_from(first(&format!("setmem rw {page} 1"))).unwrap();
        assert!(
            early.ends_with("would be writable and executable: take one of the two away first")
        );
        assert_eq!(late, "done");
        assert_eq!(first(&format!("peek {page}")), [format!("{page}: 0x0000000000000002")]);
        assert!(booted.dumps()[0].check.contains("passed"), "{}", booted.dumps()[0].check);
    }
}

#[test]
fn every_step_of_an_areas_life_is_judged() {
    let [one, many] = [AREA, AREA + 0x40_0000].map(|area| format!("{area:#x}"));
    let script = format!(
        "vmap 512 pages; vmap 1027; setmem rox {one} 100; setmem ro {many} 1027; \
         setmem x {many} 3; setmem invalid {many} 600; setmem valid {many} 1; setmem nx {one} 7; \
         setmem rw {one} 7; vunmap {one} reset; vmap 600; vunmap {many} reset"
    );
    for (number, options) in ["", "size-change=quiesce", "size-change=never"].iter().enumerate() {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("areas-{number}"));
        let _ = fs::remove_file(&path);
        let script = format!("{script}; trace dump {}", path.display());
        let config = config(&format!("trace=262144 {options}"), &script).cpus(2);
        let booted = blockmap_verify::machine::Booted::run(&config).succeeded();
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", booted.console));
        assert!(text.contains("\n# dropped records: 0\n") && text.contains("\naliases apart\n"));
        let program = read(&text).unwrap_or_else(|error| panic!("{error}"));
        let verdicts = [judge_end(&program), judge(&program).verdicts].concat();
        let verdicts: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        assert!(verdicts.is_empty(), "{options}: {}\n{}", verdicts.join("\n"), booted.console);
        assert!(!booted.console.contains("refused"), "{options}: {}", booted.console);
    }
}

#[test]
fn an_area_that_is_reset_leaves_the_map_as_it_was() {
    let part = format!("{:#x}", AREA + 0x3000);
    let script = format!(
        "stat; ptdump; vmap 2000; setmem rox {AREA:#x} 2000; setmem invalid {part} 700; \
         vunmap {AREA:#x}; vunmap {AREA:#x} reset; vunmap {AREA:#x}; areas; heal; stat; ptdump"
    );
    let booted = Config::new("4G").cpu(LIVE).monitor(&script);
    let booted = blockmap_verify::machine::Booted::run(&booted).succeeded();
    let freed: Vec<&str> = booted.answers(&format!("vunmap {AREA:#x}")).collect();
    assert!(freed[0].contains("was narrowed: free the area with reset"), "{}", freed[0]);
    assert!(freed[1].starts_with("refused: no area starts at"), "{}", freed[1]);
    assert_eq!(booted.answer("areas"), "0 areas\n");
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let [before, after] = booted.stats().try_into().unwrap();
    assert_eq!(after.tables(), before.tables());
    none_is_lost(&before, &after);
}

#[test]
fn without_tables_a_change_is_refused_before_anything_changes() {
    // Two ends of an area of pages, two of the alias.
    let part = format!("setmem ro {:#x} 600", AREA + 0x3000);
    let mut refused = 0;
    for left in 0..16 {
        let options = format!("fail-tables={left}");
        let script =
            format!("vmap 1024; stat; ptdump; {part}; stat; ptdump; vunmap {AREA:#x} reset");
        let booted = boot(&options, &script);
        if booted.answer("vmap 1024").starts_with("refused: ") {
            continue;
        }
        let answer = booted.answer(&part);
        let [before, after] = booted.dumps().try_into().unwrap();
        if answer == "done\n" {
            assert_ne!(after, before);
            assert_eq!(booted.answer(&format!("vunmap {AREA:#x} reset")), "done\n");
            assert!(refused > 0, "it takes no tables");
            return;
        }
        assert!(answer.contains("translation tables are needed and"), "{answer}");
        assert_eq!(after, before);
        let [before, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
        refused += 1;
    }
    panic!("it is never done");
}

#[test]
fn what_is_no_area_is_refused() {
    let script = format!(
        "vmap 4; setmem ro {AREA:#x} 5; setmem ro 0xffff000155555000 1; setmem x {AREA:#x} 1; \
         setmem invalid {AREA:#x} 1; setmem ro {AREA:#x} 1; setmem valid {AREA:#x} 1"
    );
    let booted = boot("", &script);
    let refused = |command: &str, why: &str| {
        let answer = booted.answer(command);
        assert!(answer.starts_with("refused: ") && answer.contains(why), "{answer}");
    };
    refused(&format!("setmem ro {AREA:#x} 5"), "no area holds 0xffff800100000000+0x5000");
    refused("setmem ro 0xffff000155555000 1", "no area holds");
    refused(&format!("setmem x {AREA:#x} 1"), "would be writable and executable");
    refused(&format!("setmem ro {AREA:#x} 1"), "is invalid: make it valid first");
    assert_eq!(booted.answer(&format!("setmem valid {AREA:#x} 1")), "done\n");
}

/// Were one of two addresses of a page made executable alone, the other could still write it.
#[test]
fn an_areas_memory_is_made_executable_by_no_single_address() {
    let look = format!("vmap 1; walk {AREA:#x}");
    let alias = alias(boot("", &look).answer(&format!("walk {AREA:#x}")));
    let script = format!(
        "{look}; ro {AREA:#x} 1; x {AREA:#x} 1; ro {alias:#x} 1; x {alias:#x} 1; ptdump all"
    );
    let booted = boot("", &script);
    for address in [AREA, alias] {
        let answer = booted.answer(&format!("x {address:#x} 1"));
        assert!(answer.contains("has a view besides: setmem changes areas"), "{answer}");
    }
    booted.says("Checked W+X mappings: passed, no W+X pages found");
}
