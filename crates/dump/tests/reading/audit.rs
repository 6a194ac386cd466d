//! The checks of W^X and of writable aliases find what they are for, and nothing else.

use blockmap_dump::{
    Alias, Limits, Outcome, Protection, Rights, RightsPair,
    vmsa::{
        Geometry, Level, bits,
        machine::{PhysAddr, PhysRange, VirtAddr, VirtRange},
    },
};

use crate::arena::{Arena, geometries};

const KERNEL: Geometry = Geometry::KERNEL_4K_48;
const BASE: u64 = 0xffff_0000_0000_0000;
const DATA: u64 = bits::VALID | bits::PXN | bits::UXN;
const TEXT: u64 = bits::VALID | bits::READ_ONLY | bits::UXN;
const RODATA: u64 = bits::VALID | bits::READ_ONLY | bits::PXN | bits::UXN;

fn put(arena: &mut Arena, level: Level, offset: u64, (meaning, output): (u64, u64)) {
    let geometry = arena.tree().geometry();
    let word = geometry.leaf_word(level, PhysAddr::new(output), meaning);
    let input = geometry.inputs().0.checked_add(offset).unwrap();
    arena.put(level, input, word);
}

fn range(offset: u64, bytes: u64) -> VirtRange {
    VirtRange::new(VirtAddr::new(BASE + offset), bytes).unwrap()
}

#[test]
fn writable_and_executable_pages_are_counted_in_pages() {
    let mut arena = Arena::new(KERNEL);
    put(&mut arena, Level::L2, 0, (DATA, 0));
    put(&mut arena, Level::L2, 2 << 20, (TEXT, 2 << 20));
    assert!(arena.tree().wx().passed());
    put(&mut arena, Level::L2, 4 << 20, (DATA & !bits::PXN, 4 << 20));
    put(&mut arena, Level::L3, 8 << 20, (TEXT & !bits::UXN, 8 << 20));
    put(&mut arena, Level::L3, 9 << 20, (DATA & !bits::PXN, 9 << 20));
    let wx = arena.tree().wx();
    assert_eq!(wx.writable_executable.pages, 513);
    assert_eq!(wx.writable_executable.first, Some(range(4 << 20, 2 << 20)));
    assert_eq!(wx.unprivileged_executable.pages, 1);
    assert_eq!(wx.unprivileged_executable.first, Some(range(8 << 20, 4096)));
    assert!(!wx.passed());
}

#[test]
fn invalid_leaves_count_as_what_they_come_back_as() {
    let mut arena = Arena::new(KERNEL);
    let invalid = bits::PRESENT | bits::UXN;
    put(&mut arena, Level::L3, 0, (invalid, 0));
    assert_eq!(arena.tree().wx().writable_executable.pages, 1);
}

#[test]
fn limits_of_tables_count() {
    let mut arena = Arena::new(KERNEL);
    put(&mut arena, Level::L3, 0, (DATA & !bits::PXN, 0));
    let table = arena.table_at(Level::L3, VirtAddr::new(BASE));
    let above = arena.table_at(Level::L2, VirtAddr::new(BASE));
    let link = KERNEL.table_word(table);
    for limits in [Limits::PXN, Limits::READ_ONLY] {
        arena.set(above, 0, link | limits.bits());
        assert!(arena.tree().wx().passed());
    }
    arena.set(above, 0, link | Limits::UXN.bits() | Limits::PRIVILEGED.bits());
    assert!(!arena.tree().wx().passed());
    // Every table on the way has a say.
    let top = arena.table_at(Level::L1, VirtAddr::new(BASE));
    arena.set(top, 0, KERNEL.table_word(above) | Limits::PXN.bits());
    assert!(arena.tree().wx().passed());
}

#[test]
fn what_user_space_can_write_the_kernel_cannot_execute() {
    let mut arena = Arena::new(KERNEL);
    put(&mut arena, Level::L3, 0, (bits::VALID | bits::UNPRIVILEGED | bits::UXN, 0));
    assert!(arena.tree().wx().passed());
    put(&mut arena, Level::L3, 0, (bits::VALID | bits::UNPRIVILEGED, 0));
    assert_eq!(arena.tree().wx().writable_executable.pages, 1);
}

#[test]
fn tables_take_rights_from_user_space_too() {
    let user = bits::VALID | bits::UNPRIVILEGED | bits::PXN;
    let none = Limits::NONE;
    let of = |limits| RightsPair::of(KERNEL, user, limits).unprivileged;
    assert_eq!(of(none), Rights { reads: true, writes: true, executes: true });
    assert_eq!(of(Limits::READ_ONLY), Rights { writes: false, ..of(none) });
    assert_eq!(of(Limits::UXN), Rights { executes: false, ..of(none) });
    assert_eq!(of(Limits::PXN), of(none));
    // Memory that can't be loaded can still be executed.
    let execute_only = Rights { reads: false, writes: false, executes: true };
    assert_eq!(of(Limits::PRIVILEGED), execute_only);
}

