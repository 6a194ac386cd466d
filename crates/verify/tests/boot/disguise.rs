//! Machines of unlike CPUs: EL2 has each of them say what the command line says, and the kernel, which
//! reads its registers as anywhere, treats them accordingly.

use blockmap_verify::machine::{Booted, Config};

use crate::answers;

const BOARD: &str = "virt,virtualization=on";
const X4_R0P3: &str = "cpu.boot.midr=0x410fd823";

fn boot(options: &str, script: &str) -> Booted {
    let config = Config::new("2G").board(BOARD).cpus(4).options(options).monitor(script);
    Booted::run(&config).succeeded()
}

/// What `cpus` says of the CPU with this number.
fn line(booted: &Booted, cpu: u32) -> &str {
    let start = format!("CPU {cpu}:");
    booted.answer("cpus").lines().find(|line| line.starts_with(&start)).unwrap()
}

#[test]
fn each_cpu_is_what_it_is_said_to_be() {
    let options = format!("{X4_R0P3} cpu.1.midr=0x410fd811 cpu.1.bbm=0 cpu.2.midr=0x410fd822");
    let booted = boot(&options, "cpus; strategy");
    for (cpu, says) in [
        (0, "Cortex-X4 r0p3, MIDR 0x410fd823, BBM 2: Quiet"),
        (1, "Cortex-A720 r0p1, MIDR 0x410fd811, BBM 0: NeedsBreak"),
        (2, "Cortex-X4 r0p2, MIDR 0x410fd822, BBM 2: MayAbort"),
        (3, "AmpereOne r0p0, MIDR 0xc00fac30, BBM 2: Quiet"),
    ] {
        assert!(line(&booted, cpu).contains(says), "{}", line(&booted, cpu));
    }
    assert!(booted.answer("strategy").starts_with("Quiesce: "), "{}", booted.answer("strategy"));
}

#[test]
fn all_quiet_cpus_of_unlike_designs_change_sizes_live() {
    let options = format!("{X4_R0P3} cpu.secondary.midr=0x410fd8e0 cpu.secondary.bbm=2");
    let booted = boot(&options, "strategy; ro 0xffff000055555000 1; stat");
    assert!(booted.answer("strategy").starts_with("Live: "), "{}", booted.answer("strategy"));
    answers(&booted, "ro 0xffff000055555000 1", "done");
}

#[test]
fn a_cpu_that_lacks_range_invalidation_keeps_all_from_using_it() {
    let ranged = boot(X4_R0P3, "strategy");
    assert!(ranged.answer("strategy").contains("by range"), "{}", ranged.answer("strategy"));
    let options = format!("{X4_R0P3} cpu.1.tlb=1");
    let script = "trace off; trace on; nx 0xffff000050000000 5000; ro 0xffff000051000000 5000; \
                  trace dump";
    let booted = boot(&format!("{options} trace=65536"), &format!("strategy; {script}"));
    assert!(line_of(&booted, "strategy").contains("by address"), "{}", booted.console);
    let trace = booted.answer("trace dump");
    assert!(trace.contains("\ntlbi "), "{trace}");
    assert!(!trace.contains("\ntlbi r"), "{trace}");
}

fn line_of<'b>(booted: &'b Booted, command: &str) -> &'b str {
    booted.answer(command).lines().next().unwrap()
}

#[test]
fn what_reads_into_any_register_is_answered() {
    // Older designs have no such fields: what is said of them is read all the same.
    let config = Config::new("1G").board(BOARD).cpu("cortex-a72").cpus(2);
    let options = "cpu.0.midr=0x410fd823 cpu.0.bbm=2 cpu.1.midr=0x410fd823 cpu.1.bbm=3 cpu.1.tlb=2";
    let booted = Booted::run(&config.options(options).monitor("cpus; strategy")).succeeded();
    assert!(line(&booted, 0).contains("BBM 2: Quiet"), "{}", line(&booted, 0));
    assert!(line(&booted, 1).contains("BBM 3: Quiet"), "{}", line(&booted, 1));
}

#[test]
fn without_el2_cpus_say_what_they_are() {
    let config = Config::new("1G").options(X4_R0P3).monitor("cpus");
    let booted = Booted::run(&config).succeeded();
    booted.says("nobody answers at EL2");
    assert!(line(&booted, 0).contains("AmpereOne"), "{}", line(&booted, 0));
}
