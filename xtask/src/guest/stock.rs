//! Debian's kernels, fetched as packages and unpacked under the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::archive::Archive;
use super::folder;

/// The packages that a kernel's metapackage leads to and that have a part of it.
const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// The modules that a guest loads, if its kernel has them as modules: the first tells QEMU where
/// VMCOREINFO is, and any gives the guest a module's memory.
const MODULES: [&str; 1] = ["qemu_fw_cfg"];

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    /// Its image.
    pub(super) image: PathBuf,
    /// Modules to load, not compressed.
    pub(super) modules: Vec<PathBuf>,
}

/// Fetches the kernels of all `metapackages` from `suite`, and says what they are.
pub(super) fn fetch(suite: &str, metapackages: &[&str]) -> Result<()> {
    let archive = Archive::open(&folder().join("apt"), suite)?;
    for metapackage in metapackages {
        let packages = archive.closure(metapackage, &PARTS)?;
        let into = folder().join("kernels").join(metapackage);
        if into.exists() {
            fs::remove_dir_all(&into)?;
        }
        for package in packages.iter().filter(|package| package != metapackage) {
            archive.unpack(package, &into)?;
        }
        let stock = find(metapackage)?;
        println!("{metapackage}: {}", stock.image.display());
    }
    Ok(())
}

/// The kernel of `metapackage` that was fetched last.
pub(super) fn find(metapackage: &str) -> Result<Stock> {
    let top = folder().join("kernels").join(metapackage);
    let files = files(&top);
    let image = files.iter().find(|file| {
        file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    });
    let Some(image) = image else {
        bail!("no kernel of {metapackage} is there; type: cargo xtask guest fetch");
    };
    let mut modules = Vec::new();
    for module in MODULES {
        let is_it = |file: &&PathBuf| file.file_stem().is_some_and(|stem| stem == module);
        // Compressed, it has a second ending.
        let packed = files.iter().find(|file| is_it(&&file.with_extension("")));
        let plain = files.iter().find(is_it).cloned();
        modules.extend(match (plain, packed) {
            (Some(plain), _) => Some(plain),
            (None, Some(packed)) => Some(expanded(packed)?),
            (None, None) => None,
        });
    }
    Ok(Stock { image: image.clone(), modules })
}

/// A module without its compression, beside the compressed one.
fn expanded(file: &Path) -> Result<PathBuf> {
    let status = Command::new("xz").args(["--decompress", "--keep"]).arg(file).status();
    let status = status.context("cannot run xz; install the package xz-utils")?;
    ensure!(status.success(), "xz could not expand {}", file.display());
    Ok(file.with_extension(""))
}

/// Every file below `top`, in the order of their names.
fn files(top: &Path) -> Vec<PathBuf> {
    let mut folders = vec![top.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    files
}
