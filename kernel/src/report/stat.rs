//! What a map is made of, and what its tables take.

#[cfg(test)]
mod tests;

use core::fmt;

use blockmap::dump::{Size, Stat};
use blockmap::vmsa::Level;

use crate::frames::{Counts, FRAME_BYTES};

/// Prints a map's statistics and the frames' states, a line for each kind of thing.
#[derive(Clone, Copy, Debug)]
pub struct StatText<'a> {
    /// What the map is made of.
    pub map: &'a Stat,
    /// The frames of all memory.
    pub frames: Counts,
    /// Frames of tables that nothing leads to: the next ones that are needed.
    pub ready: u32,
}

impl fmt::Display for StatText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.map.sizes().filter(|one| one.count != 0) {
            let kind = if one.size.run.is_some() { "runs" } else { "leaves" };
            let name = (kind, Size::of(one.size.bytes()));
            line(f, name, one.count, one.bytes)?;
        }
        let tables = |level: &Level| self.map.level(*level).tables;
        let levels = Level::ALL.into_iter().skip_while(|level| tables(level) == 0);
        let below: u64 = levels.skip(1).map(|level| tables(&level)).sum();
        line(f, ("tables", "below the root"), below, below.saturating_mul(FRAME_BYTES))?;
        writeln!(f, "  TLB entries that hold it all: {}", self.map.tlb_entries())?;
        if self.map.invalid_bytes() != 0 {
            writeln!(f, "  present but invalid: {}", Size::of(self.map.invalid_bytes()))?;
        }
        if self.map.misprogrammed != 0 {
            writeln!(f, "  misprogrammed contiguous runs: {}", self.map.misprogrammed)?;
        }
        let Counts { free, used, table, reserved } = self.frames;
        for (state, count) in
            [("free", free), ("used", used), ("tables", table), ("reserved", reserved)]
        {
            line(f, ("frames", state), count, count.saturating_mul(FRAME_BYTES))?;
        }
        let ready = u64::from(self.ready);
        line(f, ("tables", "kept ready"), ready, ready.saturating_mul(FRAME_BYTES))
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    (kind, name): (&str, impl fmt::Display),
    count: u64,
    bytes: u64,
) -> fmt::Result {
    // Columns of text are padded by their own length, which only a formatter knows.
    let width = {
        let mut counted = Counted(0);
        fmt::write(&mut counted, format_args!("  {kind} {name}"))?;
        write!(f, "  {kind} {name}")?;
        counted.0
    };
    let gap = 24_usize.saturating_sub(width);
    writeln!(f, "{:gap$}{count:>12}  {}", "", Size::of(bytes))
}

/// Counts the bytes that are written to it.
struct Counted(usize);

impl fmt::Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}
