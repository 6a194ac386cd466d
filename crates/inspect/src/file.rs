//! Files: what is in one is found out from how it begins.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use blockmap_vmsa::{Half, machine::PhysRange};

use crate::{
    FileAt, FormatError, Inspected, Life, OpenError, Outputs, Overrides, Provenance, Topic,
    VmCoreInfo, elf,
    format::ReadAt,
    kdump::{Flattened, Kdump},
    opened::{Keep, Opened, symbols},
    raw::{FileMemory, Piece},
    snapshot,
    text::{Text, is_text},
};

/// The longest text or snapshot that is read.
const MOST_BYTES: u64 = 2 << 30;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Elf,
    Kdump,
    Flattened,
    Snapshot,
    Text,
    Unknown,
}

impl Kind {
    fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x7f, b'E', b'L', b'F', ..] => Self::Elf,
            _ if beginning.starts_with(b"KDUMP   ") => Self::Kdump,
            _ if beginning.starts_with(Flattened::MAGIC) => Self::Flattened,
            _ if beginning.starts_with(b"blockmap snapshot ") => Self::Snapshot,
            _ if is_text(beginning) => Self::Text,
            _ => Self::Unknown,
        }
    }
}

/// Opens one file, or several images of RAM.
pub(crate) fn open_files(files: &[FileAt], overrides: &Overrides) -> Result<Inspected, OpenError> {
    match files {
        [FileAt { path, base: None }] => open_file(path, overrides),
        images => open_images(images, overrides),
    }
}

fn open_images(files: &[FileAt], overrides: &Overrides) -> Result<Inspected, OpenError> {
    let mut origin = Provenance::default();
    let mut opened = Vec::new();
    let mut pieces = Vec::new();
    for file in files {
        let (handle, bytes) = sized(&file.path)?;
        let base = file.base.ok_or_else(|| OpenError::Unknown(file.path.clone()))?;
        let range = PhysRange::new(base, bytes).ok_or_else(|| OpenError::Range(file.clone()))?;
        pieces.push(Piece { range, file: opened.len(), offset: 0, held: bytes });
        opened.push(handle);
        origin.add(Topic::Memory, format!("{} to {}, image {file}", base, range.last()));
    }
    let memory = Box::new(FileMemory::new(opened, pieces, Life::Still));
    let opened = Opened { memory, registers: None, linux: None, keep: Keep::Source };
    opened.finish(origin, overrides)
}

/// Opens a file that has something in it, and says how much.
fn sized(path: &Path) -> Result<(File, u64), OpenError> {
    let failed = |error| OpenError::File { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes == 0 { Err(OpenError::Empty(path.to_owned())) } else { Ok((file, bytes)) }
}

fn open_file(path: &Path, overrides: &Overrides) -> Result<Inspected, OpenError> {
    let failed = |error| OpenError::File { path: path.to_owned(), error };
    let wrong = |error| OpenError::Format { path: path.to_owned(), error };
    let file = File::open(path).map_err(failed)?;
    let mut beginning = [0; 64];
    let read = file.read_at(&mut beginning, 0).map_err(failed)?;
    let beginning = beginning.get(..read).unwrap_or_default();
    let mut origin = Provenance::default();
    let name = path.display();
    match Kind::of(beginning) {
        Kind::Elf => {
            origin.add(Topic::Source, format!("ELF dump {name}"));
            let opened = elf_core(file, Life::Still).map_err(wrong)?;
            opened.finish_named(origin, overrides)
        }
        Kind::Kdump => {
            origin.add(Topic::Source, format!("compressed dump {name}"));
            kdump(Box::new(file)).map_err(wrong)?.finish_named(origin, overrides)
        }
        Kind::Flattened => {
            origin.add(Topic::Source, format!("compressed dump, flattened, {name}"));
            let flat = Flattened::open(file).map_err(wrong)?;
            kdump(Box::new(flat)).map_err(wrong)?.finish_named(origin, overrides)
        }
        kind @ (Kind::Snapshot | Kind::Text) => {
            let (_, bytes) = sized(path)?;
            if bytes > MOST_BYTES {
                return Err(wrong(FormatError::Value { what: "length", value: bytes }));
            }
            let content = fs::read(path).map_err(failed)?;
            origin.add(Topic::Source, format!("{} {name}", described(kind)));
            from_bytes(kind, &content, origin, overrides).map_err(|error| match error {
                Wrong::Format(error) => wrong(error),
                Wrong::Open(error) => error,
            })
        }
        Kind::Unknown => {
            sized(path)?;
            Err(OpenError::Unknown(path.to_owned()))
        }
    }
}

const fn described(kind: Kind) -> &'static str {
    match kind {
        Kind::Snapshot => "snapshot",
        Kind::Text => "text of kernel_page_tables",
        Kind::Elf | Kind::Kdump | Kind::Flattened | Kind::Unknown => "file",
    }
}

