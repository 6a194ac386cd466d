//! The kernel, booted: each test starts machines of its own.

use blockmap_verify::machine::{Booted, Config};

#[test]
fn a_machine_boots_and_ends_by_itself() {
    let booted = Booted::run(&Config::new("12G")).succeeded();
    assert!(booted.console.contains("blockmap"), "{}", booted.console);
}
