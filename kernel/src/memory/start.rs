//! From start-up's map to the kernel's.

use core::sync::atomic::AtomicU64;

use blockmap::Space;
use blockmap::layout::{DebugPagealloc, FirmwareMap, Image, LinearPlan, MemoryMap, Paint};
use blockmap::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap_hw::{Cpu, Window, ticks};
use blockmap_kernel::devicetree::Gic;
use blockmap_kernel::frames::{FRAME_BYTES, Frames, Purpose};
use blockmap_kernel::identity::Needs;
use blockmap_kernel::own::Own;
use blockmap_kernel::trace::Recording;

use super::address_map::{FRAME_STATES, TRACE};
use super::arena::Arena;
use super::error::StartError;
use super::facts::Facts;
use super::recorded::{self, Recorded};
use super::set_aside::SetAside;
use super::system::{Parts, System};
use super::{gic, hook, pagealloc, paint, pinned};
use crate::arch::boot::BootInfo;
use crate::arch::boot_window::{BootWindow, Contents};
use crate::arch::gic::Registers;
use crate::arch::{image, ttbr};
use crate::console::{self, pause};
use crate::cpus;
use crate::firmware::Firmware;
use crate::referee::{self, Asked};
use crate::tally::Tally;
use crate::timeline::Marks;

/// What firmware says of memory: nothing of it is checked against the rest yet.
pub(crate) struct Survey {
    firmware: FirmwareMap,
    device_tree: PhysRange,
    uart: Option<PhysAddr>,
    gic: Option<Gic>,
    /// Memory that is kept out until it is added.
    hot: Option<PhysRange>,
    /// How many CPUs there are.
    cpus: u32,
}

/// The kernel's map, in use.
pub(crate) struct Started<'a> {
    /// The running system.
    pub(crate) system: System<'a>,
    /// Where the zone has the interrupt controller's registers, if there is one.
    pub(crate) gic: Option<Registers>,
    /// The device tree where the linear map has it.
    pub(crate) device_tree: &'static [u8],
    /// What the boot loader handed over besides, where the linear map has it; nothing where there is
    /// none.
    pub(crate) archive: &'static [u8],
    /// Tables below the root that the linear map was planned to take.
    pub(crate) planned_tables: u64,
    /// What painting it took.
    pub(crate) painted: Painted,
    /// Where a guard pool is to be that comes early.
    pub(crate) guard: Option<PhysRange>,
    /// Memory that is kept out until it is added.
    pub(crate) hot: Option<PhysRange>,
}

/// What painting the linear map took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Painted {
    /// Tables below the root.
    pub(crate) tables: u64,
    /// Ticks of the counter, without those that reading it takes; more where effects are recorded.
    pub(crate) ticks: u64,
    /// What was done, if it was recorded.
    pub(crate) effects: Option<Tally>,
}

impl Survey {
    /// Collects what the device tree says, and where the image and the tree itself are.
    pub(crate) fn of<'t>(firmware: &Firmware<'t>, boot: &BootInfo) -> Result<Self, StartError<'t>> {
        let mut map = FirmwareMap::new();
        firmware.tree.add_memory(&mut map).map_err(StartError::Tree)?;
        map.set_device_tree(firmware.memory);
        map.set_image(Image {
            load: image::memory(boot.load),
            text: image::physical(image::text(), boot.load),
            rodata: image::physical(image::rodata(), boot.load),
        });
        let own = [firmware.memory, image::memory(boot.load)];
        let hot = keep_out(&mut map, own, firmware.command_line.options().hotplug);
        let gic = firmware.tree.interrupt_controller().map_err(StartError::Tree)?;
        Ok(Self {
            firmware: map,
            device_tree: firmware.memory,
            uart: firmware.uart,
            gic,
            hot,
            cpus: cpus::announced(),
        })
    }
}

/// Keeps so many bytes of the highest memory out of the map, as if they were none; says which. They
/// are fewer where something lies in them that is reserved, or one of `own`.
fn keep_out(map: &mut FirmwareMap, own: [PhysRange; 2], bytes: Option<u64>) -> Option<PhysRange> {
    let bank = map.banks().iter().copied().max_by_key(|bank| bank.last())?;
    let start = bank.bytes().checked_sub(bytes?).map(|below| bank.start().wrapping_add(below))?;
    let taken = map.reserved().iter().chain(map.no_map()).copied().chain(own).chain(map.initrd());
    let taken = taken.filter(|taken| taken.overlaps(bank)).map(PhysRange::last).max();
    let above = taken.map_or(Some(start), |last| last.checked_add(1))?;
    let start = start.max(above).align_up(FRAME_BYTES)?;
    let hot = PhysRange::inclusive(start, bank.last())?;
    map.add_no_map(hot.start(), hot.bytes()).is_ok().then_some(hot)
}

