//! Several CPUs that change the tables at once, each its own pages: in slots of its own, where nobody
//! waits for anybody, or all in one slot.

use blockmap::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap::vmsa::Change;
use blockmap_kernel::frames::{FRAME_BYTES, Purpose};
use blockmap_kernel::monitor::Spread;
use thiserror::Error;

use super::load::{mix, set_word, word};
use super::{Job, admitted, own, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::{per_cpu, probe};
use crate::memory::System;

/// The most pages of one CPU, each in a block of 2 MiB where nobody else has one.
const MOST_PAGES: u64 = 64;
const BLOCK: u64 = 2 << 20;
/// What a lock is for, with pages of 4 KiB.
const SLOT: u64 = 1 << 30;

/// Why no CPU, or not every CPU, made its changes.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum WritersError {
    /// Not enough of the memory that is looked at is free.
    #[error("CPU {0} finds no free pages in a slot for it: give the machine a GiB for each CPU")]
    NoPages(u32),
    /// It is still at it. Its pages stay taken.
    #[error("CPU {0} does not end")]
    Stuck(u32),
}

/// What a CPU did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// The CPU.
    pub(crate) cpu: u32,
    /// How many changes it made, each to read-only and back.
    pub(crate) changes: u64,
    /// How many of them were refused, or not in force when the engine said so.
    pub(crate) wrong: u64,
    /// How often it found a lock held by another CPU.
    pub(crate) waits: u64,
}

impl System<'static> {
    /// Has every CPU that is not loaded make so many changes, all at once, this one among them; tells
    /// `report` what each did.
    ///
    /// # Errors
    /// See [`WritersError`].
    pub(crate) fn compete(
        &'static self,
        changes: u64,
        spread: Spread,
        report: impl Fn(Written),
    ) -> Result<(), WritersError> {
        let idle = || admitted().filter(|cpu| job(*cpu).list().is_none());
        let count = u64::try_from(idle().count()).unwrap_or(u64::MAX);
        let mut result = Ok(());
        for place in 0..count {
            // Those before it are idle no more.
            let Some(cpu) = idle().next() else { break };
            let Some(list) = self.take_pages(spread, place, count) else {
                result = Err(WritersError::NoPages(cpu));
                break;
            };
            job(cpu).prepare_changes(list, changes);
        }
        let writers = || admitted().filter(|cpu| job(*cpu).has_changes());
        if result.is_ok() {
            writers().filter(|cpu| *cpu != own()).for_each(|cpu| {
                job(cpu).begin_changes();
                gic::send(Ipi::Wake, cpu);
            });
            writers().filter(|cpu| *cpu == own()).for_each(|cpu| {
                job(cpu).begin_changes();
                job(cpu).change();
            });
        }
        for cpu in writers() {
            if !ends(job(cpu)) {
                result = Err(WritersError::Stuck(cpu));
                continue;
            }
            if result.is_ok() {
                let (changes, wrong) = job(cpu).done();
                report(Written { cpu, changes, wrong, waits: job(cpu).waits() });
            }
            if let Some(list) = job(cpu).list() {
                self.give_pages(list);
            }
            job(cpu).forget_list();
        }
        result
    }

    /// Takes and lists free pages for the writer that is number `place` of `count`.
    fn take_pages(&self, spread: Spread, place: u64, count: u64) -> Option<VirtAddr> {
        let (slot, first, step) = match spread {
            Spread::Apart => (place, 0, 1),
            Spread::Together => (0, place, count),
        };
        let list = self.linear_address(self.frame_states().allocate(Purpose::Data)?)?;
        let blocks = (first..SLOT / BLOCK).step_by(usize::try_from(step).unwrap_or(1));
        let start = self.slot_memory(slot);
        let pages = blocks.filter_map(|block| {
            let page = mix(block, slot) % (BLOCK / FRAME_BYTES);
            self.claim(start?.wrapping_add(block * BLOCK + page * FRAME_BYTES))
        });
        let mut taken = 0;
        for page in pages.take(usize::try_from(MOST_PAGES).unwrap_or(usize::MAX)) {
            set_word(list, taken, page.value());
            taken += 1;
        }
        set_word(list, taken, 0);
        if taken == 0 {
            self.give_pages(list);
        }
        (taken > 0).then_some(list)
    }

    /// The memory that the linear map shows in its slot of this number, counted among those that
    /// are all memory.
    fn slot_memory(&self, number: u64) -> Option<PhysAddr> {
        let mut slots = self.frame_states().banks().flat_map(|bank| {
            let first = bank.start().align_up(SLOT);
            let whole = first.and_then(|first| PhysRange::inclusive(first, bank.last()));
            let slots = whole.map_or(0, |whole| whole.bytes() / SLOT);
            (0..slots).filter_map(move |slot| first?.checked_add(slot * SLOT))
        });
        slots.nth(usize::try_from(number).ok()?)
    }

    fn give_pages(&self, list: VirtAddr) {
        (0..MOST_PAGES).map(|place| word(list, place)).take_while(|page| *page != 0).for_each(
            |page| {
                self.give_frame(VirtAddr::new(page));
                if let Some(page) = VirtRange::new(VirtAddr::new(page), FRAME_BYTES) {
                    self.heal_later(page);
                }
            },
        );
        self.give_frame(list);
    }
}

/// Takes a right away from a page of `list`, the one of this number in turns, and gives it back:
/// whether both was in force when the engine said so.
pub(super) fn change(system: &System<'_>, list: VirtAddr, number: u64) -> bool {
    let pages = (0..MOST_PAGES).take_while(|place| word(list, *place) != 0).count();
    let pages = u64::try_from(pages).unwrap_or(1).max(1);
    let page = VirtAddr::new(word(list, number % pages));
    let Some(range) = VirtRange::new(page, FRAME_BYTES) else { return false };
    // SAFETY: the frame was taken for this, and the linear map shows it.
    let is_writable = || unsafe { probe::write_u64(page, number) }.is_ok();
    let narrowed = system.protect(range, Change::ReadOnly).is_ok() && !is_writable();
    let restored = system.protect(range, Change::ReadWrite).is_ok() && is_writable();
    narrowed && restored
}

/// Waits until a CPU has made its changes, as long as it makes some; tells whether it has.
fn ends(job: &Job) -> bool {
    while job.is_busy() {
        let before = job.done();
        if !wait_until(|| !job.is_busy() || job.done() != before) {
            return false;
        }
    }
    true
}

fn job(cpu: u32) -> &'static Job {
    &per_cpu::of(cpu).job
}
