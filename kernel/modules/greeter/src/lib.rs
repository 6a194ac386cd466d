//! A module that prints a line, and counts how often it ran.
#![no_std]

use core::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    /// Prints `bytes` bytes of UTF-8 from `text` on.
    fn kernel_print(text: *const u8, bytes: usize);
}

/// How often it ran since it was loaded.
static RUNS: AtomicU64 = AtomicU64::new(0);

const GREETING: &str = "greeter: loaded, relocated and running\n";

/// Prints a line; gives how often it ran, and `argument` times a thousand.
#[unsafe(no_mangle)]
pub extern "C" fn module_run(argument: u64) -> u64 {
    // SAFETY: the greeting is text, and stays where it is.
    unsafe { kernel_print(GREETING.as_ptr(), GREETING.len()) };
    let runs = RUNS.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    argument.wrapping_mul(1000).wrapping_add(runs)
}
