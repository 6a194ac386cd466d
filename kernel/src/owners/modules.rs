//! Modules: loaded from the initial RAM disk into executable memory, run, unloaded.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use blockmap::machine::{VirtAddr, VirtRange};
use blockmap_kernel::archive::{Archive, ArchiveError};
use blockmap_kernel::module::{ModuleError, Object, Parts};
use blockmap_kernel::shelf::Shelf;
use thiserror::Error;

use super::exports::exports;
use crate::arch::probe::{self, Fault};
use crate::lock::Lock;
use crate::memory::{Executable, ExecutableError, Purpose, System};

/// Modules at a time.
const MOST_MODULES: usize = 16;

/// Bytes of the longest name that is kept.
const NAME_BYTES: usize = 64;

/// Why a module was not loaded. Nothing of it is there.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The initial RAM disk makes no sense.
    #[error("initial RAM disk: {0}")]
    Archive(#[from] ArchiveError),
    /// It has no such file.
    #[error("the initial RAM disk has no file of that name: `modules` lists those it has")]
    NoFile,
    /// It has been loaded before.
    #[error("it is loaded already: unload it first")]
    Loaded,
    /// Its name is too long to be kept.
    #[error("names of modules have up to {NAME_BYTES} bytes")]
    Name,
    /// There is no place to remember more.
    #[error("{MOST_MODULES} modules are the most: unload one first")]
    TooMany,
    /// The file is no module.
    #[error(transparent)]
    Module(#[from] ModuleError<'static>),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] ExecutableError),
}

/// Why a module was not run or unloaded. It is as it was.
#[derive(Clone, Copy, Debug, Error)]
pub(crate) enum UseError {
    /// None of that name is loaded.
    #[error("no module of that name is loaded: `modules` lists them")]
    None,
    /// It is running.
    #[error("it is running: {0} CPUs are in it")]
    Running(u32),
    /// It did not return.
    #[error("fault: {0}")]
    Fault(Fault),
}

impl Seen {
    /// Where it is entered.
    pub(crate) const fn entry(&self) -> VirtAddr {
        self.entry
    }

    /// Where the linear map shows its code.
    pub(crate) fn alias(&self) -> Option<VirtAddr> {
        self.alias.map(VirtRange::start)
    }
}

/// A name, kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    bytes: [u8; NAME_BYTES],
    length: usize,
}

/// A loaded module.
#[derive(Debug)]
struct Module {
    name: Name,
    memory: Executable,
    parts: Parts,
    entry: VirtAddr,
    /// CPUs that are in it.
    running: AtomicU32,
}

/// A loaded module, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    name: Name,
    range: VirtRange,
    alias: Option<VirtRange>,
    parts: Parts,
    entry: VirtAddr,
}

static MODULES: Lock<Shelf<Module, MOST_MODULES>> = Lock::new(Shelf::new());

/// Loads the module `name` of `archive`.
///
/// # Errors
/// See [`LoadError`].
pub(crate) fn load(
    system: &'static System<'static>,
    archive: Archive<'static>,
    name: &str,
) -> Result<Seen, LoadError> {
    let loaded = load_new(system, archive, name);
    if loaded.is_err() {
        system.release_executable();
    }
    loaded
}

fn load_new(
    system: &'static System<'static>,
    archive: Archive<'static>,
    name: &str,
) -> Result<Seen, LoadError> {
    let kept = Name::new(name).ok_or(LoadError::Name)?;
    if all().any(|module| module.name == kept) {
        return Err(LoadError::Loaded);
    }
    let object = Object::new(archive.find(name)?.ok_or(LoadError::NoFile)?)?;
    let parts = object.parts();
    let mut memory = system.take_executable(parts.bytes(), Purpose::Module)?;
    let base = memory.range().start();
    let entry = object.write(memory.bytes(), base, &exports())?;
    let memory = memory.seal(parts);
    let module = Module { name: kept, memory, parts, entry, running: AtomicU32::new(0) };
    let seen = module.seen();
    MODULES.lock().put(0, module).map_err(|_| LoadError::TooMany)?;
    Ok(seen)
}

/// Calls the module `name` with `argument`.
///
/// # Errors
/// See [`UseError`].
pub(crate) fn run(name: &str, argument: u64) -> Result<u64, UseError> {
    let entry = enter(name)?;
    // SAFETY: a module that is loaded is trusted as the kernel itself; nobody unloads it meanwhile.
    let result = unsafe { probe::execute(entry, argument) };
    with(name, |module| module.running.fetch_sub(1, Ordering::Relaxed));
    result.map_err(UseError::Fault)
}

/// Unloads the module `name`: nobody can reach it any more.
///
/// # Errors
/// See [`UseError`].
pub(crate) fn unload(system: &'static System<'static>, name: &str) -> Result<(), UseError> {
    let running = with(name, |module| module.running.load(Ordering::Relaxed));
    let is_it =
        |_, module: &Module| module.name.is(name) && module.running.load(Ordering::Relaxed) == 0;
    let taken = MODULES.lock().take_where(is_it);
    let module = taken.ok_or(running.map_or(UseError::None, UseError::Running))?;
    drop(module);
    system.release_executable();
    Ok(())
}

/// All modules that are loaded.
pub(crate) fn all() -> impl Iterator<Item = Seen> {
    (0..MOST_MODULES).map_while(|place| {
        let modules = MODULES.lock();
        modules.iter().nth(place).map(|(_, module)| module.seen())
    })
}

/// Where the module `name` begins; from here on it is run.
fn enter(name: &str) -> Result<VirtAddr, UseError> {
    with(name, |module| {
        module.running.fetch_add(1, Ordering::Relaxed);
        module.entry
    })
    .ok_or(UseError::None)
}

/// What `what` makes of the module `name`, which stays meanwhile; `None` if there is none.
fn with<T>(name: &str, what: impl FnOnce(&Module) -> T) -> Option<T> {
    let modules = MODULES.lock();
    modules.iter().find(|(_, module)| module.name.is(name)).map(|(_, module)| what(module))
}

impl Module {
    fn seen(&self) -> Seen {
        let Self { name, memory, parts, entry, .. } = self;
        let (range, alias) = (memory.range(), memory.alias());
        Seen { name: *name, range, alias, parts: *parts, entry: *entry }
    }
}

impl Name {
    fn new(name: &str) -> Option<Self> {
        let mut kept = Self { bytes: [0; NAME_BYTES], length: name.len() };
        kept.bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(kept)
    }

    fn is(&self, name: &str) -> bool {
        self.text() == name
    }

    fn text(&self) -> &str {
        // INVARIANT: they were taken from a text.
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Seen {
    /// As in "greeter at 0xffff800000000000+0x3000: text 0x1000, …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, range, alias, parts, entry } = self;
        let Parts { text, rodata, data } = parts;
        write!(
            f,
            "{} at {range}: text {text:#x}, rodata {rodata:#x}, data {data:#x}",
            name.text()
        )?;
        write!(f, ", begins at {entry}")?;
        alias.map_or(Ok(()), |alias| write!(f, ", in the linear map at {alias}"))
    }
}
