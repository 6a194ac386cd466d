//! A guest's first file system: its only program, the modules it loads, and programs to run in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cpio::{Cpio, Entry};
use crate::workspace::{ARM64_LINUX, ARM64_LINUX_LINKER, cargo, target_dir};

/// Writes the archive, into `folder`, for a guest that loads `modules` and has `programs` at its
/// top; says where it is.
pub(super) fn write(folder: &Path, modules: &[PathBuf], programs: &[PathBuf]) -> Result<PathBuf> {
    let mut archive = Cpio::default();
    for folder in ["dev", "proc", "sys", "modules"] {
        archive.add(folder, Entry::Folder);
    }
    archive.add("dev/console", Entry::Device(5, 1));
    // What a program without input reads from.
    archive.add("dev/null", Entry::Device(1, 3));
    archive.add("init", Entry::File(&read(&built("blockmap-guest", "blockmap-guest")?)?));
    for (number, module) in modules.iter().enumerate() {
        archive.add(&format!("modules/{number:02}.ko"), Entry::File(&read(module)?));
    }
    for program in programs {
        let name = program.file_name().context("a program has a name")?;
        archive.add(&name.to_string_lossy(), Entry::File(&read(program)?));
    }
    let path = folder.join("initramfs");
    fs::write(&path, archive.finish())
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Builds the program `name` of `package` for guests, and says where it is.
pub(super) fn built(package: &str, name: &str) -> Result<PathBuf> {
    let status = cargo()
        .args(["build", "--quiet", "--release", "--package", package, "--target", ARM64_LINUX])
        .envs([ARM64_LINUX_LINKER])
        // Symbols for debuggers would take the guest's memory.
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .status()
        .context("cannot run cargo")?;
    ensure!(
        status.success(),
        "{package} does not build for guests; if the target is missing, type: rustup target add {ARM64_LINUX}"
    );
    let program = target_dir().join(ARM64_LINUX).join("release").join(name);
    if !program.is_file() {
        bail!("{} was to be built and is not there", program.display());
    }
    Ok(program)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
