//! Memory that somebody in the kernel owns: carved out of the leaves it lies in, and given back
//! where nothing may fail.
//!
//! Each step says in the trace what it is for, as every other change does.

use blockmap::machine::{PhysRange, VirtRange};
use blockmap::vmsa::Change;
use blockmap::{Carve, CarveError, Execution, Grain, Mark, PartError, ShareError, Sharing, Side};
use blockmap_kernel::trace::Record;

use super::system::System;

/// A range that whoever has this owns: its rights change from any context, and nothing that could
/// fail is left to do when it is given back.
///
/// Dropped, it is given back: it grants what it did when it was carved, and is nobody's.
#[derive(Debug)]
#[must_use = "memory that nobody holds is given back at once"]
pub(crate) struct Owned {
    system: &'static System<'static>,
    /// `None` only while it is given back.
    carve: Option<Carve<'static, System<'static>>>,
    range: VirtRange,
    /// What every leaf said before.
    meaning: u64,
}

impl System<'static> {
    /// Carves `range`, all of it valid and alike, and makes the caller its owner.
    ///
    /// The memory is the caller's already: what the frame allocator has free is not carved.
    ///
    /// # Errors
    /// See [`CarveError`]; every address translates as it did, and nobody owns anything new.
    pub(crate) fn carve(
        &'static self,
        range: VirtRange,
        grain: Grain,
    ) -> Result<Owned, CarveError> {
        // No address is to translate to anything else: nothing is intended.
        let carve = self.space().carve(range, grain, &Self::may_park())?;
        let reader = self.space().reader();
        let mut runs = self.tree(&reader).within(range).runs();
        let meaning = runs.next().and_then(|run| run.mapped()).map_or(0, |mapped| mapped.meaning);
        Ok(Owned { system: self, carve: Some(carve), range, meaning })
    }

    /// Makes what was written to the valid pages of `part`, wherever it is mapped, what is fetched
    /// from there. The linear map's view of it is what caches are reached through.
    fn publish_view(&self, part: VirtRange) {
        let reader = self.space().reader();
        for run in self.tree(&reader).within(part).runs() {
            let view = run.range.intersection(part).and_then(|here| {
                let offset = here.start().offset_from(run.range.start())?;
                let output = run.mapped()?.output.wrapping_add(offset);
                self.linear_range(PhysRange::new(output, here.bytes())?)
            });
            if let Some(view) = view {
                self.publish(view);
            }
        }
    }
}

impl Owned {
    /// All of it.
    pub(crate) const fn range(&self) -> VirtRange {
        self.range
    }

    /// Changes what the leaves of `part` grant: from any context, with interrupts masked and locks
    /// held. Code that becomes executable, or valid while it is, is made fetchable first.
    /// [code-clean-before-run]
    ///
    /// # Errors
    /// See [`PartError`]; nothing was changed.
    pub(crate) fn protect(&self, part: VirtRange, change: Change) -> Result<(), PartError> {
        let system = self.system;
        match change {
            Change::Execute => system.publish_view(part),
            Change::ReadOnly
            | Change::ReadWrite
            | Change::NoExecute
            | Change::Valid
            | Change::Invalid => {}
        }
        let execution = self.make(part, change)?;
        // While a page is invalid nothing can be done to its lines; nobody runs it before this
        // returns.
        if change == Change::Valid && execution == Execution::Possible {
            system.publish_view(part);
        }
        Ok(())
    }

    /// The same for who has made code fetchable.
    ///
    /// # Errors
    /// See [`PartError`]; nothing was changed.
    pub(super) fn change(&self, part: VirtRange, change: Change) -> Result<(), PartError> {
        self.make(part, change).map(drop)
    }

    fn make(&self, part: VirtRange, change: Change) -> Result<Execution, PartError> {
        // INVARIANT: it is there until this is dropped.
        let Some(carve) = &self.carve else {
            return Err(PartError::NoPart { part, carve: self.range });
        };
        let system = self.system;
        system.recording().intend_change(system.tree(&system.space().reader()), part, change);
        let result = carve.protect(part, change);
        system.recording().ended(&result.map(drop));
        result
    }

    /// Has the hypervisor make all of it what the side says.
    ///
    /// # Errors
    /// See [`ShareError`].
    pub(crate) fn share(&self, how: (Side, Mark), host: &impl Sharing) -> Result<(), ShareError> {
        // INVARIANT: it is there until this is dropped.
        let Some(carve) = &self.carve else {
            let (part, carve) = (self.range, self.range);
            return Err(PartError::NoPart { part, carve }.into());
        };
        let recording = self.system.recording();
        recording.intend_same(self.system.tree(&self.system.space().reader()), self.range);
        let result = carve.share(self.range, how, host);
        recording.add(match result {
            Err(ShareError::Part(_)) => Record::Refused,
            // What is refused has been out of reach, and means the same again.
            Ok(()) | Err(_) => Record::Achieved,
        });
        result
    }

    /// Lets go of the range for ever: it stays as it is, and nobody's to change.
    pub(crate) fn keep(mut self) {
        if let Some(carve) = self.carve.take() {
            carve.keep();
        }
    }

    /// Gives the range back as it was; dropping this does the same.
    pub(crate) fn restore(self) {
        drop(self);
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(carve) = self.carve.take() else { return };
        let system = self.system;
        let recording = system.recording();
        recording.intend_back(system.tree(&system.space().reader()), self.range, self.meaning);
        carve.restore();
        recording.add(Record::Achieved);
        system.heal_later(self.range);
    }
}
