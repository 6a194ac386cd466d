//! CPUs as they are typed and listed, and the mode that follows.

use blockmap_layout::{DebugPagealloc, LateGuard, Rodata, World};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

const INPUTS: Inputs = Inputs {
    rodata: Rodata::On,
    debug_pagealloc: DebugPagealloc::Off,
    late_guard: LateGuard::Never,
    world: World::Ordinary,
    strategy: Strategy::Pages,
};

fn mode(names: &[&str], inputs: Inputs) -> Mode {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    Cpus::typed(&names, 0).unwrap().mode(inputs).0
}

#[test]
fn designs_are_known_by_name_and_by_midr() {
    assert_eq!(midr("AmpereOne").unwrap().value() >> 24, 0xc0);
    assert_eq!(midr("cortex x4 r0p3").unwrap(), midr("Cortex-X4 r0p3").unwrap());
    assert_eq!(midr("0x410fd0c1").unwrap().name(), Some("Neoverse N1"));
    let error = midr("Pentium").unwrap_err().to_string();
    assert!(error.contains("Neoverse N1"), "{error}");
}

#[test]
fn the_mode_follows_from_the_boot_cpu_and_the_least_of_the_others() {
    assert_eq!(mode(&["AmpereOne", "AmpereOne"], INPUTS), Mode::Blocks);
    assert_eq!(mode(&["Neoverse N1"], INPUTS), Mode::Pages);
    assert_eq!(mode(&["Neoverse N1", "AmpereOne"], INPUTS), Mode::Pages);
    assert_eq!(mode(&["AmpereOne", "Neoverse N1"], INPUTS), Mode::Repainted);
    assert_eq!(mode(&["Cortex-X4 r0p2"], INPUTS), Mode::Pages, "attested from r0p3 on");
    assert_eq!(mode(&["Cortex-X4 r0p3"], INPUTS), Mode::Blocks);
    let relaxed = Inputs { rodata: Rodata::NoAlias, ..INPUTS };
    assert_eq!(mode(&["Neoverse N1"], relaxed), Mode::Blocks);
    assert_eq!(mode(&["AmpereOne", "Neoverse N1"], relaxed), Mode::Blocks);
    let debugged = Inputs { debug_pagealloc: DebugPagealloc::On, ..INPUTS };
    assert_eq!(mode(&["AmpereOne"], debugged), Mode::Pages);
}

#[test]
fn cpuinfo_lists_every_cpu() {
    let one = "processor\t: 0\nFeatures\t: fp\nCPU implementer\t: 0x41\nCPU architecture: 8\n\
               CPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n";
    let midrs = cpuinfo(&one.repeat(4));
    assert_eq!(midrs, [Midr::new(0x413f_d0c1); 4]);
    assert_eq!(Cpus::of(&midrs, 0).0.len(), 1);
    assert!(cpuinfo("model name : something else").is_empty());
}

/// What Linux writes of one CPU.
fn entry((number, midr): (usize, u64)) -> String {
    format!(
        "processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n\
         CPU implementer\t: {:#04x}\nCPU architecture: 8\nCPU variant\t: {:#x}\n\
         CPU part\t: {:#05x}\nCPU revision\t: {}\n\n",
        midr >> 24,
        midr >> 20 & 0xf,
        midr >> 4 & 0xfff,
        midr & 0xf,
    )
}

proptest! {
    #[test]
    fn cpus_are_read_as_linux_writes_them(values in prop::collection::vec(any::<u32>(), 0..9)) {
        let values: Vec<_> = values.iter().map(|value| u64::from(value | 0xf << 16)).collect();
        let text: String = values.iter().copied().enumerate().map(entry).collect();
        let expected: Vec<_> = values.into_iter().map(Midr::new).collect();
        prop_assert_eq!(cpuinfo(&text), expected);
    }

    #[test]
    fn any_cpuinfo_has_at_most_a_cpu_for_each_revision(
        lines in prop::collection::vec("(CPU (part|variant|revision|implementer)|x)[\t ]*:?[ 0-9a-fx_-]{0,20}", 0..20),
    ) {
        let revisions = lines.iter().filter(|line| line.starts_with("CPU revision")).count();
        prop_assert!(cpuinfo(&lines.join("\n")).len() <= revisions);
    }
}
