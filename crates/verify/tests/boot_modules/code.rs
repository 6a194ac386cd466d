//! What is loaded runs, and can be written through no address while it can be executed.

use blockmap_verify::console::Dump;
use blockmap_verify::machine::Booted;

use crate::{NON_GLOBAL, STRATEGIES, addresses, answers, around, is_as_before, machine};

/// Where the first area is, and what the linear map shows of it: each boot of a machine has the same.
const TEXT: u64 = 0xffff_8000_0000_0000;

/// The line that an access ended with.
fn fault(access: &str, address: u64) -> String {
    format!("fault: permission fault, level 3, {access}, at {address:#x}")
}

#[test]
fn a_module_is_loaded_run_and_unloaded_without_a_trace() {
    for strategy in STRATEGIES.into_iter().chain(NON_GLOBAL) {
        let script = "modload greeter; modrun greeter 5; modload tables; modrun tables 9; \
                      modrun greeter 6; modunload greeter; modrun greeter 1; modrun tables 9; \
                      modunload tables; modunload tables; modules";
        let (dumps, stats, booted) = around(strategy, script);
        let greeting = "greeter: loaded, relocated and running\n";
        let ran = |value: &str| format!("{greeting}returned {value}\n");
        assert_eq!(booted.answer("modrun greeter 5"), ran("0x0000000000001389"));
        // Its data are its own, and were kept.
        assert_eq!(booted.answer("modrun greeter 6"), ran("0x0000000000001772"));
        // 34 with its halves swapped, 2 to the 40, the data, a page; then one of each datum more.
        let values: Vec<&str> = booted.answers("modrun tables 9").collect();
        let swapped = 34 << 32 | 1 << 40;
        let data = [0x0102_0304 + 0x0506 + 7, 0x0102_0305 + 0x0507 + 8];
        let expected = [swapped + data[0] + 4096, swapped + data[0] + data[1] + 4096];
        let expected = expected.map(|value: u64| format!("returned {value:#018x}\n"));
        assert_eq!(values, expected);
        let gone = "refused: no module of that name is loaded: `modules` lists them";
        answers(&booted, "modrun greeter 1", gone);
        let unloaded: Vec<&str> = booted.answers("modunload tables").collect();
        assert_eq!(unloaded, ["done\n", &format!("{gone}\n")]);
        assert!(!booted.answer("modules").contains("area"));
        is_as_before(&dumps, &stats);
    }
}

#[test]
fn a_module_s_text_and_constants_are_written_through_neither_address() {
    let (_, _, booted) = around("", "modload greeter");
    let [text, alias] = addresses(&booted, "modload greeter");
    assert_eq!(text, TEXT);
    for strategy in STRATEGIES {
        let pages = [0, 1, 2].map(|page| page * 0x1000);
        let pokes = |start: u64| {
            pages.map(|page| format!("poke {:#x} 0xffffffffffffffff", start + page)).join("; ")
        };
        let [run, rodata, data] = pages.map(|page| format!("exec {:#x}", text + page));
        let script = format!(
            "modload greeter; ptdump all; {}; {}; {run}; {rodata}; {data}; exec {alias:#x}; \
             modrun greeter 5; modunload greeter; peek {text:#x}; exec {text:#x}; \
             poke {text:#x} 0; poke {alias:#x} 0x7",
            pokes(text),
            pokes(alias)
        );
        let (dumps, stats, booted) = around(strategy, &script);
        let first = |command: &str| booted.answer(command).lines().next().unwrap().to_owned();
        let poke = |address: u64| first(&format!("poke {address:#x} 0xffffffffffffffff"));
        assert_eq!(
            [poke(text), poke(text + 0x1000)],
            [0, 0x1000].map(|at| fault("write", text + at))
        );
        // Data may be written, at their own address alone.
        assert!(poke(text + 0x2000).ends_with("= 0xffffffffffffffff"));
        for page in pages {
            let level2 = fault("write", alias + page).replace("level 3", "level 2");
            assert_eq!(poke(alias + page), level2);
        }
        assert_eq!(first(&run), "greeter: loaded, relocated and running");
        assert_eq!(first(&rodata), fault("execute", text + 0x1000));
        assert_eq!(first(&data), fault("execute", text + 0x2000));
        let alias_runs = fault("execute", alias).replace("level 3", "level 2");
        assert_eq!(first(&format!("exec {alias:#x}")), alias_runs);
        let dump = &booted.dumps()[1];
        assert_eq!(dump.bytes_that_say(&["RW", "x"]), 0);
        let block = format!("{alias:#018x} 2M PMD ro NX SHD AF BLK UXN MEM/NORMAL");
        assert!(dump.mapped().any(|line| line.to_string() == block), "the alias stays one block");
        // Nobody reaches what is unloaded; the memory is as writable as it was.
        for command in [format!("peek {text:#x}"), format!("poke {text:#x} 0")] {
            assert!(first(&command).starts_with("fault: translation fault"), "{command}");
        }
        assert_eq!(
            first(&format!("poke {alias:#x} 0x7")),
            format!("{alias:#018x} = 0x0000000000000007")
        );
        is_as_before(&dumps, &stats);
    }
}

