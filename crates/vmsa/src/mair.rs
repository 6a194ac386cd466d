//! `MAIR_ELx`: the eight memory types that leaves choose among.

use crate::{MemoryIndex, cpu::Mte};

/// The value of a `MAIR_ELx` register.
///
/// Source: "MAIR_EL1, Memory Attribute Indirection Register (EL1)".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mair(u64);

impl Mair {
    /// The kernel's: write-back at index 0, the same with tags at 1, non-cacheable at 2, nGnRnE
    /// at 3, nGnRE at 4. The rest is nGnRnE, which no leaf chooses.
    ///
    /// A CPU without tagged memory must be given [`Mair::for_kernel`]'s instead.
    pub const KERNEL: Self = Self::for_kernel(Mte::TaggedMemory);

    /// Normal memory, write-back in every cache.
    pub const NORMAL: MemoryIndex = index(0);
    /// Normal memory with tags, where the CPU has them; otherwise as [`Mair::NORMAL`].
    pub const NORMAL_TAGGED: MemoryIndex = index(1);
    /// Normal memory, in no cache.
    pub const NORMAL_NON_CACHEABLE: MemoryIndex = index(2);
    /// Device memory, accesses neither gathered nor reordered nor acknowledged early.
    pub const DEVICE_NGNRNE: MemoryIndex = index(3);
    /// Device memory, accesses neither gathered nor reordered.
    pub const DEVICE_NGNRE: MemoryIndex = index(4);

    /// The kernel's, for CPUs with this much of MTE: where there is no tagged memory its byte would
    /// be unpredictable, so its index is plain Normal memory there.
    #[must_use]
    pub const fn for_kernel(mte: Mte) -> Self {
        let tagged = match mte {
            Mte::TaggedMemory => MemoryType::NormalTagged,
            Mte::Missing | Mte::InstructionsOnly => MemoryType::WRITE_BACK,
        };
        let types = [
            MemoryType::WRITE_BACK,
            tagged,
            MemoryType::NON_CACHEABLE,
            MemoryType::Device(Device::NGnRnE),
            MemoryType::Device(Device::NGnRE),
        ];
        let [b0, b1, b2, b3, b4] =
            [types[0].byte(), types[1].byte(), types[2].byte(), types[3].byte(), types[4].byte()];
        Self(u64::from_le_bytes([b0, b1, b2, b3, b4, 0, 0, 0]))
    }

    /// The index for RAM in the linear map: tagged where the CPU has tagged memory, so that its
    /// allocator may use tags.
    #[must_use]
    pub const fn ram(mte: Mte) -> MemoryIndex {
        match mte {
            Mte::TaggedMemory => Self::NORMAL_TAGGED,
            Mte::Missing | Mte::InstructionsOnly => Self::NORMAL,
        }
    }

    /// The register with this value.
    #[must_use]
    pub const fn new(register: u64) -> Self {
        Self(register)
    }

    /// The register's value.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The memory type that a leaf with this index has.
    #[must_use]
    pub const fn memory_type(self, index: MemoryIndex) -> MemoryType {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = self.0.to_le_bytes();
        MemoryType::of_byte(match index.value() {
            0 => b0,
            1 => b1,
            2 => b2,
            3 => b3,
            4 => b4,
            5 => b5,
            6 => b6,
            _ => b7,
        })
    }

    /// The register with another type at `index`.
    #[must_use]
    pub fn with(self, index: MemoryIndex, memory: MemoryType) -> Self {
        let shift = 8 * u32::from(index.value());
        Self(self.0 & !(0xff << shift) | u64::from(memory.byte()) << shift)
    }
}

const fn index(value: u8) -> MemoryIndex {
    match MemoryIndex::new(value) {
        Some(index) => index,
        None => panic!("an index is less than eight"),
    }
}

/// One of the eight attributes: what kind of memory it is. Every byte is exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryType {
    /// Device memory.
    Device(Device),
    /// Device memory whose accesses `DSB nXS` doesn't wait for (FEAT_XS).
    DeviceNoXs(Device),
    /// Normal memory.
    Normal {
        /// What the outer caches do.
        outer: Caching,
        /// What the inner caches do.
        inner: Caching,
    },
    /// Normal memory, write-back, with allocation tags (FEAT_MTE2).
    NormalTagged,
    /// Normal memory, non-cacheable, whose accesses `DSB nXS` doesn't wait for (FEAT_XS).
    NonCacheableNoXs,
    /// Normal memory, write-through, whose accesses `DSB nXS` doesn't wait for (FEAT_XS).
    WriteThroughNoXs,
    /// A byte that is unpredictable.
    Reserved(u8),
}

/// What may happen to accesses to a device: whether they are gathered (G), reordered (R), and
/// acknowledged early (E).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Device {
    /// None of the three.
    NGnRnE,
    /// Acknowledged early.
    NGnRE,
    /// Reordered and acknowledged early.
    NGRE,
    /// All three.
    GRE,
}

/// What one kind of caches, inner or outer, does with Normal memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caching {
    /// They leave it alone.
    NonCacheable,
    /// Stores go through to memory; a line soon goes (transient). Some allocation is asked for.
    WriteThroughTransient(Allocate),
    /// Stores go through to memory.
    WriteThrough(Allocate),
    /// Stores stay in the cache; a line soon goes (transient). Some allocation is asked for.
    WriteBackTransient(Allocate),
    /// Stores stay in the cache.
    WriteBack(Allocate),
}

/// Which accesses bring a line into a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Allocate {
    /// None. Transient memory has no such encoding: bytes that would say it say something else.
    Never,
    /// Stores.
    OnWrite,
    /// Loads.
    OnRead,
    /// Both.
    Always,
}

