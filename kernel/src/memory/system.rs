//! The running kernel's memory, and what changes it. `system/platform.rs` has it as the engine's
//! platform.

mod platform;
mod tables;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use blockmap::dump::Tree;
use blockmap::layout::{LinearMap, MemoryMap};
use blockmap::machine::{PhysAddr, PhysRange, VirtRange};
use blockmap::vmsa::Change;
use blockmap::vmsa::descriptor::Asids;
use blockmap::{Execution, Platform, ProtectError, Reader, Refusal, Space, publish_code};
use blockmap_hw::Window;
use blockmap_kernel::areas::Areas;
use blockmap_kernel::entrance::Entrance;
use blockmap_kernel::frames::{Counts, Frames, State};
use blockmap_kernel::identity::Needs;
use blockmap_kernel::own::Own;
use blockmap_kernel::trace::{BeginError, Origin, Recording, TraceText};

use super::address_map::{IMAGE_SIDE, VMALLOC_RANGE};
use super::alias;
use super::change::ChangeError;
use super::heal::Healing;
use super::recorded::Recorded;
use super::reserve::Reserve;
use super::vmalloc::Waiting;
use super::witnessed::WitnessedEntrance;
use crate::cpus::{self, MayPark, MayParkError, Policy};
use crate::lock::Lock;

/// The kernel's memory: its CPU, frames, locks and table reserve.
#[derive(Debug)]
pub(crate) struct System<'a> {
    cpu: Recorded<'a>,
    origin: Origin,
    linear: LinearMap,
    frames: Frames<'a>,
    /// What of the vmalloc range is in use.
    areas: Lock<Areas>,
    /// What of it was freed, and is not purged.
    waiting: Waiting,
    /// The memory that the kernel itself runs on: the image, and what the zone maps.
    own: Own,
    /// Who works on the tables, and what all admitted CPUs agree on.
    entrance: WitnessedEntrance,
    reserve: Reserve,
    /// Tables that may still be allocated: `fail-tables=`.
    allowance: AtomicU32,
    needs: Needs,
    policy: Policy,
    window_table: AtomicU64,
    /// Whether pages were made of what was painted.
    pub(super) repainted: AtomicBool,
    pub(super) healing: Healing,
    /// Whether leaves belong to one ASID.
    non_global: AtomicBool,
}

/// What a running system is made of.
pub(super) struct Parts<'a> {
    pub(super) cpu: Recorded<'a>,
    /// What there is besides: root, terms, CPU.
    pub(super) origin: Origin,
    pub(super) frames: Frames<'a>,
    pub(super) own: Own,
    pub(super) fail_tables: Option<u32>,
    pub(super) needs: Needs,
    pub(super) policy: Policy,
    pub(super) window_table: PhysAddr,
}

impl<'a> System<'a> {
    /// The system whose memory `memory` says.
    pub(super) fn new(memory: &MemoryMap, parts: Parts<'a>) -> Self {
        Self {
            cpu: parts.cpu,
            origin: parts.origin,
            linear: memory.linear(),
            frames: parts.frames,
            areas: Lock::new(Areas::new(VMALLOC_RANGE)),
            waiting: Waiting::new(),
            own: parts.own,
            entrance: WitnessedEntrance::new(parts.origin.terms),
            reserve: Reserve::new(),
            allowance: AtomicU32::new(parts.fail_tables.unwrap_or(u32::MAX)),
            needs: parts.needs,
            policy: parts.policy,
            window_table: AtomicU64::new(parts.window_table.value()),
            repainted: AtomicBool::new(false),
            healing: Healing::new(),
            non_global: AtomicBool::new(false),
        }
    }

