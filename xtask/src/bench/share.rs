//! Shares: how many of a row's instructions are the frame allocator's, and how many vmalloc's.
//!
//! A boot of its own gives the same commands, while the emulator tells of each instruction that it
//! executes. So the kernel is the very one that is counted, nothing in it knows of shares, and no
//! reading has to be subtracted: a share is the instructions that its functions have between the
//! two readings of the counters, and what they call that is nobody's. All that were executed between
//! them must be as many as the counters said.

use anyhow::{Context, Result, ensure};

use crate::qemu::Executed;

use super::row::{Asked, Boot, Figures, Step, answers};
use super::source::{Instruction, Owner, Program};

/// What was executed between two readings of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    /// All instructions.
    pub(super) all: u64,
    /// The frame allocator's.
    pub(super) frames: u64,
    /// Vmalloc's.
    pub(super) areas: u64,
}

impl Shares {
    /// Both together.
    const fn and(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            frames: self.frames + other.frames,
            areas: self.areas + other.areas,
        }
    }

    /// What is left without `other`; `None` if that has more of anything.
    fn without(self, other: Self) -> Option<Self> {
        Some(Self {
            all: self.all.checked_sub(other.all)?,
            frames: self.frames.checked_sub(other.frames)?,
            areas: self.areas.checked_sub(other.areas)?,
        })
    }
}

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
struct Call {
    returns_to: u64,
    /// Whose work the call is.
    owner: Owner,
}

/// Follows what a CPU executes.
pub(super) struct Follower<'d> {
    program: Program<'d>,
    /// The digits of the function's address that reads the counters.
    mark: Vec<u8>,
    /// What passed between two readings, of those that were begun; an even number are complete.
    passed: Vec<Shares>,
    /// Whether a reading has been begun and the next is awaited.
    is_between: bool,
    calls: Vec<Call>,
}

impl<'d> Follower<'d> {
    pub(super) fn new(program: Program<'d>) -> Self {
        let mark = format!("{:016x}", program.mark).into_bytes();
        Self { program, mark, passed: Vec::new(), is_between: false, calls: Vec::new() }
    }

    /// Follows all that is executed: what passed between the readings of each pair, without what
    /// reading takes.
    pub(super) fn all(mut self, executed: &mut Executed) -> Result<Vec<Shares>> {
        while let Some(digits) = executed.next_address() {
            self.step(digits)?;
        }
        self.finish()
    }

    /// The next instruction's address, in sixteen digits.
    fn step(&mut self, digits: &[u8]) -> Result<()> {
        if digits == self.mark {
            self.is_between = !self.is_between;
            if self.is_between {
                self.calls.clear();
                self.passed.push(Shares::default());
            }
        }
        if !self.is_between {
            return Ok(());
        }
        let text = str::from_utf8(digits).context("no address")?;
        let address = u64::from_str_radix(text, 16).context("no address")?;
        let found = self.program.instruction(address)?;
        self.count(address, found);
        Ok(())
    }

    fn count(&mut self, address: u64, found: Option<Instruction>) {
        if self.calls.last().is_some_and(|call| call.returns_to == address) {
            self.calls.pop();
        }
        let caller = self.calls.last().map_or(Owner::Others, |call| call.owner);
        let owner = found.and_then(|found| found.owner).unwrap_or(caller);
        if found.is_some_and(|found| found.is_call) {
            self.calls.push(Call { returns_to: address + 4, owner });
        }
        if let Some(shares) = self.passed.last_mut() {
            shares.all += 1;
            match owner {
                Owner::Frames => shares.frames += 1,
                Owner::Areas => shares.areas += 1,
                Owner::Others => {}
            }
        }
    }

    /// What passed, pair by pair: the first is two readings with nothing between them.
    fn finish(self) -> Result<Vec<Shares>> {
        ensure!(!self.is_between, "the last reading of the counters has no second one");
        let (nothing, rest) = self.passed.split_first().context("the counters were never read")?;
        rest.iter()
            .map(|shares| shares.without(*nothing))
            .collect::<Option<_>>()
            .context("less than nothing was executed")
    }
}

