//! What modules may name of the kernel.

use blockmap::machine::VirtAddr;
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::module::Export;

use crate::arch::per_cpu;
use crate::console;

/// A datum for modules: bytes of a page.
static KERNEL_PAGE_BYTES: u64 = FRAME_BYTES;

/// All that modules may name.
pub(super) fn exports() -> [Export; 3] {
    let print: unsafe extern "C" fn(*const u8, usize) = kernel_print;
    let cpu: extern "C" fn() -> u64 = kernel_cpu;
    #[expect(clippy::as_conversions, reason = "nothing else gives the address of a function")]
    let (print, cpu) = (print as *const (), cpu as *const ());
    [
        Export { name: "kernel_print", address: at(print) },
        Export { name: "kernel_cpu", address: at(cpu) },
        Export { name: "kernel_page_bytes", address: at(&raw const KERNEL_PAGE_BYTES) },
    ]
}

fn at<T>(pointer: *const T) -> VirtAddr {
    VirtAddr::new(u64::try_from(pointer.expose_provenance()).unwrap_or(0))
}

/// Prints `bytes` bytes from `text` on; what is no UTF-8 is not printed.
///
/// # Safety
/// They can be read.
unsafe extern "C" fn kernel_print(text: *const u8, bytes: usize) {
    // SAFETY: the caller vouches for the bytes.
    let text = unsafe { core::slice::from_raw_parts(text, bytes) };
    console::print(format_args!("{}", core::str::from_utf8(text).unwrap_or("(no text)\n")));
}

/// The number of the CPU that asks.
extern "C" fn kernel_cpu() -> u64 {
    per_cpu::this().number().into()
}
