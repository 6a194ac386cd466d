//! Opens a source, whatever it is.

use std::io;
use std::path::PathBuf;

use blockmap_vmsa::{Half, machine::PhysRange};
use thiserror::Error;

use crate::{
    FileAt, FindError, FoundTree, Inspected, Life, Outputs, Overrides, PhysicalMemory, Provenance,
    Registers, SourceSpec, Topic, VmCoreInfo,
    find::{Evidence, find},
    linux::{areas, areas_by_size},
    overrides::Search,
    raw::{FileMemory, Piece, open_sized},
    search::search,
};

/// Why a source gave no trees. Nothing is left behind, and a machine that was running runs.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file could not be opened or read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file has nothing in it.
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    /// An image of RAM without its address.
    #[error(
        "{} is none of the formats that say where their memory is; if it is an image of RAM, \
         give the address of its first byte: {}@0x40000000", .0.display(), .0.display()
    )]
    Unknown(PathBuf),
    /// An image that would not fit below the end of the address space.
    #[error("{0}: the image reaches beyond the end of the address space")]
    Range(FileAt),
    /// The source was read, and no tree found in it.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A source that is not read yet.
    #[error("{0}: this kind of source cannot be read")]
    Unsupported(SourceSpec),
}

/// Opens a source: finds out what it is, where its tables are, and what is known of its kernel.
///
/// # Errors
/// Says what was tried, and what to do.
pub fn open(spec: &SourceSpec, overrides: &Overrides) -> Result<Inspected, OpenError> {
    match spec {
        SourceSpec::Files(files) => open_files(files, overrides),
        SourceSpec::Qmp(_) | SourceSpec::Gdb(_) | SourceSpec::Kcore | SourceSpec::StandardInput => {
            Err(OpenError::Unsupported(spec.clone()))
        }
    }
}

fn open_files(files: &[FileAt], overrides: &Overrides) -> Result<Inspected, OpenError> {
    let mut origin = Provenance::default();
    let mut opened = Vec::new();
    let mut pieces = Vec::new();
    for file in files {
        let path = || file.path.clone();
        let (handle, bytes) =
            open_sized(&file.path).map_err(|error| OpenError::File { path: path(), error })?;
        if bytes == 0 {
            return Err(OpenError::Empty(path()));
        }
        let base = file.base.ok_or_else(|| OpenError::Unknown(path()))?;
        let range = PhysRange::new(base, bytes).ok_or_else(|| OpenError::Range(file.clone()))?;
        pieces.push(Piece { range, file: opened.len(), offset: 0, held: bytes });
        opened.push(handle);
        origin.add(Topic::Memory, format!("{} to {}, image {file}", base, range.last()));
    }
    let memory = FileMemory::new(opened, pieces, Life::Still);
    let source = Opened { memory: Box::new(memory), registers: None, linux: None };
    source.finish(origin, overrides)
}

/// A source whose memory can be read.
pub(crate) struct Opened {
    pub(crate) memory: Box<dyn PhysicalMemory>,
    pub(crate) registers: Option<Registers>,
    pub(crate) linux: Option<VmCoreInfo>,
}

impl Opened {
    /// Finds the trees and what is known of their kernel.
    pub(crate) fn finish(
        mut self,
        mut origin: Provenance,
        overrides: &Overrides,
    ) -> Result<Inspected, OpenError> {
        if self.linux.is_none() && overrides.search != Search::Never {
            self.linux = search(&*self.memory, &mut origin);
        }
        let bytes =
            self.memory.ranges().iter().fold(0_u64, |sum, range| sum.saturating_add(range.bytes()));
        let evidence =
            Evidence { registers: self.registers, linux: self.linux.as_ref(), frames: bytes >> 12 };
        let found = find(evidence, overrides, &mut origin)?;
        let areas = name_areas(self.linux.as_ref(), &found.trees, overrides, &mut origin);
        Ok(Inspected {
            origin,
            memory: self.memory,
            trees: found.trees,
            mair: found.mair,
            registers: self.registers,
            linux: self.linux,
            areas,
            outputs: Outputs::Known,
        })
    }
}

/// The areas of the upper half, and where their names are from.
fn name_areas(
    linux: Option<&VmCoreInfo>,
    trees: &[FoundTree],
    overrides: &Overrides,
    origin: &mut Provenance,
) -> Vec<crate::Area> {
    let upper = trees.iter().find(|tree| tree.geometry.half() == Half::Upper);
    let (Some(upper), Some(linux)) = (upper, linux) else {
        return Vec::new();
    };
    let fixmap = overrides.fixmap_start;
    let text = if fixmap.is_some() { "as given" } else { "that of a usual configuration" };
    if let Some(areas) = areas(linux, upper.geometry, fixmap) {
        origin.add(Topic::Areas, format!("from VMCOREINFO; start of the fixmap {text}"));
        areas
    } else {
        origin.add(Topic::Areas, "from the sizes of addresses, as Linux 7 has them");
        areas_by_size(upper.geometry, fixmap)
    }
}
