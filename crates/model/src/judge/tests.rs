//! The judge on programs that the explorer has its own tests for.

use super::*;
use crate::text::read;

#[test]
fn a_permission_change_takes_its_barriers() {
    let heading = "root 0x40000000\ncpus 2\n\
        initially fill 0x40000000[0..512] 0x0 step 0x0\n\
        initially store 0x40000000[0] 0x40001003\n\
        initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000\n\
        cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
        update 0x40001000[0..1] clear 0x0 set 0x80\n";
    let first = |rest: &str| {
        let program = read(&format!("{heading}{rest}")).unwrap();
        judge(&program).verdicts.first().map(|verdict| verdict.rule)
    };
    let tlbi = "tlbi vaale1is 0xff000000000";
    assert_eq!(first(&format!("dsb ishst\n{tlbi}\ndsb ish\nisb\nachieved")), None);
    let unpublished = first(&format!("{tlbi}\ndsb ish\nisb\nachieved"));
    assert_eq!(unpublished, Some(Rule::InvalidateAfterPublish));
    let incomplete = first(&format!("dsb ishst\n{tlbi}\nisb\nachieved"));
    assert_eq!(incomplete, Some(Rule::CompleteAfterInvalidate));
    let unsynchronised = first(&format!("dsb ishst\n{tlbi}\ndsb ish\nachieved"));
    assert_eq!(unsynchronised, Some(Rule::SynchroniseAfterInvalidate));
}

/// Two writers on two GiB, one of which invalidates everything.
fn two_writers(first: [&str; 2]) -> Vec<Rule> {
    let [before, after] = first;
    let text = format!(
        "root 0x40000000\ncpus 2\n\
        initially fill 0x40000000[0..512] 0x0 step 0x0\n\
        initially store 0x40000000[0] 0x40001003\n\
        initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000\n\
        cpu 0:\n{before}\nintend 0xffff000000000000+0x40000000 rights r--\n\
        update 0x40001000[0..1] clear 0x0 set 0x80\ndsb ishst\n{after}\n\
        cpu 1:\nlock a 1\nintend 0xffff000040000000+0x40000000 rights r--\n\
        update 0x40001000[1..2] clear 0x0 set 0x80\ndsb ishst\n\
        tlbi vmalle1is\ndsb ish\nisb\nachieved\nunlock a\nsignal b\n"
    );
    let program = read(&text).unwrap();
    let judged: Vec<Rule> = judge(&program).verdicts.iter().map(|verdict| verdict.rule).collect();
    let explored = crate::explore::explore(&program, crate::explore::Options::QUICK).unwrap();
    assert_eq!(judged.is_empty(), explored.verdicts.is_empty(), "{text}");
    judged
}

#[test]
fn what_another_writer_invalidates_counts_if_a_lock_says_so() {
    let own = "tlbi vaale1is 0xff000000000\ndsb ish\nisb\nachieved";
    assert_eq!(two_writers(["lock a 0\nunlock a", own]), []);
    // The other's invalidation of everything comes after the change, and is waited for.
    assert_eq!(two_writers(["lock a 0", "unlock a\nwait b 1\nisb\nachieved"]), []);
    // It may come before the change.
    assert_ne!(two_writers(["lock a 0\nunlock a", "wait b 1\nisb\nachieved"]), []);
    // It may not be complete.
    assert_ne!(two_writers(["lock a 0", "unlock a\nachieved"]), []);
}

#[test]
fn what_is_left_of_a_run_still_speaks_for_all_of_it() {
    for (word, is_run) in [("0x70000400000701", true), ("0x60000400000701", false)] {
        for gone in [0, 5, 15] {
            let bytes = 0x4000_0000_u64;
            let start = 0xffff_0000_0000_0000 + gone * bytes;
            let text = format!(
                "root 0x40000000\ncpus 2\n\
                initially fill 0x40000000[0..512] 0x0 step 0x0\n\
                initially store 0x40000000[0] 0x40001003\n\
                initially fill 0x40001000[0..512] 0x0 step 0x0\n\
                initially fill 0x40001000[0..16] {word} step 0x40000000\n\
                cpu 0:\nintend {start:#x}+{bytes:#x} unmapped\n\
                update 0x40001000[{gone}..{}] clear 0x1 set 0x800\n\
                dsb ishst\ntlbi vaale1is {:#x}\ndsb ish\nisb\nachieved\n",
                gone + 1,
                start >> 12 & 0xfff_ffff_ffff
            );
            let program = read(&text).unwrap();
            let options = crate::explore::Options::QUICK;
            let explored = crate::explore::explore(&program, options).unwrap().verdicts;
            let judged = judge(&program).verdicts;
            assert_eq!(!explored.is_empty(), is_run, "{text}: {explored:?}");
            assert_eq!(!judged.is_empty(), is_run, "{text}: {judged:?}");
        }
    }
}
