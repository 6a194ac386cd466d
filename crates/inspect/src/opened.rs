//! From memory that can be read to trees with all that is known of them.

use blockmap_vmsa::Half;

use crate::{
    Area, FoundTree, Inspected, Life, Names, OpenError, Outputs, Overrides, Pace, PhysicalMemory,
    Provenance, Registers, Search, Symbols, Topic, VmCoreInfo,
    find::{Evidence, find},
    frozen::{Frozen, Stillness, freeze},
    linux::{Sought, areas, areas_by_size, areas_of_kernel, through_image},
    search::search,
};

/// What is kept of a source once its trees are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The source: tables are read from it when they are needed.
    Source,
    /// A copy of the tables: the source may change, or is to be let go.
    Copy,
}

/// A source whose memory can be read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) memory: Box<dyn PhysicalMemory>,
    pub(crate) registers: Option<Registers>,
    pub(crate) linux: Option<VmCoreInfo>,
    pub(crate) keep: Keep,
}

impl Opened {
    /// Finds the trees and what is known of their kernel.
    pub(crate) fn finish(
        mut self,
        mut origin: Provenance,
        overrides: &Overrides,
    ) -> Result<Inspected, OpenError> {
        let has_registers = self.registers.is_some() || overrides.tcr.is_some();
        if self.linux.is_none() && !has_registers {
            self.search(overrides, &mut origin);
        }
        let mut copy = None;
        if self.linux.is_none() && has_registers && overrides.search != Search::Never {
            let found = find(self.evidence(), overrides, &mut Provenance::default())?;
            copy = self.copy(&found.trees);
            self.search_image(&found.trees, copy.as_ref(), overrides, &mut origin);
        }
        let found = find(self.evidence(), overrides, &mut origin)?;
        let symbols = self.symbols(overrides, &mut origin);
        let areas = self.name_areas(symbols.as_ref(), &found.trees, overrides, &mut origin);
        let copy = copy.filter(|copy| copy.trees == found.trees);
        let memory = match copy.or_else(|| self.copy(&found.trees)) {
            None => self.memory,
            Some(copy) => {
                say_still(copy.stillness, self.memory.life(), &mut origin);
                Box::new(copy.frozen)
            }
        };
        check_roots(&*memory, &found.trees)?;
        Ok(Inspected {
            origin,
            memory,
            trees: found.trees,
            mair: found.mair,
            registers: self.registers,
            linux: self.linux,
            areas,
            symbols,
            outputs: Outputs::Known,
        })
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            registers: self.registers,
            linux: self.linux.as_ref(),
            frames: frames(&*self.memory),
        }
    }

    /// A copy of the tables, where one is to be kept.
    fn copy(&self, trees: &[FoundTree]) -> Option<Copied> {
        match self.keep {
            Keep::Source => None,
            Keep::Copy => {
                let (frozen, stillness) = freeze(&*self.memory, trees);
                Some(Copied { trees: trees.to_vec(), frozen, stillness })
            }
        }
    }

    /// Looks through all memory for what Linux wrote down.
    fn search(&mut self, overrides: &Overrides, origin: &mut Provenance) {
        if overrides.search != Search::Never {
            self.linux = search(&*self.memory, origin);
        }
    }

    /// Looks for what Linux wrote down where its tables lead, and through all memory if there is
    /// no kernel there and it is quick, or the user says so.
    fn search_image(
        &mut self,
        trees: &[FoundTree],
        copy: Option<&Copied>,
        overrides: &Overrides,
        origin: &mut Provenance,
    ) {
        let upper = trees.iter().find(|tree| tree.geometry.half() == Half::Upper);
        let tables: &dyn PhysicalMemory = copy.map_or(&*self.memory, |copy| &copy.frozen);
        let sought = upper.map(|upper| through_image(&*self.memory, tables, upper));
        let is_quick = self.memory.pace() == Pace::Quick;
        match (sought, overrides.search) {
            (Some(Sought::Found(at, info)), _) => {
                let text = format!("Linux {} (VMCOREINFO in memory at {at})", info.release());
                origin.add(Topic::Kernel, text);
                self.linux = Some(info);
            }
            (_, Search::Always) => self.search(overrides, origin),
            (Some(Sought::NoImage), Search::WhenQuick) if is_quick => {
                self.search(overrides, origin);
            }
            (_, Search::WhenQuick | Search::Never) => {}
        }
    }
}

