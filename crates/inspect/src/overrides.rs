//! What the user says about the tables, over whatever is found.

use blockmap_vmsa::{
    Granule, Half, Regime,
    machine::{PhysAddr, VirtAddr},
};

/// What the user says about the tables. What is `None` is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Where the root table is: that of the half in `half`, or else of the upper half.
    pub root: Option<PhysAddr>,
    /// `TCR_ELx`.
    pub tcr: Option<u64>,
    /// `MAIR_ELx`.
    pub mair: Option<u64>,
    /// The translation regime.
    pub regime: Option<Regime>,
    /// The only half that is looked at.
    pub half: Option<Half>,
    /// The granule, where there is no TCR.
    pub granule: Option<Granule>,
    /// The bits of an input address, where there is no TCR.
    pub input_bits: Option<u32>,
    /// Where Linux's fixed mappings start: the one address of its map that it writes down nowhere.
    pub fixmap_start: Option<VirtAddr>,
    /// Whether the kernel's symbols are read.
    pub names: Names,
    /// Whether memory is searched for what Linux wrote down about itself although the registers
    /// say where the tables are, and the search is slow.
    pub search: Search,
}

/// Whether the kernel's symbols are read, which takes longer than the tables do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Names {
    /// They are left alone.
    #[default]
    Left,
    /// They are read, where the kernel says where they are.
    Read,
}

/// How hard memory is searched for Linux's VMCOREINFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Search {
    /// As far as it is quick, or nothing else says where the tables are.
    #[default]
    WhenQuick,
    /// All of it.
    Always,
    /// Not at all.
    Never,
}
