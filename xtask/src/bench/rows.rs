//! What is measured: machines, and their rows.

use super::row::{Boot, Row, Step};

use Step::{Do, Once, Over, Painted, Twice};

const fn row(
    name: &'static str,
    commands: &'static [&'static str],
    linux: &'static str,
    aim: &'static str,
) -> Row {
    Row { name, commands, changes: 1, linux, aim }
}

const fn each(name: &'static str, commands: &'static [&'static str], changes: u64) -> Row {
    Row { changes, ..row(name, commands, "", "") }
}

const PAINT: &[&str] = &[];

/// Takes two of the tables that are allocated together, and leaves the others for the rows to find.
const READY: Step = Do("split @0x240001000 1");

// Each finds what the rows above it left: the second makes 32 MiB runs of a GiB, and so on.
const LIVE: &[Step] = &[
    Painted(row("the linear map painted in blocks", PAINT, "83,614", "8,000")),
    Twice(row(
        "one page invalid, out of a 1 GiB block, and tables for the next",
        &["invalid @0x255555000 1"],
        "20,618",
        "",
    )),
    Twice(row(
        "one page invalid, out of a 1 GiB block",
        &["invalid @0x15555000 1"],
        "20,618",
        "1,800",
    )),
    Twice(row("out of a 32 MiB run", &["invalid @0x5555000 1"], "11,391", "")),
    Twice(row("out of a 2 MiB block", &["invalid @0x4355000 1"], "11,112", "")),
    Twice(row("out of a 64 KiB run", &["invalid @0x4305000 1"], "851", "")),
    Twice(row("already a page", &["invalid @0x15557000 1"], "531", "120")),
    Twice(row("the same valid", &["valid @0x15557000 1"], "555", "")),
    Twice(row("1 GiB invalid, a block", &["invalid @0x80000000 262144"], "396", "150")),
    Twice(row("the same valid", &["valid @0x80000000 262144"], "405", "150")),
];

// The first area keeps those below it out of memory that is in small leaves; they begin after it and its
// tables. The second is in pages, as Linux's are, and the rows are pages of it.
const VIEWS: &[Step] = &[
    Do("vmap 524288"),
    Do("vmap 16384 pages"),
    Do("vmap 512"),
    READY,
    Twice(row(
        "one page, out of a 1 GiB block",
        &["setmem ro 0xffff800182105000 1"],
        "25,067",
        "2,000",
    )),
    Twice(row("out of a 32 MiB run", &["setmem ro 0xffff800184205000 1"], "15,733", "1,200")),
    Twice(row("out of a 2 MiB block", &["setmem ro 0xffff800182405000 1"], "15,561", "1,200")),
    Twice(row("out of a 64 KiB run", &["setmem ro 0xffff800182125000 1"], "5,193", "450")),
    Twice(row("already a page", &["setmem ro 0xffff800182106000 1"], "4,441", "300")),
    Twice(row("2 MiB", &["setmem ro 0xffff800180200000 512"], "342,969", "")),
    Do("setmem rw 0xffff800180200000 512"),
    Twice(row("2 MiB again", &["setmem ro 0xffff800180200000 512"], "321,454", "2,500")),
    Do("vunmap 0xffff800180200000 reset"),
    Do("vunmap 0xffff800182000000 reset"),
    Do("vunmap 0xffff800100000000"),
    Do("purge"),
    Do("heal all"),
];

const AREA: &str = "vunmap 0xffff800100000000";
const RESET: &str = "vunmap 0xffff800100000000 reset";
const WRITABLE: &str = "setmem rw 0xffff800100000000 16384";
const READ_ONLY: &[&str] = &["setmem ro 0xffff800100000000 16384"];

const RUNS: &[Step] = &[
    Do("scatter 1024"),
    Do("vmap 16384"),
    Twice(row("64 MiB in blocks", READ_ONLY, "10,831,320", "")),
    Do(WRITABLE),
    Twice(row("64 MiB in blocks again", READ_ONLY, "10,165,153", "8,000")),
    Do(WRITABLE),
    Twice(row("64 MiB in blocks freed", &[AREA, "purge"], "", "")),
    Do("vmap 16384"),
    Do("setmem ro 0xffff800100000000 16384"),
    Twice(row("freed with permissions reset", &[RESET, "purge"], "", "")),
    Over(row("dearer by", &[], "", "130,000")),
    Do("vmap 16384 pages"),
    Twice(row("64 MiB in pages", READ_ONLY, "10,800,472", "")),
    Do(WRITABLE),
    Twice(row("64 MiB in pages again", READ_ONLY, "10,165,153", "130,000")),
    Do(WRITABLE),
    Twice(row("64 MiB in pages freed", &[AREA, "purge"], "3,014,378", "")),
    Do("vmap 16384 pages"),
    Do("setmem ro 0xffff800100000000 16384"),
    Twice(row("freed with permissions reset", &[RESET, "purge"], "21,336,477", "")),
    Over(row("dearer by", &[], "18,322,099", "130,000")),
    Do("heal all"),
];

const SMALL: &[&str] = &["vmap 16", AREA, "purge"];
const MIDDLE: &[&str] = &["vmap 512", AREA, "purge"];
const MODULE: &[&str] = &["modload greeter", "modrun greeter 1", "modunload greeter"];
const HALF: &[&str] = &["vmap 16"];

// The first of each is no row: it leaves tables that the others find.
const OWNERS: &[Step] = &[
    Do("vmap 16"),
    Do(AREA),
    Do("purge"),
    Twice(row("64 KiB taken", HALF, "", "")),
    Do(AREA),
    Do("purge"),
    Twice(row("64 KiB taken and freed", SMALL, "", "")),
    Twice(row("2 MiB taken and freed", MIDDLE, "95,460 to free", "")),
    Do("modload greeter"),
    Do("modunload greeter"),
    Twice(row("a module loaded, run, unloaded", MODULE, "", "")),
];

const CYCLES: &[Step] = &[Once(row(
    "tables after a thousand cycles",
    &["cycles 1000 7", "heal all", "stat"],
    "90",
    "3",
))];

const PARKED: &[Step] = &[
    READY,
    Twice(row("one page read-only, out of a 1 GiB block", &["ro @0x15555000 1"], "", "")),
    Do("heal all"),
    Once(row("all of 12 GiB repainted in pages", &["repaint pages"], "64,901,567", "7,000,000")),
];

const PAGES: &[Step] = &[
    Painted(row("the linear map painted in pages", PAINT, "42,220,008", "7,000,000")),
    Twice(row("walk of it all, nothing to do", &["repaint pages"], "60,411,831", "6,300,000")),
    Twice(row("one page invalid", &["invalid @0x15555000 1"], "405", "120")),
    Twice(row("1 GiB invalid", &["invalid @0x80000000 262144"], "7,915,327", "1,600,000")),
    Twice(row("the same valid", &["valid @0x80000000 262144"], "10,798,905", "1,600,000")),
    Do("carve take @0xc0000000 262144"),
    Twice(row(
        "1 GiB invalid, held",
        &["carve invalid @0xc0000000 262144"],
        "7,915,327",
        "800,000",
    )),
    Twice(row("the same valid", &["carve valid @0xc0000000 262144"], "10,798,905", "800,000")),
    Do("carve free @0xc0000000 262144"),
];

const PAGE: &[Step] =
    &[READY, Twice(row("one page read-only, out of a 1 GiB block", &["ro @0x15555000 1"], "", ""))];

const TWO: &[Step] = &[
    Twice(each("a change, each CPU in slots of its own", &["writers 100"], 400)),
    Twice(each("a change, all in the same slot", &["writers 100 same"], 400)),
];

const FOUR: &[Step] = &[
    Twice(each("a change, each CPU in slots of its own", &["writers 100"], 800)),
    Twice(each("a change, all in the same slot", &["writers 100 same"], 800)),
];

const QUIET: &str = "max,midr=0xc00fac30";
const QUIESCE: &str = "size-change=quiesce";

const fn boot(name: &'static str, cpu: &'static str, steps: &'static [Step]) -> Boot {
    Boot { name, cpu, cpus: 1, options: "", steps }
}

const fn with(options: &'static str, boot: Boot) -> Boot {
    Boot { options, ..boot }
}

const fn several(cpus: u32, boot: Boot) -> Boot {
    Boot { cpus, ..boot }
}

/// All machines.
pub(super) const BOOTS: [Boot; 14] = [
    boot("the linear map alone, sizes change live", QUIET, LIVE),
    boot("areas read-only, and the linear map with them", QUIET, VIEWS),
    boot("areas read-only, in 16 pieces of memory", QUIET, RUNS),
    boot("owners, the map in blocks", QUIET, OWNERS),
    with("size-change=never", boot("owners, the map in pages", "max", OWNERS)),
    boot("what stays behind", QUIET, CYCLES),
    with(QUIESCE, boot("others are parked, this CPU is quiet", QUIET, PARKED)),
    boot("others are parked, this CPU needs a break", "cortex-a72", PARKED),
    with("size-change=never", boot("the linear map alone, in pages", "max", PAGES)),
    several(2, with(QUIESCE, boot("2 CPUs, one parked", QUIET, PAGE))),
    several(4, with(QUIESCE, boot("4 CPUs, three parked", QUIET, PAGE))),
    several(8, with(QUIESCE, boot("8 CPUs, seven parked", QUIET, PAGE))),
    several(2, boot("2 CPUs change rights at once", QUIET, TWO)),
    several(4, boot("4 CPUs change rights at once", QUIET, FOUR)),
];
