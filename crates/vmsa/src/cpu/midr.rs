//! `MIDR_EL1`: who made a CPU, which design it is, and of which release.

use core::fmt;

/// A CPU's main identification register.
///
/// Source: "MIDR_EL1, Main ID Register".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Midr(u32);

/// A release of a design, as makers write it: `r0p3` is variant 0, revision 3. Later releases are
/// greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The major number, 0 to 15.
    pub variant: u8,
    /// The minor number, 0 to 15.
    pub revision: u8,
}

impl Midr {
    /// The register as read; its upper half is RES0 and left out.
    #[must_use]
    pub const fn new(register: u64) -> Self {
        let [b0, b1, b2, b3, ..] = register.to_le_bytes();
        Self(u32::from_le_bytes([b0, b1, b2, b3]))
    }

    /// The register's value.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Who made it: bits 31:24.
    #[must_use]
    pub const fn implementer(self) -> u8 {
        let [.., implementer] = self.0.to_le_bytes();
        implementer
    }

    /// Bits 19:16: 15 where identification registers say what the CPU can do, as on every Armv8.
    #[must_use]
    pub const fn architecture(self) -> u8 {
        let [_, _, third, _] = self.0.to_le_bytes();
        third & 0xf
    }

    /// Which of its maker's designs it is: bits 15:4.
    #[must_use]
    pub const fn part(self) -> u16 {
        let [low, high, ..] = (self.0 >> 4 & 0xfff).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// The design's release: bits 23:20 and 3:0.
    #[must_use]
    pub const fn release(self) -> Release {
        let [first, _, third, _] = self.0.to_le_bytes();
        Release { variant: third >> 4, revision: first & 0xf }
    }

    /// Every design whose name is known here, each as its first release, with the name.
    pub fn designs() -> impl Iterator<Item = (Self, &'static str)> {
        NAMES.iter().map(|(implementer, part, name)| {
            let fields = u32::from(*implementer) << 24 | u32::from(*part) << 4;
            (Self(fields | 0xf << 16), *name)
        })
    }

    /// The design's name, where it is known here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let known = NAMES.iter().find(|(implementer, part, _)| {
            (*implementer, *part) == (self.implementer(), self.part())
        });
        known.map(|(.., name)| *name)
    }
}

impl fmt::Display for Midr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} {}", self.release()),
            None => write!(
                f,
                "implementer {:#04x} part {:#05x} {}",
                self.implementer(),
                self.part(),
                self.release()
            ),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}p{}", self.variant, self.revision)
    }
}

/// Arm's code in [`Midr::implementer`].
pub(super) const ARM: u8 = 0x41;
/// Ampere's.
pub(super) const AMPERE: u8 = 0xc0;
/// NVIDIA's.
pub(super) const NVIDIA: u8 = 0x4e;
/// Fujitsu's.
const FUJITSU: u8 = 0x46;

/// Designs by implementer and part number. Source: their technical reference manuals.
const NAMES: [(u8, u16, &str); 36] = [
    (ARM, 0xd03, "Cortex-A53"),
    (ARM, 0xd04, "Cortex-A35"),
    (ARM, 0xd05, "Cortex-A55"),
    (ARM, 0xd07, "Cortex-A57"),
    (ARM, 0xd08, "Cortex-A72"),
    (ARM, 0xd09, "Cortex-A73"),
    (ARM, 0xd0a, "Cortex-A75"),
    (ARM, 0xd0b, "Cortex-A76"),
    (ARM, 0xd0c, "Neoverse N1"),
    (ARM, 0xd40, "Neoverse V1"),
    (ARM, 0xd41, "Cortex-A78"),
    (ARM, 0xd44, "Cortex-X1"),
    (ARM, 0xd46, "Cortex-A510"),
    (ARM, 0xd47, "Cortex-A710"),
    (ARM, 0xd48, "Cortex-X2"),
    (ARM, 0xd49, "Neoverse N2"),
    (ARM, 0xd4d, "Cortex-A715"),
    (ARM, 0xd4e, "Cortex-X3"),
    (ARM, 0xd4f, "Neoverse V2"),
    (ARM, 0xd80, "Cortex-A520"),
    (ARM, 0xd81, "Cortex-A720"),
    (ARM, 0xd82, "Cortex-X4"),
    (ARM, 0xd83, "Neoverse V3AE"),
    (ARM, 0xd84, "Neoverse V3"),
    (ARM, 0xd87, "Cortex-A725"),
    (ARM, 0xd88, "Cortex-A520AE"),
    (ARM, 0xd89, "Cortex-A720AE"),
    (ARM, 0xd8a, "C1-Nano"),
    (ARM, 0xd8b, "C1-Pro"),
    (ARM, 0xd8c, "C1-Ultra"),
    (ARM, 0xd8e, "Neoverse N3"),
    (ARM, 0xd90, "C1-Premium"),
    (AMPERE, 0xac3, "AmpereOne"),
    (AMPERE, 0xac4, "AmpereOne A"),
    (NVIDIA, 0x010, "Olympus"),
    (FUJITSU, 0x001, "A64FX"),
];
