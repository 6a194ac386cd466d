//! A module with a word of each kind that a loader fills in: addresses and distances, in what is
//! only read and in what is written, and the low bits of both in loads and stores of every size.
#![no_std]

use core::arch::global_asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

unsafe extern "C" {
    /// Bytes of a page.
    static kernel_page_bytes: u64;
    /// The number of the CPU that calls.
    fn kernel_cpu() -> u64;
    /// The distance from itself to `module_run`, in 32 bits.
    static distance_to_run: i32;
    /// The same in 64 bits.
    static distance_to_run_wide: i64;
}

global_asm!(
    ".pushsection .rodata.distances, \"a\"",
    ".balign 8",
    ".global distance_to_run_wide",
    "distance_to_run_wide: .xword module_run - .",
    ".global distance_to_run",
    "distance_to_run: .word module_run - .",
    ".popsection",
);

/// Functions by address, in what is only read.
static STEPS: [fn(u64) -> u64; 3] = [triple, add_seven, swap_halves];

/// An address in what is written.
static NEXT: [&AtomicU64; 1] = [&TOTAL];

static TOTAL: AtomicU64 = AtomicU64::new(1 << 40);
static SMALL: AtomicU32 = AtomicU32::new(0x0102_0304);
static SMALLER: AtomicU16 = AtomicU16::new(0x0506);
static SMALLEST: AtomicU8 = AtomicU8::new(7);

#[inline(never)]
fn triple(number: u64) -> u64 {
    number.wrapping_mul(3)
}

#[inline(never)]
fn add_seven(number: u64) -> u64 {
    number.wrapping_add(7)
}

#[inline(never)]
fn swap_halves(number: u64) -> u64 {
    number.rotate_left(32)
}

/// Whether both distances lead to [`module_run`].
fn distances_lead_here() -> bool {
    #[expect(clippy::as_conversions, reason = "nothing else gives the address of a function")]
    let run = module_run as *const () as usize;
    let (near, far) = (&raw const distance_to_run, &raw const distance_to_run_wide);
    // SAFETY: both are words of this module that nobody writes.
    let near_distance = i64::from(unsafe { near.read() });
    // SAFETY: as above.
    let far_distance = unsafe { far.read() };
    [(near.addr(), near_distance), (far.addr(), far_distance)].into_iter().all(|(at, distance)| {
        isize::try_from(distance).is_ok_and(|distance| at.wrapping_add_signed(distance) == run)
    })
}

/// Takes `argument` through all of it: (3 `argument` + 7) with its halves swapped, a page and what
/// the data add up to; 0 where a distance is wrong.
#[unsafe(no_mangle)]
pub extern "C" fn module_run(argument: u64) -> u64 {
    if !distances_lead_here() {
        return 0;
    }
    let stepped = black_box(&STEPS).iter().fold(argument, |number, step| step(number));
    let data = [
        u64::from(SMALL.fetch_add(1, Ordering::Relaxed)),
        u64::from(SMALLER.fetch_add(1, Ordering::Relaxed)),
        u64::from(SMALLEST.fetch_add(1, Ordering::Relaxed)),
    ];
    for next in black_box(&NEXT) {
        next.fetch_add(data.iter().sum::<u64>(), Ordering::Relaxed);
    }
    // SAFETY: the kernel's constant, which nobody writes.
    let page_bytes = unsafe { kernel_page_bytes };
    // SAFETY: it only reads a register.
    let cpu = unsafe { kernel_cpu() };
    [TOTAL.load(Ordering::Relaxed), page_bytes, cpu].into_iter().fold(stepped, u64::wrapping_add)
}
