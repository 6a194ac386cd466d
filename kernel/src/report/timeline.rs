//! When the steps of the boot were done.

use core::fmt;

/// A step that was done, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    /// What was done.
    pub done: &'a str,
    /// What the counter said then, in ticks.
    pub ticks: u64,
}

/// The steps of the boot, in order. Printed, each has the microseconds since the first, and since
/// the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline<'a> {
    /// The steps; the first is the time that all others are told from.
    pub marks: &'a [Mark<'a>],
    /// How many ticks a second has, as `CNTFRQ_EL0` says.
    pub hertz: u64,
}

impl Timeline<'_> {
    /// How many microseconds lie between two marks; `None` where the counter's frequency is not
    /// known, and zero for marks in the wrong order.
    fn microseconds(&self, from: Mark<'_>, to: Mark<'_>) -> Option<u64> {
        let ticks = to.ticks.saturating_sub(from.ticks);
        let seconds = ticks.checked_div(self.hertz)?;
        // Less than a second's ticks, so that the product has room up to 18 THz.
        let rest = ticks.checked_rem(self.hertz)?.saturating_mul(1_000_000) / self.hertz;
        Some(seconds.saturating_mul(1_000_000).saturating_add(rest))
    }
}

impl fmt::Display for Timeline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  since start   since last")?;
        let Some(first) = self.marks.first() else {
            return Ok(());
        };
        let before = core::iter::once(first).chain(self.marks);
        for (before, mark) in before.zip(self.marks) {
            let since = (self.microseconds(*first, *mark), self.microseconds(*before, *mark));
            match since {
                (Some(start), Some(last)) => {
                    writeln!(f, "{start:>10} us{last:>10} us  {}", mark.done)?;
                }
                (None, _) | (_, None) => writeln!(f, "{:>20} ticks  {}", mark.ticks, mark.done)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    fn marks() -> [Mark<'static>; 3] {
        let mark = |done, ticks| Mark { done, ticks };
        [mark("entered", 1_000_000), mark("MMU on", 1_000_625), mark("monitor", 126_000_625)]
    }

    #[test]
    fn steps_are_told_from_the_first_and_from_the_last() {
        let text = Timeline { marks: &marks(), hertz: 62_500_000 }.to_string();
        assert_eq!(
            text,
            "  since start   since last\n\
             \x20        0 us         0 us  entered\n\
             \x20       10 us        10 us  MMU on\n\
             \x20  2000010 us   2000000 us  monitor\n"
        );
    }

    #[test]
    fn without_a_frequency_there_are_ticks() {
        let text = Timeline { marks: &marks(), hertz: 0 }.to_string();
        assert!(text.ends_with("           126000625 ticks  monitor\n"), "{text}");
        let nothing = Timeline { marks: &[], hertz: 1 }.to_string();
        assert_eq!(nothing.lines().count(), 1);
    }
}
