//! Exceptions that are nobody's: reported in full, and the machine ends with a failing status.
//!
//! The monitor takes the faults of code that it was told to execute. So that code calls the kernel's
//! own functions with what they can't work on, as a wild pointer in the kernel would.

use blockmap_verify::machine::{Booted, Config};
use blockmap_verify::symbol;

const PAGE: u64 = 0xffff_0001_5555_5000;

/// Instructions to call a function whose address follows.
const CALL: [u32; 2] = [
    0x5800_0090, // ldr x16, the address below
    0xd63f_0200, // blr x16
];

/// Has the monitor execute `code`.
fn run(code: &[u32]) -> Booted {
    let padded: Vec<u32> = code.iter().copied().chain([0]).collect();
    let pokes = padded.chunks_exact(2).zip(0..).map(|(pair, number)| {
        let value = u64::from(pair[0]) | u64::from(pair[1]) << 32;
        format!("poke {:#x} {value:#x}; ", PAGE + 8 * number)
    });
    let pokes: String = pokes.collect();
    let script = format!("{pokes}ro {PAGE:#x} 1; x {PAGE:#x} 1; exec {PAGE:#x}; help");
    Booted::run(&Config::new("12G").monitor(&script))
}

/// Has the monitor execute `before`, and then call the kernel's function at `address`.
fn call(before: &[u32], address: u64) -> Booted {
    let [low, high] =
        [address & 0xffff_ffff, address >> 32].map(|half| u32::try_from(half).unwrap());
    // The address is two words behind the call.
    let code = [before, &CALL, &[0xd503_201f, 0xd503_201f, low, high]].concat();
    run(&code)
}

/// Sees that the report has all its parts, and that nothing was done after it.
fn check_report(booted: &Booted, status: u8, first: &str) {
    assert_eq!(booted.status, status, "{}", booted.console);
    let line = booted.line_with("!!! ");
    assert!(line.starts_with(first), "{line}");
    assert!(booted.answers("help").next().is_none(), "{}", booted.console);
}

#[test]
fn a_wild_store_of_the_kernel_is_reported_with_its_walk_and_its_callers() {
    let memset = symbol::address("memset");
    // memset(page, 0, 8) of the page that is read-only by then.
    let arguments = [
        0x1000_0000, // adr x0, here
        0xd280_0001, // mov x1, #0
        0xd280_0102, // mov x2, #8
        0xd503_201f, // nop
    ];
    let booted = call(&arguments, memset);
    check_report(
        &booted,
        102,
        "!!! exception in the kernel that nobody handles: data abort: permission fault, level 3, write",
    );
    booted.says("    at   0xffff8000800");
    booted.says(&format!("    for  {PAGE:#x}"));
    let report = booted.after("!!! ");
    for part in [
        "ESR  0x",
        "FAR 0xffff000155555000",
        "SPSR 0x",
        "x0 ffff000155555000",
        "x30 ffff0001555550",
        "sp ffff800080",
    ] {
        assert!(report.contains(part), "{part} is missing:\n{report}");
    }
    let walk: Vec<&str> = report.lines().filter(|line| line.starts_with("level ")).collect();
    assert_eq!(walk.len(), 4, "{report}");
    assert!(walk[3].contains("page 0x195555000 attr=0:MEM/NORMAL ro"), "{}", walk[3]);
    assert!(report.contains("-> 0x195555000, 4K page, r-x, EL0 ---"), "{report}");
    let backtrace = report.split("backtrace:\n").nth(1).unwrap();
    assert!(backtrace.lines().next().unwrap().contains("(image + 0x"), "{backtrace}");
    // The callers up to the kernel's entry.
    assert!(backtrace.lines().count() >= 4, "{backtrace}");
}

#[test]
fn an_overflow_of_the_boot_stack_is_reported_as_one() {
    let function = symbol::address("execute_guarded");
    let stack = symbol::address("__boot_stack_start");
    let [low, high] = [stack & 0xffff_ffff, stack >> 32].map(|half| u32::try_from(half).unwrap());
    let booted = call(
        &[
            0x5800_0049, // ldr x9, the address below
            0x1400_0003, // b over it
            low,
            high,
            0x9100_013f, // mov sp, x9
            0xd503_201f, // nop
        ],
        function,
    );
    check_report(
        &booted,
        102,
        "!!! exception in the kernel that nobody handles: data abort: translation fault, level 3, write",
    );
    booted.says("the boot stack has overflowed: this is its guard page");
    booted.says("this CPU can't read it");
}

#[test]
fn a_panic_names_its_place_and_its_callers() {
    let panic = symbol::address("panic_const_sub_overflow");
    // Its argument is the place: zeroed memory is a place of no name.
    let booted = call(&[0x1000_8000, 0xd503_201f], panic);
    check_report(&booted, 101, "!!! panicked at ");
    booted.says("attempt to subtract with overflow");
    booted.says("    backtrace:");
}

#[test]
fn an_exception_without_a_stack_to_report_it_on_is_reported_on_another() {
    let booted = run(&[
        0xd500_41bf, // msr spsel, #1
        0xd280_0000, // mov x0, #0
        0x9100_001f, // mov sp, x0
        0xf940_0000, // ldr x0, [x0]
    ]);
    check_report(
        &booted,
        103,
        "!!! exception while reporting: data abort: translation fault, level 0",
    );
}

#[test]
fn a_system_call_of_the_kernel_is_reported() {
    let booted = run(&[
        0xd400_0001, // svc #0
        0xd65f_03c0, // ret
    ]);
    // The instruction is the executed code's own, which takes its faults; but it is no fault.
    assert_eq!(booted.status, 0, "{}", booted.console);
    assert!(booted.answer(&format!("exec {PAGE:#x}")).starts_with("fault: "));
}
