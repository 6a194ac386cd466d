//! Where a machine's RAM is: QEMU's flat view of its memory.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

/// A part of RAM, and where in its region it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) range: PhysRange,
    /// The region: the name of its memory backend, if it has one.
    pub(super) region: String,
    /// The part's first byte in the region.
    pub(super) offset: u64,
}

/// The RAM in the output of the monitor's `info mtree -f`: of the view that is system memory, or
/// else that of the first CPU.
pub(super) fn ram(text: &str) -> Vec<Part> {
    let mut views = text.split("FlatView #").skip(1);
    let is_system = |view: &&str| view.contains("\"memory\"") || view.contains("\"cpu-memory-0\"");
    let view = views.find(is_system).unwrap_or_default();
    view.lines().filter_map(part).collect()
}

/// The part of RAM that a line such as
/// `0000000040000000-00000000bfffffff (prio 0, ram): ram0 @0000000000001000 KVM` says.
fn part(line: &str) -> Option<Part> {
    let (range, rest) = line.trim().split_once(" (prio ")?;
    let (kind, name) = rest.split_once("): ")?;
    if kind.rsplit_once(", ")?.1 != "ram" {
        return None;
    }
    let (first, last) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    let (first, last) = (number(first)?, number(last)?);
    let bytes = last.checked_sub(first)?.checked_add(1)?;
    let name = name.trim_end_matches(" KVM");
    let (region, offset) = name.rsplit_once(" @").unwrap_or((name, "0"));
    Some(Part {
        range: PhysRange::new(PhysAddr::new(first), bytes)?,
        region: region.to_owned(),
        offset: number(offset)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ram_is_told_from_everything_else() {
        let text = "\
FlatView #0
 AS \"gpex-root\", root: bus master container
 Root memory region: (none)
  No rendered FlatView

FlatView #1
 AS \"memory\", root: system
 AS \"cpu-memory-0\", root: system
 Root memory region: system
  0000000000000000-0000000003ffffff (prio 0, romd): virt.flash0
  0000000009000000-0000000009000fff (prio 0, i/o): pl011
  0000000040000000-00000000bfffffff (prio 0, ram): ram0 KVM
  0000000100000000-00000001000fffff (prio 0, ram): mem-a @0000000000200000
  00000001ffffffff-0000000100000000 (prio 0, ram): broken
";
        let part = |start, bytes, region: &str, offset| Part {
            range: PhysRange::new(PhysAddr::new(start), bytes).unwrap(),
            region: region.to_owned(),
            offset,
        };
        let expected =
            [part(0x4000_0000, 2 << 30, "ram0", 0), part(1 << 32, 1 << 20, "mem-a", 0x20_0000)];
        assert_eq!(ram(text), expected);
        assert_eq!(ram(""), []);
    }
}
