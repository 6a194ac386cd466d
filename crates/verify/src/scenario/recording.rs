//! A host that writes programs for the model: effects, what is meant by them, and what parked CPUs
//! do meanwhile.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use blockmap::dump::{Rights, Run, Tree};
use blockmap::host::{Held, Host, MayPark};
use blockmap::{NotParked, Phase, Platform, Refusal, Scope, Space, Switch, Terms, TopUp};
use blockmap_machine::{Barrier, Entry, Event, Invalidate, PhysAddr, Tlbi, VirtRange};
use blockmap_model::profile::{Profile, SizeChange};
use blockmap_model::program::{Context, Cpu, Intent, Meanwhile, Program, Step, Target, written};
use blockmap_model::shape::Shape;
use blockmap_vmsa::{Geometry, cpu};

use crate::program::words_for;

/// A host that writes down what the model wants to know beyond effects.
#[derive(Debug)]
pub struct Recording<'m> {
    host: Host<'m>,
    root: PhysAddr,
    steps: &'m RefCell<Vec<Step>>,
    /// How many CPUs there are besides.
    others: u32,
    /// How often these were parked.
    parkings: Cell<u32>,
    /// Whether topping up brings tables.
    supply: Cell<Supply>,
}

/// What becomes of a shortage of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// It stays.
    None,
    /// It ends when tables are asked for, and so many others have taken theirs first.
    AfterOthers(u32),
}

/// Records what `operate` does under `terms` and with so many tables, after `prepare`, as the
/// program of a machine of one CPU.
pub fn record(
    (terms, tables): (Terms, usize),
    prepare: impl FnOnce(&Space<'_, Recording<'_>>),
    operate: impl FnOnce(&Space<'_, Recording<'_>>),
) -> Program {
    record_on((terms, tables), &[Profile::QUIET], prepare, operate)
}

/// Records what `operate` does under `terms` and with so many tables, after `prepare`, as the
/// program of the first of some CPUs, and of the others what it takes for them to be parked.
pub fn record_on(
    (terms, tables): (Terms, usize),
    cpus: &[Profile],
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
    host.set_size_change(match cpus[0].size_change {
        SizeChange::Quiet => cpu::SizeChange::Quiet,
        SizeChange::MayAbort => cpu::SizeChange::MayAbort,
        SizeChange::NeedsBreak => cpu::SizeChange::NeedsBreak,
    });
    let others = u32::try_from(cpus.len() - 1).unwrap();
    let platform = Recording {
        host,
        root,
        steps: &steps,
        others,
        parkings: Cell::new(0),
        supply: Cell::new(Supply::None),
    };
    let space = Space::new(&platform, root);
    prepare(&space);
    let empty = Event::Fill { span: Entry { table: root, index: 0 }.span(512), value: 0, step: 0 };
    let mut program = Program::new(Shape::KERNEL_4K_48, root, Profile::QUIET, 1);
    program.initially.push(empty);
    program.initially.extend(steps.take().iter().filter_map(Step::event).filter(is_write));
    platform.parkings.set(0);
    operate(&space);
    platform.host.assert_idle();
    let parked: Vec<Step> = (1..=platform.parkings.get()).flat_map(parked).collect();
    program.cpus =
        cpus.iter().map(|profile| Cpu { profile: *profile, steps: parked.clone() }).collect();
    program.cpus[0].steps = steps.take();
    program
}

impl Recording<'_> {
    /// Writes down a step that is no effect.
    pub fn note(&self, step: Step) {
        self.steps.borrow_mut().push(step);
    }

    /// That `range` is to grant what it grants, and that nobody uses it meanwhile.
    fn same(&self, range: VirtRange) -> Vec<Step> {
        let reader = Space::new(&self.host, self.root).reader();
        let tree = Tree::new(self.host.geometry(), self.root, &reader).within(range);
        let step = |run: Run<Infallible>| {
            let Rights { reads, writes, executes } =
                run.mapped()?.rights(self.host.geometry()).privileged;
            let letter = |has: bool, letter| if has { letter } else { '-' };
            let letters = [letter(reads, 'r'), letter(writes, 'w'), letter(executes, 'x')];
            let target = Target::Rights(String::from_iter(letters).parse().unwrap());
            let range = run.range.intersection(range)?;
            Some(Step::Intend(Intent { range, target, meanwhile: Meanwhile::Idle }))
        };
        tree.runs().filter_map(step).collect()
    }

    /// How many steps have been written down.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.steps.borrow().len()
    }

    /// Lets no more than `tables` further tables be handed out, until that changes.
    pub fn limit_tables(&self, tables: u32, supply: Supply) {
        self.supply.set(supply);
        self.host.limit_tables(tables);
    }
}

