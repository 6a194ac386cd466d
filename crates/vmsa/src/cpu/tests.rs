//! Identification: the registers of real and emulated CPUs, and the list's edges.

use super::*;
use crate::{Granule, TlbiForm};

extern crate std;
use std::string::ToString;

fn judge(midr: u64, bbm: u64) -> SizeChange {
    size_change(Midr::new(midr), bbm << 52).0
}

#[test]
fn the_register_decides_where_no_maker_has_attested() {
    let neoverse_n1 = 0x414f_d0c1;
    assert_eq!(judge(neoverse_n1, 0), SizeChange::NeedsBreak);
    assert_eq!(judge(neoverse_n1, 1), SizeChange::MayAbort);
    assert_eq!(judge(neoverse_n1, 2), SizeChange::MayAbort);
    assert_eq!(judge(neoverse_n1, 3), SizeChange::Quiet);
    let (_, why) = size_change(Midr::new(neoverse_n1), 2 << 52);
    assert_eq!(why, Why::Register(2));
    // What QEMU's `max` is, by default and when it is told to be AmpereOne.
    assert_eq!(judge(0x000f_0510, 2), SizeChange::MayAbort);
    assert_eq!(judge(0xc00f_ac30, 2), SizeChange::Quiet);
}

#[test]
fn an_attestation_begins_with_its_release() {
    let cortex_x4 = |variant: u64, revision: u64| 0x410f_d820 | variant << 20 | revision;
    assert_eq!(judge(cortex_x4(0, 2), 2), SizeChange::MayAbort);
    assert_eq!(judge(cortex_x4(0, 3), 2), SizeChange::Quiet);
    assert_eq!(judge(cortex_x4(1, 0), 2), SizeChange::Quiet);
    let c1_ultra = |variant: u64, revision: u64| 0x410f_d8c0 | variant << 20 | revision;
    assert_eq!(judge(c1_ultra(1, 0), 2), SizeChange::MayAbort);
    assert_eq!(judge(c1_ultra(0, 15), 2), SizeChange::MayAbort);
    assert_eq!(judge(c1_ultra(1, 1), 2), SizeChange::Quiet);
    let (_, why) = size_change(Midr::new(c1_ultra(1, 1)), 0);
    assert!(matches!(why, Why::Attested(attested) if attested.part == 0xd8c));
}

#[test]
fn designs_that_nobody_attested_are_not_on_the_list() {
    // A510, A520, A710, A720, N1, N2, V1, V2; the parts of others' makers with a listed number.
    for part in [0xd46, 0xd80, 0xd47, 0xd81, 0xd0c, 0xd49, 0xd40, 0xd4f] {
        assert_eq!(judge(0x41ff_000f | part << 4, 2), SizeChange::MayAbort);
    }
    assert_eq!(judge(0x41ff_ac3f, 2), SizeChange::MayAbort);
    assert_eq!(judge(0xc0ff_d84f, 2), SizeChange::MayAbort);
}

#[test]
fn the_list_is_what_was_attested() {
    let cortex_and_neoverse = [
        (0xd4d, 0, 0),
        (0xd82, 0, 3),
        (0xd83, 0, 2),
        (0xd84, 0, 2),
        (0xd87, 0, 0),
        (0xd88, 0, 0),
        (0xd89, 0, 0),
        (0xd8a, 0, 0),
        (0xd8b, 0, 0),
        (0xd8c, 1, 1),
        (0xd8e, 0, 0),
        (0xd90, 1, 1),
    ];
    let mut seen = 0;
    for part in 0..0x1000 {
        for release in 0..0x100_u64 {
            let (variant, revision) = (release >> 4, release & 0xf);
            let midr = |implementer: u64| {
                Midr::new(implementer << 24 | variant << 20 | 0xf_0000 | part << 4 | revision)
            };
            let of_arm = cortex_and_neoverse.iter().any(|(listed, major, minor)| {
                *listed == part && (*major, *minor) <= (variant, revision)
            });
            assert_eq!(Attested::of(midr(0x41)).is_some(), of_arm, "{}", midr(0x41));
            let of_ampere = [0xac3, 0xac4].contains(&part);
            assert_eq!(Attested::of(midr(0xc0)).is_some(), of_ampere);
            assert_eq!(Attested::of(midr(0x4e)).is_some(), part == 0x010);
            seen += u32::from(of_arm);
        }
    }
    assert_eq!(seen, 7 * 256 + (256 - 3) + 2 * (256 - 2) + 2 * (256 - 17));
}

