//! The kernel, booted: each test starts machines of its own, and reads what the monitor prints.
#![cfg(test)]

mod areas;
mod cpus;
mod disguise;
mod execute;
mod exhaustion;
mod faults;
mod firmware;
mod invalid;
mod map;
mod monitor;
mod options;
mod refusals;
mod rights;
mod split;
mod time;
#[expect(dead_code, reason = "the kernel's own tests write more kinds of trees")]
#[path = "../../../../kernel/tests/devicetree/writer.rs"]
mod writer;

use blockmap_verify::console::{Dump, Stat};
use blockmap_verify::machine::{Booted, Config};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What every leaf of read-write memory in the linear map says besides its size, level and shape.
const RAM: &str = "RW NX SHD AF";

/// Boots the default machine with 12 GiB, tells its monitor `script`, and sees it end well.
fn twelve_gib(script: &str) -> Booted {
    Booted::run(&Config::new("12G").monitor(script)).succeeded()
}

/// The dumps and statistics around `commands`, on the default machine with 12 GiB; everything that
/// was printed besides.
fn around(commands: &str) -> ([Dump; 2], [Stat; 2], Booted) {
    let look = "stat; ptdump linear";
    let booted = twelve_gib(&format!("{look}; {commands}; {look}"));
    let dumps = booted.dumps().try_into().unwrap();
    let stats = booted.stats().try_into().unwrap();
    (dumps, stats, booted)
}

/// Sees that the monitor's answer to `command` was the single line `line`.
#[track_caller]
fn answers(booted: &Booted, command: &str, line: &str) {
    assert_eq!(booted.answer(command).trim_end(), line, "{command}");
}
