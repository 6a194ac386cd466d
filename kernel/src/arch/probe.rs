//! Accesses to memory that may fault, with the fault as a result.

use core::arch::{asm, global_asm};
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use blockmap::vmsa::machine::VirtAddr;
use blockmap_hw::{Class, Syndrome};

use super::exceptions::Frame;
use super::image;
use super::per_cpu::{self, PerCpu};
use super::tables::address_of;

global_asm!(
    ".set EXECUTE_STACK, {execute_stack}",
    include_str!("probe.S"),
    execute_stack = const offset_of!(PerCpu, execute_stack),
);

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The syndrome, `ESR_EL1`.
    pub(crate) esr: u64,
    /// The address, `FAR_EL1`; of no meaning where the syndrome has none.
    pub(crate) far: u64,
}

impl fmt::Display for Fault {
    /// As in "permission fault, level 3, write, at 0xffff000040001000".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let syndrome = Syndrome::new(self.esr);
        match syndrome.abort() {
            Some(abort) => write!(f, "{abort}")?,
            None => write!(f, "{}", syndrome.class())?,
        }
        if syndrome.has_address() {
            write!(f, ", at {:#x}", self.far)?;
        }
        Ok(())
    }
}

/// An instruction that may fault and where to go on then, both relative to the field itself.
macro_rules! fixup {
    () => {
        ".pushsection .fixups, \"a\"\n.balign 4\n.word 20b - .\n.word 21b - .\n.popsection"
    };
}

/// Reads the 64 bits at `address`.
///
/// # Safety
/// If something is mapped there, reading it has no effect that somebody minds.
pub(crate) unsafe fn read_u64(address: VirtAddr) -> Result<u64, Fault> {
    let (value, esr, far, faulted): (u64, u64, u64, u64);
    // SAFETY: a fault goes on at 21, with the syndrome in x16 and the address in x17; for all else
    // the caller vouches.
    unsafe {
        asm!(
            "mov {faulted}, #1",
            "20: ldr {value}, [{address}]",
            "mov {faulted}, #0",
            "21:",
            fixup!(),
            address = in(reg) address.value(),
            value = lateout(reg) value,
            faulted = out(reg) faulted,
            out("x16") esr,
            out("x17") far,
            options(nostack, preserves_flags),
        );
    }
    if faulted == 0 { Ok(value) } else { Err(Fault { esr, far }) }
}

/// Writes `value` to the 64 bits at `address`.
///
/// # Safety
/// If something is mapped there, it is the caller's to write.
pub(crate) unsafe fn write_u64(address: VirtAddr, value: u64) -> Result<(), Fault> {
    let (esr, far, faulted): (u64, u64, u64);
    // SAFETY: as in `read_u64`.
    unsafe {
        asm!(
            "mov {faulted}, #1",
            "20: str {value}, [{address}]",
            "mov {faulted}, #0",
            "21:",
            fixup!(),
            address = in(reg) address.value(),
            value = in(reg) value,
            faulted = out(reg) faulted,
            out("x16") esr,
            out("x17") far,
            options(nostack, preserves_flags),
        );
    }
    if faulted == 0 { Ok(()) } else { Err(Fault { esr, far }) }
}

unsafe extern "C" {
    fn execute_guarded(code: u64, results: &mut [u64; 2], argument: u64) -> u64;
    static execute_returned: u8;
    static execute_faulted: u8;
}

/// Calls the function at `address` with `argument` in x0, and gives what it leaves there.
///
/// Whatever exception it causes itself comes back as a fault. It is called with the kernel's
/// rights; if it never returns, neither does this.
///
/// # Safety
/// If there are instructions, they follow the procedure call standard until one of them faults, and
/// do nothing that the caller couldn't.
pub(crate) unsafe fn execute(address: VirtAddr, argument: u64) -> Result<u64, Fault> {
    let mut results = [0; 2];
    // SAFETY: the caller vouches for the code; `execute_guarded` keeps what it must.
    let faulted = unsafe { execute_guarded(address.value(), &mut results, argument) };
    let [first, second] = results;
    if faulted == 0 { Ok(first) } else { Err(Fault { esr: first, far: second }) }
}

/// Has the probe that caused this synchronous exception go on with the fault as its result, if
/// there is one.
pub(super) fn recover(frame: &mut Frame) -> bool {
    if let Some(continuation) = fixup_of(frame.elr) {
        frame.elr = continuation;
        (frame.x[16], frame.x[17]) = (frame.esr, frame.far);
        return true;
    }
    let execute_stack = &per_cpu::this().execute_stack;
    let stack = execute_stack.load(Ordering::Relaxed);
    if stack == 0 || !is_foreign(frame) {
        return false;
    }
    execute_stack.store(0, Ordering::Relaxed);
    frame.elr = address_of(&raw const execute_faulted).value();
    frame.sp = stack;
    // A branch type is left over from the call; where it lands now is no marked target.
    frame.spsr &= !(0b11 << 10);
    (frame.x[0], frame.x[1]) = (frame.esr, frame.far);
    true
}

/// Whether the code that faulted is what `execute_guarded` called, and not the kernel: it is outside
/// the image's code, no instruction could be fetched there, or it was called from there directly.
fn is_foreign(frame: &Frame) -> bool {
    let is_fetch = matches!(frame.syndrome().class(), Class::InstructionAbort | Class::PcAlignment);
    let called_from = address_of(&raw const execute_returned).value();
    is_fetch || frame.x[30] == called_from || !image::text().contains(VirtAddr::new(frame.elr))
}

/// Where to go on after a fault of the instruction at `address`.
fn fixup_of(address: u64) -> Option<u64> {
    let table = image::fixups();
    let mut at = table.start();
    while table.contains(at) {
        let second = at.wrapping_add(4);
        if relative(at) == address {
            return Some(relative(second));
        }
        at = at.wrapping_add(8);
    }
    None
}

/// The address that the 32-bit word at `field` says, relative to itself.
fn relative(field: VirtAddr) -> u64 {
    let pointer = core::ptr::with_exposed_provenance::<i32>(
        usize::try_from(field.value()).unwrap_or_default(),
    );
    // SAFETY: `field` is in the table of fix-ups, which consists of such words.
    let offset = unsafe { pointer.read() };
    field.value().wrapping_add_signed(i64::from(offset))
}
