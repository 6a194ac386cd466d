//! What happens when the kernel traps: the instruction is noted, and done in its place.

use core::fmt;

use blockmap::machine::{Entry, Event, Invalidate, Machine, PhysAddr, VirtAddr};
use blockmap_hw::{Syndrome, Translated, translate};
use blockmap_kernel::witness::{Access, Purpose, Seen, Stage2, StoreInstruction, Trap, Trapped};

use super::frame::Frame;
use super::inject::{Access as Injection, Injected, inject};
use super::state::{PAGE_BYTES, Referee, Shared};
use super::{answer, registers, start};
use crate::arch::exit::{self, Status};
use crate::console::println;

/// Called by `vectors.S` when the kernel traps; what it leaves in the frame is what goes on.
#[unsafe(no_mangle)]
extern "C" fn referee_taken(frame: &mut Frame) {
    let address = usize::try_from(registers::state()).unwrap_or_default();
    let state = core::ptr::with_exposed_provenance::<Shared>(address);
    // SAFETY: `start` made the state, and had EL2 entered with its address, before any trap.
    let shared = unsafe { &*state };
    let mut referee = shared.lock();
    match Trap::of(registers::esr()) {
        Trap::Call => answer::answer(&mut referee, frame),
        Trap::Instruction { what, register } => instruction(&mut referee, frame, (what, register)),
        Trap::Access(kind) => access(&mut referee, frame, kind),
        Trap::Other => inject(frame, Injected::Undefined, 0),
    }
}

/// Carries out an instruction that trapped.
fn instruction(referee: &mut Referee, frame: &mut Frame, (what, register): (Trapped, u8)) {
    let value = frame.register(register);
    match what {
        Trapped::Tlbi(op) => {
            let invalidate = Invalidate { op, operand: value };
            referee.note(frame.cpu(), Seen::Invalidate(invalidate));
            // At EL2 the instructions of EL1 are for EL1&0 and the VMID in use. The kernel's own
            // barrier completes it: it is a later one of the same CPU.
            referee.stage2.machine().perform(Event::Invalidate(invalidate));
        }
        Trapped::Root(half) => {
            referee.note(frame.cpu(), Seen::Root { half, value });
            registers::set_kernel_root(half, value);
        }
        Trapped::Unexpected => {
            referee.counts.refused += 1;
            return inject(frame, Injected::Undefined, 0);
        }
    }
    frame.skip();
}

/// Answers an access that stage 2 does not permit.
fn access(referee: &mut Referee, frame: &mut Frame, access: Access) {
    let far = registers::far();
    let injection = match access.purpose {
        Purpose::Load => Injection::Load,
        Purpose::Store | Purpose::StoreOf(_) => Injection::Store,
        Purpose::Fetch => Injection::Fetch,
    };
    let place = place(access, far);
    if place.is_some_and(|place| referee.takes_conflict(place)) {
        return inject(frame, Injected::TlbConflict(injection), far);
    }
    if place.is_some_and(|place| is_over(referee, access, place)) {
        return;
    }
    let watched = place.filter(|place| !access.by_walk && referee.is_watched(*place));
    let done = watched.and_then(|place| store(referee, frame, (access.purpose, far, place)));
    if done.is_some() {
        return frame.skip();
    }
    referee.counts.refused += 1;
    inject(frame, Injected::External(injection), far);
}

/// Whether what an access trapped for is over: another CPU was at stage 2's tables when it was made,
/// and left what permits it. Then it is tried again.
fn is_over(referee: &Referee, access: Access, place: PhysAddr) -> bool {
    match (referee.stage2.rights(place), access.purpose) {
        (Stage2::ReadWrite, _) => true,
        // A permission fault of a load is no load's, but of a cache's maintenance.
        (Stage2::ReadOnly, Purpose::Load | Purpose::Fetch) => access.says_where && !access.by_walk,
        (Stage2::ReadOnly, Purpose::Store | Purpose::StoreOf(_)) | (Stage2::Nothing, _) => false,
    }
}

