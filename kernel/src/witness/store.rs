//! Which registers a store instruction writes where, for those that a trap's syndrome does not
//! describe: pairs of registers, and forms that write the base register back.

/// A store of one or two 64-bit general-purpose registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreInstruction {
    /// The register that is written first; 31 is the zero register.
    pub first: u8,
    /// The one that is written to the eight bytes after it, if there are two.
    pub second: Option<u8>,
    /// The register that the address is made of; 31 is the stack pointer.
    pub base: u8,
    /// What the address has more than the base, in bytes.
    pub offset: i64,
    /// What the base has more afterwards, in bytes.
    pub write_back: i64,
}

/// How an instruction uses its offset.
#[derive(Clone, Copy)]
enum Indexing {
    /// For the address alone.
    Offset,
    /// For the base afterwards.
    Post,
    /// For both.
    Pre,
}

impl StoreInstruction {
    /// The store that the instruction `word` is; `None` if it is none, or none of whole 64-bit
    /// general-purpose registers at a distance from a base that the instruction itself says.
    ///
    /// Source: "STR (immediate)", "STUR", "STP", "STNP" of the A64 base instructions.
    #[must_use]
    pub const fn decode(word: u32) -> Option<Self> {
        let pair = match word & 0xffc0_0000 {
            0xa900_0000 | 0xa800_0000 => Some(Indexing::Offset),
            0xa880_0000 => Some(Indexing::Post),
            0xa980_0000 => Some(Indexing::Pre),
            _ => None,
        };
        if let Some(indexing) = pair {
            let second = Some(field(word, 10, 5));
            return Some(Self::of(word, second, (signed(word, 15, 7) * 8, indexing)));
        }
        if word & 0xffc0_0000 == 0xf900_0000 {
            // Twelve bits and the zero above them: never negative.
            let offset = signed(word, 10, 13) * 8;
            return Some(Self::of(word, None, (offset, Indexing::Offset)));
        }
        let single = match word & 0xffe0_0c00 {
            0xf800_0000 => Indexing::Offset,
            0xf800_0400 => Indexing::Post,
            0xf800_0c00 => Indexing::Pre,
            _ => return None,
        };
        Some(Self::of(word, None, (signed(word, 12, 9), single)))
    }

    const fn of(word: u32, second: Option<u8>, (bytes, indexing): (i64, Indexing)) -> Self {
        let (offset, write_back) = match indexing {
            Indexing::Offset => (bytes, 0),
            Indexing::Post => (0, bytes),
            Indexing::Pre => (bytes, bytes),
        };
        Self { first: field(word, 0, 5), second, base: field(word, 5, 5), offset, write_back }
    }
}

/// The `width` bits of `word` from `low` up; at most eight.
const fn field(word: u32, low: u32, width: u32) -> u8 {
    let [lowest, ..] = (word >> low & ((1 << width) - 1)).to_le_bytes();
    lowest
}

/// The same as a signed number, of any width.
const fn signed(word: u32, low: u32, width: u32) -> i64 {
    let top = (word << (32 - low - width)).cast_signed();
    #[expect(clippy::as_conversions, reason = "widening; From is not const")]
    let number = (top >> (32 - width)) as i64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers and offsets as an assembler encodes them.
    fn check(word: u32, (first, second, base): (u8, Option<u8>, u8), (offset, after): (i64, i64)) {
        let expected = StoreInstruction { first, second, base, offset, write_back: after };
        assert_eq!(StoreInstruction::decode(word), Some(expected), "{word:#010x}");
    }

    #[test]
    fn pairs_are_stored_at_and_around_their_base() {
        check(0xa884_2448, (8, Some(9), 2), (0, 64)); // stp x8, x9, [x2], #64
        check(0xa93d_2448, (8, Some(9), 2), (-48, 0)); // stp x8, x9, [x2, #-48]
        check(0xa9be_7bfd, (29, Some(30), 31), (-32, -32)); // stp x29, x30, [sp, #-32]!
        check(0xa900_7c1f, (31, Some(31), 0), (0, 0)); // stp xzr, xzr, [x0]
        check(0xa81f_87e0, (0, Some(1), 31), (504, 0)); // stnp x0, x1, [sp, #504]
    }

    #[test]
    fn single_registers_are_stored_at_and_around_their_base() {
        check(0xf802_0448, (8, None, 2), (0, 32)); // str x8, [x2], #32
        check(0xf81e_8048, (8, None, 2), (-24, 0)); // stur x8, [x2, #-24]
        check(0xf81f_0c41, (1, None, 2), (-16, -16)); // str x1, [x2, #-16]!
        check(0xf900_0020, (0, None, 1), (0, 0)); // str x0, [x1]
        check(0xf93f_fc3f, (31, None, 1), (32760, 0)); // str xzr, [x1, #32760]
    }

    #[test]
    fn loads_vectors_and_narrow_stores_are_none_of_them() {
        let others = [
            0xa940_2448,                  // ldp x8, x9, [x2]
            0xf940_0020,                  // ldr x0, [x1]
            0xf840_0448,                  // ldr x8, [x2], #0
            0xad00_0440,                  // stp q0, q1, [x2]
            0xa900_0440_u32 & !(1 << 31), // stp w0, w1, [x2]
            0xb900_0020,                  // str w0, [x1]
            0x3900_0020,                  // strb w0, [x1]
            0xf822_6820,                  // str x0, [x1, x2]
            0xd503_201f,                  // nop
        ];
        for word in others {
            assert_eq!(StoreInstruction::decode(word), None, "{word:#010x}");
        }
    }
}
