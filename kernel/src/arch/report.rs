//! The report of an exception that is nobody's, and of a panic.

use core::fmt;

use blockmap::vmsa::machine::VirtAddr;
use blockmap_hw::{Syndrome, Translated, translate};

use super::exceptions::{Frame, Kind, Origin};
use super::{image, per_cpu};
use crate::console::{self, println};
use crate::lock::Lock;
use crate::owners::guard;
use crate::{cpus, memory};

/// Prints how the kernel's tables translate an address.
pub(crate) type WalkHook = fn(VirtAddr);

static WALK: Lock<Option<WalkHook>> = Lock::new(None);

/// Has reports say how the tables translate the faulting address.
///
/// `walk` is called on the exception stack, with locks of the code that faulted still held: it may
/// not wait for any. It prints with [`crate::console`].
pub(crate) fn set_walk_hook(walk: WalkHook) {
    *WALK.lock() = Some(walk);
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synchronous => "exception",
            Self::Irq => "interrupt",
            Self::Fiq => "fast interrupt",
            Self::SystemError => "system error",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel",
            Self::User => "the unprivileged level",
            Self::User32 => "the unprivileged level (AArch32)",
        })
    }
}

/// Reports an exception that nobody handles.
pub(super) fn exception(origin: Origin, kind: Kind, frame: &Frame) {
    console::seize();
    let syndrome = frame.syndrome();
    println!();
    on_which_cpu();
    match kind {
        Kind::Synchronous => println!("!!! exception in {origin} that nobody handles: {syndrome}"),
        Kind::Irq | Kind::Fiq | Kind::SystemError => {
            println!("!!! {kind} in {origin} that nobody handles");
        }
    }
    println!("    at   {}", Code(frame.elr));
    if matches!(kind, Kind::Synchronous) && syndrome.has_address() {
        faulting_address(VirtAddr::new(frame.far));
    }
    println!("    ESR  {:#018x}   FAR {:#018x}   SPSR {:#010x}", frame.esr, frame.far, frame.spsr);
    registers(frame);
    println!("    backtrace:");
    backtrace(frame.elr, frame.x[30], frame.x[29]);
}

/// Says which CPU it was, unless there is but one.
fn on_which_cpu() {
    if cpus::are_several() {
        println!("!!! on CPU {}:", per_cpu::this().number());
    }
}

/// Says what is known of an address that could not be accessed.
fn faulting_address(address: VirtAddr) {
    println!("    for  {address}");
    if let Some(stack) = image::guarded_stack(address) {
        println!("         the {stack} stack has overflowed: this is its guard page");
    }
    if let Some((cpu, stack)) = memory::guarded_stack(address) {
        println!("         CPU {cpu}'s {stack} stack has overflowed: this is its guard page");
    }
    if let Some(story) = guard::story(address) {
        println!("         guard pool: {story}");
    }
    match translate(address) {
        Translated::To(memory) => println!("         this CPU reads it from memory {memory}"),
        Translated::Fault(status) => println!("         this CPU can't read it: {status}"),
    }
    // Nothing but the setting of the hook holds the lock.
    if let Some(walk) = WALK.try_lock().and_then(|hook| *hook) {
        walk(address);
    }
}

fn registers(frame: &Frame) {
    for (row, values) in frame.x.chunks(4).enumerate() {
        console::print(format_args!("   "));
        for (column, value) in values.iter().enumerate() {
            let number = row * 4 + column;
            let blank = if number < 10 { " " } else { "" };
            console::print(format_args!(" {blank}x{number} {value:016x}"));
        }
        if values.len() < 4 {
            console::print(format_args!("  sp {:016x}", frame.sp));
        }
        println!();
    }
}

/// How many callers a backtrace names.
const CALLERS: usize = 32;

/// Prints the chain of callers: the code itself, and the return addresses of the frame records
/// from `record` on. A record is two words, the caller's record and the return address.
///
/// Where the code had no record of its own yet, or was jumped to, `link` is its only trace.
///
/// Source: "Procedure Call Standard for the Arm 64-bit Architecture", "The Frame Pointer".
fn backtrace(code: u64, link: u64, mut record: u64) {
    println!("      {}", Code(code));
    let mut caller = word(record.wrapping_add(8)).unwrap_or(0);
    if caller != link && image::text().contains(VirtAddr::new(link)) {
        println!("      {} (link register)", Code(link));
    }
    let mut repeated = 0_u32;
    for _ in 0..CALLERS {
        if caller == 0 {
            break;
        }
        println!("      {}", Code(caller));
        // A recursion would fill the report with one line.
        let before = caller;
        while caller == before {
            // Records lie ever higher on the stack; anything else is not a chain.
            let next = word(record).filter(|next| *next > record && next.is_multiple_of(8));
            record = next.unwrap_or(0);
            caller = word(record.wrapping_add(8)).unwrap_or(0);
            repeated = repeated.saturating_add(u32::from(caller == before));
        }
        if repeated > 0 {
            println!("      (again {repeated} times)");
            repeated = 0;
        }
    }
}

/// The word at `address`, if this CPU can read it: a fault here would be the last.
fn word(address: u64) -> Option<u64> {
    match translate(VirtAddr::new(address)) {
        Translated::To(_) => {
            let pointer = core::ptr::with_exposed_provenance::<u64>(usize::try_from(address).ok()?);
            // SAFETY: the CPU has just translated the address for a load.
            Some(unsafe { pointer.read_volatile() })
        }
        Translated::Fault(_) => None,
    }
}

/// An address of code, with its place in the image.
struct Code(u64);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = VirtAddr::new(self.0);
        match address.offset_from(image::LINK) {
            Some(offset) if image::text().contains(address) => {
                write!(f, "{:#018x} (image + {offset:#x})", self.0)
            }
            Some(_) | None => write!(f, "{:#018x}", self.0),
        }
    }
}

/// Reports an exception that was taken while one was being handled.
pub(super) fn last_exception(kind: Kind, syndrome: Syndrome, (elr, far): (u64, u64)) {
    println!();
    on_which_cpu();
    match kind {
        Kind::Synchronous => println!("!!! {kind} while reporting: {syndrome}"),
        Kind::Irq | Kind::Fiq | Kind::SystemError => println!("!!! {kind} while reporting"),
    }
    println!("    at   {}   for {far:#018x}   ESR {:#010x}", Code(elr), syndrome.value());
}

/// Reports a panic, with the callers of whoever calls this.
pub(crate) fn panic(info: &core::panic::PanicInfo<'_>) {
    console::seize();
    println!();
    on_which_cpu();
    println!("!!! {info}");
    let record: u64;
    // SAFETY: reading a register changes nothing.
    unsafe {
        core::arch::asm!("mov {}, x29", out(reg) record, options(nomem, nostack, preserves_flags));
    }
    println!("    backtrace:");
    let (next, caller) = (word(record), word(record.wrapping_add(8)));
    if let (Some(next), Some(caller)) = (next, caller) {
        backtrace(caller, 0, next);
    }
}
