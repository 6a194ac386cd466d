//! What areas grant: changed together with what the linear map grants of the same memory.
//!
//! `docs/permissions.md` has each change's phases, and what they cost.

use core::ops::ControlFlow;

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::Change;
use blockmap::{View, ViewChange, ViewError};
use blockmap_kernel::areas::UseError;
use thiserror::Error;

use crate::memory::system::System;

/// Why what an area grants was not changed. Every address grants what it did.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum SetMemoryError {
    /// The range is in no area, or in one that is not to be changed now.
    #[error(transparent)]
    Use(#[from] UseError),
    /// The area, or an alias of its memory, can't be changed.
    #[error(transparent)]
    View(#[from] ViewError),
}

impl System<'_> {
    /// Changes what a part of an area grants, and what the linear map grants of its memory: no frame
    /// is ever writable through one of the two and executable through the other, on any CPU.
    /// [narrow-then-widen]
    ///
    /// The memory is the area's, so nothing is claimed; aliases that are narrowed are held until they
    /// have all their rights back.
    ///
    /// # Errors
    /// See [`SetMemoryError`].
    pub(crate) fn set_memory(
        &self,
        part: VirtRange,
        change: ViewChange,
    ) -> Result<(), SetMemoryError> {
        let area = self.areas().lock().take_around(part)?;
        self.intend_views(part, change);
        let changed =
            self.space().change_views((part, self.linear_view()), change, &Self::may_park());
        self.recording().ended(&changed);
        if changed.is_ok() && change == ViewChange::ReadWrite {
            self.heal_aliases_later(part);
        }
        self.areas().lock().settle(area.start());
        Ok(changed?)
    }

    #[inline(never)]
    fn heal_aliases_later(&self, part: VirtRange) {
        self.heal_all_later(|heal_later| self.each_alias(part, heal_later));
    }

    /// Makes an area that the caller took invalid, and gives its aliases all their rights back.
    ///
    /// # Errors
    /// Somebody unmapped a part of it; nothing was changed.
    pub(super) fn reset_memory(&self, area: VirtRange) -> Result<(), ViewError> {
        if self.recording().is_on() {
            let reader = self.space().reader();
            let tree = self.tree(&reader);
            self.recording().intend_unmap(area);
            self.each_alias(area, |alias| {
                let back = [Change::ReadWrite, Change::Valid];
                self.recording().intend_changes(tree, alias, &back);
            });
        }
        let views = (area, self.linear_view());
        let reset = self.space().reset_views(views, |alias| self.heal_later(alias));
        self.recording().ended(&reset);
        reset
    }

    /// The linear map, as the other view of areas.
    const fn linear_view(&self) -> View {
        let linear = self.linear();
        View::new(linear.base(), linear.memstart())
    }

    /// Says what a change of an area makes of it and of its aliases.
    fn intend_views(&self, part: VirtRange, change: ViewChange) {
        if !self.recording().is_on() {
            return;
        }
        let reader = self.space().reader();
        let tree = self.tree(&reader);
        let of_range = change.of_range();
        for count in 1..=of_range.len() {
            let steps = of_range.get(..count).unwrap_or_default();
            self.recording().intend_changes(tree, part, steps);
        }
        if let Some(of_aliases) = change.of_aliases() {
            self.each_alias(part, |alias| {
                self.recording().intend_change(tree, alias, of_aliases);
            });
        }
    }

    /// Calls `each` with the aliases in the linear map of what is mapped in `range`, piece by piece.
    pub(in crate::memory) fn each_alias(&self, range: VirtRange, mut each: impl FnMut(VirtRange)) {
        self.space().each_piece(range, |_, memory| {
            self.linear_range(memory).into_iter().for_each(&mut each);
            ControlFlow::Continue(())
        });
    }

    /// The first alias of `area`'s memory that is held: it was narrowed, and has not all its rights
    /// back.
    pub(super) fn first_narrowed(&self, area: VirtRange) -> Option<VirtAddr> {
        let mut found = None;
        self.each_alias(area, |alias| {
            found = found.or_else(|| self.space().first_held(alias));
        });
        found
    }
}
