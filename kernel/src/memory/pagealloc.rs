//! `debug_pagealloc=on`: what is free is not mapped, so that whoever uses memory that is not theirs
//! faults.
//!
//! The map is in pages then, and stays so: frames are taken and freed in the middle of operations,
//! with locks held, tables among them. Their pages are made valid before anybody uses them, and
//! invalid before anybody else can have them.

use blockmap::layout::DebugPagealloc;
use blockmap::machine::{PhysRange, VirtRange};
use blockmap::vmsa::Change;
use blockmap_kernel::frames::{Frames, Passing, State};
use blockmap_kernel::trace::Record;

use super::change::ChangeError;
use super::system::System;
use crate::run;

impl System<'_> {
    /// Whether pages come and go with their frames, so that no leaf may ever be larger.
    pub(super) fn unmaps_free_pages(&self) -> bool {
        self.policy().inputs.debug_pagealloc == DebugPagealloc::On
    }

    /// Refuses to change what a page of free memory grants, where these come and go.
    pub(super) fn refuse_free_pages(&self, range: VirtRange) -> Result<(), ChangeError> {
        if !self.unmaps_free_pages() {
            return Ok(());
        }
        let memory = self.memory_of(range);
        match memory.and_then(|memory| self.frame_states().first_in(State::Free, memory)) {
            Some(frame) => Err(ChangeError::Free(frame)),
            None => Ok(()),
        }
    }

    /// Unmaps all that is free, if that is asked for: the first of it.
    pub(crate) fn unmap_free_pages(&self) {
        if self.unmaps_free_pages() {
            let frames = self.frame_states();
            for bank in frames.banks() {
                free_ranges(frames, bank, |range| self.pass(range, Passing::Freed));
            }
        }
    }

    /// Frames come or go: their pages do so with them.
    ///
    /// It may happen in the middle of an operation. What is taken is so before the operation does
    /// anything; what is freed, when it has done everything.
    fn pass(&self, range: PhysRange, passing: Passing) {
        let Some(view) = self.linear_range(range) else { return };
        let recording = self.recording();
        let change = match passing {
            Passing::Taken => Change::Valid,
            Passing::Freed => Change::Invalid,
        };
        if change == Change::Valid {
            recording.add(Record::Aside);
        }
        recording.intend_change(self.tree(&self.space().reader()), view, change);
        let result = self.space().protect_own_pages(view, change);
        recording.ended(&result);
        if change == Change::Valid {
            recording.add(Record::Back);
        }
        if let Err(error) = result {
            panic!("frames change hands, and their pages can't be {change:?}: {error}");
        }
    }
}

/// Called for frames that come and go.
pub(super) fn watch(range: PhysRange, passing: Passing) {
    if let Some(system) = run::system() {
        system.pass(range, passing);
    }
}

/// All ranges of free frames in `bank`.
fn free_ranges(frames: &Frames<'_>, bank: PhysRange, what: impl Fn(PhysRange)) {
    let mut rest = Some(bank);
    while let Some(left) = rest {
        let Some(start) = frames.first_in(State::Free, left) else { return };
        let from = PhysRange::inclusive(start, left.last()).unwrap_or(left);
        let others = [State::Used, State::Table, State::Reserved];
        let end = others.into_iter().filter_map(|state| frames.first_in(state, from)).min();
        let last = end.and_then(|end| end.checked_sub(1)).unwrap_or(left.last());
        if let Some(range) = PhysRange::inclusive(start, last) {
            what(range);
        }
        rest = end.and_then(|end| PhysRange::inclusive(end, left.last()));
    }
}
