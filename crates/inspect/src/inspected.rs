//! What opening a source gives.

use blockmap_dump::Marker;
use blockmap_vmsa::{Mair, cpu::Mte};

use crate::{
    Area, FoundTree, PhysicalMemory, Provenance, Registers, Symbols, TableReader, VmCoreInfo,
};

/// Whether the output addresses of leaves are those of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outputs {
    /// They are.
    Known,
    /// The source has none, as Linux's text doesn't. Each leaf leads to the offset of its input
    /// address in its half, which keeps runs together and says nothing about aliases.
    Invented,
}

/// A source whose trees were found.
#[derive(Debug)]
pub struct Inspected {
    /// What was found, and from where.
    pub origin: Provenance,
    /// The memory that holds the tables.
    pub memory: Box<dyn PhysicalMemory>,
    /// The trees: that of the upper half first, where there is one. Never none.
    pub trees: Vec<FoundTree>,
    /// `MAIR_ELx`, where it is known.
    pub mair: Option<Mair>,
    /// The registers, where the source has any.
    pub registers: Option<Registers>,
    /// What Linux wrote down about itself, where the kernel is one and that was found.
    pub linux: Option<VmCoreInfo>,
    /// The areas of the upper half, in ascending order; none where the kernel is unknown.
    pub areas: Vec<Area>,
    /// The kernel's own symbols, where they were asked for and are in the source.
    pub symbols: Option<Symbols>,
    /// Whether output addresses mean something.
    pub outputs: Outputs,
}

impl Inspected {
    /// A reader of the trees' tables.
    #[must_use]
    pub fn reader(&self) -> TableReader<'_> {
        TableReader::new(&*self.memory)
    }

    /// The areas as a dump of the upper half takes them.
    #[must_use]
    pub fn markers(&self) -> Vec<Marker<'_>> {
        self.areas.iter().map(Area::marker).collect()
    }

    /// The memory types by which a dump names indices: the register's. Linux's own dump calls
    /// index 1 tagged memory on every CPU, also where its register says plain memory because the
    /// CPU has no tags; this says so too, so that the texts can be compared.
    #[must_use]
    pub fn dump_mair(&self) -> Mair {
        match self.mair {
            Some(mair) if mair == Mair::for_kernel(Mte::Missing) => Mair::KERNEL,
            Some(mair) => mair,
            None => Mair::KERNEL,
        }
    }
}
