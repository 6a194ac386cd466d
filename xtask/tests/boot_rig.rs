//! The rig that boots machines, tried with a guest of twenty instructions: what it reports of a
//! kernel is worth something only if it notices the guests that print, hang and fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xtask::qemu::{Finished, Input, Machine, RunError, scripted};

/// Prints `hi`, then what is typed up to a `q`, then ends with status 7.
const GUEST: [u32; 21] = [
    0xd2a1_2001, // movz x1, #0x900, lsl #16     the PL011 at 0x900_0000
    0x5280_0d00, // movz w0, #'h'
    0xb900_0020, // str  w0, [x1]
    0x5280_0d20, // movz w0, #'i'
    0xb900_0020, // str  w0, [x1]
    0x5280_0140, // movz w0, #10
    0xb900_0020, // str  w0, [x1]
    0xb940_1822, // ldr  w2, [x1, #0x18]         its flags
    0x3727_ffe2, // tbnz w2, #4, back by 1       nothing received
    0xb940_0020, // ldr  w0, [x1]
    0x7101_c41f, // cmp  w0, #'q'
    0x5400_0060, // b.eq on by 3
    0xb900_0020, // str  w0, [x1]
    0x17ff_fffa, // b    back by 6
    0x1000_0061, // adr  x1, on by 3
    0xd280_0300, // movz x0, #0x18               SYS_EXIT
    0xd45e_0000, // hlt  #0xf000
    0x0002_0026, // ADP_Stopped_ApplicationExit
    0,
    7, // the status
    0,
];

fn guest(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let bytes: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    fs::write(&path, bytes).expect("cargo's folder for tests takes files");
    path
}

fn machine() -> Machine {
    Machine::with_memory("1G".parse().expect("it is a size"))
}

fn boot(
    name: &str,
    input: Input,
    limit: Duration,
    echo: impl FnMut(&[u8]),
) -> Result<Finished, RunError> {
    let mut machine = machine();
    machine.input = input;
    scripted(&machine, &guest(name), limit, echo)
}

#[test]
fn what_is_typed_reaches_the_guest_and_its_status_comes_back() {
    let typed = Input::Typed("some words q".to_owned());
    let mut echoed: Vec<u8> = Vec::new();
    let echo = |piece: &[u8]| echoed.extend(piece);
    let finished = boot("typed", typed, Duration::from_secs(60), echo).unwrap();
    assert_eq!(finished.console.as_bytes(), echoed);
    assert_eq!(finished.console, "hi\nsome words ");
    assert_eq!(finished.status, 7);
    assert_eq!(finished.complaints, "");
}

#[test]
fn a_guest_that_hangs_is_ended_and_its_last_lines_are_shown() {
    let limit = Duration::from_secs(2);
    let script = Input::Script("stat".to_owned());
    let error = boot("hangs", script, limit, |_| {}).unwrap_err();
    assert!(matches!(&error, RunError::TimeUp { last, .. } if last == "hi"), "{error}");
}

#[test]
fn arguments_that_qemu_refuses_are_reported_in_its_words() {
    let mut machine = machine();
    machine.cpu = "nothing-of-the-kind".to_owned();
    let limit = Duration::from_secs(60);
    let finished = scripted(&machine, &guest("refused"), limit, |_| {}).unwrap();
    assert_eq!(finished.status, 1);
    assert!(finished.complaints.contains("nothing-of-the-kind"));
}
