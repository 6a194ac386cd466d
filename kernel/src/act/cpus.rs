//! `cpus`, `load`, `churn`: who uses the tables, and how they fare while these change.

use blockmap::dump::{ReadTable, Size, Tree};
use blockmap::vmsa::cpu;
use blockmap::vmsa::descriptor::Asids;
use blockmap::vmsa::{Change, bits};
use blockmap_kernel::monitor::Spread;
use thiserror::Error;

use super::{Monitor, say};
use crate::arch::ground::{self, Stage};
use crate::arch::{gic, per_cpu, probe};
use crate::console::println;
use crate::cpus::{self, Written};

impl Monitor<'_> {
    /// A line for each CPU.
    pub(super) fn cpus(&self) {
        for cpu in 0..cpus::announced() {
            let (place, data) = (ground::place(cpu), per_cpu::of(cpu));
            let stage = place.stage();
            let says = match stage {
                Stage::Off => "off",
                Stage::Starting => "was started and has not reported",
                Stage::Reported => "reported, waits",
                Stage::Unfit => "unfit: no tables of 4 KiB",
                Stage::Running => "runs",
                Stage::Left => "has left",
                Stage::Faulted => "stands still after an exception",
            };
            let report = place.report();
            if report.midr == 0 {
                println!("CPU {cpu}: affinity {}: {says}", data.mpidr());
                continue;
            }
            let [_, _, mmfr2, _] = report.mmfr;
            let (change, why) = cpus::size_change(cpu, &self.system.policy().overrides);
            let midr = report.midr();
            println!(
                "CPU {cpu}: affinity {}: {says}: {midr}, MIDR {:#010x}, BBM {}: {change:?} ({why}); \
                 TLB invalidation: {:?}",
                data.mpidr(),
                midr.value(),
                cpu::bbm(mmfr2),
                report.tlbi_form(),
            );
            let (accesses, wrong) = data.job.done();
            if data.job.list().is_some() {
                println!("CPU {cpu}: load: {accesses} accesses, {wrong} of them wrong");
            }
        }
        if gic::unknown() != 0 {
            println!("interrupts that nobody asked for: {}", gic::unknown());
        }
    }

    /// How much of the map belongs to one ASID, if any does.
    pub(super) fn globality<R: ReadTable>(&self, tree: &Tree<'_, R>) {
        let (mut global, mut private) = (0_u64, 0_u64);
        for run in tree.runs() {
            match run.mapped().filter(|mapped| mapped.is_valid()) {
                Some(mapped) if mapped.meaning & bits::NOT_GLOBAL == 0 => {
                    global += run.range.bytes();
                }
                Some(_) => private += run.range.bytes(),
                None => {}
            }
        }
        match (self.system.leaf_asids(), private) {
            (Asids::Every, 0) => {}
            (Asids::Every | Asids::One, _) => {
                println!("whole map:");
                println!("  of one ASID: {}; global: {}", Size::of(private), Size::of(global));
            }
        }
    }

    /// How often CPUs were parked, if they ever were.
    pub(super) fn parkings() {
        let parkings = cpus::parkings();
        if parkings.count + parkings.given_up == 0 {
            return;
        }
        println!("parking:");
        println!("  times {}, given up {}", parkings.count, parkings.given_up);
        let line = |what, (last, worst)| println!("  {what}: last {last} ticks, worst {worst}");
        line("first arrival to release", parkings.first);
        line("all parked to release", parkings.all);
    }

    /// Relieves a CPU, and says what its load came to.
    pub(super) fn end_load(&self, cpu: u32) {
        let result = self.system.end_load(cpu);
        if result.is_ok() {
            let (accesses, wrong) = per_cpu::of(cpu).job.done();
            println!("load: {accesses} accesses, {wrong} of them wrong");
        }
        say(result);
    }

    /// Relieves a CPU that reads tables, and says what it read.
    pub(super) fn end_reading(cpu: u32) {
        let result = cpus::end_reading(cpu);
        if result.is_ok() {
            let (passes, wrong) = per_cpu::of(cpu).job.done();
            println!("reader: {passes} passes, {wrong} of them wrong");
        }
        say(result);
    }

    /// Changes pages all over memory, and sees after each step that what was asked for is in force.
    pub(super) fn churn(&self, changes: u64, accesses: u64) {
        say(self.churn_pages(changes, accesses));
        let totals = cpus::admitted().map(|cpu| per_cpu::of(cpu).job.done());
        let (accesses, wrong) =
            totals.fold((0, 0), |(all, bad), (some, wrong)| (all + some, bad + wrong));
        println!("loads: {accesses} accesses, {wrong} of them wrong");
    }

    /// Has all CPUs that are not loaded change pages at once, and says what each did.
    pub(super) fn writers(&self, changes: u64, spread: Spread) {
        let print = |Written { cpu, changes, wrong, waits }| {
            println!(
                "CPU {cpu}: {changes} changes, {wrong} of them wrong; a lock was held {waits} times"
            );
        };
        say(self.system.compete(changes, spread, print));
    }

    fn churn_pages(&self, changes: u64, accesses: u64) -> Result<(), ChurnError> {
        for change in 0..changes {
            cpus::wait_for_accesses(accesses).map_err(|()| ChurnError::Idle)?;
            let page = self.system.claim_some_page(change).ok_or(ChurnError::NoFrame)?;
            let address = page.start();
            let protect = |change| {
                let result = self.system.protect(page, change);
                result.map_err(|error| println!("{error}")).map_err(|()| ChurnError::Refused)
            };
            // SAFETY: the frame was taken for this, and the linear map shows it.
            let write = |value| unsafe { probe::write_u64(address, value) };
            protect(Change::ReadOnly)?;
            if write(change).is_ok() {
                return Err(ChurnError::Writable);
            }
            protect(Change::ReadWrite)?;
            if write(change).is_err() {
                return Err(ChurnError::NotWritable);
            }
            self.system.heal_later(page);
            self.system.give_page(page);
        }
        Ok(())
    }
}

/// Why pages were not changed any further.
#[derive(Clone, Copy, Debug, Error)]
enum ChurnError {
    /// No frame is free where one is looked for.
    #[error("no frame is free where one was looked for")]
    NoFrame,
    /// The engine refused a change.
    #[error("a change was refused")]
    Refused,
    /// Accesses were to be waited for, and none came.
    #[error("no CPU is loaded: load on CPU loads one")]
    Idle,
    /// A page that is read-only could be written.
    #[error("a read-only page was written")]
    Writable,
    /// A page that is writable again could not be.
    #[error("a writable page could not be written")]
    NotWritable,
}
