//! The kernel, from the first line on the console to the end of the machine.

use core::fmt;

use blockmap::Terms;
use blockmap::layout::Strategy;
use blockmap::machine::PhysRange;
use blockmap::vmsa::Leaves;
use blockmap_kernel::archive::Archive;
use blockmap_kernel::cmdline::{BootMessages, CommandLine, Disguises, GuardPool, Options};
use blockmap_kernel::devicetree::DeviceTree;
use blockmap_kernel::trace::{Edge, Record};

use crate::act::Monitor;
use crate::arch::boot::BootInfo;
use crate::arch::exit::{self, Status};
use crate::arch::gic::{self, Registers};
use crate::arch::{ground, interrupts};
use crate::console::println;
use crate::cpus;
use crate::disguise;
use crate::firmware::{self, Firmware};
use crate::memory::{self, Facts, Started, Survey, System};
use crate::owners::{guard, hotplug};
use crate::prompt;
use crate::timeline::Marks;
use spin::Once;

/// Called once, with the CPU set up and nothing known of the machine.
pub(crate) fn kernel_main(boot: BootInfo) -> ! {
    let mut marks = Marks::new();
    marks.set_at("entered", boot.timeline.entered);
    marks.set_at("MMU on", boot.timeline.mmu_on);
    marks.set_at("kernel_main", boot.timeline.main);

    let (survey, facts) = match firmware::read(&boot.window) {
        Ok(firmware) => survey(&firmware, &boot, &mut marks),
        Err(error) => give_up(&error),
    };
    let started = match memory::start(boot, &survey, &facts, &mut marks) {
        Ok(started) => started,
        Err(error) => give_up(&error),
    };
    let Started { system, gic, device_tree, archive, planned_tables, painted, guard, hot } =
        started;
    let linear_tables = painted.tables;
    let command_line = command_line(device_tree);
    let options = command_line.options();
    if options.boot_messages == BootMessages::Shown {
        println!("  linear map: {linear_tables} tables below the root, {planned_tables} planned");
    }
    let system = SYSTEM.call_once(|| system);
    system.unmap_free_pages();
    begin_early_guard(system, guard);
    if let Some(hot) = hot {
        hotplug::kept_out(hot);
    }
    bring_up(system, gic, &options);
    marks.set("CPUs started");
    let archive = Archive::new(archive);
    let monitor = Monitor { system, command_line, archive, facts: &facts, marks: &marks, painted };
    prompt::serve(&monitor, options.monitor)
}

/// The running system, where every CPU finds it.
static SYSTEM: Once<System<'static>> = Once::new();

/// The running system, once it runs.
pub(crate) fn system() -> Option<&'static System<'static>> {
    SYSTEM.get()
}

/// Whether an account of what is done to the tables is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    /// Every event is recorded before it happens.
    Kept,
    /// None is.
    Off,
}

/// Whether an account is kept at this moment. While all other CPUs are parked that stays so.
#[inline]
pub(crate) fn account() -> Account {
    match SYSTEM.get() {
        Some(system) if system.recording().is_on() => Account::Kept,
        Some(_) | None => Account::Off,
    }
}

/// Adds to the account of what is done to the tables, once there is one: what a CPU does that another
/// waits for.
pub(crate) fn witness(edge: Edge) {
    if let Some(system) = SYSTEM.get() {
        system.recording().add(Record::Edge(edge));
    }
}

/// Makes the guard pool in the memory that was painted for it, if there is any.
fn begin_early_guard(system: &'static System<'static>, memory: Option<PhysRange>) {
    if memory.is_some()
        && let Err(error) = guard::begin(system, (GuardPool::Early, memory))
    {
        println!("the guard pool is off: {error}");
    }
}

/// Has CPUs interrupt each other from now on, and starts the others.
fn bring_up(system: &'static System<'static>, gic: Option<Registers>, options: &Options<'_>) {
    let Some(registers) = gic else {
        if cpus::announced() > 1 {
            println!("CPUs: the others stay off: no interrupt controller is known here");
        }
        return;
    };
    // SAFETY: the device tree says that the controller is there, and the zone maps it as a device.
    match unsafe { gic::begin(registers) } {
        Ok(()) => interrupts::turn_on(),
        Err(error) => {
            println!("CPUs: the others stay off: {error}");
            return;
        }
    }
    cpus::start_all(system, options);
    if options.boot_messages == BootMessages::Shown && cpus::announced() > 1 {
        let running = cpus::admitted().count();
        let Terms { strategy, tlbi } = system.entrance().terms();
        println!(
            "  {running} of {} CPUs run; strategy: {strategy:?}; TLB invalidation: {tlbi:?}",
            cpus::announced()
        );
    }
}

/// Reads what firmware says, and says so.
fn survey(firmware: &Firmware<'_>, boot: &BootInfo, marks: &mut Marks) -> (Survey, Facts) {
    for complaint in firmware.command_line.complaints() {
        println!("command line: {complaint}");
    }
    let options = firmware.command_line.options();
    disguise_boot_cpu(boot, &options);
    cpus::announce(&firmware.tree, options.park_fault);
    let facts = Facts::of(&options);
    if options.boot_messages == BootMessages::Shown {
        say_what_was_found(&facts, boot, &options);
    }
    match Survey::of(firmware, boot) {
        Ok(survey) => {
            marks.set("firmware read");
            (survey, facts)
        }
        Err(error) => give_up(&error),
    }
}

/// Has this CPU say what the command line says that it is, and the others when they start.
fn disguise_boot_cpu(boot: &BootInfo, options: &Options<'_>) {
    if options.disguises == Disguises::default() {
        return;
    }
    match disguise::put_on(options.disguises.of(0), boot.entered_at) {
        Ok(()) => {
            disguise::keep(&options.disguises);
            ground::report_anew();
        }
        Err(error) => println!("command line: {error}"),
    }
}

/// The command line, in the device tree that was read before.
fn command_line(device_tree: &'static [u8]) -> CommandLine<'static> {
    let text = DeviceTree::new(device_tree).and_then(|tree| tree.command_line());
    CommandLine::new(text.unwrap_or_default())
}

fn say_what_was_found(facts: &Facts, boot: &BootInfo, options: &Options<'_>) {
    let Facts { midr, size_change: (change, why), terms, decision, .. } = facts;
    println!("blockmap {}, loaded at {}", env!("CARGO_PKG_VERSION"), boot.load);
    println!("  entered at {}, device tree at {}", boot.entered_at, boot.dtb);
    let name = midr.name().unwrap_or("CPU of unknown design");
    println!("  {name}, MIDR {:#010x}; memory tags: {:?}", midr.value(), facts.mte);
    println!("  live size changes: {change:?} ({why}); TLB invalidation: {:?}", terms.tlbi);
    let consequence = match terms.strategy {
        Strategy::Live => "leaves are split while they are in use",
        Strategy::Quiesce => "leaves are split while other CPUs are parked",
        Strategy::Pages => "no leaf is ever split",
    };
    println!("  strategy: {:?}: {consequence}", terms.strategy);
    let leaves = match decision.leaves {
        Leaves::Largest => "the largest leaves",
        Leaves::Pages => "pages",
    };
    println!("  linear map in {leaves}: {}; rodata={}", decision.why, options.rodata.name());
}

/// Ends a machine that can't be started.
fn give_up(error: &dyn fmt::Display) -> ! {
    println!("blockmap can't start: {error}");
    exit::exit(Status::Unstartable)
}
