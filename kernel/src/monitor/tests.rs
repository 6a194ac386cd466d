//! Commands as typed, the errors of those that aren't, and the line they are typed on.

extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::form::FORMS;
use super::*;

fn range(start: u64, bytes: u64) -> VirtRange {
    VirtRange::new(VirtAddr::new(start), bytes).unwrap()
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn read(text: &str) -> Command<'_> {
    parse(text).unwrap()
}

#[test]
fn every_command_is_read_with_its_operands() {
    let address = VirtAddr::new(0xffff_0001_5555_5000);
    let one = range(address.value(), 0x1000);
    assert_eq!(read("help"), Command::Help);
    assert_eq!(read("ptdump"), Command::Ptdump(Scope::All));
    assert_eq!(read(" ptdump   linear "), Command::Ptdump(Scope::Linear));
    assert_eq!(read("stat"), Command::Stat);
    assert_eq!(read("walk 0xffff000155555000"), Command::Walk(address));
    assert_eq!(read("ro 0xffff000155555000 1"), Command::Protect(Change::ReadOnly, one));
    assert_eq!(read("rw 0xffff000155555000 1"), Command::Protect(Change::ReadWrite, one));
    assert_eq!(read("nx 0xffff000155555000 1"), Command::Protect(Change::NoExecute, one));
    assert_eq!(read("x 0xffff000155555000 0x1"), Command::Protect(Change::Execute, one));
    assert_eq!(read("invalid 0xffff000155555000 1"), Command::Protect(Change::Invalid, one));
    assert_eq!(read("valid 0xffff000155555000 1"), Command::Protect(Change::Valid, one));
    assert_eq!(read("split 4096 3"), Command::Split(Splitting::Plain, range(0x1000, 0x3000)));
    assert_eq!(
        read("vectors 4096 3"),
        Command::Split(Splitting::KeepingVectors, range(0x1000, 0x3000))
    );
    assert_eq!(read("secret 3"), Command::Secret(Secret::Take(3, None)));
    assert_eq!(read("secret 3 9"), Command::Secret(Secret::Take(3, Some(9))));
    assert_eq!(read("secret free 2"), Command::Secret(Secret::Free(2)));
    assert_eq!(read("secret list"), Command::Secret(Secret::List));
    assert_eq!(read("carve take 4096 3"), Command::Carve(Carve::Take, range(0x1000, 0x3000)));
    let by_owner = Carve::Change(Change::Invalid);
    assert_eq!(read("carve invalid 4096 3"), Command::Carve(by_owner, range(0x1000, 0x3000)));
    assert_eq!(read("scatter 1024"), Command::Scatter(1024));
    assert_eq!(read("peek 8"), Command::Peek(VirtAddr::new(8)));
    assert_eq!(read("poke 8 0x2a"), Command::Poke(VirtAddr::new(8), 42));
    assert_eq!(read("exec 0"), Command::Exec(VirtAddr::new(0)));
    assert_eq!(read("timeline"), Command::Timeline);
    assert_eq!(read("trace on"), Command::Trace(Trace::On));
    assert_eq!(read("trace off"), Command::Trace(Trace::Off));
    assert_eq!(read("trace dump"), Command::Trace(Trace::Dump(None)));
    let file = Trace::Dump(Some("/tmp/Boot.trace"));
    assert_eq!(read("trace dump /tmp/Boot.trace"), Command::Trace(file));
    assert_eq!(read("count on"), Command::Count(Power::On));
    assert_eq!(read("heal"), Command::Heal(Heal::Queued));
    assert_eq!(read("heal all"), Command::Heal(Heal::All));
    assert_eq!(read("cmdline"), Command::Cmdline);
    assert_eq!(read("poweroff"), Command::Poweroff(0));
    assert_eq!(read("poweroff 255"), Command::Poweroff(255));
}

