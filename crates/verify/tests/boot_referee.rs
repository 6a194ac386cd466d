//! The referee below the kernel sees every store to a table and every TLB invalidation that is
//! really executed. What the kernel's own trace says must be that, and nothing else.
#![cfg(test)]

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use blockmap_machine::trace::TraceError;
use blockmap_machine::{Entry, Event, Invalidate, PhysAddr, Tlbi};
use blockmap_verify::machine::{Booted, Config};

/// A machine whose image keeps EL2.
const BOARD: &str = "virt,virtualization=on";

/// Every kind of change that the monitor makes: in the middle of a block, at the edge of runs, over
/// two blocks, of whole blocks, undone, refused.
const CHANGES: &str = "ro 0xffff000155555000 1; rw 0xffff000155555000 1; \
                       split 0xffff000080200000 512; invalid 0xffff00017ffe0000 64; \
                       ro 0xffff0001bffff000 2; valid 0xffff00017ffe0000 64; \
                       ro 0xffff000155556000 1; x 0xffff000155556000 1; \
                       nx 0xffff000155556000 1; ro 0xffff800080000000 1; \
                       ro 0xffff000200000000 262144; nx 0xffff000055550000 1048; \
                       vmap 3; vmap 1030; ro 0xffff800100400000 1; vunmap 0xffff800100400000; \
                       vunmap 0xffff800100000000; purge";

/// What is compared: single stores, and TLB maintenance.
type Executed = Vec<Event>;

/// What the kernel says that it did, with bulk effects taken apart.
fn kernels(trace: &str) -> Executed {
    let mut words: HashMap<(PhysAddr, u16), u64> = HashMap::new();
    let mut executed = Vec::new();
    // What stands above the steps is what tables held before.
    let (_, steps) = trace.split_once("\ncpu 0:\n").unwrap();
    let lines: Vec<&str> = steps.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        // It belongs to a switch of roots, which the referee sees as one.
        if lines[..at].ends_with(&["context reserved", "isb"]) {
            continue;
        }
        let event = match line.parse() {
            Ok(event) => event,
            // Comments, and what is meant by the effects.
            Err(TraceError::UnknownEffect | TraceError::Empty) => continue,
            Err(error) => panic!("{line}: {error}"),
        };
        let mut store = |table, index, new: &dyn Fn(Option<u64>) -> u64| {
            let value = new(words.get(&(table, index)).copied());
            words.insert((table, index), value);
            executed.push(Event::Store { entry: Entry { table, index }, value });
        };
        match event {
            Event::Store { entry, value } => store(entry.table, entry.index, &|_| value),
            Event::Fill { span, value, step } => (0..span.count).for_each(|number| {
                let value = value.wrapping_add(step.wrapping_mul(u64::from(number)));
                store(span.table, span.first + number, &|_| value);
            }),
            Event::Update { span, clear, set } => (0..span.count).for_each(|number| {
                let new = |old: Option<u64>| old.unwrap() & !clear | set;
                store(span.table, span.first + number, &new);
            }),
            Event::Invalidate(_) => executed.push(event),
            Event::Barrier(_) | Event::Maintain { .. } => {}
        }
    }
    executed
}

/// What the referee saw.
#[derive(Debug, Default)]
struct Seen {
    executed: Executed,
    /// What the stores left.
    words: HashMap<Entry, u64>,
    /// The roots that the upper half got, in order.
    roots: Vec<u64>,
    /// Invalidations of everything, each right after a half got another root.
    switches: usize,
}

impl Seen {
    /// Sees that an entry held before a store what the store before that left in it: nobody else
    /// writes tables, hardware included.
    fn check_old(&mut self, event: Event, comment: &str) {
        if let Event::Store { entry, value } = event {
            let old = comment.trim().strip_prefix("was 0x").unwrap();
            let old = u64::from_str_radix(old, 16).unwrap();
            let left = self.words.insert(entry, value);
            assert!(left.is_none_or(|left| left == old), "{event}: over {old:#x}, not {left:x?}");
        }
    }

