//! Tests of the reader: what it takes survives, and what it refuses is named.

use super::*;

const EXAMPLE: &str = "
geometry 16k lpa2 52 52 el2host lower
root 0x40000000
types 0xff 0xf0 0x44 0x0 0x4 0 0 0
aliases mixed
updates hardware
cpus 3   # all alike, but one
profile 1 size=needs-break ets=2 walk-cache=input ranges=no runs=no several=none forwarding=no
initially fill 0x40000000[0..512] 0x0 step 0x0

cpu 0:
intend 0x1000+0x1000 rights r--
intend 0x2000+0x1000 unmapped
intend 0x3000+0x1000 output 0x80000000 rw-:r-- type 1 idle
store 0x40000000[3] 0x40001003
dsb ishst
tlbi vmalle1is
achieved
free 0x40003000
store-low 0x40000000[3] 0x40001003
store-high 0x40000000[3] 0x600000
code 0x40000000+0x1000
past-caches 0x40000000+0x1000
use 0x3000+0x1000
lock a
unlock a
wait parked 2
cpu 1..3:
context reserved
isb
signal parked
context other
context live
";

#[test]
fn a_lock_may_say_whose_turn_it_is() {
    let program = read("cpu 0:\nlock a\nlock b 3").unwrap();
    let lock = |name: &str, turn| Step::Lock { name: name.to_owned(), turn };
    assert_eq!(program.cpus[0].steps, [lock("a", None), lock("b", Some(3))]);
    assert_eq!(read(&program.to_string()), Ok(program));
    assert_eq!(read("cpu 0:\nlock b x").unwrap_err().what, Line::Number);
}

#[test]
fn a_program_survives_text() {
    let program = read(EXAMPLE).unwrap();
    assert_eq!(program.cpus[0].steps.len(), 16);
    assert_eq!(program.cpus[2].steps.len(), 5);
    assert_eq!(program.cpus[2].profile, Profile::QUIET);
    assert_eq!(read(&program.to_string()), Ok(program));
}

#[test]
fn a_wrong_line_is_named() {
    let what = |line: &str| read(&format!("cpus 2\n{line}")).unwrap_err();
    assert_eq!(what("isb"), ReadError { number: 2, what: Line::Nobody });
    assert_eq!(what("cpu 2:").what, Line::Cpu);
    assert_eq!(what("cpu 1..4:").what, Line::Cpu);
    assert_eq!(what("cpus 0").what, Line::Cpu);
    assert_eq!(what("root").what, Line::TooShort);
    assert_eq!(what("root 1 2").what, Line::TooLong);
    assert_eq!(what("root 0xg").what, Line::Number);
    assert_eq!(what("geometry 4k base 99 48 el1 upper").what.to_string().find("25"), Some(9));
    assert_eq!(
        what("profile 0 size=small").what,
        Line::Expected("needs-break, may-abort or quiet")
    );
    assert_eq!(what("use 0x1000").what, Line::Range);
    assert_eq!(what("intend 0x0+0x1000 rights rx").what, Line::Rights(RightsError));
    assert_eq!(what("stored 1").what, Line::Trace(TraceError::UnknownEffect));
}
