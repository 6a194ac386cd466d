//! The ground: the memory that CPUs share while they do not use the kernel's tables. It is mapped
//! in the identity map, readable and writable, and in the image like any other data.
//!
//! `parking.S` knows the layout.

use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::vmsa::machine::{PhysAddr, VirtAddr, VirtRange};
use blockmap_hw::Identity;
use blockmap_kernel::devicetree::Conduit;
use blockmap_kernel::identity::Report;
use blockmap_kernel::parking::{Gate, Ticket};

use super::tables::address_of;
use super::{image, ttbr};

/// The most CPUs that there is room for.
pub(crate) const MOST_CPUS: usize = 512;

/// What a CPU is doing, as far as it goes through the identity map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is off, or never was on.
    Off,
    /// It was asked to start, and has not reported.
    Starting,
    /// It has reported, and waits in the identity map.
    Reported,
    /// It can't walk tables of 4 KiB, and waits with its MMU off.
    Unfit,
    /// It uses the kernel's tables.
    Running,
    /// It has left them for good, and turns itself off.
    Left,
    /// It took an exception in the identity map, and stands still.
    Faulted,
}

/// The numbers that `parking.S` writes.
pub(super) mod stage {
    pub(in crate::arch) const OFF: u64 = 0;
    pub(in crate::arch) const STARTING: u64 = 1;
    pub(in crate::arch) const REPORTED: u64 = 2;
    pub(in crate::arch) const UNFIT: u64 = 3;
    pub(in crate::arch) const RUNNING: u64 = 4;
    pub(in crate::arch) const LEFT: u64 = 5;
    pub(in crate::arch) const FAULTED: u64 = 6;
}

impl Stage {
    const fn number(self) -> u64 {
        match self {
            Self::Off => stage::OFF,
            Self::Starting => stage::STARTING,
            Self::Reported => stage::REPORTED,
            Self::Unfit => stage::UNFIT,
            Self::Running => stage::RUNNING,
            Self::Left => stage::LEFT,
            Self::Faulted => stage::FAULTED,
        }
    }

    const fn of_number(number: u64) -> Self {
        match number {
            stage::OFF => Self::Off,
            stage::STARTING => Self::Starting,
            stage::REPORTED => Self::Reported,
            stage::UNFIT => Self::Unfit,
            stage::RUNNING => Self::Running,
            stage::LEFT => Self::Left,
            _ => Self::Faulted,
        }
    }
}

/// What a CPU in the identity map is told.
pub(super) mod order {
    pub(in crate::arch) const WAIT: u64 = 0;
    pub(in crate::arch) const COME: u64 = 1;
    pub(in crate::arch) const GO: u64 = 2;
}

/// One CPU's place: two lines of 64 bytes.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Place {
    pub(super) stage: AtomicU64,
    pub(crate) ticket: Ticket,
    pub(super) order: AtomicU64,
    /// The registers that it reported.
    pub(super) report: [AtomicU64; REPORT_WORDS],
    /// What it needs to use the kernel's tables: see [`Seat`]. After an exception: syndrome, where
    /// it was, address.
    pub(super) seat: [AtomicU64; 4],
}

/// `MIDR`, `REVIDR`, `MMFR0` to `MMFR3`, `ISAR0`, `PFR1`, `MPIDR`.
pub(super) const REPORT_WORDS: usize = 9;

/// What a CPU needs to use the kernel's tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    /// The root of the upper half.
    pub(crate) root: PhysAddr,
    /// The upper end of the stack that it runs on.
    pub(crate) stack: VirtAddr,
    /// The upper end of the stack that it handles exceptions on.
    pub(crate) exception_stack: VirtAddr,
    /// Its per-CPU data.
    pub(crate) per_cpu: VirtAddr,
}

/// Bytes of a [`Place`].
const PLACE_BYTES: u64 = 128;
/// Bytes of the ground before the places.
const HEAD_BYTES: u64 = 384;

const _: () = assert!(size_of::<Place>() == 128 && offset_of!(Ground, places) == 384);

/// All of it.
#[derive(Debug)]
#[repr(C, align(4096))]
pub(super) struct Ground {
    /// MAIR, TCR, TTBR0, TTBR1 and SCTLR of a CPU in the identity map.
    pub(super) registers: [AtomicU64; 5],
    /// The instruction that calls PSCI: 0 HVC, 1 SMC.
    pub(super) conduit: AtomicU64,
    /// Where the image was loaded.
    load: AtomicU64,
    /// What a CPU passes to come under the referee; zeroes where there is none.
    pub(super) referee: [AtomicU64; 12],
    /// Where parked CPUs wait.
    gate: Line<Gate>,
    pub(super) places: [Place; MOST_CPUS],
    /// What is stored to entries of the root while no CPU uses the kernel's tables.
    changes: [Change; MOST_CHANGES],
}

