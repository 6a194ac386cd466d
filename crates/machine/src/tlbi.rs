//! The TLB maintenance instructions by name. What their operands mean is in `blockmap-vmsa`.

/// One TLB maintenance instruction with its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invalidate {
    /// The instruction.
    pub op: Tlbi,
    /// The register it is given; zero for the forms that take none.
    pub operand: u64,
}

macro_rules! tlbi {
    ($($(#[$doc:meta])* $name:ident = $mnemonic:literal,)*) => {
        /// A `TLBI` instruction of stage 1: its operation without the operand.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Tlbi {
            $($(#[$doc])* $name,)*
        }

        impl Tlbi {
            /// Every operation, in the order of the manual's tables.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The operation as it is written after `tlbi` in assembly.
            #[must_use]
            pub const fn mnemonic(self) -> &'static str {
                match self {
                    $(Self::$name => $mnemonic,)*
                }
            }
        }
    };
}

tlbi! {
    /// All stage 1 translations of EL1&0, this CPU.
    Vmalle1 = "vmalle1",
    /// All stage 1 translations of EL1&0, every CPU of the inner shareable domain.
    Vmalle1is = "vmalle1is",
    /// By address and ASID, all levels, this CPU.
    Vae1 = "vae1",
    /// By address and ASID, all levels, every CPU.
    Vae1is = "vae1is",
    /// By ASID, this CPU.
    Aside1 = "aside1",
    /// By ASID, every CPU.
    Aside1is = "aside1is",
    /// By address in every ASID, all levels, this CPU.
    Vaae1 = "vaae1",
    /// By address in every ASID, all levels, every CPU.
    Vaae1is = "vaae1is",
    /// By address and ASID, last level only, this CPU.
    Vale1 = "vale1",
    /// By address and ASID, last level only, every CPU.
    Vale1is = "vale1is",
    /// By address in every ASID, last level only, this CPU.
    Vaale1 = "vaale1",
    /// By address in every ASID, last level only, every CPU.
    Vaale1is = "vaale1is",
    /// By range and ASID, all levels, this CPU.
    Rvae1 = "rvae1",
    /// By range and ASID, all levels, every CPU.
    Rvae1is = "rvae1is",
    /// By range in every ASID, all levels, this CPU.
    Rvaae1 = "rvaae1",
    /// By range in every ASID, all levels, every CPU.
    Rvaae1is = "rvaae1is",
    /// By range and ASID, last level only, this CPU.
    Rvale1 = "rvale1",
    /// By range and ASID, last level only, every CPU.
    Rvale1is = "rvale1is",
    /// By range in every ASID, last level only, this CPU.
    Rvaale1 = "rvaale1",
    /// By range in every ASID, last level only, every CPU.
    Rvaale1is = "rvaale1is",
    /// All stage 1 translations of EL2 or EL2&0, this CPU.
    Alle2 = "alle2",
    /// All stage 1 translations of EL2 or EL2&0, every CPU.
    Alle2is = "alle2is",
    /// By address (and ASID in EL2&0), all levels, this CPU.
    Vae2 = "vae2",
    /// By address (and ASID in EL2&0), all levels, every CPU.
    Vae2is = "vae2is",
    /// By address (and ASID in EL2&0), last level only, this CPU.
    Vale2 = "vale2",
    /// By address (and ASID in EL2&0), last level only, every CPU.
    Vale2is = "vale2is",
    /// By range (and ASID in EL2&0), all levels, this CPU.
    Rvae2 = "rvae2",
    /// By range (and ASID in EL2&0), all levels, every CPU.
    Rvae2is = "rvae2is",
    /// By range (and ASID in EL2&0), last level only, this CPU.
    Rvale2 = "rvale2",
    /// By range (and ASID in EL2&0), last level only, every CPU.
    Rvale2is = "rvale2is",
    /// All stage 1 translations of EL3, this CPU.
    Alle3 = "alle3",
    /// All stage 1 translations of EL3, every CPU.
    Alle3is = "alle3is",
    /// By address, all levels, this CPU.
    Vae3 = "vae3",
    /// By address, all levels, every CPU.
    Vae3is = "vae3is",
    /// By address, last level only, this CPU.
    Vale3 = "vale3",
    /// By address, last level only, every CPU.
    Vale3is = "vale3is",
    /// By range, all levels, this CPU.
    Rvae3 = "rvae3",
    /// By range, all levels, every CPU.
    Rvae3is = "rvae3is",
    /// By range, last level only, this CPU.
    Rvale3 = "rvale3",
    /// By range, last level only, every CPU.
    Rvale3is = "rvale3is",
}
