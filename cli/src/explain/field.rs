//! The fields of a descriptor, from bit 63 down, each with what it says.

use blockmap_dump::vmsa::{
    Descriptor, Format, Geometry, Level, Mair, MemoryIndex, Shareability,
    descriptor::{
        AccessFlag, Asids, BlockCaching, BranchTargets, Contiguity, DirtyTracking, Leaf,
        OutputSpace, Sharing, Stores, Table, Unprivileged, Validity,
    },
    mair::MemoryType,
};
use serde::Serialize;

use crate::number::Hex;

/// One field.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Field {
    /// Its highest bit.
    pub(crate) high: u32,
    /// Its lowest bit.
    pub(crate) low: u32,
    /// Its name in the manual.
    pub(crate) name: &'static str,
    /// The bits, as a number.
    pub(crate) value: Hex,
    /// What that says.
    pub(crate) meaning: String,
}

impl Field {
    /// The bits as the manual writes them.
    pub(crate) fn bits(&self) -> String {
        if self.high == self.low {
            self.high.to_string()
        } else {
            format!("{}:{}", self.high, self.low)
        }
    }
}

/// A word that is taken apart.
struct Word {
    word: u64,
    fields: Vec<Field>,
}

impl Word {
    fn add(&mut self, (high, low): (u32, u32), name: &'static str, meaning: impl Into<String>) {
        let value = Hex((self.word << (63 - high)) >> (63 - high + low));
        self.fields.push(Field { high, low, name, value, meaning: meaning.into() });
    }

    /// Adds a field only if it is not zero.
    fn add_set(&mut self, bits: (u32, u32), name: &'static str, meaning: impl Into<String>) {
        self.add(bits, name, meaning);
        if self.fields.last().is_some_and(|field| field.value == Hex(0)) {
            self.fields.pop();
        }
    }
}

/// The fields of `word` at `level`: none when it is invalid or reserved. Those that are zero and
/// say nothing then are left out.
pub(crate) fn fields(geometry: Geometry, level: Level, word: u64, mair: Mair) -> Vec<Field> {
    let mut fields = Word { word, fields: Vec::new() };
    match geometry.decode(level, word) {
        Descriptor::Invalid(_) | Descriptor::Reserved(_) => {}
        Descriptor::Table(table) => table_fields(geometry, &table, &mut fields),
        Descriptor::Leaf(leaf) => {
            high_fields(geometry, &leaf, &mut fields);
            low_fields(geometry, level, (&leaf, mair), &mut fields);
        }
    }
    fields.fields
}

fn table_fields(geometry: Geometry, table: &Table, fields: &mut Word) {
    let has_two = geometry.regime().has_unprivileged();
    fields.add((63, 63), "NSTable", space(table.space));
    let stores = match table.stores {
        Stores::Allowed => "stores as the leaves below say",
        Stores::Denied => "no stores to anything below",
    };
    fields.add((62, 62), "APTable[1]", stores);
    if has_two {
        let access = match table.unprivileged {
            Unprivileged::Allowed => "EL0 has access as the leaves below say",
            Unprivileged::Denied => "EL0 has no access to anything below",
        };
        fields.add((61, 61), "APTable[0]", access);
    }
    let word = fields.word;
    let says = |bit: u32, yes, no| if word >> bit & 1 == 0 { yes } else { no };
    if has_two {
        let user = says(60, "EL0 executes as the leaves below say", "EL0 executes nothing below");
        let kernel = says(
            59,
            "the kernel executes as the leaves below say",
            "the kernel executes nothing below",
        );
        fields.add((60, 60), "UXNTable", user);
        fields.add((59, 59), "PXNTable", kernel);
    } else {
        let never = says(60, "executes as the leaves below say", "nothing below is executable");
        fields.add((60, 60), "XNTable", never);
    }
    let next = format!("the next table is at {}", table.next);
    fields.add(address_bits(geometry, geometry.granule().page_bits()), "address", next);
    fields.add_set((10, 10), "AF", "accessed (with FEAT_HAFT; ignored otherwise)");
    spread_address(geometry, fields);
    fields.add((1, 0), "type", "a table");
}

