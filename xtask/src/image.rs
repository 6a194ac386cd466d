//! `cargo xtask image`: builds the kernel and lays it out as a boot loader takes it.

mod flatten;

pub use flatten::{FlattenError, flatten};

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};

use crate::workspace::{BARE_METAL, cargo, target_dir};

/// The kernel's package, and the name of its program.
const KERNEL: &str = "blockmap-kernel";

/// A built kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What a boot loader takes: the bytes as they lie in memory.
    pub flat: PathBuf,
    /// The same with symbols, for debuggers and backtraces.
    pub elf: PathBuf,
}

/// Builds the kernel if anything changed, and returns where it lies.
///
/// Callers may run at the same time, in one process or many.
///
/// # Errors
/// When the kernel does not build, or is no kernel.
pub fn build() -> Result<Image> {
    let folder = target_dir().join("blockmap");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Held until this returns: two flattening one ELF file while a third links it anew would
    // read half of it.
    let lock = File::create(folder.join("lock")).context("cannot make the image's lock")?;
    lock.lock().context("cannot take the image's lock")?;
    let built = compile()?;
    let elf = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let flat = flatten(&elf).with_context(|| format!("{} is no kernel", built.display()))?;
    let image = Image { flat: folder.join("Image"), elf: folder.join("kernel.elf") };
    place(&image.flat, &flat)?;
    place(&image.elf, &elf)?;
    Ok(image)
}

fn compile() -> Result<PathBuf> {
    let target = target_dir();
    let mut command = cargo();
    if !io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    let status = command
        .args(["build", "--release", "--package", KERNEL])
        .args(["--target", BARE_METAL])
        // These would replace the flags of .cargo/config.toml, and with them the backtraces.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("the kernel does not build");
    }
    Ok(target.join(BARE_METAL).join("release").join(KERNEL))
}

/// Puts `bytes` at `path` at once: a machine that is just being started reads the old or the new.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let aside = path.with_extension(format!("new{}", process::id()));
    fs::write(&aside, bytes)
        .and_then(|()| fs::rename(&aside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
