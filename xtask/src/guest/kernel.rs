//! A small kernel with PTDUMP_DEBUGFS, which no distribution's kernel has: built from Debian's
//! sources with the fewest options that make its tables worth reading.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail, ensure};

use super::archive::Archive;
use super::folder;

/// The options beyond none, as lines of a configuration.
const CONFIGURATION: &str = include_str!("kernel.config");

/// The metapackage of the sources.
const SOURCES: &str = "linux-source";

/// The compiler's prefix.
const CROSS: &str = "aarch64-linux-gnu-";

/// Programs that a kernel's build calls, and the packages that have them.
const TOOLS: [(&str, &str); 6] = [
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("xz", "xz-utils"),
];

/// Builds the kernel from the sources in `suite`; what is there already is kept.
pub(super) fn build(suite: &str) -> Result<PathBuf> {
    check_tools()?;
    let tree = sources(suite)?;
    let output = folder().join("kernel");
    fs::create_dir_all(&output)?;
    let options = output.join("options");
    fs::write(&options, CONFIGURATION)?;
    let target = format!("O={}", output.display());
    let mut configure = make(&tree);
    configure.args([&*target, "allnoconfig"]).env("KCONFIG_ALLCONFIG", &options);
    run(configure, "the configuration")?;
    check_configuration(&fs::read_to_string(output.join(".config"))?)?;
    let jobs = available_parallelism().map_or(1, usize::from);
    eprintln!("building a kernel in {}; it takes minutes", output.display());
    let mut build = make(&tree);
    build.args([&*target, &format!("-j{jobs}"), "Image"]);
    run(build, "the kernel")?;
    find()
}

/// The kernel that was built last.
pub(super) fn find() -> Result<PathBuf> {
    let image = folder().join("kernel/arch/arm64/boot/Image");
    ensure!(image.is_file(), "no kernel is there; type: cargo xtask guest kernel");
    Ok(image)
}

fn check_tools() -> Result<()> {
    let is_missing = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_err()
    };
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|(program, _)| is_missing(program))
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        bail!("type: apt-get install --no-install-recommends {}", missing.join(" "));
    }
    Ok(())
}

/// The tree of the newest sources in `suite`.
fn sources(suite: &str) -> Result<PathBuf> {
    let archive = Archive::open(&folder().join("apt"), suite)?;
    let names = archive.closure(SOURCES, &["linux-source-"])?;
    let package = names.last().filter(|name| **name != SOURCES);
    let package = package.with_context(|| format!("{suite} has no sources of Linux"))?;
    let place = folder().join("source");
    let tree = place.join(package);
    // The last file that an archive of Linux has, so that half a tree is no tree.
    if tree.join("virt").is_dir() {
        return Ok(tree);
    }
    archive.unpack(package, &place)?;
    let packed = place.join("usr/src").join(format!("{package}.tar.xz"));
    eprintln!("unpacking {}", packed.display());
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file").arg(&packed).arg("--directory").arg(&place);
    run(tar, "the sources")?;
    Ok(tree)
}

fn make(tree: &Path) -> Command {
    // The build has time; whoever else uses the machine may not.
    let mut command = Command::new("nice");
    command.args(["-n", "15", "make", "--silent"]).current_dir(tree);
    command.env("ARCH", "arm64").env("CROSS_COMPILE", CROSS);
    command
}

fn run(mut command: Command, what: &str) -> Result<()> {
    let status = command.stdout(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot begin {what}"))?;
    ensure!(status.success(), "{what} failed");
    Ok(())
}

/// Checks that every option asked for is set: one whose conditions are not met is dropped silently.
fn check_configuration(set: &str) -> Result<()> {
    let wanted = CONFIGURATION.lines().filter(|line| !line.starts_with('#'));
    let dropped: Vec<&str> =
        wanted.filter(|wanted| set.lines().all(|line| line != *wanted)).collect();
    if !dropped.is_empty() {
        bail!(
            "these options do not exist, or lack a condition, in these sources: {}",
            dropped.join(" ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_was_dropped_is_named() {
        assert!(check_configuration(CONFIGURATION).is_ok());
        let set = CONFIGURATION.replace("CONFIG_PTDUMP_DEBUGFS=y", "");
        let error = check_configuration(&set).unwrap_err();
        assert!(error.to_string().ends_with("sources: CONFIG_PTDUMP_DEBUGFS=y"), "{error}");
    }
}
