//! A machine that is measured, the commands it is given, and what it answers.

use anyhow::{Context, Result, bail, ensure};

/// A machine, and what is measured on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boot {
    pub(super) name: &'static str,
    pub(super) cpu: &'static str,
    pub(super) cpus: u32,
    pub(super) options: &'static str,
    pub(super) steps: &'static [Step],
}

/// What a machine is asked for.
#[derive(Debug)]
pub(super) enum Step {
    /// What the rows below need. It is no row.
    Do(&'static str),
    /// Counted, and then done again while effects are recorded.
    Twice(Row),
    /// Counted, where it can't be done again.
    Once(Row),
    /// Painting the linear map: counted by a boot that records nothing, and again by one that does.
    Painted(Row),
    /// By how much the last row is dearer than the one before it.
    Over(Row),
}

/// What is counted.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// All of them together are the row. `@` is an address in a GiB of the linear map, another one for
    /// each time the command is given.
    pub(super) commands: &'static [&'static str],
    /// How many changes these are, if it is the cost of one that matters.
    pub(super) changes: u64,
    /// Linux 7.3.4's instructions for the same, counted in the same way; empty where nobody has counted.
    pub(super) linux: &'static str,
    /// The most that are aimed for.
    pub(super) aim: &'static str,
}

/// What a row came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) instructions: Option<u64>,
    /// The frame allocator's share of them, and vmalloc's.
    pub(super) shares: Option<(u64, u64)>,
    /// Those of them for which all others were parked.
    pub(super) parked: Option<u64>,
    /// Entries stored, TLBI, DSB, ISB, ranges of caches, tables.
    pub(super) effects: [Option<u64>; 6],
    /// How often a lock was held by another CPU.
    pub(super) waits: Option<u64>,
}

impl Step {
    /// The row, if it is one.
    pub(super) const fn row(&self) -> Option<&Row> {
        match self {
            Self::Do(_) => None,
            Self::Twice(row) | Self::Once(row) | Self::Painted(row) | Self::Over(row) => Some(row),
        }
    }
}

/// A command that a machine is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) command: String,
    /// The row's number that the answer is about, and whether effects are recorded.
    pub(super) of: Option<(usize, At)>,
}

/// When a command is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// While nothing is recorded.
    Counted,
    /// While effects are recorded.
    Recorded,
    /// At the end, with nothing recorded.
    Last,
}

/// The GiB of the linear map for what is counted, and for what is recorded.
const GIBS: [u64; 2] = [0xffff_0000_4000_0000, 0xffff_0000_8000_0000];

impl At {
    /// A command with its addresses.
    fn place(self, command: &str) -> String {
        let gib = match self {
            Self::Counted | Self::Last => GIBS[0],
            Self::Recorded => GIBS[1],
        };
        let words = command.split(' ').map(|word| {
            let offset = word.strip_prefix("@0x").map(|digits| u64::from_str_radix(digits, 16));
            offset.map_or(word.to_owned(), |offset| format!("{:#x}", gib + offset.unwrap_or(0)))
        });
        words.collect::<Vec<String>>().join(" ")
    }
}

