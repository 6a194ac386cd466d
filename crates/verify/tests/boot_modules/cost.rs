//! What executable memory costs, compared with what its document says.

use blockmap_verify::machine::Booted;

use crate::machine;

/// What a row of the document says: TLB invalidations, barriers, tables.
fn said(step: &str) -> [u64; 3] {
    let document = include_str!("../../../../docs/executable-memory.md");
    let row = document.lines().find_map(|line| line.strip_prefix(&format!("| {step} |")));
    let row = row.unwrap_or_else(|| panic!("no row for {step}"));
    let mut numbers = row.split('|').map(|cell| cell.trim().parse());
    [(); 3].map(|()| numbers.next().unwrap().unwrap())
}

/// What the answers to a command say that it cost, each time.
fn counted(booted: &Booted, command: &str) -> Vec<[u64; 3]> {
    let number = |line: &str, what: &str| {
        let (before, _) = line.split_once(what).unwrap_or_else(|| panic!("{line}"));
        before.split([' ', ',']).rev().find(|word| !word.is_empty()).unwrap().parse().unwrap()
    };
    let lines = booted.answers(command).flat_map(str::lines);
    let effects = lines.filter(|line| line.starts_with("effects: "));
    effects.map(|line| [" TLBI", " DSB", " tables"].map(|what| number(line, what))).collect()
}

#[test]
fn it_costs_what_the_document_says() {
    let script = "count on; modload greeter; modload tables; modunload tables; modunload greeter; \
                  jit 100; jit 200; jitfree 2; jitfree 1; \
                  slot 0x91000400; slot 0x91000400; slotfree 0; slotfree 1";
    let booted = Booted::run(&machine("trace=65536").cpus(2).monitor(script)).succeeded();
    let first = said("`modload`, `jit`: an area, and its first part");
    let more = said("`modload`, `jit`: a part of an area that is there");
    let part = said("`modunload`, `jitfree`: a part");
    let last = said("`modunload`, `jitfree`, `slotfree`: the last part, and the area");
    for (command, cost) in [
        ("modload greeter", vec![first]),
        ("modload tables", vec![more]),
        ("modunload tables", vec![part]),
        ("modunload greeter", vec![last]),
        ("jit 100", vec![first]),
        ("jit 200", vec![more]),
        ("jitfree 2", vec![part]),
        ("jitfree 1", vec![last]),
        ("slot 0x91000400", vec![first, said("`slot`: another slot of a page")]),
        ("slotfree 0", vec![[0; 3]]),
        ("slotfree 1", vec![last]),
    ] {
        assert_eq!(counted(&booted, command), cost, "{command}");
    }
}
