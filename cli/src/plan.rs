//! `plan`: what a memory map costs in blocks and in pages, and which of the two a machine gets.

mod cost;
mod cpus;
mod iomem;
mod memory;
mod tree;

use std::io::Write as _;

use anyhow::{Result, anyhow, bail};
use blockmap_dump::Size;
use blockmap_dump::vmsa::machine::PhysRange;
use blockmap_dump::vmsa::{Granule, Leaves};
use blockmap_layout::{DebugPagealloc, FirmwareMap, Inputs, LateGuard, Rodata, Strategy, World};
use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::explain::GranuleName;
use crate::number::{Bytes, Hex, grouped, percent};
use crate::screen::{Columns, Form, GOOD, HEAD, NOTE, Outcome, Screen, plain, right};
use cost::{Cost, cost, geometry};
use cpus::{Cpu, Cpus, Mode};

const EXAMPLES: &str = "\
Examples:
  blockmap plan 512G@0x80000000
  blockmap plan 2G@0x80000000,254G@0x880000000 --cpu AmpereOne --cpu 'Neoverse N1'
  sudo blockmap plan /proc/iomem --cpuinfo /proc/cpuinfo
  blockmap plan /sys/firmware/fdt --rodata noalias --json";

/// Options of `plan`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = ArgGroup::new("list").args(["cpu", "cpuinfo"]))]
pub(crate) struct Options {
    /// Lines of /proc/iomem, a device tree (dtb), `-`, or banks typed as SIZE@START with commas.
    map: String,
    /// A CPU of the machine, by name (`Neoverse V2 r0p1`) or MIDR; the boot CPU first.
    #[arg(long, value_name = "NAME|MIDR")]
    cpu: Vec<String>,
    /// The CPUs that this file lists, as /proc/cpuinfo does.
    #[arg(long, value_name = "FILE")]
    cpuinfo: Option<String>,
    /// What ID_AA64MMFR2_EL1.BBM holds on these CPUs; /proc/cpuinfo does not tell.
    #[arg(long, default_value_t = 0, value_name = "0-15", value_parser = clap::value_parser!(u8).range(0..16), requires = "list")]
    bbm: u8,
    /// The kernel's `rodata=`: on, noalias or off.
    #[arg(long, default_value = "on")]
    rodata: Rodata,
    /// Free pages are unmapped one by one (`debug_pagealloc=on`).
    #[arg(long)]
    debug_pagealloc: bool,
    /// KFENCE may be switched on late: CONFIG_KFENCE with a sample interval of 0.
    #[arg(long)]
    late_kfence: bool,
    /// The machine is a Realm (CCA).
    #[arg(long)]
    realm: bool,
    /// This granule only.
    #[arg(long)]
    granule: Option<GranuleName>,
    /// Bits of a virtual address: 48, 39, 52 and others that there are.
    #[arg(long, default_value_t = 48)]
    va_bits: u32,
}

#[derive(Serialize)]
struct Answer {
    memory: Memory,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<Boot>,
    costs: Vec<Cost>,
    impossible: Vec<Impossible>,
}

#[derive(Serialize)]
struct Memory {
    source: &'static str,
    bytes: u64,
    banks: Vec<Bank>,
    image: bool,
}

#[derive(Serialize)]
struct Bank {
    start: Hex,
    bytes: u64,
}

#[derive(Serialize)]
struct Boot {
    cpus: Vec<Cpu>,
    mode: Mode,
    why: String,
}

#[derive(Serialize)]
struct Impossible {
    page_bytes: u64,
    why: String,
}

/// Runs `plan`.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let (firmware, source) = memory::read(&options.map)?;
    let answer = Answer {
        memory: summary(&firmware, source),
        boot: boot(options)?,
        costs: Vec::new(),
        impossible: Vec::new(),
    };
    let answer = with_costs(answer, options, &firmware);
    if let (true, Some(first)) = (answer.costs.is_empty(), answer.impossible.first()) {
        return Err(anyhow!("{}", first.why).context("this memory cannot be mapped"));
    }
    match screen.form() {
        Form::Json => screen.document("blockmap.plan/1", &answer)?,
        Form::Text => write_text(&answer, screen)?,
    }
    Ok(Outcome::Clean)
}

fn summary(firmware: &FirmwareMap, source: &'static str) -> Memory {
    let bank = |bank: &PhysRange| Bank { start: Hex(bank.start().value()), bytes: bank.bytes() };
    let banks: Vec<_> = firmware.banks().iter().map(bank).collect();
    let bytes = banks.iter().fold(0, |sum: u64, bank| sum.saturating_add(bank.bytes));
    Memory { source, bytes, banks, image: firmware.image().is_some() }
}

