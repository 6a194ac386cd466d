//! Tables that lie in the very leaf that is split: an allocator whose memory is all in one block
//! gets its next tables out of that block, while it is being replaced.

use crate::{ABORTS, BREAKS, QUIET, all_done};
use blockmap_verify::machine::{Booted, Config};

/// All free memory below here is taken, so tables come from the block of 1 GiB that begins here.
const BLOCK: u64 = 0x8000_0000;
const TAKE: &str = "vmap 270000";
const PAGE: &str = "0xffff000055555000";

/// What takes all tables that are kept ready once [`TAKE`] was done, wherever they lie: a page out of a block
/// takes two, and another of the same GiB one.
fn drain() -> String {
    let booted = Booted::run(&Config::new("5G").monitor(&format!("{TAKE}; stat"))).succeeded();
    let [stat] = &booted.stats()[..] else { panic!("stat was asked once") };
    let pages = stat.tables_ready.checked_sub(1).expect("none is ready, or two or more are");
    let page = |number: u64| format!("ro {:#x} 1; ", 0xffff_0001_0000_1000 + (number << 21));
    (0..pages).map(page).collect()
}

/// The tables that a walk led through below level 1.
fn tables_of(walk: &str) -> Vec<u64> {
    let below = |line: &&str| line.starts_with("level  2") || line.starts_with("level  3");
    let table = |line: &str| {
        let (_, rest) = line.split_once("  0x")?;
        u64::from_str_radix(rest.split_once('[')?.0, 16).ok()
    };
    walk.lines().filter(below).filter_map(table).collect()
}

#[test]
fn a_block_is_split_into_tables_that_lie_in_it() {
    let drain = drain();
    for (cpu, strategy) in [(QUIET, "Live"), (ABORTS, "Quiesce"), (BREAKS, "Quiesce")] {
        let walk = format!("walk {PAGE}");
        let change = format!("ro {PAGE} 1");
        let script = format!("strategy; {TAKE}; {drain}{change}; {walk}; poke {PAGE} 1");
        let config = Config::new("5G").cpu(cpu).cpus(2).monitor(&script);
        let booted = Booted::run(&config).succeeded();
        assert!(booted.answer("strategy").starts_with(&format!("{strategy}: ")));
        all_done(&booted, &[&change]);
        let tables = tables_of(booted.answer(&walk));
        let in_block = |table: &u64| (BLOCK..BLOCK + (1 << 30)).contains(table);
        assert!(tables.len() == 2 && tables.iter().all(in_block), "{tables:x?}");
        let [_, level_3] = tables[..] else { unreachable!() };
        booted.says("fault: permission fault");

        // Now the leaf goes that shows these two.
        let near = 0xffff_0000_0000_0000 + (level_3 - 0x4000_0000) + 0x10_0000;
        let again = format!("ro {near:#x} 1");
        let script = format!("{TAKE}; {drain}{change}; {again}; walk {near:#x}; {walk}; stat");
        let config = Config::new("5G").cpu(cpu).cpus(2).monitor(&script);
        let booted = Booted::run(&config).succeeded();
        all_done(&booted, &[&change, &again]);
        assert_eq!(tables_of(booted.answer(&walk)), tables);
        assert!(booted.answer(&format!("walk {near:#x}")).contains("4K page, r--"));
    }
}