impl Boot {
    /// The rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.steps.iter().filter_map(Step::row)
    }

    /// All commands, in order: uncounted ones and those of rows, first while nothing is recorded, then
    /// while effects are; `painted` and `trace` are files for the trace of the boot and for the rest.
    pub(super) fn asked(&self, (painted, trace): (&str, &str)) -> Vec<Asked> {
        let own = |command: &str| Asked { command: command.to_owned(), of: None };
        let mut asked = self.asked_first(painted);
        asked.push(own("trace on"));
        asked.extend(self.pass(At::Recorded));
        asked.push(own(&format!("trace dump {trace}")));
        asked.push(own("trace off"));
        asked.extend(self.pass(At::Last));
        asked
    }

    /// The first of all commands: those that are counted while nothing is recorded.
    pub(super) fn asked_first(&self, painted: &str) -> Vec<Asked> {
        let own = |command: &str| Asked { command: command.to_owned(), of: None };
        let before = ["count on", &format!("trace dump {painted}"), "trace off"].map(own);
        before.into_iter().chain(self.pass(At::Counted)).collect()
    }

    fn pass(&self, at: At) -> Vec<Asked> {
        let mut asked = Vec::new();
        let mut number = 0;
        for step in self.steps {
            let (commands, of): (&[&str], _) = match (step, at) {
                (Step::Do(command), At::Counted | At::Recorded) => (&[command], None),
                (Step::Twice(row), At::Counted | At::Recorded) | (Step::Once(row), At::Last) => {
                    (row.commands, Some((number, at)))
                }
                (Step::Do(_) | Step::Painted(_) | Step::Over(_), _)
                | (Step::Twice(_), At::Last)
                | (Step::Once(_), At::Counted | At::Recorded) => (&[], None),
            };
            asked.extend(commands.iter().map(|command| Asked { command: at.place(command), of }));
            number += usize::from(step.row().is_some());
        }
        asked
    }

    /// What the rows came to: `plain` is the console of a boot that records nothing, `console` that of
    /// one that was given all that was `asked`.
    pub(super) fn read(&self, plain: &str, console: &str, asked: &[Asked]) -> Result<Vec<Figures>> {
        let mut all = vec![Figures::default(); self.rows().count()];
        let answers = answers(console, asked)?;
        for (Asked { command, of }, answer) in asked.iter().zip(answers) {
            let done = !answer.lines().any(|line| line.starts_with("refused: "));
            ensure!(done && !answer.contains(" is not "), "{command} was not done:\n{answer}");
            if let Some((row, at)) = *of
                && let Some(figures) = all.get_mut(row)
            {
                figures.add(answer, at).with_context(|| command.clone())?;
            }
        }
        for (place, step) in self.steps.iter().filter(|step| step.row().is_some()).enumerate() {
            match step {
                Step::Painted(_) => all[place] = Figures::painted(plain, console)?,
                Step::Over(row) => {
                    let of = |back: usize| all.get(place.checked_sub(back)?)?.instructions;
                    let over = of(1).zip(of(2)).map(|(more, less)| more.saturating_sub(less));
                    all[place].instructions = Some(over.context(row.name)?);
                }
                Step::Twice(row) | Step::Once(row) => all[place].divide(row.changes),
                Step::Do(_) => {}
            }
        }
        Ok(all)
    }
}

/// The answers to all that was asked, in order.
pub(super) fn answers<'c>(console: &'c str, asked: &[Asked]) -> Result<Vec<&'c str>> {
    let mut told = console.split("blockmap> ").skip(1);
    let mut answers = Vec::new();
    for Asked { command, .. } in asked {
        let answer = told.next().and_then(|told| told.strip_prefix(&**command));
        match answer {
            Some(answer) => answers.push(answer),
            None => bail!("{command} was not answered:\n{console}"),
        }
    }
    Ok(answers)
}

impl Figures {
    /// What a command's answer adds.
    fn add(&mut self, answer: &str, at: At) -> Result<()> {
        let more = |all: &mut Option<u64>, one: Option<u64>| {
            *all = (*all).zip(one).map(|(all, one)| all + one).or(*all).or(one);
        };
        // How many tables there are is a figure of its own.
        if let Some(tables) = after(answer, "tables below the root") {
            self.effects[5] = Some(tables);
            self.instructions = None;
            return Ok(());
        }
        if at == At::Recorded {
            let effects = effects(answer, "effects: ").context("no effects")?;
            self.effects.iter_mut().zip(effects).for_each(|(all, one)| more(all, Some(one)));
            return Ok(());
        }
        if let Some(cycles) = after(answer, "cycles: ") {
            let instructions = after(answer, "instructions: ").context("no event counter")?;
            let ticks = after(answer, "; ticks: ").context("no ticks")?;
            ensure!(
                instructions == cycles & 0xffff_ffff && ticks == cycles,
                "the counters disagree: {cycles} cycles, {instructions} instructions, {ticks} ticks"
            );
            more(&mut self.instructions, Some(cycles));
        }
        more(&mut self.parked, after(answer, "cycles with all others parked: "));
        let waits = answer.lines().filter_map(|line| after(line, "a lock was held "));
        waits.for_each(|one| more(&mut self.waits, Some(one)));
        Ok(())
    }

