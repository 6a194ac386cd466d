//! A load: reading and writing frames all over the linear map, and checking what is read.
//!
//! Each loaded CPU has frames of its own. The first lists the others: pairs of an address and a
//! count, ended by a zero address. A pass reads some words of each frame, which must be what the pass
//! before wrote there, and writes them anew.

use blockmap::machine::{PhysAddr, PhysRange, VirtAddr, VirtRange};
use blockmap_kernel::frames::{FRAME_BYTES, Purpose};
use thiserror::Error;

use super::admit::LeaveError;
use super::set::ADMITTED;
use super::{admitted, announced, own, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::per_cpu;
use crate::memory::System;

/// The most frames that a load uses; a list has room for 255.
const MOST_FRAMES: u64 = 240;
/// Words of each frame that are used, spread over it.
const WORDS: u64 = 8;
const STRIDE: u64 = FRAME_BYTES / WORDS;
const BLOCK: u64 = 2 << 20;

/// Why a CPU is not loaded, or not relieved.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum LoadError {
    /// There is no such CPU, it does not run, or it runs the monitor.
    #[error("CPU {0} does not run, or runs the monitor")]
    NotThere(u32),
    /// It is loaded already.
    #[error("CPU {0} is loaded already")]
    Loaded(u32),
    /// No frame is free for it.
    #[error("no frame is free for the load")]
    NoFrame,
    /// It goes on.
    #[error(transparent)]
    Busy(#[from] LeaveError),
}

impl System<'static> {
    /// Has a CPU read and write frames all over memory until [`System::end_load`].
    pub(crate) fn begin_load(&self, cpu: u32) -> Result<(), LoadError> {
        if cpu >= announced() || !ADMITTED.has(cpu) || cpu == own() {
            return Err(LoadError::NotThere(cpu));
        }
        let job = &per_cpu::of(cpu).job;
        if job.list().is_some() {
            return Err(LoadError::Loaded(cpu));
        }
        let list = self.take_frames(cpu).ok_or(LoadError::NoFrame)?;
        job.begin_load(list);
        gic::send(Ipi::Wake, cpu);
        Ok(())
    }

    /// Relieves a CPU, and gives its frames back. Nothing happens where there is no load.
    pub(crate) fn end_load(&self, cpu: u32) -> Result<(), LoadError> {
        if cpu >= announced() {
            return Err(LoadError::NotThere(cpu));
        }
        let job = &per_cpu::of(cpu).job;
        let Some(list) = job.list() else {
            return Ok(());
        };
        job.end_load();
        if !wait_until(|| !job.is_busy()) {
            return Err(LeaveError::Stuck(cpu).into());
        }
        job.forget_list();
        for place in 0..=MOST_FRAMES {
            match word(list, place * 2) {
                0 => break,
                frame => self.give_frame(VirtAddr::new(frame)),
            }
        }
        self.give_frame(list);
        Ok(())
    }

    /// Takes free frames spread over all memory, different ones for each CPU, and lists them.
    fn take_frames(&self, cpu: u32) -> Option<VirtAddr> {
        let list = self.linear_address(self.frame_states().allocate(Purpose::Data)?)?;
        let mut count = 0;
        for bank in self.frame_states().banks() {
            let step = (bank.bytes() / MOST_FRAMES).max(FRAME_BYTES);
            // Somewhere in each part of the bank, and somewhere else for the next CPU.
            for part in 0..bank.bytes() / step {
                let offset = (part * step + mix(part, u64::from(cpu)) % step) / FRAME_BYTES;
                let frame = bank.start().wrapping_add(offset * FRAME_BYTES);
                if count == MOST_FRAMES {
                    break;
                }
                if let Some(address) = self.claim(frame) {
                    set_word(list, count * 2, address.value());
                    set_word(list, count * 2 + 1, 0);
                    (0..WORDS).for_each(|word| {
                        set_word(address, word * STRIDE / 8, mix(address.value(), word));
                    });
                    count += 1;
                }
            }
        }
        set_word(list, count * 2, 0);
        Some(list)
    }

    /// Takes a free page somewhere in memory: a different block of 2 MiB for each of the first
    /// numbers, as far as there are blocks.
    pub(crate) fn claim_some_page(&self, number: u64) -> Option<VirtRange> {
        let blocks: u64 = self.frame_states().banks().map(|bank| bank.bytes() / BLOCK).sum();
        // Odd, and so prime to powers of two: neighbours in time are far apart.
        let mut block = number.wrapping_mul(0x9e37_79b1) % blocks.max(1);
        let bank = self.frame_states().banks().find(|bank| {
            let here = bank.bytes() / BLOCK;
            let is_here = block < here;
            block = if is_here { block } else { block - here };
            is_here
        })?;
        let pages = BLOCK / FRAME_BYTES;
        (0..pages).find_map(|turn| {
            let page = (mix(number, 3) + turn) % pages;
            let frame = bank.start().wrapping_add(block * BLOCK + page * FRAME_BYTES);
            VirtRange::new(self.claim(frame)?, FRAME_BYTES)
        })
    }

    /// Gives back what [`System::claim_some_page`] took.
    pub(crate) fn give_page(&self, page: VirtRange) {
        self.give_frame(page.start());
    }

    /// Takes this frame, if it is free.
    pub(super) fn claim(&self, frame: PhysAddr) -> Option<VirtAddr> {
        let range = PhysRange::new(frame, FRAME_BYTES)?;
        self.frame_states().claim(Purpose::Data, range).ok()?;
        self.linear_address(frame)
    }

    pub(super) fn give_frame(&self, address: VirtAddr) {
        let memory = VirtRange::new(address, FRAME_BYTES);
        let memory = memory.and_then(|range| self.memory_of(range));
        if let Some(memory) = memory
            && let Err(error) = self.frame_states().free(Purpose::Data, memory.start())
        {
            panic!("a frame of a load can't be freed: {error}");
        }
    }

    pub(super) fn linear_address(&self, frame: PhysAddr) -> Option<VirtAddr> {
        PhysRange::new(frame, FRAME_BYTES)
            .and_then(|memory| self.linear_range(memory))
            .map(VirtRange::start)
    }
}