/// Paints the kernel's map and takes it into use. The boot window is closed afterwards.
pub(crate) fn start(
    boot: BootInfo,
    survey: &Survey,
    facts: &Facts,
    marks: &mut Marks,
) -> Result<Started<'static>, StartError<'static>> {
    let memory = MemoryMap::new(&survey.firmware, facts.geometry)?;
    if !memory.maps(survey.device_tree) {
        return Err(StartError::TreeNotInMemory(survey.device_tree));
    }
    let (plan, aside) = plan_map(&memory, (survey, facts))?;
    let planned_tables = plan.table_counts().total();
    marks.set("map planned");

    let arena = open_arena(&boot, &memory, aside, (survey, facts))?;
    let (root, painted) = paint_tree(&arena, &plan, aside, (survey, facts, boot.load))?;
    marks.set("map painted");

    let offset = memory.linear().base().value().wrapping_sub(memory.linear().memstart().value());
    // SAFETY: the new tree maps the image with the permissions it has, in the memory it is in, and
    // was published by the engine's own barriers; nothing else of the upper half is in use.
    unsafe { ttbr::switch_upper(root, boot.load) };
    if let Some(uart) = survey.uart {
        // SAFETY: the zone maps the registers as a device, for good.
        unsafe { console::use_uart(paint::console(uart)) };
    }
    let (used, recording) = close_arena(arena, facts);
    // SAFETY: the console and the trace have moved, and the tree is looked at in the linear map from
    // now on: the caller gets no reference into the window.
    unsafe { boot.window.close() };
    marks.set("map in use");

    let frames = frames(&memory, (aside, facts), used)?;
    // SAFETY: the linear map shows all memory but holes, tables included, for good; what changes
    // it goes through the engine, which refuses what the kernel itself runs on.
    let cpu = facts.filling(unsafe { Cpu::new(Window::Linear { offset }) });
    let cpu = Recorded::new(cpu, recording);
    hook::install(root, offset);
    marks.set("frames counted");
    let parts = Parts {
        window_table: pinned::level3_table(&cpu, root).ok_or(StartError::NoWindows)?,
        cpu,
        origin: facts.origin(root, boot.load),
        frames,
        own: Own::new([image::memory(boot.load), survey.device_tree, aside.zone()], memory.banks()),
        fail_tables: facts.fail_tables,
        needs: Needs { output_bits: highest_bits(&memory), mte: facts.mte },
        policy: facts.policy,
    };
    Ok(Started {
        system: System::new(&memory, parts),
        gic: survey.gic.and_then(gic::registers),
        device_tree: linear_bytes(survey.device_tree, offset),
        archive: archive(survey, &memory, offset),
        planned_tables,
        painted,
        guard: aside.guard,
        hot: survey.hot,
    })
}

/// The plan of the linear map, with a guard pool that comes early, and the memory that is set aside.
fn plan_map<'m>(
    memory: &'m MemoryMap,
    (survey, facts): (&Survey, &Facts),
) -> Result<(LinearPlan<'m>, SetAside), StartError<'static>> {
    let paint = Paint::of_kernel(facts.rodata, facts.mte);
    let plan = LinearPlan::new(memory, paint, facts.decision.leaves);
    let asked = (facts.trace, facts.referee, survey.cpus, facts.guard_pool);
    let aside = SetAside::find(memory, plan.table_counts().total(), asked)?;
    Ok((plan.with_pages(aside.guard), aside))
}

/// The memory for all tables, which the boot window shows and the referee watches if there is to be
/// one.
fn open_arena(
    boot: &BootInfo,
    memory: &MemoryMap,
    aside: SetAside,
    (survey, facts): (&Survey, &Facts),
) -> Result<Arena, StartError<'static>> {
    let recording = begin_recording(&boot.window, aside, facts)?;
    boot.window.cover(aside.tables, Contents::Memory)?;
    if let Some(room) = aside.referee {
        referee::start(boot, &Asked { memory, room, uart: survey.uart })?;
        referee::watch(aside.tables);
    }
    // SAFETY: the window shows the arena, which is free memory; the tree that is made in it is not
    // in use until it is complete.
    let cpu = facts.filling(unsafe { Cpu::new(Window::Identity) });
    Ok(Arena::new(Recorded::new(cpu, recording), aside.tables))
}