#[test]
fn a_pack_of_programs_runs_after_each_change_and_is_written_through_neither_address() {
    let (_, _, booted) = around("", "jit 9000");
    let [text, alias] = addresses(&booted, "jit 9000");
    for strategy in STRATEGIES.into_iter().chain(NON_GLOBAL) {
        let last = text + 8999 * 64;
        let script = format!(
            "jit 9000; jitrun 1; poke {text:#x} 0; poke {last:#x} 0; poke {alias:#x} 0; \
             poke {:#x} 0; jitrun 1; jit 1; jitrun 2; jitfree 1; jitrun 1; exec {text:#x}; \
             jitrun 2; jitfree 2",
            alias + 8999 * 64
        );
        let (dumps, stats, booted) = around(strategy, &script);
        let ran: Vec<&str> = booted.answers("jitrun 1").collect();
        assert!(ran[0].starts_with("9000 programs computed what they should"), "{ran:?}");
        assert_eq!(ran[1], ran[0]);
        assert_eq!(ran[2], "refused: there is no pack 1: `modules` lists all\n");
        let one: Vec<&str> = booted.answers("jitrun 2").collect();
        assert!(one.iter().all(|ran| ran.starts_with("1 programs computed")), "{one:?}");
        for (address, level) in [(text, 3), (last, 3), (alias, 2), (alias + 8999 * 64, 2)] {
            let answer = booted.answer(&format!("poke {address:#x} 0"));
            let fault = format!("fault: permission fault, level {level}, write, at {address:#x}");
            assert_eq!(answer.lines().next(), Some(&*fault));
        }
        let gone = booted.answer(&format!("exec {text:#x}"));
        assert!(gone.starts_with("fault: translation fault, level 3, execute"), "{gone}");
        is_as_before(&dumps, &stats);
    }
}

