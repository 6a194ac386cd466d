//! Time: what a boot takes, as the kernel tells it and as its user sees it.

use std::time::Duration;

use crate::twelve_gib;

/// The steps that the kernel tells the time of.
const STEPS: [&str; 9] = [
    "entered",
    "MMU on",
    "kernel_main",
    "firmware read",
    "map planned",
    "map painted",
    "map in use",
    "frames counted",
    "CPUs started",
];

#[test]
fn the_timeline_names_every_step_in_order() {
    let booted = twelve_gib("timeline");
    let mut lines = booted.answer("timeline").lines();
    assert_eq!(lines.next(), Some("  since start   since last"));
    let mut before = 0;
    let mut steps = Vec::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [start, "us", last, "us", step @ ..] = &*words else { panic!("{line}") };
        let [start, last]: [u64; 2] = [start, last].map(|time| time.parse().unwrap());
        // Both are rounded down.
        assert!((start - before).abs_diff(last) <= 1, "{line}");
        before = start;
        steps.push(step.join(" "));
    }
    assert_eq!(steps, STEPS);
}

#[test]
fn the_prompt_is_there_soon_after_qemu_was_started() {
    let times = [(); 3].map(|()| twelve_gib("timeline").to_prompt.unwrap());
    let best = times.into_iter().min().unwrap();
    println!("from QEMU's start to the prompt with 12 GiB: {best:?}, the best of {times:?}");
    // A bare image takes 50 ms on a quiet host; what this sees is waiting and endless loops.
    assert!(best < Duration::from_secs(5), "{times:?}");
}
