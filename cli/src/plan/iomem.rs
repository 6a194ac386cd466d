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
/// and its data. Code that reaches beyond the data is no kernel's.
fn image(code: Option<PhysRange>, data: Option<PhysRange>) -> Option<Image> {
    const ALIGNMENT: u64 = 2 << 20;
    /// Linux aligns the parts of its image so, whatever its granule is.
    const PART: u64 = 64 << 10;
    let (code, data) = (code?, data?);
    let start = code.start().align_down(ALIGNMENT);
    let load = PhysRange::inclusive(start, data.last())?;
    // Where text ends and constants begin is not told, and makes no difference: both are read-only.
    let text = PhysRange::new(start, PART)?;
    let rest = text.end();
    let rodata = PhysRange::new(rest, code.end().align_up(PART)?.offset_from(rest)?)?;
    let is_whole = load.covers(text) && load.covers(rodata);
    is_whole.then_some(Image { load, text, rodata })
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
mod tests;
