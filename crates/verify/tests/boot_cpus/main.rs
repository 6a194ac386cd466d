//! Several CPUs, booted: who is admitted, and what holds while they all use the tables.
#![cfg(test)]

mod atomic;
mod come_and_go;
mod cost;
mod faults;
mod kpti;
mod load;
mod mixtures;
mod modes;
mod own_tables;

use blockmap_verify::machine::{Booted, Config};

/// The CPU that needs a break, the one that may abort, and the one that is quiet.
const BREAKS: &str = "cortex-a72";
const ABORTS: &str = "max";
const QUIET: &str = "max,midr=0xc00fac30";

/// Boots a machine of 2 GiB with so many CPUs of one kind, and sees it end well.
fn boot((cpu, cpus): (&str, u32), options: &str, script: &str) -> Booted {
    let config = Config::new("2G").cpu(cpu).cpus(cpus).options(options).monitor(script);
    Booted::run(&config).succeeded()
}

/// Sees that each of the commands was done, every time it was given.
#[track_caller]
fn all_done(booted: &Booted, commands: &[&str]) {
    for command in commands {
        for answer in booted.answers(command) {
            assert!(answer.trim_end().ends_with("done"), "{command}: {answer}");
        }
    }
}

/// The first number behind `before` in the answer to `command`.
fn number_in(booted: &Booted, command: &str, before: &str) -> u64 {
    let answer = booted.answer(command);
    let (_, after) = answer.split_once(before).unwrap_or_else(|| panic!("{answer}"));
    let digits = after.trim_start().split(|one: char| !one.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}
