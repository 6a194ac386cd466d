//! Where the parts of the running image are, in virtual and in physical memory.

use blockmap::vmsa::Access;
use blockmap::vmsa::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};

use super::tables::address_of;

/// The address that the image is linked at and runs at.
pub(crate) const LINK: VirtAddr = VirtAddr::new(0xffff_8000_8000_0000);

macro_rules! symbols {
    ($($name:ident)*) => {
        // `link.ld` defines each of them; only their addresses are taken.
        unsafe extern "C" {
            $(static $name: u8;)*
        }
    };
}

symbols! {
    __image_start __image_end __text_end __rodata_start __rodata_end __data_start
    __fixups_start __fixups_end __idmap_start __idmap_end
    __ground_start __ground_end __windows_start
    __stacks_start
    __exception_stack_start __exception_stack_end
    __last_stack_start __last_stack_end __boot_stack_start __boot_stack_end
}

unsafe extern "C" {
    /// In `enter.S`; only its address is taken.
    static referee_entered: u8;
}

/// The address of a symbol of the linker script, as the running code sees it: physical with the
/// MMU off, the link address afterwards.
macro_rules! at {
    ($name:ident) => {
        address_of(&raw const $name)
    };
}

/// A part of the image that is mapped with permissions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Where it runs; a multiple of the page at both ends, of 64 KiB between the parts of
    /// different permissions.
    pub(crate) range: VirtRange,
    /// What the kernel does with it.
    pub(crate) access: Access,
}

/// The bytes from `start` up to `end`; the linker script has none of its parts empty.
fn between(start: VirtAddr, end: VirtAddr) -> VirtRange {
    let bytes = end.offset_from(start).unwrap_or(0);
    VirtRange::new(start, bytes).unwrap_or(FIRST_PAGE)
}

const FIRST_PAGE: VirtRange = match VirtRange::new(LINK, 0x1000) {
    Some(range) => range,
    None => panic!("a page at the link address wraps"),
};

/// Everything of the image that is mapped, in ascending order. What lies between are the stacks'
/// guard pages, which never are.
///
/// With the MMU off the addresses are physical.
pub(crate) fn sections() -> [Section; 6] {
    use Access::{ReadExecute, ReadOnly, ReadWrite};
    let section = |start, end, access| Section { range: between(start, end), access };
    [
        section(at!(__image_start), at!(__text_end), ReadExecute),
        section(at!(__rodata_start), at!(__rodata_end), ReadOnly),
        section(at!(__data_start), at!(__stacks_start), ReadWrite),
        section(at!(__exception_stack_start), at!(__exception_stack_end), ReadWrite),
        section(at!(__last_stack_start), at!(__last_stack_end), ReadWrite),
        section(at!(__boot_stack_start), at!(__boot_stack_end), ReadWrite),
    ]
}

/// The whole image, guard pages included.
pub(crate) fn whole() -> VirtRange {
    between(at!(__image_start), at!(__image_end))
}

/// The code, which is read-execute.
pub(crate) fn text() -> VirtRange {
    between(at!(__image_start), at!(__text_end))
}

/// The constants, which are read-only.
pub(crate) fn rodata() -> VirtRange {
    between(at!(__rodata_start), at!(__rodata_end))
}

/// Where EL2 goes on in the upper half when the referee comes into being.
pub(crate) fn entry_of_referee() -> VirtAddr {
    at!(referee_entered)
}

/// What the identity map maps: the code that runs through it, and the ground.
pub(super) fn identity_map() -> [(VirtRange, Access); 2] {
    [
        (between(at!(__idmap_start), at!(__idmap_end)), Access::ReadExecute),
        (between(at!(__ground_start), at!(__ground_end)), Access::ReadWrite),
    ]
}

/// Two pages beside each other that nothing is mapped at, for tables that can't be reached in the
/// linear map; the level 3 table that maps them is there.
pub(crate) fn windows() -> VirtAddr {
    at!(__windows_start)
}

/// A page of the identity map at which it maps nothing, for an image loaded at `load`: the kernel's own
/// code, behind what runs there.
pub(super) fn identity_window(load: PhysAddr) -> VirtAddr {
    let offset = at!(__idmap_end).offset_from(LINK).unwrap_or(0);
    VirtAddr::new(load.wrapping_add(offset).value())
}

/// The table of instructions that may fault, and where to go on if they do.
pub(crate) fn fixups() -> VirtRange {
    between(at!(__fixups_start), at!(__fixups_end))
}

/// The stack whose guard page holds `address`, in words.
pub(crate) fn guarded_stack(address: VirtAddr) -> Option<&'static str> {
    let guards = [
        (at!(__stacks_start), at!(__exception_stack_start), "exception"),
        (at!(__exception_stack_end), at!(__last_stack_start), "last exception"),
        (at!(__last_stack_end), at!(__boot_stack_start), "boot"),
    ];
    guards
        .into_iter()
        .find(|(start, end, _)| between(*start, *end).contains(address))
        .map(|(_, _, name)| name)
}

/// The memory that the image occupies when loaded at `load`.
pub(crate) fn memory(load: PhysAddr) -> PhysRange {
    physical(whole(), load)
}

/// Where `range`, a part of the image, is in memory when the image is loaded at `load`.
pub(crate) fn physical(range: VirtRange, load: PhysAddr) -> PhysRange {
    let offset = range.start().offset_from(LINK).unwrap_or(0);
    match PhysRange::new(load.wrapping_add(offset), range.bytes()) {
        Some(range) => range,
        // Firmware loaded the image here, so it doesn't wrap.
        None => unreachable!("the image wraps around the end of memory"),
    }
}
