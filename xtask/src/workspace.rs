//! Where things are, and what cargo says of the workspace's packages.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The target that the kernel is built for: no operating system, and no use of the vector
/// registers, which start-up code would have to enable first.
pub const BARE_METAL: &str = "aarch64-unknown-none-softfloat";

/// The target of Linux programs that are linked to nothing that a machine would have to have.
pub(crate) const ARM64_LINUX: &str = "aarch64-unknown-linux-musl";

/// Links for it: what comes with the toolchain, instead of a C compiler for the target.
pub(crate) const ARM64_LINUX_LINKER: (&str, &str) =
    ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");

/// The workspace's top folder.
#[must_use]
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, or `target` in the top folder.
#[must_use]
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes a relative one from where it runs, and here it runs in the top folder.
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs this, to be run in the top folder on the same target folder.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", target_dir());
    cargo
}

/// The compiler of the cargo that runs this, to be run in the top folder.
#[must_use]
pub fn rustc() -> Command {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(root());
    rustc
}

/// The target of the machine that this runs on, as the compiler calls it.
///
/// # Errors
/// When there is no compiler, or it does not say.
pub fn host() -> Result<String> {
    let output = rustc().arg("-vV").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV does not say which machine this is")
}

/// One member of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the top folder, with `/` between the parts.
    pub folder: String,
    /// The names of the packages that it depends on, ours and others', for whichever purpose.
    pub dependencies: Vec<String>,
    /// The names of its integration tests.
    pub tests: Vec<String>,
}

/// The workspace's members, as cargo understands their manifests.
///
/// # Errors
/// When cargo refuses a manifest; its own words are in the error.
pub fn packages() -> Result<Vec<Package>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    parse(&output.stdout, root()).context("cannot read what cargo metadata printed")
}

fn parse(json: &[u8], root: &Path) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_slice(json)?;
    array(&metadata, "packages")?
        .iter()
        .map(|package| {
            let manifest = Path::new(text(package, "manifest_path")?);
            let folder = manifest.parent().unwrap_or(manifest);
            Ok(Package {
                name: text(package, "name")?.to_owned(),
                folder: folder
                    .strip_prefix(root)
                    .with_context(|| format!("{} is outside the workspace", folder.display()))?
                    .to_string_lossy()
                    .into_owned(),
                dependencies: array(package, "dependencies")?
                    .iter()
                    .map(|dependency| Ok(text(dependency, "name")?.to_owned()))
                    .collect::<Result<_>>()?,
                tests: array(package, "targets")?
                    .iter()
                    .filter(|target| target["kind"][0] == "test")
                    .map(|target| Ok(text(target, "name")?.to_owned()))
                    .collect::<Result<_>>()?,
            })
        })
        .collect()
}

fn array<'v>(value: &'v Value, key: &str) -> Result<&'v Vec<Value>> {
    value[key].as_array().with_context(|| format!("no list `{key}`"))
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no text `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_read_from_cargos_own_words() {
        let json = br#"{"packages":[{"name":"a","manifest_path":"/top/crates/a/Cargo.toml",
            "dependencies":[{"name":"b"}],
            "targets":[{"kind":["lib"],"name":"a"},{"kind":["test"],"name":"boot"}]}]}"#;
        let expected = Package {
            name: "a".to_owned(),
            folder: "crates/a".to_owned(),
            dependencies: vec!["b".to_owned()],
            tests: vec!["boot".to_owned()],
        };
        assert_eq!(parse(json, Path::new("/top")).unwrap(), [expected]);
    }

    #[test]
    fn metadata_without_packages_is_refused() {
        let error = parse(b"{}", Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "no list `packages`");
    }
}
