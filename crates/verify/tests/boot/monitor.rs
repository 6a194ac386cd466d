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

#[test]
fn whatever_is_typed_the_monitor_goes_on() {
    let everything: String = (0..0xff).filter_map(char::from_u32).collect();
    // Ctrl-C leaves the line at hand; what is too long is no command, and nothing is lost of it.
    let typed = format!("{everything}\x03{}\r;;\r; stat ;\n\r\npoweroff 4\r", "a".repeat(5000));
    let booted = Booted::run(&Config::new("1G").options("quiet").typed(&typed));
    assert_eq!(booted.status, 4, "{}", booted.console);
    booted.says("aaa is not a command; help lists them");
    assert_eq!(booted.console.matches("TLB entries").count(), 1);
}
