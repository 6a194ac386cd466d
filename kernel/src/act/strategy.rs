//! `strategy`: under which terms CPUs use the tables, and why.

use blockmap::Terms;
use blockmap::layout::{Answer, Strategy};
use blockmap::vmsa::TlbiForm;
use blockmap::vmsa::cpu::SizeChange;
use blockmap::vmsa::descriptor::Asids;

use super::Monitor;
use crate::arch::ground;
use crate::console::println;
use crate::cpus;

impl Monitor<'_> {
    /// The terms that all CPUs use the tables under, and why they are these.
    pub(super) fn strategy(&self) {
        let Terms { strategy, tlbi } = self.system.entrance().terms();
        let consequence = match strategy {
            Strategy::Live => "leaves change size while they are in use",
            Strategy::Quiesce => "leaves change size while all other CPUs are parked",
            Strategy::Pages => "no leaf ever changes its size",
        };
        let form = match tlbi {
            TlbiForm::ByAddress => "by address",
            TlbiForm::Ranged => "by range",
        };
        let running = cpus::admitted().count();
        let leaves = match self.system.leaf_asids() {
            Asids::Every => "",
            Asids::One => "; no leaf is global",
        };
        println!(
            "{strategy:?}: {consequence}; TLBs are invalidated {form}; {running} CPUs admitted{leaves}"
        );
        self.reasons(tlbi);
    }

    /// What the terms follow from: what was chosen, whether CPUs are expected, and which of those that
    /// are here forbid what.
    fn reasons(&self, tlbi: TlbiForm) {
        let policy = self.system.policy();
        let expected = match cpus::answer() {
            Answer::Open => "more CPUs are expected, so this is not final",
            Answer::Final => {
                "final, as no CPU is expected any more; one that comes late is judged as it comes"
            }
        };
        println!("size-change={}; {expected}", policy.choice.name());
        for cpu in cpus::admitted() {
            let (report, (change, why)) =
                (ground::place(cpu).report(), cpus::size_change(cpu, &policy.overrides));
            let forbids = match change {
                SizeChange::Quiet => None,
                SizeChange::MayAbort => Some("may abort while a live leaf changes its size"),
                SizeChange::NeedsBreak => Some("needs a break where a live leaf changes its size"),
            };
            if let Some(forbids) = forbids {
                println!("CPU {cpu}, {}: {forbids} ({why})", report.midr());
            }
            if report.tlbi_form() == TlbiForm::ByAddress && tlbi == TlbiForm::ByAddress {
                println!("CPU {cpu}, {}: invalidates no ranges", report.midr());
            }
        }
    }
}
