//! The guests there are: which kernel, on which CPU, with which options.

use std::fmt;
use std::str::FromStr;

use crate::qemu::Machine;

/// One of the guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Debian's kernel on CPUs that change sizes live: its linear map is in blocks.
    Blocks,
    /// Debian's kernel on other CPUs: its linear map is in pages.
    Pages,
    /// Debian's kernel that is told to leave aliases of read-only memory writable.
    NoAlias,
    /// Debian's kernel with pages of 16 KiB.
    Granule16,
    /// A small kernel of ours, from Debian's sources, that prints its own tables; in blocks.
    Own,
    /// The same on other CPUs: in pages.
    OwnPages,
    /// This project's own kernel, which is no Linux.
    Reference,
}

/// Which kernel a guest runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    /// The newest that this metapackage of Debian's depends on.
    Package(&'static str),
    /// The one that `cargo xtask guest kernel` builds.
    Built,
    /// This project's.
    Reference,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Blocks,
        Self::Pages,
        Self::NoAlias,
        Self::Granule16,
        Self::Own,
        Self::OwnPages,
        Self::Reference,
    ];

    /// What it is called on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Pages => "pages",
            Self::NoAlias => "noalias",
            Self::Granule16 => "16k",
            Self::Own => "own",
            Self::OwnPages => "own-pages",
            Self::Reference => "reference",
        }
    }

    /// What there is to see.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Blocks => "Debian's kernel, linear map in blocks (CPUs that change sizes live)",
            Self::Pages => "Debian's kernel, linear map in pages (other CPUs)",
            Self::NoAlias => "Debian's kernel with rodata=noalias, in pages",
            Self::Granule16 => "Debian's kernel with pages of 16 KiB",
            Self::Own => "a kernel that prints its own tables, linear map in blocks",
            Self::OwnPages => "a kernel that prints its own tables, linear map in pages",
            Self::Reference => "this project's own kernel, with its monitor at the console",
        }
    }

    pub(super) const fn kernel(self) -> Kernel {
        match self {
            Self::Blocks | Self::Pages | Self::NoAlias => Kernel::Package("linux-image-arm64"),
            Self::Granule16 => Kernel::Package("linux-image-arm64-16k"),
            Self::Own | Self::OwnPages => Kernel::Built,
            Self::Reference => Kernel::Reference,
        }
    }

    /// QEMU's CPU model: the one that both kernels let change the sizes of live entries, or QEMU's
    /// own, which no list names.
    pub(super) const fn cpu(self) -> &'static str {
        match self {
            Self::Blocks | Self::Own | Self::Reference => Machine::DEFAULT_CPU,
            Self::Pages | Self::NoAlias | Self::Granule16 | Self::OwnPages => "max",
        }
    }

    /// The kernel's options.
    pub(super) const fn options(self) -> &'static str {
        match self {
            Self::Reference => "",
            Self::NoAlias => "console=ttyAMA0 quiet rodata=noalias",
            Self::Blocks | Self::Pages | Self::Granule16 | Self::Own | Self::OwnPages => {
                "console=ttyAMA0 quiet"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no such guest; there are: {}", names.join(" "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("bloks".parse::<Kind>().unwrap_err().contains("blocks"));
    }
}
