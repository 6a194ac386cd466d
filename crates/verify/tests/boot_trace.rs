//! The account that the kernel gives of what it does to its tables is the whole truth about them:
//! whoever has nothing but the trace knows every word of every table.
#![cfg(test)]

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use blockmap_dump::{Marker, ReadTable, Style, Tree};
use blockmap_machine::{Barrier, Entry, Event, PhysAddr, Span, VirtAddr};
use blockmap_model::explore::{Options, explore};
use blockmap_model::judge::judge;
use blockmap_model::program::{Cpu, Program, Step};
use blockmap_model::replay::judge_end;
use blockmap_model::verdict::{Rule, Verdict};
use blockmap_verify::console::LINEAR;
use blockmap_verify::machine::{Booted, Config};
use blockmap_vmsa::{Geometry, Kind, Mair};

const KERNEL: Geometry = Geometry::KERNEL_4K_48;

/// Changes of every kind: in the middle of a block, at the edge of runs, over two blocks, undone,
/// refused.
const CHANGES: &str = "ro 0xffff000155555000 1; split 0xffff000080200000 512; \
                       invalid 0xffff00017ffe0000 64; ro 0xffff0001bffff000 2; \
                       valid 0xffff00017ffe0000 64; rw 0xffff000155555000 1; \
                       x 0xffff000155556000 1; ro 0xffff000155556000 1; x 0xffff000155556000 1; \
                       ro 0xffff800080000000 1; ro 0xffff000200000000 262144; \
                       vmap 3; vmap 1030; ro 0xffff800100400000 1; vunmap 0xffff800100400000; \
                       vunmap 0xffff800100000000; purge";

/// What a trace says, carried out on memory that holds nothing before.
#[derive(Debug, Default)]
struct Replayed {
    root: Option<PhysAddr>,
    words: HashMap<(PhysAddr, u16), u64>,
    /// Effects, without what the heading says of the time before.
    events: usize,
    achieved: usize,
    freed: usize,
}

/// An entry of a table in use that the trace does not account for.
#[derive(Debug)]
struct Unwritten(PhysAddr, u16);

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the trace never wrote to entry {} of {}", self.1, self.0)
    }
}

impl std::error::Error for Unwritten {}

impl ReadTable for Replayed {
    type Error = Unwritten;

    fn entries(&self, table: PhysAddr, first: u16, words: &mut [u64]) -> Result<(), Unwritten> {
        for (index, word) in (first..).zip(words) {
            *word = *self.words.get(&(table, index)).ok_or(Unwritten(table, index))?;
        }
        Ok(())
    }
}

impl Replayed {
    fn read(text: &str) -> Self {
        let mut replayed = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "root" => replayed.root = Some(address(rest)),
                "geometry" => assert_eq!(rest, "4k base 48 48 el1 upper"),
                "types" | "aliases" | "cpus" | "profile" | "cpu" | "intend" | "wait" | "signal" => {
                }
                "achieved" => replayed.achieved += 1,
                "initially" => replayed.perform(rest.parse().unwrap()),
                "free" => {
                    replayed.words.retain(|(table, _), _| *table != address(rest));
                    replayed.freed += 1;
                }
                _ => {
                    let event = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                    replayed.perform(event);
                    replayed.events += 1;
                }
            }
        }
        replayed
    }

    fn perform(&mut self, event: Event) {
        let mut each = |Span { table, first, count }: Span,
                        new: &dyn Fn(u64, Option<u64>) -> u64| {
            for offset in 0..count {
                let place = (table, first + offset);
                let old = self.words.get(&place).copied();
                self.words.insert(place, new(u64::from(offset), old));
            }
        };
        match event {
            Event::Store { entry: Entry { table, index }, value } => {
                each(Entry { table, index }.span(1), &|_, _| value);
            }
            Event::Fill { span, value, step } => {
                each(span, &|offset, _| value.wrapping_add(step.wrapping_mul(offset)));
            }
            Event::Update { span, clear, set } => each(span, &|_, old| {
                old.unwrap_or_else(|| panic!("{event}: of what nobody wrote")) & !clear | set
            }),
            Event::Barrier(_) | Event::Invalidate(_) | Event::Maintain { .. } => {}
        }
    }

    fn tree(&self) -> Tree<'_, Self> {
        Tree::new(KERNEL, self.root.unwrap(), self)
    }

    /// The tables in use, the root first.
    fn tables(&self) -> Vec<PhysAddr> {
        let below = self.tree().entries().filter_map(|entry| match entry.found {
            blockmap_dump::Found::Word { word, kind: Kind::Table } => {
                Some(KERNEL.table_address(word))
            }
            blockmap_dump::Found::Word { .. } => None,
            blockmap_dump::Found::Skipped(skipped) => panic!("{skipped:?}"),
        });
        [self.root.unwrap()].into_iter().chain(below).collect()
    }
}

