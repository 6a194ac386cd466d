//! Ranges that no command may be given: each is refused with a reason, and changes nothing.

use blockmap_verify::console::LINEAR;

use crate::{MIB, answers, around, twelve_gib};

/// Every command that changes something in a range.
const COMMANDS: [&str; 7] = ["ro", "rw", "nx", "x", "invalid", "valid", "split"];

/// Runs every one of `commands` in one boot, sees that none changed anything, and that each was
/// answered with `answer`.
#[track_caller]
fn check(commands: &[String], answer: &str) {
    let ([before, after], [stat_before, stat_after], booted) = around(&commands.join("; "));
    for command in commands {
        answers(&booted, command, &answer.replace("{command}", command.split(' ').next().unwrap()));
    }
    assert_eq!(after, before);
    assert_eq!(stat_after, stat_before);
}

fn each(range: &str) -> Vec<String> {
    COMMANDS.iter().map(|command| format!("{command} {range}")).collect()
}

#[test]
fn ranges_that_are_none_are_refused() {
    check(&each("0xffff000155555000 0"), "{command} takes ADDR PAGES; 0 pages are no range");
    check(
        &each("0xfffffffffffff000 2"),
        "{command} takes ADDR PAGES; 2 pages from 0xfffffffffffff000 on pass the end of the address space",
    );
    check(
        &each("0xffff000155555008 1"),
        "refused: 0xffff000155555008+0x1000 is not a multiple of the page in start and length",
    );
    check(
        &each("0xffff000155555000 0x10000000000000"),
        "{command} takes ADDR PAGES; 4503599627370496 pages from 0xffff000155555000 on pass the end of the address space",
    );
}

#[test]
fn ranges_of_the_other_half_are_refused() {
    check(&each("0 1"), "refused: 0x0+0x1000 is not within the half that these tables translate");
    let across = "0xfffefffffffff000 2";
    let refusal =
        "refused: 0xfffefffffffff000+0x2000 is not within the half that these tables translate";
    check(&each(across), refusal);
}

/// Those of [`COMMANDS`] that change permissions.
fn each_permission(range: &str) -> Vec<String> {
    let mut commands = each(range);
    commands.retain(|command| !command.starts_with("split"));
    commands
}

#[test]
fn ranges_of_nothing_are_refused_wherever_they_begin() {
    let refusal = "refused: nothing is mapped at 0xffff000300000000";
    check(&each_permission("0xffff000300000000 1"), refusal);
    check(&["ro 0xffff0002fffff000 2".to_owned()], refusal);
    check(&["ro 0xffff000155555000 1747628".to_owned()], refusal);
    check(
        &["ro 0xffff800000000000 1".to_owned()],
        "refused: nothing is mapped at 0xffff800000000000",
    );
}

#[test]
fn what_the_kernel_runs_on_keeps_its_permissions_and_the_sizes_of_its_leaves() {
    let own = |start: &str| {
        let split = format!("split {start} 1");
        let refusal = format!(
            "refused: {start}+0x1000 keeps the sizes of its leaves: the kernel itself runs on it"
        );
        check(&[split], &refusal);
        let refusal =
            format!("refused: {start}+0x1000 keeps its permissions: the kernel itself runs on it");
        check(&each_permission(&format!("{start} 1")), &refusal);
    };
    own("0xffff800080000000");
    own("0xffff8000c0000000");
    own("0xffff8000d0000000");
    own(&format!("{:#x}", LINEAR + 2 * MIB));
}

#[test]
fn tables_are_refused_wherever_they_are() {
    let page = "0xffff000155555000 1";
    let find = format!("ro {page}; walk 0xffff000155555000; stat");
    let walk = twelve_gib(&find);
    let walk: Vec<&str> = walk.answer("walk 0xffff000155555000").lines().take(4).collect();
    assert_eq!(walk.len(), 4);
    for step in walk {
        let table = step.split_whitespace().nth(2).unwrap().split('[').next().unwrap();
        let table = u64::from_str_radix(table.strip_prefix("0x").unwrap(), 16).unwrap();
        let alias = LINEAR + table - 0x4000_0000;
        let commands = [
            format!("ro {page}"),
            format!("ro {alias:#x} 1"),
            format!("invalid {:#x} 3", alias - 4096),
        ];
        let (_, [_, _], booted) = around(&commands.join("; "));
        answers(&booted, &commands[0], "done");
        for refused in &commands[1..] {
            assert!(booted.answer(refused).contains("keeps its permissions"), "{}", booted.console);
        }
    }
}

#[test]
fn free_memory_whose_rights_were_taken_away_never_becomes_a_table() {
    // The next frames that tables would be made of, narrowed; then changes that need tables.
    let next = "ro 0xffff000000000000 512; invalid 0xffff000000400000 1024";
    let changes = "ro 0xffff000055555000 1; ro 0xffff000095555000 1; ro 0xffff0000d5555000 1";
    let booted = twelve_gib(&format!("stat; {next}; {changes}; stat"));
    for command in next.split("; ").chain(changes.split("; ")) {
        let answer = booted.answer(command);
        let refused = "keeps its permissions: ";
        assert!(answer.trim_end() == "done" || answer.contains(refused), "{command}: {answer}");
    }
    answers(&booted, "ro 0xffff0000d5555000 1", "done");
}

#[test]
fn the_device_tree_stays_readable() {
    let ([before, after], _, booted) = around("invalid 0xffff000008000000 1; cmdline");
    let refused = booted.answer("invalid 0xffff000008000000 1");
    assert!(refused.contains("the kernel itself runs on it"), "{refused}");
    assert_eq!(after, before);
    assert!(booted.answer("cmdline").contains("semihosting"));
}