    /// Painting, of which one console has what it took, and the other the effects.
    fn painted(plain: &str, console: &str) -> Result<Self> {
        let ticks = after(plain, "the linear map was painted in ").context("nothing painted")?;
        let effects = effects(console, "painting it: ").context("no effects of painting")?;
        let effects = effects.map(Some);
        Ok(Self { instructions: Some(ticks), effects, ..Self::default() })
    }

    fn divide(&mut self, changes: u64) {
        self.instructions = self.instructions.map(|all| all / changes.max(1));
    }
}

/// The number after these words.
fn after(answer: &str, words: &str) -> Option<u64> {
    let rest = answer.split_once(words)?.1.trim_start();
    let digits = rest.find(|other: char| !other.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn effects(answer: &str, before: &str) -> Option<[u64; 6]> {
    let line = answer.lines().find_map(|line| line.strip_prefix(before))?;
    let numbers = line.split(", ").map(|part| part.split(' ').next()?.parse().ok());
    numbers.collect::<Option<Vec<u64>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row =
        Row { name: "a page", commands: &["ro @0x1000 1"], changes: 1, linux: "", aim: "" };
    const BOOT: Boot = Boot {
        name: "one",
        cpu: "max",
        cpus: 1,
        options: "",
        steps: &[Step::Do("vmap 3"), Step::Twice(ROW), Step::Once(Row { changes: 2, ..ROW })],
    };

    /// A console on which every command of `BOOT` is answered: a counted one with these counters.
    fn console(cycles: u64, ticks: u64) -> String {
        let counted = format!("cycles: {cycles}\ninstructions: {cycles}; ticks: {ticks}\ndone\n");
        let recorded =
            "effects: 1 entries stored, 2 TLBI, 3 DSB, 4 ISB, 5 ranges of caches, 6 tables\n";
        let asked = BOOT.asked(("p", "t")).into_iter().map(|Asked { command, of }| {
            let answer = match of {
                None => "done\n",
                Some((_, At::Counted | At::Last)) => &*counted,
                Some((_, At::Recorded)) => recorded,
            };
            format!("blockmap> {command}\n{answer}")
        });
        asked.collect()
    }

    #[test]
    fn a_row_is_counted_in_one_gib_and_recorded_in_another() {
        let asked = BOOT.asked(("p", "t"));
        let at = |command: &str| asked.iter().position(|asked| asked.command == command).unwrap();
        let (counted, recorded) = (at("ro 0xffff000040001000 1"), at("ro 0xffff000080001000 1"));
        assert!(at("trace off") < counted && counted < at("trace on"), "{asked:?}");
        assert!(at("trace on") < recorded && recorded < at("trace dump t"), "{asked:?}");
        assert_eq!(asked.iter().filter(|asked| asked.command == "vmap 3").count(), 2);
    }

    #[test]
    fn figures_are_read_from_what_the_monitor_prints() {
        let asked = BOOT.asked(("p", "t"));
        let figures = BOOT.read("", &console(70, 70), &asked).unwrap();
        assert_eq!(figures[0].instructions, Some(70));
        assert_eq!(figures[0].effects, [1, 2, 3, 4, 5, 6].map(Some));
        assert_eq!(figures[1].instructions, Some(35));
        let refused = console(70, 70).replace("done", "refused: no");
        assert!(BOOT.read("", &refused, &asked).is_err());
        assert!(BOOT.read("", "blockmap> count on\n", &asked).is_err());
    }

    #[test]
    fn counters_that_disagree_are_no_figure() {
        let error = BOOT.read("", &console(70, 71), &BOOT.asked(("p", "t"))).unwrap_err();
        assert!(format!("{error:#}").contains("the counters disagree"), "{error:#}");
    }
}
