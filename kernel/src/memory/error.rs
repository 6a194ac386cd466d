//! Why there is no kernel map.

use blockmap::MapError;
use blockmap::layout::{AddError, MemoryMapError};
use blockmap::machine::PhysRange;
use blockmap_kernel::devicetree::TreeError;
use blockmap_kernel::frames::{FramesError, ReserveError};
use thiserror::Error;

use crate::arch::boot_window::CoverError;
use crate::referee::RefereeError;

/// Why the kernel's map was not painted or not taken into use. The machine can't go on.
#[derive(Debug, Error)]
pub(crate) enum StartError<'a> {
    /// The device tree's account of memory makes no sense by itself.
    #[error("device tree: {0}")]
    Tree(TreeError<'a>),
    /// It names more memory than there is room for, or nonsensical ranges.
    #[error("device tree: {0}")]
    Add(#[from] AddError),
    /// It does not fit together.
    #[error("memory map: {0}")]
    Memory(#[from] MemoryMapError),
    /// Firmware's device tree is not in memory that is mapped.
    #[error("the device tree at {0} is not in memory: have the boot loader put it there")]
    TreeNotInMemory(PhysRange),
    /// No free memory has room for the tables, the frames' states and the trace.
    #[error("no free memory in one piece for {0:#x} bytes of tables, frame states and trace=")]
    NoRoom(u64),
    /// The frames' states don't fit into the zone.
    #[error("{0:#x} bytes of frame states: more memory than the address map has room for")]
    TooMuchMemory(u64),
    /// The boot window can't show the arena.
    #[error("boot window: {0}")]
    Cover(#[from] CoverError),
    /// A mapping is impossible.
    #[error("{0}")]
    Map(#[from] MapError),
    /// The frames can't be kept account of.
    #[error("frames: {0}")]
    Frames(#[from] FramesError),
    /// Something that is in use already is in use twice.
    #[error("frames: {0}")]
    Reserve(#[from] ReserveError),
    /// No table maps the pinned windows.
    #[error("the image's map has no table for its pinned windows")]
    NoWindows,
    /// A referee was asked for, and can't be had.
    #[error("referee: {0}")]
    Referee(#[from] RefereeError),
}
