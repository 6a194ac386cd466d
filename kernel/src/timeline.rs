//! When the steps of the boot were done.

use blockmap_hw::ticks;
use blockmap_kernel::report::{Mark, Timeline};

/// The most steps that are kept.
const MOST: usize = 12;

/// The steps of the boot so far.
#[derive(Debug)]
pub(crate) struct Marks {
    marks: [Mark<'static>; MOST],
    count: usize,
}

impl Marks {
    /// No steps yet.
    pub(crate) const fn new() -> Self {
        Self { marks: [Mark { done: "", ticks: 0 }; MOST], count: 0 }
    }

    /// `done` was done just now.
    pub(crate) fn set(&mut self, done: &'static str) {
        self.set_at(done, ticks());
    }

    /// `done` was done when the counter said `ticks`.
    pub(crate) fn set_at(&mut self, done: &'static str, ticks: u64) {
        if let Some(mark) = self.marks.get_mut(self.count) {
            *mark = Mark { done, ticks };
            self.count = self.count.wrapping_add(1);
        }
    }

    /// The steps as text.
    pub(crate) fn text(&self) -> Timeline<'_> {
        Timeline {
            marks: self.marks.get(..self.count).unwrap_or(&[]),
            hertz: blockmap_hw::frequency_hz(),
        }
    }
}
