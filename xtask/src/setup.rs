//! What a fresh machine lacks: the bare-metal target, QEMU, and what single commands need.
//!
//! Nothing is installed unannounced, and the Rust toolchain at hand is never changed: only a
//! target's standard library is added to it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::qemu;
use crate::workspace::{ARM64_LINUX, BARE_METAL, cargo, root, target_dir};

/// The Debian package that has the arm64 machine.
const QEMU_PACKAGE: &str = "qemu-system-arm";

/// The program that counts instructions, and its package.
const VALGRIND: &str = "valgrind";

/// The program that executes arm64's Linux programs on any host.
pub(crate) const ARM64_PROCESSOR: &str = "qemu-aarch64-static";

/// Its Debian package.
const ARM64_PROCESSOR_PACKAGE: &str = "qemu-user-static";

/// Sees to it that the toolchain at hand builds for the bare-metal target.
///
/// # Errors
/// When the target is missing and `rustup` cannot add it.
pub fn bare_metal_target() -> Result<()> {
    add_target(BARE_METAL)
}

/// Sees to it that arm64's Linux programs can be built, and executed on an emulated CPU.
///
/// # Errors
/// As [`bare_metal_target`], and as [`qemu()`].
pub fn arm64_programs() -> Result<()> {
    add_target(ARM64_LINUX)?;
    debian(ARM64_PROCESSOR, ARM64_PROCESSOR_PACKAGE)
}

fn add_target(target: &str) -> Result<()> {
    if has_target(target)? {
        return Ok(());
    }
    announce(&format!("the Rust target {target}, by rustup target add"));
    let status = Command::new("rustup")
        .args(["target", "add", target])
        .current_dir(root())
        .status()
        .with_context(|| {
            format!(
                "there is no rustup to add the target {target}; install that target's \
                 standard library the way this Rust was installed"
            )
        })?;
    if !status.success() || !has_target(target)? {
        bail!("the target is still missing; type: rustup target add {target}");
    }
    Ok(())
}

/// Sees to it that QEMU's arm64 machine can be started.
///
/// # Errors
/// When it is missing and this is no root user on a Debian machine, or installing it fails. The
/// error has the line to type.
pub fn qemu() -> Result<()> {
    if qemu::version().is_some() {
        return Ok(());
    }
    if qemu::is_overridden() {
        bail!("{} names no QEMU that starts", qemu::OVERRIDE);
    }
    package(qemu::PROGRAM, QEMU_PACKAGE)?;
    if qemu::version().is_none() {
        bail!("{QEMU_PACKAGE} is installed, and still {} does not start", qemu::PROGRAM);
    }
    Ok(())
}

/// Sees to it that valgrind, which counts instructions, can be started.
///
/// # Errors
/// As [`qemu()`].
pub fn valgrind() -> Result<()> {
    debian(VALGRIND, VALGRIND)
}

/// Sees to it that `program`, of a Debian package, can be started.
fn debian(program: &str, of: &str) -> Result<()> {
    if runs(program, &["--version"]) {
        return Ok(());
    }
    package(program, of)?;
    if !runs(program, &["--version"]) {
        bail!("{of} is installed, and still {program} does not start");
    }
    Ok(())
}

/// Installs a Debian package, which has `program`.
fn package(program: &str, package: &str) -> Result<()> {
    if !runs("apt-get", &["--version"]) {
        bail!(
            "{program} is missing; install it with this system's package manager (Debian: {package})"
        );
    }
    if !is_root() {
        bail!("{program} is missing; type: sudo apt-get install --no-install-recommends {package}");
    }
    announce(&format!("the package {package}, by apt-get"));
    apt_get(&["update"])?;
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

/// Sees that the toolchain at hand has the formatter and the linter.
///
/// # Errors
/// When one is missing: adding a component is the toolchain's owner's to do.
pub fn lint_tools() -> Result<()> {
    let missing: Vec<&str> = ["rustfmt", "clippy"]
        .into_iter()
        .zip(["cargo-fmt", "cargo-clippy"])
        .filter(|(_, program)| !runs(program, &["--version"]))
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this toolchain is without {0}; type: rustup component add {0}", missing.join(" "))
}

/// Sees to it that `toolchain` is there and has the interpreter. The toolchain at hand stays as it
/// is.
///
/// # Errors
/// When it is missing and `rustup` cannot install it.
pub fn miri(toolchain: &str) -> Result<()> {
    let version = [&format!("+{toolchain}"), "miri", "--version"];
    if runs("cargo", &version) {
        return Ok(());
    }
    announce(&format!("the Rust toolchain {toolchain} with miri and rust-src, by rustup"));
    let components = ["--component", "miri", "--component", "rust-src"];
    let status = Command::new("rustup")
        .args(["toolchain", "install", toolchain, "--profile", "minimal", "--no-self-update"])
        .args(components)
        .status()
        .context("there is no rustup to install a toolchain with miri; see https://rustup.rs")?;
    if !status.success() || !runs("cargo", &version) {
        bail!(
            "cargo +{toolchain} miri does not run; type: rustup component add miri --toolchain {toolchain}"
        );
    }
    Ok(())
}

/// Where a tool is that only one command of ours needs: in the target folder, not in the person's
/// own, built from crates.io when it is missing.
///
/// # Errors
/// When cargo can't install it.
pub fn tool(name: &str, version: &str) -> Result<PathBuf> {
    let folder = target_dir().join("blockmap/tools").join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    if program.exists() {
        return Ok(program);
    }
    announce(&format!("{name} {version}, by cargo install, in the target folder"));
    let status = cargo()
        .args(["install", name, "--version", version, "--locked", "--root"])
        .arg(&folder)
        .env("CARGO_TARGET_DIR", folder.join("build"))
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("{name} {version} can't be installed");
    }
    fs::remove_dir_all(folder.join("build")).ok();
    Ok(program)
}

fn announce(what: &str) {
    eprintln!("set-up: installing {what}");
}

fn has_target(target: &str) -> Result<bool> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(root())
        .output()
        .context("cannot run rustc")?;
    if !output.status.success() {
        bail!(
            "this Rust does not know the target {target}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(has_core(Path::new(&folder)))
}

/// Whether a target's library folder has the core library; an emptied folder may stay behind.
fn has_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(arguments)
        // Without these two a package's questions would wait for an answer that never comes.
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        // Hundreds of lines; what goes wrong is told on the other stream.
        .stdout(Stdio::null())
        .status()
        .context("cannot run apt-get")?;
    if !status.success() {
        bail!("apt-get {} failed", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_core_library_is_no_target() {
        assert!(!has_core(Path::new("/nowhere")));
        assert!(!has_core(Path::new(env!("CARGO_MANIFEST_DIR"))));
    }
}
