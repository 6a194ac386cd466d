//! Changes the translation tables of a live arm64 kernel: maps, unmaps, protects, splits, collapses,
//! repaints and carves.
//!
//! A kernel's linear map should be in the largest blocks that its memory allows, and still let any
//! single page change its permission at any time. This library does the second to the first: it
//! splits a live 1 GiB block just as deep as one page asks, and it does so in two steps of which
//! only the first can fail. *Planning* locks, checks and counts the tables needed; *committing*
//! performs a short list of machine effects that the plan has seen to be possible. Where CPUs do not
//! bear that a live leaf changes its size, all others are parked meanwhile: one that does not come is
//! all that can still stop a commit, before anything was changed.
//!
//! | operation | what it does |
//! |---|---|
//! | [`map`](Space::map), [`unmap`](Space::unmap) | leaves of any sizes where nothing was; and back |
//! | [`retire`](Space::retire), [`purge`](Space::purge) | unmaps ranges one by one, and has TLBs forget all of them at once |
//! | [`protect`](Space::protect) | changes rights, and splits at the ends of the range where it must |
//! | [`change_views`](Space::change_views) | the same for a range and the aliases of its memory, by one operation |
//! | [`split`](Space::split) | lets no leaf reach across either end of a range |
//! | [`collapse`](Space::collapse) | makes leaves as large again as what they say allows |
//! | [`repaint`](Space::repaint) | makes pages of any leaves, with all other CPUs parked once |
//! | [`make_non_global`](Space::make_non_global) | makes all leaves belong to one ASID, with all other CPUs parked once |
//! | [`carve`](Space::carve) | makes a range's rights change, and go back, where nothing may fail |
//!
//! # Example
//! On a host, without hardware: map 2 GiB, make one page read-only, and look at the effects.
//!
//! ```
//! use core::cell::Cell;
//!
//! use blockmap::host::{Host, MAY_PARK};
//! use blockmap::machine::{PhysAddr, VirtAddr, VirtRange};
//! use blockmap::vmsa::{
//!     Access, Attributes, Change, Geometry, Leaves, MemoryIndex, Shareability,
//! };
//! use blockmap::{Mapping, Space};
//!
//! let geometry = Geometry::KERNEL_4K_48;
//! let memory = vec![Cell::new(0); 16 * 512];
//! let print = |event: &blockmap::machine::Event| println!("{event}");
//! let host = Host::new(geometry, &memory, &print);
//! let space = Space::new(&host, host.new_root().ok_or("no memory for tables")?);
//!
//! let start = VirtAddr::new(0xffff_0000_0000_0000);
//! space.map(Mapping {
//!     range: VirtRange::new(start, 2 << 30).ok_or("an empty range")?,
//!     output: PhysAddr::new(0x4000_0000),
//!     attributes: Attributes {
//!         memory: MemoryIndex::new(0).ok_or("no such memory type")?,
//!         shareability: Shareability::Inner,
//!         access: Access::ReadWrite,
//!     },
//!     leaves: Leaves::Largest,
//! })?;
//! // The root and one table of two 1 GiB blocks.
//! assert_eq!(host.tables_in_use(), 2);
//!
//! let page = VirtRange::new(VirtAddr::new(0xffff_0000_5555_5000), 4096).ok_or("empty")?;
//! space.split(page, &MAY_PARK)?;
//! // One table of 2 MiB blocks and one of pages more; every address translates as before.
//! assert_eq!(host.tables_in_use(), 4);
//! assert_eq!(space.translate(page.start()), Some(PhysAddr::new(0x9555_5000)));
//!
//! // Now there is nothing left that could fail but the range itself.
//! let plan = space.plan_protect(page, Change::ReadOnly, &MAY_PARK)?;
//! assert_eq!(plan.tables(), 0);
//! plan.reserve()?.commit()?;
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What it asks of its user
//! A [`Platform`]: a [`Machine`](machine::Machine) that performs effects (`blockmap-hw` is the
//! CPU's), locks, the terms that the admitted CPUs allow, and table memory. [`host::Host`] is one
//! for tests and tools.
//!
//! # What it promises
//! - After the first store to a live table nothing can fail; an error leaves the tables as they
//!   were.
//! - No address that is mapped before and after an operation is ever unmapped in between, for any CPU
//!   that uses the tables.
//! - A size change never alters what an address translates to, a permission change never alters a
//!   size.
//! - One operation invalidates once and waits once, however many pages it covers: by one or two
//!   instructions for each 8 GiB where every CPU acts on ranges, else by up to
//!   [`MOST_INVALIDATIONS_BY_ADDRESS`], or all at once. A collapse does so for each 32 tables that
//!   go, a size change under [`Strategy::Quiesce`] once more while the others are parked.
//!
//! Each protocol's module opens with its timeline; each rule that it follows has a key in square
//! brackets, explained in `docs/rules.md`.
#![no_std]
#![forbid(unsafe_code)]

mod below;
mod carve;
mod code;
mod collapse;
mod complete;
mod cut;
mod fill;
mod grants;
pub mod host;
mod map;
mod non_global;
mod plan;
mod platform;
mod protect;
mod read;
mod repaint;
mod retire;
mod space;
mod switch;
mod translate;
mod unflushed;
mod unmap;
mod view;

pub use blockmap_dump as dump;
pub use blockmap_layout as layout;
pub use blockmap_layout::Strategy;
pub use blockmap_machine as machine;
pub use blockmap_vmsa as vmsa;
pub use carve::share::{HostError, Mark, ShareError, Sharing, Side};
pub use carve::{Carve, CarveError, Grain, PartError};
pub use code::publish_code;
pub use collapse::{CollapseError, Collapsed};
pub use complete::MOST_INVALIDATIONS_BY_ADDRESS;
pub use cut::{NoSizeChange, SizeChangeRefused, SplitError};
pub use map::{MapError, Mapping};
pub use non_global::NonGlobalError;
pub use plan::{OutOfTables, Plan, Ready};
pub use platform::{NotParked, Phase, Platform, Refusal, Root, Scope, Terms, TopUp};
pub use protect::{Execution, ProtectError};
pub use read::Reader;
pub use repaint::RepaintError;
pub use retire::Retired;
pub use space::{RangeError, Space};
pub use switch::{Alone, Switch};
pub use unflushed::Unflushed;
pub use unmap::UnmapError;
pub use view::{View, ViewChange, ViewError};
