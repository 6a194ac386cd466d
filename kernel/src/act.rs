//! Carrying out the monitor's commands.

mod areas;
mod carve;
mod code;
mod count;
mod cpus;
mod cycles;
mod heal;
mod owners;
mod referee;
mod strategy;
mod tour;
mod trace;

use core::fmt;

use blockmap::dump::{Style, Tree};
use blockmap::machine::{VirtAddr, VirtRange};
use blockmap::vmsa::{Change, Mair};

use blockmap_kernel::archive::Archive;
use blockmap_kernel::cmdline::CommandLine;
use blockmap_kernel::monitor::{Command, HELP, Power, Scope, Splitting};
use blockmap_kernel::report::{StatText, WxText};

use crate::arch::exit::{self, Status};
use crate::arch::probe::{self, Fault};
use crate::arch::wide;
use crate::console::{self, println};
use crate::lock::Lock;
use crate::memory::{Facts, LINEAR, MARKERS, Painted, System};
use crate::owners::{guard, hotplug};
use crate::timeline::Marks;

/// What the monitor's commands are about.
pub(crate) struct Monitor<'a> {
    /// The running system.
    pub(crate) system: &'static System<'static>,
    /// The command line.
    pub(crate) command_line: CommandLine<'a>,
    /// The files that the boot loader handed over.
    pub(crate) archive: Archive<'static>,
    /// What the CPU is.
    pub(crate) facts: &'a Facts,
    /// When the steps of the boot were done.
    pub(crate) marks: &'a Marks,
    /// What painting the linear map cost.
    pub(crate) painted: Painted,
}

