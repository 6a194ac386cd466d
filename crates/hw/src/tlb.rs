//! TLB maintenance: one instruction for each of the operations that have a name.

use core::arch::asm;

use blockmap_machine::{Invalidate, Tlbi};

macro_rules! tlbi {
    (
        $invalidate:expr;
        whole { $($whole:ident = $whole_name:literal,)* }
        operand { $($name:ident = $mnemonic:literal,)* }
        range { $($range:ident = $range_name:literal,)* }
    ) => {
        match $invalidate.op {
            $(
                // SAFETY: a TLB holds copies of what the tables say; dropping them loses nothing.
                Tlbi::$whole => unsafe {
                    asm!(concat!("tlbi ", $whole_name), options(nostack, preserves_flags));
                },
            )*
            $(
                // SAFETY: as above.
                Tlbi::$name => unsafe {
                    asm!(
                        concat!("tlbi ", $mnemonic, ", {}"),
                        in(reg) $invalidate.operand,
                        options(nostack, preserves_flags),
                    );
                },
            )*
            $(
                // SAFETY: as above. The caller knows whether the CPU has FEAT_TLBIRANGE; without it
                // the instruction is undefined, which is an exception and not undefined behaviour.
                Tlbi::$range => unsafe {
                    asm!(
                        ".arch_extension tlb-rmi",
                        concat!("tlbi ", $range_name, ", {}"),
                        in(reg) $invalidate.operand,
                        options(nostack, preserves_flags),
                    );
                },
            )*
        }
    };
}

/// Performs one TLB maintenance instruction. The caller orders it with the barriers around it.
///
/// With `invalidate` built in the argument this is the bare instruction.
///
/// Source: "TLB maintenance instructions".
#[inline(always)]
pub(crate) fn invalidate(invalidate: Invalidate) {
    tlbi! {
        invalidate;
        whole {
        Vmalle1 = "vmalle1",
        Vmalle1is = "vmalle1is",
        Alle2 = "alle2",
        Alle2is = "alle2is",
        Alle3 = "alle3",
        Alle3is = "alle3is",
        }
        operand {
        Vae1 = "vae1",
        Vae1is = "vae1is",
        Aside1 = "aside1",
        Aside1is = "aside1is",
        Vaae1 = "vaae1",
        Vaae1is = "vaae1is",
        Vale1 = "vale1",
        Vale1is = "vale1is",
        Vaale1 = "vaale1",
        Vaale1is = "vaale1is",
        Vae2 = "vae2",
        Vae2is = "vae2is",
        Vale2 = "vale2",
        Vale2is = "vale2is",
        Vae3 = "vae3",
        Vae3is = "vae3is",
        Vale3 = "vale3",
        Vale3is = "vale3is",
        }
        range {
        Rvae1 = "rvae1",
        Rvae1is = "rvae1is",
        Rvaae1 = "rvaae1",
        Rvaae1is = "rvaae1is",
        Rvale1 = "rvale1",
        Rvale1is = "rvale1is",
        Rvaale1 = "rvaale1",
        Rvaale1is = "rvaale1is",
        Rvae2 = "rvae2",
        Rvae2is = "rvae2is",
        Rvale2 = "rvale2",
        Rvale2is = "rvale2is",
        Rvae3 = "rvae3",
        Rvae3is = "rvae3is",
        Rvale3 = "rvale3",
        Rvale3is = "rvale3is",
        }
    }
}
