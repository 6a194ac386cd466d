//! The command line's `rodata=`.

use core::str::FromStr;

use thiserror::Error;

/// How well read-only memory of the kernel is kept read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Rodata {
    /// Through every alias: its place in the linear map is read-only too, page by page. So single
    /// pages of the linear map have to be able to change.
    #[default]
    On,
    /// Where the kernel uses it; the linear map shows it read-write.
    NoAlias,
    /// Not at all.
    Off,
}

/// Why a text is no value of `rodata=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RodataError {
    /// What `rodata=on` was called once.
    #[error("rodata=full is now called rodata=on")]
    Renamed,
    /// None of the values.
    #[error("rodata= takes on, noalias or off")]
    Unknown,
}

impl Rodata {
    /// All three.
    pub const ALL: [Self; 3] = [Self::On, Self::NoAlias, Self::Off];

    /// The value as it stands after `rodata=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::NoAlias => "noalias",
            Self::Off => "off",
        }
    }
}

impl FromStr for Rodata {
    type Err = RodataError;

    fn from_str(text: &str) -> Result<Self, RodataError> {
        let unknown = if text == "full" { RodataError::Renamed } else { RodataError::Unknown };
        Self::ALL.into_iter().find(|value| value.name() == text).ok_or(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_values_and_nothing_else() {
        assert_eq!("on".parse(), Ok(Rodata::On));
        assert_eq!("noalias".parse(), Ok(Rodata::NoAlias));
        assert_eq!("off".parse(), Ok(Rodata::Off));
        assert_eq!("full".parse::<Rodata>(), Err(RodataError::Renamed));
        for text in ["", "ON", "on ", "1", "no", "offf"] {
            assert_eq!(text.parse::<Rodata>(), Err(RodataError::Unknown));
        }
    }
}
