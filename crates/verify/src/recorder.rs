//! Runs operations on a host and keeps the list of their effects.

use std::cell::RefCell;

use blockmap::host::Host;
use blockmap::{Mapping, Space, Terms};
use blockmap_machine::{Event, PhysAddr};
use blockmap_vmsa::{Access, Geometry, Leaves};

use crate::program::{attributes, range, words_for};

/// Where the scenarios map memory: the start of the kernel's linear map.
pub const LINEAR: u64 = 0xffff_0000_0000_0000;

/// Prepares a space under `terms` with `gib` GiB mapped in blocks from [`LINEAR`] on, calls
/// `operation`, and returns the effects of that alone.
pub fn effects_of(
    terms: Terms,
    gib: u64,
    operation: impl FnOnce(&Space<'_, Host<'_>>),
) -> Vec<Event> {
    let events = RefCell::new(Vec::new());
    let log = |event: &Event| events.borrow_mut().push(*event);
    on_host(terms, gib, &log, |space| {
        events.borrow_mut().clear();
        operation(space);
    });
    events.take()
}

/// Prepares a space under `terms` with `gib` GiB mapped in blocks from [`LINEAR`] on, and calls
/// `operation`.
pub fn on_host(
    terms: Terms,
    gib: u64,
    log: &dyn Fn(&Event),
    operation: impl FnOnce(&Space<'_, Host<'_>>),
) {
    on_host_of((terms, 64), gib, log, operation);
}

/// As [`on_host`], with memory for so many tables.
pub fn on_host_of(
    (terms, tables): (Terms, usize),
    gib: u64,
    log: &dyn Fn(&Event),
    operation: impl FnOnce(&Space<'_, Host<'_>>),
) {
    let geometry = Geometry::KERNEL_4K_48;
    let words = words_for(geometry, tables);
    let host = Host::new(geometry, &words, log);
    host.set_terms(terms);
    let space = Space::new(&host, host.new_root().unwrap());
    if gib > 0 {
        space.map(linear(gib)).unwrap();
    }
    operation(&space);
    host.assert_idle();
}

/// The first `gib` GiB of the linear map: read-write, in the largest leaves.
#[must_use]
pub fn linear(gib: u64) -> Mapping {
    Mapping {
        range: range(LINEAR, gib << 30),
        output: PhysAddr::new(0x4000_0000),
        attributes: attributes(Access::ReadWrite),
        leaves: Leaves::Largest,
    }
}

/// The events as text, one a line.
#[must_use]
pub fn text(events: &[Event]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}