/// What a CPU does that is parked for the `number`th time, counted from one.
fn parked(number: u32) -> Vec<Step> {
    let waits = [Step::Signal("parked".into()), Step::Wait("done".into(), number)];
    off().into_iter().chain(waits).chain(on()).collect()
}

/// What a CPU does that leaves the tables and keeps nothing of them.
fn off() -> [Step; 5] {
    let everything = Invalidate { op: Tlbi::Vmalle1, operand: 0 };
    [
        Step::Context(Context::Reserved),
        barrier(Barrier::Isb),
        Step::Effect(Event::Invalidate(everything)),
        barrier(Barrier::DsbNsh),
        barrier(Barrier::Isb),
    ]
}

/// What it does that uses them again.
fn on() -> [Step; 2] {
    [Step::Context(Context::Live), barrier(Barrier::Isb)]
}

const fn barrier(barrier: Barrier) -> Step {
    Step::Effect(Event::Barrier(barrier))
}

/// Whether an effect is one on memory.
fn is_write(event: &Event) -> bool {
    written(*event).is_some()
}

impl<'m> Platform for Recording<'m> {
    type Machine = Host<'m>;
    type MayPark = MayPark;
    type Held = Held;

    fn geometry(&self) -> Geometry {
        self.host.geometry()
    }

    fn machine(&self) -> &Host<'m> {
        &self.host
    }

    fn terms(&self) -> Terms {
        self.host.terms()
    }

    fn try_hold_terms(&self) -> Option<Terms> {
        self.host.try_hold_terms()
    }

    fn release_terms(&self) {
        self.host.release_terms();
    }

    fn hold(&self, scope: Scope, also: Option<Scope>) -> (Terms, Held) {
        self.host.hold(scope, also)
    }

    fn let_go(&self, held: &Held) {
        self.host.let_go(held);
    }

    fn refusal(&self, range: VirtRange) -> Option<Refusal> {
        self.host.refusal(range)
    }

    fn top_up(&self, tables: u32) -> TopUp {
        match self.supply.get() {
            Supply::None => return self.host.top_up(tables),
            Supply::AfterOthers(0) => self.host.limit_tables(u32::MAX),
            Supply::AfterOthers(others) => self.supply.set(Supply::AfterOthers(others - 1)),
        }
        TopUp::Enough
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
        let mut steps = self.steps.borrow_mut();
        // Those of an earlier parking are achieved, and stay where they are.
        let achieved = steps.iter().rposition(|step| *step == Step::Achieved);
        let since = steps.split_off(achieved.map_or(0, |last| last + 1));
        let (intents, others): (Vec<Step>, Vec<Step>) =
            since.into_iter().partition(|step| matches!(step, Step::Intend(_)));
        steps.extend(others);
        self.parkings.set(self.parkings.get() + 1);
        steps.push(Step::Wait("parked".into(), self.parkings.get() * self.others));
        // What is broken means the same before and after, and nobody can use it meanwhile: nobody
        // but this CPU is there.
        for range in switch.ranges() {
            steps.extend(self.same(range));
        }
        // What concerns all that there is to walk is done by nobody who walks.
        let is_outside = switch.outside().is_some();
        if is_outside {
            steps.extend(off());
        }
        drop(steps);
        let parked = self.host.quiesce(may_park, switch);
        if is_outside {
            self.steps.borrow_mut().extend(on());
        }
        self.note(Step::Achieved);
        self.note(Step::Signal("done".into()));
        // From here on the operation goes on as under any other strategy.
        self.steps.borrow_mut().extend(intents);
        parked
    }

    fn enter_reader(&self) -> Phase {
        self.host.enter_reader()
    }

    fn leave_reader(&self, phase: Phase) {
        self.host.leave_reader(phase);
    }

    fn wait_for_readers(&self) {
        self.host.wait_for_readers();
    }
}