    /// The kernel's tables.
    pub(crate) const fn space(&self) -> Space<'_, Self> {
        Space::new(self, self.origin.root)
    }

    /// Proof that the caller may wait for other CPUs.
    ///
    /// # Panics
    /// If it may not: whoever changes sizes does so with interrupts on and no lock held.
    pub(crate) fn may_park() -> MayPark {
        MayPark::check().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where the image was loaded.
    pub(super) const fn load(&self) -> PhysAddr {
        self.origin.load
    }

    /// The root of the kernel's tables.
    pub(crate) const fn root(&self) -> PhysAddr {
        self.origin.root
    }

    /// What the map asks of a CPU that is to use it.
    pub(crate) const fn needs(&self) -> Needs {
        self.needs
    }

    /// What terms are made of, besides CPUs.
    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The entrance to the tables, whose terms change when CPUs come and go.
    pub(crate) fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// The CPU that executes this, as a machine.
    pub(super) const fn recorded(&self) -> &Recorded<'a> {
        &self.cpu
    }

    /// The table that maps the pinned windows.
    pub(super) fn window_table(&self) -> PhysAddr {
        PhysAddr::new(self.window_table.load(Ordering::Relaxed))
    }

    /// Another table maps them.
    pub(super) fn set_window_table(&self, table: PhysAddr) {
        self.window_table.store(table.value(), Ordering::Relaxed);
    }

    /// Which ASIDs leaves belong to that are made from now on.
    pub(crate) fn leaf_asids(&self) -> Asids {
        if self.non_global.load(Ordering::Relaxed) { Asids::One } else { Asids::Every }
    }

    /// Has leaves belong to these ASIDs that are made from now on.
    pub(super) fn set_leaf_asids(&self, asids: Asids) {
        self.non_global.store(asids == Asids::One, Ordering::Relaxed);
    }

    /// How many frames are in which state.
    pub(crate) fn frames(&self) -> Counts {
        self.frames.counts()
    }

    /// The linear map's view of the kernel's image.
    pub(super) fn image_alias(&self) -> Option<VirtRange> {
        self.linear_range(self.own.image())
    }

    /// The states of all frames.
    pub(crate) const fn frame_states(&self) -> &Frames<'a> {
        &self.frames
    }

    /// What of the vmalloc range is in use.
    pub(super) const fn areas(&self) -> &Lock<Areas> {
        &self.areas
    }

    /// What was freed, and is not purged.
    pub(super) const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// The linear map.
    pub(super) const fn linear(&self) -> LinearMap {
        self.linear
    }

    /// Where the linear map shows `memory`.
    pub(crate) fn linear_range(&self, memory: PhysRange) -> Option<VirtRange> {
        self.linear.input_range(memory)
    }

    /// The memory that `range` of the linear map shows; `None` outside the linear map.
    #[inline]
    pub(crate) fn memory_of(&self, range: VirtRange) -> Option<PhysRange> {
        self.linear.output_range(range)
    }

    /// How memory is reached whose physical address is known.
    pub(crate) const fn window(&self) -> Window {
        let (base, memstart) = (self.linear.base().value(), self.linear.memstart().value());
        Window::Linear { offset: base.wrapping_sub(memstart) }
    }

    /// The account of what is done to the tables.
    pub(crate) const fn recording(&self) -> &Recording<'a> {
        self.cpu.recording()
    }

    /// The same as text.
    pub(crate) const fn trace_text(&self) -> TraceText<'_> {
        TraceText { recording: self.recording(), origin: self.origin }
    }

    /// Begins the account anew, with what the tables hold now.
    pub(crate) fn begin_trace(&self) -> Result<(), BeginError> {
        self.recording().begin()?;
        let reader = self.space().reader();
        self.recording().add_tables(self.tree(&reader), &reader);
        cpus::record_members(self.recording(), &self.policy);
        Ok(())
    }

    /// Changes what the leaves of `range` grant, and records what is meant by it.
    ///
    /// Free frames whose rights are taken away belong to whoever does so from then on: the
    /// allocator would hand them out as if they could be written. Code that becomes executable, or
    /// valid while it is, is made fetchable first. [code-clean-before-run]
    pub(crate) fn protect(&self, range: VirtRange, change: Change) -> Result<(), ChangeError> {
        if self.recording().is_on() {
            self.recording().intend_change(self.tree(&self.space().reader()), range, change);
        }
        let result = self.protect_pages(range, change);
        self.recording().ended(&result);
        result
    }

    fn protect_pages(&self, range: VirtRange, change: Change) -> Result<(), ChangeError> {
        self.refuse_free_pages(range)?;
        self.refuse_second_view(range, change)?;
        let (space, may_park) = (self.space(), MayPark::check());
        if let Err(why @ MayParkError::Masked) = may_park {
            return Err(ChangeError::NotHere(why));
        }
        let memory =
            self.changeable_memory(range).map_err(|why| ProtectError::Refused { range, why })?;
        let before = || self.before_change((range, memory), change);
        let execution = space.protect_after(range, change, may_park.as_ref().ok(), &before)?;
        // While a page is invalid nothing can be done to its lines; nobody runs it before this
        // returns.
        if change == Change::Valid && execution == Execution::Possible {
            self.publish(range);
        }
        Ok(())
    }

    /// The memory that `range` shows, if it is of the linear map; or why nothing of it may change, whatever
    /// is there.
    #[inline]
    fn changeable_memory(&self, range: VirtRange) -> Result<Option<PhysRange>, Refusal> {
        match self.memory_of(range) {
            None if range.overlaps(IMAGE_SIDE) => Err(Refusal::ImageZone),
            None => Ok(None),
            Some(memory) if self.is_own(memory) => Err(Refusal::ImageAlias),
            Some(memory) => Ok(Some(memory)),
        }
    }

    /// Whether the kernel itself runs on some of `memory`, and the caller is not who changes its view.
    #[inline]
    fn is_own(&self, memory: PhysRange) -> bool {
        self.own.overlaps(memory) && !alias::is_changed_here()
    }

    /// Refuses where `memory` holds tables now.
    fn holds_tables(&self, memory: PhysRange) -> Result<(), Refusal> {
        self.frames.first_in(State::Table, memory).map_or(Ok(()), |_| Err(Refusal::Tables))
    }

    /// What is to be done before leaves of `range`, which show `memory` of the linear map, change, when
    /// nothing else but parking can fail.
    ///
    /// Frames that are free may become tables at any time, until they are claimed: the claim tells
    /// which are. Tables are readable, writable and never executable, so what gives back a right, or takes
    /// away that to execute, changes nothing of them.
    #[inline]
    fn before_change(
        &self,
        (range, memory): (VirtRange, Option<PhysRange>),
        change: Change,
    ) -> Result<(), Refusal> {
        match (change, memory) {
            (Change::ReadOnly | Change::Invalid, Some(memory)) => {
                self.frames.claim_free(memory).map_or(Ok(()), |_| Err(Refusal::Tables))
            }
            (Change::Execute, _) => {
                self.publish(range);
                Ok(())
            }
            (Change::ReadOnly | Change::Invalid, None)
            | (Change::ReadWrite | Change::NoExecute | Change::Valid, _) => Ok(()),
        }
    }

    /// Makes what was written to the valid pages of `range` what is fetched from there: at once if
    /// all of them are valid.
    pub(super) fn publish(&self, range: VirtRange) {
        let page = self.geometry().page_bytes();
        let pages = || {
            (0..range.bytes() / page).filter_map(|number| {
                VirtRange::new(range.start().wrapping_add(number * page), page)
            })
        };
        let is_valid = |page: &VirtRange| self.space().translate(page.start()).is_some();
        let publish = |part: VirtRange| {
            if let Some(memory) = self.memory_of(part) {
                publish_code(&self.cpu, memory);
            }
        };
        if pages().all(|page| is_valid(&page)) {
            publish(range);
        } else {
            pages().filter(is_valid).for_each(publish);
        }
    }

    pub(super) fn tree<'r>(&self, reader: &'r Reader<'r, Self>) -> Tree<'r, Reader<'r, Self>> {
        Tree::new(self.geometry(), self.origin.root, reader)
    }
}
