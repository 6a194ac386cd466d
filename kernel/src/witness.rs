//! What an observer below the kernel needs to know: what a trap was about, which store an
//! instruction is, how what was seen is kept, and the tables that make the kernel trap.
//!
//! The observer itself is the kernel image's referee, which runs at EL2; everything here is what of
//! it any machine can run. It shares no code with the engine that it watches, beyond the words for
//! addresses and events and the shape of a descriptor.

mod log;
mod store;
mod trap;
mod tree;

pub use log::{Log, Seen, Slot, seen_in};
pub use store::StoreInstruction;
pub use trap::{Access, Purpose, Trap, Trapped};
/// What is kept unless somebody says otherwise: the painting of a map in blocks, and some thousands
/// of changes; 4 MiB.
pub const USUAL_RECORDS: u32 = 1 << 17;

pub use tree::{IdentityTree, OutOfTables, Stage2, WATCHER};
