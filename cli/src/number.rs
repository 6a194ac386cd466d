//! Numbers as people type and read them.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;

/// A 64-bit value that is written in hexadecimal: an address, a register, a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex(pub(crate) u64);

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// In JSON a string: most readers of JSON hold numbers of 53 bits only.
impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NumberError {
    /// There is a character that is no digit, or nothing at all.
    #[error("not a number: write 4096, 0x1000 or, for bytes, 4K (K M G T P)")]
    Digits,
    /// It takes more than 64 bits.
    #[error("more than 64 bits")]
    TooLarge,
}

/// The number that `text` says: decimal, or hexadecimal after `0x`; underscores are left out.
///
/// # Errors
/// Says why it is none.
pub(crate) fn number(text: &str) -> Result<u64, NumberError> {
    let digits = text.trim().replace('_', "");
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((&*digits, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NumberError::Digits);
    }
    u64::from_str_radix(digits, radix).map_err(|_| NumberError::TooLarge)
}

/// The number of bytes that `text` says: a [`number`], with `K`, `M`, `G`, `T` or `P` behind it
/// that stands for a power of 1024.
///
/// # Errors
/// Says why it is none.
pub(crate) fn bytes(text: &str) -> Result<u64, NumberError> {
    let text = text.trim();
    // A hexadecimal number may end in `B`, and nobody writes a unit behind one.
    if text.starts_with("0x") {
        return number(text);
    }
    let text = text.strip_suffix("iB").or_else(|| text.strip_suffix('B')).unwrap_or(text);
    let units = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
    let scaled = units.into_iter().find_map(|(unit, shift)| {
        let lower = unit.to_lowercase();
        let digits = text.strip_suffix(unit).or_else(|| text.strip_suffix(&*lower))?;
        Some((digits, shift))
    });
    let Some((digits, shift)) = scaled else {
        return number(text);
    };
    let value = number(digits)?;
    value.checked_shl(shift).filter(|bytes| bytes >> shift == value).ok_or(NumberError::TooLarge)
}

/// Bytes for people: three digits or so, in units of 1024.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(50, "PiB"), (40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let unit = units.into_iter().find(|(shift, _)| self.0 >> shift != 0);
        let Some((shift, unit)) = unit else {
            return write!(f, "{} B", self.0);
        };
        let whole = self.0 >> shift;
        let rest = self.0 & ((1 << shift) - 1);
        // Two digits behind the point, rounded down: what is not whole never looks whole.
        let hundredths = ((rest >> (shift - 10)) * 100) >> 10;
        match (whole, hundredths, rest) {
            (_, _, 0) | (100.., ..) => write!(f, "{whole} {unit}"),
            (10.., ..) => write!(f, "{whole}.{} {unit}", hundredths / 10),
            (..) => write!(f, "{whole}.{hundredths:02} {unit}"),
        }
    }
}

/// `part` of `whole` in percent, rounded down: what is not all is never 100.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part) * 100_000 / u128::from(whole.max(1));
    match thousandths {
        0 if part != 0 => "< 0.001 %".to_owned(),
        1..1000 => format!("0.{thousandths:03} %"),
        _ => format!("{}.{} %", thousandths / 1000, thousandths / 100 % 10),
    }
}

/// A count with its thousands apart.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_type_them() {
        assert_eq!(number("4096"), Ok(4096));
        assert_eq!(number(" 0xffff_0000_0000_0000 "), Ok(0xffff << 48));
        assert_eq!(bytes("512G"), Ok(512 << 30));
        assert_eq!(bytes("2MiB"), Ok(2 << 20));
        assert_eq!(bytes("64k"), Ok(64 << 10));
        assert_eq!(bytes("0x400B"), Ok(0x400b));
        for text in ["", "x", "0x", "-1", "1.5G", "G", "4KK", "0x1g"] {
            assert_eq!(bytes(text), Err(NumberError::Digits), "{text}");
        }
        assert_eq!(bytes("16384P"), Err(NumberError::TooLarge));
        assert_eq!(number("0x10000000000000000"), Err(NumberError::TooLarge));
    }

    #[test]
    fn bytes_are_written_with_about_three_digits() {
        let texts = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1 << 10, "1 KiB"),
            (24_628 << 10, "24.0 MiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (3 << 29, "1.50 GiB"),
            (1_050_624 << 10, "1.00 GiB"),
        ];
        for (number, text) in texts {
            assert_eq!(Bytes(number).to_string(), text);
        }
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(0, 0), "0.0 %");
        assert_eq!(percent(196, 100_000), "0.196 %");
        assert_eq!(percent(1, 1 << 40), "< 0.001 %");
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
    }
}
