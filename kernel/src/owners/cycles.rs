//! All owners at random: memory is taken, changed, used and given back, in any order, and everything
//! at the end.
//!
//! Which step follows is drawn from a seed, so that a run can be replayed.

use blockmap::ViewChange;
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::Leaves;
use blockmap_kernel::archive::Archive;
use blockmap_kernel::frames::FRAME_BYTES;
use blockmap_kernel::monitor::Freed;

use super::guard::{self, Request};
use super::secret::{self, Sizes};
use super::{jit, modules, slots};
use crate::arch::probe;
use crate::cpus;
use crate::memory::System;

/// Owners at a time.
const MOST_LIVE: usize = 24;

/// `ret` is no instruction for a slot; this one leaves all registers as they are.
const NOP: u32 = 0xd503_201f;

/// Somebody's memory.
#[derive(Clone, Copy, Debug)]
enum Live {
    /// The loaded module with this place in the archive.
    Module(usize),
    /// Memory that the linear map does not show.
    Secret(u32),
    /// Programs made while the kernel runs.
    Pack(u32),
    /// An instruction to be run out of line.
    Slot(u32),
    /// An area that can't be written.
    Area(VirtRange),
    /// An object of the guard pool.
    Object(VirtAddr),
}

/// What came of it all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// How often memory was taken.
    pub(crate) taken: u64,
    /// How often it was used and found as it should be.
    pub(crate) used: u64,
    /// How often it was given back.
    pub(crate) given: u64,
    /// How often somebody was refused for want of room or memory.
    pub(crate) refused: u64,
    /// What was not as it should be.
    pub(crate) wrong: u64,
}

/// The owners of one run.
pub(crate) struct Cycles {
    system: &'static System<'static>,
    archive: Archive<'static>,
    /// What is drawn next; never zero.
    random: u64,
    live: [Option<Live>; MOST_LIVE],
    outcome: Outcome,
}

/// Makes `cycles` steps, each of which takes memory, uses it or gives it back, and then gives all of it
/// back.
pub(crate) fn run(
    system: &'static System<'static>,
    archive: Archive<'static>,
    (cycles, seed): (u64, u64),
) -> Outcome {
    let (live, outcome) = ([None; MOST_LIVE], Outcome::default());
    let mut run = Cycles { system, archive, random: seed | 1, live, outcome };
    (0..cycles).for_each(|_| run.step());
    (0..MOST_LIVE).for_each(|place| run.give(place));
    run.outcome
}

impl Cycles {
    /// A number below `limit`.
    fn draw(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) % limit
    }

    fn step(&mut self) {
        let most = u64::try_from(MOST_LIVE).unwrap_or(1);
        let place = usize::try_from(self.draw(most)).unwrap_or(0);
        match self.live.get(place).copied().flatten() {
            None => {
                let taken = self.take();
                *self.count(taken.is_some()) += 1;
                if let Some(place) = self.live.get_mut(place) {
                    *place = taken;
                }
            }
            Some(live) => {
                let is_right = self.is_right(live);
                if is_right {
                    self.outcome.used += 1;
                } else {
                    self.outcome.wrong += 1;
                }
                if self.draw(2) == 0 {
                    self.give(place);
                }
            }
        }
    }

    fn count(&mut self, is_taken: bool) -> &mut u64 {
        if is_taken { &mut self.outcome.taken } else { &mut self.outcome.refused }
    }

    /// Takes something, if there is room for it.
    fn take(&mut self) -> Option<Live> {
        let system = self.system;
        match self.draw(6) {
            0 => {
                let files = self.archive.files().flatten().count();
                let wanted = self.draw(u64::try_from(files.max(1)).unwrap_or(1));
                let file = usize::try_from(wanted).ok()?;
                modules::load(system, self.archive, self.name(file)?).ok()?;
                Some(Live::Module(file))
            }
            1 => {
                let sizes = Sizes::Equal(1 + self.draw(4), u32::try_from(self.draw(10)).ok()?);
                Some(Live::Secret(secret::take(system, sizes).ok()?.number))
            }
            2 => {
                let programs = u32::try_from(1 + self.draw(200)).ok()?;
                Some(Live::Pack(jit::make(system, programs).ok()?.number()))
            }
            3 => Some(Live::Slot(slots::put(system, NOP).ok()?.number())),
            4 => self.take_area().map(Live::Area),
            _ => {
                let bytes = 1 + self.draw(FRAME_BYTES);
                guard::ask(cpus::own(), Request::Take(bytes)).ok().map(Live::Object)
            }
        }
    }

    /// An area of which a part, and what the linear map shows of it, can't be written.
    fn take_area(&mut self) -> Option<VirtRange> {
        let pages = 1 + self.draw(700);
        let leaves = if self.draw(2) == 0 { Leaves::Largest } else { Leaves::Pages };
        let area = self.system.vmap(pages * FRAME_BYTES, leaves).ok()?;
        let first = self.draw(pages);
        let bytes = (1 + self.draw(pages - first)) * FRAME_BYTES;
        let part = VirtRange::new(area.start().wrapping_add(first * FRAME_BYTES), bytes)?;
        let narrowed = self.system.set_memory(part, ViewChange::ReadOnly);
        if narrowed.is_err() {
            self.free_area(area.start());
        }
        narrowed.ok().map(|()| part)
    }

    /// Whether it can be used as its owner may, and not otherwise.
    fn is_right(&mut self, live: Live) -> bool {
        match live {
            Live::Module(file) => self.name(file).is_some_and(|name| modules::run(name, 1).is_ok()),
            Live::Secret(number) => secret::pieces(number)
                .all(|piece| self.system.space().translate(piece.start()).is_none()),
            Live::Pack(number) => jit::run(number).is_ok(),
            Live::Slot(number) => slots::run(number, 7).is_ok_and(|value| value == 7),
            // SAFETY: if it can be written against all rights, it is nobody's but this run's.
            Live::Area(part) => unsafe { probe::write_u64(part.start(), 1) }.is_err(),
            // SAFETY: the object is this run's.
            Live::Object(object) => unsafe { probe::write_u64(object.align_down(8), 1) }.is_ok(),
        }
    }

    /// Gives back what is in that place, if anything is.
    fn give(&mut self, place: usize) {
        let Some(live) = self.live.get_mut(place).and_then(Option::take) else { return };
        let system = self.system;
        let is_given = match live {
            Live::Module(file) => {
                self.name(file).is_some_and(|name| modules::unload(system, name).is_ok())
            }
            Live::Secret(number) => secret::free(system, number).is_ok(),
            Live::Pack(number) => jit::free(system, number).is_ok(),
            Live::Slot(number) => slots::free(system, number).is_ok(),
            Live::Area(part) => self.free_area(part.start()),
            Live::Object(object) => guard::ask(cpus::own(), Request::Give(object)).is_ok(),
        };
        if is_given {
            self.outcome.given += 1;
        } else {
            self.outcome.wrong += 1;
        }
    }

    /// Frees the area that this address is in, whatever was made of it; tells whether it is free.
    fn free_area(&self, address: VirtAddr) -> bool {
        let mut areas = (0..).map_while(|number| self.system.area(number));
        areas
            .find(|area| area.range.contains(address))
            .is_some_and(|area| self.system.vunmap(area.range.start(), Freed::Reset).is_ok())
    }

    fn name(&self, file: usize) -> Option<&'static str> {
        self.archive.files().flatten().nth(file).map(|file| file.name)
    }
}
