//! Files: what is in one is found out from how it begins.

use blockmap_vmsa::machine::PhysRange;

use crate::{
    FileAt, Inspected, Life, OpenError, Overrides, Provenance, Topic,
    opened::{Keep, Opened},
    raw::{FileMemory, Piece, open_sized},
};

/// Opens one file, or several images of RAM.
pub(crate) fn open_files(files: &[FileAt], overrides: &Overrides) -> Result<Inspected, OpenError> {
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
    let memory = Box::new(FileMemory::new(opened, pieces, Life::Still));
    let opened = Opened { memory, registers: None, linux: None, keep: Keep::Source };
    opened.finish(origin, overrides)
}
