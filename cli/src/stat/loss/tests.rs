//! Maps of which it is known what breaks them.

use blockmap_dump::vmsa::machine::PhysAddr;
use blockmap_dump::vmsa::{Access, Attributes, Shareability, bits};
use blockmap_dump::{Limits, Mapped};

use super::*;

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const BASE: u64 = 0xffff_0000_0000_0000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn meaning(access: Access) -> u64 {
    let memory = Mair::NORMAL;
    KERNEL.meaning(Attributes { memory, shareability: Shareability::Inner, access })
}

/// Leaves at an offset of the linear map, of memory that begins at 1 GiB.
fn leaves(level: Level, start: u64, bytes: u64, meaning: u64) -> Leaves {
    let output = PhysAddr::new(GIB + start);
    let mapped = Mapped { meaning, output, limits: Limits::NONE };
    let range = VirtRange::new(VirtAddr::new(BASE + start), bytes).unwrap();
    Leaves { range, level, mapped }
}

fn survey(leaves: &[Leaves]) -> Survey {
    let leaves = leaves.to_vec();
    Survey { geometry: KERNEL, leaves, skipped: Vec::new(), reserved: Vec::new() }
}

fn lost(leaves: &[Leaves]) -> Loss {
    let linear = VirtRange::new(VirtAddr::new(BASE), 1 << 47).unwrap();
    loss(&survey(leaves), linear, (Mair::KERNEL, &Regions::default()))
}

#[test]
fn one_page_breaks_a_block_and_the_gib_around_it() {
    let (data, fixed) = (meaning(Access::ReadWrite), meaning(Access::ReadOnly));
    let loss = lost(&[
        leaves(Level::L2, 0, 4 * MIB, data),
        leaves(Level::L3, 4 * MIB, 8 * KIB, data),
        leaves(Level::L3, 4 * MIB + 8 * KIB, 4 * KIB, fixed),
        leaves(Level::L3, 4 * MIB + 12 * KIB, 2 * MIB - 12 * KIB, data),
        leaves(Level::L2, 6 * MIB, 1018 * MIB, data),
        leaves(Level::L1, GIB, GIB, data),
    ]);
    let [large, small] = &loss.sizes[..] else { panic!("{:?}", loss.sizes) };
    assert_eq!((large.bytes, large.possible, large.present), (GIB, 2, 1));
    assert_eq!((large.joinable, large.broken), (0, 1));
    assert_eq!((small.possible, small.present, small.joinable, small.broken), (1024, 1023, 0, 1));
    for size in [large, small] {
        let [reason] = &size.reasons[..] else { panic!("{:?}", size.reasons) };
        assert_eq!((reason.blocks, reason.bytes), (1, 4 * KIB));
        assert_eq!(reason.differs, "r--");
        assert!(reason.owners.is_empty());
    }
    assert_eq!(loss.block_bytes, 2 * GIB - 2 * MIB);
    assert_eq!(loss.tlb_entries_uniform, 2);
    // Around the page: 2 + 1 of 4K, 12 of 4K up to 64K, and 31 of 64K; 2M, 32M and 1G as they fit.
    assert_eq!(loss.tlb_entries_joined, (2 + 1 + 13) + 31 + (2 + 13) + 31 + 1);
    assert_eq!(loss.tlb_entries, 2 + 2 + 1 + 509 + 509 + 1);
}

#[test]
fn pages_that_grant_the_same_could_be_joined() {
    let data = meaning(Access::ReadWrite);
    let loss = lost(&[leaves(Level::L3, 0, GIB, data)]);
    let [large, small] = &loss.sizes[..] else { panic!("{:?}", loss.sizes) };
    assert_eq!((large.possible, large.present, large.joinable, large.broken), (1, 0, 1, 0));
    assert_eq!((small.possible, small.joinable), (512, 512));
    assert_eq!((loss.tlb_entries, loss.tlb_entries_joined), (262_144, 1));
    assert_eq!(loss.block_bytes, 0);
}

#[test]
fn the_owner_of_what_breaks_a_block_is_who_else_maps_it() {
    let (data, gone) = (meaning(Access::ReadWrite), meaning(Access::ReadWrite) & !bits::VALID);
    let elsewhere = VirtRange::new(VirtAddr::new(0xffff_8000_8000_0000), 8 * KIB).unwrap();
    let mut owner = leaves(Level::L3, MIB, 8 * KIB, data);
    owner.range = elsewhere;
    let survey = survey(&[
        leaves(Level::L3, 0, MIB, data),
        leaves(Level::L3, MIB, 4 * KIB, gone),
        leaves(Level::L3, MIB + 4 * KIB, MIB - 4 * KIB, data),
        owner,
    ]);
    let area = |start, name: &str| blockmap_inspect::Area {
        start: VirtAddr::new(start),
        name: name.to_owned(),
    };
    let areas = [area(BASE, "Linear Mapping start"), area(0xffff_8000_8000_0000, "vmalloc() area")];
    let regions = Regions::of_areas(&areas, KERNEL);
    let linear = VirtRange::new(VirtAddr::new(BASE), 1 << 47).unwrap();
    let loss = loss(&survey, linear, (Mair::KERNEL, &regions));
    let [size] = &loss.sizes[..] else { panic!("{:?}", loss.sizes) };
    let [reason] = &size.reasons[..] else { panic!("{:?}", size.reasons) };
    assert_eq!((&*reason.differs, &reason.owners[..]), ("invalid", &[Name::Vmalloc][..]));
}
