//! Executable memory: areas of 2 MiB, each for one purpose, carved once and handed out in parts.
//!
//! | a page is | at its own address | through the linear map |
//! |---|---|---|
//! | in no part | invalid | read-only |
//! | being written | read-write, never executable | read-only |
//! | text in use | read-only, executable | read-only |
//! | constants in use | read-only | read-only |
//! | data in use | read-write | read-only |
//!
//! So a frame has one mapping by which it may be written or executed, and never by both: while it is
//! written nobody else knows the address, and between writing and executing it is invalid, and every
//! TLB is without it. [narrow-then-widen] That costs one invalidation when a part is taken into use
//! and one when it is given back, and no memory, lock or other CPU: what is invalid is in no TLB,
//! and changes without. [invalid-is-never-cached] A window at other addresses would cost the same
//! and be one more mapping to keep an eye on.
//!
//! The linear map keeps its block of 2 MiB.

mod area;

use core::ops::Range;

use blockmap::machine::VirtRange;
use blockmap::vmsa::Change;
use blockmap::{CarveError, MapError};
use blockmap_kernel::areas::AreaError;
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::module::Parts;
use thiserror::Error;

use super::system::System;
use crate::cpus::MayPark;
use crate::lock::Lock;
use area::{AREA_BYTES, Area};

/// Areas at a time.
const MOST_AREAS: usize = 32;

/// What executable memory is for. An area is for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Objects that are loaded, with their constants and data.
    Module,
    /// Single instructions, run somewhere else than where they were found.
    Slot,
    /// Programs made while the kernel runs.
    Jit,
}

impl Purpose {
    /// As in "an area for modules".
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Module => "modules",
            Self::Slot => "slots",
            Self::Jit => "JIT packs",
        }
    }
}

/// Why no executable memory is had. Nothing is mapped or carved that wasn't before.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum ExecutableError {
    /// A part is one or more bytes, and lies in one area.
    #[error("{0:#x} bytes are no part of an area: take 1 to {AREA_BYTES:#x}")]
    Size(u64),
    /// There is no place to remember another area.
    #[error("{MOST_AREAS} areas of executable memory are the most: unload something first")]
    TooMany,
    /// There are no addresses.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// There is no free memory in one piece.
    #[error("{AREA_BYTES:#x} bytes of memory in one piece are not free")]
    NoMemory,
    /// The area can't be mapped.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The area, or what the linear map shows of it, can't be carved.
    #[error(transparent)]
    Carve(#[from] CarveError),
}

static AREAS: Lock<[Option<Area>; MOST_AREAS]> = Lock::new([const { None }; MOST_AREAS]);

/// Pages of an area, in some state. Dropped, they are invalid and in no part.
#[derive(Debug)]
struct Held {
    area: usize,
    pages: Range<u32>,
    range: VirtRange,
    /// What is in use; nothing while it is written.
    parts: Parts,
}

/// Executable memory that is being written. Holding one tells that it is mapped read-write and
/// never executable, that nobody else knows its address, and that the linear map shows it
/// read-only.
#[derive(Debug)]
#[must_use = "what is not taken into use is given back"]
pub(crate) struct Writing(Held);

/// Executable memory in use. Holding one tells that its text is read-only and executable, its
/// constants read-only, and its data read-write, and that all of it is read-only in the linear map.
///
/// Dropped, it is invalid everywhere, and the next one's. The area stays; see
/// [`System::release_executable`].
#[derive(Debug)]
#[must_use = "what is dropped is given back at once"]
pub(crate) struct Executable(Held);

/// An area, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AreaSeen {
    pub(crate) purpose: Purpose,
    pub(crate) text: VirtRange,
    pub(crate) alias: VirtRange,
    /// How many of its pages are in parts.
    pub(crate) pages: u32,
}

impl System<'static> {
    /// Executable memory of so many bytes, in whole pages, to be written: from an area that has room
    /// if there is one, which needs no memory and parks nobody; else from a new one, for which the
    /// caller's interrupts are on and it holds no lock. Never from an interrupt handler: the one that it
    /// interrupted may hold the lock of the areas.
    ///
    /// # Errors
    /// See [`ExecutableError`].
    pub(crate) fn take_executable(
        &'static self,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Writing, ExecutableError> {
        let count = u32::try_from(bytes.div_ceil(FRAME_BYTES)).unwrap_or(u32::MAX);
        if bytes == 0 || bytes > AREA_BYTES {
            return Err(ExecutableError::Size(bytes));
        }
        if let Some(part) = take_part(count, purpose) {
            return Ok(part);
        }
        let area = self.make_area(purpose)?;
        if let Some(area) = keep(area) {
            self.dissolve(area);
            return Err(ExecutableError::TooMany);
        }
        // Somebody else may have taken all of it meanwhile.
        take_part(count, purpose).ok_or(ExecutableError::NoMemory)
    }

    /// Gives back the areas that no part is in use of: their memory is free, and the linear map shows
    /// it as before. Where other CPUs may not be waited for, they stay until the next time.
    pub(crate) fn release_executable(&'static self) {
        while MayPark::check().is_ok() {
            let Some(area) = take_unused() else { return };
            self.dissolve(area);
        }
    }
}

