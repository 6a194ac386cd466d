//! What leaves say, in a few words.

use blockmap_dump::vmsa::mair::MemoryType;
use blockmap_dump::vmsa::{Geometry, Mair, MemoryIndex, bits};
use blockmap_dump::{Mapped, Rights};

/// Rights as `r`, `w` and `x`, with a dash for each one missing.
pub(crate) fn letters(rights: Rights) -> String {
    let letter = |has, letter| if has { letter } else { '-' };
    [letter(rights.reads, 'r'), letter(rights.writes, 'w'), letter(rights.executes, 'x')]
        .into_iter()
        .collect()
}

/// The rights of leaves: the kernel's, those of EL0 where it has any, and whether they are invalid.
pub(crate) fn rights(geometry: Geometry, mapped: Mapped) -> String {
    let pair = mapped.rights(geometry);
    let mut text = letters(pair.privileged);
    if pair.unprivileged.reads || pair.unprivileged.executes {
        text += "/";
        text += &letters(pair.unprivileged);
    }
    if !mapped.is_valid() {
        text += " invalid";
    }
    text
}

/// The index of the memory type in a leaf's word.
pub(crate) fn memory_index(meaning: u64) -> MemoryIndex {
    let [index, ..] = (meaning >> 2 & 0b111).to_le_bytes();
    MemoryIndex::new(index).unwrap_or(Mair::NORMAL)
}

/// A memory type in a word.
pub(crate) fn memory(mair: Mair, meaning: u64) -> String {
    let memory = mair.memory_type(memory_index(meaning));
    match memory {
        MemoryType::WRITE_BACK => "normal".to_owned(),
        MemoryType::NormalTagged => "tagged".to_owned(),
        MemoryType::NON_CACHEABLE => "non-cacheable".to_owned(),
        MemoryType::Device(_) => "device".to_owned(),
        MemoryType::Normal { .. }
        | MemoryType::DeviceNoXs(_)
        | MemoryType::NonCacheableNoXs
        | MemoryType::WriteThroughNoXs
        | MemoryType::Reserved(_) => format!("mair-{:#04x}", memory.byte()),
    }
}

/// In what `mapped` differs from `usual`, its sizes not counted.
pub(crate) fn difference(geometry: Geometry, mair: Mair, mapped: Mapped, usual: Mapped) -> String {
    let (own, other) = (mapped.rights(geometry), usual.rights(geometry));
    let mut words = Vec::new();
    if mapped.is_valid() != usual.is_valid() {
        words.push(if mapped.is_valid() { "valid" } else { "invalid" }.to_owned());
    }
    if own != other {
        words.push(rights(geometry, Mapped { meaning: mapped.meaning | bits::VALID, ..mapped }));
    }
    let changed = mapped.meaning ^ usual.meaning;
    if changed & 0b111 << 2 != 0 {
        words.push(memory(mair, mapped.meaning));
    }
    // Linux has its own word for writable in this bit: it goes with the rights.
    let dirty = if own == other { bits::DIRTY_MODIFIER } else { 0 };
    let rest = [
        (bits::ACCESSED, "AF"),
        (bits::GUARDED, "GP"),
        (dirty, "DBM"),
        (0xf << 55, "software bits"),
        (0b11 << 8, "SH"),
    ];
    // Bit 11 means something else once bit 0 is clear.
    let both_valid = mapped.is_valid() && usual.is_valid();
    let rest = rest.into_iter().chain(both_valid.then_some((bits::NOT_GLOBAL, "nG")));
    words.extend(rest.filter(|(bit, _)| changed & bit != 0).map(|(_, name)| name.to_owned()));
    if words.is_empty() { "bits without a name".to_owned() } else { words.join(" ") }
}
