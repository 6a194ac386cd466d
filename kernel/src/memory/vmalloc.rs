//! Memory mapped where addresses are plenty: areas of the vmalloc range, made of whatever frames are
//! free.

use core::ops::ControlFlow;

use blockmap::machine::{PhysRange, VirtAddr, VirtRange};
use blockmap::vmsa::{Access, Attributes, Leaves, Mair, Shareability};
use blockmap::{MapError, Mapping, Platform, UnmapError, ViewError};
use blockmap_kernel::areas::{Area, AreaError, UseError};
use blockmap_kernel::frames::{FRAME_BYTES, Purpose};
use blockmap_kernel::monitor::Freed;
use thiserror::Error;

mod purge;
mod set_memory;

pub(crate) use purge::Waiting;

use super::system::System;

/// Log2 of the most frames that are asked for together: a run of blocks, 32 MiB.
const RUN_ORDER: u32 = 13;

/// Pieces of memory that are collected before they are unmapped, all by one operation.
const PIECES: usize = 64;

/// Why there is no new area. Nothing is mapped, and no frame is taken.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum VmapError {
    /// There are no addresses.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// There are not enough free frames.
    #[error("{0:#x} bytes of memory are not free")]
    NoMemory(u64),
    /// The tables can't be made.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Why an area was not freed, or not all of it.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum VunmapError {
    /// There is no such area, or it is not to be freed now. Nothing was changed.
    #[error(transparent)]
    Use(#[from] UseError),
    /// Aliases in the linear map, from this one on, do not grant what they did when the area was
    /// made. Nothing was changed.
    #[error(
        "the alias at {0} was narrowed: free the area with reset, or give the rights back first"
    )]
    Narrowed(VirtAddr),
    /// The area, or what the linear map shows of it, can't be reset. Nothing was changed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A part is not to be unmapped. What lies below it is unmapped; the area stays.
    #[error(transparent)]
    Unmap(#[from] UnmapError),
}

/// Physical pieces in the order of their addresses in an area.
struct Pieces {
    memory: [Option<PhysRange>; PIECES],
    /// How many bytes of the area they are.
    bytes: u64,
}

