//! Finds VMCOREINFO the short way: through the kernel's image, which its tables map.
//!
//! The kernel keeps a pointer to the text in its data. The image is where something large is
//! executable outside the linear map, and its data is what is writable at the same offset of input
//! over output addresses. A pointer there into the linear map, to a page that begins as the text
//! does, is the one.

use std::collections::BTreeSet;

use blockmap_dump::{Mapped, Run};
use blockmap_vmsa::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};

use super::{MOST_BYTES, VmCoreInfo, area::linear_end};
use crate::{FoundTree, Pace, PhysicalMemory, ReadError, TableReader};

/// The least that is executable in a kernel's image in one piece.
const LEAST_CODE: u64 = 256 << 10;

/// The most data that is looked through.
const MOST_DATA: u64 = 64 << 20;

/// The most pages that are looked at where each is a request.
const MOST_PAGES: usize = 1024;

/// Bytes of data that are looked at at once where reading costs little.
const QUICK_PART: u64 = 64 << 10;

/// Bytes of data that are looked at at once where each reading is a request.
const SLOW_PART: u64 = 1 << 20;

/// What looking for the text found.
#[derive(Debug)]
pub(crate) enum Sought {
    /// The text, and where it is.
    Found(PhysAddr, VmCoreInfo),
    /// An image of a kernel, and no text.
    NoText,
    /// No image of a kernel: the tree is one that programs run on, or no kernel's.
    NoImage,
}

/// Looks for the text in `memory`. The tables are read from `tables`, which may be a copy.
pub(crate) fn through_image(
    memory: &dyn PhysicalMemory,
    tables: &dyn PhysicalMemory,
    found: &FoundTree,
) -> Sought {
    let reader = TableReader::new(tables);
    let (lowest, highest) = found.geometry.inputs();
    let linear_end = VirtAddr::new(linear_end(found.geometry));
    let above = highest.offset_from(linear_end).and_then(|last| last.checked_add(1));
    let tree = found.tree(&reader);
    let above = above.and_then(|bytes| VirtRange::new(linear_end, bytes));
    let image = above.map_or(tree, |above| tree.within(above));
    let offset = |run: &Run<ReadError>| {
        let output = run.output()?.start();
        Some(run.range.start().value().wrapping_sub(output.value()))
    };
    let is_valid = |mapped: &Mapped| mapped.is_valid();
    let mut codes = BTreeSet::new();
    let mut data = Vec::new();
    for run in image.runs().filter(|run| run.range.start() >= linear_end) {
        let Some(mapped) = run.mapped().filter(is_valid) else {
            continue;
        };
        let rights = mapped.rights(found.geometry).privileged;
        match (rights.executes, rights.writes, offset(&run), run.output()) {
            (true, _, Some(offset), _) if run.range.bytes() >= LEAST_CODE => {
                codes.insert(offset);
            }
            (false, true, Some(offset), Some(output)) => data.push((offset, output)),
            (_, _, _, _) => {}
        }
    }
    if codes.is_empty() {
        return Sought::NoImage;
    }
    data.retain(|(offset, _)| codes.contains(offset));
    let mut looked_at = BTreeSet::new();
    let ranges = data.into_iter().map(|(_, range)| range);
    for range in ranges.rev().filter(|range| range.bytes() <= MOST_DATA) {
        for part in parts(range, memory.pace()) {
            let pages: BTreeSet<_> = pointers(memory, part, (lowest, linear_end))
                .into_iter()
                .filter(|address| looked_at.insert(*address))
                .filter_map(|address| tree.walk(address).output())
                .collect();
            if let Some((at, info)) = text_at(memory, &pages.into_iter().collect::<Vec<_>>()) {
                return Sought::Found(at, info);
            }
        }
    }
    Sought::NoText
}

/// A range in parts that are looked at one after the other, the last first: what begins as zeros,
/// as the pointer does, is at the end of an image.
fn parts(range: PhysRange, pace: Pace) -> impl Iterator<Item = PhysRange> {
    let each = match pace {
        Pace::Quick => QUICK_PART,
        Pace::Slow => SLOW_PART,
    };
    (0..range.bytes().div_ceil(each)).rev().filter_map(move |number| {
        let start = range.start().checked_add(number * each)?;
        // What is near the last words of a part begins the next one.
        PhysRange::new(start, each + 64)?.intersection(range)
    })
}

/// The addresses of pages in the linear map that stand in a range of memory. Where looking at a
/// page is a request, only those that have a number near them that may be the text's length, as
/// this one does.
fn pointers(
    memory: &dyn PhysicalMemory,
    range: PhysRange,
    (lowest, end): (VirtAddr, VirtAddr),
) -> Vec<VirtAddr> {
    memory.expect(&[range]);
    let span = end.value().wrapping_sub(lowest.value());
    let is_page = |word: u64| word.is_multiple_of(4096) && word.wrapping_sub(lowest.value()) < span;
    let is_length = |eight: &[u8; 8]| (256..=1 << 16).contains(&u64::from_le_bytes(*eight));
    let is_slow = memory.pace() == Pace::Slow;
    let mut found = Vec::new();
    let mut bytes = vec![0; usize::try_from(range.bytes()).unwrap_or_default()];
    if memory.read(range.start(), &mut bytes).is_err() {
        return found;
    }
    let (eights, _) = bytes.as_chunks();
    for (index, eight) in eights.iter().enumerate() {
        let word = u64::from_le_bytes(*eight);
        if is_page(word) {
            let near = eights.get(index.saturating_sub(4)..(index + 5).min(eights.len()));
            if !is_slow || near.unwrap_or_default().iter().any(is_length) {
                found.push(VirtAddr::new(word));
            }
        }
    }
    found
}

/// The text that one of these pages begins with.
fn text_at(memory: &dyn PhysicalMemory, pages: &[PhysAddr]) -> Option<(PhysAddr, VmCoreInfo)> {
    let is_slow = memory.pace() == Pace::Slow;
    let most = if is_slow { MOST_PAGES } else { usize::MAX };
    let pages = pages.get(..most.min(pages.len())).unwrap_or_default();
    let ranges: Vec<_> = pages.iter().filter_map(|&at| PhysRange::new(at, 4096)).collect();
    memory.expect(&ranges);
    let beginning = VmCoreInfo::BEGINNING.as_bytes();
    for &at in pages {
        let mut head = [0; VmCoreInfo::BEGINNING.len()];
        if memory.read(at, &mut head).is_ok() && head == beginning {
            // It ends with its page, at whose size it is only known to be one.
            for bytes in [4096, 16384, MOST_BYTES] {
                let mut text = vec![0; bytes];
                let read = memory.read(at, &mut text);
                if let Some(info) = read.ok().and_then(|()| VmCoreInfo::parse(&text)) {
                    return Some((at, info));
                }
            }
        }
    }
    None
}
