//! What a translation grants, to the privileged and to the unprivileged level.

use std::fmt;
use std::str::FromStr;

/// Reading, writing and executing, each for both levels: holding one tells what an access through
/// the translation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rights(u8);

const READ: u8 = 1;
const WRITE: u8 = 2;
const EXECUTE: u8 = 4;
/// The three for the unprivileged level lie above those for the privileged one.
const UNPRIVILEGED: u32 = 3;

impl Rights {
    /// Everything.
    pub const ALL: Self = Self(0x3f);
    /// Writing.
    pub const WRITES: Self = Self(WRITE | WRITE << UNPRIVILEGED);
    /// Executing at the privileged level.
    pub const EXECUTES: Self = Self(EXECUTE);
    /// Executing at the unprivileged level.
    pub const USER_EXECUTES: Self = Self(EXECUTE << UNPRIVILEGED);
    /// Anything at the unprivileged level.
    pub const USER: Self = Self(0x38);

    /// What both grant.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either grants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without what `other` grants.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether some level may write.
    #[must_use]
    pub const fn writes(self) -> bool {
        self.0 & Self::WRITES.0 != 0
    }

    /// Whether some level may execute.
    #[must_use]
    pub const fn executes(self) -> bool {
        self.0 & (Self::EXECUTES.0 | Self::USER_EXECUTES.0) != 0
    }

    /// Whether the unprivileged level may write.
    #[must_use]
    pub const fn user_writes(self) -> bool {
        self.0 & WRITE << UNPRIVILEGED != 0
    }
}

impl fmt::Display for Rights {
    /// `rw-` for the privileged level, and `:r--` after it when the unprivileged one has any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let three = |f: &mut fmt::Formatter<'_>, bits: u8| {
            for (bit, letter) in [(READ, "r"), (WRITE, "w"), (EXECUTE, "x")] {
                f.write_str(if bits & bit == 0 { "-" } else { letter })?;
            }
            Ok(())
        };
        three(f, self.0)?;
        if self.0 >> UNPRIVILEGED != 0 {
            f.write_str(":")?;
            three(f, self.0 >> UNPRIVILEGED)?;
        }
        Ok(())
    }
}

/// Rights are written as three letters or dashes, and three more behind a colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rights are written like `rw-` or `rw-:r--`")]
pub struct RightsError;

impl FromStr for Rights {
    type Err = RightsError;

    fn from_str(text: &str) -> Result<Self, RightsError> {
        let three = |text: &str| match text.as_bytes() {
            [read @ (b'r' | b'-'), write @ (b'w' | b'-'), execute @ (b'x' | b'-')] => {
                let bit = |letter: &u8, bit| if *letter == b'-' { 0 } else { bit };
                Ok(bit(read, READ) | bit(write, WRITE) | bit(execute, EXECUTE))
            }
            _ => Err(RightsError),
        };
        let (privileged, user) = text.split_once(':').unwrap_or((text, "---"));
        Ok(Self(three(privileged)? | three(user)? << UNPRIVILEGED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_survive_text() {
        for bits in 0..64 {
            let rights = Rights(bits);
            assert_eq!(rights.to_string().parse(), Ok(rights));
        }
        assert_eq!("rwy".parse::<Rights>(), Err(RightsError));
        assert_eq!("rw".parse::<Rights>(), Err(RightsError));
    }
}