#[test]
fn commands_of_code_are_read_with_their_operands() {
    for (text, code) in [
        ("modules", Code::Modules),
        ("modload one", Code::Load("one")),
        ("modrun one", Code::Run("one", 0)),
        ("modrun one 0x7", Code::Run("one", 7)),
        ("modunload one", Code::Unload("one")),
        ("jit 200", Code::Jit(200)),
        ("jitrun 1", Code::JitRun(1)),
        ("jitfree 1", Code::JitFree(1)),
        ("slot 0x91000400", Code::Slot(0x9100_0400)),
        ("slotrun 2", Code::SlotRun(2, 0)),
        ("slotrun 2 41", Code::SlotRun(2, 41)),
        ("slotfree 2", Code::SlotFree(2)),
    ] {
        assert_eq!(parse(text), Ok(Command::Code(code)));
    }
}

#[test]
fn commands_of_owners_are_read_with_their_operands() {
    let one = range(0xffff_0001_5555_5000, 0x1000);
    let read = |text| parse(text).unwrap();
    assert_eq!(read("share 9"), Command::Share(Share::Take(9, 1)));
    assert_eq!(read("share 0 3"), Command::Share(Share::Take(0, 3)));
    assert_eq!(read("share free 2"), Command::Share(Share::Free(2)));
    assert_eq!(read("share list"), Command::Share(Share::List));
    assert_eq!(read("share lose"), Command::Share(Share::Answer(Host::Lose)));
    let start = PhysAddr::new(0x1000);
    assert_eq!(read("hotadd 0x1000 8"), Command::HotAdd(start, 8));
    assert_eq!(read("hotremove 0x1000 8"), Command::HotRemove(start, 8));
    assert_eq!(read("dataalias off"), Command::DataAlias(Power::Off));
    assert_eq!(read("guard on"), Command::Guard(Guard::On));
    assert_eq!(read("guard off"), Command::Guard(Guard::Off));
    assert_eq!(read("guard alloc"), Command::Guard(Guard::Alloc(64, None)));
    assert_eq!(read("guard alloc 24 1"), Command::Guard(Guard::Alloc(24, Some(1))));
    assert_eq!(read("guard free 8 0"), Command::Guard(Guard::Free(VirtAddr::new(8), Some(0))));
    assert_eq!(read("vmap 3"), Command::Vmap(3, Leaves::Largest));
    assert_eq!(read("vmap 3 pages"), Command::Vmap(3, Leaves::Pages));
    assert_eq!(read("vunmap 4096"), Command::Vunmap(VirtAddr::new(4096), Freed::AsItIs));
    assert_eq!(read("vunmap 4096 reset"), Command::Vunmap(VirtAddr::new(4096), Freed::Reset));
    assert_eq!(read("areas"), Command::Areas);
    assert_eq!(read("purge"), Command::Purge);
    let direct = Command::Direct(Direct::Later, one);
    assert_eq!(read("direct later 0xffff000155555000 1"), direct);
    for (name, change) in ["ro", "rw", "nx", "x", "rox", "invalid", "valid"].iter().zip([
        ViewChange::ReadOnly,
        ViewChange::ReadWrite,
        ViewChange::NoExecute,
        ViewChange::Execute,
        ViewChange::ReadOnlyExecute,
        ViewChange::Invalid,
        ViewChange::Valid,
    ]) {
        let text = ["setmem ", name, " 0xffff000155555000 1"].concat();
        assert_eq!(parse(&text).unwrap(), Command::SetMemory(change, one));
    }
}

