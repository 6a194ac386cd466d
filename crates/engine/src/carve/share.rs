//! Sharing memory with a hypervisor, and taking it back.
//!
//! In a Realm, and under other hypervisors that keep a guest's memory from themselves, memory that
//! both are to use is marked in its leaves (the topmost bit of the output address) and named to the
//! hypervisor. Neither may happen while any CPU can reach the memory through the old leaf: the output
//! address changes. [break-before-make]
//!
//! ```text timeline: share
//! 1. update entries, invalid   a walker sees: private memory, or nothing
//! 2. dsb ishst                 a walker sees: nothing
//! 3. tlbi                      a TLB holds: private memory, or nothing
//! 4. dsb ish                   a TLB holds: nothing
//! 5. isb                       then the hypervisor is called
//! 6. update entries, marked    a walker sees: nothing, or shared memory
//! 7. dsb ishst                 a walker sees: shared memory
//! 8. isb
//! ```
//!
//! Nothing here needs memory or waits, so it can be done at any moment, from any context that the
//! hypervisor can be called from.

use blockmap_machine::{PhysAddr, PhysRange, VirtRange};
use blockmap_vmsa::{Change, Geometry, Masks};
use thiserror::Error;

use super::Carve;
use super::visit::Visit;
use crate::{PartError, Platform};

/// A hypervisor that decides who can reach memory.
pub trait Sharing {
    /// Makes `memory` what `side` says. No CPU reaches it meanwhile.
    ///
    /// # Errors
    /// See [`HostError`].
    fn make(&self, memory: PhysRange, side: Side) -> Result<(), HostError>;
}

/// Who can reach memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guest and the hypervisor.
    Shared,
    /// The guest alone.
    Private,
}

impl Side {
    /// The other one.
    const fn other(self) -> Self {
        match self {
            Self::Shared => Self::Private,
            Self::Private => Self::Shared,
        }
    }
}

/// What a hypervisor said that did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Nothing has changed.
    #[error("the hypervisor refuses")]
    Refused,
    /// Nobody knows whose the memory is: it must not be used again.
    #[error("the hypervisor has lost it")]
    Lost,
}

/// The bit of a leaf that says that its memory is shared: holding one tells that it is a bit of the
/// output address above all pages, or one that hardware leaves to software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Bit `bit` of leaves; `None` if leaves of `geometry` have another use for it.
    ///
    /// Bits 56 to 58 are left to software: with one of them marked memory is where it was, which is
    /// what a hypervisor that is made up needs.
    #[must_use]
    pub const fn new(geometry: Geometry, bit: u32) -> Option<Self> {
        // Above what aligns the largest leaf, and no bit that some granule has elsewhere in the word.
        let is_output = bit >= 30 && bit < geometry.output_bits() && bit < 48;
        let is_software = bit >= 56 && bit <= 58;
        if is_output || is_software { Some(Self(1 << bit)) } else { None }
    }

    /// The memory that an address means that may have the mark.
    const fn without(self, output: PhysAddr) -> PhysAddr {
        PhysAddr::new(output.value() & !self.0)
    }
}

/// Why memory did not change sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It is no part that could. Nothing was changed.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The hypervisor refuses. All of it is valid, and on the side that it was on.
    #[error("the hypervisor refuses {0}: it is as it was")]
    Refused(PhysRange),
    /// Nobody knows on which side some of it is. All of the part stays invalid: keep the carve, and
    /// do not use the memory again.
    #[error("the hypervisor has lost {0}: the part stays invalid, and must not be used again")]
    Lost(PhysRange),
}

impl<P: Platform> Carve<'_, P> {
    /// Has the hypervisor make `part` what `side` says, and marks its leaves so: those of shared
    /// memory have the mark. All of the part is on the other side. Afterwards all of it is valid.
    ///
    /// A carve is given back when all of it is private again: the way back leaves marks as they are.
    ///
    /// # Errors
    /// See [`ShareError`].
    pub fn share(
        &self,
        part: VirtRange,
        (side, mark): (Side, Mark),
        host: &impl Sharing,
    ) -> Result<(), ShareError> {
        self.protect(part, Change::Invalid)?;
        let result = self.ask(part, (side, mark), host);
        if let Err(ShareError::Lost(_)) = result {
            return result;
        }
        let valid = self.space.masks(Change::Valid);
        let masks = match (result, side) {
            (Err(_), _) => valid,
            (Ok(()), Side::Shared) => Masks { set: valid.set | mark.0, ..valid },
            (Ok(()), Side::Private) => Masks { clear: valid.clear | mark.0, ..valid },
        };
        let _visit = Visit::new(&self.space);
        self.space.update_range(part, masks);
        self.space.complete_new();
        result
    }

    /// Asks the hypervisor for one piece of memory after the other. If it refuses one, those before go
    /// back to the side that they came from.
    fn ask(
        &self,
        part: VirtRange,
        (side, mark): (Side, Mark),
        host: &impl Sharing,
    ) -> Result<(), ShareError> {
        let mut next = Some(part);
        while let Some((piece, rest)) = next.and_then(|left| self.piece(left, mark)) {
            match host.make(piece, side) {
                Ok(()) => {}
                Err(HostError::Lost) => return Err(ShareError::Lost(piece)),
                Err(HostError::Refused) => {
                    self.undo((part, rest), (side.other(), mark), host)?;
                    return Err(ShareError::Refused(piece));
                }
            }
            next = rest;
        }
        Ok(())
    }

    /// Has what lies before the last piece that was asked for, behind which `rest` is, be what it was.
    fn undo(
        &self,
        (part, rest): (VirtRange, Option<VirtRange>),
        (side, mark): (Side, Mark),
        host: &impl Sharing,
    ) -> Result<(), ShareError> {
        let mut next = Some(part);
        while let Some((piece, after)) = next.and_then(|left| self.piece(left, mark)) {
            if after == rest {
                break;
            }
            host.make(piece, side).map_err(|_| ShareError::Lost(piece))?;
            next = after;
        }
        Ok(())
    }

    /// The memory of the first leaves of `left` that is in one piece, and what is left after it.
    fn piece(&self, left: VirtRange, mark: Mark) -> Option<(PhysRange, Option<VirtRange>)> {
        let _visit = Visit::new(&self.space);
        let geometry = self.space.geometry();
        let (mut start, mut bytes) = (None, 0);
        let mut next = Some(left.start());
        while let Some(at) = next {
            let place = self.space.find(at);
            let output = mark.without(geometry.leaf_output(place.level, place.word));
            let span = geometry.span_bytes(place.level);
            let output = output.wrapping_add(at.value() & (span - 1));
            let first: PhysAddr = *start.get_or_insert(output);
            if output != first.wrapping_add(bytes) {
                break;
            }
            next = self.space.after((place.level, at), 1, left.last());
            bytes = match next {
                Some(above) => above.offset_from(left.start())?,
                None => left.bytes(),
            };
        }
        let rest = VirtRange::new(left.start().wrapping_add(bytes), left.bytes() - bytes);
        Some((PhysRange::new(start?, bytes)?, rest))
    }
}