impl MemoryType {
    /// Write-back in every cache, allocated by loads and stores: ordinary RAM.
    pub const WRITE_BACK: Self = Self::Normal {
        outer: Caching::WriteBack(Allocate::Always),
        inner: Caching::WriteBack(Allocate::Always),
    };

    /// Normal memory in no cache.
    pub const NON_CACHEABLE: Self =
        Self::Normal { outer: Caching::NonCacheable, inner: Caching::NonCacheable };

    /// What a byte of the register says.
    #[must_use]
    pub const fn of_byte(byte: u8) -> Self {
        match (byte >> 4, byte & 0xf) {
            (0, 0b0000 | 0b0100 | 0b1000 | 0b1100) => Self::Device(Device::of(byte >> 2)),
            (0, 0b0001 | 0b0101 | 0b1001 | 0b1101) => Self::DeviceNoXs(Device::of(byte >> 2)),
            (0b0100, 0) => Self::NonCacheableNoXs,
            (0b1010, 0) => Self::WriteThroughNoXs,
            (0b1111, 0) => Self::NormalTagged,
            (outer, inner) => match (Caching::of(outer), Caching::of(inner)) {
                (Some(outer), Some(inner)) => Self::Normal { outer, inner },
                _ => Self::Reserved(byte),
            },
        }
    }

    /// The byte that says it.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Device(device) => device.bits() << 2,
            Self::DeviceNoXs(device) => device.bits() << 2 | 1,
            Self::Normal { outer, inner } => outer.bits() << 4 | inner.bits(),
            Self::NormalTagged => 0xf0,
            Self::NonCacheableNoXs => 0x40,
            Self::WriteThroughNoXs => 0xa0,
            Self::Reserved(byte) => byte,
        }
    }
}

impl Device {
    const fn of(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::NGnRnE,
            1 => Self::NGnRE,
            2 => Self::NGRE,
            _ => Self::GRE,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::NGnRnE => 0,
            Self::NGnRE => 1,
            Self::NGRE => 2,
            Self::GRE => 3,
        }
    }
}

impl Caching {
    /// Four bits of a Normal type; zero is none.
    const fn of(bits: u8) -> Option<Self> {
        let allocate = Allocate::of(bits);
        match (bits >> 2 & 0b11, allocate) {
            (0, Allocate::Never) => None,
            (0, _) => Some(Self::WriteThroughTransient(allocate)),
            (1, Allocate::Never) => Some(Self::NonCacheable),
            (1, _) => Some(Self::WriteBackTransient(allocate)),
            (2, _) => Some(Self::WriteThrough(allocate)),
            (_, _) => Some(Self::WriteBack(allocate)),
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::NonCacheable => 0b0100,
            Self::WriteThroughTransient(allocate) => allocate.bits(),
            Self::WriteBackTransient(allocate) => 0b0100 | allocate.bits(),
            Self::WriteThrough(allocate) => 0b1000 | allocate.bits(),
            Self::WriteBack(allocate) => 0b1100 | allocate.bits(),
        }
    }
}

impl Allocate {
    const fn of(bits: u8) -> Self {
        match bits & 0b11 {
            0 => Self::Never,
            1 => Self::OnWrite,
            2 => Self::OnRead,
            _ => Self::Always,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::OnWrite => 1,
            Self::OnRead => 2,
            Self::Always => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_and_means_something_of_its_own() {
        for byte in 0..=u8::MAX {
            let memory = MemoryType::of_byte(byte);
            assert_eq!(memory.byte(), byte, "{memory:?}");
            for other in 0..byte {
                assert_ne!(MemoryType::of_byte(other), memory);
            }
            // Reserved: bit 1 of a device's, or an inner part of zero that stands for nothing.
            let is_device = byte >> 4 == 0;
            let is_reserved = if is_device {
                byte & 0b10 != 0
            } else {
                byte.is_multiple_of(16) && ![0x40, 0xa0, 0xf0].contains(&byte)
            };
            assert_eq!(memory == MemoryType::Reserved(byte), is_reserved, "{byte:#04x}");
        }
    }

    #[test]
    fn the_kernel_has_the_types_of_linux_at_its_indices() {
        assert_eq!(Mair::KERNEL.value(), 0x0000_0004_0044_f0ff);
        assert_eq!(Mair::for_kernel(Mte::Missing).value(), 0x0000_0004_0044_ffff);
        let at = |index| Mair::KERNEL.memory_type(index);
        assert_eq!(at(Mair::NORMAL), MemoryType::WRITE_BACK);
        assert_eq!(at(Mair::ram(Mte::TaggedMemory)), MemoryType::NormalTagged);
        assert_eq!(Mair::ram(Mte::InstructionsOnly), Mair::NORMAL);
        assert_eq!(at(Mair::NORMAL_NON_CACHEABLE), MemoryType::NON_CACHEABLE);
        assert_eq!(at(Mair::DEVICE_NGNRNE), MemoryType::Device(Device::NGnRnE));
        assert_eq!(at(Mair::DEVICE_NGNRE), MemoryType::Device(Device::NGnRE));
    }

    #[test]
    fn a_type_is_replaced_where_it_is() {
        for value in 0..8 {
            let index = MemoryIndex::new(value).unwrap();
            let mair = Mair::new(u64::MAX).with(index, MemoryType::Device(Device::GRE));
            assert_eq!(mair.memory_type(index), MemoryType::Device(Device::GRE));
            assert_eq!(mair.value() ^ u64::MAX, 0xf3 << (8 * value));
        }
    }
}