/// Opens the running machine's own memory.
pub(crate) fn open_kcore(overrides: &Overrides) -> Result<Inspected, OpenError> {
    let path = Path::new("/proc/kcore");
    let file = File::open(path).map_err(OpenError::Kcore)?;
    let wrong = |error| {
        if let FormatError::Unreadable { why, .. } = error {
            return OpenError::Kcore(io::Error::other(why));
        }
        OpenError::Format { path: path.to_owned(), error }
    };
    let mut origin = Provenance::default();
    origin.add(Topic::Source, "this machine, /proc/kcore");
    let mut opened = elf_core(file, Life::Running).map_err(wrong)?;
    opened.keep = Keep::Copy;
    opened.finish_named(origin, overrides)
}

/// Reads a text or a snapshot from standard input.
pub(crate) fn open_standard_input(overrides: &Overrides) -> Result<Inspected, OpenError> {
    let failed = |error| OpenError::File { path: "-".into(), error };
    let mut content = Vec::new();
    io::stdin().lock().take(MOST_BYTES).read_to_end(&mut content).map_err(failed)?;
    let mut origin = Provenance::default();
    match Kind::of(&content) {
        kind @ (Kind::Snapshot | Kind::Text) => {
            origin.add(Topic::Source, format!("{} from standard input", described(kind)));
            from_bytes(kind, &content, origin, overrides).map_err(|error| match error {
                Wrong::Format(error) => OpenError::Format { path: "-".into(), error },
                Wrong::Open(error) => error,
            })
        }
        Kind::Elf | Kind::Kdump | Kind::Flattened | Kind::Unknown => Err(OpenError::StandardInput),
    }
}

fn elf_core(file: File, life: Life) -> Result<Opened, FormatError> {
    let core = elf::read(&file)?;
    let memory = Box::new(FileMemory::new(vec![file], core.pieces, life));
    Ok(Opened { memory, registers: None, linux: core.linux, keep: Keep::Source })
}

fn kdump(file: Box<dyn ReadAt>) -> Result<Opened, FormatError> {
    let mut kdump = Kdump::open(file)?;
    let linux = kdump.linux.take();
    Ok(Opened { memory: Box::new(kdump), registers: None, linux, keep: Keep::Source })
}

impl Opened {
    /// Says what memory there is and which kernel it is of, and finishes.
    fn finish_named(
        self,
        mut origin: Provenance,
        overrides: &Overrides,
    ) -> Result<Inspected, OpenError> {
        let ranges = self.memory.ranges();
        let bytes = ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.bytes()));
        if let (Some(first), Some(last)) = (ranges.first(), ranges.last()) {
            let text = format!(
                "{} to {}, {} MiB in {} parts",
                first.start(),
                last.last(),
                bytes >> 20,
                ranges.len()
            );
            origin.add(Topic::Memory, text);
        }
        if let Some(release) = self.linux.as_ref().map(VmCoreInfo::release) {
            origin.add(Topic::Kernel, format!("Linux {release} (VMCOREINFO in the dump's notes)"));
        }
        self.finish(origin, overrides)
    }
}

/// What is wrong with the content of a source, or with the source.
enum Wrong {
    Format(FormatError),
    Open(OpenError),
}

fn from_bytes(
    kind: Kind,
    content: &[u8],
    mut origin: Provenance,
    overrides: &Overrides,
) -> Result<Inspected, Wrong> {
    let mut inspected = if kind == Kind::Snapshot {
        let (header, frozen) = snapshot::read(content).map_err(Wrong::Format)?;
        for line in &header.origin {
            origin.add(Topic::Source, format!("made from: {line}"));
        }
        for tree in &header.trees {
            origin.add(Topic::Tables, tree.to_string());
        }
        let symbols = symbols(&frozen, header.linux.as_ref(), overrides, &mut origin);
        Inspected {
            origin,
            memory: Box::new(frozen),
            trees: header.trees,
            mair: header.mair,
            registers: header.registers,
            linux: header.linux,
            areas: header.areas,
            symbols,
            outputs: header.outputs,
        }
    } else {
        let content = String::from_utf8_lossy(content);
        let text = Text::read(&content).map_err(Wrong::Format)?;
        origin.add(Topic::Tables, format!("{} (as the lines say)", text.tree));
        origin.add(Topic::Warning, "the text does not say where leaves lead");
        if text.unread > 0 {
            let count = text.unread;
            let note =
                format!("{count} lines are of tables that had not been read; taken as empty");
            origin.add(Topic::Warning, note);
        }
        let symbols = symbols(&text.tables, None, overrides, &mut origin);
        Inspected {
            origin,
            memory: Box::new(text.tables),
            trees: vec![text.tree],
            mair: Some(text.mair),
            registers: None,
            linux: None,
            areas: text.areas,
            symbols,
            outputs: Outputs::Invented,
        }
    };
    if let Some(mair) = overrides.mair {
        inspected.mair = Some(blockmap_vmsa::Mair::new(mair));
    }
    keep_half(&mut inspected, overrides.half)?;
    Ok(inspected)
}

/// Leaves only the trees of one half.
fn keep_half(inspected: &mut Inspected, half: Option<Half>) -> Result<(), Wrong> {
    let Some(half) = half else {
        return Ok(());
    };
    inspected.trees.retain(|tree| tree.geometry.half() == half);
    if inspected.trees.is_empty() {
        return Err(Wrong::Open(OpenError::Find(crate::FindError::NoHalf(half))));
    }
    Ok(())
}