#[test]
fn slots_run_after_each_change_of_their_page_and_are_written_through_neither_address() {
    // add x0, x0, #1; mul x0, x0, x0; ldr x0, [x0]; an undefined instruction.
    for strategy in STRATEGIES {
        let script = "slot 0x91000400; slotrun 0 41; slot 0x9b007c00; slotrun 0 41; slotrun 1 12; \
                      slotfree 0; slotrun 0; slotrun 1 12; slot 0xf9400000; slotrun 0 0; \
                      slotrun 0 0xffff800000000000; slot 0; slotrun 2; \
                      poke 0xffff800000000040 0; poke 0xffff800000000000 0; modules; \
                      slotfree 0; slotfree 1; slotfree 2; slotfree 2";
        let (dumps, stats, booted) = around(strategy, script);
        answers(&booted, "slotrun 0 41", "returned 0x000000000000002a");
        answers(&booted, "slotrun 1 12", "returned 0x0000000000000090");
        answers(&booted, "slotrun 0", "refused: there is no slot 0: `modules` lists all");
        let null = "refused: fault: translation fault, level 0, read, at 0x0";
        answers(&booted, "slotrun 0 0", null);
        // The load is in slot 0 now, and reads itself and the return behind it.
        answers(&booted, "slotrun 0 0xffff800000000000", "returned 0xd65f03c0f9400000");
        answers(&booted, "slotrun 2", "refused: fault: undefined instruction");
        for address in [0xffff_8000_0000_0040, TEXT] {
            let answer = booted.answer(&format!("poke {address:#x} 0"));
            assert!(answer.starts_with(&fault("write", address)), "{answer}");
        }
        let [slot, alias] = addresses(&booted, "slot 0x91000400");
        assert_eq!(slot, TEXT);
        let modules = booted.answer("modules");
        assert!(
            modules.contains(&format!("in the linear map at {alias:#018x}+0x1000")),
            "{modules}"
        );
        assert!(modules.contains("area for slots: 0xffff800000000000+0x200000, 1 pages in use"));
        let freed: Vec<&str> = booted.answers("slotfree 2").collect();
        assert_eq!(freed, ["done\n", "refused: there is no slot 2: `modules` lists all\n"]);
        is_as_before(&dumps, &stats);
    }
}

#[test]
fn more_slots_than_a_page_has_take_another() {
    let put = "slot 0x91000400; ".repeat(65);
    let free: Vec<String> = (0..65).map(|slot| format!("slotfree {slot}; ")).collect();
    let free = free.concat();
    let script = format!("{put}slotrun 63 1; slotrun 64 1; modules; {free}modules");
    let (dumps, stats, booted) = around("", &script);
    answers(&booted, "slotrun 63 1", "returned 0x0000000000000002");
    answers(&booted, "slotrun 64 1", "returned 0x0000000000000002");
    assert!(booted.answer("modules").contains(", 2 pages in use"));
    is_as_before(&dumps, &stats);
}

#[test]
fn an_instruction_that_can_t_be_run_out_of_line_is_refused() {
    let (dumps, stats, booted) = around("", "slot 0x10000000; slot 0xd65f03c0; slot 0xd5033f9f");
    for (word, why) in [
        ("0x10000000", "depends on where it is"),
        ("0xd65f03c0", "leaves the slot"),
        ("0xd5033f9f", "is one of the system's"),
    ] {
        let answer = booted.answer(&format!("slot {word}"));
        assert!(answer.starts_with(&format!("refused: {word} {why}")), "{answer}");
    }
    is_as_before(&dumps, &stats);
}

#[test]
fn code_is_loaded_whatever_the_map_is_made_of() {
    let script = "ptdump all; modload tables; modrun tables 9; jit 100; jitrun 1; slot 0x91000400; \
                  slotrun 0 41; slotfree 0; jitfree 1; modunload tables; ptdump all";
    let plain = || machine("");
    for config in [
        // Pages everywhere: nothing changes its size.
        plain().cpu("cortex-a72").options("size-change=never"),
        plain().options("debug_pagealloc=on"),
        // The text of the kernel itself is writable, and code that is loaded is not.
        plain().options("rodata=off"),
        plain().board("virt,mte=on"),
        plain().board("virt,virtualization=on").options("referee"),
    ] {
        let booted = Booted::run(&config.monitor(script)).succeeded();
        answers(&booted, "modrun tables 9", "returned 0x0000012201021811");
        answers(&booted, "slotrun 0 41", "returned 0x000000000000002a");
        assert!(booted.answer("jitrun 1").starts_with("100 programs computed"));
        let [before, after] = booted.dumps().try_into().unwrap();
        // Where there are blocks, one was cut, and waits to be healed.
        let bytes =
            |dump: &Dump| [["RW", "NX"], ["ro", "x"]].map(|says| dump.bytes_that_say(&says));
        assert_eq!(bytes(&after), bytes(&before));
    }
}
