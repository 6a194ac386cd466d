//! What the CPU and the command line say, before the map is planned.

use blockmap::Terms;
use blockmap::layout::{
    Admitted, Answer, Decision, Inputs, LateGuard, Rodata, Strategy, World, decide,
};
use blockmap::machine::PhysAddr;
use blockmap::vmsa::cpu::{self, Midr, Mte, SizeChange};
use blockmap::vmsa::{Format, Geometry, Granule, Mair};
use blockmap_hw::{BulkRegisters, Cpu};
use blockmap_kernel::cmdline::{GuardPool, Options};
use blockmap_kernel::identity::Why;
use blockmap_kernel::trace::Origin;

use crate::arch::ground;
use crate::cpus::Policy;

/// What the CPU and the command line say, before the map is planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Who the CPU is.
    pub(crate) midr: Midr,
    /// What happens when a live leaf changes its size, and how that is known.
    pub(crate) size_change: (SizeChange, Why),
    /// Whether memory has tags.
    pub(crate) mte: Mte,
    /// What all CPUs allow.
    pub(crate) terms: Terms,
    /// Blocks or pages, and why.
    pub(crate) decision: Decision,
    pub(super) geometry: Geometry,
    pub(super) rodata: Rodata,
    pub(super) guard_pool: GuardPool,
    pub(super) fail_tables: Option<u32>,
    pub(super) trace: Option<u32>,
    pub(super) referee: Option<u32>,
    bulk_through: BulkRegisters,
    pub(super) policy: Policy,
}

impl Facts {
    /// Reads what the CPU says of itself.
    pub(crate) fn of(options: &Options<'_>) -> Self {
        let report = ground::place(0).report();
        let size_change = report.size_change(0, &options.overrides);
        let alone = Admitted { boot: size_change.0, others: None, answer: Answer::Open };
        let strategy = Strategy::of(options.size_choice, alone);
        let inputs = Inputs {
            rodata: options.rodata,
            debug_pagealloc: options.debug_pagealloc,
            late_guard: match options.guard_pool {
                GuardPool::Late => LateGuard::Possible,
                GuardPool::Off | GuardPool::Early => LateGuard::Never,
            },
            world: World::Ordinary,
            strategy,
        };
        let kernel = Geometry::KERNEL_4K_48;
        let output_bits = report.output_bits().min(kernel.output_bits());
        let place = (kernel.regime(), kernel.half());
        let format = (Granule::Kib4, Format::Base);
        Self {
            midr: report.midr(),
            size_change,
            mte: cpu::mte(report.pfr1),
            terms: Terms { strategy, tlbi: report.tlbi_form() },
            decision: decide(inputs),
            geometry: Geometry::new(place, format, kernel.input_bits(), output_bits)
                .unwrap_or(kernel),
            rodata: options.rodata,
            guard_pool: options.guard_pool,
            fail_tables: options.fail_tables,
            trace: options.trace,
            referee: options.referee,
            bulk_through: fill_registers(options),
            policy: Policy { overrides: options.overrides, choice: options.size_choice, inputs },
        }
    }

    /// What a trace says of where it was recorded.
    pub(super) fn origin(&self, root: PhysAddr, load: PhysAddr) -> Origin {
        Origin {
            geometry: Geometry::KERNEL_4K_48,
            root,
            mair: Mair::for_kernel(self.mte),
            load,
            rodata: self.rodata,
            midr: self.midr,
            size_change: self.size_change.0,
            terms: self.terms,
        }
    }

    /// The same CPU, which fills tables from the registers it has for that.
    pub(super) fn filling(&self, cpu: Cpu) -> Cpu {
        // SAFETY: every CPU sets CPACR_EL1 by what it has before it uses the tables, `leave_el2` and the
        // referee CPTR_EL2; SVE and SME are nobody's.
        unsafe { cpu.with_bulk_through(self.bulk_through) }
    }
}

/// What tables are filled from: vector registers, unless somebody looks at each store who can't read
/// them. Each fill asks its CPU whether it has any.
fn fill_registers(options: &Options<'_>) -> BulkRegisters {
    match options.referee {
        None => BulkRegisters::Vector,
        Some(_) => BulkRegisters::General,
    }
}
