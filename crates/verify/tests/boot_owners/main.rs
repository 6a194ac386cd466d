//! Owners of memory, booted: what they take out of the linear map, what then faults, and that all
//! is as it was when they have given it back.
#![cfg(test)]

mod guard;
mod hotplug;
mod judged;
mod pagealloc;
mod secret;
mod share;
mod short;

use blockmap_verify::console::{Dump, Stat};
use blockmap_verify::machine::{Booted, Config};

/// The machines that sizes change on: live, and with all others parked.
const WAYS: [&str; 2] = ["", "size-change=quiesce"];

/// The same without global leaves.
const NON_GLOBAL: [&str; 2] = ["kpti=on size-change=live", "kpti=on size-change=quiesce"];

fn config(options: &str, script: &str) -> Config {
    Config::new("4G").cpus(2).options(options).monitor(script)
}

fn boot(options: &str, script: &str) -> Booted {
    Booted::run(&config(options, script)).succeeded()
}

/// Sees that no frame was lost from one look to the other: what is not free is a table that is kept
/// ready.
#[track_caller]
fn none_is_lost(before: &Stat, after: &Stat) {
    assert_eq!(after.frames["used"], before.frames["used"]);
    let both = |stat: &Stat| stat.frames["free"] + stat.frames["tables"];
    assert_eq!(both(after), both(before));
}

/// Sees that every address of both dumps is mapped alike, whatever the leaves.
#[track_caller]
fn means_the_same(before: &Dump, after: &Dump) {
    let meaning = |dump: &Dump| {
        let mut lines: Vec<(u64, u64, String)> = Vec::new();
        for line in dump.mapped() {
            let shape = ["CON", "BLK"];
            let says: Vec<&str> = line.words[2..]
                .iter()
                .map(String::as_str)
                .filter(|word| !shape.contains(word))
                .collect();
            let says = says.join(" ");
            match lines.last_mut() {
                Some((start, bytes, same)) if *same == says && *start + *bytes == line.start => {
                    *bytes += line.bytes;
                }
                _ => lines.push((line.start, line.bytes, says)),
            }
        }
        lines
    };
    assert_eq!(meaning(after), meaning(before));
}