/// The CPUs and what follows from them, if any were named.
fn boot(options: &Options) -> Result<Option<Boot>> {
    let cpus = match &options.cpuinfo {
        Some(path) => Cpus::listed(path, options.bbm)?,
        None if options.cpu.is_empty() => return Ok(None),
        None => Cpus::typed(&options.cpu, options.bbm)?,
    };
    let inputs = Inputs {
        rodata: options.rodata,
        debug_pagealloc: if options.debug_pagealloc {
            DebugPagealloc::On
        } else {
            DebugPagealloc::Off
        },
        late_guard: if options.late_kfence { LateGuard::Possible } else { LateGuard::Never },
        world: if options.realm { World::Realm } else { World::Ordinary },
        strategy: Strategy::Pages,
    };
    if cpus.0.is_empty() {
        bail!("no CPU was named");
    }
    let (mode, why) = cpus.mode(inputs);
    Ok(Some(Boot { cpus: cpus.0, mode, why }))
}

/// Adds what each granule costs, or why it can't be.
fn with_costs(mut answer: Answer, options: &Options, firmware: &FirmwareMap) -> Answer {
    let granule = options.granule.map(Granule::from);
    for granule in
        Granule::ALL.into_iter().filter(|one| granule.is_none_or(|wanted| wanted == *one))
    {
        let of = |leaves| {
            geometry(granule, options.va_bits)
                .and_then(|geometry| cost(firmware, geometry, options.rodata, leaves))
        };
        match (of(Leaves::Largest), of(Leaves::Pages)) {
            (Ok(blocks), Ok(pages)) => answer.costs.extend([blocks, pages]),
            (Err(why), _) | (_, Err(why)) => {
                answer.impossible.push(Impossible { page_bytes: granule.bytes(), why });
            }
        }
    }
    answer
}

fn write_text(answer: &Answer, screen: &mut Screen) -> Result<()> {
    let Answer { memory, boot, costs, impossible } = answer;
    let banks = if memory.banks.len() == 1 { "bank" } else { "banks" };
    write!(screen, "{HEAD}{}{HEAD:#} in {} {banks}", Bytes(memory.bytes), memory.banks.len())?;
    let image = if memory.image { ", with a kernel image" } else { "" };
    writeln!(screen, " ({}{image})", memory.source)?;
    if let Some(boot) = boot {
        write_boot(boot, screen)?;
    }
    writeln!(screen)?;
    let headings = ["granule", "leaves", "tables", "table memory", "of memory", "TLB entries"];
    let mut columns = Columns::headed(
        headings
            .into_iter()
            .enumerate()
            .map(|(index, heading)| if index < 2 { plain(heading) } else { right(heading) }),
    );
    for cost in costs {
        columns.row([
            plain(Size::of(cost.page_bytes)),
            plain(cost.leaves),
            right(grouped(cost.tables)),
            right(Bytes(cost.table_bytes)),
            right(percent(cost.table_bytes, memory.bytes)),
            right(grouped(cost.tlb_entries)),
        ]);
    }
    columns.write(0, screen)?;
    for Impossible { page_bytes, why } in impossible {
        writeln!(screen, "{}: {NOTE}not possible{NOTE:#}: {why}", Size::of(*page_bytes))?;
    }
    writeln!(screen)?;
    for pair in costs.chunks_exact(2) {
        let [blocks, pages] = pair else { continue };
        let saved = pages.table_bytes.saturating_sub(blocks.table_bytes);
        let sizes =
            blocks.sizes.iter().map(|size| format!("{} x {}", size.count, Size::of(size.bytes)));
        let sizes: Vec<_> = sizes.collect();
        let granule = Size::of(blocks.page_bytes);
        writeln!(screen, "{granule}: blocks save {}; they are {}", Bytes(saved), sizes.join(", "))?;
    }
    Ok(())
}

fn write_boot(boot: &Boot, screen: &mut Screen) -> Result<()> {
    let mut columns = Columns::default();
    for cpu in &boot.cpus {
        let style = if cpu.size_change == "quiet" { GOOD } else { NOTE };
        columns.row([
            right(format!("{} x", cpu.count)),
            plain(&cpu.name),
            plain(cpu.size_change).style(style),
            plain(&cpu.why),
        ]);
    }
    columns.write(0, screen)?;
    let mode = match boot.mode {
        Mode::Blocks => "blocks",
        Mode::Pages => "pages",
        Mode::Repainted => "blocks, repainted to pages before the other CPUs run",
    };
    writeln!(screen, "The linear map is painted in {HEAD}{mode}{HEAD:#}: {}.", boot.why)?;
    Ok(())
}
