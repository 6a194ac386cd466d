//! What is measured: machines, and the commands that they are given.

use anyhow::{Context, Result};

/// A machine, and what is measured on it.
#[derive(Debug)]
pub(super) struct Boot {
    pub(super) name: &'static str,
    pub(super) cpu: &'static str,
    pub(super) options: &'static str,
    pub(super) rows: &'static [Row],
}

/// A command, and where it is given.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The command's name and its number of pages; of one without them the whole command.
    pub(super) what: (&'static str, u64),
    /// Where its instructions are counted.
    pub(super) counted: u64,
    /// Where its effects are counted, if it can be done twice.
    pub(super) traced: Option<u64>,
    /// Linux 7.3.4's instructions for the same, counted in the same way, with the alias in vmalloc's
    /// range, which this does not have yet.
    pub(super) linux: &'static str,
}

/// What a row came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) instructions: u64,
    /// Those of them for which all others were parked.
    pub(super) parked: Option<u64>,
    /// Entries stored, TLBI, DSB, ISB, ranges of caches, tables.
    pub(super) effects: Option<[u64; 6]>,
}

const fn row(
    name: &'static str,
    what: (&'static str, u64),
    (counted, traced): (u64, Option<u64>),
    linux: &'static str,
) -> Row {
    Row { name, what, counted, traced, linux }
}

/// The linear map, and its second and third GiB.
const LINEAR: u64 = 0xffff_0000_0000_0000;
const ONE: u64 = LINEAR + (1 << 30);
const OTHER: u64 = LINEAR + (2 << 30);

/// The same place in either GiB.
const fn both(offset: u64) -> (u64, Option<u64>) {
    (ONE + offset, Some(OTHER + offset))
}

const GIB_PAGES: u64 = 1 << 18;
const GIB: u64 = 1 << 30;

// Each finds what the rows above it left: the first makes 32 MiB runs of a GiB, and so on.
const LIVE: [Row; 9] = [
    row("one page read-only, out of a 1 GiB block", ("ro", 1), both(0x1555_5000), "25,067"),
    row("out of a 32 MiB run", ("ro", 1), both(0x0555_5000), "15,733"),
    row("out of a 2 MiB block", ("ro", 1), both(0x0435_5000), "15,561"),
    row("out of a 64 KiB run", ("ro", 1), both(0x0430_5000), "5,193"),
    row("already a page", ("ro", 1), both(0x1555_6000), "4,441"),
    row("one page invalid, already a page", ("invalid", 1), both(0x1555_7000), "531"),
    row("the same valid", ("valid", 1), both(0x1555_7000), "555"),
    row("1 GiB invalid, a block", ("invalid", GIB_PAGES), both(2 * GIB), "396"),
    row("the same valid", ("valid", GIB_PAGES), both(2 * GIB), "405"),
];

const PARKED: [Row; 2] = [
    row("one page read-only, out of a 1 GiB block", ("ro", 1), both(0x1555_5000), "25,067"),
    row("all of 12 GiB repainted in pages", ("repaint pages", 0), (0, None), "64,901,567"),
];

const PAGES: [Row; 3] = [
    row("one page read-only", ("ro", 1), both(0x1555_5000), "4,189"),
    row("1 GiB invalid", ("invalid", GIB_PAGES), both(2 * GIB), "7,915,327"),
    row("the same valid", ("valid", GIB_PAGES), both(2 * GIB), "10,798,905"),
];

/// All machines.
pub(super) const BOOTS: [Boot; 4] = [
    Boot { name: "sizes change live", cpu: "max,midr=0xc00fac30", options: "", rows: &LIVE },
    Boot {
        name: "others are parked, this CPU is quiet",
        cpu: "max,midr=0xc00fac30",
        options: "size-change=quiesce",
        rows: &PARKED,
    },
    Boot {
        name: "others are parked, this CPU needs a break",
        cpu: "cortex-a72",
        options: "",
        rows: &PARKED,
    },
    Boot { name: "pages", cpu: "max", options: "size-change=never", rows: &PAGES },
];

impl Row {
    /// The command at an address.
    pub(super) fn command(&self, at: u64) -> String {
        match self.what {
            (whole, 0) => whole.to_owned(),
            (name, pages) => format!("{name} {at:#x} {pages}"),
        }
    }

    /// What a machine's console says of it.
    pub(super) fn read(&self, console: &str) -> Result<Figures> {
        let counted = self.answer(console, self.counted)?;
        let instructions = number(counted, "cycles: ");
        let instructions = instructions.with_context(|| format!("{}: {counted}", self.name))?;
        let parked = number(counted, "cycles with all others parked: ");
        let effects = match self.traced {
            Some(at) => Some(effects(self.answer(console, at)?).context("no effects")?),
            None => None,
        };
        Ok(Figures { instructions, parked, effects })
    }

    /// What the machine answered, if it did what it was asked.
    fn answer<'c>(&self, console: &'c str, at: u64) -> Result<&'c str> {
        let command = self.command(at);
        let told = console.split("blockmap> ").find_map(|told| told.strip_prefix(&*command));
        let answer = told.filter(|answer| answer.trim_end().ends_with("done"));
        answer.with_context(|| format!("{command} was not done:\n{console}"))
    }
}

fn number(answer: &str, before: &str) -> Option<u64> {
    answer.lines().find_map(|line| line.strip_prefix(before))?.trim().parse().ok()
}

fn effects(answer: &str) -> Option<[u64; 6]> {
    let line = answer.lines().find_map(|line| line.strip_prefix("effects: "))?;
    let numbers = line.split(", ").map(|part| part.split(' ').next()?.parse().ok());
    numbers.collect::<Option<Vec<u64>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_the_monitor_prints() {
        let row = row("a page", ("ro", 1), both(0x1000), "1");
        let console = "blockmap> ro 0xffff000040001000 1\ncycles: 70\n\
                       cycles with all others parked: 7\ndone\nblockmap> ro 0xffff000080001000 1\n\
                       effects: 1 entries stored, 2 TLBI, 3 DSB, 4 ISB, 5 ranges of caches, 6 tables\n\
                       done\nblockmap> poweroff\n";
        let figures = row.read(console).unwrap();
        let effects = Some([1, 2, 3, 4, 5, 6]);
        assert_eq!(figures, Figures { instructions: 70, parked: Some(7), effects });
        assert!(row.read(&console.replace("done", "refused: no")).is_err());
    }
}
