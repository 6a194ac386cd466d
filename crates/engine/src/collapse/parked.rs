//! Making leaves larger while all other CPUs are parked.

use core::cell::Cell;

use blockmap_layout::Strategy;
use blockmap_machine::VirtRange;

use super::{CollapseError, Collapsed};
use crate::cut::{NoSizeChange, SizeChangeRefused};
use crate::plan::{Hold, Parking, Work};
use crate::repaint::survey::Survey;
use crate::repaint::{Aim, Job};
use crate::{Plan, Platform, Root, Space};

impl<P: Platform> Space<'_, P> {
    /// Collapses as much of `rest` as lies in one table of slots. Returns which part that is.
    pub(super) fn collapse_parked(
        &self,
        rest: VirtRange,
        may_park: &P::MayPark,
    ) -> Result<(Option<VirtRange>, Collapsed), CollapseError> {
        let part = self.in_slot_table(rest).unwrap_or(rest);
        let mut done = Collapsed::default();
        for aim in [Aim::Leaves, Aim::Runs] {
            let (found, freed) = (Cell::new(Survey::default()), Cell::new(0));
            let job = Job { range: part, keep: &[], aim };
            let plan = || self.plan_collapse(job, may_park, (&found, &freed));
            self.carry_out(plan)??;
            done.tables += freed.get().saturating_sub(found.get().built());
            done.runs += match aim {
                Aim::Runs => found.get().runs,
                Aim::Leaves | Aim::Bytes(_) => 0,
            };
        }
        Ok((Some(part), done))
    }

    /// Plans to make leaves larger; tells what that comes to, and at the end how many tables were
    /// given back.
    fn plan_collapse<'s>(
        &'s self,
        job: Job<'s>,
        may_park: &'s P::MayPark,
        (found, freed): (&Cell<Survey>, &'s Cell<u32>),
    ) -> Result<Plan<'s, P>, CollapseError> {
        // Old tables are given back with the locks held: this is no reader of them.
        let runs = self.runs_of_slots(job.range);
        let hold = Hold::new(self, runs, Root::Changes, Parking::Allowed(may_park));
        match hold.permit.terms.strategy {
            Strategy::Live | Strategy::Quiesce => {}
            strategy @ Strategy::Pages => {
                let why = NoSizeChange::Strategy(strategy);
                return Err(SizeChangeRefused { address: job.range.start(), why }.into());
            }
        }
        // Nothing is larger than a leaf of several slots.
        let slots = self.slots(job.range).unwrap_or(None);
        // INVARIANT: what is held never becomes larger.
        let survey = self.survey(job, slots).unwrap_or_default();
        found.set(survey);
        Ok(Plan::new(hold, Work::Collapse(survey.repainting(job), freed), survey.tables))
    }
}