    fn read(text: &str) -> Self {
        let mut seen = Self::default();
        let everything = Event::Invalidate(Invalidate { op: Tlbi::Vmalle1, operand: 0 });
        let mut follows_root = false;
        for line in text.lines() {
            let is_root = line.starts_with("# ttbr");
            if let Some(root) = line.strip_prefix("# ttbr1_el1 0x") {
                seen.roots.push(u64::from_str_radix(root, 16).unwrap());
            }
            let (step, comment) = line.split_once('#').unwrap_or((line, ""));
            if !step.is_empty() {
                let event = step.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                seen.check_old(event, comment);
                if follows_root && event == everything {
                    seen.switches += 1;
                } else {
                    seen.executed.push(event);
                }
            }
            follows_root = is_root;
        }
        seen
    }
}

/// One place where the two differ.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Difference {
    /// The referee saw it, and the kernel doesn't say it.
    Hidden(Event),
    /// The kernel says it, and the referee did not see it.
    Invented(Event),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(event) => write!(f, "executed and not recorded: {event}"),
            Self::Invented(event) => write!(f, "recorded and not executed: {event}"),
        }
    }
}

/// The differences in order, few as they are: an event that only one side has is one of them.
fn differences(kernel: &[Event], referee: &[Event]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let (mut says, mut saw) = (kernel.iter().peekable(), referee.iter().peekable());
    while let (Some(one), Some(other)) = (says.peek(), saw.peek()) {
        if one == other {
            says.next();
            saw.next();
        } else if saw.clone().nth(1) == Some(*one) {
            differences.extend(saw.next().copied().map(Difference::Hidden));
        } else {
            differences.extend(says.next().copied().map(Difference::Invented));
        }
    }
    differences.extend(saw.copied().map(Difference::Hidden));
    differences.extend(says.copied().map(Difference::Invented));
    differences
}

/// Where the emulator may write `name`.
fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    assert!(!path.to_str().unwrap().contains([' ', ';', '"']), "the monitor splits words there");
    // What an earlier run left would pass for this one's.
    let _ = fs::remove_file(&path);
    path
}

/// The referee's machine with `memory`, and room for everything in trace and log.
fn machine(memory: &str) -> Config {
    Config::new(memory).board(BOARD).options("referee trace=65536")
}

/// Boots `config`, has the monitor make `changes`, and compares what the kernel says with what the
/// referee saw.
fn compared(config: Config, name: &str, changes: &str) -> (Booted, Seen, Vec<Difference>) {
    let (trace, log) = (file(&format!("{name}.trace")), file(&format!("{name}.referee")));
    let dumps = format!("trace dump {}; referee dump {}", trace.display(), log.display());
    let booted = Booted::run(&config.monitor(&format!("{changes}; referee; {dumps}"))).succeeded();
    let read = |path| {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {}", booted.console))
    };
    let (trace, log) = (read(trace), read(log));
    assert!(trace.contains("\n# dropped records: 0\n"), "{}", booted.console);
    assert!(log.contains("; dropped after that: 0\n"), "{}", booted.console);
    let seen = Seen::read(&log);
    let differences = differences(&kernels(&trace), &seen.executed);
    (booted, seen, differences)
}

/// Sees that there is no difference, and that nothing was left to the referee's guess.
#[track_caller]
fn agree((booted, seen, differences): &(Booted, Seen, Vec<Difference>)) {
    let texts: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{} differences:\n{}", differences.len(), texts.join("\n"));
    let tally = booted.answer("referee");
    assert!(tally.contains("; 0 could not be watched\n"), "{tally}");
    assert!(tally.contains("refused: 0 accesses"), "{tally}");
    // Both halves go through the empty table, back and forth; then the boot window is closed.
    assert_eq!(seen.switches, 4);
    assert_eq!(seen.roots.len(), 2, "{:x?}", seen.roots);
}

#[test]
fn the_trace_of_a_boot_and_of_changes_is_what_was_executed() {
    let compared = compared(machine("12G"), "changes", CHANGES);
    agree(&compared);
    let (booted, seen, _) = compared;
    for command in CHANGES.split(';').map(str::trim) {
        let refused = command.starts_with("ro 0xffff8000");
        assert_eq!(booted.answer(command).starts_with("refused"), refused, "{command}");
    }
    let invalidations = seen.executed.iter().filter(|event| matches!(event, Event::Invalidate(_)));
    assert!(invalidations.count() >= 9);
    assert!(seen.executed.len() > 12 * 512, "{}", seen.executed.len());
}

