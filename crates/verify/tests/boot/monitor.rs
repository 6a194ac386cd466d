//! The monitor, and how machines end.

use blockmap_verify::machine::{Booted, Config};

use crate::twelve_gib;

#[test]
fn a_machine_boots_and_ends_by_itself() {
    let booted = twelve_gib("help");
    assert!(booted.answer("help").contains("ptdump"), "{}", booted.console);
}

#[test]
fn the_status_given_to_poweroff_is_the_machines() {
    assert_eq!(Booted::run(&Config::new("1G").monitor("poweroff 7")).status, 7);
}

#[test]
fn what_is_typed_is_obeyed() {
    let typed = "hlep\x7f\x7f\x7felp\rpoweroff 3\r";
    let booted = Booted::run(&Config::new("1G").typed(typed));
    assert_eq!(booted.status, 3, "{}", booted.console);
    booted.says("ptdump");
}
