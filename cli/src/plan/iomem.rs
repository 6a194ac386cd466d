//! Reading `/proc/iomem`: memory, what is reserved in it, and the kernel image.

use blockmap_dump::vmsa::machine::{PhysAddr, PhysRange};
use blockmap_layout::{AddError, FirmwareMap, Image};
use thiserror::Error;

/// Why a text tells of no memory.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum IomemError {
    /// Not of the form `START-END : NAME`.
    #[error("line {0} is not of the form `START-END : NAME`")]
    Line(usize),
    /// Every range is `0-0`: the kernel hides addresses from all but root.
    #[error("every address is zero: the kernel shows them to root only, so read it with sudo")]
    Hidden,
    /// No `System RAM`.
    #[error("there is no line `System RAM`")]
    NoMemory,
    /// The map has no room, or a range makes no sense.
    #[error("line {line}: {error}")]
    Range {
        /// The line, counted from one.
        line: usize,
        /// What is wrong.
        error: AddError,
    },
}

/// Whether `text` looks like `/proc/iomem`.
pub(crate) fn is_iomem(text: &str) -> bool {
    text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| parse(line).is_some())
}

/// What `/proc/iomem` tells: `System RAM` is memory, what is `reserved` below it is in use, and
/// `Kernel code` with `Kernel data` is the image, of which the code, constants included, is read-only
/// in the linear map.
///
/// # Errors
/// Names the first line that makes no sense.
pub(crate) fn read(text: &str) -> Result<FirmwareMap, IomemError> {
    let mut map = FirmwareMap::new();
    let (mut code, mut data) = (None, None);
    let mut are_hidden = true;
    for (line, content) in (1..).zip(text.lines()).filter(|(_, content)| !content.trim().is_empty())
    {
        let (first, last, name) = parse(content).ok_or(IomemError::Line(line))?;
        are_hidden &= (first, last) == (0, 0);
        let start = PhysAddr::new(first);
        let bytes = (last - first).saturating_add(1);
        let added = match name {
            "System RAM" => map.add_bank(start, bytes),
            "reserved" | "Reserved" if content.starts_with(' ') => map.add_reserved(start, bytes),
            "Kernel code" => {
                code = PhysRange::new(start, bytes);
                Ok(())
            }
            "Kernel data" => {
                data = PhysRange::new(start, bytes);
                Ok(())
            }
            _ => Ok(()),
        };
        added.map_err(|error| IomemError::Range { line, error })?;
    }
    if are_hidden {
        return Err(IomemError::Hidden);
    }
    if map.banks().is_empty() {
        return Err(IomemError::NoMemory);
    }
    if let Some(image) = image(code, data) {
        map.set_image(image);
    }
    Ok(map)
}

/// The image from its code, which on arm64 ends where the part that is only needed to start begins,
/// and its data.
fn image(code: Option<PhysRange>, data: Option<PhysRange>) -> Option<Image> {
    const ALIGNMENT: u64 = 2 << 20;
    /// Linux aligns the parts of its image so, whatever its granule is.
    const PART: u64 = 64 << 10;
    let (code, data) = (code?, data?);
    let start = code.start().align_down(ALIGNMENT);
    let load = PhysRange::new(start, data.last().offset_from(start)?.checked_add(1)?)?;
    // Where text ends and constants begin is not told, and makes no difference: both are read-only.
    let text = PhysRange::new(start, PART)?;
    let rest = text.end();
    let rodata = PhysRange::new(rest, code.end().align_up(PART)?.offset_from(rest)?)?;
    Some(Image { load, text, rodata })
}

/// The first and the last address of a line, and its name.
fn parse(line: &str) -> Option<(u64, u64, &str)> {
    let (range, name) = line.split_once(" : ")?;
    let (first, last) = range.trim().split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    let (first, last) = (address(first)?, address(last)?);
    (first <= last).then_some((first, last, name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
09000000-09000fff : pl011@9000000
40000000-33fffffff : System RAM
  40210000-4075ffff : Kernel code
  407d0000-4093bfff : Kernel data
  48000000-480fffff : reserved
";

    #[test]
    fn memory_reservations_and_the_image_are_found() {
        let map = read(TEXT).unwrap();
        assert!(is_iomem(TEXT));
        assert_eq!(map.banks(), [PhysRange::new(PhysAddr::new(1 << 30), 12 << 30).unwrap()]);
        assert_eq!(map.reserved().len(), 1);
        let image = map.image().unwrap();
        assert_eq!(image.load.start(), PhysAddr::new(0x4020_0000));
        assert_eq!(image.rodata.end(), PhysAddr::new(0x4076_0000));
    }

    #[test]
    fn what_tells_of_no_memory_says_why() {
        let hidden = "00000000-00000000 : System RAM\n";
        assert_eq!(read(hidden), Err(IomemError::Hidden));
        assert_eq!(read("1-2 : x\n"), Err(IomemError::NoMemory));
        assert_eq!(read("1-2 : x\nnothing\n"), Err(IomemError::Line(2)));
        assert_eq!(read("2-1 : x\n"), Err(IomemError::Line(1)));
        assert!(!is_iomem("512G@0"));
    }
}
