//! What is asked of executable memory.

use super::parse::{Operands, Wrong};
use crate::number::number;

/// What to do with code that is loaded or made while the kernel runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// `modules`: print the modules there are, those that are loaded, and the areas of executable
    /// memory.
    Modules,
    /// `modload NAME`: load the module of that name.
    Load(&'a str),
    /// `modrun NAME [X0]`: call it with this number.
    Run(&'a str, u64),
    /// `modunload NAME`: unload it.
    Unload(&'a str),
    /// `jit PROGRAMS`: make so many programs, in a pack.
    Jit(u32),
    /// `jitrun PACK`: run all programs of the pack.
    JitRun(u32),
    /// `jitfree PACK`: give the pack back.
    JitFree(u32),
    /// `slot INSTRUCTION`: put an instruction into a slot.
    Slot(u32),
    /// `slotrun SLOT [X0]`: run it, out of line, with this number in x0.
    SlotRun(u32, u64),
    /// `slotfree SLOT`: give the slot back.
    SlotFree(u32),
}

impl<'a, W: Iterator<Item = &'a str>> Operands<'_, W> {
    pub(super) fn name(&mut self) -> Result<&'a str, Wrong<'a>> {
        self.next(Some, None)
    }

    pub(super) fn small(&mut self) -> Result<u32, Wrong<'a>> {
        self.next(|word| u32::try_from(number(word)?).ok(), None)
    }

    pub(super) fn argument(&mut self) -> Result<u64, Wrong<'a>> {
        self.next(number, Some(0))
    }
}
