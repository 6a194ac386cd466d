//! Executing memory: only after it was made so, and never while it is writable.

use crate::{answers, twelve_gib};

const PAGE: &str = "0xffff000155555000";

/// `mov x0, #42; ret`.
const CODE: &str = "0xd65f03c0d2800540";

const RETURNED: &str = "0xffff000155555000 returned 0x000000000000002a";

fn fault(level: u32) -> String {
    format!("fault: permission fault, level {level}, execute, at {PAGE}")
}

#[test]
fn code_runs_after_x_and_not_before_or_after_nx() {
    let run = format!("exec {PAGE}");
    let script = format!(
        "{run}; poke {PAGE} {CODE}; ro {PAGE} 1; {run}; x {PAGE} 1; {run}; {run}; \
        ptdump linear; nx {PAGE} 1; {run}; rw {PAGE} 1; {run}"
    );
    let booted = twelve_gib(&script);
    let first_lines: Vec<&str> =
        booted.answers(&run).map(|answer| answer.lines().next().unwrap()).collect();
    let (block, page) = (fault(1), fault(3));
    assert_eq!(first_lines, [&*block, &page, RETURNED, RETURNED, &page, &page]);
    let page = format!("{PAGE} 4K PTE ro x SHD AF UXN MEM/NORMAL");
    assert_eq!(booted.dumps()[0].linear(0x1_5555_5000, 0x1_5555_6000), [page]);
    assert_eq!(booted.dumps()[0].bytes_that_say(&["x"]), 4096);
}

#[test]
fn a_page_of_a_split_no_execute_block_is_executed() {
    // The block says no-execute in its leaves: the table that takes its place must not say so for
    // all of them.
    let commands =
        format!("poke {PAGE} {CODE}; split {PAGE} 1; ro {PAGE} 1; x {PAGE} 1; exec {PAGE}");
    let booted = twelve_gib(&format!("{commands}; walk {PAGE}"));
    answers(&booted, &format!("exec {PAGE}"), RETURNED);
    let walk = booted.answer(&format!("walk {PAGE}"));
    assert!(walk.ends_with("-> 0x195555000, 4K page, r-x, EL0 ---\n"), "{walk}");
}

#[test]
fn a_whole_block_is_executed() {
    let start = "0xffff000140000000";
    let all = format!("{start} 262144");
    let booted = twelve_gib(&format!("poke {start} {CODE}; ro {all}; x {all}; exec {start}; stat"));
    answers(&booted, &format!("exec {start}"), &format!("{start} returned 0x000000000000002a"));
    assert_eq!(booted.stats()[0].tables(), 3);
}

#[test]
fn nothing_is_ever_writable_and_executable() {
    let booted = twelve_gib(&format!(
        "ptdump linear; x {PAGE} 1; ptdump linear; ro {PAGE} 1; x {PAGE} 1; rw {PAGE} 1; \
         rw 0xffff000155554000 3; ptdump linear"
    ));
    let refusal = |address| {
        format!(
            "refused: the leaf at {address} would be writable and executable: take one of the two away first\n"
        )
    };
    let executes: Vec<&str> = booted.answers(&format!("x {PAGE} 1")).collect();
    assert_eq!(executes, [&*refusal(PAGE), "done\n"]);
    answers(&booted, &format!("rw {PAGE} 1"), refusal(PAGE).trim_end());
    // A range is refused for one page of it, and none of it has changed.
    answers(&booted, "rw 0xffff000155554000 3", refusal(PAGE).trim_end());
    let [before, refused, after] = booted.dumps().try_into().unwrap();
    assert_eq!(refused, before);
    assert_eq!(after.bytes_that_say(&["RW", "x"]), 0);
    assert_eq!(after.bytes_that_say(&["ro", "x"]), 4096);
}

#[test]
fn code_that_faults_or_overruns_its_stack_comes_back_as_a_fault() {
    // An undefined instruction; a call of itself that stores to the stack; a load from null.
    let undefined = "0x0000000000000000";
    let endless = "0x97ffffffa9bf7bfd";
    let null = "0xf9400000d2800000";
    for (code, fault) in [
        (undefined, "undefined instruction"),
        (endless, "translation fault, level 3, write"),
        (null, "translation fault, level 0, read, at 0x0"),
    ] {
        let booted = twelve_gib(&format!(
            "poke {PAGE} {code}; ro {PAGE} 1; x {PAGE} 1; exec {PAGE}; peek {PAGE}"
        ));
        let answer = booted.answer(&format!("exec {PAGE}"));
        assert!(answer.starts_with("fault: ") && answer.contains(fault), "{answer}");
        answers(&booted, &format!("peek {PAGE}"), &format!("{PAGE}: {code}"));
    }
}
