//! `check`: whether a list of table changes is right, as the model of the architecture sees it.

use std::io::{self, Read as _, Write as _};
use std::{fs, time::Instant};

use anyhow::{Context as _, Result};
use blockmap_model::explore::{Options as Budget, explore};
use blockmap_model::judge::judge;
use blockmap_model::text::read;
use blockmap_model::verdict::Verdict;
use clap::Args;
use serde::Serialize;

use crate::number::{Hex, grouped};
use crate::screen::{BAD, Form, GOOD, HEAD, Outcome, Screen};

const EXAMPLES: &str = "\
Examples:
  blockmap check split.trace               one pass: fast enough for the trace of a whole boot
  blockmap check split.trace --explore     every order of stores, walks and TLBs: short programs";

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The program as text; `-` reads standard input.
    trace: String,
    /// Tries every order in which hardware may do things, instead of one pass.
    #[arg(long)]
    explore: bool,
}

#[derive(Serialize)]
struct Answer {
    method: &'static str,
    passed: bool,
    /// Effects that the judge took, or states that the explorer reached.
    effects: u64,
    verdicts: Vec<Broken>,
}

#[derive(Serialize)]
struct Broken {
    rule: &'static str,
    cpu: usize,
    address: Hex,
    step_cpu: usize,
    step: usize,
    effect: String,
    seen: Vec<String>,
}

/// Runs `check`: a finding is a rule that hardware may be seen to break.
pub(crate) fn run(options: &Options, screen: &mut Screen) -> Result<Outcome> {
    let trace = &options.trace;
    let text = if trace == "-" {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(trace)
    };
    let text = text.with_context(|| format!("cannot read {trace}"))?;
    let program = read(&text).with_context(|| trace.clone())?;
    let began = Instant::now();
    let (method, effects, verdicts) = if options.explore {
        let explored = explore(&program, Budget::QUICK)
            .with_context(|| format!("{trace} is too much to explore: try without --explore"))?;
        ("explore", u64::try_from(explored.states)?, explored.verdicts)
    } else {
        let judged = judge(&program);
        ("judge", judged.effects, judged.verdicts)
    };
    let took = began.elapsed();
    let passed = verdicts.is_empty();
    match screen.form() {
        Form::Json => {
            let verdicts = verdicts.into_iter().map(broken).collect();
            screen.document("blockmap.check/1", &Answer { method, passed, effects, verdicts })?;
        }
        Form::Text => {
            for verdict in &verdicts {
                write!(screen, "{BAD}broken{BAD:#} {verdict}")?;
            }
            let what = if options.explore { "states" } else { "effects" };
            let (style, said) = if passed { (GOOD, "holds") } else { (HEAD, "is broken") };
            let count = grouped(effects);
            writeln!(screen, "{style}{trace} {said}{style:#}: {count} {what} in {took:.1?}")?;
        }
    }
    Ok(if passed { Outcome::Clean } else { Outcome::Finding })
}

fn broken(verdict: Verdict) -> Broken {
    Broken {
        rule: verdict.rule.key(),
        cpu: verdict.cpu,
        address: Hex(verdict.address.value()),
        step_cpu: verdict.effect.cpu,
        step: verdict.effect.step,
        effect: verdict.effect.text,
        seen: verdict.seen,
    }
}