impl Monitor<'_> {
    /// Carries out a command, and says on the console what came of it.
    pub(crate) fn carry_out(&self, command: Command<'_>) {
        match command {
            Command::Help => println!("{HELP}"),
            Command::Ptdump(scope) => self.ptdump(scope),
            Command::Stat => self.stat(),
            Command::Walk(address) => self.walk(address),
            Command::Protect(change, range) => self.protect(range, change),
            Command::Atomic(change, range) => self.atomic(change, range),
            Command::Split(Splitting::Plain, range) => self.split(range),
            Command::Split(Splitting::KeepingVectors, range) => self.split_keeping_vectors(range),
            Command::Vmap(pages, leaves) => self.vmap(pages, leaves),
            Command::Vunmap(start, freed) => {
                say(self.counted(|| self.system.vunmap(start, freed)));
            }
            Command::SetMemory(change, part) => {
                say(self.counted(|| self.system.set_memory(part, change)));
            }
            Command::Areas => self.areas(),
            Command::Purge => self.purge(),
            Command::Direct(what, part) => self.direct(what, part),
            Command::Secret(what) => self.secret(what),
            Command::Guard(what) => self.guard(what),
            Command::Code(what) => self.code(what),
            Command::Share(what) => self.share(what),
            Command::HotAdd(start, bytes) => self.hot_add((start, bytes)),
            Command::HotRemove(start, bytes) => {
                say(self.counted(|| hotplug::remove(self.system, (start, bytes))));
            }
            Command::Absent => hotplug::absent().ranges().for_each(|range| println!("{range}")),
            Command::DataAlias(power) => self.data_alias(power),
            Command::Peek(address) => self.peek(address),
            Command::Poke(address, value) => self.poke(address, value),
            Command::Exec(address) => self.exec(address),
            Command::Timeline => console::print(format_args!("{}", self.marks.text())),
            Command::Trace(what) => self.trace(what),
            Command::Referee(what) => self.referee(what),
            Command::Conflict(address, times) => referee::conflict(address, times),
            Command::Cpus => self.cpus(),
            Command::Strategy => self.strategy(),
            Command::Cpu(Power::On, cpu) => say(self.system.cpu_on(cpu)),
            Command::Cpu(Power::Off, cpu) => say(self.system.cpu_off(cpu)),
            Command::Load(Power::On, cpu) => say(self.system.begin_load(cpu)),
            Command::Load(Power::Off, cpu) => self.end_load(cpu),
            Command::Reader(Power::On, cpu) => say(crate::cpus::begin_reading(cpu)),
            Command::Reader(Power::Off, cpu) => Self::end_reading(cpu),
            Command::Churn(changes, accesses) => self.churn(changes, accesses),
            Command::Writers(changes, spread) => self.counted(|| self.writers(changes, spread)),
            Command::Kpti => say(self.counted(|| self.system.make_non_global())),
            Command::Cycles(steps, seed) => self.cycles(steps, seed),
            Command::Tour => self.tour(),
            Command::Repaint(leaves) => self.repaint(leaves),
            Command::Heal(what) => self.heal(what),
            Command::Idle(seconds) => self.idle(seconds),
            Command::Count(what) => self.count(what),
            Command::Carve(what, range) => self.carve(what, range),
            Command::Scatter(pages) => self.scatter(pages),
            Command::Cmdline => self.cmdline(),
            Command::Poweroff(status) => exit::exit(Status::Asked(status)),
        }
    }

    fn mair(&self) -> Mair {
        Mair::for_kernel(self.facts.mte)
    }

    fn ptdump(&self, scope: Scope) {
        let space = self.system.space();
        let reader = space.reader();
        let all = Tree::new(space.geometry(), space.root(), &reader);
        let tree = match scope {
            Scope::All => all,
            Scope::Linear => all.within(LINEAR),
        };
        let style = Style { mair: self.mair(), markers: &MARKERS };
        // The console takes every byte.
        let _ = tree.ptdump(style, &mut Console);
        let wx = all.wx();
        println!("{}", WxText(wx));
    }

    fn stat(&self) {
        let space = self.system.space();
        let reader = space.reader();
        let map = Tree::new(space.geometry(), space.root(), &reader).within(LINEAR).stat();
        println!("linear map:");
        let frames = self.system.frames();
        let ready = self.system.tables_ready();
        console::print(format_args!("{}", StatText { map: &map, frames, ready }));
        self.healed();
        let all = Tree::new(space.geometry(), space.root(), &reader);
        self.globality(&all);
        Self::parkings();
    }

    fn walk(&self, address: VirtAddr) {
        let space = self.system.space();
        let reader = space.reader();
        let tree = Tree::new(space.geometry(), space.root(), &reader);
        println!("{}", tree.walk(address).described(self.mair()));
    }

    fn protect(&self, range: VirtRange, change: Change) {
        let result = self.counted(|| self.system.protect(range, change));
        if result.is_ok() {
            self.system.heal_later(range);
        }
        say(result);
    }

    fn atomic(&self, change: Change, range: VirtRange) {
        let _held = HELD.lock();
        say(self.counted(|| self.system.protect(range, change)));
    }

    fn split(&self, range: VirtRange) {
        say(self.counted(|| self.system.space().split(range, &System::may_park())));
    }

    fn split_keeping_vectors(&self, range: VirtRange) {
        // As many leaves as there are pages are compared, and changed, through vector registers too.
        let work = || {
            let split = self.system.space().split(range, &System::may_park());
            let rights = self.system.protect(range, Change::Invalid);
            (split, rights.and_then(|()| self.system.protect(range, Change::Valid)))
        };
        let Some(((split, rights), changed)) = wide::changed_by(work) else {
            return println!("refused: this CPU permits no vector registers");
        };
        println!("vector registers that are not as they were: {changed}");
        if rights.is_err() {
            say(rights);
        }
        say(split);
    }

    fn peek(&self, address: VirtAddr) {
        // SAFETY: a person asks for it, who answers for devices whose registers mind.
        match unsafe { probe::read_u64(address) } {
            Ok(value) => println!("{address}: {value:#018x}"),
            Err(fault) => self.fault(address, fault),
        }
    }

    fn poke(&self, address: VirtAddr, value: u64) {
        // SAFETY: a person asks for it, who answers for whatever is there.
        match unsafe { probe::write_u64(address, value) } {
            Ok(()) => println!("{address} = {value:#018x}"),
            Err(fault) => self.fault(address, fault),
        }
    }

    fn exec(&self, address: VirtAddr) {
        // SAFETY: a person asks for it, who answers for the code.
        match unsafe { probe::execute(address, 0) } {
            Ok(value) => println!("{address} returned {value:#018x}"),
            Err(fault) => self.fault(address, fault),
        }
    }

    fn fault(&self, address: VirtAddr, fault: Fault) {
        println!("fault: {fault}");
        self.walk(address);
        if let Some(story) = guard::story(address) {
            println!("guard pool: {story}");
        }
    }

    fn cmdline(&self) {
        println!("{}", self.command_line.text());
        self.command_line.complaints().for_each(|complaint| println!("{complaint}"));
    }
}

/// What `atomic` holds.
static HELD: Lock<()> = Lock::new(());

/// Says how an operation ended.
fn say<E: fmt::Display>(result: Result<(), E>) {
    match result {
        Ok(()) => println!("done"),
        Err(error) => println!("refused: {error}"),
    }
}

/// The console, for those who write text to something.
struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::print(format_args!("{text}"));
        Ok(())
    }
}
