//! Drawing programs, one seed after another, until one is found wrong.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::program::{Program, Step};
use blockmap_model::verdict::Verdict;

use super::{Drawn, Run, Size, shrunk};
use crate::crew::Loads;

/// What to leave out of what the engine did, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Nothing.
    Nothing,
    /// The first effect of the first CPU whose text begins so, after so many like it.
    Effect(&'static str, usize),
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Programs.
    pub programs: u64,
    /// Programs in which more than one CPU writes.
    pub with_several_writers: u64,
    /// Programs that the explorer gave up on: too many states.
    pub given_up: u64,
    /// Operations that were done.
    pub operations: u64,
    /// Steps of programs that were judged.
    pub steps: u64,
    /// Effects that were judged: of each bulk effect each entry.
    pub effects: u64,
    /// States that were explored.
    pub states: u64,
    /// What the engine has read.
    pub loads: Loads,
}

/// A program that is wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was drawn, made as small as it fails.
    pub drawn: Drawn,
    /// What is wrong with that.
    pub what: String,
    /// The program as text, if the engine came to its end.
    pub trace: Option<String>,
}

/// How large the program of a seed is: every sixteenth is a long one, for the judge alone.
#[must_use]
pub fn size(seed: u64) -> Size {
    if seed % 16 == 15 { Size::LONG } else { Size::SHORT }
}

/// Draws programs from `first` on until `steps` steps have been judged.
///
/// # Errors
/// The first program that is wrong, made smaller.
pub fn search(first: u64, steps: u64, left_out: LeftOut) -> Result<Totals, Box<Failure>> {
    let mut totals = Totals::default();
    let mut seed = first;
    while totals.steps < steps {
        look(&Drawn::new(seed, size(seed)), left_out, &mut totals)?;
        seed = seed.wrapping_add(1);
    }
    Ok(totals)
}

/// Looks at one program.
///
/// # Errors
/// The program, made smaller, if it is wrong.
pub fn look(drawn: &Drawn, left_out: LeftOut, totals: &mut Totals) -> Result<(), Box<Failure>> {
    if wrong(drawn, left_out, totals).is_none() {
        return Ok(());
    }
    let fails = |drawn: &Drawn| wrong(drawn, left_out, &mut Totals::default()).is_some();
    let drawn = shrunk(drawn, fails);
    let what = wrong(&drawn, left_out, &mut Totals::default()).unwrap_or_default();
    let run = catch_unwind(AssertUnwindSafe(|| drawn.run())).ok();
    let trace = run.map(|run| format!("{drawn}\n{}", without(run.program, left_out)));
    Err(Box::new(Failure { drawn, what, trace }))
}

/// What is wrong with a program.
fn wrong(drawn: &Drawn, left_out: LeftOut, totals: &mut Totals) -> Option<String> {
    let run = match catch_unwind(AssertUnwindSafe(|| (drawn.run(), drawn.run()))) {
        Ok((run, again)) if run == again => run,
        Ok(_) => return Some("it ran differently a second time".to_owned()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            return Some(text.unwrap_or("it panicked").to_owned());
        }
    };
    let Run { program, done, loads, .. } = run;
    totals.programs += 1;
    totals.operations += u64::try_from(done).unwrap();
    totals.loads.nobody += loads.nobody;
    totals.loads.root += loads.root;
    totals.loads.neighbour += loads.neighbour;
    let program = without(program, left_out);
    let is_alone = program.cpus.iter().filter(|cpu| !cpu.steps.is_empty()).count() < 2;
    totals.with_several_writers += u64::from(!is_alone);
    let judged = judge(&program);
    let steps: usize = program.cpus.iter().map(|cpu| cpu.steps.len()).sum();
    totals.steps += u64::try_from(steps).unwrap();
    totals.effects += judged.effects;
    let text = |by: &str, verdicts: &[Verdict]| {
        let lines: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
        (!lines.is_empty()).then(|| format!("{by}:\n{}", lines.join("")))
    };
    let options = Options { most_states: 100_000, ..Options::QUICK };
    if drawn.operations.len() > Size::SHORT.operations {
        return text("the judge", &judged.verdicts);
    }
    let Ok(explored) = explore(&program, options) else {
        totals.given_up += 1;
        return text("the judge", &judged.verdicts);
    };
    totals.states += u64::try_from(explored.states).unwrap();
    let found = text("the explorer", &explored.verdicts);
    found.or_else(|| text("the judge, not the explorer", &judged.verdicts))
}

/// The program without what is left out.
fn without(mut program: Program, left_out: LeftOut) -> Program {
    match left_out {
        LeftOut::Nothing => {}
        LeftOut::Effect(begins, nth) => {
            let steps = &mut program.cpus[0].steps;
            let is_it = |step: &Step| {
                step.event().is_some_and(|event| event.to_string().starts_with(begins))
            };
            let at = (0..steps.len()).filter(|at| is_it(&steps[*at])).nth(nth);
            at.map(|at| steps.remove(at));
        }
    }
    program
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programs, with_several_writers, given_up, operations, .. } = self;
        let Self { steps, effects, states, loads, .. } = self;
        write!(
            f,
            "{programs} programs ({with_several_writers} with several writers, {given_up} too large \
             to explore), {operations} operations, {steps} steps ({effects} effects) judged, {states} states explored; \
             of the engine's loads {} could be changed by nobody else, {} by a holder of the root, \
             {} by a neighbour",
            loads.nobody, loads.root, loads.neighbour
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.drawn.seed;
        write!(f, "{}{}\nreplay: cargo xtask random --seed {seed} --steps 1", self.drawn, self.what)
    }
}
