//! The console: a PL011 UART, used as firmware left it set up.
//!
//! Lines end with a line feed alone; the terminal adds the carriage return.

use core::fmt::{self, Write};
use core::ptr::NonNull;

use arm_pl011_uart::{PL011Registers, Uart, UniqueMmioPointer};
use blockmap::vmsa::machine::VirtAddr;
use blockmap_hw::{frequency_hz, ticks};
use spin::RelaxStrategy;

use crate::lock::Lock;

/// Waits with YIELD: what `core::hint::spin_loop` is here, ISB, starves other CPUs of an emulator.
pub(crate) struct Yield;

impl RelaxStrategy for Yield {
    fn relax() {
        // SAFETY: the instruction is a hint.
        unsafe { core::arch::asm!("yield", options(nomem, nostack, preserves_flags)) };
    }
}

static UART: Lock<Option<Port>> = Lock::new(None);

/// The UART, and where its registers are mapped.
struct Port {
    uart: Uart<'static>,
}

// SAFETY: the registers are reached through this value alone, which the lock gives to one at a
// time; a device doesn't care which CPU accesses it.
unsafe impl Send for Port {}

/// Uses the PL011 whose registers are at `registers` from now on. Until this is called, everything
/// printed is lost; called again, it follows registers that have been mapped elsewhere.
///
/// # Safety
/// A PL011's registers are mapped there as device memory, for as long as the console uses them, and
/// nobody else uses them.
pub(crate) unsafe fn use_uart(registers: VirtAddr) {
    let address = usize::try_from(registers.value()).unwrap_or(0);
    let pointer = core::ptr::with_exposed_provenance_mut::<PL011Registers>(address);
    *UART.lock() = NonNull::new(pointer).map(|registers| Port {
        // SAFETY: the caller vouches for it.
        uart: Uart::new(unsafe { UniqueMmioPointer::new(registers) }),
    });
}

/// Prints. [`println!`] is the usual way.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    if let Some(port) = UART.lock().as_mut() {
        // A UART takes every byte.
        let _ = port.uart.write_fmt(text);
    }
}

/// The next byte that was typed, if there is one.
pub(crate) fn read_byte() -> Option<u8> {
    let mut port = UART.lock();
    let uart = &mut port.as_mut()?.uart;
    // A byte that arrived broken is as good as none.
    uart.read_word().ok().flatten()
}

/// Takes the console away from whoever is using it: for reports of something that may have happened
/// while the console was in use, and after which nothing goes on.
pub(crate) fn seize() {
    let begun = ticks();
    // Another CPU is done with its line soon, unless it has died.
    while UART.is_held() && !UART.is_mine() && ticks() - begun < frequency_hz() / 4 {
        pause();
    }
    if UART.is_held() {
        // SAFETY: the holder was interrupted by what is about to be reported, and never goes on; if
        // it is another CPU, lines get mixed.
        unsafe { UART.take_away() };
    }
}

/// Lets others go first, while waiting for something that one of them does.
pub(crate) fn pause() {
    Yield::relax();
}

/// Prints a line.
macro_rules! println {
    () => {
        $crate::console::print(format_args!("\n"))
    };
    ($($argument:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($argument)*)))
    };
}
pub(crate) use println;
