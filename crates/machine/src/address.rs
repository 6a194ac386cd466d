//! Addresses and ranges that cannot be mixed up, and whose sums are checked where they are made.

use core::fmt;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The address with this value. Every 64-bit value is one; whether a geometry can
            /// translate or output it is that geometry's to say.
            #[inline]
            #[must_use]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The address as a number of bytes from zero.
            #[inline]
            #[must_use]
            pub const fn value(self) -> u64 {
                self.0
            }

            /// The address `bytes` higher, or `None` past the end of the 64-bit space.
            #[inline]
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The address `bytes` lower, or `None` below zero.
            #[inline]
            #[must_use]
            pub const fn checked_sub(self, bytes: u64) -> Option<Self> {
                match self.0.checked_sub(bytes) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The address `bytes` higher, modulo 2^64: for the exclusive end of a range, which
            /// is zero when the range ends with the address space.
            #[inline]
            #[must_use]
            pub const fn wrapping_add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }

            /// Bytes from `origin` up to this address, or `None` if it lies below.
            #[inline]
            #[must_use]
            pub const fn offset_from(self, origin: Self) -> Option<u64> {
                self.0.checked_sub(origin.0)
            }

            /// The nearest multiple of `alignment`, a power of two, at or below this address.
            #[inline]
            #[must_use]
            pub const fn align_down(self, alignment: u64) -> Self {
                debug_assert!(alignment.is_power_of_two());
                Self(self.0 & !alignment.wrapping_sub(1))
            }

            /// The nearest multiple of `alignment`, a power of two, at or above this address, or
            /// `None` if that is past the end of the 64-bit space.
            #[inline]
            #[must_use]
            pub const fn align_up(self, alignment: u64) -> Option<Self> {
                match self.checked_add(alignment.wrapping_sub(1)) {
                    Some(address) => Some(address.align_down(alignment)),
                    None => None,
                }
            }

            /// Whether the address is a multiple of `alignment`, a power of two.
            #[inline]
            #[must_use]
            pub const fn is_aligned(self, alignment: u64) -> bool {
                self.0 & alignment.wrapping_sub(1) == 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
    };
}

address! {
    /// An address before translation: what the Arm manual calls an input address.
    ///
    /// It has no operators: `checked_add` and its relatives make a sum's author say what happens
    /// at the end of the address space.
    VirtAddr
}

address! {
    /// An address after stage 1 translation: what the Arm manual calls an output address.
    PhysAddr
}

macro_rules! range {
    ($(#[$doc:meta])* $name:ident of $address:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            start: $address,
            bytes: u64,
        }

        impl $name {
            /// The `bytes` bytes from `start` on, or `None` if they are none or wrap around the
            /// end of the 64-bit space.
            #[inline]
            #[must_use]
            pub const fn new(start: $address, bytes: u64) -> Option<Self> {
                match bytes.checked_sub(1) {
                    Some(above) if start.checked_add(above).is_some() => {
                        Some(Self { start, bytes })
                    }
                    Some(_) | None => None,
                }
            }

            /// The addresses from `first` to `last`, both included; `None` if there are none, or all
            /// 2^64.
            #[inline]
            #[must_use]
            pub const fn inclusive(first: $address, last: $address) -> Option<Self> {
                match last.offset_from(first) {
                    Some(above) => Self::new(first, above.wrapping_add(1)),
                    None => None,
                }
            }

            /// The lowest address in the range.
            #[inline]
            #[must_use]
            pub const fn start(self) -> $address {
                self.start
            }

            /// How many bytes the range has; never zero.
            #[inline]
            #[must_use]
            pub const fn bytes(self) -> u64 {
                self.bytes
            }

            /// The highest address in the range.
            #[inline]
            #[must_use]
            pub const fn last(self) -> $address {
                // INVARIANT: `new` has seen that this sum does not wrap.
                self.start.wrapping_add(self.bytes.wrapping_sub(1))
            }

            /// The first address above the range; zero when the range ends with the 64-bit space.
            #[inline]
            #[must_use]
            pub const fn end(self) -> $address {
                self.start.wrapping_add(self.bytes)
            }

            /// Whether `address` lies in the range.
            #[inline]
            #[must_use]
            pub const fn contains(self, address: $address) -> bool {
                address.value().wrapping_sub(self.start.value()) < self.bytes
            }

            /// Whether every address of `other` lies in the range.
            #[inline]
            #[must_use]
            pub const fn covers(self, other: Self) -> bool {
                self.contains(other.start) && self.contains(other.last())
            }

            /// The addresses that are in both ranges.
            #[inline]
            #[must_use]
            pub fn intersection(self, other: Self) -> Option<Self> {
                Self::inclusive(self.start.max(other.start), self.last().min(other.last()))
            }

            /// Whether the two ranges share an address.
            #[inline]
            #[must_use]
            pub const fn overlaps(self, other: Self) -> bool {
                self.contains(other.start) || other.contains(self.start)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}+{:#x}", self.start, self.bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

range! {
    /// A range of input addresses: holding one tells that it is not empty and does not wrap.
    VirtRange of VirtAddr
}

range! {
    /// A range of output addresses: holding one tells that it is not empty and does not wrap.
    PhysRange of PhysAddr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_neither_empty_nor_wrapping() {
        assert_eq!(VirtRange::new(VirtAddr::new(0x1000), 0), None);
        assert_eq!(VirtRange::new(VirtAddr::new(u64::MAX), 2), None);
        let top = VirtRange::new(VirtAddr::new(u64::MAX - 0xfff), 0x1000).unwrap();
        assert_eq!(top.last(), VirtAddr::new(u64::MAX));
        assert_eq!(top.end(), VirtAddr::new(0));
        assert!(top.contains(VirtAddr::new(u64::MAX)) && !top.contains(VirtAddr::new(0)));
    }

    #[test]
    fn alignment_rounds_towards_the_side_it_says() {
        let address = PhysAddr::new(0x1234);
        assert_eq!(address.align_down(0x1000), PhysAddr::new(0x1000));
        assert_eq!(address.align_up(0x1000), Some(PhysAddr::new(0x2000)));
        assert_eq!(PhysAddr::new(u64::MAX).align_up(0x1000), None);
        assert!(!address.is_aligned(8) && address.is_aligned(4));
    }

    #[test]
    fn a_range_has_both_ends_that_it_is_made_of() {
        let (low, high) = (VirtAddr::new(0), VirtAddr::new(u64::MAX));
        assert_eq!(VirtRange::inclusive(high, high), VirtRange::new(high, 1));
        assert_eq!(VirtRange::inclusive(high, low), None);
        assert_eq!(VirtRange::inclusive(low, high), None);
    }

    #[test]
    fn ranges_overlap_when_they_share_an_address() {
        let range = |start, bytes| PhysRange::new(PhysAddr::new(start), bytes).unwrap();
        assert!(range(0x1000, 0x2000).overlaps(range(0x2000, 0x1000)));
        assert!(!range(0x1000, 0x1000).overlaps(range(0x2000, 0x1000)));
        assert_eq!(
            range(0x1000, 0x2000).intersection(range(0x2000, 0x9000)),
            PhysRange::new(PhysAddr::new(0x2000), 0x1000)
        );
        assert_eq!(range(0x1000, 0x1000).intersection(range(0x2000, 0x1000)), None);
        assert!(range(0, 0x4000).covers(range(0x1000, 0x3000)));
        assert!(!range(0, 0x4000).covers(range(0x1000, 0x3001)));
    }
}