/// Waits until all loads together have made so many accesses more.
///
/// # Errors
/// They are not at it.
pub(crate) fn wait_for_accesses(accesses: u64) -> Result<(), ()> {
    let made = || admitted().map(|cpu| per_cpu::of(cpu).job.done().0).sum::<u64>();
    let wanted = made() + accesses;
    let mut before = made();
    while before < wanted {
        if !wait_until(|| made() > before) {
            return Err(());
        }
        before = made();
    }
    Ok(())
}

/// One pass over the frames of `list`: how many accesses it made, and how many words were wrong.
pub(super) fn pass(list: VirtAddr) -> (u64, u64) {
    let (mut accesses, mut wrong) = (0, 0);
    for place in 0..MOST_FRAMES {
        let frame = word(list, place * 2);
        if frame == 0 {
            break;
        }
        let count = word(list, place * 2 + 1);
        let seed = frame.wrapping_add(count);
        for number in 0..WORDS {
            let at = number * STRIDE / 8;
            let found = word(VirtAddr::new(frame), at);
            wrong += u64::from(found != mix(seed, number));
            set_word(VirtAddr::new(frame), at, mix(seed.wrapping_add(1), number));
            accesses += 2;
        }
        set_word(list, place * 2 + 1, count.wrapping_add(1));
    }
    (accesses, wrong)
}

/// A number that two others lead to, and hardly any two others.
pub(super) const fn mix(one: u64, other: u64) -> u64 {
    let sum = one.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(other);
    (sum ^ sum >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The word of this number in the frame at `frame`.
pub(super) fn word(frame: VirtAddr, number: u64) -> u64 {
    // SAFETY: the frame was taken for the load, and the linear map shows it.
    unsafe { pointer(frame, number).read_volatile() }
}

pub(super) fn set_word(frame: VirtAddr, number: u64, value: u64) {
    // SAFETY: as above.
    unsafe { pointer(frame, number).write_volatile(value) }
}

fn pointer(frame: VirtAddr, number: u64) -> *mut u64 {
    let address = frame.wrapping_add(number * 8).value();
    core::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap_or(0))
}
