//! The reductions lose nothing: on small programs, every one of them is compared with its absence.

use super::*;
use crate::text::read;
use crate::verdict::Rule;

const HEADING: &str = "
root 0x40000000
cpus 2
initially fill 0x40000000[0..512] 0x0 step 0x0
initially store 0x40000000[0] 0x40001003
initially fill 0x40001000[0..512] 0x60000080000701 step 0x40000000
initially fill 0x40002000[0..512] 0x60000080000701 step 0x200000
initially store 0x40001000[1] 0x40002003
";

/// Changes of four entries of level 1 and 2, right and wrong.
const PROGRAMS: [(&str, Option<Rule>); 13] = [
    (
        "cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
         update 0x40001000[0..1] clear 0 set 0x80\n\
         dsb ishst\ntlbi vaale1is 0xff000000000\ndsb ish\nisb\nachieved",
        None,
    ),
    (
        "cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
         update 0x40001000[0..1] clear 0 set 0x80\n\
         tlbi vaale1is 0xff000000000\ndsb ish\nisb\nachieved",
        Some(Rule::InvalidateAfterPublish),
    ),
    (
        "cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
         update 0x40001000[0..1] clear 0 set 0x80\n\
         dsb ishst\ntlbi vaale1is 0xff000000000\ndsb ishst\nisb\nachieved",
        Some(Rule::CompleteAfterInvalidate),
    ),
    (
        "cpu 0:\nintend 0xffff000000000000+0x40000000 rights r--\n\
         update 0x40001000[0..1] clear 0 set 0x80\n\
         dsb ishst\ntlbi vaale1is 0xff000000000\ndsb ish\nachieved",
        Some(Rule::SynchroniseAfterInvalidate),
    ),
    (
        "cpu 0:\nintend 0xffff000000000000+0x40000000 unmapped\n\
         store 0x40001000[0] 0\ndsb ishst\ntlbi vaale1is 0xff000000000\ndsb ish\nisb\nachieved",
        None,
    ),
    ("cpu 0:\nstore 0x40001000[0] 0", Some(Rule::MappedStaysMapped)),
    (
        "cpu 0:\nfill 0x40003000[0..16] 0x60000080000701 step 0x200000\n\
         dsb ishst\nstore 0x40001000[0] 0x40003003",
        None,
    ),
    (
        "cpu 0:\nfill 0x40003000[0..16] 0x60000080000701 step 0x200000\nstore 0x40001000[0] 0x40003003",
        Some(Rule::PublishAfterFill),
    ),
    (
        "profile 1 size=needs-break\ncpu 0:\nfill 0x40003000[0..16] 0x60000080000701 step 0x200000\n\
         dsb ishst\nstore 0x40001000[0] 0x40003003",
        Some(Rule::BreakBeforeMake),
    ),
    (
        "cpu 0:\nintend 0xffff000040000000+0x40000000 unmapped\n\
         update 0x40001000[1..2] clear 1 set 0\ndsb ishst\ntlbi vmalle1is\ndsb ish\nisb\nachieved\n\
         free 0x40002000",
        None,
    ),
    (
        "cpu 0:\nintend 0xffff000040000000+0x40000000 unmapped\n\
         update 0x40001000[1..2] clear 1 set 0\ndsb ishst\ntlbi vaale1is 0xff000040000\ndsb ish\n\
         free 0x40002000",
        Some(Rule::AllLevelsBeforeFree),
    ),
    (
        "profile 1 size=needs-break\ncpu 0:\nwait parked 1\n\
         fill 0x40003000[0..16] 0x60000080000701 step 0x200000\ndsb ishst\n\
         store 0x40001000[0] 0x40003003\ndsb ishst\n\
         cpu 1:\ncontext reserved\nisb\nsignal parked",
        Some(Rule::ParkedHoldsNothing),
    ),
    (
        "cpu 0:\nlock a\nlock b\nunlock b\nunlock a\ncpu 1:\nlock b\nlock a\nunlock a\nunlock b",
        Some(Rule::NoDeadlock),
    ),
];

/// The rules that a program breaks.
fn rule(steps: &str, options: Options) -> Vec<Rule> {
    let program = read(&format!("{HEADING}{steps}")).unwrap();
    let report = explore(&program, options).unwrap();
    let mut rules: Vec<Rule> = report.verdicts.iter().map(|verdict| verdict.rule).collect();
    // The rest of a table of which 16 entries are filled is no part of these programs.
    rules.retain(|rule| *rule != Rule::MapMeansWhatWasAsked);
    rules
}