/// What each CPU said that it did and what was seen of it, in its own order: of the first, stores and
/// TLB maintenance; of the others, roots of the upper half and TLB maintenance.
type Each = Vec<(Vec<String>, Vec<String>)>;

/// The lines of each CPU in the trace, whose order is its own.
fn said_of_each(trace: &str) -> Vec<Vec<String>> {
    let root = trace.lines().find_map(|line| line.strip_prefix("root ")).unwrap();
    let (_, steps) = trace.split_once("\ncpu 0:\n").unwrap();
    let mut parts = steps.split("\ncpu ");
    let first = kernels(&format!("\ncpu 0:\n{}", parts.next().unwrap()));
    let first = first.iter().map(ToString::to_string).collect();
    let other = |part: &str| {
        // What a CPU does before it reports, it does before it comes under the referee.
        let (_, part) = part.split_once("\nwait come").unwrap();
        let lines: Vec<&str> = part.lines().collect();
        let said = lines.iter().enumerate().filter_map(|(at, line)| match *line {
            "context live" => Some(format!("root {root}")),
            "context reserved" => Some("root elsewhere".to_owned()),
            // Of the lower half.
            _ if lines[..at].ends_with(&["isb", "isb"]) => None,
            _ => line.starts_with("tlbi").then(|| (*line).to_owned()),
        });
        said.collect()
    };
    [first].into_iter().chain(parts.map(other)).collect()
}

/// The lines of each CPU in the referee's log, whose order is that of all.
fn seen_of_each(log: &str, root: u64) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<&str>> = vec![Vec::new(); 4];
    let mut cpu = 0;
    for line in log.lines() {
        match line.strip_prefix("cpu ").and_then(|line| line.strip_suffix(':')) {
            Some(number) => cpu = number.parse().unwrap(),
            None => lines[cpu].push(line),
        }
    }
    let first = Seen::read(&lines[0].join("\n")).executed;
    let first = first.iter().map(ToString::to_string).collect();
    let other = |lines: &Vec<&str>| {
        let before = [""].into_iter().chain(lines.iter().copied());
        let seen = before.zip(lines).filter_map(|(before, line)| {
            let upper = line.strip_prefix("# ttbr1_el1 0x");
            match upper.map(|root| u64::from_str_radix(root, 16).unwrap()) {
                Some(value) if value == root => Some(format!("root {root:#x}")),
                Some(_) => Some("root elsewhere".to_owned()),
                None => (line.starts_with("tlbi") && !before.starts_with("# ttbr0"))
                    .then(|| (*line).to_owned()),
            }
        });
        seen.collect()
    };
    [first].into_iter().chain(lines[1..].iter().map(other)).collect()
}

/// Boots four CPUs, has the monitor make `changes` while the others read and write memory, and gives
/// both accounts of each.
fn each(config: Config, name: &str, changes: &str) -> (Booted, Each) {
    let (trace, log) = (file(&format!("{name}.trace")), file(&format!("{name}.referee")));
    let dumps = format!("trace dump {}; referee dump {}", trace.display(), log.display());
    // Who was parked may still be on its way back when the change is done: who had work before is not
    // once it is relieved of it.
    let (on, off) = ["on", "off"].map(|to| format!("load {to} 1; load {to} 2; load {to} 3")).into();
    let config = config.monitor(&format!("{on}; {changes}; {off}; referee; {dumps}"));
    let booted = Booted::run(&config.limit(std::time::Duration::from_secs(240))).succeeded();
    let read = |path| {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {}", booted.console))
    };
    let (trace, log) = (read(trace), read(log));
    assert!(trace.contains("\n# dropped records: 0\n"), "{}", booted.console);
    assert!(log.contains("; dropped after that: 0\n"), "{}", booted.console);
    let root = trace.lines().find_map(|line| line.strip_prefix("root 0x")).unwrap();
    let root = u64::from_str_radix(root, 16).unwrap();
    let each = said_of_each(&trace).into_iter().zip(seen_of_each(&log, root)).collect();
    (booted, each)
}

