//! What is wrong with a program: the rule, the effect, the CPU, the address.

use std::fmt;

use blockmap_machine::VirtAddr;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $key:literal,)*) => {
        /// A rule that the model enforces. The keys are those of `docs/rules.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The rule's key.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self {
                    $(Self::$name => $key,)*
                }
            }
        }
    };
}

rules! {
    /// A walker could read what was never written. [publish-after-fill]
    PublishAfterFill = "publish-after-fill",
    /// A walker could read half of a store. [entries-are-stored-whole]
    EntriesAreStoredWhole = "entries-are-stored-whole",
    /// A walker could read a table that was written past the caches, and find something else.
    /// [tables-out-of-caches]
    TablesOutOfCaches = "tables-out-of-caches",
    /// What hardware wrote to an entry could be overwritten unseen. [hardware-updates-are-off]
    HardwareUpdatesAreOff = "hardware-updates-are-off",
    /// Instructions could be fetched that are not those that were stored. [code-clean-before-run]
    CodeCleanBeforeRun = "code-clean-before-run",
    /// A CPU could hold entries of two trees. [root-through-empty-table]
    RootThroughEmptyTable = "root-through-empty-table",
    /// A walker could enter a table that was given back, or a TLB still point to it.
    /// [free-after-invalidate]
    FreeAfterInvalidate = "free-after-invalidate",
    /// The invalidation before a table is given back leaves pointers to it. [all-levels-before-free]
    AllLevelsBeforeFree = "all-levels-before-free",
    /// An address that must stay mapped could fault. [mapped-stays-mapped]
    MappedStaysMapped = "mapped-stays-mapped",
    /// An address could translate to memory that is neither the old nor the new.
    /// [output-as-intended]
    OutputAsIntended = "output-as-intended",
    /// An address could grant what neither old nor new grants. [rights-as-intended]
    RightsAsIntended = "rights-as-intended",
    /// An address could have a memory type that is neither the old nor the new.
    /// [type-as-intended]
    TypeAsIntended = "type-as-intended",
    /// One entry of a contiguous run could speak for another. [run-changes-whole]
    RunChangesWhole = "run-changes-whole",
    /// A CPU that needs a break could hold two sizes or two outputs. [break-before-make]
    BreakBeforeMake = "break-before-make",
    /// A CPU that may abort could hold two sizes. [size-change-by-cpu]
    SizeChangeByCpu = "size-change-by-cpu",
    /// Two memory types or shareabilities could be mixed for one address. [type-change-breaks]
    TypeChangeBreaks = "type-change-breaks",
    /// A parked CPU could still hold something of the tree. [parked-holds-nothing]
    ParkedHoldsNothing = "parked-holds-nothing",
    /// A frame could be writable through one address and executable through another.
    /// [narrow-then-widen]
    NarrowThenWiden = "narrow-then-widen",
    /// A change is said to be in force, and no invalidation covers what it replaced.
    /// [stale-until-invalidated]
    StaleUntilInvalidated = "stale-until-invalidated",
    /// The old entry could be read again after the invalidation. [invalidate-after-publish]
    InvalidateAfterPublish = "invalidate-after-publish",
    /// The invalidation need not have completed. [complete-after-invalidate]
    CompleteAfterInvalidate = "complete-after-invalidate",
    /// The issuer's own pipeline may still use the old translation.
    /// [synchronise-after-invalidate]
    SynchroniseAfterInvalidate = "synchronise-after-invalidate",
    /// A CPU that relies on a new mapping may still fault there. [synchronise-after-publish]
    SynchroniseAfterPublish = "synchronise-after-publish",
    /// The invalidation's level hint misses an entry of another size. [no-ttl-across-sizes]
    NoTtlAcrossSizes = "no-ttl-across-sizes",
    /// Several sizes of one address may be held, and the CPU need not remove any of them but with
    /// everything: the stricter reading of the manual. [several-sizes-need-everything]
    SeveralSizesNeedEverything = "several-sizes-need-everything",
    /// The invalidation reaches one CPU only. [invalidate-every-cpu]
    InvalidateEveryCpu = "invalidate-every-cpu",
    /// The invalidation is of a range, and the CPU need not act on it.
    /// [range-form-needs-every-cpu]
    RangeFormNeedsEveryCpu = "range-form-needs-every-cpu",
    /// The invalidation names one address space, and the entry is another's.
    /// [invalidate-every-asid]
    InvalidateEveryAsid = "invalidate-every-asid",
    /// The tables do not mean what was asked. [map-means-what-was-asked]
    MapMeansWhatWasAsked = "map-means-what-was-asked",
    /// The entries of a contiguous run disagree at rest. [whole-run-or-none]
    WholeRunOrNone = "whole-run-or-none",
    /// The CPUs could wait for each other for ever. [no-deadlock]
    NoDeadlock = "no-deadlock",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.key())
    }
}

/// One violation: holding one tells that hardware may do this with the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// The CPU that could see it.
    pub cpu: usize,
    /// The address at which.
    pub address: VirtAddr,
    /// The effect that made it possible.
    pub effect: Effect,
    /// What that CPU could have seen, a line each.
    pub seen: Vec<String>,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whose.
    pub cpu: usize,
    /// Which, counted from zero.
    pub step: usize,
    /// The step as text.
    pub text: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Effect { cpu, step, text } = &self.effect;
        writeln!(f, "{} at {} on CPU {}", self.rule, self.address, self.cpu)?;
        writeln!(f, "  step {step} of CPU {cpu}: {text}")?;
        for line in &self.seen {
            writeln!(f, "  could have seen {line}")?;
        }
        Ok(())
    }
}
