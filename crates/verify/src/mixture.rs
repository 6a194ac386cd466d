//! Machines to explore the engine's operations on: what its CPUs may do, and what the engine is told.

use std::fmt;
use std::time::Duration;

use blockmap::Terms;
use blockmap_model::explore::{ExploreError, Options, explore};
use blockmap_model::profile::{
    Forwarding, Invalidation, Profile, Runs, Synchronisation, WalkCache,
};
use blockmap_model::program::Program;
use blockmap_model::verdict::Verdict;
use blockmap_vmsa::TlbiForm;

use crate::scenario::{LIVE, Scenario};

/// CPUs of one machine, all of them quiet.
#[derive(Clone, Copy, Debug)]
pub struct Mixture {
    /// Its name.
    pub name: &'static str,
    /// The CPU that changes the tables.
    pub writer: Profile,
    /// All others.
    pub walkers: Profile,
    /// What the engine is told of invalidations.
    pub tlbi: TlbiForm,
}

const WEAK: Profile = Profile::QUIET;
const STRONG: Profile = Profile {
    synchronisation: Synchronisation::Ets3,
    walk_cache: WalkCache::ByInput,
    runs: Runs::Ignored,
    forwarding: Forwarding::None,
    ..WEAK
};
const NO_RANGES: Profile = Profile { invalidation: Invalidation::ByAddress, ..WEAK };
const ETS2: Profile = Profile { synchronisation: Synchronisation::Ets2, ..WEAK };

const fn mixture(name: &'static str, writer: Profile, walkers: Profile) -> Mixture {
    Mixture { name, writer, walkers, tlbi: TlbiForm::Ranged }
}

const fn by_address(name: &'static str, writer: Profile, walkers: Profile) -> Mixture {
    Mixture { name, writer, walkers, tlbi: TlbiForm::ByAddress }
}

/// The mixtures that stand for all; docs/testing.md argues why the first two would do.
pub const COVERING: [Mixture; 10] = [
    mixture("weak", WEAK, WEAK),
    by_address("weak without ranges", NO_RANGES, NO_RANGES),
    mixture("strong", STRONG, STRONG),
    mixture("strong writer", STRONG, WEAK),
    mixture("strong walkers", WEAK, STRONG),
    mixture("ets2 writer", ETS2, WEAK),
    mixture("ets2 walkers", WEAK, ETS2),
    by_address("ranges on the writer alone", WEAK, NO_RANGES),
    by_address("ranges on the walkers alone", NO_RANGES, WEAK),
    by_address("ranges unused", WEAK, WEAK),
];

/// Every profile of a quiet CPU, but for the stricter reading of what an invalidation removes.
#[must_use]
pub fn every_profile() -> Vec<Profile> {
    let mut all = vec![WEAK];
    let mut vary = |change: &dyn Fn(Profile) -> Vec<Profile>| {
        let more: Vec<Profile> = all.iter().flat_map(|profile| change(*profile)).collect();
        all.extend(more);
    };
    vary(&|profile| {
        let levels = [Synchronisation::Ets2, Synchronisation::Ets3];
        levels.map(|synchronisation| Profile { synchronisation, ..profile }).to_vec()
    });
    vary(&|profile| vec![Profile { walk_cache: WalkCache::ByInput, ..profile }]);
    vary(&|profile| vec![Profile { invalidation: Invalidation::ByAddress, ..profile }]);
    vary(&|profile| vec![Profile { runs: Runs::Ignored, ..profile }]);
    vary(&|profile| vec![Profile { forwarding: Forwarding::None, ..profile }]);
    all
}

/// Every pair of profiles, with the form of invalidation that both know.
pub fn every_mixture() -> impl Iterator<Item = Mixture> {
    let all = every_profile();
    let others = all.clone();
    all.into_iter().flat_map(move |writer| {
        let others = others.clone();
        others.into_iter().map(move |walkers| {
            let ranged = [writer, walkers].map(|cpu| cpu.invalidation == Invalidation::Ranged);
            let tlbi = if ranged == [true; 2] { TlbiForm::Ranged } else { TlbiForm::ByAddress };
            Mixture { name: "a pair", writer, walkers, tlbi }
        })
    })
}

impl Mixture {
    /// A scenario on `cpus` CPUs of this mixture.
    #[must_use]
    pub fn program(&self, scenario: &Scenario, cpus: usize) -> Program {
        let mut program = scenario.record(Terms { tlbi: self.tlbi, ..LIVE }, cpus);
        for (number, cpu) in program.cpus.iter_mut().enumerate() {
            cpu.profile = if number == 0 { self.writer } else { self.walkers };
        }
        program
    }
}

/// What exploring took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    scenarios: usize,
    slices: usize,
    states: usize,
    transitions: usize,
}

impl Effort {
    /// Explores one program more; returns what is wrong with it.
    ///
    /// # Errors
    /// [`ExploreError`]; the program does not count then.
    pub fn explore(
        &mut self,
        program: &Program,
        options: Options,
    ) -> Result<Vec<Verdict>, ExploreError> {
        let report = explore(program, options)?;
        self.scenarios += 1;
        self.slices += report.slices;
        self.states += report.states;
        self.transitions += report.transitions;
        Ok(report.verdicts)
    }

    /// The same with how long it took.
    #[must_use]
    pub fn in_time(self, time: Duration) -> impl fmt::Display {
        let Self { scenarios, slices, states, transitions } = self;
        let millis = usize::try_from(time.as_millis()).unwrap_or(usize::MAX).max(1);
        let rate = states.saturating_mul(1000) / millis;
        let seconds = time.as_secs_f64();
        format!(
            "{scenarios} scenarios, {slices} slices, {states} states, {transitions} transitions, \
             {seconds:.1} s, {rate} states/s"
        )
    }
}