/// The fields of a leaf above its address.
fn high_fields(geometry: Geometry, leaf: &Leaf, fields: &mut Word) {
    fields.add_set((63, 63), "ignored", "hardware ignores it");
    fields.add_set((62, 59), "PBHA", "page-based hardware attributes, where enabled");
    fields.add_set((58, 55), "software", "the operating system's own");
    let word = fields.word;
    let says = |bit: u32, yes, no| if word >> bit & 1 == 0 { yes } else { no };
    if geometry.regime().has_unprivileged() {
        let user = says(54, "EL0 may execute", "EL0 never executes");
        let kernel = says(53, "the kernel may execute", "the kernel never executes");
        fields.add((54, 54), "UXN", user);
        fields.add((53, 53), "PXN", kernel);
    } else {
        fields.add((54, 54), "XN", says(54, "executable", "never executable"));
    }
    let contiguous = match leaf.contiguity {
        Contiguity::Single => "stands for itself",
        Contiguity::Run => "one of a run that a TLB may hold as one entry",
    };
    fields.add((52, 52), "Contiguous", contiguous);
    let dirty = match leaf.dirty {
        DirtyTracking::BySoftware => "",
        DirtyTracking::ByHardware => "hardware makes it writable at the first store, where TCR.HD",
    };
    fields.add_set((51, 51), "DBM", dirty);
    let branches = match leaf.branches {
        BranchTargets::Any => "",
        BranchTargets::Guarded => "guarded: indirect branches land on landing pads only (BTI)",
    };
    fields.add_set((50, 50), "GP", branches);
}

/// The address of a leaf, and the fields below it.
fn low_fields(geometry: Geometry, level: Level, (leaf, mair): (&Leaf, Mair), fields: &mut Word) {
    let output = format!("maps memory from {} on", leaf.output);
    fields.add(address_bits(geometry, geometry.span_bits(level)), "address", output);
    if leaf.caching == BlockCaching::NoTranslation {
        fields.add((16, 16), "nT", "not cached so that sizes could conflict (FEAT_BBM level 1)");
    }
    match (leaf.validity, leaf.asids) {
        (Validity::PresentInvalid, _) => {
            fields.add((11, 11), "present", "software's mark: valid again once bit 0 is set");
        }
        (Validity::Valid, Asids::Every) => fields.add((11, 11), "nG", "global: for every ASID"),
        (Validity::Valid, Asids::One) => fields.add((11, 11), "nG", "for one ASID"),
    }
    let accessed = match leaf.accessed {
        AccessFlag::Set => "accessed",
        AccessFlag::Clear => "not accessed: the first use faults, or hardware sets it",
    };
    fields.add((10, 10), "AF", accessed);
    let shared = match leaf.sharing {
        Sharing::Is(Shareability::Non) => Some("non-shareable"),
        Sharing::Is(Shareability::Outer) => Some("outer shareable"),
        Sharing::Is(Shareability::Inner) => Some("inner shareable"),
        Sharing::Reserved => Some("reserved"),
        Sharing::ByControl => None,
    };
    if let Some(shared) = shared {
        fields.add((9, 8), "SH", shared);
    }
    spread_address(geometry, fields);
    let stores = match leaf.stores {
        Stores::Allowed => "read and write",
        Stores::Denied => "read-only",
    };
    fields.add((7, 7), "AP[2]", stores);
    let access = match (leaf.unprivileged, geometry.regime().has_unprivileged()) {
        (Unprivileged::Allowed, true) => "EL0 has the same access",
        (Unprivileged::Denied, true) => "EL0 has no access",
        (Unprivileged::Allowed, false) => "RES1 in this regime",
        (Unprivileged::Denied, false) => "should be 1 in this regime (RES1)",
    };
    fields.add((6, 6), "AP[1]", access);
    fields.add((5, 5), "NS", space(leaf.space));
    fields.add((4, 2), "AttrIndx", memory_name(mair, leaf.memory));
    fields.add((1, 1), "type", if level == Level::L3 { "a page" } else { "a block" });
    let valid = match leaf.validity {
        Validity::Valid => "valid",
        Validity::PresentInvalid => "invalid: accesses fault",
    };
    fields.add((0, 0), "valid", valid);
}

