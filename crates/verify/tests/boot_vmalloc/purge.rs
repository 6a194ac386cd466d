//! Areas that were freed: out of use at once, forgotten together, and used again only then.

use std::fs;
use std::path::PathBuf;

use blockmap_machine::Event;
use blockmap_model::judge::judge;
use blockmap_model::program::{Program, Step};
use blockmap_model::replay::judge_end;
use blockmap_model::text::read;

use super::{AREA, alias, boot, effects, none_is_lost};

#[test]
fn areas_are_freed_together_and_by_one_invalidation() {
    let areas = [AREA, AREA + 0x2000, AREA + 0x4000, AREA + 0x20_0000].map(|at| format!("{at:#x}"));
    let free: Vec<String> = areas.iter().map(|at| format!("vunmap {at}")).collect();
    let script = format!(
        "stat; ptdump; vmap 1; vmap 1; vmap 3; vmap 600; count on; {}; peek {}; areas; stat; vmap 2; \
         purge; purge; areas; vunmap {:#x}; purge; stat; ptdump",
        free.join("; "),
        areas[0],
        AREA + 0x8000,
    );
    let booted = boot("trace=8192", &script);
    for command in &free {
        // Entries are invalid, and the walkers are told: no TLB is.
        let [_, tlbi, dsb, _] = effects(booted.answer(command));
        assert_eq!([tlbi, dsb], [0, 1], "{command}");
    }
    let peeked = booted.answer(&format!("peek {}", areas[0]));
    assert!(peeked.starts_with("fault: translation fault"), "{peeked}");
    let listed: Vec<&str> = booted.answers("areas").collect();
    assert_eq!(listed[0].matches("freed, waits for a purge").count(), 4, "{}", listed[0]);
    assert_eq!(listed[1].lines().last(), Some("1 areas"), "{}", listed[1]);
    let purged: Vec<&str> = booted.answers("purge").collect();
    let [_, tlbi, dsb, _] = effects(purged[0]);
    assert_eq!([tlbi, dsb], [1, 2], "{}", purged[0]);
    assert!(purged[0].ends_with("4 areas\n") && purged[1].ends_with("0 areas\n"), "{purged:?}");
    // Neither addresses nor frames are used again before the purge.
    let [before, waiting, after] = booted.stats().try_into().unwrap();
    assert_eq!(waiting.frames["used"], before.frames["used"] + 605);
    assert_eq!(booted.answer("vmap 2").lines().last(), Some("0xffff800100008000+0x2000"));
    none_is_lost(&before, &after);
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
}

#[test]
fn what_waits_is_purged_when_it_is_much_or_missing() {
    // Sixteen areas wait; the seventeenth has them purged.
    let many = (0..17).map(|at| format!("vunmap {:#x}", AREA + at * 0x2000)).collect::<Vec<_>>();
    let script = format!("{}{}; areas; purge", "vmap 1; ".repeat(17), many.join("; "));
    let booted = boot("", &script);
    assert_eq!(booted.answer("purge"), "1 areas\n");
    // 32 MiB do not wait.
    let booted = boot("", &format!("vmap 8192; vunmap {AREA:#x}; areas"));
    assert_eq!(booted.answer("areas"), "0 areas\n");
    // A large area needs the memory of one that waits: 4 GiB are there, and less than 2 waits.
    let script = format!("vmap 8191; vunmap {AREA:#x}; stat; vmap 1044000; areas");
    let booted = boot("", &script);
    assert!(booted.answer("vmap 1044000").starts_with("0xffff8001"), "{}", booted.console);
    assert!(booted.answer("areas").ends_with("1 areas\n"), "{}", booted.console);
}

/// The trace of a boot that does this.
fn traced(name: &str, script: &str) -> Program {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("purge-{name}"));
    let _ = fs::remove_file(&path);
    let booted = boot("trace=65536", &format!("{script}; trace dump {}", path.display()));
    let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", booted.console));
    assert!(text.contains("\n# dropped records: 0\n"), "{text}");
    read(&text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn memory_of_an_area_becomes_code_only_after_the_purge() {
    let found = boot("trace=65536", &format!("vmap 1; walk {AREA:#x}"));
    let view = alias(found.answer(&format!("walk {AREA:#x}")));
    // The freed area's frame: read-only in the linear map, and then code there.
    let script = format!(
        "vmap 1; trace off; trace on; vunmap {AREA:#x}; purge; ro {view:#x} 1; x {view:#x} 1"
    );
    let mut program = traced("code", &script);
    let verdicts = [judge_end(&program), judge(&program).verdicts].concat();
    assert_eq!(verdicts, []);
    // Before the purge the page may still be written through a TLB: it becomes no code.
    let script = format!("vmap 1; vunmap {AREA:#x}; ro {view:#x} 1; x {view:#x} 1; purge");
    let early = boot("trace=65536", &script);
    let refused = early.answer(&format!("x {view:#x} 1"));
    assert!(refused.contains("has a view besides"), "{refused}");
    // And without the purge's invalidation it is never gone.
    let steps = &mut program.cpus[0].steps;
    let is_tlbi = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(_)));
    let first = steps.iter().position(is_tlbi).unwrap();
    steps.remove(first);
    let rules = judge(&program).verdicts;
    let rules: Vec<&str> = rules.iter().map(|verdict| verdict.rule.key()).collect();
    assert!(rules.contains(&"stale-until-invalidated"), "{rules:?}");
}

#[test]
fn pages_of_the_linear_map_go_and_come_with_and_without_a_flush() {
    let [one, other] = ["0xffff000085555000 3", "0xffff0000a5555000 1"];
    let script = format!(
        "stat; ptdump linear; count on; direct later {one}; direct later {other}; purge; \
         direct valid {one}; ro {one}; direct invalid {one}; direct default {one}; \
         direct default {other}; heal; stat; ptdump linear"
    );
    let booted = boot("trace=65536", &script);
    for page in [one, other] {
        let answer = booted.answer(&format!("direct later {page}"));
        // What is split is published; the pages are invalid; no TLB is told.
        assert_eq!(effects(answer)[1], 0, "{answer}");
        assert!(answer.ends_with(": not present\n"), "{answer}");
    }
    let [_, tlbi, dsb, _] = effects(booted.answer("purge"));
    assert_eq!([tlbi, dsb], [2, 2]);
    assert!(booted.answer(&format!("direct valid {one}")).ends_with(": present\n"));
    assert!(booted.answer(&format!("direct invalid {one}")).ends_with(": not present\n"));
    assert!(booted.answer(&format!("direct default {one}")).ends_with(": present\n"));
    let [before, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
}