/// An entry of the root, by its offset in bytes, and what it becomes.
type Change = [AtomicU64; 2];

/// The entries of a root.
const MOST_CHANGES: usize = 512;

/// Something that shares its cache line with nothing else.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Line<T>(T);

#[unsafe(no_mangle)]
#[unsafe(link_section = ".idmap.data")]
pub(super) static GROUND: Ground = Ground {
    registers: [const { AtomicU64::new(0) }; 5],
    conduit: AtomicU64::new(0),
    load: AtomicU64::new(0),
    referee: [const { AtomicU64::new(0) }; 12],
    gate: Line(Gate::new()),
    places: [const { Place::new() }; MOST_CPUS],
    changes: [const { [const { AtomicU64::new(0) }; 2] }; MOST_CHANGES],
};

/// Lists what entries of the root become, by their indices, for [`super::room::exchange`]; tells how
/// many they are. Nobody else does so meanwhile.
pub(crate) fn list_changes(changes: impl Iterator<Item = (u16, u64)>) -> u64 {
    let mut count = 0;
    for ([offset, word], (index, new)) in GROUND.changes.iter().zip(changes) {
        offset.store(u64::from(index) * 8, Ordering::Relaxed);
        word.store(new, Ordering::Relaxed);
        count += 1;
    }
    count
}

/// The list that [`list_changes`] made.
pub(super) fn changes() -> PhysAddr {
    memory_of(&raw const GROUND.changes)
}

/// Prepares the ground for CPUs that start, on the boot CPU, whose image was loaded at `load`.
pub(super) fn begin(load: PhysAddr) {
    GROUND.load.store(load.value(), Ordering::Relaxed);
    let (mair, tcr, sctlr): (u64, u64, u64);
    // SAFETY: reading registers changes nothing.
    unsafe {
        asm!("mrs {}, mair_el1", "mrs {}, tcr_el1", "mrs {}, sctlr_el1",
            out(reg) mair, out(reg) tcr, out(reg) sctlr, options(nomem, nostack, preserves_flags));
    }
    let (identity, empty) = (ttbr::identity_root(load), ttbr::empty_root(load));
    let registers = [mair, tcr, identity.value(), empty.value(), sctlr];
    for (place, value) in GROUND.registers.iter().zip(registers) {
        place.store(value, Ordering::Relaxed);
    }
    let place = place(0);
    place.set_report(&own_report());
    place.set_stage(Stage::Running);
    // SAFETY: the register is nobody else's.
    unsafe {
        asm!("msr tpidr_el0, {}", in(reg) memory_of(place).value(),
            options(nomem, nostack, preserves_flags));
    }
}

/// Has the boot CPU report again: it is in disguise now.
pub(crate) fn report_anew() {
    place(0).set_report(&own_report());
}

/// What the CPU that executes this says of itself.
fn own_report() -> Report {
    let Identity { midr, mpidr, mmfr0, mmfr1, mmfr2, isar0, pfr1, .. } = Identity::read();
    let (revidr, mmfr3): (u64, u64);
    // SAFETY: reading registers changes nothing.
    unsafe {
        asm!("mrs {}, revidr_el1", "mrs {}, s3_0_c0_c7_3", out(reg) revidr, out(reg) mmfr3,
            options(nomem, nostack, preserves_flags));
    }
    Report { midr, revidr, mmfr: [mmfr0, mmfr1, mmfr2, mmfr3], isar0, pfr1, mpidr }
}

/// Says how a CPU in the identity map calls PSCI.
pub(crate) fn set_conduit(conduit: Conduit) {
    let number = match conduit {
        Conduit::Hvc => 0,
        Conduit::Smc => 1,
    };
    GROUND.conduit.store(number, Ordering::Relaxed);
}

/// Has CPUs that start from here on come under the referee, with these values.
pub(crate) fn set_referee(arguments: [u64; 12]) {
    for (place, value) in GROUND.referee.iter().zip(arguments) {
        place.store(value, Ordering::Relaxed);
    }
}

/// Where the image was loaded.
pub(crate) fn load() -> PhysAddr {
    PhysAddr::new(GROUND.load.load(Ordering::Relaxed))
}

/// Has CPUs that wait with WFE look again: what was stored before is there when they do.
pub(crate) fn wake_waiting() {
    // SAFETY: a barrier makes no access, and an event changes nothing.
    unsafe { asm!("dsb ish", "sev", options(nostack, preserves_flags)) };
}