#[test]
fn every_attested_design_has_a_name_and_one_entry() {
    for (index, attested) in ATTESTED.iter().enumerate() {
        let implementer = u64::from(attested.implementer);
        let midr = Midr::new(implementer << 24 | u64::from(attested.part) << 4);
        assert!(midr.name().is_some(), "{midr}");
        let same = |other: &Attested| {
            (other.implementer, other.part) == (attested.implementer, attested.part)
        };
        assert!(!ATTESTED[index + 1..].iter().any(same), "{midr} twice");
    }
}

#[test]
fn a_midr_comes_apart() {
    let midr = Midr::new(0xffff_ffff_413f_d825);
    assert_eq!(midr.value(), 0x413f_d825);
    assert_eq!((midr.implementer(), midr.architecture(), midr.part()), (0x41, 15, 0xd82));
    assert_eq!(midr.release(), Release { variant: 3, revision: 5 });
    assert_eq!(midr.to_string(), "Cortex-X4 r3p5");
    assert_eq!(Midr::new(0x123f_abc5).to_string(), "implementer 0x12 part 0xabc r3p5");
}

#[test]
fn what_all_cpus_guarantee_is_the_least_of_them() {
    assert!(SizeChange::NeedsBreak < SizeChange::MayAbort);
    assert!(SizeChange::MayAbort < SizeChange::Quiet);
}

#[test]
fn the_registers_of_an_emulated_cpu_with_everything() {
    // QEMU's `max`: 52-bit physical addresses, LPA2 with 4 and 16 KiB pages, 64 KiB pages.
    let mmfr0 = 1 << 28 | 2 << 20 | 6;
    assert_eq!(output_bits(mmfr0), 52);
    assert_eq!(granule_support(mmfr0, Granule::Kib4), GranuleSupport::WithLpa2);
    assert_eq!(granule_support(mmfr0, Granule::Kib16), GranuleSupport::WithLpa2);
    assert_eq!(granule_support(mmfr0, Granule::Kib64), GranuleSupport::Present);
    let without = 0xf << 28 | 0xf << 24;
    for granule in Granule::ALL {
        assert_eq!(granule_support(without, granule), GranuleSupport::Missing);
    }
    assert_eq!(granule_support(1 << 20, Granule::Kib4), GranuleSupport::Present);
    assert_eq!(granule_support(1 << 20, Granule::Kib16), GranuleSupport::Present);
    assert_eq!((input_bits(0), input_bits(1 << 16)), (48, 52));
    assert_eq!([0, 1, 2].map(|tlb| tlbi_form(tlb << 56)), {
        [TlbiForm::ByAddress, TlbiForm::ByAddress, TlbiForm::Ranged]
    });
    assert_eq!([0, 1, 2, 3].map(|field| mte(field << 8)), {
        [Mte::Missing, Mte::InstructionsOnly, Mte::TaggedMemory, Mte::TaggedMemory]
    });
}

#[test]
fn every_known_design_is_found_by_its_own_register() {
    for (midr, name) in Midr::designs() {
        assert_eq!(midr.name(), Some(name));
        assert_eq!(
            (midr.architecture(), midr.release()),
            (15, Release { variant: 0, revision: 0 })
        );
    }
    assert_eq!(Midr::designs().filter(|(_, name)| *name == "AmpereOne").count(), 1);
}
