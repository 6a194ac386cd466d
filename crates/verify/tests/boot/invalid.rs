//! Memory that is present but invalid: every access faults, and nothing of it is forgotten.

use crate::{GIB, around, says, twelve_gib};

const PAGE: &str = "0xffff000155555000";

#[test]
fn an_invalid_page_faults_and_comes_back_as_it_was() {
    let script = format!(
        "poke {PAGE} 7; split {PAGE} 1; ptdump linear; invalid {PAGE} 1; ptdump linear; \
         peek {PAGE}; poke {PAGE} 8; exec {PAGE}; stat; valid {PAGE} 1; peek {PAGE}; ptdump linear"
    );
    let booted = twelve_gib(&script);
    let fault = |kind| format!("fault: translation fault, level 3, {kind}, at {PAGE}");
    let peeks: Vec<_> = booted.answers(&format!("peek {PAGE}")).collect();
    assert!(peeks[0].starts_with(&fault("read")), "{}", peeks[0]);
    assert!(peeks[0].contains("invalid but present page 0x195555000"), "{}", peeks[0]);
    let outcome = format!("{PAGE} translation fault, level 3: invalid, but present at 0x195555000\n");
    assert!(peeks[0].ends_with(&outcome), "{}", peeks[0]);
    assert_eq!(peeks[1], format!("{PAGE}: 0x0000000000000007\n"));
    assert!(booted.answer(&format!("poke {PAGE} 8")).starts_with(&fault("write")));
    assert!(booted.answer(&format!("exec {PAGE}")).starts_with(&fault("execute")));
    assert_eq!(booted.stats()[0].map["present but invalid"], "4K");
    let [before, invalid, after] = booted.dumps().try_into().unwrap();
    assert_eq!(after, before);
    let page = format!("{PAGE} 4K PTE F RW NX SHD AF NG UXN MEM/NORMAL");
    assert_eq!(invalid.linear(0x1_5555_5000, 0x1_5555_6000), [page]);
    assert_eq!(invalid.bytes_that_say(&["F"]), 4096);
}

#[test]
fn invalid_leaves_print_as_linux_prints_them() {
    let booted = twelve_gib("invalid 0xffff000155550000 16; ro 0xffff000140000000 1; ptdump linear");
    let line = "0xffff000155550000-0xffff000155560000          64K PTE F     RW NX SHD AF NG CON     UXN    MEM/NORMAL\n";
    let dump = booted.answer("ptdump linear");
    assert!(dump.contains(line), "{dump}");
}

#[test]
fn leaves_of_every_size_can_be_invalid() {
    for (range, first, shape) in [
        ("0xffff000180000000 262144", 6 * GIB, "1G PUD F RW NX SHD AF NG BLK"),
        ("0xffff000182000000 8192", 6 * GIB + (32 << 20), "32M PMD F RW NX SHD AF NG CON BLK"),
        ("0xffff000180200000 512", 6 * GIB + (2 << 20), "2M PMD F RW NX SHD AF NG BLK"),
        ("0xffff000180010000 16", 6 * GIB + (64 << 10), "64K PTE F RW NX SHD AF NG CON"),
    ] {
        let start = range.split(' ').next().unwrap();
        let (invalid, valid) = (format!("invalid {range}"), format!("valid {range}"));
        let ([before, after], [_, stat], booted) = around(&format!(
            "split {range}; ptdump linear; {invalid}; stat; ptdump linear; peek {start}; {valid}"
        ));
        drop((before, after, stat, booted, first, shape, valid));
    }
}
