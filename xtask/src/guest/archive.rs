//! Packages of another architecture, by apt's own client in a state of its own: the machine's
//! architectures, lists and packages stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::sources;

/// A private view of a package archive, its lists being there.
#[derive(Debug)]
pub(super) struct Archive {
    folder: PathBuf,
}

impl Archive {
    /// Reads the lists of `suite` into `folder`, from where this machine gets its own packages.
    pub(super) fn open(folder: &Path, suite: &str) -> Result<Self> {
        let stanza = sources::of_this_machine(suite)?;
        let archive = Self { folder: folder.to_owned() };
        for part in ["lists/partial", "cache/archives/partial", "sources", "packages"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("cannot make {part}"))?;
        }
        fs::write(folder.join("sources/suite.sources"), stanza)?;
        fs::write(folder.join("status"), "")?;
        fs::write(archive.configuration(), configuration(folder))?;
        eprintln!("reading the lists of {suite} for arm64");
        archive
            .run("apt-get", &["update", "--quiet=2", "-o", "APT::Update::Error-Mode=any"])
            .with_context(|| {
                format!(
                    "the archive that this machine's packages come from has no suite {suite} that \
                     can be read; name another by --suite"
                )
            })?;
        Ok(archive)
    }

    /// The packages that `package` depends on and whose names begin with one of `prefixes`,
    /// transitively, itself included.
    pub(super) fn closure(&self, package: &str, prefixes: &[&str]) -> Result<Vec<String>> {
        let mut found = vec![package.to_owned()];
        let mut next = 0;
        while let Some(package) = found.get(next) {
            let text = self.run("apt-cache", &["depends", "--important", package])?;
            for name in dependencies(&text) {
                let is_wanted = prefixes.iter().any(|prefix| name.starts_with(prefix));
                if is_wanted && found.iter().all(|found| found != name) {
                    found.push(name.to_owned());
                }
            }
            next += 1;
        }
        Ok(found)
    }

    /// Fetches `package`, unless it is there, and unpacks it into `into`.
    pub(super) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let packages = self.folder.join("packages");
        if self.there(&packages, package)?.is_none() {
            eprintln!("fetching {package}");
            self.run("apt-get", &["download", "--quiet=2", package])?;
        }
        let file = self.there(&packages, package)?;
        let file = file.with_context(|| format!("apt-get left no file of {package}"))?;
        fs::create_dir_all(into)?;
        let status = Command::new("dpkg-deb").arg("-x").arg(&file).arg(into).status();
        let status = status.context("cannot run dpkg-deb; install the package dpkg")?;
        ensure!(status.success(), "dpkg-deb could not unpack {}", file.display());
        Ok(())
    }

    /// The file of the version of `package` that the lists have.
    fn there(&self, packages: &Path, package: &str) -> Result<Option<PathBuf>> {
        let shown = self.run("apt-cache", &["show", "--no-all-versions", package])?;
        let field = |name: &str| {
            let mut values = shown.lines().filter_map(|line| line.strip_prefix(name));
            values.next().map(str::trim).with_context(|| format!("{package} has no {name}"))
        };
        // The name that apt gives the file: what could not stand in a name is written in hex.
        let version = field("Version:")?.replace(':', "%3a");
        let file = packages.join(format!("{package}_{version}_{}.deb", field("Architecture:")?));
        Ok(file.is_file().then_some(file))
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apt.conf")
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program)
            .args(arguments)
            .env("APT_CONFIG", self.configuration())
            .env("LC_ALL", "C")
            .current_dir(self.folder.join("packages"))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {program}; guests are fetched on Debian only"))?;
        if !output.status.success() {
            bail!("{program} {} failed", arguments.join(" "));
        }
        String::from_utf8(output.stdout).with_context(|| format!("what {program} printed"))
    }
}

/// What makes apt keep everything in `folder`, and take the packages of arm64.
fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::State \"{folder}\";\n\
         Dir::State::lists \"{folder}/lists\";\n\
         Dir::State::status \"{folder}/status\";\n\
         Dir::Cache \"{folder}/cache\";\n\
         Dir::Etc::sourcelist \"/dev/null\";\n\
         Dir::Etc::sourceparts \"{folder}/sources\";\n\
         APT::Architecture \"arm64\";\n\
         APT::Architectures {{ \"arm64\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}

/// The names in what `apt-cache depends` prints.
fn dependencies(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (kind, name) = line.trim_start().trim_start_matches('|').split_once(": ")?;
        (kind == "Depends").then_some(name.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_with_their_alternatives() {
        let text = "linux-image-arm64\n  Depends: linux-image-7\n |Depends: dracut\n  Depends: <any>\n  Conflicts: x\n";
        let names: Vec<_> = dependencies(text).collect();
        assert_eq!(names, ["linux-image-7", "dracut", "<any>"]);
    }

    #[test]
    fn nothing_of_the_machines_own_state_is_named() {
        let text = configuration(Path::new("/top/target/guest/apt"));
        for kind in ["State", "State::lists", "State::status", "Cache"] {
            assert!(text.contains(&format!("Dir::{kind} \"/top/target/guest/apt")), "{kind}");
        }
    }
}