#[test]
fn an_error_says_what_was_expected() {
    assert_eq!(error("ro 0x1000"), "ro takes ADDR PAGES; PAGES is missing");
    assert_eq!(error("ro"), "ro takes ADDR PAGES; ADDR is missing");
    assert_eq!(error("rw 0x1000 0"), "rw takes ADDR PAGES; 0 pages are no range");
    assert_eq!(
        error("nx 0xfffffffffffff000 2"),
        "nx takes ADDR PAGES; 2 pages from 0xfffffffffffff000 on pass the end of the address space"
    );
    assert_eq!(
        error("peek here"),
        "peek takes ADDR; here is not an address, decimal or 0x hexadecimal"
    );
    assert_eq!(error("poke 1 2 3"), "poke takes ADDR VALUE; 3 is one operand too many");
    assert_eq!(error("stat now"), "stat takes nothing; now is one operand too many");
    assert_eq!(error("ptdump user"), "ptdump takes [linear|all]; user is not linear or all");
    assert_eq!(error("secret free"), "secret takes N|free|list [N]; [N] is missing");
    assert_eq!(
        error("secret 1 4294967296"),
        "secret takes N|free|list [N]; 4294967296 is not a number below 2 to the 32"
    );
    assert_eq!(error("vmap 3 blocks"), "vmap takes PAGES [pages]; blocks is not pages");
    assert_eq!(error("vunmap 1 r"), "vunmap takes ADDR [reset]; r is not reset");
    assert_eq!(
        error("setmem rwx 1 1"),
        "setmem takes RIGHTS ADDR PAGES; rwx is not ro, rw, x, nx, rox, invalid or valid"
    );
    assert_eq!(error("modload"), "modload takes NAME; NAME is missing");
    assert_eq!(
        error("slot 0x100000000"),
        "slot takes INSTRUCTION; 0x100000000 is not an instruction of 32 bits, decimal or 0x \
         hexadecimal"
    );
    assert_eq!(error("trace"), "trace takes on|off|dump [FILE]; on|off|dump is missing");
    assert_eq!(error("trace up"), "trace takes on|off|dump [FILE]; up is not on, off or dump");
    assert_eq!(
        error("trace on file"),
        "trace takes on|off|dump [FILE]; file is one operand too many"
    );
    assert_eq!(error("heal some"), "heal takes [all]; some is not all");
    assert_eq!(error("poweroff 256"), "poweroff takes [STATUS]; 256 is not a number from 0 to 255");
    assert_eq!(error("sat"), "sat is not a command; help lists them");
    assert_eq!(error(""), "a command is missing; help lists them");
}

/// Whether the command means something without the operand: help shows it in brackets.
fn is_optional(operand: Operand) -> bool {
    operand.to_string().starts_with('[')
}

#[test]
fn a_form_has_the_operands_its_command_reads() {
    for form in &FORMS {
        let with = |count: usize| {
            let words = form.operands.iter().take(count).map(|operand| match operand {
                Operand::Address
                | Operand::Pages
                | Operand::Value
                | Operand::Times
                | Operand::Cpu
                | Operand::Changes
                | Operand::Seconds
                | Operand::Steps
                | Operand::Accesses
                | Operand::Seed
                | Operand::Secret
                | Operand::Number
                | Operand::Module
                | Operand::Programs
                | Operand::Pack
                | Operand::Instruction
                | Operand::Slot
                | Operand::Argument
                | Operand::Share
                | Operand::Status => " 1",
                Operand::Change => " ro",
                Operand::Guard => " alloc",
                Operand::Leaves | Operand::Mapped => " pages",
                Operand::Reset => " reset",
                Operand::Rights => " rox",
                Operand::Direct => " later",
                Operand::Carve => " take",
                Operand::OnOff => " off",
                Operand::Scope | Operand::Heal => " all",
                Operand::Spread => " same",
                Operand::On => " on",
                Operand::Trace | Operand::Dump => " dump",
                Operand::File => " file",
            });
            parse(&words.fold(form.name.to_string(), |text, word| text + word)).is_ok()
        };
        assert!(with(form.operands.len()), "{}", form.name);
        for fewer in 0..form.operands.len() {
            let rest_is_optional = form.operands.iter().skip(fewer).copied().all(is_optional);
            assert_eq!(with(fewer), rest_is_optional, "{} with {fewer}", form.name);
        }
    }
}

#[test]
fn help_has_a_line_for_every_command() {
    let help = HELP.to_string();
    for form in &FORMS {
        let names = |line: &&str| line.split_ascii_whitespace().next() == Some(form.name);
        assert_eq!(help.lines().filter(names).count(), 1, "{}", form.name);
    }
    assert!(help.contains("  ro ADDR PAGES             stores fault\n"), "{help}");
    assert!(help.contains("  ptdump [linear|all]       the map"), "{help}");
}

#[test]
fn the_readme_shows_the_same_help() {
    let readme = include_str!("../../../README.md");
    for line in HELP.to_string().lines() {
        assert!(readme.lines().any(|shown| shown == line), "not in README.md:\n{line}");
    }
}

/// The commands that may change tables.
const CHANGING: &str = "cycles tour ro rw nx atomic x invalid valid split vectors vmap vunmap churn writers \
                        repaint kpti heal idle secret modload modunload jit jitfree slot slotfree \
                        guard setmem purge direct carve scatter share hotadd hotremove dataalias";

