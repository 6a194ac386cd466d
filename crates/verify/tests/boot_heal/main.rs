//! Maps that heal, booted: whatever was split all over memory, in the end every leaf and table is as
//! it was at boot.
#![cfg(test)]

use std::time::SystemTime;

use blockmap_verify::console::{Dump, LINEAR, Stat};
use blockmap_verify::draw::Draw;
use blockmap_verify::machine::{Booted, Config};

/// The machines that sizes change on: live, with all others parked, and so that the CPU that is
/// left breaks what it changes.
const WAYS: [(&str, &str); 3] = [
    ("max,midr=0xc00fac30", ""),
    ("max,midr=0xc00fac30", "size-change=quiesce"),
    ("cortex-a72", ""),
];

fn boot((cpu, options): (&str, &str), script: &str) -> Booted {
    let config = Config::new("4G").cpu(cpu).cpus(2).options(options).monitor(script);
    Booted::run(&config).succeeded()
}

/// Sees that the first dump and statistics are the last ones again, and that something was split
/// between.
#[track_caller]
fn is_as_at_boot(booted: &Booted) {
    let (dumps, stats) = (booted.dumps(), booted.stats());
    let [first, .., split, last]: &[Dump] = &dumps else { panic!("{} dumps", dumps.len()) };
    assert_ne!(first, split, "nothing was split");
    assert_eq!(first, last);
    let [first, .., split, last]: &[Stat] = &stats else { panic!("{} looks", stats.len()) };
    assert!(split.tables() > first.tables());
    let leaves = |stat: &Stat| {
        let mut map = stat.map.clone();
        // How often CPUs were parked, and how long that took, is another matter.
        map.retain(|name, _| name.starts_with("leaves") || name.starts_with("runs"));
        map
    };
    assert_eq!((last.tables(), leaves(last)), (first.tables(), leaves(first)));
    let known = |stat: &Stat| stat.frames["free"] + stat.frames["tables"] + stat.frames["used"];
    assert_eq!(known(last), known(first));
}

/// The number behind `before` in the last answer to `command`.
#[track_caller]
fn number(booted: &Booted, command: &str, before: &str) -> u64 {
    let answer = booted.answers(command).last().unwrap();
    let (_, after) = answer.split_once(before).unwrap_or_else(|| panic!("{answer}"));
    after.split(|one: char| !one.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// The seed that is asked for, or a new one.
fn seed() -> u64 {
    let asked_for = std::env::var("BLOCKMAP_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    asked_for.unwrap_or_else(|| now.map_or(0, |now| u64::from(now.subsec_nanos())))
}

#[test]
fn pages_all_over_memory_go_back_into_their_blocks() {
    for way in WAYS {
        let script = "ptdump linear; stat; churn 200; ptdump linear; stat; heal; ptdump linear; \
                      stat; heal all; poweroff";
        let booted = boot(way, script);
        is_as_at_boot(&booted);
        let healed = booted.answer("heal");
        assert!(!healed.contains("healed: 0 tables"), "{way:?}: {healed}");
        assert!(booted.answer("heal all").contains("healed: 0 tables given back, 0 runs made"));
    }
}

#[test]
fn ranges_of_any_length_and_place_go_back_into_their_blocks() {
    let seed = seed();
    println!("BLOCKMAP_SEED={seed} replays it");
    for way in WAYS {
        let mut draw = Draw::new(seed);
        let changes: Vec<String> = (0..12)
            .map(|_| {
                // Beyond the GiB that has the kernel's own memory.
                let page = (1 << 18) + draw.below(3 << 18) - 1024;
                let most = draw.one(&[8, 1024]);
                let pages = 1 + draw.below(most);
                let at = LINEAR + page * 4096;
                format!("ro {at:#x} {pages}; rw {at:#x} {pages}")
            })
            .collect();
        let changes = changes.join("; ");
        let script = format!(
            "ptdump linear; stat; {changes}; ptdump linear; stat; heal; ptdump linear; stat; poweroff"
        );
        is_as_at_boot(&boot(way, &script));
    }
}

#[test]
fn the_map_heals_while_another_cpu_reads_it_all_the_time() {
    for way in WAYS {
        let script = "ptdump linear; stat; reader on 1; churn 100; heal; churn 100; heal; churn 50; \
                      ptdump linear; stat; heal; reader off 1; ptdump linear; stat; poweroff";
        let booted = boot(way, script);
        is_as_at_boot(&booted);
        assert!(number(&booted, "reader off 1", "reader: ") > 10);
        assert_eq!(number(&booted, "reader off 1", "passes, "), 0, "{way:?}");
    }
}

#[test]
fn the_map_heals_by_itself_once_it_is_quiet() {
    let script = "ptdump linear; stat; churn 100; ptdump linear; stat; idle 4; ptdump linear; stat; \
                  poweroff";
    for (cpu, options) in WAYS {
        is_as_at_boot(&boot((cpu, options), script));
    }
    let off = boot((WAYS[0].0, "heal=off"), script);
    let dumps = off.dumps();
    assert_eq!(dumps.last(), dumps.get(1), "it was not to heal by itself");
    assert_ne!(dumps.first(), dumps.get(1));
}

#[test]
fn where_no_size_changes_nothing_is_healed() {
    let script = "ptdump linear; ro 0xffff000055555000 1; rw 0xffff000055555000 1; heal; \
                  ptdump linear; idle 2; ptdump linear; poweroff";
    let booted = boot(("max", "size-change=never"), script);
    assert!(booted.answer("heal").contains("refused: "), "{}", booted.answer("heal"));
    let dumps = booted.dumps();
    assert!(dumps.iter().all(|dump| dump == &dumps[0]));
}
