//! The lock of what several CPUs change.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use spin::mutex::{SpinMutex, SpinMutexGuard};

use crate::arch::per_cpu;
use crate::console::Yield;

/// Nobody's number.
const NOBODY: u32 = u32::MAX;

/// A lock that is waited for with interrupts as they are: who waits with interrupts on can be
/// parked meanwhile, and so can who holds it. Interrupt handlers take those alone that are held with
/// interrupts masked, and never for long.
///
/// A CPU that holds one may not park others: one of them could be waiting for it with interrupts
/// masked.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    inner: SpinMutex<T, Yield>,
    /// The number of the CPU that holds it.
    holder: AtomicU32,
}

/// Holding one tells that nobody else uses what the lock is for.
#[derive(Debug)]
pub(crate) struct Guard<'a, T> {
    // Dropped after `holder` was cleared, which `drop` does.
    inner: SpinMutexGuard<'a, T, Yield>,
    holder: &'a AtomicU32,
}

impl<T> Lock<T> {
    /// A lock that nobody holds.
    pub(crate) const fn new(value: T) -> Self {
        Self { inner: SpinMutex::new(value), holder: AtomicU32::new(NOBODY) }
    }

    /// Waits until nobody holds the lock, and takes it.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let data = per_cpu::this();
        data.add_lock();
        let inner = self.inner.lock();
        self.holder.store(data.number(), Ordering::Relaxed);
        Guard { inner, holder: &self.holder }
    }

    /// Takes the lock if nobody holds it.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        let inner = self.inner.try_lock()?;
        let data = per_cpu::this();
        data.add_lock();
        self.holder.store(data.number(), Ordering::Relaxed);
        Some(Guard { inner, holder: &self.holder })
    }

    /// Whether the CPU that asks holds it.
    pub(crate) fn is_mine(&self) -> bool {
        self.inner.is_locked() && self.holder.load(Ordering::Relaxed) == per_cpu::this().number()
    }

    /// Whether anybody holds it.
    pub(crate) fn is_held(&self) -> bool {
        self.inner.is_locked()
    }

    /// Takes the lock away from its holder.
    ///
    /// # Safety
    /// The holder never goes on, or what it would do with the lock does no harm.
    pub(crate) unsafe fn take_away(&self) {
        // SAFETY: the caller vouches for the holder.
        unsafe { self.inner.force_unlock() };
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
        per_cpu::this().remove_lock();
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
