//! The guard pool: pages that come and go in interrupt handlers, and faults that say whose object it
//! was.

use blockmap_verify::console::Dump;
use blockmap_verify::machine::{Booted, Config};

use crate::{NON_GLOBAL, WAYS, boot, means_the_same, none_is_lost};

/// The address of the first object of `bytes` that CPU `cpu` took.
fn object(booted: &Booted, command: &str) -> String {
    booted.answer(command).trim_end().to_owned()
}

/// Takes an object on each of two CPUs, and does what must not be done with them.
fn misused(options: &str, before: &str) -> Booted {
    let take = format!("{before}; guard alloc 40 1; guard alloc 4096 0");
    let found = boot(options, &take);
    let (first, second) =
        (object(&found, "guard alloc 40 1"), object(&found, "guard alloc 4096 0"));
    let script = format!(
        "{take}; poke {first} 7; peek {first}; poke {second} 8; guard free {first} 0; peek {first}; \
         poke {first} 9; guard free {first} 1; guard free 0xffff000040000000 0; \
         peek {}; guard free {second} 1; guard alloc 4097; guard alloc 8 9",
        past(&second)
    );
    let booted = boot(options, &script);
    let says = |command: &str, text: &str| {
        let answer = booted.answer(command);
        assert!(answer.contains(text), "{command}: {answer}");
    };
    says(&format!("poke {first} 7"), " = 0x0000000000000007");
    says(&format!("guard free {first} 0"), "done");
    let peeks: Vec<&str> = booted.answers(&format!("peek {first}")).collect();
    assert_eq!(peeks[0], format!("{first}: 0x0000000000000007\n"));
    assert!(peeks[1].starts_with("fault: translation fault, level 3, read"), "{}", peeks[1]);
    let story = format!("guard pool: object 0, 40 bytes at {first}: taken by CPU 1 at tick ");
    assert!(peeks[1].contains(&story), "{}", peeks[1]);
    assert!(peeks[1].contains(", given back by CPU 0 at tick "), "{}", peeks[1]);
    says(&format!("poke {first} 9"), &story);
    says(&format!("guard free {first} 1"), "it can't be given back twice");
    let past = booted.answer(&format!("peek {}", past(&second)));
    assert!(past.starts_with("fault: translation fault, level 3, read"), "{past}");
    assert!(past.contains("guard pool: the guard page after object 1, 4096 bytes at "), "{past}");
    let foreign = "refused: no object of the guard pool starts at 0xffff000040000000\n";
    assert_eq!(booted.answer("guard free 0xffff000040000000 0"), foreign);
    let large =
        "refused: an object of 4097 bytes is none of a guard pool: 1 to 4096 are possible\n";
    assert_eq!(booted.answer("guard alloc 4097"), large);
    let absent = "refused: CPU 9 does not run, or does not take the interrupt\n";
    assert_eq!(booted.answer("guard alloc 8 9"), absent);
    booted
}

/// The address behind the page of an object of 4096 bytes.
fn past(object: &str) -> String {
    let number = u64::from_str_radix(object.trim_start_matches("0x"), 16).unwrap();
    format!("{:#x}", number + 4096)
}

#[test]
fn the_only_cpu_of_a_machine_interrupts_itself() {
    for board in ["virt,gic-version=2", "virt,gic-version=3"] {
        let config = Config::new("1G").board(board).options("guard-pool=early");
        let booted = Booted::run(&config.monitor("guard alloc 64")).succeeded();
        assert!(booted.answer("guard alloc 64").starts_with("0xffff0000"), "{}", booted.console);
    }
}

#[test]
fn a_use_after_free_faults_and_is_told_with_its_history() {
    for way in WAYS {
        misused(&format!("guard-pool=late {way}"), "guard on");
    }
    for strategy in ["", "size-change=quiesce", "size-change=never"] {
        misused(&format!("guard-pool=early {strategy}"), "stat");
    }
}

#[test]
fn a_fault_of_the_kernel_in_the_pool_says_whose_it_was() {
    let found = boot("guard-pool=early", "guard alloc 64; stat");
    let address = object(&found, "guard alloc 64");
    let script = format!("guard alloc 64; guard free {address}; exec {address}");
    let booted = boot("guard-pool=early", &script);
    let answer = booted.answer(&format!("exec {address}"));
    assert!(answer.contains("guard pool: object 0, 64 bytes"), "{answer}");
}

