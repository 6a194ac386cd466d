//! Memory that a hypervisor reaches too: marked while it does, and as it was when it does not.

use crate::{NON_GLOBAL, WAYS, boot, means_the_same, none_is_lost};

#[test]
fn memory_is_marked_while_it_is_shared_and_comes_back() {
    for way in WAYS.into_iter().chain(NON_GLOBAL) {
        let script = "stat; ptdump linear; share 0 3; share 9; share list; ptdump linear; share free 2; \
                      share free 1; share free 3; share free 4; share free 1; share list; stat; ptdump linear";
        let booted = boot(way, script);
        assert_eq!(booted.answer("share 0 3"), "share 1\nshare 2\nshare 3\n");
        assert_eq!(booted.answer("share 9"), "share 4\n");
        let lists: Vec<&str> = booted.answers("share list").collect();
        assert!(lists[0].contains("was given 0x203000 bytes, and gave back 0x0\n"), "{}", lists[0]);
        assert_eq!(lists[1], "the hypervisor was given 0x203000 bytes, and gave back 0x203000\n");
        let freed: Vec<&str> = booted.answers("share free 1").collect();
        assert_eq!(freed, ["done\n", "refused: there is no share 1; share list has all\n"]);
        let [before, _, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &after);
        let [before, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
    }
}

#[test]
fn what_the_hypervisor_refuses_is_as_it_was_and_what_it_loses_is_never_used_again() {
    for way in WAYS {
        let script = "stat; ptdump linear; share refuse; share 0; ptdump linear; share lose; share 0; share agree; \
                      share 0; share refuse; share free 1; share list; share lose; share free 1; \
                      share list; stat; ptdump linear";
        let booted = boot(way, script);
        let shares: Vec<&str> = booted.answers("share 0").collect();
        assert!(shares[0].starts_with("refused: the hypervisor refuses 0x"), "{}", shares[0]);
        assert!(shares[0].ends_with(": it is as it was\n"), "{}", shares[0]);
        assert!(shares[1].starts_with("refused: the hypervisor has lost 0x"), "{}", shares[1]);
        assert_eq!(shares[2], "share 1\n");
        let freed: Vec<&str> = booted.answers("share free 1").collect();
        assert!(freed[0].contains("refuses"), "{}", freed[0]);
        assert!(freed[1].contains("the part stays invalid, and must not be used again"));
        let lists: Vec<&str> = booted.answers("share list").collect();
        assert!(lists[0].starts_with("share 1: 0x"), "{}", lists[0]);
        assert!(!lists[1].contains("share 1"), "{}", lists[1]);
        let [before, refused, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &refused);
        // Two pages are lost.
        assert_eq!(after.bytes_that_say(&["F"]), 8192, "{way}");
        let [before, after] = booted.stats().try_into().unwrap();
        assert_eq!(after.frames["used"], before.frames["used"] + 2);
    }
}

#[test]
fn memory_is_shared_at_every_moment_of_the_boot() {
    for way in ["", "size-change=quiesce", "size-change=never"] {
        let options = format!("{way} change-at-boot=0xffff000055555000");
        let booted = boot(&options, "share list");
        let steps = booted.lines().filter(|line| line.ends_with(" changes")).count();
        assert!(steps >= 4, "{}", booted.console);
        assert!(!booted.console.contains("is not shared"), "{}", booted.console);
        let bytes = format!("{:#x}", steps * 4096);
        let called = format!("the hypervisor was given {bytes} bytes, and gave back {bytes}\n");
        assert_eq!(booted.answer("share list"), called);
    }
}

#[test]
fn what_can_t_be_shared_is_refused() {
    let booted = boot("", "share 16; share 15 40; stat");
    let large = "refused: 2^16 pages of memory in one piece are not free\n";
    assert_eq!(booted.answer("share 16"), large);
    let many = booted.answer("share 15 40");
    assert!(many.ends_with("refused: 2^15 pages of memory in one piece are not free\n"), "{many}");
}