/// What is left of the arena once its tree is in use: the memory of the tables that were taken, and
/// the trace, where the zone has it.
fn close_arena(arena: Arena, facts: &Facts) -> (Option<PhysRange>, Recording<'static>) {
    if let Some(unused) = arena.unused() {
        referee::forget(unused);
    }
    let used = arena.used();
    // SAFETY: the zone maps the trace's memory too, for good.
    let slots = unsafe { recorded::slots(TRACE, facts.trace.unwrap_or(0)) };
    (used, arena.into_recording().reached_as(slots))
}

/// Begins the trace, if there is room for one, with nothing recorded yet.
fn begin_recording(
    window: &BootWindow,
    aside: SetAside,
    facts: &Facts,
) -> Result<Recording<'static>, StartError<'static>> {
    let (Some(trace), Some(records)) = (aside.trace, facts.trace) else {
        return Ok(Recording::without_room());
    };
    window.cover(trace, Contents::Memory)?;
    // SAFETY: the window shows the trace's memory, which was set aside for it.
    let slots = unsafe { recorded::slots(VirtAddr::new(trace.start().value()), records) };
    Ok(Recording::begun(slots).of_several(cpus::own))
}

/// Makes the kernel's tree, complete but not in use: its root, and what the linear map takes.
fn paint_tree(
    arena: &Arena,
    plan: &LinearPlan<'_>,
    aside: SetAside,
    (survey, facts, load): (&Survey, &Facts, PhysAddr),
) -> Result<(PhysAddr, Painted), StartError<'static>> {
    let root = arena.take_root().ok_or(StartError::NoRoom(aside.tables.bytes()))?;
    let space = Space::new(arena, root);
    arena.recording().note("the linear map");
    let known = arena.recording().records().count();
    let between = [ticks(), ticks()];
    paint::linear(&space, plan)?;
    let [before, begun] = between;
    let ticks = ticks().wrapping_sub(begun).saturating_sub(begun.wrapping_sub(before));
    let is_recorded = arena.recording().is_on();
    let effects = is_recorded.then(|| Tally::after(known, arena.recording()));
    let painted = Painted { tables: arena.taken() - 1, ticks, effects };
    arena.recording().note("the image");
    paint::image(&space, load, facts.rodata)?;
    arena.recording().note("the zone");
    paint::zone(&space, (survey.uart, survey.gic), survey.cpus, aside)?;
    arena.recording().note("the tree is in use from here on");
    Ok((root, painted))
}

/// Starts the account of frames, with what is in use already.
fn frames(
    memory: &MemoryMap,
    (aside, facts): (SetAside, &Facts),
    tables: Option<PhysRange>,
) -> Result<Frames<'static>, StartError<'static>> {
    let address = usize::try_from(FRAME_STATES.value()).unwrap_or(0);
    let words = usize::try_from(aside.states.bytes() / 8).unwrap_or(0);
    let storage = core::ptr::with_exposed_provenance::<AtomicU64>(address);
    // SAFETY: the zone maps the states there, for good, and nobody else uses them; any bits are
    // numbers.
    let storage = unsafe { core::slice::from_raw_parts(storage, words) };
    let frames = Frames::new(storage, memory.banks())?.waiting_by(pause);
    let frames = match facts.policy.inputs.debug_pagealloc {
        DebugPagealloc::On => frames.watched_by(pagealloc::watch),
        DebugPagealloc::Off => frames,
    };
    if let Some(tables) = tables {
        frames.claim(Purpose::Table, tables)?;
    }
    frames.reserve(aside.zone())?;
    if let Some(guard) = aside.guard {
        frames.reserve(guard)?;
    }
    for range in memory.holes().iter().chain(memory.taken()) {
        frames.reserve(*range)?;
    }
    Ok(frames)
}

/// Bits of the highest address of memory.
fn highest_bits(memory: &MemoryMap) -> u32 {
    let last = memory.banks().iter().map(|bank| bank.last().value()).max();
    u64::BITS - last.unwrap_or(0).leading_zeros()
}

/// What the boot loader handed over besides; nothing if that is not in memory.
fn archive(survey: &Survey, memory: &MemoryMap, offset: u64) -> &'static [u8] {
    let initrd = survey.firmware.initrd().filter(|range| memory.maps(*range));
    // INVARIANT: it is among what is taken, and so nobody is given it.
    initrd.map_or(&[], |range| linear_bytes(range, offset))
}

/// The bytes of `range`, which nobody writes, where the linear map shows them.
fn linear_bytes(range: PhysRange, offset: u64) -> &'static [u8] {
    let address = range.start().value().wrapping_add(offset);
    let address = usize::try_from(address).unwrap_or(0);
    let bytes = usize::try_from(range.bytes()).unwrap_or(0);
    // SAFETY: the range is taken for good and mapped, which the caller has checked.
    unsafe { core::slice::from_raw_parts(core::ptr::with_exposed_provenance(address), bytes) }
}
