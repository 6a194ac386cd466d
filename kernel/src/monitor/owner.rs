//! What owners of memory are asked to do.

use blockmap::machine::VirtAddr;

use super::parse::{Operands, Wrong};
use crate::number::number;

/// Bytes of an object where nothing is said.
const USUAL_BYTES: u64 = 64;

/// What to do with memory that nobody but its owner is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// `secret N [N]`: make one of so many pages, or of so many pieces of 2 to the second
    /// pages.
    Take(u64, Option<u32>),
    /// `secret free N`: give the secret of that number back.
    Free(u32),
    /// `secret list`: print all of them.
    List,
}

/// What to do with the guard pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// `guard on`: make it.
    On,
    /// `guard off`: unmake it.
    Off,
    /// `guard alloc [BYTES] [CPU]`: take an object, in an interrupt handler of this CPU or another.
    Alloc(u64, Option<u32>),
    /// `guard free ADDR [CPU]`: give it back, in the same way.
    Free(VirtAddr, Option<u32>),
}

/// What to do with memory that is shared with the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// `share N [N]`: share 2 to the first number pages, as often as the second says.
    Take(u32, u64),
    /// `share free N`: have the share of that number be private again.
    Free(u32),
    /// `share list`: print all of them.
    List,
    /// `share agree|refuse|lose`: have the hypervisor that is made up answer so.
    Answer(Host),
}

/// What the hypervisor that is made up answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// It does what it is asked for.
    Agree,
    /// It does nothing.
    Refuse,
    /// It says that it does not know any more.
    Lose,
}

impl<'a, W: Iterator<Item = &'a str>> Operands<'_, W> {
    pub(super) fn guard(&mut self) -> Result<Guard, Wrong<'a>> {
        let named = |word: &str| match word {
            "on" => Some(Guard::On),
            "off" => Some(Guard::Off),
            "alloc" => Some(Guard::Alloc(USUAL_BYTES, None)),
            "free" => Some(Guard::Free(VirtAddr::new(0), None)),
            _ => None,
        };
        match self.next(named, None)? {
            Guard::Alloc(bytes, _) => {
                let bytes = self.next(number, Some(bytes))?;
                Ok(Guard::Alloc(bytes, self.next(small, Some(None))?))
            }
            Guard::Free(..) => {
                let address = self.next(number, None).map(VirtAddr::new)?;
                Ok(Guard::Free(address, self.next(small, Some(None))?))
            }
            other @ (Guard::On | Guard::Off) => Ok(other),
        }
    }

    pub(super) fn share(&mut self) -> Result<Share, Wrong<'a>> {
        let named = |word: &str| match word {
            "free" => Some(Share::Free(0)),
            "list" => Some(Share::List),
            "agree" => Some(Share::Answer(Host::Agree)),
            "refuse" => Some(Share::Answer(Host::Refuse)),
            "lose" => Some(Share::Answer(Host::Lose)),
            order => small(order)?.map(|order| Share::Take(order, 1)),
        };
        match self.next(named, None)? {
            Share::Free(_) => self.next(|word| small(word)?, None).map(Share::Free),
            Share::Take(order, once) => Ok(Share::Take(order, self.next(number, Some(once))?)),
            other @ (Share::List | Share::Answer(_)) => Ok(other),
        }
    }

    pub(super) fn secret(&mut self) -> Result<Secret, Wrong<'a>> {
        let named = |word: &str| match word {
            "free" => Some(Secret::Free(0)),
            "list" => Some(Secret::List),
            count => number(count).map(|count| Secret::Take(count, None)),
        };
        match self.next(named, None)? {
            Secret::Take(count, _) => Ok(Secret::Take(count, self.next(small, Some(None))?)),
            Secret::Free(_) => self.next(|word| small(word)?, None).map(Secret::Free),
            Secret::List => Ok(Secret::List),
        }
    }
}

/// A number of 32 bits that may be left out.
#[expect(clippy::option_option, reason = "the outer tells whether the word is one")]
fn small(word: &str) -> Option<Option<u32>> {
    u32::try_from(number(word)?).ok().map(Some)
}
