//! Instructions that do the same wherever they are: those that may be run out of line, in a slot.
//!
//! Source: *Arm A-profile Architecture Reference Manual*, "A64 instruction set encoding".

use core::fmt;

use thiserror::Error;

/// Why an instruction can't be run somewhere else than where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OutOfLineError {
    /// What it computes or loads depends on where it is.
    #[error("{0} depends on where it is: it can't be run in a slot")]
    Relative(Instruction),
    /// It goes somewhere else, and would not come back.
    #[error("{0} leaves the slot: it can't be run there")]
    Leaves(Instruction),
    /// It is the system's: barriers, hints, registers, exceptions.
    #[error("{0} is one of the system's: it can't be run in a slot")]
    System(Instruction),
}

/// A word that is meant as an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction(u32);

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Returns to whoever called.
const RET: u32 = 0xd65f_03c0;

/// `nop`, which is among the system's instructions and harmless.
const NOP: u32 = 0xd503_201f;

/// An instruction that may be run out of line: holding one tells that it neither depends on where it
/// is, nor goes somewhere else, nor is one of the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLine(u32);

/// Instructions whose bits in the first number are those of the second.
struct Encoding(u32, u32);

/// `adr` and `adrp`; loads of literals, with SIMD registers too.
const RELATIVE: [Encoding; 2] =
    [Encoding(0x1f00_0000, 0x1000_0000), Encoding(0x3b00_0000, 0x1800_0000)];

/// `b` and `bl`; `cbz` and `tbz`; `b.cond`; branches to registers, `ret`, `eret`.
const BRANCHES: [Encoding; 4] = [
    Encoding(0x7c00_0000, 0x1400_0000),
    Encoding(0x7c00_0000, 0x3400_0000),
    Encoding(0xfe00_0000, 0x5400_0000),
    Encoding(0xfe00_0000, 0xd600_0000),
];

/// `svc`, `brk`, `hlt` and their like; barriers, hints, system registers.
const SYSTEM: [Encoding; 2] =
    [Encoding(0xff00_0000, 0xd400_0000), Encoding(0xff00_0000, 0xd500_0000)];

impl OutOfLine {
    /// The instruction `word`.
    ///
    /// # Errors
    /// See [`OutOfLineError`]. A word that is no instruction at all is not found out: it faults when
    /// it is run.
    pub fn new(word: u32) -> Result<Self, OutOfLineError> {
        let is = |all: &[Encoding]| all.iter().any(|Encoding(mask, value)| word & mask == *value);
        let instruction = Instruction(word);
        if is(&RELATIVE) {
            return Err(OutOfLineError::Relative(instruction));
        }
        if is(&BRANCHES) {
            return Err(OutOfLineError::Leaves(instruction));
        }
        if is(&SYSTEM) && word != NOP {
            return Err(OutOfLineError::System(instruction));
        }
        Ok(Self(word))
    }

    /// A function that does what it does, to x0.
    #[must_use]
    pub const fn function(self) -> [u32; 2] {
        [self.0, RET]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn what_does_the_same_anywhere_may_be_run_out_of_line() {
        // add x0, x0, #1; mul x0, x0, x0; ldr x0, [x0]; mov x0, #42; eor x0, x0, x0, ror #7; nop
        for word in [0x9100_0400, 0x9b00_7c00, 0xf940_0000, 0xd280_0540, 0xcac0_1c00, NOP] {
            assert_eq!(OutOfLine::new(word).map(OutOfLine::function), Ok([word, RET]), "{word:#x}");
        }
    }

    #[test]
    fn what_depends_on_its_place_is_refused() {
        // adr; adrp; ldr x0, literal; ldr q0, literal; ldrsw; prfm literal
        let words = [0x1000_0000, 0xb000_0000, 0x5800_0040, 0x9c00_0040, 0x9800_0040, 0xd800_0040];
        for word in words {
            assert_eq!(OutOfLine::new(word), Err(OutOfLineError::Relative(Instruction(word))));
        }
        let error = OutOfLine::new(0x1000_0000).unwrap_err().to_string();
        assert_eq!(error, "0x10000000 depends on where it is: it can't be run in a slot");
    }

    #[test]
    fn what_leaves_or_is_the_systems_is_refused() {
        // b; bl; cbz; cbnz; tbz; b.eq; br x0; blr x1; ret; eret
        let branches = [
            0x1400_0001,
            0x9400_0001,
            0xb400_0040,
            0x3500_0040,
            0x3600_0040,
            0x5400_0040,
            0xd61f_0000,
            0xd63f_0020,
            RET,
            0xd69f_03e0,
        ];
        for word in branches {
            assert_eq!(OutOfLine::new(word), Err(OutOfLineError::Leaves(Instruction(word))));
        }
        // svc #0; brk #0; dsb sy; msr daifset, #2; mrs x0, currentel; wfi; tlbi vmalle1
        let system = [
            0xd400_0001,
            0xd420_0000,
            0xd503_3f9f,
            0xd503_42df,
            0xd538_4240,
            0xd503_207f,
            0xd508_871f,
        ];
        for word in system {
            assert_eq!(OutOfLine::new(word), Err(OutOfLineError::System(Instruction(word))));
        }
    }
}
