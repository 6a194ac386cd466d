//! `docs/reach.md`: how far TLBs reach over the maps, and what grows with memory, as tables.

use std::fmt::Write;

use crate::plot::{amount, grouped};
use crate::reach::{MEMORY, Map, Misses, Pattern};
use crate::scaling::{Size, Work};
use crate::tlb::{CORES, Core};

/// The page's text.
#[must_use]
pub fn page(maps: &[Map], misses: &[(Core, Pattern, Vec<Misses>)], sizes: &[Size]) -> String {
    let mut page = String::from(INTRODUCTION);
    for core in CORES {
        add(&mut page, &format!("- {}: {}.\n", core.name, core.source));
    }
    add(&mut page, "\n| core | accesses | ");
    let names: Vec<&str> = maps.iter().map(|map| &*map.name).collect();
    add(&mut page, &format!("{} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(maps.len())));
    for (core, pattern, found) in misses {
        let cells: Vec<String> = found.iter().map(|found| format!("{:.2}", found.walks)).collect();
        let line = format!("| {} | {} | {} |\n", core.name, pattern.name(), cells.join(" | "));
        add(&mut page, &line);
    }
    let leaves: Vec<String> = maps.iter().map(|map| grouped(map.leaves())).collect();
    add(&mut page, &format!("| | leaves, runs being one | {} |\n", leaves.join(" | ")));
    add(&mut page, SCALING);
    for size in sizes {
        let memory = format!("{} GiB", grouped(size.gib));
        let tables = [size.tables_in_blocks, size.tables_in_pages].map(|tables| amount(4 * tables));
        let repaint = size.repaint.map_or_else(|| "not done".to_owned(), work);
        let line = format!(
            "| {memory} | {} | {} | {} | {} | {repaint} |\n",
            tables[0],
            tables[1],
            work(size.map),
            work(size.page)
        );
        add(&mut page, &line);
    }
    page + LINUX
}

fn work(work: Work) -> String {
    format!("{} / {}", grouped(work.loads), grouped(work.stores))
}

/// Writing into a string does not fail.
fn add(page: &mut String, text: &str) {
    let written = page.write_str(text);
    debug_assert!(written.is_ok());
}

const INTRODUCTION: &str = "\
# Reach and scaling

Written by `cargo xtask bench plots`, with the plots. Both are exact, and the same in every run.

## How far a TLB reaches

![TLB misses](plots/reach.svg)

Table walks per 1,000 accesses to 128 GiB, in a model of two cores' TLBs for loads, over maps that the
engine made on its platform for hosts. Two million accesses are counted after as many that fill the
TLBs. The accesses are like those of the discussion of blocks in Linux's linear map: random pages of
a disk in RAM, each read through by cache lines; one line after another, as a file is read out of the
page cache; four lines of a page that Zipf's law chooses, as a cache of objects does. An entry stands
for what its level of the TLB can hold of a leaf or a contiguous run; the least recently used one of a
set goes; the manuals do not say which does. A thousand pages, spread over all of memory, cost a core with
five entries for each of 256 sets most of what blocks gave it: each takes a GiB of reach with it. That is
why folding back matters as much as blocks. The model has no walk caches, no prefetching and no user addresses: it tells entries, not time.

";

const SCALING: &str = "
## What grows with memory

![Table memory](plots/tables.svg)

On the engine's platform for hosts: entries that it reads one by one, and entries that it stores
(entries of bulk effects counted), tables alone. What a page costs does not depend on memory. That
platform has one CPU, and cannot be shared between threads: what changes cost that several CPUs make
at once is for the kernel to say.

| memory | tables in blocks | in pages | map all in blocks: reads / stores | one page read-only | repaint all in pages |
|---|---|---|---|---|---|
";

const LINUX: &str = "
## What a change costs, beside Linux

![Instructions](plots/linux.svg)

Drawn from rows of [performance.md](performance.md), which says how they were counted.

## What more CPUs cost

![Instructions against CPUs](plots/cpus.svg)

From the same page. QEMU counts what all CPUs execute, so a CPU that waits counts too; a change beside
others' is counted with two CPUs and with four. The other CPUs stand still only for what the second line shows.
";

/// That the page says how much memory is accessed, which is a constant elsewhere.
const _: () = assert!(MEMORY.bytes == 128 << 30);