impl Opened {
    /// The kernel's symbols, where they are asked for.
    fn symbols(&self, overrides: &Overrides, origin: &mut Provenance) -> Option<Symbols> {
        symbols(&*self.memory, self.linux.as_ref(), overrides, origin)
    }

    /// The areas of the upper half, and where their names are from.
    fn name_areas(
        &self,
        symbols: Option<&Symbols>,
        trees: &[FoundTree],
        overrides: &Overrides,
        origin: &mut Provenance,
    ) -> Vec<Area> {
        let upper = trees.iter().find(|tree| tree.geometry.half() == Half::Upper);
        let (Some(upper), Some(linux)) = (upper, &self.linux) else {
            return Vec::new();
        };
        let fixmap = overrides.fixmap_start;
        let own = symbols.filter(|_| fixmap.is_none());
        let own = own.and_then(|own| areas_of_kernel(&*self.memory, own, upper.geometry));
        if let Some(areas) = own {
            origin.add(Topic::Areas, "from the kernel's own table of them");
            return areas;
        }
        let text = if fixmap.is_some() { "as given" } else { "that of a usual configuration" };
        if let Some(areas) = areas(linux, upper.geometry, fixmap) {
            origin.add(Topic::Areas, format!("from VMCOREINFO; start of the fixmap {text}"));
            areas
        } else {
            origin.add(Topic::Areas, "from the sizes of addresses, as Linux 7 has them");
            areas_by_size(upper.geometry, fixmap)
        }
    }
}

/// The kernel's symbols, where they are asked for: what is known of a source without them is said
/// without them.
pub(crate) fn symbols(
    memory: &dyn PhysicalMemory,
    linux: Option<&VmCoreInfo>,
    overrides: &Overrides,
    origin: &mut Provenance,
) -> Option<Symbols> {
    match (overrides.names, linux) {
        (Names::Left, _) => None,
        (Names::Read, None) => {
            let text = "no symbols: Linux's VMCOREINFO, which says where they are, was not found";
            origin.add(Topic::Warning, text);
            None
        }
        (Names::Read, Some(linux)) => match Symbols::read(memory, linux) {
            Ok(symbols) => {
                let count = symbols.count();
                origin.add(Topic::Symbols, format!("{count}, of the kernel's image"));
                Some(symbols)
            }
            Err(error) => {
                origin.add(Topic::Warning, format!("no symbols: {error}"));
                None
            }
        },
    }
}

/// Checks that one tree at least has a root that can be read.
fn check_roots(memory: &dyn PhysicalMemory, trees: &[FoundTree]) -> Result<(), OpenError> {
    let mut refused = None;
    for FoundTree { root, .. } in trees {
        match memory.read(*root, &mut [0; 8]) {
            Ok(()) => return Ok(()),
            Err(error) => refused = refused.or(Some(OpenError::Root { root: *root, error })),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// A copy of the tables of some trees.
struct Copied {
    trees: Vec<FoundTree>,
    frozen: Frozen,
    stillness: Stillness,
}

/// How many 4 KiB frames a source has, if it says.
fn frames(memory: &dyn PhysicalMemory) -> Option<u64> {
    let ranges = memory.written();
    let bytes = ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.bytes()));
    (!ranges.is_empty()).then_some(bytes >> 12)
}

/// Says how tables that may have changed were read.
fn say_still(stillness: Stillness, life: Life, origin: &mut Provenance) {
    let Stillness { tables, rounds, changed, torn } = stillness;
    let how = match life {
        Life::Still => "copied".to_owned(),
        Life::Running if changed == 0 => format!(
            "copied while the kernel ran, and read again \
             until none of them changed: {} readings",
            rounds + 2
        ),
        Life::Running => "copied while the kernel ran".to_owned(),
    };
    origin.add(Topic::Memory, format!("{tables} tables {how}"));
    if changed > 0 {
        let text = format!(
            "{changed} tables kept changing while they were read: what is said of them is of \
             different moments"
        );
        origin.add(Topic::Warning, text);
    }
    if torn > 0 {
        let text = format!("{torn} tables changed at every reading, and were left out");
        origin.add(Topic::Warning, text);
    }
}
