//! From what the writers did to a program: the locks with whose turn it was, and who used a table
//! again that another had given back.

use std::collections::{BTreeMap, BTreeSet};

use blockmap::{Root, Scope};
use blockmap_machine::PhysAddr;
use blockmap_model::program::Step;

use super::Noted;

/// The lock for linking above the slots.
const ROOT: &str = "root";

/// The steps of each CPU. One that works alone needs no locks.
pub(super) fn steps(notes: &[Vec<(u64, Noted)>]) -> Vec<Vec<Step>> {
    let is_alone = notes.iter().filter(|notes| !notes.is_empty()).count() < 2;
    let locks = Locks::new(notes);
    let each = |notes: &Vec<(u64, Noted)>| {
        notes.iter().flat_map(|(time, noted)| locks.steps(*time, noted, is_alone)).collect()
    };
    notes.iter().map(each).collect()
}

/// The locks that a run needs: neighbouring slots that are always locked together are one.
struct Locks {
    parts: Vec<(u32, u32)>,
    /// When each was let go of.
    unlocked: BTreeMap<String, Vec<u64>>,
}

impl Locks {
    fn new(notes: &[Vec<(u64, Noted)>]) -> Self {
        let all = || notes.iter().flatten();
        let scopes = all().filter_map(|(_, noted)| match noted {
            Noted::Lock(scope) => Some(scope),
            Noted::Unlock(_) | Noted::Step(_) | Noted::Taken(..) | Noted::Freed(_) => None,
        });
        let bounds: BTreeSet<u32> =
            scopes.flat_map(|scope| [scope.first_slot, scope.last_slot + 1]).collect();
        let bounds: Vec<u32> = bounds.into_iter().collect();
        let parts = bounds.windows(2).map(|pair| (pair[0], pair[1])).collect();
        let mut locks = Self { parts, unlocked: BTreeMap::new() };
        for (time, noted) in all() {
            if let Noted::Unlock(scope) = noted {
                for name in locks.names(*scope) {
                    locks.unlocked.entry(name).or_default().push(*time);
                }
            }
        }
        locks
    }

    /// The locks of a scope in the order in which they are taken.
    fn names(&self, scope: Scope) -> Vec<String> {
        let is_in =
            |(first, end): &&(u32, u32)| *first >= scope.first_slot && *end <= scope.last_slot + 1;
        let slots = self.parts.iter().filter(is_in);
        let mut names: Vec<String> =
            slots.map(|(first, end)| format!("slots{first}..{end}")).collect();
        if scope.root == Root::Changes {
            names.push(ROOT.to_owned());
        }
        names
    }

    fn steps(&self, time: u64, noted: &Noted, is_alone: bool) -> Vec<Step> {
        match noted {
            Noted::Step(step) => vec![step.clone()],
            Noted::Freed(table) if is_alone => vec![Step::Free(*table)],
            Noted::Lock(_) | Noted::Unlock(_) | Noted::Taken(..) if is_alone => Vec::new(),
            Noted::Freed(table) => vec![Step::Free(*table), Step::Signal(name_of(*table))],
            Noted::Taken(_, 0) => Vec::new(),
            Noted::Taken(table, freed) => vec![Step::Wait(name_of(*table), *freed)],
            Noted::Lock(scope) => {
                let lock = |name: String| {
                    let before = self.unlocked.get(&name).map_or(0, |times| {
                        times.iter().filter(|unlocked| **unlocked < time).count()
                    });
                    Step::Lock { name, turn: u32::try_from(before).ok() }
                };
                self.names(*scope).into_iter().map(lock).collect()
            }
            Noted::Unlock(scope) => {
                self.names(*scope).into_iter().rev().map(Step::Unlock).collect()
            }
        }
    }
}

fn name_of(table: PhysAddr) -> String {
    format!("table{table}")
}
