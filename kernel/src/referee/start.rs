//! How the referee comes into being: the kernel lays it out in memory set aside, makes the tables
//! that it runs on, and calls it.

use core::sync::atomic::{AtomicU64, Ordering};

use blockmap::layout::MemoryMap;
use blockmap::machine::{PhysAddr, PhysRange, VirtAddr};
use blockmap::vmsa::{Access, Attributes, Mair, MemoryIndex, Shareability};
use blockmap_hw::{Cpu, Identity, Window};
use blockmap_kernel::witness::{
    IdentityTree, Log, OutOfTables, Seen, Slot, Stage2, WATCHER, seen_in,
};
use spin::mutex::SpinMutex;
use thiserror::Error;

use super::call::{self, Function};
use super::registers;
use super::state::{Counts, PAGE_BYTES, Referee, Shared};
use crate::arch::boot::{BootInfo, ExceptionLevel};
use crate::arch::boot_window::{Contents, CoverError};
use crate::arch::{ground, image, ttbr};
use crate::console;

/// Bytes before the slots: what the referee runs on.
const OWN_BYTES: u64 = 4 << 20;
/// The stacks: each begins with a page that is not mapped.
const STACKS: u64 = 2 << 20;
/// Bytes of a stack, as a power of two.
pub(crate) const STACK_SHIFT: u32 = 15;
/// How many CPUs there are stacks for.
pub(crate) const MOST_CPUS: u32 = 64;
/// The state's page.
const STATE: u64 = 0;
/// EL2's tables.
const TABLES: u64 = STATE + PAGE_BYTES;
/// Stage 2's.
const STAGE2_TABLES: u64 = 0x8_0000;

/// What the room is a multiple of.
const BLOCK_BYTES: u64 = 2 << 20;

const _: () = assert!(size_of::<Shared>() <= 0x1000, "the state has one page");

/// Bits of `HCR_EL2`: E2H, for an upper half at EL2; RW, as before; TVM and TTLB, so that writes of
/// table roots and TLB maintenance trap; VM, stage 2.
///
/// Source: "HCR_EL2, Hypervisor Configuration Register".
const CONFIGURATION: u64 = 1 << 34 | 1 << 31 | 1 << 26 | 1 << 25 | 1;

/// `VTTBR_EL2.VMID`: not zero, which is what EL1's TLB entries were made with until now.
const VMID: u64 = 1 << 48;

/// Why there is no referee. Nothing is watched, and the machine is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum RefereeError {
    /// Somebody else has EL2.
    #[error("it runs at EL2, and the image was entered at EL1: boot with virtualization=on")]
    NoEl2,
    /// EL2 can't have an upper half.
    #[error("it needs FEAT_VHE, which this CPU doesn't have: boot on another")]
    NoUpperHalf,
    /// There are no trees of stage 2 of the shape that is made here.
    #[error("it needs stage 2 with 4 KiB pages and 44 address bits or more: boot on another CPU")]
    NoStage2,
    /// The boot window can't show its memory.
    #[error("boot window: {0}")]
    Cover(#[from] CoverError),
    /// The memory map has too many pieces.
    #[error("{0}: the memory map has too many pieces")]
    Tables(#[from] OutOfTables),
    /// Nobody answered at EL2.
    #[error("EL2 does not answer")]
    NoAnswer,
}

/// What of the machine the referee is told.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// All memory.
    pub(crate) memory: &'a MemoryMap,
    /// The memory set aside, as [`bytes_needed`] says, at a multiple of 2 MiB.
    pub(crate) room: PhysRange,
    /// The console's registers, for the report of a failure.
    pub(crate) uart: Option<PhysAddr>,
}

/// How many bytes, a multiple of 2 MiB, a referee takes that keeps `records` of what it sees.
pub(crate) const fn bytes_needed(records: u32) -> u64 {
    #[expect(clippy::as_conversions, reason = "widening; From is not const")]
    let slots = records as u64 * Slot::BYTES;
    OWN_BYTES + slots.next_multiple_of(BLOCK_BYTES)
}

/// Where what was seen is kept, once there is a referee, and how many there is room for.
static SLOTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// The console's registers, once there is a referee.
static UART: AtomicU64 = AtomicU64::new(0);

/// Starts the referee: from here on it sees what is done to the tables that it is told of.
///
/// The boot window shows its memory afterwards. One CPU calls this, once.
pub(crate) fn start(boot: &BootInfo, asked: &Asked<'_>) -> Result<(), RefereeError> {
    let identity = Identity::read();
    let control = Stage2::control(identity.mmfr0).ok_or(RefereeError::NoStage2)?;
    match boot.entered_at {
        ExceptionLevel::El1 => return Err(RefereeError::NoEl2),
        ExceptionLevel::El2 => {}
    }
    // ID_AA64MMFR1_EL1.VH.
    if matches!(identity.mmfr1 >> 8 & 0xf, 0) {
        return Err(RefereeError::NoUpperHalf);
    }
    boot.window.cover(asked.room, Contents::Memory)?;
    let own_root = own_map(asked)?;
    let stage2 = kernel_map(asked)?;
    let stage2_root = stage2.root();
    let room = asked.room;
    make_state(room, stage2);
    if let Some(uart) = asked.uart {
        UART.store(uart.value(), Ordering::Relaxed);
    }
    let arguments = [
        registers::kernel_mair(),
        registers::kernel_tcr(),
        ttbr::identity_root(boot.load).value(),
        registers::kernel_upper_root(),
        registers::kernel_sctlr(),
        control,
        VMID | stage2_root.value(),
        CONFIGURATION,
        own_root.value(),
        // The upper end of the first stack; others have those above it.
        at(room, STACKS + (1 << STACK_SHIFT)).value(),
        at(room, STATE).value(),
        image::entry_of_referee().value(),
    ];
    call::call(Function::Start, arguments).map_err(|_| RefereeError::NoAnswer)?;
    ground::set_referee(arguments);
    call::set_there();
    Ok(())
}

