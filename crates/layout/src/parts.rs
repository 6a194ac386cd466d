//! The kernel image as a sequence of parts, each with its purpose.

use blockmap_vmsa::machine::{PhysAddr, PhysRange};

use crate::firmware::Image;
use crate::paint::Purpose;

/// A part of the image and what it is for.
pub(crate) type Part = (PhysRange, Purpose);

/// The image's parts in ascending order: they touch, and neighbours differ in purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    places: [Option<Part>; Self::MOST],
}

impl Parts {
    /// Text and rodata, and what lies before, between and after them.
    const MOST: usize = 5;

    /// No image.
    pub(crate) const NONE: Self = Self { places: [None; Self::MOST] };

    /// The parts of `image`, whose text and rodata are disjoint pages of it. It occupies `pages`.
    pub(crate) fn new(image: &Image, pages: PhysRange) -> Self {
        let (lower, higher) = if image.text.start() < image.rodata.start() {
            (image.text, image.rodata)
        } else {
            (image.rodata, image.text)
        };
        if lower.end() == higher.start()
            && let Some(both) = PhysRange::inclusive(lower.start(), higher.last())
        {
            return Self {
                places: [
                    data(pages.start(), both.start()),
                    Some((both, Purpose::ImageReadOnly)),
                    data(both.end(), pages.end()),
                    None,
                    None,
                ],
            };
        }
        Self {
            places: [
                data(pages.start(), lower.start()),
                Some((lower, Purpose::ImageReadOnly)),
                data(lower.end(), higher.start()),
                Some((higher, Purpose::ImageReadOnly)),
                data(higher.end(), pages.end()),
            ],
        }
    }

    pub(crate) const fn as_slice(&self) -> &[Option<Part>] {
        self.places.as_slice()
    }
}

/// Data from `start` to below `end`, if there is any.
fn data(start: PhysAddr, end: PhysAddr) -> Option<Part> {
    let range = PhysRange::new(start, end.offset_from(start)?)?;
    Some((range, Purpose::ImageData))
}