/// Writes what caches hold of `range`, a part of the image, to memory, and drops it.
fn write_back(range: VirtRange) {
    let mut line = range.start();
    while line < range.end() {
        // SAFETY: the line is written to memory, not lost.
        unsafe { asm!("dc civac, {}", in(reg) line.value(), options(nostack, preserves_flags)) };
        // The smallest line that the architecture has.
        line = line.wrapping_add(16);
    }
    // SAFETY: a barrier makes no access.
    unsafe { asm!("dsb sy", options(nostack, preserves_flags)) };
}

/// The gate of the parking room.
pub(crate) fn gate() -> &'static Gate {
    &GROUND.gate.0
}

/// The place of the CPU with this number.
///
/// # Panics
/// If there is no such CPU.
pub(crate) fn place(cpu: u32) -> &'static Place {
    let place = usize::try_from(cpu).ok().and_then(|cpu| GROUND.places.get(cpu));
    place.unwrap_or_else(|| panic!("there is no room for a CPU {cpu}"))
}

/// Where something of the image is in memory, and so in the identity map.
pub(super) fn memory_of<T>(thing: *const T) -> PhysAddr {
    load().wrapping_add(address_of(thing).offset_from(image::LINK).unwrap_or(0))
}

impl Place {
    const fn new() -> Self {
        Self {
            stage: AtomicU64::new(stage::OFF),
            ticket: Ticket::new(),
            order: AtomicU64::new(order::WAIT),
            report: [const { AtomicU64::new(0) }; REPORT_WORDS],
            seat: [const { AtomicU64::new(0) }; 4],
        }
    }

    /// What the CPU is doing. What it did before it said so is done.
    pub(crate) fn stage(&self) -> Stage {
        Stage::of_number(self.stage.load(Ordering::Acquire))
    }

    /// Says what the CPU is doing.
    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage.number(), Ordering::Release);
    }

    /// What the CPU reported; it has.
    pub(crate) fn report(&self) -> Report {
        let words = self.report.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [main, revision, mmfr0, mmfr1, mmfr2, mmfr3, isar0, pfr1, affinity] = words;
        let mmfr = [mmfr0, mmfr1, mmfr2, mmfr3];
        Report { midr: main, revidr: revision, mmfr, isar0, pfr1, mpidr: affinity }
    }

    fn set_report(&self, report: &Report) {
        let Report { midr, revidr, mmfr: [mmfr0, mmfr1, mmfr2, mmfr3], isar0, pfr1, mpidr } =
            *report;
        let words = [midr, revidr, mmfr0, mmfr1, mmfr2, mmfr3, isar0, pfr1, mpidr];
        self.report
            .iter()
            .zip(words)
            .for_each(|(place, word)| place.store(word, Ordering::Relaxed));
    }

    /// Prepares the place for a CPU that is about to start with its MMU off, in a disguise or in none:
    /// nothing of it, or of what it will read, is in a cache alone.
    pub(crate) fn begin(&self, disguise: [u64; 2]) {
        self.seat
            .iter()
            .zip(disguise)
            .for_each(|(place, word)| place.store(word, Ordering::Relaxed));
        self.order.store(order::WAIT, Ordering::Relaxed);
        self.set_stage(Stage::Starting);
        let head = VirtRange::new(address_of(&raw const GROUND), HEAD_BYTES);
        head.into_iter().for_each(write_back);
        self.refresh();
    }

    /// Forgets what caches hold of the place: a CPU may have written it with its MMU off.
    pub(crate) fn refresh(&self) {
        let own = VirtRange::new(address_of(&raw const *self), PLACE_BYTES);
        own.into_iter().for_each(write_back);
    }

    /// Has the CPU come to the kernel's tables, where it finds what `seat` says.
    pub(crate) fn come(&self, seat: &Seat) {
        let Seat { root, stack, exception_stack, per_cpu } = *seat;
        let words = [root.value(), stack.value(), exception_stack.value(), per_cpu.value()];
        self.seat.iter().zip(words).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
        self.give(order::COME);
    }

    /// Has the CPU turn itself off.
    pub(crate) fn go(&self) {
        self.set_stage(Stage::Left);
        self.give(order::GO);
    }

    fn give(&self, order: u64) {
        self.order.store(order, Ordering::Release);
        wake_waiting();
    }

    /// The exception that the CPU stands still after: syndrome, where it was, address.
    pub(crate) fn fault(&self) -> [u64; 3] {
        let [esr, elr, far, _] = &self.seat;
        [esr, elr, far].map(|word| word.load(Ordering::Relaxed))
    }
}
