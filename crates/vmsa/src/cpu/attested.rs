//! CPUs whose makers attest that a live size change never aborts.

use super::midr::{AMPERE, ARM, NVIDIA};
use super::{Midr, Release};

/// A design whose maker attests that replacing a live block by a table, or a table by a block, is
/// permitted and never raises a TLB conflict abort, from some release on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// [`Midr::implementer`].
    pub implementer: u8,
    /// [`Midr::part`].
    pub part: u16,
    /// The first release that it is true of.
    pub from: Release,
    /// Where the attestation was seen.
    pub source: &'static str,
}

impl Attested {
    /// The entry that a CPU falls under.
    #[must_use]
    pub fn of(midr: Midr) -> Option<&'static Self> {
        ATTESTED.iter().find(|attested| {
            (attested.implementer, attested.part) == (midr.implementer(), midr.part())
                && attested.from <= midr.release()
        })
    }
}

const FIRST: &str = "accepted into Linux 6.18";
const SECOND: &str = "accepted into Linux by 7.2";
const THIRD: &str = "accepted into Linux 7.3";
const ERRATUM: &str = "accepted into Linux 7.3; earlier releases have erratum 3683289";

/// Every such design.
pub const ATTESTED: [Attested; 15] = [
    arm(0xd82, (0, 3), FIRST),
    arm(0xd84, (0, 2), FIRST),
    of(AMPERE, 0xac3, (0, 0), FIRST),
    of(AMPERE, 0xac4, (0, 0), FIRST),
    arm(0xd83, (0, 2), SECOND),
    of(NVIDIA, 0x010, (0, 0), SECOND),
    arm(0xd88, (0, 0), THIRD),
    arm(0xd4d, (0, 0), THIRD),
    arm(0xd89, (0, 0), THIRD),
    arm(0xd87, (0, 0), THIRD),
    arm(0xd8e, (0, 0), THIRD),
    arm(0xd8a, (0, 0), THIRD),
    arm(0xd8b, (0, 0), THIRD),
    arm(0xd8c, (1, 1), ERRATUM),
    arm(0xd90, (1, 1), ERRATUM),
];

const fn arm(part: u16, from: (u8, u8), source: &'static str) -> Attested {
    of(ARM, part, from, source)
}

const fn of(
    implementer: u8,
    part: u16,
    (variant, revision): (u8, u8),
    source: &'static str,
) -> Attested {
    Attested { implementer, part, from: Release { variant, revision }, source }
}
