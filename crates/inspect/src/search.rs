//! Looks for Linux's VMCOREINFO in memory.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::{PhysicalMemory, Provenance, Topic, VmCoreInfo, format::Fields, linux::MOST_BYTES};

/// Memory is looked at in steps of the smallest page: the text begins one.
const STEP: u64 = 4096;

/// What of each page is looked at: as much as the header of a kernel's image has.
const HEAD: usize = 64;

/// How much is asked for at once.
const STRIDE: u64 = 32 << 20;

/// Kernels' images begin at a multiple of this.
const IMAGE_ALIGNMENT: u64 = 64 << 10;

/// The most bytes of an image that are passed over.
const MOST_IMAGE: u64 = 256 << 20;

/// The first VMCOREINFO in `memory`, by ascending addresses. It has a page that the kernel took for
/// it, so what is a kernel's image by its header comes last.
pub(crate) fn search(memory: &dyn PhysicalMemory, origin: &mut Provenance) -> Option<VmCoreInfo> {
    let mut images = Vec::new();
    let info = first(memory, memory.written(), Images::PassedOver(&mut images));
    let info = info.or_else(|| first(memory, images, Images::Searched));
    let (at, info) = info?;
    let text = format!("Linux {} (VMCOREINFO in memory at {at})", info.release());
    origin.add(Topic::Kernel, text);
    Some(info)
}

/// What becomes of memory that is a kernel's image by its header.
enum Images<'i> {
    /// It is gathered here instead of being looked at.
    PassedOver(&'i mut Vec<PhysRange>),
    /// It is looked at like all other memory.
    Searched,
}

/// The first VMCOREINFO in `ranges`.
fn first(
    memory: &dyn PhysicalMemory,
    ranges: Vec<PhysRange>,
    mut images: Images<'_>,
) -> Option<(PhysAddr, VmCoreInfo)> {
    let mut next = PhysAddr::new(0);
    for stride in ranges.into_iter().flat_map(strides) {
        if stride.last() < next {
            continue;
        }
        memory.expect(&[stride]);
        next = stride.start().align_up(STEP)?.max(next);
        while stride.contains(next) {
            let mut head = [0; HEAD];
            let is_read = memory.read(next, &mut head).is_ok();
            if is_read
                && head.starts_with(VmCoreInfo::BEGINNING.as_bytes())
                && let Some(info) = read(memory, stride, next)
            {
                return Some((next, info));
            }
            let mut passed = PhysRange::new(next, STEP)?;
            if let Images::PassedOver(images) = &mut images
                && let Some(image) = image(next, &head).filter(|_| is_read)
            {
                images.push(image);
                passed = image;
            }
            next = passed.last().checked_add(1)?;
        }
    }
    None
}

/// A range in parts that are asked for at once.
fn strides(range: PhysRange) -> impl Iterator<Item = PhysRange> {
    let count = range.bytes().div_ceil(STRIDE);
    (0..count).filter_map(move |number| {
        let skipped = number * STRIDE;
        let bytes = (range.bytes() - skipped).min(STRIDE);
        PhysRange::new(range.start().checked_add(skipped)?, bytes)
    })
}

/// The kernel's image that begins with `head` at `at`, in whole pages: by the header that the
/// *boot protocol* of arm64 kernels has, with the image's size in memory at byte 16 and a magic
/// number at byte 56.
fn image(at: PhysAddr, head: &[u8; HEAD]) -> Option<PhysRange> {
    let fields = Fields(head);
    let bytes = fields.u64(16).checked_next_multiple_of(STEP)?;
    let is_image = at.is_aligned(IMAGE_ALIGNMENT) && head.get(56..60) == Some(b"ARM\x64");
    PhysRange::new(at, bytes).filter(|_| is_image && bytes <= MOST_IMAGE)
}

/// The text at `at`.
fn read(memory: &dyn PhysicalMemory, range: PhysRange, at: PhysAddr) -> Option<VmCoreInfo> {
    let left = range.last().offset_from(at)?.saturating_add(1);
    let mut bytes = vec![0; usize::try_from(left).map_or(MOST_BYTES, |left| left.min(MOST_BYTES))];
    memory.read(at, &mut bytes).ok()?;
    VmCoreInfo::parse(&bytes)
}