/// All areas.
pub(crate) fn areas() -> impl Iterator<Item = AreaSeen> {
    (0..MOST_AREAS).filter_map(|place| {
        let areas = AREAS.lock();
        let area = areas.get(place)?.as_ref()?;
        Some(AreaSeen {
            purpose: area.purpose,
            text: area.text.range(),
            alias: area.alias.range(),
            pages: area.pages.used(),
        })
    })
}

/// A part of so many pages from an area that has room.
fn take_part(count: u32, purpose: Purpose) -> Option<Writing> {
    let mut areas = AREAS.lock();
    let fitting = areas.iter_mut().enumerate().find_map(|(place, area)| {
        let area = area.as_mut().filter(|area| area.purpose == purpose)?;
        Some((place, area.pages.take(count)?, area))
    });
    let (place, pages, area) = fitting?;
    let start = area.text.range().start().wrapping_add(u64::from(pages.start) * FRAME_BYTES);
    let range = VirtRange::new(start, u64::from(count) * FRAME_BYTES)?;
    area.change(range, Change::Valid);
    Some(Writing(Held { area: place, pages, range, parts: Parts::default() }))
}

/// Remembers an area; gives it back if there is no place.
fn keep(area: Area) -> Option<Area> {
    let mut areas = AREAS.lock();
    match areas.iter_mut().find(|place| place.is_none()) {
        Some(place) => place.replace(area),
        None => Some(area),
    }
}

/// Forgets an area that no part is in use of, if there is one.
fn take_unused() -> Option<Area> {
    let is_unused = |area: &mut Area| area.pages.is_unused();
    AREAS.lock().iter_mut().find_map(|place| place.take_if(is_unused))
}

impl Writing {
    /// Where it is, and will be executed.
    pub(crate) const fn range(&self) -> VirtRange {
        self.0.range
    }

    /// All of it, with whatever was there.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let address = usize::try_from(self.0.range.start().value()).unwrap_or(0);
        let bytes = usize::try_from(self.0.range.bytes()).unwrap_or(0);
        let start = core::ptr::with_exposed_provenance_mut::<u8>(address);
        // SAFETY: it is mapped read-write as long as this is borrowed, and nobody else knows of it.
        unsafe { core::slice::from_raw_parts_mut(start, bytes) }
    }

    /// Takes it into use: so many bytes of text, of constants and of data, all of them pages.
    ///
    /// # Panics
    /// If the parts are not all of it.
    pub(crate) fn seal(mut self, parts: Parts) -> Executable {
        assert_eq!(parts.bytes(), self.0.range.bytes(), "parts are all of what was taken");
        self.0.parts = parts;
        self.0.with_area(|held, area| {
            let Some(fixed) = held.fixed() else { return };
            if let Some(text) = held.text() {
                area.stored(text);
            }
            // From here on nobody writes, and no TLB lets anybody.
            area.change(fixed, Change::Invalid);
            area.change(fixed, Change::ReadOnly);
            if let Some(text) = held.text() {
                area.publish(text);
                area.change(text, Change::Execute);
            }
            area.change(fixed, Change::Valid);
        });
        Executable(self.0)
    }
}

impl Executable {
    /// Where it is.
    pub(crate) const fn range(&self) -> VirtRange {
        self.0.range
    }

    /// Where the linear map shows it.
    pub(crate) fn alias(&self) -> Option<VirtRange> {
        self.0.with_area(|held, area| {
            let offset = held.range.start().offset_from(area.text.range().start())?;
            let start = area.alias.range().start().wrapping_add(offset);
            VirtRange::new(start, held.range.bytes())
        })
    }

    /// To write it again: nobody may be executing it.
    pub(crate) fn reopen(mut self) -> Writing {
        self.0.close();
        self.0.with_area(|held, area| area.change(held.range, Change::Valid));
        Writing(self.0)
    }
}

impl Held {
    /// What is executed.
    fn text(&self) -> Option<VirtRange> {
        VirtRange::new(self.range.start(), self.parts.text)
    }

    /// What is not written while it is in use.
    fn fixed(&self) -> Option<VirtRange> {
        VirtRange::new(self.range.start(), self.parts.text + self.parts.rodata)
    }

    /// Nobody reaches it any more, and it may be written as soon as it is valid.
    fn close(&mut self) {
        self.with_area(|held, area| {
            area.change(held.range, Change::Invalid);
            if let Some(text) = held.text() {
                area.change(text, Change::NoExecute);
            }
            if let Some(fixed) = held.fixed() {
                area.change(fixed, Change::ReadWrite);
            }
        });
        self.parts = Parts::default();
    }

    fn with_area<T>(&self, what: impl FnOnce(&Self, &mut Area) -> T) -> T {
        let mut areas = AREAS.lock();
        // INVARIANT: an area with a part in use stays where it is.
        match areas.get_mut(self.area).and_then(Option::as_mut) {
            Some(area) => what(self, area),
            None => unreachable!("{} belongs to no area", self.range),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
        self.with_area(|held, area| area.pages.give_back(held.pages.clone()));
    }
}
