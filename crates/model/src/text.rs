//! Programs as text: effects as `machine::trace` writes them, one a line, under a heading.
//!
//! ```text
//! # Whatever stands behind a `#` is a comment.
//! geometry 4k base 48 48 el1 upper     granule, format, input bits, output bits, regime, half
//! root 0x40000000
//! types 0xff 0xf0 0x44 0x0 0x4 0 0 0   memory attributes by index; these when left out
//! aliases mixed                        writable and executable may coexist; `apart` when left out
//! cpus 2                               all with the properties of `Profile::QUIET`, but:
//! profile 1 size=needs-break           or size=may-abort, ets=0|2|3, walk-cache=input|place,
//!                                      ranges=yes|no, runs=yes|no, several=all|none, forwarding=yes|no
//! initially fill 0x40000000[0..512] 0x0 step 0x0
//!
//! cpu 0:                               or `cpu 1..4:` for CPUs 1 to 3
//! intend 0xffff000000000000+0x1000 rights r--
//! intend 0xffff000000001000+0x1000 unmapped
//! intend 0xffff000000002000+0x1000 output 0x80000000 rw- type 0 idle
//! update 0x40001000[0..1] clear 0x0 set 0x80
//! dsb ishst
//! tlbi vaale1is 0x0ff000000000
//! dsb ish
//! isb
//! achieved
//! free 0x40003000
//! use 0xffff000000001000+0x1000
//! lock NAME [TURN]                     as soon as it is free, and has been let go of TURN times
//! unlock NAME                          whoever takes it then sees what was stored before
//! signal NAME, wait NAME COUNT         of a counter; they order nothing else
//! context reserved                     or `context live`
//! ```
//!
//! `idle` behind an intent says that nobody accesses the range until it is achieved.

mod read;
mod write;

pub use read::{Line, ReadError, read};
