//! Files that are no modules, and archives that are none: clear errors, and nothing is left.

use std::path::PathBuf;

use blockmap_verify::machine::{Booted, Config};
use xtask::modules::{Object, objects, pack};

use crate::{answers, around, is_as_before};

/// A file of this name with these bytes.
fn written(name: &str, bytes: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
    std::fs::write(&path, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

/// A machine with this archive.
fn with(archive: &str, script: &str) -> Booted {
    let config = Config::new("2G").argument("-initrd").argument(archive);
    let script = format!("stat; ptdump all; {script}; heal; stat; ptdump all");
    let booted = Booted::run(&config.monitor(&script)).succeeded();
    let dumps = booted.dumps().try_into().unwrap();
    is_as_before(&dumps, &booted.stats().try_into().unwrap());
    booted
}

#[test]
fn what_is_no_module_is_refused_and_nothing_of_it_is_left() {
    let greeter = objects().unwrap().into_iter().find(|object| object.name == "greeter").unwrap();
    let damaged = |name: &str, damage: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = greeter.bytes.clone();
        damage(&mut bytes);
        Object { name: name.to_owned(), bytes }
    };
    let replace = |bytes: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
    };
    let files = [
        damaged("text", &|bytes| *bytes = b"#!/bin/sh\nexit 0\n".to_vec()),
        damaged("nothing", &|bytes| bytes.clear()),
        damaged("cut", &|bytes| bytes.truncate(bytes.len() / 2)),
        damaged("program", &|bytes| bytes[16] = 2),
        damaged("stranger", &|bytes| replace(bytes, b"kernel_print", b"kernel_panic")),
        damaged("headless", &|bytes| replace(bytes, b"module_run\0", b"module_ran\0")),
        greeter.clone(),
    ];
    let archive = written("modules", &pack(&files));
    let names = files.map(|file| format!("modload {}; ", file.name)).concat();
    let booted =
        with(&archive, &format!("{names}modload greeter; modunload greeter; modload none"));
    for (name, error) in [
        ("text", "refused: the object can't be read: "),
        ("nothing", "refused: the object can't be read: "),
        ("cut", "refused: "),
        ("program", "refused: it is no relocatable object for AArch64 (ELF type 2, machine 183)"),
        ("stranger", "refused: kernel_panic: the kernel exports nothing of that name"),
        ("headless", "refused: the object defines no global function module_run"),
        ("none", "refused: the initial RAM disk has no file of that name"),
    ] {
        let answer = booted.answer(&format!("modload {name}"));
        assert!(answer.starts_with(error), "{name}: {answer}");
    }
    let loaded: Vec<&str> = booted.answers("modload greeter").collect();
    assert!(loaded[0].starts_with("greeter at 0xffff800000000000+0x3000: "), "{loaded:?}");
    assert_eq!(loaded[1], "refused: it is loaded already: unload it first\n");
}

#[test]
fn an_archive_that_makes_no_sense_is_refused_where_it_begins_to() {
    let good = pack(&objects().unwrap());
    let script = "modules; modload greeter; modload tables; modunload greeter; modunload tables";
    let garbage = written("garbage", &[0x5a; 5000]);
    let booted = with(&garbage, script);
    let no_entry = "initial RAM disk: no entry of a newc archive is at byte 0: pack it with \
                    `cpio -H newc`";
    answers(&booted, "modules", no_entry);
    answers(&booted, "modload greeter", &format!("refused: {no_entry}"));
    let cut = written("cut-off", &good[..good.len() - 3000]);
    let booted = with(&cut, script);
    assert!(booted.answer("modload greeter").starts_with("greeter at "));
    assert!(booted.answer("modload tables").contains("reaches past the archive's end"));
}

#[test]
fn without_an_archive_there_are_no_modules() {
    let script = "modules; modload greeter; jit 10; jitrun 1; jitfree 1";
    let config = Config::new("2G").monitor(script);
    let booted = Booted::run(&config).succeeded();
    answers(&booted, "modules", "");
    assert!(booted.answer("modload greeter").starts_with("refused: the initial RAM disk has no"));
    assert!(booted.answer("jitrun 1").starts_with("10 programs computed"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let script = "jit 0; jit 32768; jitfree 1; jit 32769; jit 0xffffffff; modload \
                  0123456789012345678901234567890123456789012345678901234567890123456789";
    let (_, _, booted) = around("", script);
    let limit = "bytes are no part of an area: take 1 to 0x200000";
    answers(&booted, "jit 0", &format!("refused: 0x0 {limit}"));
    answers(&booted, "jit 32769", &format!("refused: 0x201000 {limit}"));
    answers(&booted, "jit 0xffffffff", &format!("refused: 0x4000000000 {limit}"));
    assert!(booted.answer("jit 32768").starts_with("pack 1 at 0xffff800000000000+0x200000: "));
    booted.says("refused: names of modules have up to 64 bytes");
}
