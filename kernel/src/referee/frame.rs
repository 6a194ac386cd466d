//! The registers of the kernel that trapped.

/// General-purpose registers, and where and how the kernel goes on. `vectors.S` knows the order.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Frame {
    /// x0 to x30.
    x: [u64; 31],
    unused: u64,
    /// Where the kernel goes on.
    pub(super) elr: u64,
    /// Its processor state.
    pub(super) spsr: u64,
    /// What `vectors.S` of the disguise answers from.
    disguise: u64,
    /// The number of the CPU.
    cpu: u64,
}

impl Frame {
    /// The register `number`; 31 is the zero register.
    pub(super) fn register(&self, number: u8) -> u64 {
        self.x.get(usize::from(number)).copied().unwrap_or(0)
    }

    /// Sets the register `number`; the zero register stays zero.
    pub(super) fn set_register(&mut self, number: u8, value: u64) {
        if let Some(register) = self.x.get_mut(usize::from(number)) {
            *register = value;
        }
    }

    /// The number of the CPU.
    pub(super) fn cpu(&self) -> u16 {
        u16::try_from(self.cpu).unwrap_or(u16::MAX)
    }

    /// Goes on after the instruction that trapped.
    pub(super) const fn skip(&mut self) {
        self.elr = self.elr.wrapping_add(4);
    }
}
