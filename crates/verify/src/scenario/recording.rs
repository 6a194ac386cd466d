//! A host that records an operation as a program of the model.

use std::cell::RefCell;

use blockmap::host::{Host, MayPark};
use blockmap::{NotParked, Platform, Refusal, Scope, Space, Switch, Terms};
use blockmap_machine::{Entry, Event, PhysAddr, VirtRange};
use blockmap_model::profile::Profile;
use blockmap_model::program::{Program, Step, written};
use blockmap_model::shape::Shape;
use blockmap_vmsa::Geometry;

use crate::program::words_for;

/// A host that writes down what the model wants to know beyond effects.
#[derive(Debug)]
pub struct Recording<'m> {
    host: Host<'m>,
    steps: &'m RefCell<Vec<Step>>,
}

/// Records what `operate` does under `terms` and with so many tables, after `prepare`, as the
/// program of a machine of one CPU.
pub fn record(
    (terms, tables): (Terms, usize),
    prepare: impl FnOnce(&Space<'_, Recording<'_>>),
    operate: impl FnOnce(&Space<'_, Recording<'_>>),
) -> Program {
    let geometry = Geometry::KERNEL_4K_48;
    let words = words_for(geometry, tables);
    let steps = RefCell::new(Vec::new());
    let log = |event: &Event| steps.borrow_mut().push(Step::Effect(*event));
    let host = Host::new(geometry, &words, &log);
    host.set_terms(terms);
    let root = host.new_root().unwrap();
    let platform = Recording { host, steps: &steps };
    let space = Space::new(&platform, root);
    prepare(&space);
    let empty = Event::Fill { span: Entry { table: root, index: 0 }.span(512), value: 0, step: 0 };
    let mut program = Program::new(Shape::KERNEL_4K_48, root, Profile::QUIET, 1);
    program.initially.push(empty);
    program.initially.extend(steps.take().iter().filter_map(Step::event).filter(is_write));
    operate(&space);
    platform.host.assert_idle();
    program.cpus[0].steps = steps.take();
    program
}

impl Recording<'_> {
    /// Writes down a step that is no effect.
    pub fn note(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }
}

/// Whether an effect is one on memory.
fn is_write(event: &Event) -> bool {
    written(*event).is_some()
}

impl<'m> Platform for Recording<'m> {
    type Machine = Host<'m>;
    type MayPark = MayPark;

    fn geometry(&self) -> Geometry {
        self.host.geometry()
    }

    fn machine(&self) -> &Host<'m> {
        &self.host
    }

    fn hold_terms(&self) -> Terms {
        self.host.hold_terms()
    }

    fn release_terms(&self) {
        self.host.release_terms();
    }

    fn lock(&self, scope: Scope) {
        self.host.lock(scope);
    }

    fn unlock(&self, scope: Scope) {
        self.host.unlock(scope);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        self.host.refusal(range)
    }

    fn top_up(&self, tables: u32) {
        self.host.top_up(tables);
    }

    fn reserve(&self, tables: u32) -> Result<(), u32> {
        self.host.reserve(tables)
    }

    fn unreserve(&self, tables: u32) {
        self.host.unreserve(tables);
    }

    fn take_table(&self) -> PhysAddr {
        self.host.take_table()
    }

    fn put_back_table(&self, table: PhysAddr) {
        self.host.put_back_table(table);
        self.steps.borrow_mut().push(Step::Free(table));
    }

    fn free_table(&self, table: PhysAddr) {
        self.host.free_table(table);
        self.steps.borrow_mut().push(Step::Free(table));
    }

    fn quiesce(&self, may_park: &MayPark, switch: &Switch) -> Result<(), NotParked> {
        self.host.quiesce(may_park, switch)
    }

    fn enter_reader(&self) {
        self.host.enter_reader();
    }

    fn leave_reader(&self) {
        self.host.leave_reader();
    }

    fn wait_for_readers(&self) {
        self.host.wait_for_readers();
    }
}
