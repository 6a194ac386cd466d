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

/// Bytes of data that are looked at at once.
const PART: usize = 64 << 10;

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
    let mut pages = BTreeSet::new();
    for range in data.into_iter().map(|(_, range)| range).filter(|range| range.bytes() <= MOST_DATA)
    {
        for address in pointers(memory, range, (lowest, linear_end)) {
            pages.extend(tree.walk(address).output());
        }
    }
    let text = text_at(memory, &pages.into_iter().collect::<Vec<_>>());
    text.map_or(Sought::NoText, |(at, info)| Sought::Found(at, info))
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
    let is_page =
        |word: u64| lowest.value() <= word && word < end.value() && word.is_multiple_of(4096);
    let is_length = |word: &u64| (256..=1 << 16).contains(word);
    let mut found = Vec::new();
    let mut bytes = vec![0; PART];
    let mut words = Vec::with_capacity(PART / 8);
    let mut at = range.start();
    while let Some(left) = range.end().offset_from(at).filter(|left| *left > 0) {
        let now = usize::try_from(left).map_or(PART, |left| left.min(PART));
        bytes.resize(now, 0);
        if memory.read(at, &mut bytes).is_err() {
            break;
        }
        let (eights, _) = bytes.as_chunks();
        words.clear();
        words.extend(eights.iter().map(|eight| u64::from_le_bytes(*eight)));
        for (index, &word) in words.iter().enumerate().filter(|(_, word)| is_page(**word)) {
            let near = words.get(index.saturating_sub(4)..(index + 5).min(words.len()));
            let is_likely = near.unwrap_or_default().iter().any(is_length);
            if is_likely || memory.pace() == Pace::Quick {
                found.push(VirtAddr::new(word));
            }
        }
        // The next part begins with what is near the last words of this one.
        let done = if now < PART { now } else { PART - 64 };
        at = at.wrapping_add(u64::try_from(done).unwrap_or(left));
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