/// Adds shares to rows: `passed` is what was executed for each count of the `console`.
///
/// # Errors
/// When what was executed is not as much as the counters said, in this boot or in the one that nobody
/// followed.
pub(super) fn attribute(
    boot: &Boot,
    (console, asked): (&str, &[Asked]),
    passed: &[Shares],
    rows: &mut [Figures],
) -> Result<()> {
    let mut passed = passed.iter();
    let mut all = vec![None::<Shares>; rows.len()];
    for (Asked { command, of }, answer) in asked.iter().zip(answers(console, asked)?) {
        let counts = answer.lines().filter_map(|line| line.strip_prefix("cycles: "));
        for count in counts {
            let shares = passed.next().with_context(|| format!("{command} was not followed"))?;
            let count: u64 = count.parse().with_context(|| command.clone())?;
            ensure!(
                shares.all == count,
                "{command}: the counters said {count}, and {} instructions were executed",
                shares.all
            );
            if let Some(row) = of.and_then(|(row, _)| all.get_mut(row)) {
                *row = Some(row.unwrap_or_default().and(*shares));
            }
        }
    }
    ensure!(passed.next().is_none(), "more was followed than was counted");
    let steps = boot.steps.iter().filter(|step| step.row().is_some());
    for (place, (step, figures)) in steps.zip(rows).enumerate() {
        let of = |place: Option<usize>| *all.get(place?)?;
        let shares = match step {
            Step::Over(_) => of(place.checked_sub(1))
                .zip(of(place.checked_sub(2)))
                .and_then(|(more, less)| more.without(less)),
            Step::Do(_) | Step::Twice(_) | Step::Once(_) | Step::Painted(_) => of(Some(place)),
        };
        let Some(shares) = shares else { continue };
        ensure!(
            figures.instructions == Some(shares.all),
            "{:?} instructions without a follower, {} with one",
            figures.instructions,
            shares.all
        );
        figures.shares = Some((shares.frames, shares.areas));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::bench::row::Row;

    use super::*;

    const ROW: Row =
        Row { name: "a page", commands: &["ro @0x1000 1"], changes: 1, linux: "", aim: "" };
    const BOOT: Boot = Boot {
        name: "one",
        cpu: "max",
        cpus: 1,
        options: "",
        steps: &[Step::Do("vmap 3"), Step::Twice(ROW)],
    };

    /// The shares of the row, where each command was counted with 70 and the row has `instructions`.
    fn shares(passed: &[Shares], instructions: u64) -> Result<Option<(u64, u64)>> {
        let asked = BOOT.asked_first("p");
        let answer = |asked: &Asked| format!("blockmap> {}\ncycles: 70\n", asked.command);
        let console: String = asked.iter().map(answer).collect();
        let mut rows = [Figures { instructions: Some(instructions), ..Figures::default() }];
        attribute(&BOOT, (&console, &asked), passed, &mut rows)?;
        Ok(rows[0].shares)
    }

    #[test]
    fn shares_are_those_of_the_rows_own_commands() {
        let shares_of = |frames| Shares { all: 70, frames, areas: 2 };
        // `count on`, `trace dump`, `trace off` and `vmap` are no row's.
        let passed = [1, 2, 3, 4, 5].map(shares_of);
        assert_eq!(shares(&passed, 70).unwrap(), Some((5, 2)));
        let error = shares(&passed, 71).unwrap_err().to_string();
        assert_eq!(error, "Some(71) instructions without a follower, 70 with one");
        assert!(shares(&passed[1..], 70).is_err());
        let error = shares(&[Shares { all: 69, ..passed[0] }; 5], 70).unwrap_err().to_string();
        let expected = "count on: the counters said 70, and 69 instructions were executed";
        assert_eq!(error, expected);
    }
}