#[test]
fn what_four_cpus_do_is_what_was_executed_by_each() {
    let changes = "ro 0xffff000055555000 1; split 0xffff000048000000 512; vmap 3; \
                   rw 0xffff000055555000 1; vunmap 0xffff800100000000; purge";
    for (options, name, parks) in [
        ("", "four-live", false),
        ("size-change=quiesce", "four-parked", true),
        (DISGUISED, "four-mixed", true),
    ] {
        let config = machine("2G").cpus(4).options(&format!("referee trace=65536 {options}"));
        let (booted, each) = each(config, name, changes);
        for (cpu, (said, saw)) in each.iter().enumerate() {
            assert_eq!(said, saw, "{name}: CPU {cpu}\n{}", booted.console);
        }
        assert_eq!(each.len(), 4);
        assert_eq!(each[3].0.len() > 6, parks, "{name}: {:?}", each[3].0);
        let tally = booted.answer("referee");
        assert!(tally.contains("refused: 0 accesses"), "{tally}");
    }
}

#[test]
fn a_change_of_what_is_global_is_what_was_executed() {
    let config = machine("2G").cpus(4).options("referee trace=65536");
    // Last, for tables that were given back are written unseen until they are tables again.
    let changes = "ro 0xffff000055555000 1; vmap 3; kpti on";
    let (booted, each) = each(config, "four-non-global", changes);
    assert_eq!(booted.answer("kpti on").trim_end(), "done");
    for (cpu, (said, saw)) in each.iter().enumerate() {
        assert_eq!(said, saw, "CPU {cpu}\n{}", booted.console);
    }
}

/// The boot CPU is quiet; the second needs a break, the third may abort, the fourth is quiet.
const DISGUISED: &str = "cpu.boot.midr=0x410fd823 cpu.1.midr=0x410fd811 cpu.1.bbm=0 \
                         cpu.2.midr=0x410fd822";

#[test]
fn a_repaint_by_four_unlike_cpus_is_what_was_executed() {
    let options = format!("referee=1000000 trace=65536 size-change=never {DISGUISED}");
    let config = machine("1G").cpus(4).options(&options);
    let (booted, each) = each(config, "four-repaint", "ro 0xffff000012345000 7");
    booted.says("the map is in pages");
    for (cpu, (said, saw)) in each.iter().enumerate() {
        assert_eq!(said.len(), saw.len(), "CPU {cpu}");
        assert!(said == saw, "CPU {cpu}");
    }
}

#[test]
fn a_map_of_pages_is_what_was_executed_too() {
    let config = machine("1G").cpu("max").options("referee=400000 trace=65536 size-change=never");
    let changes = "ro 0xffff000012345000 7; rw 0xffff000012345000 7; nx 0xffff000020000000 512";
    let compared = compared(config, "pages", changes);
    agree(&compared);
    assert!(compared.1.executed.len() > 512 * 512, "{}", compared.1.executed.len());
}

#[test]
fn tagged_memory_and_much_memory_are_refereed() {
    let tagged = machine("2G").board("virt,virtualization=on,mte=on");
    agree(&compared(tagged, "tagged", "ro 0xffff000055555000 1"));
    agree(&compared(machine("4T"), "much", "ro 0xffff02aaaaaaa000 1"));
}

#[test]
fn a_store_that_the_kernel_does_not_record_is_a_difference() {
    let (_, seen, _) = compared(machine("1G"), "before", "stat");
    // An entry that nothing goes through; what is written is invalid.
    let root = PhysAddr::new(*seen.roots.last().unwrap());
    let linear = root.value() - 0x4000_0000 + 0xffff_0000_0000_0000 + 200 * 8;
    let poke = format!("poke {linear:#x} 0x5a0");
    let (booted, _, differences) = compared(machine("1G"), "poked", &poke);
    assert_eq!(booted.answer(&poke).trim(), format!("{linear:#x} = 0x00000000000005a0"));
    let entry = Entry { table: root, index: 200 };
    assert_eq!(differences, [Difference::Hidden(Event::Store { entry, value: 0x5a0 })]);
}

