//! Physical memory that can be read from outside.

use std::fmt;
use std::io;

use blockmap_vmsa::machine::{PhysAddr, PhysRange};
use thiserror::Error;

/// Whether memory may change between two reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// It is a record, or a machine that is stopped.
    Still,
    /// Its kernel runs on.
    Running,
}

/// How long a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// So little that all memory can be looked through.
    Quick,
    /// A request to another program each.
    Slow,
}

/// Why bytes of memory could not be read. What was to be filled may hold anything then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The source has no memory at this address, or not all of it.
    #[error("the source has no memory at {0}")]
    Absent(PhysAddr),
    /// The source failed.
    #[error("reading {at} failed: {why}")]
    Failed {
        /// Where.
        at: PhysAddr,
        /// What the source said.
        why: String,
    },
    /// The bytes changed each time they were read.
    #[error("{0} changes each time it is read")]
    Torn(PhysAddr),
    /// As much memory as is kept at once had been read before.
    #[error("{0} was left out: more tables than are kept at once")]
    TooMuch(PhysAddr),
}

impl ReadError {
    pub(crate) fn io(at: PhysAddr, error: &io::Error) -> Self {
        Self::Failed { at, why: error.to_string() }
    }
}

/// Physical memory, or those parts of it that a source has.
pub trait PhysicalMemory: fmt::Debug {
    /// What the source has, in ascending order; none where it does not know. A source that has parts of these only, such as a
    /// dump without free pages, says so when such a part is read.
    fn ranges(&self) -> &[PhysRange];

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// Says why they are out of reach. `into` may then hold anything.
    fn read(&self, at: PhysAddr, into: &mut [u8]) -> Result<(), ReadError>;

    /// Says what will be read next, in ascending order, to a source that pays for every request.
    /// What fails here fails again when it is read.
    fn expect(&self, wanted: &[PhysRange]) {
        let _ = wanted;
    }

    /// Those parts of the ranges that may hold something other than zeros, as far as that is known
    /// without reading them.
    fn written(&self) -> Vec<PhysRange> {
        self.ranges().to_vec()
    }

    /// How long a read takes.
    fn pace(&self) -> Pace {
        Pace::Quick
    }

    /// Whether the memory may change between two reads.
    fn life(&self) -> Life {
        Life::Still
    }
}
