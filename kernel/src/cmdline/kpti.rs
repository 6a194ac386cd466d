//! `kpti=`.

/// Whether the kernel's map is kept from programs that run in other address spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kpti {
    /// All leaves become those of one ASID once the CPUs are there.
    On,
    /// Leaves are global.
    #[default]
    Off,
}

impl Kpti {
    /// What the option's value asks for, in words as Linux has them.
    pub(super) fn of(value: &str) -> Option<Self> {
        match value {
            "on" | "1" => Some(Self::On),
            "off" | "0" => Some(Self::Off),
            _ => None,
        }
    }
}