/// The byte of `room` at `offset`.
const fn at(room: PhysRange, offset: u64) -> PhysAddr {
    room.start().wrapping_add(offset)
}

/// A machine for tables in the referee's memory.
fn machine() -> Cpu {
    // SAFETY: the tables are in memory set aside, which the boot window shows at its own address, as
    // do EL2's tables later; trees of the kernel's are only read, and written as the kernel asks.
    unsafe { Cpu::new(Window::Identity) }
}

/// The tables set aside between two offsets.
fn tables(room: PhysRange, (from, to): (u64, u64)) -> Result<PhysRange, OutOfTables> {
    PhysRange::new(at(room, from), to - from).ok_or(OutOfTables)
}

/// What nothing has to be removed of.
fn nothing() {}

/// What the referee sees at EL2 in the lower half: all memory but the pages below its stacks, and the
/// console. Gives the root.
fn own_map(asked: &Asked<'_>) -> Result<PhysAddr, OutOfTables> {
    let place = tables(asked.room, (TABLES, STAGE2_TABLES))?;
    // Nothing uses this tree yet, so nothing is to be removed when a block of it is split.
    let mut tree = IdentityTree::new(machine(), place, nothing)?;
    let memory = own_meaning(Mair::NORMAL, Shareability::Inner);
    for range in asked.memory.mapped() {
        tree.map(range, memory)?;
    }
    for cpu in 0..u64::from(MOST_CPUS) {
        let guard = at(asked.room, STACKS + (cpu << STACK_SHIFT));
        if let Some(guard) = PhysRange::new(guard, PAGE_BYTES) {
            tree.map(guard, 0)?;
        }
    }
    let page = asked.uart.map(|uart| uart.align_down(PAGE_BYTES));
    if let Some(page) = page.and_then(|page| PhysRange::new(page, PAGE_BYTES)) {
        tree.map(page, own_meaning(Mair::DEVICE_NGNRE, Shareability::Non))?;
    }
    Ok(tree.root())
}

const fn own_meaning(memory: MemoryIndex, shareability: Shareability) -> u64 {
    WATCHER.meaning(Attributes { memory, shareability, access: Access::ReadWrite })
}

/// What the kernel may do: everything up to the end of the GiB that memory ends in, but write to
/// the referee's memory.
fn kernel_map(asked: &Asked<'_>) -> Result<IdentityTree<Cpu>, OutOfTables> {
    let room = asked.room;
    let place = tables(room, (STAGE2_TABLES, STACKS))?;
    let mut tree = IdentityTree::new(machine(), place, registers::flush_stage2)?;
    let end = asked.memory.banks().last().map_or(0, |bank| bank.end().value());
    let end = end.next_multiple_of(1 << 30);
    let parts = [
        (0, room.start().value(), Stage2::ReadWrite),
        (room.start().value(), room.end().value(), Stage2::ReadOnly),
        (room.end().value(), end, Stage2::ReadWrite),
    ];
    for (from, to, rights) in parts {
        if let Some(range) = PhysRange::new(PhysAddr::new(from), to.saturating_sub(from)) {
            tree.map(range, rights.meaning())?;
        }
    }
    Ok(tree)
}

/// Writes the referee's state to where it will be found.
fn make_state(room: PhysRange, stage2: IdentityTree<Cpu>) {
    let bytes = room.bytes() - OWN_BYTES;
    let start = at(room, OWN_BYTES);
    let [place, count] = &SLOTS;
    place.store(start.value(), Ordering::Relaxed);
    count.store(bytes / Slot::BYTES, Ordering::Relaxed);
    let log = Log::new(slots(VirtAddr::new(start.value()), bytes / Slot::BYTES));
    let counts = Counts::default();
    let referee = Referee { stage2, log, own: room, counts, conflict: None };
    let address = usize::try_from(at(room, STATE).value()).unwrap_or_default();
    let state = core::ptr::with_exposed_provenance_mut::<Shared>(address);
    // SAFETY: the boot window shows the page, which was set aside for the state, which fits.
    unsafe { state.write(SpinMutex::new(referee)) };
}

/// The slots at `address`.
fn slots(address: VirtAddr, count: u64) -> &'static [Slot] {
    let address = usize::try_from(address.value()).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or_default();
    let first = core::ptr::with_exposed_provenance::<Slot>(address);
    // SAFETY: `start` and `account` pass the slots' memory, by an address at which those who use
    // the slots reach it for good; a slot may hold anything.
    unsafe { core::slice::from_raw_parts(first, count) }
}

/// The first `kept` of what was seen, and of which CPU, where `window` shows the referee's memory for good.
pub(crate) fn account(window: Window, kept: u64) -> impl Iterator<Item = (u16, Seen)> {
    let [place, count] = SLOTS.each_ref().map(|word| word.load(Ordering::Relaxed));
    let address = window.address(PhysAddr::new(place));
    seen_in(slots(address, kept.min(count)))
}

/// Has what is printed at EL2 reach the console, whoever is using it.
pub(super) fn seize_console() {
    console::seize();
    // SAFETY: EL2's own tables map the page as a device; the machine ends with this report.
    unsafe { console::use_uart(VirtAddr::new(UART.load(Ordering::Relaxed))) };
}