#[test]
fn a_trace_names_the_commands_that_change_tables() {
    for form in &FORMS {
        let text = form.operands.iter().fold(form.name.to_string(), |text, operand| {
            let word = match operand {
                Operand::Trace | Operand::OnOff | Operand::On => " on",
                Operand::Change => " ro",
                Operand::Guard => " alloc",
                Operand::Leaves | Operand::Mapped => " pages",
                Operand::Reset => " reset",
                Operand::Rights => " rox",
                Operand::Direct => " later",
                Operand::Carve => " take",
                Operand::Share => " 9",
                Operand::Address
                | Operand::Pages
                | Operand::Value
                | Operand::Cpu
                | Operand::Secret
                | Operand::Module
                | Operand::Programs
                | Operand::Pack
                | Operand::Instruction
                | Operand::Slot
                | Operand::Seconds
                | Operand::Steps
                | Operand::Changes => " 4096",
                Operand::Scope
                | Operand::Argument
                | Operand::Spread
                | Operand::Heal
                | Operand::Accesses
                | Operand::Seed
                | Operand::Dump
                | Operand::Times
                | Operand::Number
                | Operand::File
                | Operand::Status => "",
            };
            text + word
        });
        let named = CHANGING.split_ascii_whitespace().any(|name| name == form.name);
        assert_eq!(parse(&text).unwrap().changes_tables(), named, "{text}");
    }
}

#[test]
fn semicolons_separate_commands() {
    let commands: Vec<_> = split(" stat;; walk 1 ;poweroff; ").collect();
    assert_eq!(commands, ["stat", "walk 1", "poweroff"]);
    assert_eq!(split(" ; ").next(), None);
}

/// Everything sent back for `typed`, and the lines it finished.
fn typed(typed: &[u8]) -> (String, Vec<String>) {
    let mut editor = LineEditor::new();
    let (mut echo, mut lines) = (String::new(), Vec::new());
    for byte in typed {
        let reaction = editor.press(*byte);
        echo += &reaction.to_string();
        if let Reaction::Finished(line) = reaction {
            lines.push(line.to_string());
        }
    }
    (echo, lines)
}

#[test]
fn a_line_is_edited_and_shown_as_it_is() {
    let check = |bytes: &[u8], echo: &str, lines: &[&str]| {
        let (sent, finished) = typed(bytes);
        assert_eq!((sent.as_str(), finished.as_slice()), (echo, to_strings(lines).as_slice()));
    };
    check(b"stat\r", "stat\r\n", &["stat"]);
    check(b"a\r\nb\nc\r\r", "a\r\nb\r\nc\r\n\r\n", &["a", "b", "c", ""]);
    check(b"sx\x7ft\x08\x08\x08", "sx\u{8} \u{8}t\u{8} \u{8}\u{8} \u{8}\u{7}", &[]);
    check(b"abc\x15d\r", "abc\u{8} \u{8}\u{8} \u{8}\u{8} \u{8}d\r\n", &["d"]);
    check(b"abc\x03d\r", "abc^C\r\nd\r\n", &["d"]);
    check(b"a\x1b[Ab\x1bOPc\x1b[3~d\x1b\x1b[1;5Ce\x1bxf\x1b\r", "abcdef\r\n", &["abcdef"]);
    check(b"\xc3\xa9\x01a\tb\r", "\u{7}\u{7}\u{7}a b\r\n", &["a b"]);
}

fn to_strings(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn a_full_line_takes_no_more() {
    let mut bytes = [b'x'; LINE_BYTES + 2];
    bytes[LINE_BYTES + 1] = b'\r';
    let (echo, lines) = typed(&bytes);
    assert_eq!(lines, ["x".repeat(LINE_BYTES)]);
    assert_eq!(echo, "x".repeat(LINE_BYTES) + "\u{7}\r\n");
}

proptest! {
    #[test]
    fn any_text_is_a_command_or_an_error(text in "(ro|poke|poweroff|0x|[0-9 ]|\\PC){0,20}") {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_bytes_can_be_typed(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (_, lines) = typed(&bytes);
        prop_assert!(lines.iter().all(|line| line.len() <= LINE_BYTES && line.is_ascii()));
    }
}
