//! A reader: all tables of the linear map, read again and again while others change them.

use super::admit::LeaveError;
use super::job::Order;
use super::load::LoadError;
use super::set::ADMITTED;
use super::{announced, own, wait_until};
use crate::arch::gic::{self, Ipi};
use crate::arch::per_cpu;

/// Has a CPU read all tables until [`end_reading`].
pub(crate) fn begin_reading(cpu: u32) -> Result<(), LoadError> {
    if cpu >= announced() || !ADMITTED.has(cpu) || cpu == own() {
        return Err(LoadError::NotThere(cpu));
    }
    let job = &per_cpu::of(cpu).job;
    if job.order() != Order::Wait {
        return Err(LoadError::Loaded(cpu));
    }
    job.begin_reading();
    gic::send(Ipi::Wake, cpu);
    Ok(())
}

/// Relieves a CPU. Nothing happens where nothing is read.
pub(crate) fn end_reading(cpu: u32) -> Result<(), LoadError> {
    if cpu >= announced() {
        return Err(LoadError::NotThere(cpu));
    }
    let job = &per_cpu::of(cpu).job;
    if job.order() == Order::Read {
        job.end_load();
    }
    if !wait_until(|| !job.is_busy()) {
        return Err(LeaveError::Stuck(cpu).into());
    }
    Ok(())
}
