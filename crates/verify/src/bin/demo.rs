//! `cargo xtask demo`: one screen for a newcomer. A memory map, the plan, one live split with what
//! a walker may see after each step, and the same with one barrier removed.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

use std::error::Error;

use blockmap_layout::{FirmwareMap, Image, LinearPlan, MemoryMap, Paint, Rodata};
use blockmap_machine::{Barrier, Event, PhysAddr, PhysRange};
use blockmap_model::explore::{Options, explore};
use blockmap_model::program::{Program, Step};
use blockmap_verify::scenario::{LIVE, SCENARIOS};
use blockmap_vmsa::cpu::Mte;
use blockmap_vmsa::{Geometry, Leaves};

const GIB: u64 = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    plan()?;
    let split = SCENARIOS
        .iter()
        .find(|scenario| scenario.name == "split a GiB down to a page")
        .ok_or("the scenario is gone")?;
    let program = split.record(LIVE, 2);
    println!(
        "\nOne page in the middle of the first GiB is to get a permission of its own. The split, live:\n"
    );
    timeline(&program);
    println!("\nThe model explores all that two CPUs may do with that:");
    judge(&program)?;
    println!("\nThe same without the `dsb ishst`:");
    judge(&without_barrier(program))?;
    Ok(())
}

/// A machine's memory, and what its linear map will be made of.
fn plan() -> Result<(), Box<dyn Error>> {
    let memory = |start, bytes| PhysRange::new(PhysAddr::new(start), bytes).ok_or("no range");
    let mut firmware = FirmwareMap::new();
    firmware.add_bank(PhysAddr::new(GIB), 12 * GIB)?;
    firmware.set_image(Image {
        load: memory(0x4020_0000, 0x10_0000)?,
        text: memory(0x4020_0000, 0x4_0000)?,
        rodata: memory(0x4024_0000, 0x2_0000)?,
    });
    let map = MemoryMap::new(&firmware, Geometry::KERNEL_4K_48)?;
    println!("12 GiB of memory from {GIB:#x} on, a kernel image at 0x40200000.");
    println!("The linear map, before anything is written:\n");
    let paint = Paint::of_kernel(Rodata::On, Mte::Missing);
    let blocks = LinearPlan::new(&map, paint, Leaves::Largest);
    for piece in blocks.pieces() {
        let kind = if piece.size.run.is_some() { "runs of" } else { "leaves of" };
        let (kib, access) = (piece.size.bytes() >> 10, piece.attributes.access);
        println!("  {} {:>4} {kind:<9} {kib:>8} KiB  {access:?}", piece.input, piece.count);
    }
    let pages = LinearPlan::new(&map, paint, Leaves::Pages).table_counts();
    let tables = blocks.table_counts().total();
    println!("\n  {tables} tables; in pages it would be {}.", pages.total());
    Ok(())
}

/// Each effect, and what a walker may find at the page's address once it is visible.
fn timeline(program: &Program) {
    let mut linked = false;
    for event in program.cpus[0].steps.iter().filter_map(Step::event) {
        let into_live_table =
            matches!(event, Event::Store { entry, .. } if is_first_table(program, entry.table));
        linked |= into_live_table;
        let sees = if linked { "the block, or the small leaves" } else { "the block" };
        println!("  {:<58} a walker sees {sees}", event.to_string());
    }
}

/// Whether the table was there before the split.
fn is_first_table(program: &Program, table: PhysAddr) -> bool {
    let mut before = program.initially.iter();
    before.any(|event| matches!(event, Event::Fill { span, .. } if span.table == table))
}

fn judge(program: &Program) -> Result<(), Box<dyn Error>> {
    let report = explore(program, Options::QUICK)?;
    println!(
        "  {} slices, {} states, {} transitions",
        report.slices, report.states, report.transitions
    );
    match report.verdicts.first() {
        None => {
            println!("  nothing is wrong: every address translates as before, at every instant");
        }
        Some(verdict) => verdict.to_string().lines().for_each(|line| println!("  {line}")),
    }
    Ok(())
}

/// The program without the barrier that publishes the new tables.
fn without_barrier(mut program: Program) -> Program {
    let publish = Step::Effect(Event::Barrier(Barrier::DsbIshst));
    program.cpus[0].steps.retain(|step| *step != publish);
    program
}