/// The memory that the access would have reached.
fn place(access: Access, far: u64) -> Option<PhysAddr> {
    if access.says_where {
        // FIPA: bits 47 to 12 of the address, from bit 4 up.
        let page = (registers::hpfar() & 0xff_ffff_fff0) << 8;
        return Some(PhysAddr::new(page | far & (PAGE_BYTES - 1)));
    }
    kernels(VirtAddr::new(far))
}

/// Where the kernel's own tables lead from `address`. The register in which the CPU answers is put
/// back: the kernel may be about to read it.
pub(super) fn kernels(address: VirtAddr) -> Option<PhysAddr> {
    let before = registers::translated();
    let translated = translate(address);
    registers::set_translated(before);
    match translated {
        Translated::To(place) => Some(place),
        Translated::Fault(_) => None,
    }
}

/// Notes and does what a store would have done; `None`, with nothing done, if it is not one of whole
/// entries.
fn store(
    referee: &mut Referee,
    frame: &mut Frame,
    (purpose, far, place): (Purpose, u64, PhysAddr),
) -> Option<()> {
    let instruction = match purpose {
        Purpose::Load | Purpose::Fetch => return None,
        Purpose::StoreOf(first) => {
            StoreInstruction { first, second: None, base: 31, offset: 0, write_back: 0 }
        }
        Purpose::Store => fetched(referee, frame, far)?,
    };
    let table = place.align_down(PAGE_BYTES);
    let index = u16::try_from(place.offset_from(table)? / 8).ok()?;
    let second_index = index + 1;
    let fits = instruction.second.is_none() || second_index < 512;
    if !place.is_aligned(8) || !fits {
        return None;
    }
    let mut entry = |index, register| {
        let entry = Entry { table, index };
        let value = frame.register(register);
        let old = referee.stage2.machine().load(entry);
        referee.note(frame.cpu(), Seen::Store { entry, value, old });
        referee.stage2.machine().store(entry, value);
    };
    entry(index, instruction.first);
    if let Some(second) = instruction.second {
        entry(second_index, second);
    }
    if instruction.write_back != 0 {
        let base = frame.register(instruction.base);
        frame.set_register(instruction.base, base.wrapping_add_signed(instruction.write_back));
    }
    Some(())
}

/// The store instruction that trapped, read from the kernel's memory, if its registers say the
/// address that trapped.
fn fetched(referee: &Referee, frame: &Frame, far: u64) -> Option<StoreInstruction> {
    let place = kernels(VirtAddr::new(frame.elr))?;
    let table = place.align_down(PAGE_BYTES);
    let index = u16::try_from(place.offset_from(table)? / 8).ok()?;
    let two = referee.stage2.machine().load(Entry { table, index });
    let word = if place.is_aligned(8) { two } else { two >> 32 };
    let instruction = StoreInstruction::decode(u32::try_from(word & 0xffff_ffff).ok()?)?;
    // Stacks are no tables; the stack pointer is not in the frame.
    let has_base = instruction.base != 31;
    let address = frame.register(instruction.base).wrapping_add_signed(instruction.offset);
    (has_base && address == far).then_some(instruction)
}

/// What the referee was entered for and can't be.
struct Failure(u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "exception",
            1 => "interrupt",
            2 => "fast interrupt",
            _ => "system error",
        })
    }
}

/// Called by `vectors.S` for what is not the kernel's: the referee is broken. Ends the machine.
#[unsafe(no_mangle)]
extern "C" fn referee_failed(kind: u64) -> ! {
    let (syndrome, elr) = (Syndrome::new(registers::esr()), registers::elr());
    start::seize_console();
    println!();
    println!("!!! {} in the referee: {syndrome}", Failure(kind));
    println!("    at   {elr:#018x}   for {:#018x}", registers::far());
    exit::exit(Status::Referee)
}