#[test]
fn a_tlb_conflict_is_recovered_from_and_the_access_tried_again() {
    let (address, other) = ("0xffff000012345000", "0xffff000023456000");
    let script = format!(
        "poke {address} 0x1234; conflict {address}; peek {address}; referee; \
         conflict {address}; peek {address}; conflict {other}; poke {other} 7; peek {other}; \
         poweroff 5"
    );
    let booted = Booted::run(&machine("1G").monitor(&script));
    assert_eq!(booted.status, 5, "{}", booted.console);
    let peeked = format!("{address}: 0x0000000000001234\n");
    assert_eq!(booted.answers(&format!("peek {address}")).collect::<Vec<_>>(), [&*peeked; 2]);
    assert_eq!(booted.answer(&format!("peek {other}")), format!("{other}: 0x0000000000000007\n"));
    booted.says("TLB conflicts injected: 1; recovered from: 1");
}

#[test]
fn a_walk_may_meet_the_conflict_too() {
    let (_, seen, _) = compared(machine("1G"), "walk-before", "ro 0xffff000012345000 1");
    // The table of pages that the change made: every walk of the neighbours reads it.
    let is_pages =
        |event: &&Event| matches!(event, Event::Store { entry, .. } if entry.index == 0x144);
    let Some(Event::Store { entry, .. }) = seen.executed.iter().rev().find(is_pages) else {
        panic!("the change made no table of pages")
    };
    let linear = entry.table.value() - 0x4000_0000 + 0xffff_0000_0000_0000;
    let script = format!(
        "ro 0xffff000012345000 1; conflict {linear:#x}; poke 0xffff000012344000 3; \
         peek 0xffff000012344000; referee"
    );
    let booted = Booted::run(&machine("1G").monitor(&script)).succeeded();
    booted.says("0xffff000012344000: 0x0000000000000003");
    booted.says("TLB conflicts injected: 1; recovered from: 1");
}

#[test]
fn a_tlb_conflict_that_comes_again_at_once_ends_with_a_report() {
    let script = "conflict 0xffff000012345000 1000; peek 0xffff000012345000; poweroff";
    let booted = Booted::run(&machine("1G").monitor(script));
    assert_eq!(booted.status, 102, "{}", booted.console);
    booted.says("data abort: TLB conflict abort, read");
    booted.says("for  0xffff000012345000");
}

#[test]
fn the_referee_keeps_its_own_memory_from_the_kernel() {
    let (_, seen, _) = compared(machine("1G"), "own-before", "stat");
    // It lies right below the trace, the frames' states and the tables: 4 MiB of its own, then what
    // it keeps.
    let tables = *seen.roots.last().unwrap();
    let room = (tables - (65536 * 32) - (8 << 20)) & !((2 << 20) - 1);
    let linear = room - 0x4000_0000 + 0xffff_0000_0000_0000;
    let script = format!("poke {linear:#x} 1; peek {linear:#x}; referee; poweroff 6");
    let booted = Booted::run(&machine("1G").monitor(&script));
    assert_eq!(booted.status, 6, "{}", booted.console);
    let fault = booted.answer(&format!("poke {linear:#x} 1"));
    assert!(fault.starts_with("fault: external abort, write, at "), "{fault}");
    booted.says("refused: 1 accesses");
}

#[test]
fn without_what_it_needs_there_is_no_referee() {
    let refused = |config: Config| {
        let booted = Booted::run(&config.monitor("stat"));
        assert_eq!(booted.status, 100, "{}", booted.console);
        booted.line_with("blockmap can't start: referee: ").to_owned()
    };
    let el1 = refused(Config::new("1G").options("referee"));
    assert!(el1.contains("virtualization=on"), "{el1}");
    let old = refused(machine("1G").cpu("cortex-a72"));
    assert!(old.contains("FEAT_VHE"), "{old}");

    let none = Booted::run(&Config::new("1G").board(BOARD).monitor("referee; conflict 0"));
    let none = none.succeeded();
    let line = "refused: no referee is there: boot with `cargo xtask boot --referee`\n";
    assert_eq!([none.answer("referee"), none.answer("conflict 0")], [line; 2]);
}
