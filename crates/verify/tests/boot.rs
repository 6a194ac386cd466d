//! The kernel, booted: each test starts machines of its own.

use blockmap_verify::machine::{Booted, Config};

#[test]
fn a_machine_boots_and_ends_by_itself() {
    let booted = Booted::run(&Config::new("12G").monitor("help")).succeeded();
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
    assert!(booted.console.contains("ptdump"), "{}", booted.console);
}

#[test]
fn four_tebibytes_boot_on_a_host_with_less() {
    let booted = Booted::run(&Config::new("4T").monitor("stat")).succeeded();
    assert!(booted.answer("stat").contains("leaves 1G"), "{}", booted.console);
}
