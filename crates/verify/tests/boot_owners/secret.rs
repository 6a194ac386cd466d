//! Secrets: out of the linear map, seen by their owner, and zeroes when they come back.

use blockmap_verify::machine::Booted;

use crate::{NON_GLOBAL, WAYS, boot, means_the_same, none_is_lost};

/// Where the first area of an owner is.
const VIEW: &str = "0xffff800100000000";

/// Where the linear map would show the pieces of the first secret that was made.
fn gone(booted: &Booted, command: &str) -> Vec<(u64, u64)> {
    let lines = booted.answer(command).lines().filter_map(|line| line.strip_prefix("  gone from "));
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    lines.map(|line| line.split_once('+').unwrap()).map(|(at, n)| (number(at), number(n))).collect()
}

#[test]
fn a_secret_is_seen_by_its_owner_alone_and_comes_back_as_zeroes() {
    for way in WAYS.into_iter().chain(NON_GLOBAL) {
        let [(start, bytes)] = gone(&boot(way, "secret 1"), "secret 1")[..] else { panic!() };
        assert_eq!(bytes, 0x1000);
        let start = format!("{start:#x}");
        let script = format!(
            "stat; ptdump; poke {start} 7; secret 1; peek {start}; poke {start} 8; peek {VIEW}; \
             poke {VIEW} 9; ro {start} 1; secret list; ptdump; secret free 1; peek {start}; \
             peek {VIEW}; secret list; secret free 1; stat; ptdump"
        );
        let booted = boot(way, &script);
        let peeks: Vec<&str> = booted.answers(&format!("peek {start}")).collect();
        let fault = "fault: translation fault, level 3, read";
        assert!(peeks[0].starts_with(fault), "{}", peeks[0]);
        assert_eq!(peeks[1], format!("{start}: 0x0000000000000000\n"));
        let poked = booted.answers(&format!("poke {start} 8")).next().unwrap();
        assert!(poked.starts_with("fault: translation fault, level 3, write"), "{poked}");
        let seen: Vec<&str> = booted.answers(&format!("peek {VIEW}")).collect();
        assert_eq!(seen[0], format!("{VIEW}: 0x0000000000000007\n"));
        assert!(seen[1].starts_with("fault: translation fault"), "{}", seen[1]);
        let refused = format!(
            "refused: the leaf at {start} belongs to a carve: its owner alone changes it\n"
        );
        assert_eq!(booted.answer(&format!("ro {start} 1")), refused);
        let listed: Vec<&str> = booted.answers("secret list").collect();
        let line = format!("secret 1: 1 pieces, seen by its owner at {VIEW}+0x1000\n");
        assert_eq!(listed, [format!("{line}  gone from {start}+0x1000\n").as_str(), ""]);
        let freed: Vec<&str> = booted.answers("secret free 1").collect();
        assert_eq!(freed, ["done\n", "refused: there is no secret 1; secret list has all\n"]);
        let [before, secret, after] = booted.dumps().try_into().unwrap();
        assert_eq!(secret.bytes_that_say(&["F"]), 4096);
        means_the_same(&before, &after);
        let [before, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
    }
}

#[test]
fn what_is_in_one_piece_is_carved_as_one() {
    for way in WAYS {
        let booted = boot(way, "secret 3; secret 512; ptdump linear; secret 3 9; ptdump linear");
        assert_eq!(gone(&booted, "secret 512").len(), 1);
        // Two pages and one; a block; three blocks.
        assert_eq!(gone(&booted, "secret 3").iter().map(|piece| piece.1).sum::<u64>(), 0x3000);
        let [one, four] = booted.dumps().try_into().unwrap();
        assert_eq!(one.bytes_that_say(&["F", "PMD"]), 2 << 20, "{}", booted.console);
        assert_eq!(four.bytes_that_say(&["F", "PMD"]), 8 << 20);
    }
}

#[test]
fn guest_memory_of_many_pieces_comes_and_goes() {
    for way in WAYS {
        let script = "stat; ptdump; secret 100 0; secret 40 4; secret 6 9; stat; \
                      secret free 2; secret free 1; secret free 3; stat; ptdump";
        let booted = boot(way, script);
        assert_eq!(gone(&booted, "secret 100 0").len(), 100, "{}", booted.console);
        let [before, taken, after] = booted.stats().try_into().unwrap();
        let pages = 100 + 40 * 16 + 6 * 512;
        assert_eq!(taken.frames["used"], before.frames["used"] + pages);
        assert_eq!(taken.map["present but invalid"], format!("{}K", pages * 4));
        none_is_lost(&before, &after);
        let [before, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &after);
    }
}

#[test]
fn what_can_t_be_a_secret_is_refused_and_nothing_is_lost() {
    let script =
        "stat; ptdump; secret 0; secret 0x1000000; secret 1 16; secret 600 0; stat; ptdump";
    let booted = boot("", script);
    let says = |command, text: &str| assert_eq!(booted.answer(command), format!("{text}\n"));
    says("secret 0", "refused: 0 bytes are not a number of pages above 0");
    says("secret 0x1000000", "refused: 0x1000 bytes of memory in one piece are not free");
    says("secret 1 16", "refused: pieces of 2^16 pages are too large: 2^15 pages are the most");
    says("secret 600 0", "refused: 32 secrets of 512 pieces are the most: free one first");
    let [before, after] = booted.stats().try_into().unwrap();
    none_is_lost(&before, &after);
    let [before, after] = booted.dumps().try_into().unwrap();
    means_the_same(&before, &after);
}
