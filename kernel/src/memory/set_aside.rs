//! The memory that start-up sets aside, all of it in one piece.

use blockmap::layout::MemoryMap;
use blockmap::machine::PhysRange;
use blockmap_kernel::cmdline::GuardPool;
use blockmap_kernel::frames::{self, FRAME_BYTES};
use blockmap_kernel::guard::POOL_BYTES;
use blockmap_kernel::trace::Slot;

use super::address_map::FRAME_STATES_BYTES;
use super::error::StartError;
use super::stacks;
use crate::referee;

/// Tables for the image and the zone: a level 1 table, two of level 2, and one of pages for each
/// 2 MiB of the image and each end of what the zone maps, but for the stacks.
const IMAGE_SIDE_TABLES: u64 = 20;

/// Tables that a guard pool may take besides: those of the block that it lies in.
const POOL_TABLES: u64 = 2;

/// CPUs whose stacks one table of pages maps.
const CPUS_OF_TABLE: u64 = 32;

/// What the room is a multiple of: the boot window shows memory in blocks of this size, and the
/// zone's parts are blocks as far as they reach.
const ALIGNMENT: u64 = 2 << 20;

/// The memory that start-up sets aside: for a guard pool, the referee and the trace, if there are to
/// be any, the stacks of other CPUs, the frames' states and the tables, in ascending order.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetAside {
    /// For a guard pool that comes early: a whole block.
    pub(super) guard: Option<PhysRange>,
    /// For the referee: whole blocks.
    pub(super) referee: Option<PhysRange>,
    /// For the trace: whole blocks.
    pub(super) trace: Option<PhysRange>,
    /// For the stacks of all CPUs but the first; `None` if there is but one.
    pub(super) stacks: Option<PhysRange>,
    /// For the frames' states.
    pub(super) states: PhysRange,
    /// For all tables.
    pub(super) tables: PhysRange,
}

impl SetAside {
    /// Finds free memory for as many tables as the linear map was planned to take below the root,
    /// and those of the image side; for a trace of `records` records; for a referee that keeps
    /// `seen` of what it sees; for a guard pool that comes early; for the stacks of `cpus` CPUs; and
    /// for the frames' states.
    pub(super) fn find(
        memory: &MemoryMap,
        linear_tables: u64,
        (records, seen, cpus, guard): (Option<u32>, Option<u32>, u32, GuardPool),
    ) -> Result<Self, StartError<'static>> {
        let states = frames::bytes_needed(memory.banks())?.next_multiple_of(FRAME_BYTES);
        if states > FRAME_STATES_BYTES {
            return Err(StartError::TooMuchMemory(states));
        }
        let trace = records.map_or(0, |records| u64::from(records) * Slot::BYTES);
        let trace = trace.next_multiple_of(ALIGNMENT);
        let referee = seen.map_or(0, referee::bytes_needed);
        let (guard, pool_tables) = match guard {
            GuardPool::Early => (POOL_BYTES, POOL_TABLES),
            GuardPool::Off | GuardPool::Late => (0, 0),
        };
        let stacks = stacks::bytes_needed(cpus);
        let image_side = IMAGE_SIDE_TABLES + u64::from(cpus).div_ceil(CPUS_OF_TABLE);
        let tables = (1 + linear_tables + pool_tables + image_side) * FRAME_BYTES;
        // The boot window shows whole blocks: none may reach beyond free memory.
        let bytes =
            (referee + guard + trace + stacks + states + tables).next_multiple_of(ALIGNMENT);
        let no_room = || StartError::NoRoom(bytes);
        let start = frames::place((bytes, ALIGNMENT), memory.free()).ok_or_else(no_room)?.start();
        let before = guard + referee;
        let part = |offset, bytes| PhysRange::new(start.wrapping_add(offset), bytes);
        Ok(Self {
            referee: part(guard, referee),
            guard: part(0, guard),
            trace: part(before, trace),
            stacks: part(before + trace, stacks),
            states: part(before + trace + stacks, states).ok_or_else(no_room)?,
            tables: part(before + trace + stacks + states, tables).ok_or_else(no_room)?,
        })
    }

    /// What the kernel runs on for good, besides the tables: all that is below them but a guard pool.
    pub(super) fn zone(self) -> PhysRange {
        let first = self.referee.or(self.trace).or(self.stacks);
        let start = first.unwrap_or(self.states).start();
        let bytes = self.states.end().offset_from(start);
        bytes.and_then(|bytes| PhysRange::new(start, bytes)).unwrap_or(self.states)
    }
}
