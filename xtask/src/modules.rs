//! The kernel's modules: relocatable objects, in an archive that a boot loader hands over.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cpio::{Cpio, Entry};
use crate::image::place;
use crate::workspace::{BARE_METAL, root, rustc, target_dir};

/// Where the modules are, each in a folder of its name.
const MODULES: &str = "kernel/modules";

/// A module's object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What `modload` calls it.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
}

/// Compiles the modules, and returns where the archive of them lies.
///
/// # Errors
/// When one does not compile.
pub fn build() -> Result<PathBuf> {
    let path = target_dir().join("blockmap").join("modules.cpio");
    place(&path, &pack(&objects()?))?;
    Ok(path)
}

/// Compiles the modules; callers may do so at the same time.
///
/// # Errors
/// When one does not compile.
pub fn objects() -> Result<Vec<Object>> {
    let folder = target_dir().join("blockmap").join("modules");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("cannot make the modules' lock")?;
    lock.lock().context("cannot take the modules' lock")?;
    names()?
        .into_iter()
        .map(|name| {
            let bytes = compile(&name, &folder.join(format!("{name}.o")))?;
            Ok(Object { name, bytes })
        })
        .collect()
}

/// The archive of these objects.
#[must_use]
pub fn pack(objects: &[Object]) -> Vec<u8> {
    let mut archive = Cpio::default();
    for object in objects {
        archive.add(&object.name, Entry::File(&object.bytes));
    }
    archive.finish()
}

fn names() -> Result<Vec<String>> {
    let folder = root().join(MODULES);
    let entries = fs::read_dir(&folder).with_context(|| format!("no {}", folder.display()))?;
    let mut names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

/// The compiler is run without cargo: a module depends on nothing, and with cargo's profile its
/// object would be the linker's to finish.
fn compile(name: &str, object: &PathBuf) -> Result<Vec<u8>> {
    let status = rustc()
        .args(["--crate-type", "lib", "--edition", "2024", "--crate-name", name])
        .args(["--target", BARE_METAL, "-C", "opt-level=2", "-C", "panic=abort"])
        // Addresses are the loader's to fill in: no table of them, and one object.
        .args(["-C", "relocation-model=static", "-C", "codegen-units=1"])
        .args(["-C", "force-unwind-tables=no", "-C", "force-frame-pointers=yes"])
        .args(["--emit", "obj", "-o"])
        .arg(object)
        .arg(root().join(MODULES).join(name).join("src/lib.rs"))
        .status()
        .context("cannot run rustc")?;
    ensure!(status.success(), "the module {name} does not compile");
    fs::read(object).with_context(|| format!("cannot read {}", object.display()))
}
