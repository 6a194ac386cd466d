//! Lines of a dump with what the kernel calls their first and their last byte.

use std::fmt::{self, Write};

use blockmap_dump::vmsa::machine::VirtAddr;
use blockmap_inspect::{Place, Symbols};

/// The names of a stretch's first and last byte; none unless both are in the kernel's image.
pub(super) fn ends(symbols: &Symbols, start: VirtAddr, last: VirtAddr) -> Option<[Place; 2]> {
    Some([symbols.at(start)?, symbols.at(last)?])
}

/// Adds names to the lines of leaves that it writes to `out`.
pub(super) struct Named<'s, W> {
    symbols: Option<&'s Symbols>,
    line: String,
    pub(super) out: W,
}

impl<'s, W: Write> Named<'s, W> {
    pub(super) const fn new(symbols: Option<&'s Symbols>, out: W) -> Self {
        Self { symbols, line: String::new(), out }
    }

    /// What is added to a line: as a remark, which readers of dumps pass over.
    fn remark(&self, line: &str) -> Option<String> {
        let (addresses, words) = line.trim_start().split_once(' ')?;
        let (start, end) = addresses.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        // A gap has nothing behind its size and its level.
        let is_leaf = words.split_whitespace().nth(2).is_some();
        let last = VirtAddr::new(number(end)?.wrapping_sub(1));
        let ends = ends(self.symbols?, VirtAddr::new(number(start)?), last);
        let [first, last] = ends.filter(|_| is_leaf)?;
        Some(format!("  # {first} .. {last}"))
    }
}

impl<W: Write> Write for Named<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.symbols.is_none() {
            return self.out.write_str(text);
        }
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            let Some(whole) = self.line.strip_suffix('\n') else { continue };
            let remark = self.remark(whole).unwrap_or_default();
            writeln!(
                self.out,
                "{}{remark}",
                if remark.is_empty() { whole } else { whole.trim_end() }
            )?;
            self.line.clear();
        }
        Ok(())
    }
}
