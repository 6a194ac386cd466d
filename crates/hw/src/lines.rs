//! Which cache lines maintenance of a range is done to, and how: decided without touching one.

use blockmap_machine::{CacheOp, VirtRange};

/// `CTR_EL0`: how long cache lines are, and what instruction caches go by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheType(pub(crate) u64);

/// How a maintenance instruction is to be used for a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// On each line of so many bytes.
    LineByLine(u64),
    /// On all instruction caches at once.
    EveryInstruction,
}

impl CacheType {
    /// How `op` is to be used.
    ///
    /// Instruction caches are maintained by the address that memory is reached through here, not
    /// the one it is executed from. Only where the policy is PIPT (`L1Ip` 0b11) does that find what
    /// was fetched through another address; elsewhere all of them are invalidated.
    /// [instruction-aliases]
    ///
    /// Source: "CTR_EL0, Cache Type Register": `DminLine` and `IminLine` are log2 of words, in bits
    /// 19:16 and 3:0; `L1Ip` is bits 15:14.
    pub(crate) const fn way(self, op: CacheOp) -> Way {
        let log2_words = match op {
            CacheOp::IcIvau if self.0 >> 14 & 0b11 != 0b11 => return Way::EveryInstruction,
            CacheOp::IcIvau => self.0 & 0xf,
            CacheOp::DcCvau | CacheOp::DcCivac | CacheOp::DcIvac => self.0 >> 16 & 0xf,
        };
        Way::LineByLine(4 << log2_words)
    }
}

/// What is done to `line` when `op` is asked for `range`.
///
/// A line that is only in part in the range is cleaned where it would be invalidated alone: what
/// else is in it is not the range's to lose. [invalidate-whole-lines-only]
pub(crate) const fn on_line(op: CacheOp, range: VirtRange, line: Option<VirtRange>) -> CacheOp {
    let covers_line = match line {
        Some(line) => range.covers(line),
        None => false,
    };
    match op {
        CacheOp::DcIvac if !covers_line => CacheOp::DcCivac,
        CacheOp::DcIvac | CacheOp::DcCvau | CacheOp::DcCivac | CacheOp::IcIvau => op,
    }
}

#[cfg(test)]
mod tests {
    use blockmap_machine::VirtAddr;

    use super::*;

    fn range(start: u64, bytes: u64) -> VirtRange {
        VirtRange::new(VirtAddr::new(start), bytes).unwrap()
    }

    #[test]
    fn instructions_fetched_through_another_address_are_found_by_tag_only() {
        // Lines of 64 bytes of data and 32 of instructions.
        let (tagged, virtually_indexed) = (CacheType(0x8004_c003), CacheType(0x8004_8003));
        assert_eq!(tagged.way(CacheOp::IcIvau), Way::LineByLine(32));
        assert_eq!(virtually_indexed.way(CacheOp::IcIvau), Way::EveryInstruction);
        for cache in [tagged, virtually_indexed] {
            for op in [CacheOp::DcCvau, CacheOp::DcCivac, CacheOp::DcIvac] {
                assert_eq!(cache.way(op), Way::LineByLine(64));
            }
        }
    }

    #[test]
    fn a_line_that_is_partly_of_others_is_not_thrown_away() {
        let all = range(0x1010, 0x100);
        let on = |op, start| on_line(op, all, Some(range(start, 0x40)));
        assert_eq!(on(CacheOp::DcIvac, 0x1000), CacheOp::DcCivac);
        assert_eq!(on(CacheOp::DcIvac, 0x1040), CacheOp::DcIvac);
        assert_eq!(on(CacheOp::DcIvac, 0x1100), CacheOp::DcCivac);
        assert_eq!(on(CacheOp::DcCvau, 0x1000), CacheOp::DcCvau);
        assert_eq!(on_line(CacheOp::DcIvac, all, None), CacheOp::DcCivac);
    }
}
