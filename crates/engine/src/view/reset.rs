//! Giving a range's memory back with all the rights that its aliases had.
//!
//! ```text timeline: reset
//! 1. update entries of the range, invalid   a walker sees: the old permission, or nothing
//! 2. dsb ishst                              a walker sees: nothing
//! 3. tlbi   the range                       a TLB holds: the old, or nothing
//! 4. dsb ish                                a TLB holds: nothing
//! 5. isb
//! 6. update entries of the aliases          a walker sees: what was narrowed, or all rights
//! 7. dsb ishst                              a walker sees: all rights
//! 8. tlbi   each alias                      a TLB holds: what was narrowed, or all rights
//! 9. dsb ish                                a TLB holds: all rights
//! 10. isb
//! ```
//!
//! Nobody executes the memory any more when it can be written again. [narrow-then-widen] Aliases that
//! nobody narrowed are not touched, and where that is all of them the last five steps are left out.

use blockmap_machine::{Event, Machine, Pattern, VirtRange};
use blockmap_vmsa::{Change, Masks, bits};

use super::uncut::{Alias, Aliases};
use super::{View, ViewChange, ViewError, Viewing};
use crate::plan::Parking;
use crate::{Platform, ProtectError, Space, Terms};

impl<P: Platform> Space<'_, P> {
    /// Makes all of `range` invalid, and gives the aliases of its memory in `view` all the rights back
    /// that [`Space::change_views`] took: writable, valid and nobody's. No leaf changes its size, so
    /// no table memory is needed and nobody is parked: aliases that were narrowed end where the
    /// pieces of the range do. `widened` is told the aliases that had been.
    ///
    /// # Errors
    /// Something of the range is not mapped, or has no alias: never, where all of it was mapped by
    /// the caller. Nothing was changed.
    #[doc(alias = "vm_reset_perms")]
    pub fn reset_views(
        &self,
        (range, view): (VirtRange, View),
        widened: impl Fn(VirtRange),
    ) -> Result<(), ViewError> {
        self.check(range).map_err(ProtectError::from)?;
        let viewing = Viewing { range, view, change: ViewChange::Invalid };
        let mut aliases = Aliases::of(range);
        let list = |aliases: &mut Aliases| -> Result<(), ViewError> {
            for piece in self.pieces(range) {
                aliases.add(Alias { range: self.alias(view, piece)?, entries: None });
            }
            Ok(())
        };
        let wanted = self.guess_aliases(viewing).slots;
        let hold = self.hold_listed((viewing, &mut aliases), wanted, Parking::Never, list)?;
        let terms = hold.permit.terms;
        self.update_range(range, self.masks(Change::Invalid));
        self.complete_each(|| core::iter::once(range), terms);
        let valid = self.masks(Change::Valid);
        let masks = Masks { clear: valid.clear | bits::READ_ONLY | bits::HELD, ..valid };
        let widen = |alias| {
            let is_changed = self.update_held(alias, masks);
            if is_changed {
                widened(alias);
            }
            is_changed
        };
        if aliases.are_all() {
            self.widen(|| aliases.listed().iter().map(|alias| alias.range), widen, terms);
        } else {
            self.widen(|| self.aliases(viewing).map(|alias| alias.range), widen, terms);
        }
        Ok(())
    }

    /// Has `widen` give all of `aliases` that were narrowed their rights back, and say whether they were.
    fn widen<A: Iterator<Item = VirtRange>>(
        &self,
        aliases: impl Fn() -> A,
        widen: impl Fn(VirtRange) -> bool,
        terms: Terms,
    ) {
        if aliases().fold(false, |changed, alias| widen(alias) | changed) {
            self.complete_each(aliases, terms);
        }
    }

    /// Changes the leaves of `part` that are held, and says whether there were any.
    fn update_held(&self, part: VirtRange, masks: Masks) -> bool {
        let mut changed = false;
        let mut next = Some(part.start());
        while let Some(at) = next {
            let place = self.find(at);
            let span = self.span_up_to(place.table(), at, part.last());
            let held = Pattern { mask: bits::HELD, value: place.word & bits::HELD };
            let leaves = self.leaves_of(place.level, span);
            let alike = place.entry.span(self.machine().scan(leaves, held).max(1));
            if held.value != 0 {
                self.machine().perform(Event::Update {
                    span: alike,
                    clear: masks.clear,
                    set: masks.set,
                });
                changed = true;
            }
            next = self.after((place.level, at), alike.count, part.last());
        }
        changed
    }
}
