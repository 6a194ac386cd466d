//! `cargo xtask`: reads the command line and runs the command's module.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{
    bench, boot, check, demo, doc, fuzz, guest, image, instructions, loom, miri, mutants, oracle,
    random, setup, survivors, test, tidy,
};

/// The project's commands. Each does the set-up it needs, and says what it installs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boots the kernel in QEMU: with a prompt to type at, or with a script of monitor commands.
    Boot(boot::Options),
    /// Everything: what `check` does, doctests, and the tests that boot the machine.
    Test,
    /// What needs no machine, in under a minute: format, lints, tidy, host tests, documentation.
    Check,
    /// One screen for a newcomer: a plan, a live split, and what a missing barrier would do.
    Demo,
    /// The project's own rules of form.
    Tidy,
    /// Builds the documentation, warnings being errors.
    Doc(doc::Options),
    /// Linux on machines of QEMU's, to read the tables of.
    Guest(guest::Options),
    /// What operations cost, counted in instructions and effects.
    Bench(bench::Options),
    /// Builds the bootable image and prints where it is.
    Image,
    /// Seeds known faults one at a time, and checks that a test notices each.
    Mutants(mutants::Options),
    /// Explores every operation of the engine on machines that stand for all; prints what it took.
    Oracle(oracle::Options),
    /// Random programs through the engine and the model; or, with a seed, one of them again.
    Random(random::Options),
    /// Changes the engine or the facts in every way that cargo-mutants knows; takes hours.
    Survivors(survivors::Options),
    /// Searches for input that breaks a reader of it.
    Fuzz(fuzz::Options),
    /// Tries locks, frames and trace in every order of accesses by several CPUs.
    Loom,
    /// Runs the tests of what is written as instructions, on an emulated CPU.
    Instructions,
    /// Runs host tests in Rust's interpreter, which sees undefined behaviour.
    Miri,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Boot(options) => boot::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Test => test::run_all(),
        Command::Check => check::run_all(),
        Command::Demo => demo::run(),
        Command::Guest(options) => guest::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Oracle(options) => oracle::run(options),
        Command::Random(options) => random::run(options),
        Command::Survivors(options) => survivors::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Loom => loom::run_all(),
        Command::Instructions => instructions::run_all(),
        Command::Miri => miri::run_all(),
        Command::Tidy => tidy::run(),
        Command::Doc(options) => doc::run(options),
        Command::Image => setup::bare_metal_target().and_then(|()| image::build()).map(|image| {
            println!("{}", image.flat.display());
            ExitCode::SUCCESS
        }),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_guests_arguments_may_begin_with_hyphens() {
        let line = "xtask boot --append -x=1 --qemu-arg -d --qemu-arg int --mem 4T --cpus 0";
        let error = Arguments::try_parse_from(line.split(' ')).err().unwrap();
        assert!(error.to_string().contains("--cpus"), "{error}");
        assert!(Arguments::try_parse_from(line.trim_end_matches(" --cpus 0").split(' ')).is_ok());
    }
}
