//! Where to look, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use blockmap_vmsa::machine::PhysAddr;
use thiserror::Error;

/// Where tables are looked for.
///
/// | text | source |
/// |---|---|
/// | `qmp:PATH` | a machine in QEMU, by its QMP socket |
/// | `gdb:HOST:PORT`, `gdb:PATH` | a machine behind a gdbstub |
/// | `kcore` | this machine: `/proc/kcore` |
/// | `-` | text or a snapshot from standard input |
/// | `FILE` | what it is, is found out from what is in it |
/// | `FILE@BASE,FILE@BASE` | images of RAM, each from its base address on |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A QMP socket.
    Qmp(PathBuf),
    /// A gdbstub.
    Gdb(GdbAddress),
    /// The running machine's `/proc/kcore`.
    Kcore,
    /// Standard input.
    StandardInput,
    /// One file or more; never none.
    Files(Vec<FileAt>),
}

/// Where a gdbstub listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GdbAddress {
    /// A TCP port: `HOST:PORT`.
    Tcp(String),
    /// A Unix domain socket.
    Unix(PathBuf),
}

/// A file, and where in physical memory it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileAt {
    /// The file.
    pub path: PathBuf,
    /// The address of its first byte, for images of RAM.
    pub base: Option<PhysAddr>,
}

/// Why a text names no source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// There is no text, or none after a prefix.
    #[error("no source is named: give a file, `qmp:SOCKET`, `gdb:HOST:PORT` or `kcore`")]
    Empty,
    /// What follows an `@` is no number.
    #[error("`{0}` is no address: write FILE@0x40000000")]
    Base(String),
    /// Several files, of which one has no base.
    #[error("`{0}` has no address: several images of RAM need one each, as in FILE@0x40000000")]
    BaseMissing(String),
}

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let given = |rest: &str| if rest.is_empty() { Err(SpecError::Empty) } else { Ok(()) };
        given(text)?;
        if let Some(path) = text.strip_prefix("qmp:") {
            given(path)?;
            return Ok(Self::Qmp(path.into()));
        }
        if let Some(address) = text.strip_prefix("gdb:") {
            given(address)?;
            return Ok(Self::Gdb(GdbAddress::of(address)));
        }
        match text {
            "kcore" => Ok(Self::Kcore),
            "-" => Ok(Self::StandardInput),
            _ => files(text).map(Self::Files),
        }
    }
}

impl GdbAddress {
    /// A port if the text ends in one and is no path, else a socket.
    fn of(text: &str) -> Self {
        let is_port = |port: &str| !port.is_empty() && port.parse::<u16>().is_ok();
        match text.rsplit_once(':') {
            Some(("", port)) if is_port(port) => Self::Tcp(format!("localhost:{port}")),
            Some((host, port)) if is_port(port) && !host.contains('/') => {
                Self::Tcp(text.to_owned())
            }
            Some(_) | None => Self::Unix(text.into()),
        }
    }
}

/// The files of a list, each with a base. A name may have a comma when no base follows it.
fn files(text: &str) -> Result<Vec<FileAt>, SpecError> {
    if !text.contains('@') {
        return Ok(vec![FileAt { path: text.into(), base: None }]);
    }
    let parts: Vec<&str> = text.split(',').collect();
    let file = |part: &&str| {
        let Some((path, base)) = part.rsplit_once('@') else {
            return if parts.len() == 1 {
                Ok(FileAt { path: (*part).into(), base: None })
            } else {
                Err(SpecError::BaseMissing((*part).to_owned()))
            };
        };
        if path.is_empty() {
            return Err(SpecError::Empty);
        }
        let Some(base) = address(base) else {
            // A file may have such a name.
            return if parts.len() == 1 && base.contains('.') {
                Ok(FileAt { path: (*part).into(), base: None })
            } else {
                Err(SpecError::Base(base.to_owned()))
            };
        };
        Ok(FileAt { path: path.into(), base: Some(base) })
    };
    parts.iter().map(file).collect()
}

/// A number with `0x` or without.
fn address(text: &str) -> Option<PhysAddr> {
    let number = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.ok().map(PhysAddr::new)
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qmp(path) => write!(f, "qmp:{}", path.display()),
            Self::Gdb(address) => write!(f, "gdb:{address}"),
            Self::Kcore => f.write_str("kcore"),
            Self::StandardInput => f.write_str("-"),
            Self::Files(files) => {
                for (number, file) in files.iter().enumerate() {
                    f.write_str(if number == 0 { "" } else { "," })?;
                    write!(f, "{file}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for GdbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for FileAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.base.map_or(Ok(()), |base| write!(f, "@{base}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_written_as_it_is_read() {
        let texts = [
            "qmp:/run/vm.sock",
            "gdb:localhost:1234",
            "gdb:/run/gdb.sock",
            "kcore",
            "-",
            "vmcore",
            "a,b",
            "ram.bin@0x40000000",
            "low.bin@0x40000000,high.bin@0x100000000",
        ];
        for text in texts {
            let spec: SourceSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!("gdb::1234".parse::<SourceSpec>().unwrap().to_string(), "gdb:localhost:1234");
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let error = |text: &str| text.parse::<SourceSpec>().unwrap_err();
        assert_eq!(error(""), SpecError::Empty);
        assert_eq!(error("qmp:"), SpecError::Empty);
        assert_eq!(error("@0x1000"), SpecError::Empty);
        assert_eq!(error("ram@4z"), SpecError::Base("4z".to_owned()));
        assert_eq!(error("ram@0,more"), SpecError::BaseMissing("more".to_owned()));
    }
}
