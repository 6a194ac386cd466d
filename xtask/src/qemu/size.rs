//! Sizes of guest memory as a person types them: `512M`, `12G`, `4T`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// An amount of guest memory, kept as it was typed: holding one tells that QEMU takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    number: u64,
    unit: char,
}

/// Why a text is no amount of guest memory.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SizeError {
    /// No unit at its end. QEMU would take it for MiB, which nobody expects.
    #[error("`{0}` has no unit: write a whole number and M, G or T, as in 12G")]
    NoUnit(String),
    /// What stands before the unit is no whole number.
    #[error("`{0}` is no whole number and M, G or T, as in 12G")]
    NoNumber(String),
    /// Zero, or more than a 64-bit number of bytes.
    #[error("`{0}` is out of range: a machine has from 1M to 8191T of memory")]
    OutOfRange(String),
}

impl Size {
    /// How many bytes it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        // INVARIANT: `from_str` has seen that this fits.
        self.number << shift(self.unit).unwrap_or(0)
    }
}

/// Log2 of a unit's bytes.
fn shift(unit: char) -> Option<u32> {
    match unit {
        'M' => Some(20),
        'G' => Some(30),
        'T' => Some(40),
        _ => None,
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let last = text.chars().last().map(|unit| unit.to_ascii_uppercase());
        let Some((unit, shift)) = last.and_then(|unit| Some((unit, shift(unit)?))) else {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number {
                SizeError::NoUnit(text.to_owned())
            } else {
                SizeError::NoNumber(text.to_owned())
            });
        };
        let digits = &text[..text.len() - unit.len_utf8()];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SizeError::NoNumber(text.to_owned()));
        }
        let out_of_range = || SizeError::OutOfRange(text.to_owned());
        let number: u64 = digits.parse().map_err(|_| out_of_range())?;
        // QEMU's own sums are signed.
        if number == 0 || number > (1 << (53 - shift)) - 1 {
            return Err(out_of_range());
        }
        Ok(Self { number, unit })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_unit_and_know_their_bytes() {
        let size: Size = "12G".parse().unwrap();
        assert_eq!((size.to_string().as_str(), size.bytes()), ("12G", 12 << 30));
        assert_eq!("512m".parse::<Size>().unwrap().bytes(), 512 << 20);
        assert_eq!("4T".parse::<Size>().unwrap().bytes(), 4 << 40);
        assert_eq!("8191T".parse::<Size>().unwrap().bytes(), 8191 << 40);
    }

    #[test]
    fn what_is_no_size_is_refused_with_the_form_to_write() {
        let error = |text: &str| text.parse::<Size>().unwrap_err();
        assert_eq!(error("12"), SizeError::NoUnit("12".to_owned()));
        for text in ["", "G", "12GB", "-1G", "+1G", "1.5G", "0x1G", "12 G", "é", "1é"] {
            assert_eq!(error(text), SizeError::NoNumber(text.to_owned()));
        }
        for text in ["0G", "8192T", "99999999999999999999G", "18446744073709551615M"] {
            assert_eq!(error(text), SizeError::OutOfRange(text.to_owned()));
        }
    }
}
