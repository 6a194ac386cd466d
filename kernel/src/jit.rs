//! Tiny programs, made while the kernel runs: what they compute, and the instructions for it.
//!
//! A program takes a number and does a few things to it. [`Program::value`] says what comes out,
//! [`Program::code`] is what the CPU executes to find it.
//!
//! ```
//! use blockmap_kernel::jit::{Program, Step};
//!
//! let program = Program::new([Step::Multiply(3), Step::Add(7), Step::Xor(1), Step::Add(0)]);
//! assert_eq!(program.value(5), 23);
//! assert_eq!(program.code().last(), Some(&0xd65f_03c0), "ret");
//! ```
//!
//! Source: *Arm A-profile Architecture Reference Manual*, "A64 Base Instructions".

/// How many steps a program has.
const STEPS: usize = 4;

/// Instructions of a program: two for each step, and one to return.
pub const WORDS: usize = 2 * STEPS + 1;

/// Bytes from one program to the next.
pub const PROGRAM_BYTES: u64 = 64;

/// Something that is done to a number; what is above 64 bits is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Adds.
    Add(u16),
    /// Multiplies.
    Multiply(u16),
    /// Changes the bits that are set.
    Xor(u16),
}

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    steps: [Step; STEPS],
}

impl Program {
    /// Does these one after another.
    #[must_use]
    pub const fn new(steps: [Step; STEPS]) -> Self {
        Self { steps }
    }

    /// A program that only this number has, as far as 64 bits tell.
    #[must_use]
    pub fn numbered(number: u32) -> Self {
        let [a, b, c, d] = number.to_le_bytes();
        let [low, high] = [[a, b], [c, d]].map(u16::from_le_bytes);
        Self::new([Step::Add(low), Step::Multiply(0x4a7d), Step::Add(high), Step::Xor(low)])
    }

    /// What it makes of `number`.
    #[must_use]
    pub fn value(&self, number: u64) -> u64 {
        self.steps.iter().fold(number, |number, step| match *step {
            Step::Add(by) => number.wrapping_add(by.into()),
            Step::Multiply(by) => number.wrapping_mul(by.into()),
            Step::Xor(by) => number ^ u64::from(by),
        })
    }

    /// A function that does it to x0, with x1 to its disposal.
    #[must_use]
    pub fn code(&self) -> [u32; WORDS] {
        let mut code = [RET; WORDS];
        for (words, step) in code.chunks_exact_mut(2).zip(&self.steps) {
            let (number, operation) = match *step {
                Step::Add(by) => (by, ADD),
                Step::Multiply(by) => (by, MULTIPLY),
                Step::Xor(by) => (by, XOR),
            };
            words.copy_from_slice(&[LOAD | u32::from(number) << 5, operation]);
        }
        code
    }

    /// Writes the code to the start of `place`, with nothing that can be executed behind it. What
    /// finds no room is left out.
    pub fn write(&self, place: &mut [u8]) {
        place.fill(0);
        for (bytes, word) in place.chunks_exact_mut(4).zip(self.code()) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

/// `movz x1, #0`.
const LOAD: u32 = 0xd280_0001;
/// `add x0, x0, x1`.
const ADD: u32 = 0x8b01_0000;
/// `mul x0, x0, x1`.
const MULTIPLY: u32 = 0x9b01_7c00;
/// `eor x0, x0, x1`.
const XOR: u32 = 0xca01_0000;
/// `ret`.
const RET: u32 = 0xd65f_03c0;

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use super::*;

    /// What the instructions of a program make of a number, read bit by bit.
    fn executed(code: &[u32], number: u64) -> u64 {
        let mut x = [number, 0];
        for word in code {
            match word {
                0xd65f_03c0 => break,
                word if word & 0xffe0_001f == 0xd280_0001 => x[1] = u64::from(word >> 5 & 0xffff),
                0x8b01_0000 => x[0] = x[0].wrapping_add(x[1]),
                0x9b01_7c00 => x[0] = x[0].wrapping_mul(x[1]),
                0xca01_0000 => x[0] ^= x[1],
                word => panic!("{word:#x} is no instruction of a program"),
            }
        }
        x[0]
    }

    #[test]
    fn the_code_computes_the_value() {
        for number in [0, 1, 2, 77, 4095, 65535, 65536, u32::MAX] {
            let program = Program::numbered(number);
            for argument in [0, 1, 1 << 63, u64::MAX] {
                assert_eq!(executed(&program.code(), argument), program.value(argument));
            }
        }
    }

    #[test]
    fn programs_differ() {
        let values: BTreeSet<u64> =
            (0..5000).map(|number| Program::numbered(number).value(1)).collect();
        assert_eq!(values.len(), 5000);
    }

    #[test]
    fn what_lies_behind_a_program_faults() {
        let mut place = [0xff; 64];
        Program::numbered(3).write(&mut place);
        assert_eq!(place[4 * WORDS - 4..4 * WORDS], 0xd65f_03c0_u32.to_le_bytes());
        assert!(place[4 * WORDS..].iter().all(|byte| *byte == 0));
    }
}