#[test]
fn collecting_tlbs_find_what_sets_tried_one_by_one_find() {
    let collecting = Options { slices: Slices::Edges, ..Options::QUICK };
    let subsets = Options { tlb: Tlb::Subsets, ..collecting };
    for (steps, expected) in PROGRAMS {
        assert_eq!(rule(steps, collecting).first().copied(), expected, "{steps}");
        // Why it is wrong may read otherwise: one set shows less than all together.
        assert_eq!(rule(steps, subsets).is_empty(), expected.is_none(), "{steps}");
    }
}

#[test]
fn slices_find_what_all_addresses_at_once_find() {
    let sliced = Options { slices: Slices::Edges, ..Options::QUICK };
    let whole = Options { slices: Slices::Whole, ..sliced };
    for (steps, expected) in PROGRAMS {
        assert_eq!(rule(steps, sliced).first().copied(), expected, "{steps}");
        assert_eq!(rule(steps, whole).first().copied(), expected, "{steps}");
    }
}

/// One CPU splits the first GiB, and another makes all of it read-only.
fn split_then_protect(hand_over: [&str; 4]) -> String {
    let [before, after, first, last] = hand_over;
    format!(
        "cpu 0:\n{before}\nfill 0x40003000[0..512] 0x60000080000701 step 0x200000\ndsb ishst\n\
         store 0x40001000[0] 0x40003003\n{after}\n\
         cpu 1:\n{first}\nintend 0xffff000000000000+0x40000000 rights r--\n\
         update 0x40003000[0..512] clear 0 set 0x80\ndsb ishst\n\
         tlbi vmalle1is\ndsb ish\nisb\nachieved\n{last}"
    )
}

#[test]
fn what_was_stored_under_a_lock_is_visible_to_who_takes_it_next() {
    let rules = |hand_over| rule(&split_then_protect(hand_over), Options::QUICK);
    assert_eq!(rules(["lock a 0", "unlock a", "lock a 1", "unlock a"]), []);
    let unordered = rules(["", "signal a", "wait a 1", ""]);
    assert_eq!(unordered.len(), 1, "the block may be read after the invalidation");
    assert_eq!(rules(["", "dsb ish\nsignal a", "wait a 1", ""]), []);
    let in_any_order = split_then_protect(["lock a", "unlock a", "lock a", "unlock a"]);
    let program = read(&format!("{HEADING}{in_any_order}")).unwrap();
    let verdicts = explore(&program, Options::QUICK).unwrap().verdicts;
    assert!(verdicts.iter().any(|verdict| verdict.rule == Rule::MapMeansWhatWasAsked));
}

#[test]
fn a_lock_is_taken_by_one_and_in_turn() {
    let deadlock = |steps| rule(steps, Options::QUICK) == [Rule::NoDeadlock];
    assert!(!deadlock("cpu 0:\nlock a 1\nunlock a\ncpu 1:\nlock a 0\nunlock a"));
    assert!(deadlock("cpu 0:\nlock a 1\nunlock a\ncpu 1:\nlock a 1\nunlock a"));
    assert!(deadlock("cpu 0:\nlock a\nlock a"));
    assert!(deadlock("cpu 0:\nlock a\nlock b\ncpu 1:\nlock b\nlock a"));
}

/// CPU 0 invalidates more than it has changed, and has not synchronised yet; what it still uses of
/// that, CPU 1 makes it finish.
#[test]
fn an_invalidation_waits_for_what_another_cpu_has_invalidated_and_still_uses() {
    let steps = |tlbi: &str| {
        format!(
            "cpu 0:\ntlbi vmalle1is\ndsb ish\nisb\n\
             cpu 1:\nintend 0xffff000000000000+0x40000000 rights r--\n\
             update 0x40001000[0..1] clear 0 set 0x80\ndsb ishst\n{tlbi}\ndsb ish\nisb\nachieved"
        )
    };
    assert_eq!(rule(&steps("tlbi vaale1is 0xff000000000"), Options::QUICK), []);
    assert_ne!(rule(&steps("tlbi vaale1 0xff000000000"), Options::QUICK), []);
}

/// The pointer is not visible yet when its table is given back: nobody has it, and then somebody
/// walks into what is nobody's.
#[test]
fn a_table_that_is_given_back_before_its_pointer_is_visible_is_walked_into() {
    let steps = "profile 0 forwarding=no\nprofile 1 forwarding=no\ncpu 0:\n\
        fill 0x40003000[0..512] 0x60000080000701 step 0x200000\ndsb ishst\n\
        store 0x40001000[0] 0x40003003\nfree 0x40003000";
    assert_eq!(rule(steps, Options::QUICK), [Rule::FreeAfterInvalidate]);
}