fn address(text: &str) -> PhysAddr {
    PhysAddr::new(u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap())
}

/// Where the linear map shows an entry: QEMU's memory starts at 1 GiB.
fn linear(table: PhysAddr, index: u16) -> u64 {
    LINEAR + table.value() - (1 << 30) + u64::from(index) * 8
}

/// Where the emulator may write `name`.
fn file(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    assert!(!path.to_str().unwrap().contains([' ', ';', '"']), "the monitor splits words there");
    // What an earlier run left would pass for this one's.
    let _ = fs::remove_file(&path);
    path
}

/// Boots `config` with the monitor script `script`, in which `FILE` stands for a file of this name,
/// and reads that back.
fn traced(config: Config, name: &str, script: &str) -> (Booted, Replayed, String) {
    let path = file(name);
    let script = script.replace("FILE", path.to_str().unwrap());
    let booted = Booted::run(&config.monitor(&script)).succeeded();
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{error}: {}", booted.console));
    (booted, Replayed::read(&text), text)
}

/// Sees that the tables that the trace leaves are what the kernel printed as its map, from the
/// first line to the last.
fn check_map(replayed: &Replayed, printed: &str) {
    let lines: Vec<&str> =
        printed.lines().take_while(|line| !line.starts_with("Checked")).collect();
    let mut markers = Vec::new();
    let mut names = Vec::new();
    for line in &lines {
        if let Some(name) = line.strip_prefix("---[ ").and_then(|line| line.strip_suffix(" ]---")) {
            names.push(name);
        } else {
            let start = VirtAddr::new(address(&line[..18]).value());
            markers.extend(names.drain(..).map(|name| Marker { start, name }));
        }
    }
    let mut text = String::new();
    replayed.tree().ptdump(Style { mair: Mair::KERNEL, markers: &markers }, &mut text).unwrap();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn a_trace_from_the_first_table_on_says_what_the_map_is_now() {
    let script = format!("{CHANGES}; trace dump FILE; ptdump");
    let (booted, replayed, text) =
        traced(Config::new("12G").options("trace=4096"), "boot", &script);
    check_map(&replayed, booted.answer("ptdump"));
    assert!(text.contains("\n# dropped records: 0\n"), "{text}");
    assert!(text.contains(&format!("\n# events: {}; ", replayed.events)), "{text}");
    for command in CHANGES.split(';').map(str::trim) {
        assert!(text.contains(&format!("\n# {command}\n")), "{command} is not named:\n{text}");
    }
    assert!(text.contains("\n# refused\n"), "{text}");
}

/// The program of a trace, beside a second CPU that does nothing but walk the tables.
fn with_an_observer(text: &str) -> Program {
    let mut program = blockmap_model::text::read(text).unwrap();
    let observer = Cpu { steps: Vec::new(), ..program.cpus[0].clone() };
    program.cpus.push(observer);
    program
}

fn check_verdicts(verdicts: &[Verdict], text: &str) {
    let verdicts: Vec<String> = verdicts.iter().map(ToString::to_string).collect();
    assert!(verdicts.is_empty(), "{}\n{text}", verdicts.join("\n"));
}

#[test]
fn a_whole_boot_is_judged_from_its_first_table_on() {
    let script = format!("{CHANGES}; trace dump FILE");
    let (_, replayed, text) = traced(Config::new("12G").options("trace=4096"), "asked", &script);
    let program = with_an_observer(&text);
    check_verdicts(&judge_end(&program), &text);
    let judged = judge(&program);
    check_verdicts(&judged.verdicts, &text);
    assert!(judged.effects > 1000, "{} effects", judged.effects);
    // And the judge is awake: without the last invalidation it finds something.
    let mut faulty = program;
    let steps = &mut faulty.cpus[0].steps;
    let is_tlbi = |step: &Step| matches!(step, Step::Effect(Event::Invalidate(_)));
    let last = steps.iter().rposition(is_tlbi).unwrap();
    steps.remove(last);
    assert!(!judge(&faulty).verdicts.is_empty(), "a missing invalidation went unnoticed");
    assert!(replayed.achieved >= 15, "{} operations", replayed.achieved);
}

#[test]
fn the_model_finds_nothing_wrong_with_what_a_booted_kernel_does() {
    for change in [
        "ro 0xffff000155555000 1",
        "invalid 0xffff00017ffff000 2",
        "split 0xffff000080200000 512",
        "ro 0xffff000200000000 262144",
        "vunmap 0xffff800100000000",
    ] {
        let script = format!("vmap 3; trace off; trace on; {change}; purge; trace dump FILE");
        let config = Config::new("12G").options("trace=4096");
        let (booted, _, text) = traced(config, "judged", &script);
        assert_eq!(booted.answer(change), "done\n");
        let report = explore(&with_an_observer(&text), Options::QUICK).unwrap();
        check_verdicts(&report.verdicts, &text);
        assert!(report.states > 100, "{report:?}");
    }
}

#[test]
fn the_model_finds_a_barrier_missing_from_a_trace() {
    let script = "trace off; trace on; ro 0xffff000155555000 1; trace dump FILE";
    let config = Config::new("12G").options("trace=4096");
    let (_, _, text) = traced(config, "missing", script);
    let mut program = with_an_observer(&text);
    let steps = &mut program.cpus[0].steps;
    let publish = Step::Effect(Event::Barrier(Barrier::DsbIshst));
    let first = steps.iter().position(|step| *step == publish).unwrap();
    steps.remove(first);
    let report = explore(&program, Options::QUICK).unwrap();
    let rules: Vec<Rule> = report.verdicts.iter().map(|verdict| verdict.rule).collect();
    assert!(rules.contains(&Rule::PublishAfterFill), "{rules:?}");
}

#[test]
fn every_word_of_every_table_is_what_the_trace_says() {
    let config = Config::new("2G").options("trace=4096");
    let changes = "ro 0xffff000055555000 1; invalid 0xffff00003fff0000 32";
    let (_, before, _) =
        traced(config.clone(), "words-before", &format!("{changes}; trace dump FILE"));
    let path = file("words");
    let entries = before
        .tables()
        .into_iter()
        .flat_map(|table| (0..512).map(move |index| format!("peek {:#x}\r", linear(table, index))));
    let dump = format!("trace dump {}\r", path.display());
    let typed: String =
        [changes.replace("; ", "\r"), "\r".to_owned(), dump].into_iter().chain(entries).collect();
    // Every byte that is typed is echoed, one by one.
    let config = config.typed(&format!("{typed}poweroff\r")).limit(Duration::from_secs(240));
    let booted = Booted::run(&config).succeeded();
    let after = Replayed::read(&fs::read_to_string(&path).unwrap());
    assert_eq!(after.tables(), before.tables());
    let lines: HashSet<&str> = booted.lines().collect();
    let tables = after.tables();
    assert!(tables.len() >= 10, "{tables:?}");
    for table in tables {
        for index in 0..512 {
            let word = after.words[&(table, index)];
            let line = format!("{:#018x}: {word:#018x}", linear(table, index));
            assert!(lines.contains(&*line), "{line}");
        }
    }
}

#[test]
fn a_trace_that_begins_late_says_what_the_tables_held() {
    let script = format!(
        "{CHANGES}; trace off; trace on; split 0xffff000240000000 1; trace dump FILE; ptdump; \
         split 0xffff000240200000 1"
    );
    let (booted, replayed, text) =
        traced(Config::new("12G").options("trace=4096"), "late", &script);
    check_map(&replayed, booted.answer("ptdump"));
    assert!(text.contains("\n# split 0xffff000240000000 1\n"), "{text}");
    assert!(!text.contains("# ro "), "{text}");
    assert!(replayed.events < 20, "{} events", replayed.events);
}

#[test]
fn a_map_of_pages_is_traced_too() {
    let config = Config::new("1G").cpu("max").options("trace=65536 size-change=never");
    let script = "ro 0xffff000012345000 7; trace dump FILE; ptdump";
    let (booted, replayed, text) = traced(config, "pages", script);
    check_map(&replayed, booted.answer("ptdump"));
    assert!(replayed.tables().len() > 512, "{}", replayed.tables().len());
    assert!(text.contains("\nprofile 0 size=may-abort "), "{text}");
}

#[test]
fn what_finds_no_room_is_told() {
    let script = "trace dump FILE; trace dump";
    let (booted, _, text) = traced(Config::new("1G").options("trace=30"), "short", script);
    assert!(!text.contains("\n# dropped records: 0"), "{text}");
    assert!(text.ends_with("records more were dropped here\n"), "{text}");
    assert_eq!(booted.answer("trace dump"), text, "on the console it reads the same");
    let (_, _, whole) = traced(Config::new("1G").options("trace=1000"), "whole", script);
    let steps = |text: &str| {
        let (_, steps) = text.split_once("\ncpu 0:\n").unwrap();
        steps.lines().take(20).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(steps(&text), steps(&whole));
}

#[test]
fn a_trace_that_cannot_be_says_why() {
    let script = "trace on; trace off; trace dump; trace dump /nonexistent/trace";
    let booted = Booted::run(&Config::new("1G").monitor(script)).succeeded();
    assert!(booted.answer("trace on").contains("trace=EVENTS"), "{}", booted.console);
    assert_eq!(booted.answer("trace off"), "refused: recording is off already\n");
    assert!(booted.answer("trace dump").contains("# events: 0;"), "{}", booted.console);
    let refusal = booted.answer("trace dump /nonexistent/trace");
    assert!(
        refusal.starts_with("refused: /nonexistent/trace: the host can't open it"),
        "{refusal}"
    );
}
