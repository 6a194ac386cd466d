//! The linear map in pages, where sizes are never to change again.

use core::sync::atomic::Ordering;

use blockmap::layout::{Inputs, Repaint, Strategy, decide};
use blockmap::vmsa::Leaves;
use blockmap::{CollapseError, RepaintError};

use super::address_map::LINEAR;
use super::system::System;

impl System<'_> {
    /// What memory that comes now is painted with: as the rest would be.
    pub(crate) fn leaves_now(&self) -> Leaves {
        if self.repainted.load(Ordering::Relaxed) {
            return Leaves::Pages;
        }
        let strategy = self.entrance().terms().strategy;
        decide(Inputs { strategy, ..self.policy().inputs }).leaves
    }

    /// What is to become of the map before `strategy` holds.
    pub(crate) fn wanted_repaint(&self, strategy: Strategy) -> Repaint {
        let inputs = self.policy().inputs;
        let painted = if self.repainted.load(Ordering::Relaxed) {
            Leaves::Pages
        } else {
            decide(inputs).leaves
        };
        strategy.repaint(painted, inputs)
    }

    /// Makes pages of the linear map, but for its view of the kernel's image, with all other CPUs
    /// parked once. What was a block before can change its rights page by page from then on.
    ///
    /// # Errors
    /// See [`RepaintError`]; the map is as it was.
    pub(crate) fn repaint_pages(&self) -> Result<(), RepaintError> {
        let keep = self.image_alias();
        self.recording().note("pages instead of blocks");
        self.space().repaint(LINEAR, keep.as_slice(), &Self::may_park())?;
        self.repainted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Makes leaves of the linear map as large as what they say allows, whatever made them small: what
    /// [`System::repaint_pages`] made of it, the other way round.
    ///
    /// # Errors
    /// See [`CollapseError`]; what is large by then stays so.
    pub(crate) fn repaint_blocks(&self) -> Result<(), CollapseError> {
        self.recording().note("blocks instead of pages");
        self.space().collapse(LINEAR, &Self::may_park())?;
        self.repainted.store(false, Ordering::Relaxed);
        Ok(())
    }
}