/// How many bytes are present but invalid, and how many of them in pages.
fn invalid(dump: &Dump) -> (u64, u64) {
    (dump.bytes_that_say(&["F"]), dump.bytes_that_say(&["F", "PTE"]))
}

#[test]
fn an_early_pool_is_painted_in_pages_and_all_else_in_blocks() {
    let look = "stat; ptdump linear";
    let plain = boot("", look);
    let early = boot("guard-pool=early", &format!("{look}; strategy"));
    let [before] = plain.dumps().try_into().unwrap();
    let [with] = early.dumps().try_into().unwrap();
    assert_eq!(invalid(&before), (0, 0));
    assert_eq!(invalid(&with), (2 << 20, 2 << 20));
    let pages = |dump: &Dump| {
        let small = dump.mapped().filter(|line| line.says("PTE") && !line.says("CON"));
        small.map(|line| line.bytes).sum::<u64>()
    };
    assert_eq!(pages(&with) - pages(&before), 2 << 20);
    // One table more, of level 3: the image's block is a table of level 2 already.
    assert_eq!(early.stats()[0].tables(), plain.stats()[0].tables() + 1);
    let planned = early.line_with("tables below the root,");
    assert!(planned.contains("linear map: 4 tables below the root, 4 planned"), "{planned}");
    assert_eq!(plain.stats()[0].frames["reserved"] + 512, early.stats()[0].frames["reserved"]);
}

#[test]
fn a_late_pool_splits_its_own_block_and_gives_it_back() {
    for way in WAYS.into_iter().chain(NON_GLOBAL) {
        let script = "stat; ptdump linear; guard on; stat; ptdump linear; guard on; guard alloc; \
                      guard off; stat";
        let booted = boot(&format!("guard-pool=late {way}"), script);
        let [_, with] = booted.dumps().try_into().unwrap();
        assert_eq!(invalid(&with), (2 << 20, 2 << 20), "{way}");
        let answers: Vec<&str> = booted.answers("guard on").collect();
        assert!(answers[0].contains("0 of 255 objects taken"), "{}", answers[0]);
        assert!(answers[1].starts_with("refused: the guard pool is on\n"), "{}", answers[1]);
        let taken = "refused: 1 objects of the guard pool are taken: give them back first\n";
        assert_eq!(booted.answer("guard off"), taken);
        let script = "stat; ptdump; guard on; guard off; stat; ptdump; guard off";
        let booted = boot(&format!("guard-pool=late {way}"), script);
        let off: Vec<&str> = booted.answers("guard off").collect();
        assert_eq!(off, ["done\n", "refused: the guard pool is not on: guard on makes it\n"]);
        let [before, after] = booted.dumps().try_into().unwrap();
        means_the_same(&before, &after);
        let [before, after] = booted.stats().try_into().unwrap();
        none_is_lost(&before, &after);
    }
}

#[test]
fn a_pool_that_is_not_to_be_or_can_t_be_is_refused() {
    let off = boot("", "guard on; guard alloc");
    let refused = "refused: there is no guard pool: say guard-pool=early or guard-pool=late on the \
                   command line\n";
    assert_eq!(off.answer("guard on"), refused);
    assert!(off.answer("guard alloc").starts_with("refused: the guard pool is not on"));
    let early = boot("guard-pool=early", "guard on; guard off");
    let on =
        "refused: the guard pool is on\nguard pool: 0x40400000+0x200000, 0 of 255 objects taken\n";
    assert_eq!(early.answer("guard on"), on);
    assert_eq!(
        early.answer("guard off"),
        "refused: the guard pool was placed at boot, and stays\n"
    );
}

#[test]
fn either_interrupt_controller_carries_the_requests() {
    for board in ["virt,gic-version=2", "virt,gic-version=3"] {
        let config = Config::new("4G").board(board).cpus(2).options("guard-pool=early");
        let booted = Booted::run(&config.monitor("guard alloc 8 0; guard alloc 16 1")).succeeded();
        for command in ["guard alloc 8 0", "guard alloc 16 1"] {
            assert!(booted.answer(command).starts_with("0xffff0000"), "{}", booted.console);
        }
    }
}
