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

impl FromStr for Rodata {
    type Err = RodataError;

    fn from_str(text: &str) -> Result<Self, RodataError> {
        match text {
            "on" => Ok(Self::On),
            "noalias" => Ok(Self::NoAlias),
            "off" => Ok(Self::Off),
            "full" => Err(RodataError::Renamed),
            _ => Err(RodataError::Unknown),
        }
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
