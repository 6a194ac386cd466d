//! What is in the vector registers, before a piece of work and after it.

use core::arch::asm;
use core::array::from_fn;

use blockmap_hw::permits_vectors;

/// How many there are.
const COUNT: usize = 32;

/// Accesses the words from `$words` on, one for each register.
macro_rules! each_register {
    ($instruction:literal, $words:expr) => {
        asm!(
            ".arch_extension fp",
            ".irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
            concat!($instruction, r" q\number, [{words}], #16"),
            ".endr",
            ".irp number, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
            concat!($instruction, r" q\number, [{words}], #16"),
            ".endr",
            words = inout(reg) $words => _,
            options(nostack, preserves_flags),
        )
    };
}

/// Does `work` with a pattern of its own in each vector register, and says in how many there is another
/// one afterwards. `None`, and nothing is done, where the CPU does not permit them.
pub(crate) fn changed_by<T>(work: impl FnOnce() -> T) -> Option<(T, usize)> {
    if !permits_vectors() {
        return None;
    }
    let patterns: [u128; COUNT] = from_fn(|number| {
        let number = u128::try_from(number).unwrap_or_default();
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    });
    let mut after = [0; COUNT];
    // SAFETY: the array has a word for each register, and the compiler has no use for them.
    unsafe { each_register!("ldr", patterns.as_ptr()) };
    let result = work();
    // SAFETY: as above.
    unsafe { each_register!("str", after.as_mut_ptr()) };
    let changed = patterns.iter().zip(after).filter(|(before, after)| **before != *after).count();
    Some((result, changed))
}