#[test]
fn runs_of_tables_with_other_limits_are_apart() {
    let mut arena = Arena::new(KERNEL);
    for offset in [0x1f_f000, 0x20_0000] {
        put(&mut arena, Level::L3, offset, (TEXT, offset));
    }
    let leaves = |arena: &Arena| arena.tree().runs().filter_map(|run| run.mapped()).count();
    assert_eq!(leaves(&arena), 1);
    let input = VirtAddr::new(BASE + 0x20_0000);
    let table = arena.table_at(Level::L3, input);
    let above = arena.table_at(Level::L2, input);
    arena.set(above, 1, KERNEL.table_word(table) | Limits::PXN.bits());
    assert_eq!(leaves(&arena), 2);
    let walk = arena.tree().walk(input);
    assert_eq!(walk.limits(), Limits::PXN);
    let rights = RightsPair::of(KERNEL, TEXT, Limits::PXN);
    assert!(matches!(walk.outcome(), Outcome::Mapped { rights: found, .. } if *found == rights));
    assert!(!rights.executable());
}

#[test]
fn a_single_exception_level_has_one_execute_never_bit() {
    let el2 = geometries()[5];
    assert!(!el2.regime().has_unprivileged());
    let mut arena = Arena::new(el2);
    put(&mut arena, Level::L3, 0, (bits::VALID | bits::UNPRIVILEGED | bits::UXN, 0));
    assert!(arena.tree().wx().passed());
    put(&mut arena, Level::L3, 0, (bits::VALID | bits::UNPRIVILEGED | bits::PXN, 0));
    let wx = arena.tree().wx();
    assert_eq!(wx.writable_executable.pages, 1);
    assert_eq!(wx.unprivileged_executable.pages, 0);
}

#[test]
fn a_page_that_is_writable_and_executable_is_not_its_own_alias() {
    let mut arena = Arena::new(KERNEL);
    put(&mut arena, Level::L3, 0, (DATA & !bits::PXN, 0));
    let tree = arena.tree();
    assert_eq!(tree.writable_aliases(&tree, Protection::Executable).pages, 0);
}

#[test]
fn a_writable_alias_of_executable_memory_is_found() {
    let mut arena = Arena::new(KERNEL);
    put(&mut arena, Level::L2, 0, (DATA, 0));
    put(&mut arena, Level::L2, 2 << 20, (RODATA, 2 << 20));
    let vmalloc = 1 << 40;
    put(&mut arena, Level::L3, vmalloc, (TEXT, 2 << 20));
    let tree = arena.tree();
    assert_eq!(tree.writable_aliases(&tree, Protection::Executable).first, None);
    put(&mut arena, Level::L3, vmalloc + 4096, (TEXT, 0x5000));
    let tree = arena.tree();
    let audit = tree.writable_aliases(&tree, Protection::Executable);
    assert_eq!((audit.pages, audit.skipped), (1, 0));
    let expected = Alias {
        output: PhysRange::new(PhysAddr::new(0x5000), 4096).unwrap(),
        protected: range(vmalloc + 4096, 4096),
        writable: range(0, 2 << 20),
    };
    assert_eq!(audit.first, Some(expected));
    assert_eq!(tree.writable_aliases(&tree, Protection::ReadOnly).pages, 1);
    // Of several, the first is told.
    put(&mut arena, Level::L3, vmalloc + 0x3000, (TEXT, 0x7000));
    let tree = arena.tree();
    let audit = tree.writable_aliases(&tree, Protection::Executable);
    assert_eq!((audit.pages, audit.first), (2, Some(expected)));
    put(&mut arena, Level::L3, vmalloc + 0x3000, (0, 0));
    // What is invalid on either side can't be used against the other.
    let text = (TEXT & !bits::VALID | bits::PRESENT, 0x5000);
    put(&mut arena, Level::L3, vmalloc + 4096, text);
    let tree = arena.tree();
    assert_eq!(tree.writable_aliases(&tree, Protection::Executable).pages, 0);
    put(&mut arena, Level::L3, vmalloc + 4096, (TEXT, 0x5000));
    put(&mut arena, Level::L2, 0, (DATA & !bits::VALID | bits::PRESENT, 0));
    let tree = arena.tree();
    assert_eq!(tree.writable_aliases(&tree, Protection::Executable).pages, 0);
    let page = PhysRange::new(PhysAddr::new(0x5800), 1).unwrap();
    assert_eq!(tree.mappings_of(page).count(), 2);
}