const fn space(space: OutputSpace) -> &'static str {
    match space {
        OutputSpace::Own => "the physical addresses of the current security state",
        OutputSpace::NonSecure => "non-secure physical addresses (ignored when non-secure)",
    }
}

/// The contiguous part of the address field, the lowest bit of which is `lowest`.
const fn address_bits(geometry: Geometry, lowest: u32) -> (u32, u32) {
    match geometry.format() {
        Format::Base | Format::Lpa => (47, lowest),
        Format::Lpa2 => (49, lowest),
    }
}

/// The address bits that a 52-bit format keeps elsewhere.
fn spread_address(geometry: Geometry, fields: &mut Word) {
    match geometry.format() {
        Format::Base => {}
        Format::Lpa => fields.add((15, 12), "address", "bits 51:48 of the address"),
        Format::Lpa2 => fields.add((9, 8), "address", "bits 51:50 of the address"),
    }
}

/// The memory type that `mair` has at an index, in words.
pub(crate) fn memory_name(mair: Mair, index: MemoryIndex) -> String {
    let memory = mair.memory_type(index);
    let name = match memory {
        MemoryType::Device(_) | MemoryType::DeviceNoXs(_) => format!("{memory:?}"),
        MemoryType::WRITE_BACK => "Normal, write-back".to_owned(),
        MemoryType::NON_CACHEABLE => "Normal, non-cacheable".to_owned(),
        MemoryType::NormalTagged => "Normal, write-back, tagged (MTE)".to_owned(),
        MemoryType::Normal { outer, inner } => format!("Normal, outer {outer:?}, inner {inner:?}"),
        MemoryType::NonCacheableNoXs => "Normal, non-cacheable, no XS".to_owned(),
        MemoryType::WriteThroughNoXs => "Normal, write-through, no XS".to_owned(),
        MemoryType::Reserved(_) => "reserved".to_owned(),
    };
    format!("index {}: MAIR byte {:#04x}, {name}", index.value(), memory.byte())
}

#[cfg(test)]
mod tests {
    use blockmap_dump::vmsa::{Half, Regime, bits};

    use super::*;

    /// A word made of the fields again, without what was left out.
    fn together(fields: &[Field]) -> u64 {
        fields.iter().fold(0, |word, field| word | field.value.0 << field.low)
    }

    #[test]
    fn no_bit_of_a_leaf_is_lost_or_told_twice() {
        for geometry in Geometry::every().filter(|geometry| geometry.half() == Half::Lower) {
            let level = Level::L2;
            for bit in 2..64 {
                let word = bits::VALID | bits::ACCESSED | 1 << bit;
                let Descriptor::Leaf(leaf) = geometry.decode(level, word) else {
                    panic!("{word:#x} is a block");
                };
                let fields = fields(geometry, level, word, Mair::KERNEL);
                let told = together(&fields);
                // The first two fields of a block's address may hold what is reserved there.
                assert_eq!(told | leaf.residue, word, "{geometry:?}: bit {bit}");
                let sum: u32 = fields.iter().map(|field| field.value.0.count_ones()).sum();
                assert_eq!(sum, told.count_ones(), "{geometry:?}: bit {bit} is told twice");
            }
        }
    }

    #[test]
    fn a_block_of_the_linear_map_reads_as_the_manual_says() {
        let kernel = Geometry::KERNEL_4K_48;
        let fields = fields(kernel, Level::L1, 0x0060_0000_8000_0701, Mair::KERNEL);
        let of = |name| fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!((of("address").high, of("address").low), (47, 30));
        assert_eq!(of("address").value, Hex(2));
        assert_eq!(of("SH").meaning, "inner shareable");
        assert_eq!(of("PXN").meaning, "the kernel never executes");
        assert_eq!(of("AttrIndx").meaning, "index 0: MAIR byte 0xff, Normal, write-back");
        assert!(fields.iter().all(|field| field.name != "DBM"), "zero, and says nothing");
        assert_eq!(kernel.regime(), Regime::El1And0);
    }
}
