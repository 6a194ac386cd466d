//! An area: how 2 MiB become executable memory, and plain memory again.

use blockmap::machine::{PhysRange, VirtRange};
use blockmap::vmsa::{Access, Attributes, Change, Leaves, Mair, Shareability};
use blockmap::{CarveError, Grain, Mapping, PartError};
use blockmap_kernel::areas::Areas;
use blockmap_kernel::frames::{FRAME_BYTES, Purpose as FramePurpose};
use blockmap_kernel::pages::Pages;
use blockmap_kernel::trace::Record;

use super::{ExecutableError, Purpose};
use crate::lock::Lock;
use crate::memory::address_map::MODULES_RANGE;
use crate::memory::carved::Owned;
use crate::memory::system::System;

/// Log2 of an area's pages.
const ORDER: u32 = 9;

/// Bytes of an area.
pub(super) const AREA_BYTES: u64 = FRAME_BYTES << ORDER;

/// What of the addresses for executable memory is in use.
static ADDRESSES: Lock<Areas> = Lock::new(Areas::new(MODULES_RANGE));

/// 2 MiB of executable memory.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) purpose: Purpose,
    /// Where it is executed, page by page.
    pub(super) text: Owned,
    /// What the linear map shows of it: read-only as long as it is an area.
    pub(super) alias: Owned,
    pub(super) pages: Pages,
    memory: PhysRange,
    system: &'static System<'static>,
}

impl Area {
    /// Changes what a part of it grants.
    pub(super) fn change(&self, part: VirtRange, change: Change) {
        done(self.text.change(part, change));
    }

    /// Has what was written to `part` be what is fetched from there. [code-clean-before-run]
    pub(super) fn publish(&self, part: VirtRange) {
        let offset = part.start().offset_from(self.text.range().start()).unwrap_or(0);
        let start = self.alias.range().start().wrapping_add(offset);
        // Caches are reached through the linear map: the part itself is invalid.
        if let Some(alias) = VirtRange::new(start, part.bytes()) {
            self.system.publish(alias);
        }
    }

    /// Says in the trace that instructions were stored to `part`.
    pub(super) fn stored(&self, part: VirtRange) {
        let offset = part.start().offset_from(self.text.range().start()).unwrap_or(0);
        let memory = PhysRange::new(self.memory.start().wrapping_add(offset), part.bytes());
        if let Some(memory) = memory {
            self.system.recording().add(Record::Code(memory));
        }
    }
}

impl System<'static> {
    /// A new area, all of it invalid and in no part.
    pub(super) fn make_area(&'static self, purpose: Purpose) -> Result<Area, ExecutableError> {
        let memory = self.frame_states().allocate_block(FramePurpose::Data, ORDER);
        let memory = memory.ok_or(ExecutableError::NoMemory)?;
        let range = ADDRESSES.lock().take(AREA_BYTES);
        let made = range.map_err(ExecutableError::from).and_then(|range| {
            self.own_area(range, memory).inspect_err(|_| {
                ADDRESSES.lock().give_back(range.start());
            })
        });
        match made {
            Ok((text, alias)) => {
                done(text.change(text.range(), Change::Invalid));
                done(alias.change(alias.range(), Change::ReadOnly));
                Ok(Area { purpose, text, alias, pages: Pages::new(), memory, system: self })
            }
            Err(error) => {
                self.free_area(memory);
                Err(error)
            }
        }
    }

    /// Maps `memory` at `range`, and owns that and what the linear map shows of it. What can fail
    /// last is what would leave smaller leaves behind.
    fn own_area(
        &'static self,
        range: VirtRange,
        memory: PhysRange,
    ) -> Result<(Owned, Owned), ExecutableError> {
        let alias = self.linear_range(memory).ok_or(ExecutableError::NoMemory)?;
        self.map_recorded(Mapping {
            range,
            output: memory.start(),
            attributes: Attributes {
                memory: Mair::NORMAL,
                shareability: Shareability::Inner,
                access: Access::ReadWrite,
            },
            leaves: Leaves::Pages,
        })?;
        let owned = self.carve(range, Grain::Bytes(FRAME_BYTES)).and_then(|text| {
            let alias = self.carve(alias, Grain::Whole)?;
            Ok::<_, CarveError>((text, alias))
        });
        // What was carved of it is restored by now.
        owned.map_err(|error| {
            self.unmap_area(range);
            error.into()
        })
    }

    /// Makes plain memory of an area that no part is in use of.
    pub(super) fn dissolve(&'static self, area: Area) {
        let Area { text, alias, memory, .. } = area;
        let range = text.range();
        // All of it is never executable, and read-only in the linear map until nothing is left of it
        // here.
        text.restore();
        self.unmap_area(range);
        ADDRESSES.lock().give_back(range.start());
        alias.restore();
        self.free_area(memory);
    }

    fn unmap_area(&self, range: VirtRange) {
        self.recording().intend_unmap(range);
        let result = self.space().unmap(range, &Self::may_park());
        self.recording().ended(&result);
        // INVARIANT: it consists of pages, all mapped, and nobody owns them.
        if let Err(error) = result {
            unreachable!("an area can't be unmapped: {error}");
        }
    }

    fn free_area(&self, memory: PhysRange) {
        if let Err(error) = self.frame_states().free_block(FramePurpose::Data, memory) {
            panic!("an area's memory can't be freed: {error}");
        }
    }
}

/// Sees that a change of what is carved was made: all of it is an area's, and no leaf goes from
/// writable to executable at once.
fn done(result: Result<(), PartError>) {
    if let Err(error) = result {
        unreachable!("executable memory can't be changed: {error}");
    }
}