impl System<'_> {
    /// Maps `bytes` of free memory, a multiple of the page, read-write and never executable: the largest
    /// pieces of up to 32 MiB that are free, in the largest leaves or in pages. What it holds is what was
    /// left there.
    ///
    /// # Errors
    /// See [`VmapError`].
    pub(crate) fn vmap(&self, bytes: u64, leaves: Leaves) -> Result<VirtRange, VmapError> {
        match self.try_vmap(bytes, leaves) {
            // What waits to be purged may be what is missing.
            Err(VmapError::Area(_) | VmapError::NoMemory(_)) if self.purge() > 0 => {
                self.try_vmap(bytes, leaves)
            }
            result => result,
        }
    }

    fn try_vmap(&self, bytes: u64, leaves: Leaves) -> Result<VirtRange, VmapError> {
        let area = self.areas().lock().take(bytes)?;
        let (mut mapped, mut most) = (0, RUN_ORDER);
        while mapped < bytes {
            match self.vmap_piece((area, mapped), leaves, &mut most) {
                Ok(piece) => mapped += piece.bytes(),
                Err(error) => {
                    if let Some(part) = VirtRange::new(area.start(), mapped)
                        && let Err(error) = self.unmap_part(part)
                    {
                        unreachable!("what was mapped a moment ago can't be unmapped: {error}")
                    }
                    self.areas().lock().give_back(area.start());
                    return Err(error);
                }
            }
        }
        self.areas().lock().settle(area.start());
        Ok(area)
    }

    /// The area of that number, counted from the lowest addresses.
    pub(crate) fn area(&self, number: usize) -> Option<Area> {
        self.areas().lock().all().get(number).copied()
    }

    /// Unmaps the area at `start`; its addresses and its frames are free once it is purged. With
    /// [`Freed::Reset`] aliases that were narrowed get all their rights back first: that can't fail.
    ///
    /// Frames whose pages in the linear map somebody else narrowed stay with whoever did that.
    ///
    /// # Errors
    /// See [`VunmapError`].
    pub(crate) fn vunmap(&self, start: VirtAddr, freed: Freed) -> Result<(), VunmapError> {
        let area = self.areas().lock().take_at(start)?;
        let narrowed = self.first_narrowed(area);
        let unmapped = match (freed, narrowed) {
            (Freed::AsItIs, Some(alias)) => Err(VunmapError::Narrowed(alias)),
            (Freed::Reset, Some(_)) => {
                let reset = self.reset_memory(area).map_err(VunmapError::from);
                reset.and_then(|()| self.unmap_part(area).map_err(VunmapError::from))
            }
            (Freed::AsItIs | Freed::Reset, None) => {
                self.retire(area).inspect_err(|_| self.areas().lock().settle(start))?;
                return Ok(());
            }
        };
        let mut areas = self.areas().lock();
        match unmapped {
            Ok(()) => drop(areas.give_back(start)),
            Err(_) => areas.settle(start),
        }
        unmapped
    }

    /// Maps the next piece of `area`, of which the first `mapped` bytes are. Pieces of more than 2^`most`
    /// pages were not free.
    fn vmap_piece(
        &self,
        (area, mapped): (VirtRange, u64),
        leaves: Leaves,
        most: &mut u32,
    ) -> Result<PhysRange, VmapError> {
        let left = area.bytes() - mapped;
        let start = area.start().wrapping_add(mapped);
        // A piece starts at a multiple of its size, here and in memory.
        let fits = (left / FRAME_BYTES).ilog2().min(start.value().trailing_zeros() - 12);
        let largest = fits.min(*most);
        let allocate = |order| {
            let memory = self.frame_states().allocate_block(Purpose::Data, order)?;
            Some((order, memory))
        };
        let (order, memory) =
            (0..=largest).rev().find_map(allocate).ok_or(VmapError::NoMemory(left))?;
        if order < largest {
            *most = order;
        }
        let mapping = VirtRange::new(start, memory.bytes()).map(|range| Mapping {
            range,
            output: memory.start(),
            attributes: Attributes {
                memory: Mair::NORMAL,
                shareability: Shareability::Inner,
                access: Access::ReadWrite,
            },
            leaves,
        });
        let result = mapping.map_or(Ok(()), |mapping| self.map_recorded(mapping));
        if let Err(error) = result {
            self.free_data(memory);
            return Err(error.into());
        }
        Ok(memory)
    }

    /// Maps, and records what is meant by it.
    pub(crate) fn map_recorded(&self, mapping: Mapping) -> Result<(), MapError> {
        self.recording().intend_map(self.geometry(), mapping);
        let result = self.space().map(mapping);
        self.recording().ended(&result);
        result
    }

    /// Unmaps `range`, all of it mapped, and frees its frames: many pieces by one operation.
    fn unmap_part(&self, range: VirtRange) -> Result<(), UnmapError> {
        let mut rest = Some(range);
        while let Some(left) = rest {
            let pieces = self.pieces_of(left);
            let part = VirtRange::new(left.start(), pieces.bytes).unwrap_or(left);
            self.recording().intend_unmap(part);
            let result = self.space().unmap(part, &Self::may_park());
            self.recording().ended(&result);
            result?;
            pieces.memory.into_iter().flatten().for_each(|memory| self.free_data(memory));
            let start = left.start().wrapping_add(part.bytes());
            rest = VirtRange::new(start, left.bytes() - part.bytes());
        }
        Ok(())
    }

    /// The memory of the first pieces of `range`, up to the first address that is not mapped.
    fn pieces_of(&self, range: VirtRange) -> Pieces {
        let mut pieces = Pieces { memory: [None; PIECES], bytes: 0 };
        let mut places = pieces.memory.iter_mut();
        self.space().each_piece(range, |shown, memory| {
            if shown.start() != range.start().wrapping_add(pieces.bytes) {
                return ControlFlow::Break(());
            }
            let Some(place) = places.next() else { return ControlFlow::Break(()) };
            *place = Some(memory);
            pieces.bytes += memory.bytes();
            ControlFlow::Continue(())
        });
        pieces
    }

    /// Gives back the frames of `memory` that the linear map shows as it shows free ones.
    fn free_data(&self, memory: PhysRange) {
        let free = |range| {
            if let Err(error) = self.frame_states().free_block(Purpose::Data, range) {
                panic!("an area's memory can't be freed: {error}");
            }
        };
        if self.is_plain(memory) {
            return free(memory);
        }
        (0..memory.bytes() / FRAME_BYTES)
            .filter_map(|frame| {
                PhysRange::new(memory.start().wrapping_add(frame * FRAME_BYTES), FRAME_BYTES)
            })
            .filter(|frame| self.is_plain(*frame))
            .for_each(free);
    }

    /// Whether the linear map shows all of `memory` as readable and writable.
    fn is_plain(&self, memory: PhysRange) -> bool {
        self.linear_range(memory).is_some_and(|range| self.space().is_writable(range))
    }
}
